"""Answers of the program that are asked for by many at once."""

import asyncio

import clients
from harness import bot, until

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
