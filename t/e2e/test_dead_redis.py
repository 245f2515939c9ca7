"""Dead letters of two machines in one Redis, through what happens to them."""

import asyncio
import collections
import json

import clients
from harness import FULL, until
from test_queue_redis import Machines

DEAD = "tgbot_dead_letters redis max=5000; tgbot_attempts 1;"

# where the updates are until they are given up
PLACES = {
    "redis": f"tgbot_queue redis lease=3s; {DEAD}",
    "zone": f"tgbot_queue zone=updates:8m; {DEAD}",
    "none": f"tgbot_dedup redis; {DEAD}"}

UPDATES = 600 if FULL else 200

LOAD = dict(updates=UPDATES, chats=50, connections=20, ramp=0.05, schedule=0.05,
            program_latency=0.02, program_fail=0.0, lost_ack=0.03, heavy=0.0)


class Letters(Machines):
    """Machines that share letters."""

    async def ask(self, machine, path="e2e", method="GET"):
        """The JSON that a machine answers; {} if it does not."""
        said = await clients.letters(self.nginx[machine].port, path, method)
        return json.loads(said) if said else {}

    async def list(self):
        """The update_ids of all letters, or None while Redis is away."""
        ids, after = [], 0
        while True:
            said = await self.ask(0, f"e2e?limit=1000&after={after}")
            if "letters" not in said:
                return None
            ids += [letter["update_id"] for letter in said["letters"]]
            after = said["next"]
            if not after:
                return ids

    async def until_letters(self, holds, seconds=60):
        """Waits until the list is as it should be, and returns it."""
        got = None
        for _ in range(int(seconds / 0.1)):
            got = await self.list()
            if got is not None and holds(got):
                return got
            await asyncio.sleep(0.1)
        self.case.check(False, f"{len(got or ())} letters, "
                               f"such as {(got or [None])[:5]}")
        return got or []

    async def replay_all(self, done):
        """Both machines replay what there is, again and again, until it is done."""
        async def each(machine):
            while not done.is_set():
                await self.ask(machine, method="POST")
                await asyncio.sleep(0.05)
        await asyncio.gather(each(0), each(1))

    def handled(self):
        """How often the program has handled each update."""
        return collections.Counter(seen.id for seen in self.scene.program.seen
                                   if seen.outcome == "ok")

    def seen(self):
        return {seen.id for seen in self.scene.program.seen}


async def _faults(machines):
    """One after another: a worker, Redis gone and back, stopped, full."""
    redis = machines.redis
    nginx = machines.nginx[0]
    nginx.kill(nginx.workers()[0], machines.scene)
    await asyncio.sleep(0.4)
    redis.kill()
    await asyncio.sleep(0.4)
    await redis.start()
    await asyncio.sleep(0.4)
    redis.call("CONFIG", "SET", "maxmemory", 1)
    await asyncio.sleep(0.4)
    redis.call("CONFIG", "SET", "maxmemory", 0)
    await redis.pause()
    await asyncio.sleep(4)
    redis.resume()


async def _give_up(machines, faults):
    """All updates become letters."""
    case, scene = machines.case, machines.scene
    scene.program.fault = "500"
    scene.play()
    await asyncio.sleep(0.3)
    await faults(machines)
    case.check(await scene.finished(120), "Telegram still has updates")
    ids = await machines.until_letters(lambda ids: len(set(ids)) == UPDATES)
    case.equal(sorted(machines.seen() ^ set(ids))[:5], [], "updates that are no letters")
    return ids


async def _replay(machines, faults):
    """All letters are replayed by both machines."""
    machines.scene.program.fault = None
    done = asyncio.Event()
    work = asyncio.ensure_future(machines.replay_all(done))
    await asyncio.sleep(0.1)
    await faults(machines)
    machines.case.check(await until(lambda: len(machines.handled()) == UPDATES, 60),
                        f"{len(machines.handled())} updates are handled of {UPDATES}")
    await machines.until_letters(lambda ids: not ids)
    done.set()
    await work


async def _nothing(machines):
    pass


async def _clean(case, place):

    # a machine does not know what the zone of the other one has accepted

    lost = 0.0 if place == "zone" else LOAD["lost_ack"]
    machines = await Letters(case).start(directives=PLACES[place],
                                         **dict(LOAD, lost_ack=lost))
    ids = await _give_up(machines, _nothing)
    case.equal(len(ids), UPDATES, "letters")
    await _replay(machines, _nothing)
    twice = [number for number, count in machines.handled().items() if count > 1]
    case.equal(twice, [], "updates handled twice")
    await _end(machines)


async def _rough(case, place):

    # updates come, and letters are replayed, for as long as the faults last

    machines = await Letters(case).start(directives=PLACES[place], rate=UPDATES / 6,
                                         **dict(LOAD, program_latency=1.0))
    ids = await _give_up(machines, _faults)
    case.note(f"{len(ids) - UPDATES} letters are there twice")
    case.check(len(ids) - UPDATES <= 32, "letters that are there twice")
    await _replay(machines, _faults)
    twice = [number for number, count in machines.handled().items() if count > 1]
    case.note(f"{len(twice)} updates were handled twice")
    case.check(len(twice) <= 96, f"{len(twice)} updates were handled twice")
    await _end(machines)


async def _end(machines):
    case = machines.case
    for nginx in machines.nginx:
        await case.check_status(nginx)
    machines.scene.webhook.close()
    await machines.stop()
    case.equal(machines.redis.call("EXISTS", *(f"{{tgbot:e2e}}:{key}" for key in
                                               ("dead", "letters", "flight"))),
               0, "keys of letters that are left")


async def test_queue(case):
    """Letters of a queue in Redis are replayed by two machines, each once."""
    await _clean(case, "redis")


async def test_zone(case):
    """The same of queues in zones: an update has one letter, and is handled once."""
    await _clean(case, "zone")


async def test_held(case):
    """The same without a queue."""
    await _clean(case, "none")


async def test_queue_faults(case):
    """Workers, Redis and its memory go while updates are given up and replayed."""
    await _rough(case, "redis")


async def test_zone_faults(case):
    """The same of queues in zones."""
    await _rough(case, "zone")


async def test_held_faults(case):
    """The same without a queue."""
    await _rough(case, "none")
