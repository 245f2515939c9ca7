"""Answers of the program that are asked for by many at once."""

import asyncio
import os

import clients
from harness import Nginx, bot, free_port, until
from redis import SERVER, Redis

MANY = 1000
SOME = 10

CACHE = "tgbot_cache $tgbot_text zone=answers:1m valid=60s lock_timeout=30s;"


def answer(update):
    """Whoever asks, the same for the same text; the chat is left to the module."""
    return {"method": "sendMessage", "text": f"about {update['message']['text']}"}


async def _scene(case, more=""):
    scene, nginx = await case.scene(CACHE, api=False, locations=more,
                                    program_timeout="30s")
    scene.program.answer = answer
    return scene, nginx


class Asker:
    """A user, an update that asks for a text, and a connection to send it on."""

    def __init__(self, client, number, words):
        self.id = number
        self.words = words
        self.body = clients.text(number, words, user=number)
        self._client = client

    def ask(self):
        self._client.send(clients.request(self.body))
        return self

    async def answer(self):
        return await self._client.answer()

    def check(self, case, answered):
        """It was answered what it asked for, in its own chat."""
        ridden = clients.ridden(answered) if answered else {}
        case.equal((answered and answered.status, ridden.get("chat_id"), ridden.get("text")),
                   (200, str(self.id), f"about {self.words}"), f"answer to {self.id}")


async def _askers(nginx, count, words, start):
    """So many on each worker: worker, askers."""
    askers = {}
    for worker in nginx.workers():
        connected = await clients.connect(nginx, worker, count)
        askers[worker] = [Asker(client, start + i, words)
                          for i, client in enumerate(connected)]
        start += count
    return askers


async def _waiting(case, nginx, count):
    """All of them have come, and one of them asks the program."""
    status = None
    for _ in range(200):
        status = await case.status(nginx)
        if status.value("held") == count and status.value("cache_total") >= count:
            break
        await asyncio.sleep(0.05)
    case.equal(status.value("held"), count, "updates that are held")
    case.equal(status.value("cache_total", "miss"), 1, "who asks the program")
    case.equal(status.value("cache_total", "wait"), count - 1, "who waits")


async def test_thousand(case):
    """Many updates with one key cost one call of the program."""
    scene, nginx = await _scene(case)
    program = scene.program
    program.hold()
    askers = sum((await _askers(nginx, MANY // 2, "prices", 10000)).values(), [])
    for asker in askers:
        asker.ask()
    await _waiting(case, nginx, MANY)
    case.equal(len(program.seen), 1, "calls of the program")
    program.release()
    for asker in askers:
        asker.check(case, await asker.answer())
    case.equal(len(program.seen), 1, "calls of the program in the end")

    # hits are in order at once, and another key is not
    late = Asker(None, 20001, "prices")
    late.check(case, await clients.post(nginx.port, late.body))
    case.equal(len(program.seen), 1, "calls of the program after a hit")
    other = Asker(None, 20002, "weather")
    other.check(case, await clients.post(nginx.port, other.body))
    case.equal(len(program.seen), 2, "calls of the program after a miss")

    status = await case.check_status(nginx)
    case.equal(status.value("deliveries_total", "done"), MANY + 2, "done")
    await case.stop(nginx)
    case.check_logs(nginx)


async def test_two_bots(case):
    """One zone and the same keys: neither bot sees an answer of the other."""
    scene, nginx = await _scene(case, bot("other", CACHE.replace(":1m", ""), api=False))
    asked = []
    scene.program.answer = lambda update: {
        "method": "sendMessage",
        "text": f"of bot {update['update_id'] // 1000} to {update['message']['text']}"}
    number = 0
    for _ in range(2):
        for key in ("a", "b", "c"):
            for path, owner in (("/tg/e2e", 1), ("/tg/other", 2)):
                number += 1
                body = clients.text(owner * 1000 + number, key, user=number)
                answered = await clients.post(nginx.port, body, path)
                asked.append((path, key))
                case.equal(clients.ridden(answered).get("text"), f"of bot {owner} to {key}",
                           f"{path} asked for {key}")
    case.equal(len(scene.program.seen), len(set(asked)), "calls of the program")
    status = await case.check_status(nginx)
    for name in ("e2e", "other"):
        for result in ("hit", "miss", "stored"):
            case.equal(status.value("cache_total", result, bot=name), 3,
                       f"{name}: {result}")
    await case.stop(nginx)
    case.check_logs(nginx)


async def _until_done(case, nginx, asker):
    """Delivers it again as long as it is refused."""
    for _ in range(100):
        answered = await clients.post(nginx.port, asker.body)
        if answered is None or answered.status == 200:
            break
        await asyncio.sleep(0.05)
    asker.check(case, answered)


def _handled(program):
    return [seen for seen in program.seen if seen.outcome == "ok"]


async def test_killed_program(case):
    """A program that dies while it computes: nothing of that is kept."""
    scene, nginx = await _scene(case)
    program = scene.program
    program.hold()
    askers = sum((await _askers(nginx, SOME, "prices", 10000)).values(), [])
    for asker in askers:
        asker.ask()
    await _waiting(case, nginx, len(askers))
    program.stop()
    for asker in askers:
        answered = await asker.answer()
        case.check(answered.status in (500, 503), f"{answered.status} without a program")

    program.release()
    await program.restart()
    await asyncio.gather(*(_until_done(case, nginx, asker) for asker in askers))
    case.equal(len(_handled(program)), 1, "answers of the program")
    status = await case.check_status(nginx)
    case.equal(status.value("deliveries_total", "done"), len(askers), "done")
    case.equal(status.value("cache_total", "stored"), 1, "stored")
    await case.stop(nginx)
    case.check_logs(nginx)


async def test_killed_worker(case):
    """The worker that asks the program dies: one that waits asks instead."""
    scene, nginx = await _scene(case)
    program = scene.program
    program.hold()
    askers = await _askers(nginx, SOME, "prices", 10000)
    killed, living = nginx.workers()
    askers[killed][0].ask()
    case.check(await until(lambda: program.seen), "the program was not asked")
    for asker in (*askers[killed][1:], *askers[living]):
        asker.ask()
    await _waiting(case, nginx, 2 * SOME)

    nginx.kill(killed, scene)
    case.check(await until(lambda: len(program.seen) == 2), "nobody asked instead")
    program.release()
    for asker in askers[living]:
        asker.check(case, await asker.answer())
    case.equal([seen.worker for seen in program.seen], [str(killed), str(living)],
               "workers that asked")
    for asker in askers[killed]:
        case.equal(await asker.answer(), None, "answer of a killed worker")
        await _until_done(case, nginx, asker)
    case.equal(len(_handled(program)), 1, "answers of the program")
    status = await case.check_status(nginx)
    case.equal(status.value("deliveries_total", "aborted"), SOME, "aborted")
    case.equal(status.value("deliveries_total", "done"), 2 * SOME, "done")
    await case.stop(nginx)
    case.check_logs(nginx)


# with Redis

def _lacks(case):
    if SERVER is None:
        case.skip("there is no redis-server")
    return SERVER is None


async def _machines(case, lock="30s"):
    """Two machines, each an nginx of its own, and a Redis."""
    redis = await Redis(case).start()
    scene, nginx = await case.scene(CACHE.replace("lock_timeout=30s",
                                                  f"lock_timeout={lock} redis"),
                                    api=False, http=f"tgbot_redis unix:{redis.path};",
                                    program_timeout="30s")
    scene.program.answer = answer
    port = free_port()
    directory = f"{case.directory}/two"
    os.makedirs(f"{directory}/logs")
    other = case.own(Nginx(directory, port))
    other.configure(nginx.read("nginx.conf").replace(f"127.0.0.1:{nginx.port} ",
                                                     f"127.0.0.1:{port} "))
    await other.start()
    for machine in (nginx, other):
        case.check(await until(lambda machine=machine: len(machine.workers()) == 2),
                   "workers of a machine")
        await _connected(case, machine)
    return scene, redis, (nginx, other)


async def _connected(case, nginx, up=1):
    """Workers are connected to Redis, or none is: ten answers in a row say so."""
    said = 0
    for _ in range(500):
        status = await case.status(nginx)
        said = said + 1 if status.data["redis_up"] == up else 0
        if said == SOME:
            break
        await asyncio.sleep(0.02)
    case.equal(said, SOME, f"answers that redis_up is {up}")


async def _both(case, machines, result, count):
    """Waits until so many were counted by both machines together."""
    got = None
    for _ in range(500):
        statuses = [await case.status(nginx) for nginx in machines]
        got = sum(status.value("cache_total", result) for status in statuses)
        if got == count:
            break
        await asyncio.sleep(0.02)
    case.equal(got, count, f"cache_total {result} of both machines")


async def _stop(case, machines, allowed=()):
    for nginx in machines:
        await case.check_status(nginx)
        await case.stop(nginx)
        case.check_logs(nginx, allowed)


async def test_redis_machines(case):
    """Of all updates with one key one asks the program, whatever machine they come to."""
    if _lacks(case):
        return
    scene, redis, machines = await _machines(case)
    program = scene.program
    program.hold()
    askers = []
    for i, nginx in enumerate(machines):
        askers += sum((await _askers(nginx, 50, "prices", 10000 + 1000 * i)).values(), [])
    for asker in askers:
        asker.ask()
    await _both(case, machines, "wait", len(askers) - 1)
    case.equal(len(program.seen), 1, "calls of the program")
    program.release()
    for asker in askers:
        asker.check(case, await asker.answer())
    case.equal(len(program.seen), 1, "calls of the program in the end")
    await _both(case, machines, "redis", 1)
    await _both(case, machines, "hit", len(askers) - 1)

    keys = redis.call("KEYS", "*")
    case.check(len(keys) == 1 and keys[0].startswith("{tgbot:e2e}:cache:"),
               f"keys in Redis: {keys}")
    status = await case.status(machines[0])
    ok = status.data["redis_commands_total"]["ok"]
    case.check(ok > 0, "no command to Redis is counted")
    case.equal(status.data["redis_duration_seconds"]["count"], ok, "round trips")
    await _stop(case, machines)


async def test_redis_killed_machine(case):
    """The machine that asks dies with its lock: the other one asks after lock_timeout."""
    if _lacks(case):
        return
    scene, _, machines = await _machines(case, "1s")
    program = scene.program
    one, two = machines
    program.hold()
    asker = sum((await _askers(one, 1, "prices", 10000)).values(), [])[0].ask()
    case.check(await until(lambda: program.seen), "the program was not asked")
    for pid in one.workers():
        one.kill(pid, scene)
    program.release()
    late = Asker(None, 20001, "prices")
    late.check(case, await clients.post(two.port, late.body))
    case.equal(len(program.seen), 2, "calls of the program")
    case.check(await until(lambda: len(one.workers()) == 2), "no workers after those killed")
    await _until_done(case, one, asker)
    await _stop(case, machines)


async def test_redis_paused(case):
    """A Redis that hangs, and one that is gone: each machine has its own cache meanwhile."""
    if _lacks(case):
        return
    scene, redis, machines = await _machines(case)
    program = scene.program
    await redis.pause()
    number = 20000
    for nginx in machines:
        for _ in range(3):
            number += 1
            asker = Asker(None, number, "prices")
            asker.check(case, await clients.post(nginx.port, asker.body))
    case.equal(len(program.seen), 2, "calls of the program, one for each machine")
    for nginx in machines:
        status = await case.status(nginx)
        case.check(status.value("cache_total", "redis_away") > 0, "redis_away is not counted")
        case.equal(status.value("cache_total", "hit"), 2, "hits of a machine")

    redis.kill()
    for nginx in machines:
        await _connected(case, nginx, 0)
    asker = Asker(None, 20101, "weather")
    asker.check(case, await clients.post(machines[0].port, asker.body))
    await redis.start()
    for nginx in machines:
        await _connected(case, nginx)
    calls = len(program.seen)
    for number, nginx in enumerate(machines):
        asker = Asker(None, 20201 + number, "hours")
        asker.check(case, await clients.post(nginx.port, asker.body))
    case.equal(len(program.seen) - calls, 1, "calls of the program for both machines")
    for nginx in machines:
        status = await case.status(nginx)
        case.check(status.data["redis_reconnects_total"] > 0, "no reconnect is counted")
    await _stop(case, machines)
