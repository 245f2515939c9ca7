"""
A queue in Redis beside one in a zone, each acknowledging what comes in a nginx of its own, and
beside BullMQ, which accepts and settles as many updates in a Redis of its own.  The program never
answers, so that the workers do nothing but acknowledge.
"""

import json
import os
import shutil
import socket
import statistics
import subprocess
import sys

import scripts
from measure import ALLOWED, SERVER_CORE, Void, pin, rounds, summary
from scripts import server as redis
from servers import Tgbot, start

HERE = os.path.dirname(os.path.abspath(__file__))
BULLMQ = os.path.join(os.environ["BENCH_DIR"], "bullmq")
MOST = 1.6      # times the CPU time of the zone queue
HALF = 0.5      # of the updates a second that it can acknowledge
# a core of its own if there is one; the load leaves no time to others on its own
REDIS_CORE = ALLOWED[1] if len(ALLOWED) > 2 else SERVER_CORE


class Queue(Tgbot):
    file = "queue"
    replies = False

    def check_counts(self):
        """whether all that was sent is in the queue, but for the wrong secret"""
        if self.deliveries() != {"queued": self.sent}:
            raise Void(f"{self.name}: {self.deliveries()} instead of {self.sent} queued")


class Deaf:
    """a program that takes connections, and never answers"""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]

    def stop(self):
        self.socket.close()


def queues(directory, program, path):
    zone = {"queue": "tgbot_dedup zone=seen:4m; tgbot_queue zone=updates:512m share=100% "
                     "concurrency=1;", "redis": "", "limit": ""}
    shared = {"queue": "tgbot_queue redis limit=10000000 limit_size=2g concurrency=1;",
              "redis": f"tgbot_redis unix:{path};", "limit": "redis"}
    return [Queue("queue-zone", "a zone", directory, program=program, **zone),
            Queue("queue-redis", "Redis", directory, program=program, **shared)]


def acknowledge(load, directory, sizes):
    """-> rows, failures: CPU time of the worker, and how soon it answers"""
    store, program = redis.Server("--unixsocketperm", "777", first=pin(REDIS_CORE)), Deaf()
    store.connect()
    os.chmod(store.dir, 0o755)      # the worker may be another user
    servers = queues(directory, program.port, store.path)
    try:
        running = start(servers)
        samples = rounds(load, running, sizes["redis_rounds"], sizes["seconds"])
        waits = {one: [half_load(load, one, samples[one], sizes)
                       for _ in range(sizes["pairs"] // 2 + 1)] for one in running}
        for one in running:
            one.check_counts()
    finally:
        for one in servers:
            one.stop()
        store.stop()
        program.stop()
    zone, ours = running
    rows = {}
    for one in running:
        cost = summary(samples[one], samples[zone])
        p50, p99 = (statistics.median(values) / 1000 for values in zip(*waits[one]))
        rows[f"the 200, queue in {one.title}"] = (
            f"{cost['microseconds']:.1f} us of the worker, x {cost['ratio']:.2f}; "
            f"at half load 50 % within {p50:.2f} ms, 99 % within {p99:.2f} ms")
    ratio = summary(samples[ours], samples[zone])["ratio"]
    return rows, [f"{ratio:.2f} times the worker's time with a zone, more than {MOST}"
                  ] if ratio > MOST else []


def half_load(load, one, samples, sizes):
    """-> microseconds within which 50 % and 99 % are answered"""
    most = statistics.median(core / cost for cost, core in samples) * 1e6
    _, said = load.measure(one, int(most * HALF * sizes["seconds"] * 2), rate=most * HALF)
    return said["p50"], said["p99"]


def bullmq(sizes):
    """-> rows"""
    node = shutil.which("node")
    if not node or not os.path.isdir(f"{BULLMQ}/node_modules/bullmq"):
        print("left out: BullMQ: " + ("it is not installed" if node else
                                      "Node.js is not installed"), file=sys.stderr)
        return {}
    store = redis.Server()
    try:
        store.connect()
        run = subprocess.run(
            [node, f"{HERE}/bullmq/job.js", store.path,
             str(sizes["bullmq"] // scripts.PIPELINE * scripts.PIPELINE),
             str(len(scripts.PAYLOAD))], check=False, stdout=subprocess.PIPE,
            preexec_fn=pin(SERVER_CORE), text=True,
            env={**os.environ, "NODE_PATH": f"{BULLMQ}/node_modules",
                 "NODE_ENV": "production"})
    finally:
        store.stop()
    if run.returncode:
        raise Void("BullMQ: see above")
    rates = json.loads(run.stdout)
    return {f"BullMQ: {what}, per second of Redis' CPU": round(rates[name])
            for name, what in (("accepted", "accepted, no limits"),
                               ("settled", "settled, in no order"),
                               ("ordered", "settled, one at a time"))}


def measure(load, directory, sizes):
    """-> rows, failures"""
    rows, failures = acknowledge(load, directory, sizes)
    return {**rows, **bullmq(sizes)}, failures
