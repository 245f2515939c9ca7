"""Workers that hang, and workers that die, with updates in work."""

import asyncio
import os
import signal
import time

import clients
from harness import bot, suspend, until

# a worker that is silent for so long is taken for dead; it beats each second
LIFE = 15
HANG = 20

PATHS = {"e2e": "/tg/e2e", "riding": "/tg/riding"}


class Held:
    """An update in work, on a connection of its own."""

    def __init__(self, name, number):
        self.name = name
        self.id = number
        self.body = clients.text(number, f"held {number}", user=number)
        self.client = None

    def again(self, nginx):
        return clients.post(nginx.port, self.body, PATHS[self.name])

    async def begin(self, nginx, program):
        """The process id of the worker that has it."""
        self.client = await clients.Client(nginx.port).connect()
        self.client.send(clients.request(self.body, PATHS[self.name]))
        await until(lambda: program.arrivals(self.id))
        return int(program.arrivals(self.id)[0].worker)


async def _hold(nginx, program, name, count, numbers):
    """Sends updates until one worker has enough of them: all, by worker."""
    workers = {}
    while not any(len(held) >= count for held in workers.values()):
        held = Held(name, next(numbers))
        workers.setdefault(await held.begin(nginx, program), []).append(held)
    return workers


async def _taken_over(case, nginx, held):
    """Delivers the update as Telegram does, until it is done."""
    end = time.monotonic() + HANG + 10
    while True:
        answer = await held.again(nginx)
        if answer is None or answer.status != 503 or time.monotonic() > end:
            break
        case.check(answer.headers.get("retry-after"), "503 without Retry-After")
        await asyncio.sleep(0.5)
    case.equal(answer and answer.status, 200, f"{held.name} {held.id}: last status")


async def _fill(nginx, program, numbers):
    """The worker that is to hang, and updates in it: three for each bot at least."""
    by_worker = await _hold(nginx, program, "riding", 3, numbers)
    hung, riding = max(by_worker.items(), key=lambda item: len(item[1]))
    api = []
    while len(api) < 2:
        held = Held("e2e", next(numbers))
        if await held.begin(nginx, program) == hung:
            api.append(held)
    return hung, riding, api


async def test_hung(case):
    """
    A worker that was taken for dead, and wakes up, settles nothing that others have done
    or are at: it sends no call and does not say 200.  What nobody took it ends.
    """
    scene, nginx = await case.scene(locations=bot("riding", api=False),
                                    program_timeout="60s")
    program, api = scene.program, scene.api
    program.hold()
    hung, (alone, *riding), calling = await _fill(nginx, program, iter(range(7000, 8000)))
    late = [riding[0], calling[0]]      # others are still at them when it wakes up
    done = riding[1:] + calling[1:]
    taken = late + done

    case.at_end(lambda: _go_on(hung))
    await suspend(hung)
    stopped = time.monotonic()
    program.release()
    program.hold()
    tasks = {held.id: asyncio.ensure_future(_taken_over(case, nginx, held))
             for held in taken}
    await until(lambda: all(len(program.arrivals(held.id)) == 2 for held in taken), LIFE + 5)
    for held in taken:
        seen = program.arrivals(held.id)
        case.equal(len({one.worker for one in seen}), 2, f"{held.name} {held.id}: workers")
        case.check(LIFE - 2 < seen[-1].time - stopped,
                   f"taken over after {seen[-1].time - stopped:.1f} s")
    program.release(*(held.id for held in done))
    await asyncio.gather(*(tasks[held.id] for held in done))
    case.note(f"{len(taken)} updates taken over")

    await asyncio.sleep(max(0.0, stopped + HANG - time.monotonic()))
    executed = len(api.executed)
    os.kill(hung, signal.SIGCONT)
    for held in taken:
        answer = await held.client.answer()
        case.check(answer is None or answer.status in (500, 503),
                   f"{held.name} {held.id}: the woken worker said "
                   f"{answer and answer.status}, {answer and answer.body}")
        case.check(answer is None or not answer.body, "a reply with a refusal")
    answer = await alone.client.answer()
    case.equal((answer.status, clients.ridden(answer).get("text")),
               (200, f"reply {alone.id}"), "what nobody took over")
    case.equal(len(api.executed), executed, "calls of the Bot API by the woken worker too")
    for held in late:
        case.check(not tasks[held.id].done(), f"{held.name} {held.id}: done too early")

    program.release()
    await asyncio.gather(*tasks.values())
    for held in (*taken, alone):
        answer = await held.again(nginx)
        case.equal(answer.status, 200, f"{held.name} {held.id}: delivered again")
        case.equal(clients.ridden(answer).get("text"),
                   f"reply {held.id}" if held.name == "riding" else None,
                   f"{held.name} {held.id}: reply with the duplicate")
        case.equal(len(program.arrivals(held.id)), 1 + (held is not alone),
                   f"{held.name} {held.id}: arrivals at the program in the end")
    replies = [call.params["text"] for call in api.executed]
    case.equal(len(replies), len(set(replies)), f"replies among {replies}")
    case.check({f"reply {held.id}" for held in calling} <= set(replies), f"only {replies}")

    status = await case.check_status(nginx)
    lost = sum(status.value("leases_lost_total", bot=name) for name in PATHS)
    case.equal(lost, len(taken), "results dropped")
    await case.stop(nginx)
    case.check_logs(nginx)


async def test_hung_replay(case):
    """
    A letter that a worker replays which hangs can be replayed by another; the first one
    sends no call when it wakes up.
    """
    scene, nginx = await case.scene(
        "tgbot_attempts 1;", program_timeout="60s",
        locations="        location /letters { tgbot_status write=on; }\n")
    program, api = scene.program, scene.api
    program.fault = "500"
    await clients.post(nginx.port, clients.text(1, "fails"))
    program.fault = None
    program.hold()

    case.equal(await clients.replay(nginx.port, "e2e/1"), b'{"replayed":1}\n', "replayed")
    await until(lambda: len(program.arrivals(1)) == 2)
    hung = int(program.arrivals(1)[1].worker)
    case.at_end(lambda: _go_on(hung))
    await suspend(hung)
    stopped = time.monotonic()

    while True:
        said = await clients.replay(nginx.port, "e2e/1")
        if said == b'{"replayed":1}\n' or time.monotonic() > stopped + HANG:
            break
        case.equal(said, b'{"error":"the letter is being replayed"}', "while it hangs")
        await asyncio.sleep(0.2)
    case.equal(said, b'{"replayed":1}\n', "replayed by another worker")
    case.check(time.monotonic() - stopped > LIFE - 2, "taken over too early")
    await until(lambda: len(program.arrivals(1)) == 3)

    # the other one is done when it wakes up, and the letter is gone
    case.check(program.arrivals(1)[2].worker != str(hung),
               "replayed by the worker that hangs")
    program.release()
    await until(lambda: api.executed)
    os.kill(hung, signal.SIGCONT)
    case.check(await until(lambda: "its result is dropped" in nginx.read("error.log")),
               "the woken worker's result is not dropped")
    status = await case.check_status(nginx)
    case.equal(status.value("dead_letters", "letters"), 0, "letters")
    case.equal([call.params["text"] for call in api.executed], ["reply 1"], "calls")
    case.equal(status.value("leases_lost_total"), 1, "results dropped")
    await case.stop(nginx)
    case.check_logs(nginx)


async def test_hung_call(case):
    """
    Nor does it send what is left of the answer if the call that it was at is given up.
    """
    scene, nginx = await case.scene(
        "tgbot_attempts 1; tgbot_retry attempts=1;", api_timeout="60s", calls=2, stall=10.0,
        locations="        location /letters { tgbot_status write=on; }\n")
    program, api = scene.program, scene.api
    program.fault = "500"
    await clients.post(nginx.port, clients.text(1, "fails"))
    program.fault = None
    api.fault = "stall"

    case.equal(await clients.replay(nginx.port, "e2e/1"), b'{"replayed":1}\n', "replayed")
    end = time.monotonic() + 5
    while not (await case.status(nginx)).value("calls_inflight", "api"):
        case.check(time.monotonic() < end, "no call of the Bot API")
        await asyncio.sleep(0.05)
    hung = int(program.arrivals(1)[1].worker)
    case.at_end(lambda: _go_on(hung))
    await suspend(hung)
    api.fault = None

    end = time.monotonic() + HANG
    while await clients.replay(nginx.port, "e2e/1") != b'{"replayed":1}\n':
        case.check(time.monotonic() < end, "not replayed by another worker")
        await asyncio.sleep(0.2)
    await until(lambda: len(api.executed) == 2)
    os.kill(hung, signal.SIGCONT)
    case.check(await until(lambda: "its result is dropped" in nginx.read("error.log")),
               "the woken worker's result is not dropped")
    await case.stop(nginx)
    case.equal([call.params["text"] for call in api.executed],
               ["reply 1", "reply 1 part 2"], "calls")
    case.check_logs(nginx)


async def test_hung_dead(case):
    """An update of a queue that another worker has done is no dead letter of one that hung."""
    scene, nginx = await case.scene("tgbot_queue zone=jobs:1m; tgbot_attempts 1;",
                                    program_timeout="60s")
    program, api = scene.program, scene.api
    program.fault = "500"
    program.hold()
    await clients.post(nginx.port, clients.text(1, "held"))
    await until(lambda: program.arrivals(1))
    hung = int(program.arrivals(1)[0].worker)
    case.at_end(lambda: _go_on(hung))
    await suspend(hung)
    program.fault = None

    case.check(await until(lambda: len(program.arrivals(1)) == 2, HANG), "not taken over")
    program.release()
    await until(lambda: api.executed)
    os.kill(hung, signal.SIGCONT)
    case.check(await until(lambda: "its result is dropped" in nginx.read("error.log")),
               "the woken worker's result is not dropped")
    status = await case.check_status(nginx)
    case.equal(status.value("dead_letters", "letters"), 0, "letters")
    case.equal(status.value("leases_lost_total"), 1, "results dropped")
    await case.stop(nginx)
    case.check_logs(nginx)


def _go_on(pid):
    try:
        os.kill(pid, signal.SIGCONT)
    except ProcessLookupError:
        pass


async def test_killed(case):
    """What a killed worker had in work is free at once."""
    scene, nginx = await case.scene(locations=bot("riding", api=False))
    program = scene.program
    numbers = iter(range(9000, 9100))
    for name in PATHS:
        program.hold()
        workers = await _hold(nginx, program, name, 3, numbers)
        killed, held = max(workers.items(), key=lambda item: len(item[1]))
        busy = await held[0].again(nginx)
        case.equal(busy.status, 503, f"{name}: while the worker works on it")

        nginx.kill(killed, scene)
        case.check(await until(lambda killed=killed: killed not in nginx.workers()),
                   "the killed worker is still there")
        program.release()
        for one in held:
            case.equal(await one.client.answer(), None, f"{name}: answer of a killed worker")
            answer = await one.again(nginx)
            case.equal(answer.status, 200, f"{name} {one.id}: the next delivery")
            arrivals = program.arrivals(one.id)
            case.equal(len(arrivals), 2, f"{name} {one.id}: arrivals at the program")
            case.check(arrivals[1].worker != str(killed), "the killed worker lives")
            case.equal([seen.attempt for seen in arrivals], ["1", "1"],
                       f"{name} {one.id}: attempts, of which a death costs none")
        for other, several in workers.items():
            if other != killed:
                for one in several:
                    case.equal((await one.client.answer()).status, 200,
                               f"{name} {one.id}: in the other worker")
    status = await case.check_status(nginx)
    aborted = sum(status.value("deliveries_total", "aborted", bot=name)
                  for name in PATHS)
    case.check(aborted >= 2 * 3, f"only {aborted} deliveries were aborted")
    await case.stop(nginx)
    case.check_logs(nginx)
