"""Calls with an Idempotency-Key: sent once, whatever dies."""

import asyncio
import json
import os
import random
import signal
from collections import Counter

import build
import clients
from harness import children, suspend, until
from simulator.http1 import HttpError
from zonefiles import printed, reload_refused, write

GATEWAY = """\
        location /bot/ {{
            tgbot_gateway e2e idempotency=keys:4m {parameters};
            tgbot_retry_on {retry_on};
            tgbot_retry attempts=3 backoff=20ms max_backoff=50ms;
            client_max_body_size 55m;
        }}
"""

UNKNOWN = "outcome of the call with this Idempotency-Key is unknown"
LOST = "its answer could not be kept"


def gateway(parameters="", retry_on="off"):
    return GATEWAY.format(parameters=parameters, retry_on=retry_on)


def call(key, words="hi", chat=1):
    """The bytes of a call with this key."""
    body = json.dumps({"chat_id": chat, "text": words}).encode()
    return (f"POST /bot/bot/sendMessage HTTP/1.1\r\nHost: e2e\r\nIdempotency-Key: {key}\r\n"
            "Content-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n").encode() + body


async def ask(port, key, words="hi", chat=1, timeout=30.0):
    """The answer to a call on a connection of its own; None: there is none."""
    try:
        client = await clients.Client(port).connect()
    except OSError:
        return None
    try:
        client.send(call(key, words, chat))
        return await client.answer(timeout)
    except (ConnectionError, HttpError):
        return None
    finally:
        await client.close()


def unknown(case, answer, what):
    """The call is not sent again, and its program is told so."""
    case.equal(answer and answer.status, 409, f"{what}: status")
    case.check(answer and UNKNOWN in answer.body.decode(), f"{what}: {answer and answer.body}")


async def _counted(case, nginx, result, count):
    """Waits until so many calls had this result."""
    for _ in range(400):
        status = await case.status(nginx)
        if status.value("idempotency_total", result) >= count:
            break
        await asyncio.sleep(0.05)
    case.equal(status.value("idempotency_total", result), count, result)


async def _finish(case, nginx):
    await case.check_status(nginx)
    await case.stop(nginx)
    case.check_logs(nginx)


async def test_waits(case):
    """Forty calls of one key in two workers are one, and all have its answer."""
    scene, nginx = await case.scene(locations=gateway())
    scene.api.hold("sendMessage")
    asking = []
    for worker in nginx.workers():
        for client in await clients.connect(nginx, worker, 20):
            client.send(call("k"))
            asking.append(client)
    await _counted(case, nginx, "waited", 39)
    case.equal(len(scene.api.held), 1, "calls that are held")
    scene.api.release()
    bodies = Counter()
    for client in asking:
        answer = await client.answer()
        bodies[answer.status, answer.headers["content-type"], answer.body] += 1
    case.equal(list(bodies.values()), [40], f"answers {bodies}")
    case.equal(len(scene.api.executed), 1, "executed")
    status = await case.status(nginx)
    for result, count in (("started", 1), ("repeated", 39), ("conflict", 0)):
        case.equal(status.value("idempotency_total", result), count, result)

    # one that ends without effect lets the next one be sent, and so on
    scene.api.hold("sendMessage")
    for client in asking:
        client.send(call("l"))
    await _counted(case, nginx, "waited", 78)
    scene.api.fault = "500"
    scene.api.release()
    answers = Counter([(await client.answer()).status for client in asking])
    case.equal(answers, {500: 40}, "answers to calls that fail")
    await _finish(case, nginx)


async def test_worker_killed(case):
    """What a worker had sent is unknown, what it had not sent yet is sent by another."""
    scene, nginx = await case.scene(locations=gateway(), http="tgbot_max_calls 1;")
    scene.api.hold("sendMessage")
    victim, other = nginx.workers()
    first, second = await clients.connect(nginx, victim, 2)
    waiting, = await clients.connect(nginx, other, 1)
    first.send(call("sent"))
    await until(lambda: scene.api.held)
    second.send(call("unsent"))
    await _counted(case, nginx, "started", 2)
    waiting.send(call("sent"))
    await _counted(case, nginx, "waited", 1)

    nginx.kill(victim)
    case.equal((await first.answer(), await second.answer()), (None, None), "their answers")
    unknown(case, await waiting.answer(), "who waited for the dead worker")
    unknown(case, await ask(nginx.port, "sent"), "who comes later")
    scene.api.release()
    answer = await ask(nginx.port, "unsent")
    case.equal(answer and answer.status, 200, "what was not sent")
    again = await ask(nginx.port, "unsent")
    case.equal(again.body, answer.body, "its answer again")

    # what is kept does not end with a worker
    for worker in nginx.workers():
        nginx.kill(worker)
    await until(lambda: len(children(nginx.master)) == 2)
    again = await ask(nginx.port, "unsent")
    case.equal(again and again.body, answer.body, "its answer, after its worker was killed")
    unknown(case, await ask(nginx.port, "sent"), "what is unknown stays so")
    case.equal(len(scene.api.arrived), 2, "calls that arrived")
    await _finish(case, nginx)


async def test_hung(case):
    """A worker that was taken for dead sends no call that another has sent, and says so."""
    scene, nginx = await case.scene(locations=gateway(retry_on="error"),
                                    http="tgbot_max_calls 1;")
    scene.api.hold("sendMessage")
    hung, _ = nginx.workers()
    first, second = await clients.connect(nginx, hung, 2)
    first.send(call("sent"))
    await until(lambda: scene.api.held)
    second.send(call("unsent"))
    await _counted(case, nginx, "started", 2)

    def go_on():
        if os.path.exists(f"/proc/{hung}"):
            os.kill(hung, signal.SIGCONT)

    case.at_end(go_on)
    await suspend(hung)
    scene.api.release()
    answer = await ask(nginx.port, "unsent")
    case.equal(answer and answer.status, 200, "the call of another worker")
    go_on()
    answer = await second.answer()
    case.equal(answer and answer.status, 409, "the call of the one that hung")
    case.check(answer and b"try again later" in answer.body, answer and answer.body)
    await first.answer()
    case.equal(len(scene.api.arrived), 2, "calls that arrived")
    await _finish(case, nginx)


async def test_all_killed(case):
    """With tgbot_state the records outlive all of nginx."""
    scene, nginx = await case.scene(
        locations=gateway(), http="tgbot_max_calls 1; tgbot_state state;",
        nginx={"workers": 1, "user": "root"})
    kept = await ask(nginx.port, "kept")
    case.equal(kept.status, 200, "the first call")
    await ask(nginx.port, "kept-for-long", "x" * 2000)
    scene.api.hold("sendMessage")
    first = await clients.Client(nginx.port).connect()
    second = await clients.Client(nginx.port).connect()
    first.send(call("sent"))
    await until(lambda: scene.api.held)
    second.send(call("unsent"))
    await _counted(case, nginx, "started", 4)

    for size in ("4m", "4m", "8m"):
        await nginx.kill_all()
        conf = nginx.read("nginx.conf").replace("keys:4m", f"keys:{size}")
        nginx.configure(conf)
        await nginx.start()
        again = await ask(nginx.port, "kept")
        case.equal(again and (again.status, again.body), (200, kept.body), f"{size}: kept")
        again = await ask(nginx.port, "kept-for-long", "x" * 2000)
        case.equal(again and again.status, 200, f"{size}: a long one")
        unknown(case, await ask(nginx.port, "sent"), f"{size}: what was sent")
    scene.api.release()
    answer = await ask(nginx.port, "unsent")
    case.equal(answer and answer.status, 200, "what was not sent")
    case.equal(len(scene.api.arrived), 4, "calls that arrived")
    await _finish(case, nginx)


async def test_crashed(case):
    """
    The machine crashes: of a page that is whole no moment is known, so a call without an
    answer may have been sent.  Records in memory are not left for those in a file.
    """
    module = await build.module("zonetest", "NGX_HTTP_TGBOT_ZONE_TEST=1")
    write(case, "boot", "one")
    scene, nginx = await case.scene(
        locations=gateway(), http="tgbot_max_calls 1; tgbot_state state;",
        nginx={"workers": 1, "module": module})
    kept = await ask(nginx.port, "kept")
    scene.api.hold("sendMessage")
    first = await clients.Client(nginx.port).connect()
    second = await clients.Client(nginx.port).connect()
    first.send(call("sent"))
    await until(lambda: scene.api.held)
    second.send(call("unsent"))
    await _counted(case, nginx, "started", 3)
    await nginx.kill_all()
    scene.api.release()

    _, text = await printed(case)
    case.check("keys.zone: idempotency" in text and "bot e2e: 3 records of calls" in text, text)

    write(case, "boot", "two")
    await nginx.start()
    again = await ask(nginx.port, "kept")
    case.equal((again.status, again.body), (200, kept.body), "kept")
    unknown(case, await ask(nginx.port, "sent"), "sent")
    unknown(case, await ask(nginx.port, "unsent"), "not sent")
    case.equal(len(scene.api.arrived), 2, "calls that arrived")
    await case.stop(nginx)

    text = nginx.read("nginx.conf")
    nginx.configure(text.replace("tgbot_state state;", ""))
    await nginx.start()
    await ask(nginx.port, "new")
    nginx.configure(text)
    await reload_refused(case, nginx, 'zone "keys" holds records of 1 calls')
    await case.stop(nginx)


async def test_reloaded(case):
    """A call in flight while nginx is reloaded: calls in new workers get its answer."""
    scene, nginx = await case.scene(locations=gateway())
    scene.api.hold("sendMessage")
    old = nginx.workers()
    first = await clients.Client(nginx.port).connect()
    first.send(call("k"))
    await until(lambda: scene.api.held)
    nginx.signal(signal.SIGHUP)
    await until(lambda: len([pid for pid in nginx.workers() if pid not in old]) == 2)
    second = await clients.Client(nginx.port).connect()
    second.send(call("k"))
    await _counted(case, nginx, "waited", 1)
    scene.api.release()
    answers = [await first.answer(), await second.answer()]
    case.equal([answer.status for answer in answers], [200, 200], "answers")
    case.equal(answers[0].body, answers[1].body, "the same answer")
    case.equal(len(scene.api.executed), 1, "executed")

    # the zone keeps its size as long as there is a record
    nginx.configure(nginx.read("nginx.conf").replace("keys:4m", "keys:8m"))
    nginx.signal(signal.SIGHUP)
    refused = 'zone "keys" holds records of 1 calls, expected that its size'
    case.check(await until(lambda: refused in nginx.read("error.log")), "a reload to 8m")
    case.equal((await ask(nginx.port, "k")).body, answers[0].body, "the answer after it")
    await case.check_status(nginx)
    await case.stop(nginx)
    case.check_logs(nginx, allowed=(refused,))


async def test_program_gone(case):
    """A program that hangs up, or does not wait any longer, finds the answer later."""
    scene, nginx = await case.scene(locations=gateway("timeout=1s"))
    scene.api.hold("sendMessage")
    gone = await clients.Client(nginx.port).connect()
    gone.send(call("gone", "x" * 500))
    slow = await clients.Client(nginx.port).connect()
    slow.send(call("slow"))
    await until(lambda: len(scene.api.held) == 2)
    await gone.close()
    case.equal((await slow.answer()).status, 504, "who waits for too long")
    await slow.close()
    answer = await ask(nginx.port, "slow")
    case.equal(answer.status, 409, "another one that waits for too long")
    case.check("is in flight" in answer.body.decode(), f"{answer.body}")

    # one that hangs up while it waits leaves nothing behind
    waiter = await clients.Client(nginx.port).connect()
    waiter.send(call("slow"))
    await _counted(case, nginx, "waited", 2)
    await waiter.close()

    scene.api.release()
    await until(lambda: len(scene.api.executed) == 2)
    for key, words in (("gone", "x" * 500), ("slow", "hi")):
        answer = await ask(nginx.port, key, words)
        case.equal(answer.status, 200, f"{key}: status")
        case.equal(json.loads(answer.body)["result"]["text"], words, f"{key}: answer")
    case.equal(len(scene.api.executed), 2, "executed")
    await _finish(case, nginx)


def upload(key, boundary, data):
    """The bytes of an upload with this key, as a library makes it."""
    part = f'--{boundary}\r\nContent-Disposition: form-data; name='
    body = (f'{part}"chat_id"\r\n\r\n1\r\n{part}"document"; filename="a"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n").encode() + data \
        + f"\r\n--{boundary}--\r\n".encode()
    return (f"POST /bot/bot/sendDocument HTTP/1.1\r\nHost: e2e\r\nIdempotency-Key: {key}\r\n"
            f"Content-Type: multipart/form-data; boundary={boundary}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n").encode() + body


async def test_upload(case):
    """An upload that is repeated, in another form, is one; another file is another call."""
    scene, nginx = await case.scene(locations=gateway(),
                                    nginx={"workers": 1, "start": False})
    nginx.configure(nginx.read("nginx.conf").replace("body_size 1m", "body_size 55m"))
    await nginx.start()
    data = random.Random(1).randbytes(20 << 20)
    last = data[:-1] + bytes([data[-1] ^ 1])
    bodies = set()
    for boundary, file, status in (("one", data, 200), ("----two--", data, 200),
                                   ("one", last, 422), ("three", data, 200)):
        client = await clients.Client(nginx.port).connect()
        client.send(upload("k", boundary, file))
        answer = await client.answer(60)
        await client.close()
        case.equal(answer.status, status, f"boundary {boundary}")
        if status == 200:
            bodies.add(answer.body)
    case.equal(len(bodies), 1, "different answers")
    case.equal(len(scene.api.executed), 1, "executed")
    await _finish(case, nginx)


async def test_never_twice(case):
    """
    Programs repeat calls until they know; workers are killed, the Bot API fails in all
    ways: no call is executed twice, and what is answered 200 was executed.
    """
    keys, programs = 400, 40
    scene, nginx = await case.scene(
        locations=gateway(retry_on="http_429 http_5xx"), api_500=0.05, api_502=0.05,
        api_reset=0.1, api_truncate=0.05)
    todo = list(range(keys))
    ends = Counter()
    done = {}

    async def program():
        while todo:
            number = todo.pop()
            for _ in range(60):
                answer = await ask(nginx.port, f"key-{number}", f"text {number}", number + 1)
                if answer is None:
                    continue
                text = answer.body.decode()
                if answer.status == 200 or UNKNOWN in text or LOST in text:
                    done[number] = answer.status
                    break
                await asyncio.sleep(random.random() / 20)
            ends[done.get(number)] += 1

    async def killer():
        for _ in range(6):
            left = len(todo)
            await until(lambda: len(todo) < left - keys // 12 or not todo)
            workers = nginx.workers()
            if workers:
                nginx.kill(random.choice(workers), scene)

    await asyncio.gather(killer(), *(program() for _ in range(programs)))
    executed = Counter(executed.params["text"] for executed in scene.api.executed)
    case.equal([text for text, count in executed.items() if count > 1], [], "sent twice")
    case.equal(sorted(number for number, status in done.items()
                      if status == 200 and not executed[f"text {number}"]), [],
               "answered and not executed")
    case.equal(sum(ends.values()) - ends[None], keys, "calls that came to an end")
    case.check(ends[200] > keys / 2, f"ends {dict(ends)}")
    case.note(f"ends {dict(ends)}, {len(scene.api.arrived)} calls arrived, "
              f"{len(nginx.killed)} workers killed")
    for number in random.sample(sorted(done), 50):
        answer = await ask(nginx.port, f"key-{number}", f"text {number}", number + 1)
        case.equal(answer.status, done[number], f"{number} asked once more")
    await _finish(case, nginx)
