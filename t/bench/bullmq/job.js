// What BullMQ costs Redis: updates that are added once each, and that are taken
// and done by a worker that has nothing to do with them.
//
//   job.js socket updates bytes
//
// prints JSON: how many of each in a second of Redis' CPU.

'use strict';

const { Queue, Worker } = require('bullmq');

const BATCH = 64;
const DAY = 24 * 3600 * 1000;
const [path, count, bytes] = [process.argv[2], +process.argv[3], +process.argv[4]];
const connection = { path, maxRetriesPerRequest: null };

async function cpu(queue) {
    const text = await (await queue.client).info('cpu');
    return ['used_cpu_user', 'used_cpu_sys']
        .map((name) => +text.match(`${name}:([0-9.]+)`)[1])
        .reduce((a, b) => a + b);
}

async function add(queue, first) {
    const data = 'x'.repeat(bytes);
    const before = await cpu(queue);
    for (let id = first; id < first + count; id += BATCH) {
        await queue.addBulk(Array.from({ length: BATCH }, (_, n) => ({
            name: 'update', data,
            opts: { deduplication: { id: String(id + n), ttl: DAY }, removeOnComplete: true },
        })));
    }
    return count / (await cpu(queue) - before);
}

async function work(queue, concurrency) {
    const before = await cpu(queue);
    await new Promise((resolve, reject) => {
        let left = count;
        const worker = new Worker(queue.name, async () => {}, { connection, concurrency });
        worker.on('completed', () => {
            left -= 1;
            if (left === 0) resolve(worker.close());
        });
        worker.on('error', reject);
        worker.on('failed', (job, error) => reject(error));
    });
    return count / (await cpu(queue) - before);
}

async function main() {
    const queue = new Queue('updates', { connection });
    const accepted = await add(queue, 0);
    const settled = await work(queue, 32);
    await add(queue, count);
    const ordered = await work(queue, 1);
    await queue.close();
    console.log(JSON.stringify({ accepted, settled, ordered }));
}

main().catch((error) => {
    console.error(error);
    process.exit(1);
});
