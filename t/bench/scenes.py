"""
What only the clock tells of nginx in front of the simulator, in the scenes of the end-to-end
tests, which hold what does not depend on the machine.  The simulator is on any core, so these
are no microseconds of the module: compare what is said of one run.
"""

import asyncio
import itertools
import os
import re
import statistics
import subprocess
import sys
import time

from measure import Void
from servers import MODULE

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
os.environ.setdefault("TGBOT_NGINX", os.environ.get("BENCH_NGINX", "/usr/sbin/nginx"))
os.environ.setdefault("TGBOT_MODULE", MODULE)
sys.path[:0] = [f"{TESTS}/e2e", TESTS]

import clients  # noqa: E402
from harness import SECRET, Case, bot, until  # noqa: E402
from simulator.botapi import BotApi  # noqa: E402
from simulator.updates import Traffic  # noqa: E402
from simulator.webhook import Webhook  # noqa: E402
import test_queue  # noqa: E402
import test_register  # noqa: E402

TAKEN = 0.95       # webhooks while the Bot API does not answer, of those without
ACKNOWLEDGED = 3   # times the least that nginx can do, 99 % of them
CALM = 1.5         # times as long as without the big chat, and a call under way
CALL = 0.02        # seconds
WAKE = 4           # times a second: a timer each second, and those of others
# in memory that no cache holds all takes longer; what grew with the number of updates would
# take a thousand times as long
LANES = 30

PROBED = ("        location = /floor { return 200; }\n"
          "        location = /_silent { internal; return 200; }\n"
          + bot("probe", "tgbot_queue zone=probes:16m;", api=False, handler="/_silent"))


def measure(scene, *arguments):
    """-> what a scene returns, rows and failures; void if something in it went wrong"""
    async def run():
        case = Case(f"bench_{scene.__name__}")
        try:
            return case, await scene(case, *arguments)
        finally:
            await case.close()
    case, result = asyncio.run(run())
    if case.failures:
        raise Void(f"{scene.__name__}: {'; '.join(case.failures)}")
    return result


async def register(case, sizes):
    """Webhooks a second of CPU while a call to the Bot API is pending, and without one."""
    rates = {True: [], False: []}
    for _ in range(sizes["pairs"]):
        for pending in rates:
            rates[pending].append(await _rate(case, pending, sizes["webhooks"]))
    with_call, without = max(rates[True]), max(rates[False])
    ratio = with_call / without
    return ({"with a call that is pending": f"{with_call:.0f}/s", "without": f"{without:.0f}/s",
             "ratio": f"{ratio:.2f}"},
            [f"{ratio:.2f} of the webhooks, less than {TAKEN}"] if ratio < TAKEN else [])


async def _rate(case, pending, count):
    api = BotApi()
    api.stall = 600
    api.registrations.faults["getwebhookinfo"].extend(["stall"] * 99)
    w = await test_register.world(case, api=api, directives="tgbot_reply hello;", start=False,
                                  workers=1)
    if pending:
        w.configure(f"tgbot_register {test_register.HOST} interval=1s "
                    f"api=http://127.0.0.1:{api.port}; tgbot_reply hello;")
    await w.nginx.start()
    if pending:
        await until(lambda: w.checks() == 1, 10)
    worker = w.nginx.workers()[0]
    webhook = Webhook(f"http://127.0.0.1:{w.nginx.port}/tg/e2e", secret=SECRET,
                      schedule=0.1, ramp=0.01)
    case.at_end(webhook.close)
    before = _cpu(worker)
    for number in range(count):
        webhook.push(test_register.update(number + 1))
    case.check(await webhook.drained(60), "Telegram is not done")
    seconds = _cpu(worker) - before
    webhook.close()
    await case.stop(w.nginx)
    api.stop()
    return count / seconds


def _cpu(pid):
    """Seconds of processor time, in nanoseconds' resolution."""
    with open(f"/proc/{pid}/schedstat", encoding="ascii") as file:
        return int(file.read().split()[0]) / 1e9


async def queue(case, sizes):
    """How soon updates are acknowledged while the queue has work, next to the least."""
    queued, floor = [], []
    await test_queue.order(case, 1 / 3, PROBED, lambda port: _probe(port, queued, floor))
    ours, least = _p99(queued), _p99(floor)
    return ({"99 % are acknowledged within": f"{ours * 1000:.1f} ms",
             "the least that nginx can do": f"{least * 1000:.1f} ms"},
            [f"acknowledged within {ours / least:.1f} times the least, more than "
             f"{ACKNOWLEDGED}"] if ours > ACKNOWLEDGED * least else [])


async def _probe(port, queued, floor):
    """Asks in turns for an acknowledgement and for the least that nginx can do."""
    for number in itertools.count(3000000000):
        body = clients.text(number, "probe", user=number)
        await _ask(port, clients.request(body, "/tg/probe"), queued)
        await _ask(port, clients.request(body, "/floor"), floor)
        await asyncio.sleep(0.01)


async def _ask(port, data, answers):
    client = await clients.Client(port).connect()
    client.send(data)
    begun = time.monotonic()
    await client.answer()
    answers.append(time.monotonic() - begun)
    await client.close()


def _p99(times):
    return sorted(times)[int(len(times) * 0.99)]


async def calm(case, sizes):
    """How long updates wait for the program beside a chat that sends a third of all."""
    scene, _ = await case.scene(
        directives=test_queue.QUEUE.replace("64m", "64m concurrency=16"), updates=0, chats=200,
        connections=100, ramp=0.02, program_latency=CALL)
    scene.play()
    traffic = Traffic(sizes["calm"], 200, heavy=1 / 3).updates
    big = {update.id for update in traffic if b'"id":500000000,' in update.body}
    half = len(traffic) // 2
    # the calm ones are as many a second in both
    await _paced(case, scene, [one for one in traffic[:half] if one.id not in big], 200)
    await _paced(case, scene, traffic[half:], 300)
    done = await until(lambda: len({seen.id for seen in scene.program.seen})
                       == len(scene.webhook.deliveries), 120)
    case.check(done, "not all came to the program")

    arrived = {}
    for seen in scene.program.seen:
        arrived.setdefault(seen.id, seen.time)
    waits = {"without it": [], "beside it": [], "its own": []}
    for update_id, delivery in scene.webhook.deliveries.items():
        kind = "its own" if update_id in big else \
            "without it" if update_id < traffic[half].id else "beside it"
        waits[kind].append(arrived[update_id] - delivery.pushed)
    middle = {kind: statistics.median(times) for kind, times in waits.items()}
    case.check(middle["its own"] > 0.5, "the big chat has no backlog")
    # what the others wait for at most is one call that is under way
    slow = middle["beside it"] > CALM * middle["without it"] + CALL
    return ({kind: f"{wait * 1000:.1f} ms" for kind, wait in middle.items()},
            ["the others wait for it"] if slow else [])


async def _paced(case, scene, some, rate):
    """Pushes these updates, so many a second, and waits until they are acknowledged."""
    begun = time.monotonic()
    for number, update in enumerate(some):
        scene.webhook.push(update)
        await asyncio.sleep(max(0.0, begun + (number + 1) / rate - time.monotonic()))
    case.check(await scene.webhook.drained(60), "not acknowledged")


async def idle(case, sizes):
    """How often a worker wakes up with an empty queue, and with updates that wait."""
    nginx, fill = await test_queue.idle(case)

    async def most():
        await asyncio.sleep(1)
        before = {pid: _wakeups(pid) for pid in nginx.workers()}
        await asyncio.sleep(sizes["idle"])
        return max(_wakeups(pid) - count
                   for pid, count in before.items()) / sizes["idle"]

    rows = {"empty": await most()}
    await fill()
    rows["100 updates that wait"] = await most()
    return ({name: f"{count:.1f}/s" for name, count in rows.items()},
            [f"{name}: a worker wakes up {count:.1f} times a second, more than {WAKE}"
             for name, count in rows.items() if count > WAKE])


def _wakeups(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file
                    if line.startswith("voluntary_ctxt_switches"))


def lanes(directory):
    """What an update costs with few and with many others in the queue, by the unit test."""
    out = f"{directory}/unit"
    run = subprocess.run([f"{TESTS}/unit/run", "test_queue_cost"], text=True, check=False,
                         env=dict(os.environ, SAN="", OUT=out), stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT)
    if run.returncode:
        raise Void(f"lanes: {run.stdout}")
    text = subprocess.run([f"{out}/test_queue_cost"], text=True, check=True,
                          stdout=subprocess.PIPE).stdout
    rows = {what: (f"{few} ns with {some} waiting, {many} ns with {more}, x {ratio}",
                   float(ratio))
            for what, few, some, many, more, ratio in re.findall(
                r"# (.*): (\d+) ns with (\d+) waiting, (\d+) ns with (\d+): ([\d.]+)", text)}
    if len(rows) != 2:
        raise Void(f"lanes: {text}")
    return ({what: said for what, (said, _) in rows.items()},
            [f"{what}: {ratio} times as long, more than {LANES}"
             for what, (_, ratio) in rows.items() if ratio > LANES])
