"""When calls go to the Bot API: floods, order and the pace of bulk, over several workers."""

import asyncio
import json
import os
import random
import signal
import time

import build
import clients
from harness import until
from simulator.botapi import flood
from test_zones import all_points

GATEWAY = "location /bot/ {{ tgbot_gateway e2e {}; }}\n"

# ten times those of Telegram
PACE = ("tgbot_pace chat=10r/s chat_burst=3 group=200r/m group_burst=20 global=300r/s "
        "global_burst=30 max_wait=60s;")
LIMITS = {"chat_limit": (10, 3), "group_limit": (200 / 60, 20), "global_limit": (300, 30)}

BULK = 2000
CHATS = [str(chat) for chat in range(1, 301)] + [str(-chat) for chat in range(1, 21)]

# of each chat, in test_order()
CALLS = 12
IN_ORDER = [str(number) for number in range(CALLS)]


def _request(chat, text, method="sendMessage"):
    body = json.dumps({"chat_id": chat, "text": str(text)}).encode()
    return (f"POST /bot/{method} HTTP/1.1\r\nHost: e2e\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n").encode() + body


async def _call(port, *args, client=None):
    """The status of the answer to a call, or None if there was none."""
    try:
        client = client or await clients.Client(port).connect()
    except OSError:
        return None
    try:
        client.send(_request(*args))
        answer = await client.answer()
        return answer and answer.status
    except OSError:
        return None
    finally:
        await client.close()


async def _scene(case, gateway="", workers=4, directives="", http="", module=None, **options):
    nginx = {"workers": workers}
    if module:
        nginx["module"] = module
    return await case.scene(locations=directives + GATEWAY.format(gateway),
                            http=http, nginx=nginx, updates=0, **options)


def _texts(scene, chat):
    return [call.params["text"] for call in scene.api.executed if call.chat == chat]


async def _becomes(case, nginx, name, value):
    """Waits until the status tells a value."""
    end = time.monotonic() + 20
    while (got := (await case.status(nginx)).value(name)) != value and time.monotonic() < end:
        await asyncio.sleep(0.02)
    case.equal(got, value, name)


async def test_bulk(case):
    """Bulk is as fast as it may be, and the Bot API refuses none of it; people do not wait."""
    scene, nginx = await _scene(case, "timeout=60s", directives=PACE, **LIMITS)
    numbers = iter(range(BULK))
    statuses = []

    async def push():
        client = await clients.Client(nginx.port).connect()
        for number in numbers:
            chat = CHATS[number % len(CHATS)]
            request = _request(chat, number)
            client.send(request.replace(b"Host: e2e", b"Host: e2e\r\nX-Tgbot-Bulk: 1", 1))
            answer = await client.answer(60)
            statuses.append(answer and answer.status)
        await client.close()

    over = asyncio.Event()
    waits = []

    async def people():
        number = 0
        while not over.is_set():
            number += 1
            scene.api.limits.people.add(f"9{number}")
            started = time.monotonic()
            case.equal(await _call(nginx.port, f"9{number}", "x"), 200, "answer to a person")
            waits.append(time.monotonic() - started)
            await asyncio.sleep(0.02)

    started = time.monotonic()
    aside = asyncio.get_running_loop().create_task(people())
    await asyncio.gather(*(push() for _ in range(160)))
    took = time.monotonic() - started
    over.set()
    await aside

    case.equal(statuses.count(200), BULK, "calls that were answered 200")
    late = [chat for when, chat in scene.api.limits.refusals if when - started > 1]
    case.equal(late, [], "chats refused after the first second")

    rate, burst = LIMITS["global_limit"]
    allowed = (BULK - burst) / rate
    case.note(f"{took:.2f} s, {allowed / took:.1%} of what is allowed; "
              f"people waited {max(waits):.3f} s at most")
    waits.sort()
    case.check(waits[len(waits) // 2] < 1, "people wait behind bulk")
    case.check_logs(nginx)
    await case.stop(nginx)


async def test_flood(case):
    """A chat that is stopped keeps its order, brings no further 429, and delays no other."""
    scene, nginx = await _scene(case, "timeout=20s")
    port = nginx.port
    loop = asyncio.get_running_loop()

    scene.api.limits.pause("1", 5)
    stopped = [loop.create_task(_call(port, "1", 0))]
    await _becomes(case, nginx, "pace_paused", 1)
    for number in range(1, 12):
        stopped.append(loop.create_task(_call(port, "1", number)))
        # its body has to be complete before that of the next
        await _becomes(case, nginx, "pace_waiting", number)
    case.equal([await _call(port, chat, "x") for chat in ("2", "3", "-4")], [200] * 3,
               "other chats")
    case.check(not _texts(scene, "1"), "the pause is over too early for this test")

    case.equal(set(await asyncio.gather(*stopped)), {200}, "statuses")
    case.equal(_texts(scene, "1"), [str(number) for number in range(12)], "order")

    # nginx's coarse clock may end the pause some milliseconds early, once
    refused = [chat for _, chat in scene.api.limits.refusals]
    case.check(refused in (["1"], ["1", "1"]), f"refused: {refused}")

    # another flood after the pause stops it once more, for one call
    scene.api.limits.pause("1", 1)
    before = len(scene.api.limits.refusals)
    case.equal(await _call(port, "1", "y"), 200, "status")
    case.check(len(scene.api.limits.refusals) - before <= 2, "one call is refused again and again")
    case.check_logs(nginx)
    await case.stop(nginx)


async def test_flood_of_all_kinds(case):
    """
    A 429 stops answers to updates, calls of programs and bulk in its chat alone, in all
    workers: none of them is sent before it ends, and then one finds out whether it has.
    """
    scene, nginx = await _scene(case, "timeout=20s", directives="tgbot_reply_via api;\n")
    api, loop = scene.api, asyncio.get_running_loop()
    connections, busy = [[await clients.connect(nginx, worker, 3)
                          for worker in nginx.workers()] for _ in range(2)]

    async def call(client, data):
        client.send(data)
        answer = await client.answer()
        return answer and answer.status

    async def calls(connections, chat_of):
        """Each kind in each worker, at once."""
        return await asyncio.gather(*(
            call(client, _of_kind(kind, chat_of(3 * number + kind), 3 * number + kind))
            for number, three in enumerate(connections) for kind, client in enumerate(three)))

    api.limits.pause("1", 5)
    first = loop.create_task(_call(nginx.port, "1", "first"))
    case.check(await until(lambda: api.limits.refusals), "the first call is not refused")
    case.check(await _comes_to(case, nginx, "pace_paused", 1), "pace_paused is not 1")
    stopped = loop.create_task(calls(busy, lambda number: "1"))
    case.check(await _comes_to(case, nginx, "pace_waiting", 12), "pace_waiting is not 12")

    case.equal(await calls(connections, lambda number: str(100 + number)), [200] * 12,
               "in other chats")
    case.check(not _texts(scene, "1"), "the pause is over too early for this test")
    case.equal(api.limits.pauses[0].further, 1, "calls during the pause")

    # the one that goes first meets another 429
    api.limits.pause("1", 5)
    case.equal(await first, 200, "status of the first call")
    case.equal(await stopped, [200] * 12, "statuses of those that were stopped")
    case.equal(len(_texts(scene, "1")), 13, "messages")
    case.note(f"calls during pauses: {[pause.further for pause in api.limits.pauses]}")
    case.check(all(pause.further <= 2 for pause in api.limits.pauses),
               "more than one further call in a pause")
    for three in busy + connections:
        for client in three:
            await client.close()
    case.check_logs(nginx)
    await case.stop(nginx)


async def _comes_to(case, nginx, metric, number):
    """Whether a metric comes to a number."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        if (await case.status(nginx)).value(metric) == number:
            return True
        await asyncio.sleep(0.01)
    return False


def _of_kind(kind, chat, number):
    """A call of a program, bulk, or an update that the program answers with a call."""
    if kind == 2:
        return clients.request(clients.text(int(chat) * 1000 + number, "hi", int(chat)))
    bulk = b"\r\nX-Tgbot-Bulk: 1" if kind else b""
    return _request(chat, number).replace(b"Host: e2e", b"Host: e2e" + bulk, 1)


async def test_order(case):
    """In eight workers the calls of each chat go in the order in which they were complete."""
    scene, nginx = await case.scene(
        locations="".join(f"location /{order}/ {{ tgbot_gateway e2e order={order}; }}\n"
                          for order in ("chat", "strict", "off")),
        nginx={"workers": 8}, updates=0)
    api, loop = scene.api, asyncio.get_running_loop()
    workers = nginx.workers()
    each = CALLS * 10 // len(workers)
    connections = {worker: await clients.connect(nginx, worker, each + 1)
                   for worker in workers}
    dice = random.Random(1)

    async def send(order, chats):
        """Sends all, the next of a chat when a worker has the one before: the statuses."""
        places = [worker for worker in workers for _ in range(each)]
        dice.shuffle(places)
        used, sent = dict.fromkeys(workers, 0), []
        for number in range(CALLS):
            for chat in dice.sample(chats, len(chats)):
                worker = places.pop()
                used[worker] += 1
                client = connections[worker][used[worker]]
                client.send(_request(chat, number).replace(b"/bot/", f"/{order}/".encode(), 1))
                sent.append(loop.create_task(client.answer()))
            # a worker that answers this has read what came before it
            for worker in workers:
                connections[worker][0].send(b"GET /pid HTTP/1.1\r\nHost: e2e\r\n\r\n")
            for worker in workers:
                await connections[worker][0].answer()
        return sent

    async def over(order, chats, sent):
        case.equal({answer and answer.status for answer in await asyncio.gather(*sent)},
                   {200}, f"{order}: statuses")
        case.equal([chat for chat in chats if len(_texts(scene, chat)) != CALLS], [],
                   f"{order}: chats with too few messages")
        if order != "off":
            case.equal([chat for chat in chats if _texts(scene, chat) != IN_ORDER], [],
                       f"{order}: chats out of order")

    # all chats are refused until all calls are there, and asked once a second
    chats = [str(chat) for chat in range(10, 20)]
    api.refusals.update(dict.fromkeys(chats, flood(1)))
    sent = await send("chat", chats)
    early = api.arrived_by_chat()
    for chat in chats:
        del api.refusals[chat]
    await over("chat", chats, sent)
    times = [[call.time for call in early[chat]] for chat in chats]
    # but for those that were in flight when the first 429 came
    paused = [of[:1] + [time for time in of if time > of[0] + 0.5] for of in times]
    case.check(all(later - one > 0.9 for of in paused for one, later in zip(of, of[1:])),
               f"calls to a chat during a pause: {times}")

    for order, chats, there in (
            ("strict", [str(chat) for chat in range(20, 30)], 10),
            ("off", [str(chat) for chat in range(30, 40)], 10 * CALLS)):
        api.hold("sendMessage")
        sent = await send(order, chats)
        case.check(await until(lambda n=there: len(api.held) == n),
                   f"{order}: the Bot API has {len(api.held)} calls")
        api.release()
        await over(order, chats, sent)

    for some in connections.values():
        for client in some:
            await client.close()
    case.check_logs(nginx)
    await case.stop(nginx)


async def test_killed(case):
    """The worker of the call that goes first is killed: the next one goes at once."""
    scene, nginx = await _scene(case, "order=strict timeout=20s")
    loop = asyncio.get_running_loop()
    for turn in range(3):
        first, second = nginx.workers()[:2]
        chat = str(turn + 1)
        scene.api.refusals[chat] = "stall"
        arrived = len(scene.api.arrived)
        at_first, = await clients.connect(nginx, first, 1)
        head = loop.create_task(_call(nginx.port, chat, "head", client=at_first))
        case.check(await until(lambda: len(scene.api.arrived) > arrived), "no first call")
        del scene.api.refusals[chat]
        waiting = []
        for number, client in enumerate(await clients.connect(nginx, second, 3)):
            waiting.append(loop.create_task(_call(nginx.port, chat, number, client=client)))
            await asyncio.sleep(0.05)
        case.equal(len(scene.api.arrived), arrived + 1, "calls that did not wait")
        nginx.kill(first)
        started = time.monotonic()
        case.equal(await asyncio.gather(head, *waiting), [None, 200, 200, 200], "statuses")
        case.equal(_texts(scene, chat), ["0", "1", "2"], "order")
        case.note(f"after {time.monotonic() - started:.3f} s")
        case.check(await until(lambda: len(nginx.workers()) == 4), "no new worker")
    case.check_logs(nginx)
    await case.stop(nginx)


async def test_reload(case):
    """Calls that wait when nginx is reloaded go on, before those that come later."""
    scene, nginx = await _scene(case, "timeout=20s", workers=2)
    loop = asyncio.get_running_loop()
    scene.api.limits.pause("1", 6)
    waiting = []
    for number in range(6):
        waiting.append(loop.create_task(_call(nginx.port, "1", number)))
        # its body has to be complete before that of the next
        if number:
            await _becomes(case, nginx, "pace_waiting", number)
        else:
            await _becomes(case, nginx, "pace_paused", 1)
        if number == 3:
            old = nginx.workers()
            nginx.signal(signal.SIGHUP)
            case.check(await until(lambda: len(set(nginx.workers()) - set(old)) == 2),
                       "no new workers")
    case.equal(set(await asyncio.gather(*waiting)), {200}, "statuses")
    case.equal(_texts(scene, "1"), [str(number) for number in range(6)], "order")
    case.check(await until(lambda: not set(nginx.workers()) & set(old)), "old workers stay")
    case.check_logs(nginx)
    await case.stop(nginx)


async def test_killed_inside(case):
    """A worker is killed with the zone locked: others go on, and no two calls at once."""
    module = await build.module("zonetest", "NGX_HTTP_TGBOT_ZONE_TEST=1")
    scene, nginx = await _scene(case, "order=strict timeout=5s", module=module,
                                directives="tgbot_pace chat=1000r/s chat_burst=9;",
                                http="tgbot_retry backoff=20ms;")
    points = [point for point in all_points() if point.startswith("pace:")]
    case.check(len(points) >= 6, f"only {points}")
    over = asyncio.Event()
    statuses = []
    done = dict.fromkeys("12345", 0)

    async def push(chat):
        number = 0
        while not over.is_set():
            number += 1
            request = _request(chat, number)
            if number % 2:
                request = request.replace(b"Host: e2e", b"Host: e2e\r\nX-Tgbot-Bulk: 1", 1)
            try:
                client = await clients.Client(nginx.port).connect()
                client.send(request)
                answer = await client.answer()
                statuses.append(answer and answer.status)
                done[chat] += bool(answer and answer.status == 200)
                await client.close()
            except OSError:
                await asyncio.sleep(0.02)

    async def fresh():
        number = 1000
        while not over.is_set():
            number += 1
            await _call(nginx.port, str(number), "x")

    async def floods():
        while not over.is_set():
            for chat in done:
                scene.api.limits.pause(chat, 1)
                await asyncio.sleep(0.7)

    loop = asyncio.get_running_loop()
    tasks = [loop.create_task(push(chat)) for chat in done for _ in range(3)]
    tasks += [loop.create_task(floods()), loop.create_task(fresh())]
    stop, stopped = (f"{nginx.directory}/{name}" for name in ("stop", "stopped"))
    for point in points:
        with open(f"{stop}.new", "w", encoding="ascii") as file:
            file.write(point)
        os.rename(f"{stop}.new", stop)
        if not case.check(await until(lambda: os.path.exists(stopped), 15, 0.005),
                          f"{point!r} was never reached"):
            continue
        nginx.kill(int(nginx.read("stopped").rpartition(" ")[2]))
        os.unlink(stopped)
        case.check(await until(lambda: len(nginx.workers()) == 4), "no new worker")
        before = dict(done)
        case.check(await until(lambda: all(done[chat] > before[chat] for chat in done)),
                   f"after a death at {point!r} chats stand still: {before}, {done}")
    over.set()
    await asyncio.gather(*tasks)
    case.check(set(statuses) <= {200, 429, 504, None}, f"statuses {set(statuses)}")
    case.equal(nginx.read("error.log").count("it is repaired"), len(points), "repairs")
    case.check_logs(nginx)
    await case.stop(nginx)
