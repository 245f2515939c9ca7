"""The queue: acknowledged first, worked on later, in order, and nothing lost."""

import asyncio
import itertools
import random
import re
import signal
import time

import clients
from harness import FULL, bot, free_port, turns, until
from simulator import updates
from simulator.program import Program
from test_memory import own_allocator

QUEUE = ("tgbot_queue zone=updates:64m; "
         "tgbot_retry attempts=8 backoff=50ms max_backoff=1s; "
         "tgbot_attempts 10 backoff=100ms max_backoff=1s;")

LOAD = dict(directives=QUEUE, updates=20000 if FULL else 4000, chats=500, connections=100,
            ramp=0.1, program_latency=0.02 if FULL else 0.004,
            program_fail=0.04, api_500=0.03, api_stall=0.01 if FULL else 0.002, stall=2.0,
            api_timeout="1s")


async def _emptied(case, nginx, seconds=120):
    """Waits until the queue is empty; the status then, with balanced books."""
    return await case.check_status(nginx, seconds)


async def _replied(scene, count):
    """Waits until there are replies to so many updates."""
    await until(lambda: len({call.params["text"] for call in scene.api.executed}) >= count,
                400, 0.3)


async def order(case, heavy, locations="", beside=None):
    """All is handled in order; beside(port) runs as long as there is work."""
    scene, nginx = await case.scene(**LOAD, heavy=heavy, locations=locations)
    task = asyncio.get_running_loop().create_task(beside(nginx.port)) if beside else None
    scene.play()
    case.check(await scene.finished(300), "Telegram still has updates")
    await _replied(scene, scene.options.updates)
    if task:
        task.cancel()
    status = await _emptied(case, nginx)
    books = case.books(scene)
    case.check_books(books)
    case.equal(status.value("queue_items_total", "done"), scene.options.updates, "done")
    case.equal(books["telegram"]["statuses"], {"200": scene.options.updates}, "statuses")
    await case.stop(nginx)
    case.check_logs(nginx)


async def test_order(case):
    """In a lane everything is in order, whatever fails."""
    await order(case, heavy=1 / 3)


async def test_unrest(case):
    """Workers are killed and the configuration is loaded again all the time."""
    scene, nginx = await case.scene(**LOAD, rate=400.0, heavy=1 / 3)
    chance = random.Random(1)

    async def unrest():
        async for turn in turns(scene, 400):
            if turn % 2 == 0:
                nginx.kill(chance.choice(nginx.workers()), scene)
            if turn % 3 == 0:
                nginx.signal(signal.SIGHUP)

    scene.play()
    task = asyncio.get_running_loop().create_task(unrest())
    case.check(await scene.finished(300), "Telegram still has updates")
    await _replied(scene, scene.options.updates)
    task.cancel()
    await _emptied(case, nginx)
    case.check_books(case.books(scene))
    case.check(len(nginx.killed) >= 3, f"only {len(nginx.killed)} workers were killed")
    scene.webhook.close()
    await case.stop(nginx)
    case.check_logs(nginx)


async def _outage(case, stop, restart):
    away = 60 if FULL else 8
    scene, nginx = await case.scene(
        directives=QUEUE, updates=6000, chats=200, connections=100, ramp=0.1, rate=500.0,
        program_latency=0.005)
    scene.play()
    await asyncio.sleep(2)
    stop(scene)
    await asyncio.sleep(away)
    at = time.monotonic()
    seen = len(scene.program.seen)
    await restart(scene)
    case.check(await scene.finished(100), "Telegram still has updates")
    status = await _emptied(case, nginx)
    books = case.books(scene)
    case.check_books(books)
    case.equal(books["telegram"]["statuses"], {"200": scene.options.updates}, "statuses")
    case.equal(status.value("queue_items_total", "done"), scene.options.updates, "done")
    case.note(f"{time.monotonic() - at:.1f} s after the outage all was done, "
              f"{len(scene.program.seen) - seen} arrivals at the program in them")
    await case.stop(nginx)
    case.check_logs(nginx)
    return books


async def test_program_away(case):
    """Nothing is given up, and the program is not overrun when it is back."""
    await _outage(case, lambda scene: scene.program.stop(),
                  lambda scene: scene.program.restart())


async def test_api_away(case):
    """Replies wait in the queue; the program is not asked again."""
    books = await _outage(case, lambda scene: scene.api.stop(),
                          lambda scene: scene.api.restart())
    case.equal(books["program"]["outcomes"], {"ok": 6000}, "calls of the program")


async def test_button(case):
    """A press of a button does not wait for the messages of its chat."""
    scene, nginx = await case.scene(directives=QUEUE)
    ann = updates.person(7, "Ann")
    scene.program.hold()
    for number in range(1, 51):
        body = updates.make(number, "message", updates.message(number, ann, "slow")).body
        case.equal((await clients.post(nginx.port, body)).status, 200, "a message")
    await until(lambda: scene.program.seen)
    body = updates.make(51, "callback_query",
                        updates.callback_query(4711, ann, "press")).body
    case.equal((await clients.post(nginx.port, body)).status, 200, "a button")
    case.check(await until(lambda: scene.program.arrivals(51)), "the button waits")
    case.equal(sorted(seen.id for seen in scene.program.seen), [1, 51], "arrivals")
    scene.program.release()
    case.check(await until(lambda: len(scene.api.executed) == 51), "replies are missing")
    case.equal([seen.id for seen in scene.program.seen if seen.id != 51],
               list(range(1, 51)), "order")
    await _emptied(case, nginx)
    await case.stop(nginx)
    case.check_logs(nginx)


async def test_calm(case):
    """A chat with much to do gets its turns among the others, and no more."""
    scene, nginx = await case.scene(
        directives=QUEUE.replace("64m", "64m concurrency=16"), program_timeout="60s")
    scene.program.hold()
    big = range(1, 151)
    calm = range(1000, 1300)
    for number in (*big, *calm):
        user = 7 if number in big else 100 + number % 100
        body = clients.text(number, "hello", user=user)
        case.equal((await clients.post(nginx.port, body)).status, 200, "a message")
    case.check(await until(lambda: len(scene.program.seen) == 16), "not all that may run do")
    scene.program.release()
    await _emptied(case, nginx)
    arrived = [seen.id for seen in scene.program.seen]
    case.equal(len(arrived), len(big) + len(calm), "arrivals")
    middle = sorted(arrived.index(number) for number in calm)[len(calm) // 2]
    before = sum(number in big for number in arrived[:middle])
    # each of the others has three
    case.check(before <= 6, f"{before} of the big chat came before half of the others")
    await case.stop(nginx)
    case.check_logs(nginx)


async def test_idle(case):
    """What waits for a retry when nginx stops is told of."""
    nginx, fill = await idle(case)
    await fill()
    await case.stop(nginx, signal.SIGTERM)
    case.check("is abandoned with 100 updates" in nginx.read("error.log"),
               "nobody says what is lost")


async def idle(case):
    """An nginx with nothing to do, and what gives it 100 updates that wait."""
    scene, nginx = await case.scene(
        directives="tgbot_queue zone=updates:1m; tgbot_attempts 10 backoff=1h max_backoff=1h;",
        program_fail=1.0)

    async def fill():
        for number in range(1, 101):
            body = clients.text(number, "hello", user=number)
            case.equal((await clients.post(nginx.port, body)).status, 200, "a message")
        case.check(await until(lambda: len(scene.program.seen) == 100), "not all were tried")

    return nginx, fill


async def test_full(case):
    """A full zone refuses, and takes again when there is room."""
    scene, nginx = await case.scene(
        directives=QUEUE.replace("64m", "1200k"), updates=3000, chats=100, connections=100,
        ramp=0.1, schedule=0.1, program_latency=0.05)
    scene.play()
    case.check(await scene.finished(120), "Telegram still has updates")
    status = await _emptied(case, nginx)
    books = case.books(scene)
    case.check_books(books)
    case.check(books["telegram"]["statuses"].get("503", 0) > 100,
               f"the queue was never full: {books['telegram']['statuses']}")
    case.check(None not in {wait for _, wait in scene.webhook.retry_after},
               "a refusal does not say when to come again")
    case.equal(status.value("queue_items_total", "accepted"), 3000, "accepted")
    await case.stop(nginx)
    case.check_logs(nginx)


async def test_kill_all(case):
    """Every worker is killed: what was acknowledged is there when they are back."""
    scene, nginx = await case.scene(directives=QUEUE, program_latency=0.2)
    for number in range(1, 201):
        body = clients.text(number, "hello", user=number % 20 + 1)
        case.equal((await clients.post(nginx.port, body)).status, 200, "a message")
    for pid in nginx.workers():
        nginx.kill(pid, scene)
    case.check(await until(lambda: {seen.id for seen in scene.program.seen
                                    if seen.outcome == "ok"} == set(range(1, 201))),
               "updates are lost")
    await _emptied(case, nginx)
    await case.stop(nginx)
    case.check_logs(nginx)


async def test_failing_chat(case):
    """One chat for which the program always fails: dead letters, and the others go on."""
    failing = Program()
    await failing.start()
    failing.fault = "500"
    case.at_end(failing.stop)
    scene, nginx = await case.scene(
        directives=QUEUE.replace("tgbot_attempts 10", "tgbot_attempts 3"),
        handler="$program",
        http="    map $tgbot_chat_id $program { volatile; default /_program; 7 /_failing; }\n",
        locations=f"        location = /_failing {{ internal; proxy_pass http://127.0.0.1:"
                  f"{failing.port}; }}\n        location /letters {{ tgbot_status write=on; }}\n",
        program_latency=0.005)
    for number in range(1, 11):
        body = clients.text(number, "to a chat that fails", user=7)
        case.equal((await clients.post(nginx.port, body)).status, 200, "the failing chat")
    await clients.flood(nginx.port, (
        clients.request(clients.text(number, "hello", user=number % 40 + 100))
        for number in range(1000, 2000)), 4, 8)
    case.check(await until(lambda: len(scene.program.seen) == 1000), "the others wait")
    case.check(len(failing.seen) < 30, "it took as long as the chat that fails")
    status = await _emptied(case, nginx)
    case.equal(status.value("queue_items_total", "dead"), 10, "dead")
    case.equal([seen.id for seen in failing.seen],
               [number for number in range(1, 11) for _ in range(3)], "attempts, in order")

    failing.fault = None
    reader, writer = await asyncio.open_connection("127.0.0.1", nginx.port)
    writer.write(b"POST /letters/dead/e2e HTTP/1.0\r\nHost: localhost\r\n"
                 b"X-Tgbot-Action: replay\r\n\r\n")
    answer = await reader.read()
    writer.close()
    case.check(answer.endswith(b'{"replayed":10,"left":0,"being_replayed":0}\n'),
               f"replayed: {answer}")
    status = await _emptied(case, nginx)
    case.equal(status.value("queue_items_total", "done"), 1010, "done")
    case.equal([seen.id for seen in failing.seen[30:]], list(range(1, 11)), "replayed in order")
    await case.stop(nginx)
    case.check_logs(nginx)


def _resident(nginx):
    """KiB of the workers that are theirs alone."""
    total = 0
    for pid in nginx.workers():
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            total += sum(int(line.split()[1]) for line in file if line.startswith("RssAnon"))
    return total


async def test_memory(case):
    """Many updates through the queue: neither workers grow nor does the zone."""
    if own_allocator(case):
        return
    count = 1000000 if FULL else 40000
    port = free_port()
    scene, nginx = await case.scene(
        directives="tgbot_queue zone=updates:16m concurrency=64;", handler="/_fast",
        http=f"    server {{ listen 127.0.0.1:{port}; access_log off; "
             "location / { return 200; } }\n",
        locations=f"        location = /_fast {{ internal; proxy_pass http://127.0.0.1:{port}; "
                  "}\n")

    async def run(first, count):
        requests = [clients.request(clients.short(number, "hello", user=number % 1000 + 1))
                    for number in range(first, first + count)]
        left = iter(requests)
        while True:
            part = list(itertools.islice(left, 2000))
            if not part:
                break
            statuses = await clients.flood(nginx.port, part, 8, 16)
            case.equal(dict(statuses), {200: len(part)}, "statuses")
            await _emptied(case, nginx)

    await run(1, count // 4)
    before = _resident(nginx)
    await run(count // 4 + 1, count - count // 4)
    after = _resident(nginx)
    status = await _emptied(case, nginx)
    case.note(f"{before} KiB after {count // 4} updates, {after} KiB after {count}")
    case.check(after - before < 4096, "workers grow")
    case.equal(status.zone("updates")["used"], 0, "blocks in use")
    case.equal(status.value("queue_items_total", "done"), count, "done")
    await case.stop(nginx)
    case.check_logs(nginx)


async def test_bell(case):
    """
    A worker with no free call slot wakes one that has one: of the updates that one worker
    has accepted, all workers have one in work.
    """
    rounds = 20
    scene, nginx = await case.scene(
        directives=QUEUE, http="tgbot_max_calls 1;", nginx={"workers": 4, "start": False})
    nginx.configure(nginx.read("nginx.conf").replace("error.log info", "error.log debug"))
    await nginx.start()
    await until(lambda: len(nginx.workers()) == 4)
    client, = await clients.connect(nginx, nginx.workers()[0], 1)

    for number in range(rounds):
        scene.program.hold()
        ids = range(4 * number + 1, 4 * number + 5)
        for update_id in ids:
            client.send(clients.request(clients.text(update_id, "hello", user=update_id)))
        for _ in ids:
            case.equal((await client.answer()).status, 200, "an update")
        case.check(await until(lambda: len(scene.program.arrivals(*ids)) == 4),
                   "one waits for a slot, though there is a free one")
        case.equal(len({seen.worker for seen in scene.program.arrivals(*ids)}), 4, "workers")
        scene.program.release()
        await _emptied(case, nginx)

    # in each round three were woken, or found the item by their timers
    rung = len(re.findall(r"tgbot bell: rung", nginx.read("error.log")))
    case.check(rung >= rounds, f"{rung} rings in {rounds} rounds")
    await client.close()
    await case.stop(nginx)
    case.check_logs(nginx, secrets=())
