"""tgbot_gateway while programs, nginx and the Bot API die in the middle of calls."""

import asyncio
import gzip
import json
import os
import random
import signal
from collections import Counter
from urllib.parse import urlencode

import clients
from harness import FULL, MODULE, TOKEN, bot, keeps_freed, until
from simulator.botapi import key_of
from simulator.http1 import HttpError, Parser, response

GATEWAY = """\
        location /bot/ {{
            tgbot_gateway e2e {parameters};
            tgbot_retry attempts=3 backoff=20ms max_backoff=100ms;
            client_max_body_size 55m;
            {more}
        }}
"""

# calls after which the size of a worker is looked at
MARKS = (100000, 500000, 1000000) if FULL else (5000, 10000, 20000)
PIECE = 2500                    # calls over the same connections
MODULE_CALLS = 1000             # to the location of a module
GROWTH = 512                    # KiB: less than a smallest allocation for each call
TEMPORARY = "client_body_buffer_size 16k;"
LARGE = 10 << 20                # bytes of an answer
HELD = 2048                     # KiB that a worker may hold of a large body or answer


def gateway(parameters="", more=""):
    return GATEWAY.format(parameters=parameters, more=more)


def post(method, body, content_type="application/json", length=None, headers=""):
    """The bytes of a call, or its beginning if more than the body is announced."""
    return (f"POST /bot/bot/{method} HTTP/1.1\r\nHost: e2e\r\n{headers}"
            f"Content-Type: {content_type}\r\n"
            f"Content-Length: {length or len(body)}\r\n\r\n").encode() + body


def message(number, chat=1):
    return post("sendMessage", json.dumps({"chat_id": chat, "text": f"call {number}"}).encode())


def photo(number, chat=1, size=4096):
    """A call whose body nginx may have in a temporary file."""
    return post("sendPhoto", (
        f'--x\r\nContent-Disposition: form-data; name="chat_id"\r\n\r\n{chat}\r\n'
        f'--x\r\nContent-Disposition: form-data; name="caption"\r\n\r\ncall {number}\r\n'
        '--x\r\nContent-Disposition: form-data; name="photo"; filename="p.jpg"\r\n'
        f'Content-Type: image/jpeg\r\n\r\n{"j" * size}\r\n--x--\r\n').encode(),
        "multipart/form-data; boundary=x")


def either(number, chat=1):
    """A message, or each fifth time an upload from a temporary file."""
    return message(number, chat) if number % 5 else photo(number, chat, 1 << 16)


def words(call):
    """The text of an executed call, or the caption of its photo."""
    return call.params.get("text") or call.params.get("caption")


def refusal(code, **more):
    return json.dumps({"ok": False, "error_code": code, "description": "Refused", **more})


async def ask(port, data):
    """The answer to a call on a connection of its own; None: the connection ended."""
    try:
        client = await clients.Client(port).connect()
    except OSError:
        return None
    try:
        client.send(data)
        return await client.answer(60)
    except (ConnectionError, HttpError):
        return None
    finally:
        await client.close()


def resident(pid):
    """KiB of its own that the process has in memory; zones do not count."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        for line in file:
            if line.startswith("RssAnon:"):
                return int(line.split()[1])
    raise RuntimeError("no RssAnon")


def doubled(api):
    """Calls that were executed more often than unknown outcomes explain."""
    executed = Counter()
    for executed_call in api.executed:
        executed[key_of(executed_call)] += 1
    return {key: count for key, count in executed.items() if count > 1 + api.unknown[key]}


async def test_storm(case):
    """
    Programs that hang up, an API that fails, stops and comes back, workers that are killed,
    reloads: each call is answered or its connection closed, and none is sent twice but
    after an unknown outcome.
    """
    scene, nginx = await case.scene(
        locations=gateway("timeout=5s", TEMPORARY), api_500=0.02, api_502=0.02, api_reset=0.05,
        api_truncate=0.02, api_timeout="2s")
    todo = list(range(1500))
    ends = Counter()
    api = scene.api
    over = asyncio.Event()

    async def program():
        while todo:
            number = todo.pop()
            if number % 19:
                answer = await ask(nginx.port, either(number, number % 50 + 1))
                ends[answer.status if answer else "closed"] += 1
                if answer is not None and answer.status != 200:
                    error = json.loads(answer.body) if answer.body[:1] == b"{" else {}
                    case.check(error.get("ok") is False or answer.body[:1] == b"<",
                               f"answer {answer.status} {answer.body[:80]}")
                continue
            try:
                client = await clients.Client(nginx.port).connect()
                client.send(either(number, number % 50 + 1))
                await asyncio.sleep(random.random() / 100)
                await client.close()
                ends["hung up"] += 1
            except OSError:
                ends["refused"] += 1

    async def trouble():
        for turn in range(9):
            left = len(todo)
            await until(lambda: len(todo) < left - 140 or not todo, 60)
            if turn % 3 == 0 and nginx.workers():
                nginx.kill(random.choice(nginx.workers()), scene)
            elif turn % 3 == 1:
                nginx.signal(signal.SIGHUP)
            else:
                api.stop()
                await asyncio.sleep(0.2)
                await api.restart()
        over.set()

    await asyncio.gather(trouble(), *(program() for _ in range(30)))
    await over.wait()
    case.equal(sum(ends.values()), 1500, f"ends {dict(ends)}")
    case.check(ends[200] > 1000, f"ends {dict(ends)}")
    case.equal(doubled(api), {}, "sent twice without an unknown outcome")
    case.note(f"ends {dict(ends)}, {len(api.executed)} executed, "
              f"{sum(api.unknown.values())} of unknown outcome, "
              f"{len(nginx.killed)} workers killed")
    await case.check_status(nginx)
    await case.stop(nginx)
    case.check_logs(nginx)


async def test_once(case):
    """Without tgbot_retry_on nothing is sent twice, whatever fails or dies."""
    scene, nginx = await case.scene(
        locations=gateway("timeout=5s", f"tgbot_retry_on off; {TEMPORARY}"), api_500=0.05,
        api_reset=0.1, api_truncate=0.05)
    todo = list(range(600))
    answered = {}

    async def program():
        while todo:
            number = todo.pop()
            answered[number] = await ask(nginx.port, either(number))

    async def trouble():
        for turn in range(6):
            left = len(todo)
            await until(lambda: len(todo) < left - 80 or not todo, 60)
            if turn % 2 and nginx.workers():
                nginx.kill(random.choice(nginx.workers()), scene)
            else:
                nginx.signal(signal.SIGHUP)

    await asyncio.gather(trouble(), *(program() for _ in range(20)))
    executed = Counter(words(executed) for executed in scene.api.executed)
    case.equal([text for text, count in executed.items() if count > 1], [], "sent twice")
    case.equal([number for number, answer in answered.items()
                if answer and answer.status == 200 and not executed[f"call {number}"]], [],
               "answered and not executed")
    case.equal(len(answered), 600, "calls")
    await case.check_status(nginx)
    await case.stop(nginx)
    case.check_logs(nginx)


async def test_gone(case):
    """A call that was sent is not repeated once its program has hung up."""
    scene, nginx = await case.scene(locations=gateway("timeout=20s"))
    scene.api.hold("sendMessage")
    client = await clients.Client(nginx.port).connect()
    client.send(message(1))
    await until(lambda: scene.api.held)
    await client.close()
    await until(lambda: "client prematurely closed" in nginx.read("error.log"))
    requests = scene.api.requests
    scene.api.fault = "503"
    scene.api.release()
    case.check(await until(lambda: "/bot/bot/sendMessage" in nginx.read("access.log"), 10),
               "the call does not end")
    case.equal(scene.api.requests, requests, "requests to the Bot API")
    scene.api.fault = None
    case.equal((await ask(nginx.port, message(3))).status, 200, "a call after that")
    await case.check_status(nginx)
    await case.stop(nginx)
    case.check_logs(nginx)


async def test_middle(case):
    """
    In the middle of calls and uploads the Bot API stops, nginx is reloaded, workers are
    killed, programs hang up, nginx ends: each is answered or its connection closed, and the
    Bot API gets each once.
    """
    scene, nginx = await case.scene(
        locations=gateway(more=f"tgbot_retry_on off; {TEMPORARY}"))
    api = scene.api
    numbers = iter(range(1000))

    async def middle():
        """The connections of calls that the Bot API has and has not answered."""
        api.hold("send")
        programs = [await clients.Client(nginx.port).connect() for _ in range(20)]
        for client in programs:
            client.send(either(next(numbers)))
        case.check(await until(lambda: len(api.held) == 20), f"only {len(api.held)} calls")
        return programs

    async def ends(programs):
        answers = [await client.answer() for client in programs]
        for client in programs:
            await client.close()
        return Counter(answer.status if answer else "closed" for answer in answers)

    programs = await middle()
    api.stop()
    case.equal(await ends(programs), {502: 20}, "answers when the Bot API is gone")
    api.held.clear()
    await api.restart()

    programs = await middle()
    old = nginx.workers()
    nginx.signal(signal.SIGHUP)
    await until(lambda: len(set(nginx.workers()) - set(old)) == len(old))
    api.release()
    case.equal(await ends(programs), {200: 20}, "answers when nginx is reloaded")
    case.check(await until(lambda: not set(nginx.workers()) & set(old)), "old workers stay")

    programs = await middle()
    for pid in nginx.workers():
        nginx.kill(pid, scene)
    case.equal(await ends(programs), {"closed": 20}, "answers when workers are killed")
    await until(lambda: len(nginx.workers()) == len(old))
    api.release()

    programs = await middle()
    for client in programs:
        await client.close()
    case.check(await until(
        lambda: nginx.read("error.log").count("client prematurely closed") >= 20),
        "nginx does not notice that programs hung up")
    api.release()
    await case.check_status(nginx)

    programs = await middle()
    nginx.signal(signal.SIGQUIT)
    await until(lambda: "gracefully shutting down" in nginx.read("error.log"))
    api.release()
    case.equal(await ends(programs), {200: 20}, "answers while nginx ends")
    case.equal(await nginx.exited(15), 0, "nginx's exit status")

    # those of the first twenty were lost with the Bot API
    case.equal(Counter(map(words, api.executed)),
               Counter(f"call {number}" for number in range(20, 100)), "what was executed")
    case.equal(api.requests, 100, "requests to the Bot API")
    case.check_logs(nginx)


# what the Bot API of test_flat() answers to a method, and the status
FAST = {
    "sendMessage": (200, json.dumps({"ok": True, "result": {"message_id": 1,
                                                            "text": "x" * 300}})),
    "sendDice": (400, refusal(400)),
    "sendPoll": (429, refusal(429, parameters={"retry_after": 31})),
    "sendVenue": (500, refusal(500)),
    "deleteMessage": (444, ""),     # no answer: it is repeated, and 502 in the end
}


def mixed(number):
    """A call of each kind in turn, and the status that it gets."""
    chat = {"chat_id": number % 1000, "text": f"call {number}"}
    kind = number % 20
    if kind < 4:
        return 200, (f"GET /bot/bot/getChat?chat_id={number} HTTP/1.1\r\n"
                     "Host: e2e\r\n\r\n").encode()
    if kind < 7:
        return 200, post("sendMessage", urlencode(chat).encode(),
                         "application/x-www-form-urlencoded")
    if kind < 9:
        return 200, photo(number)
    if kind < 11:
        chat = {"chat_id": number % 500, "text": "the same for each key"}
        return 200, post("sendMessage", json.dumps(chat).encode(),
                         headers=f"Idempotency-Key: {number % 500}\r\n")
    method = {11: "sendDice", 12: "sendPoll", 13: "sendVenue", 14: "deleteMessage",
              15: "getLarge"}.get(kind, "sendMessage")
    if method == "sendPoll":
        chat["chat_id"] = -number   # a 429 stops the chat
    status = FAST.get(method, (200,))[0]
    return 502 if status == 444 else status, post(method, json.dumps(chat).encode())


async def hang_ups(port, over, ends):
    """Programs that hang up: in a call, before its answer, and in the middle of that."""
    while not over.is_set():
        await asyncio.sleep(0.02)
        for data in (photo(1)[:-2000], message(1), post("getLarge", b"{}")):
            client = await clients.Client(port).connect()
            client.send(data)
            if len(ends) % 2:
                await asyncio.sleep(0.001)
            await client.close()
            ends.append(data)


async def test_flat(case):
    """A worker is as large after many calls of all kinds as it was after some."""
    with open(f"{case.directory}/large", "wb") as file:
        file.write(bytes(256 << 10))
    api = "".join(f"location ~ /{method}$ {{ return {status} '{answer}'; }}\n"
                  for method, (status, answer) in FAST.items())
    server = (f"server {{ listen unix:{case.directory}/api.sock; access_log off; "
              f"default_type application/json; root {case.directory}; {api} "
              "location ~ /getLarge$ { rewrite ^ /large break; error_page 405 =200 $uri; } "
              f"location / {{ return 200 '{FAST['sendMessage'][1]}'; }} }}\n")
    fast = (f"location = /_fast {{ internal; access_log off; "
            f"proxy_pass http://unix:{case.directory}/api.sock:$tgbot_api_uri; }}\n")
    _, nginx = await case.scene(
        f"tgbot_token {TOKEN}; tgbot_api /_fast;", api=False, nginx={"workers": 1},
        locations=gateway("idempotency=keys:4m",
                          "access_log off; client_body_buffer_size 1k; "
                          "tgbot_retry_on http_429 error;") + fast, http=server)
    worker, = nginx.workers()
    number = 0
    over = asyncio.Event()
    ends = []
    aside = asyncio.create_task(hang_ups(nginx.port, over, ends))
    sizes = []
    for mark in MARKS:
        while number < mark:
            calls = [mixed(n) for n in range(number, number + PIECE)]
            statuses = await clients.flood(nginx.port, (data for _, data in calls))
            number += PIECE
            case.equal(dict(statuses), Counter(status for status, _ in calls), "statuses")
        sizes.append(resident(worker))
    over.set()
    await aside
    status = await case.check_status(nginx)
    files = len(os.listdir(f"/proc/{worker}/fd"))
    case.note(f"KiB after calls: {dict(zip(MARKS, sizes))}; {len(ends)} programs hung up; "
              f"{files} open files; zones " + ", ".join(
                  f"{name} {zone['zone_bytes']}" for name, zone in status.data["zones"].items()))
    case.check(keeps_freed() or sizes[-1] - sizes[0] < GROWTH,
               f"grown by {sizes[-1] - sizes[0]} KiB")
    case.check(files < 50, f"{files} files are open with nothing to do")
    await case.stop(nginx)
    case.check_logs(nginx)


SCRIPTS = """\
        location = /_lua {
            internal;
            content_by_lua_block {
                ngx.req.set_header("X-Lua", "x")
                ngx.ctx.answer = ngx.req.get_body_data()
                ngx.sleep(0)
                ngx.say(ngx.ctx.answer)
            }
        }
        location = /_njs {
            internal;
            js_content main.api;
        }
        location = /_nchan {
            internal;
            nchan_publisher;
            nchan_channel_id calls;
            nchan_message_buffer_length 1;
        }
"""
NJS = "export default { api: (r) => setTimeout(() => r.return(200, r.requestText), 0) };\n"
MODULES = ("ndk_http_module", "ngx_http_lua_module", "ngx_http_js_module", "ngx_nchan_module")


async def test_flat_modules(case):
    """
    The locations of other modules are called by requests that were used before: each gets
    the body of its own call, and a worker is as large after many as after some.
    """
    modules = [f"/usr/lib/nginx/modules/{name}.so" for name in MODULES]
    if not all(os.path.exists(module) for module in modules):
        case.skip("modules of nginx are not installed")
        return
    with open(f"{case.directory}/main.js", "w", encoding="utf-8") as file:
        file.write(NJS)
    names = ("lua", "njs", "nchan")
    locations = SCRIPTS
    for number, name in enumerate(names):
        token = TOKEN.replace("7000000001", str(7000000002 + number))
        locations += bot(name, f"tgbot_token {token}; tgbot_api /_{name};", api=False)
        locations += f"        location /{name}/ {{ tgbot_gateway {name}; }}\n"
    _, nginx = await case.scene(
        locations=locations, http=f"js_path {case.directory}; js_import main from main.js;",
        nginx={"workers": 1, "module": ";\nload_module ".join((MODULE, *modules))})
    worker, = nginx.workers()

    async def load(count):
        for name in names:
            statuses = await clients.flood(nginx.port, (
                message(n, n % 1000).replace(b"/bot/bot/", f"/{name}/".encode())
                for n in range(count)))
            # nchan says "queued" to a call without subscribers
            case.equal(sum(statuses[status] for status in (200, 201, 202)), count,
                       f"{name} answered of {statuses}")

    await load(MODULE_CALLS)
    before = resident(worker)
    await load(MODULE_CALLS)
    after = resident(worker)
    case.note(f"{before} KiB, {after} KiB")
    case.check(keeps_freed() or after - before < GROWTH,
               f"grown by {after - before} KiB")
    for name in ("lua", "njs"):
        answers = [await ask(nginx.port, message(n).replace(b"/bot/bot/", f"/{name}/".encode()))
                   for n in range(3)]
        case.equal([json.loads(answer.body)["text"] for answer in answers],
                   ["call 0", "call 1", "call 2"], f"bodies that {name} got")
    await case.stop(nginx)
    case.check_logs(nginx)


async def test_large_answer(case):
    """An answer of 10 MB: whole, to a slow reader, cut short, and compressed."""
    scene, nginx = await case.scene(locations=gateway(), nginx={"workers": 1})
    body = random.Random(1).randbytes(LARGE)
    whole = response(200, body, "application/json")
    packed = gzip.compress(b'{"ok":true,"result":true}')

    def serve(connection, request):
        method = request.target.rpartition("/")[2]
        if method == "getCut":
            connection.finish(whole[:LARGE // 2])
        elif method == "getPacked":
            connection.send(response(200, packed, "application/json",
                                     (("Content-Encoding", "gzip"),)))
        else:
            connection.send(whole)

    scene.api.serve = serve
    answer = await ask(nginx.port, post("getWhole", b"{}"))
    case.check(answer and answer.body == body, "the whole answer")
    worker, = nginx.workers()
    before = resident(worker)

    reader, writer = await asyncio.open_connection("127.0.0.1", nginx.port, limit=65536)
    writer.write(post("getWhole", b"{}"))
    parser = Parser(response=True)
    messages = []
    most = 0
    while not messages:
        data = await reader.read(1 << 18)
        if not data:
            break
        messages += parser.feed(data)
        most = max(most, resident(worker) - before)
        await asyncio.sleep(0.01)
    writer.close()
    case.check(messages and messages[0].body == body, "the answer to a slow reader")
    case.check(keeps_freed() or most < HELD, f"{most} KiB are held for a slow reader")

    answer = await ask(nginx.port, post("getCut", b"{}"))
    case.check(answer is None, "an answer that is cut short is no whole answer")
    answer = await ask(nginx.port, post("getPacked", b"{}"))
    case.equal((answer.headers.get("content-encoding"), answer.body), ("gzip", packed),
               "a compressed answer")

    # the program hangs up in the middle of it
    client = await clients.Client(nginx.port).connect()
    client.send(post("getWhole", b"{}"))
    await asyncio.sleep(0.05)
    await client.close()
    answer = await ask(nginx.port, post("getWhole", b"{}"))
    case.check(answer and answer.body == body, "the answer after that")
    await case.check_status(nginx)
    await case.stop(nginx)
    case.check_logs(nginx)


async def test_upload_cut(case):
    """A program hangs up in the middle of an upload of 50 MB: nothing is sent, nothing left."""
    scene, nginx = await case.scene(locations=gateway(), nginx={"workers": 1})
    worker, = nginx.workers()
    answer = await ask(nginx.port, message(1))
    case.equal(answer.status, 200, "a call before")
    before = resident(worker)
    most = 0
    for size in (1, 25, 49):
        _, writer = await asyncio.open_connection("127.0.0.1", nginx.port)
        writer.write(post("sendDocument", b"", "multipart/form-data; boundary=x", 50 << 20))
        for _ in range(size):
            writer.write(bytes(1 << 20))
            await writer.drain()
            most = max(most, resident(worker) - before)
        writer.close()
    case.check(keeps_freed() or most < HELD, f"{most} KiB are held of an upload")
    temp = f"{case.directory}/temp_body"
    case.check(await until(lambda: not any(files for _, _, files in os.walk(temp))),
               "a temporary file is left")
    case.equal(len(scene.api.arrived), 1, "calls that arrived")
    answer = await ask(nginx.port, message(2))
    case.equal(answer.status, 200, "a call after")
    await case.check_status(nginx)
    await case.stop(nginx)
    case.check_logs(nginx)
