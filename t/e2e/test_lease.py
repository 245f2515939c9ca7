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


async def _taken_over(case, nginx, held, stopped):
    """Delivers the update as Telegram does until it is done: after how long."""
    statuses = []
    while True:
        answer = await held.again(nginx)
        seconds = time.monotonic() - stopped
        statuses.append(answer and answer.status)
        if answer is None or answer.status != 503 or seconds > LIFE + 10:
            break
        case.check(answer.headers.get("retry-after"), "503 without Retry-After")
        await asyncio.sleep(0.5)
    case.equal(set(statuses[:-1]), {503}, f"{held.name} {held.id}: statuses meanwhile")
    case.equal(statuses[-1], 200, f"{held.name} {held.id}: last status")
    return seconds


async def test_hung(case):
    """
    A worker that was taken for dead, and wakes up, settles nothing of what others have
    done meanwhile: it sends no call and does not say 200.  What nobody took it ends.
    """
    scene, nginx = await case.scene(locations=bot("riding", api=False),
                                    program_timeout="60s")
    program, api = scene.program, scene.api
    program.hold()
    numbers = iter(range(7000, 8000))
    riding = await _hold(nginx, program, "riding", 3, numbers)
    hung, (*taken, alone) = max(riding.items(), key=lambda item: len(item[1]))
    while not any(held.name == "e2e" for held in taken):
        held = Held("e2e", next(numbers))
        if await held.begin(nginx, program) == hung:
            taken.append(held)

    case.at_end(lambda: _go_on(hung))
    await suspend(hung)
    stopped = time.monotonic()
    program.release()
    seconds = await asyncio.gather(*(_taken_over(case, nginx, held, stopped)
                                     for held in taken))
    case.note(f"{len(taken)} updates taken over after {min(seconds):.1f} s")
    case.check(LIFE - 2 < min(seconds) and max(seconds) < LIFE + 5,
               f"taken over after {seconds} s")
    for held in taken:
        workers = [seen.worker for seen in program.arrivals(held.id)]
        case.equal(len(workers), 2, f"{held.name} {held.id}: arrivals at the program")
        case.equal(len(set(workers)), 2, f"{held.name} {held.id}: workers")
    executed = len(api.executed)

    await asyncio.sleep(max(0.0, stopped + HANG - time.monotonic()))
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

    for held in (*taken, alone):
        answer = await held.again(nginx)
        case.equal(answer.status, 200, f"{held.name} {held.id}: delivered again")
        case.equal(clients.ridden(answer).get("text"),
                   f"reply {held.id}" if held.name == "riding" else None,
                   f"{held.name} {held.id}: reply with the duplicate")
        case.equal(len(program.arrivals(held.id)), 1 + (held is not alone),
                   f"{held.name} {held.id}: arrivals at the program in the end")
    case.equal(len(api.executed), executed, "calls of the Bot API of the woken worker too")
    replies = [call.params["text"] for call in api.executed]
    case.equal(len(replies), len(set(replies)), f"replies among {replies}")

    status = await case.check_status(nginx)
    lost = sum(status.value("leases_lost_total", bot=name) for name in PATHS)
    case.equal(lost, len(taken), "results dropped")
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
