"""Broadcasts: what is killed, reloaded and away in the middle, and every chat just once."""

import asyncio
import collections
import http.client
import json
import os
import re
import signal
import sys

from harness import FULL, TOP

COUNT = 100000 if FULL else 3000
AWAY = 60 if FULL else 2            # seconds that the Bot API is away
FLIGHTS = 32                        # at most in flight

TOKEN = "7000000001:AAHleakless-e2e-token-0123456789abc"

LOCATIONS = """\
        location /cast {{
            tgbot_broadcast e2e zone=cast:{size};
            client_max_body_size 64m;
            tgbot_pace {pace};
            tgbot_retry attempts=3 backoff=20ms max_backoff=100ms life=400ms;
        }}
        location = /_fast {{
            internal;
            access_log off;
            log_subrequest off;
            proxy_pass http://127.0.0.1:{api}$tgbot_api_uri;
            proxy_read_timeout 5s;
        }}
"""

BLOCKED = "Forbidden: bot was blocked by the user"
NO_CHAT = "Bad Request: chat not found"


class Api:
    """
    A Bot API that is fast: by the id of its chat a call is answered 200, 403, 400, 500 once
    and then 200, or always 500.
    """

    def __init__(self):
        self.sent = collections.Counter()       # chats that got a message
        self.asked = collections.Counter()
        self.flooded = None                     # a chat with one 429
        self.port = None
        self._server = None
        self._writers = set()

    @staticmethod
    def kind(chat):
        if chat % 100 < 3:
            return "blocked"
        if chat % 1000 == 333:
            return "no chat"
        if chat % 1000 == 777:
            return "500"
        return "500 once" if chat % 100 == 50 else "sent"

    def answer(self, chat):
        kind = self.kind(chat)
        self.asked[chat] += 1
        if chat == self.flooded and self.asked[chat] == 1:
            return 429, "Too Many Requests: retry after 3"
        if kind == "blocked":
            return 403, BLOCKED
        if kind == "no chat":
            return 400, NO_CHAT
        if kind == "500" or (kind == "500 once" and self.asked[chat] == 1):
            return 500, "Internal Server Error"
        self.sent[chat] += 1
        return 200, None

    async def start(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port or 0,
                                                  backlog=512)
        self.port = self._server.sockets[0].getsockname()[1]

    def stop(self):
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader, writer):
        self._writers.add(writer)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n")
                              if line.lower().startswith(b"content-length:"))
                body = json.loads(await reader.readexactly(length))
                status, error = self.answer(body["chat_id"])
                result = ({"ok": True, "result": True} if error is None else
                          {"ok": False, "error_code": status, "description": error,
                           "parameters": {"retry_after": 3} if status == 429 else {}})
                text = json.dumps(result).encode()
                writer.write(b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\n"
                             b"Content-Length: %d\r\n\r\n" % (status, len(text)) + text)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()


async def _scene(case, api, size="2m", pace="off", **nginx):
    await api.start()
    case.at_end(api.stop)
    _, server = await case.scene(
        directives=f"tgbot_token {TOKEN}; tgbot_api /_fast;", api=False,
        locations=LOCATIONS.format(size=size, api=api.port, pace=pace),
        http="tgbot_state state;", nginx=nginx)
    return server


def _request(port, method, path, body):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read() or b"null")
    finally:
        connection.close()


async def _ask(nginx, method, path="", body=None):
    """The status and the JSON of an answer; asked again should nginx just be killed."""
    text = None if body is None else json.dumps(body).encode()
    for _ in range(200):
        try:
            return await asyncio.to_thread(_request, nginx.port, method, f"/cast{path}", text)
        except (OSError, http.client.HTTPException):
            await asyncio.sleep(0.05)
    raise RuntimeError("no answer")


async def _progress(nginx):
    _, state = await _ask(nginx, "GET", "/1")
    return state


def _over(state):
    return state["total"] - state["waiting"] - state["in_flight"]


async def _check(case, nginx, api, chats, kills, cut):
    """Every chat was sent once, or blocked, or failed with its error, or is unknown."""
    state = await _progress(nginx)
    case.note(", ".join(f"{state[name]} {name}"
                        for name in ("total", "sent", "blocked", "failed", "unknown")))
    case.equal(state["total"], len(chats), "total")
    case.equal(sum(state[name] for name in ("sent", "blocked", "failed", "unknown")),
               len(chats), "the sum of all")
    lists = {}
    for name in ("blocked", "failed", "unknown"):
        _, answer = await _ask(nginx, "GET", f"/1/{name}")
        lists[name] = {each["chat_id"]: (each.get("status"), each.get("error"))
                       for each in answer[name]}
        case.equal(len(lists[name]), state[name], f"the list of {name}")

    case.check(len(lists["unknown"]) <= FLIGHTS * (kills + cut),
               f"{len(lists['unknown'])} unknown by {kills} kills and {cut} cuts")
    twice = [chat for chat, times in api.sent.items() if times > 1]
    case.check(not twice, f"{len(twice)} chats got it twice, such as {twice[:5]}")

    expected = {"blocked": ("blocked", (403, BLOCKED)), "no chat": ("failed", (400, NO_CHAT)),
                "500": ("failed", (500, "Internal Server Error"))}
    wrong = []
    for chat in chats:
        if chat in lists["unknown"]:
            continue
        name, error = expected.get(api.kind(chat), ("sent", None))
        got = next((name for name in ("blocked", "failed") if chat in lists[name]), "sent")
        if got != name or (error and lists[name][chat] != error) \
                or (name == "sent" and api.sent[chat] != 1):
            wrong.append((chat, name, got, api.sent[chat]))
    case.check(not wrong, f"{len(wrong)} chats are wrong, such as {wrong[:5]}")
    return state["unknown"]


async def test_all_at_once(case):
    """All of nginx is killed three times, reloaded, and the Bot API is away."""
    api = Api()
    nginx = await _scene(case, api, "4m" if FULL else "1m", workers=4,
                         pace="global=5000r/s global_burst=5000 "
                              "chat=100r/s chat_burst=100")
    chats = [1000000 + number for number in range(COUNT)]
    status, _ = await _ask(nginx, "POST", body={
        "method": "sendMessage", "params": {"text": "hello"}, "chat_ids": chats})
    case.equal(status, 201, "made")

    async def kill():
        await nginx.kill_all()
        await nginx.start()

    async def reload():
        nginx.signal(signal.SIGHUP)
        await asyncio.sleep(0.2)

    async def kill_workers():
        for pid in nginx.workers():
            nginx.kill(pid)

    async def away():
        api.stop()
        # what it has read is answered, though nobody gets the answer
        await asyncio.sleep(0.2)
        before = len(api.sent)
        await asyncio.sleep(AWAY)
        case.equal(len(api.sent), before, "sent by a Bot API that is away")
        await api.start()

    steps = [kill, reload, away, kill, kill_workers, reload, kill]
    for number, step in enumerate(steps, 1):
        mark = number * COUNT // (len(steps) + 2)
        while _over(await _progress(nginx)) < mark:
            await asyncio.sleep(0.02)
        await step()

    end = asyncio.get_running_loop().time() + (600 if FULL else 90)
    state = await _progress(nginx)
    while state["state"] != "done" and asyncio.get_running_loop().time() < end:
        await asyncio.sleep(0.1)
        state = await _progress(nginx)
    case.equal(state["state"], "done", "state")

    unknown = await _check(case, nginx, api, chats, kills=4, cut=1)
    case.equal(await _ask(nginx, "DELETE", "/1"), (204, None), "deleted")
    await case.stop(nginx)
    told = sum(map(int, re.findall(r"(\d+) chats of broadcasts were in flight when nginx",
                                   nginx.read("error.log"))))
    case.check(unknown - FLIGHTS <= told <= unknown,
               f"{told} of {unknown} that are unknown were told of in the log")
    case.check_logs(nginx, allowed=("exited on signal 9",))


async def test_upgrade_and_stop(case):
    """A stop with a start, and a new binary: every chat just once, none unknown."""
    api = Api()
    nginx = await _scene(case, api, "1m", detached=True)
    chats = [1000000 + number for number in range(COUNT // 3)]
    await _ask(nginx, "POST", body={"method": "sendMessage", "params": {"text": "hello"},
                                    "chat_ids": chats})
    while _over(await _progress(nginx)) < len(chats) // 4:
        await asyncio.sleep(0.02)
    await nginx.upgrade()
    while _over(await _progress(nginx)) < len(chats) // 2:
        await asyncio.sleep(0.02)
    nginx.signal(signal.SIGQUIT)
    case.equal(await nginx.exited(20), 0, "nginx's exit status")
    await nginx.start()

    state = await _progress(nginx)
    for _ in range(600):
        if state["state"] == "done":
            break
        await asyncio.sleep(0.1)
        state = await _progress(nginx)
    case.equal(state["state"], "done", "state")
    case.equal(state["unknown"], 0, "unknown")
    await _check(case, nginx, api, chats, kills=0, cut=0)
    await case.stop(nginx)
    case.check_logs(nginx)


async def test_key(case):
    """Creations with an Idempotency-Key, while nginx is killed: repeated, none makes two."""
    api = Api()
    nginx = await _scene(case, api, size="8m idempotency=keys:2m")
    outcomes = collections.Counter()

    def make(number):
        connection = http.client.HTTPConnection("127.0.0.1", nginx.port, timeout=30)
        try:
            connection.request("POST", "/cast", json.dumps(
                {"method": "sendMessage", "start": False,
                 "chat_ids": list(range(1, 40001 + number))}),
                {"Content-Type": "application/json", "Idempotency-Key": f"key-{number}"})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    for number in range(20):
        first = asyncio.create_task(asyncio.to_thread(make, number))
        # somewhere in the request: before it is read, while it is, after its end
        await asyncio.sleep(number * 0.002)
        await nginx.kill_all()
        try:
            before = (await first)[0]
        except (OSError, http.client.HTTPException, ValueError):
            before = None
        await nginx.start()
        status, answer = await asyncio.to_thread(make, number)
        outcomes[(before, status)] += 1
        case.check(status == 201 or (before is None and status == 409),
                   f"{status} after {before}: {answer}")
        _, answer = await _ask(nginx, "GET")
        made = [each for each in answer["broadcasts"] if each["total"] == 40000 + number]
        case.check(len(made) == 1 or (status == 409 and not made),
                   f"{len(made)} broadcasts, answered {status}")

    case.note(", ".join(f"{before} then {status}: {n}"
                        for (before, status), n in outcomes.items()))

    # in another zone the number of the first answer is another broadcast
    nginx.configure(nginx.read("nginx.conf").replace("zone=cast", "zone=other"))
    nginx.signal(signal.SIGHUP)
    for _ in range(200):
        status, answer = await asyncio.to_thread(make, 0)
        if status != 201:
            break
        # by an old worker
        await asyncio.sleep(0.05)
    case.equal(status, 422, f"the status in another zone, {answer}")
    await case.stop(nginx)
    case.check_logs(nginx)


async def test_damaged(case):
    """A broadcast whose params are damaged is paused, and those behind it go on."""
    api = Api()
    nginx = await _scene(case, api)
    for text in ("the first", "the second"):
        await _ask(nginx, "POST", body={"method": "sendMessage", "params": {"text": text},
                                        "chat_ids": [1000050], "start": False})
    await case.stop(nginx)

    # the number of bytes in the block that has them
    found = 0
    for name in os.listdir(f"{case.directory}/state"):
        path = f"{case.directory}/state/{name}"
        with open(path, "rb") as file:
            data = bytearray(file.read())
        place = data.find(b'"the first"')
        if place >= 0:
            data[place // 4096 * 4096 + 28] -= 1
            found += 1
            with open(path, "wb") as file:
                file.write(data)
    case.equal(found, 1, "files with the params")
    await nginx.start()

    for number in (1, 2):
        await _ask(nginx, "POST", f"/{number}/go")
    states = {}
    for _ in range(300):
        states = {number: (await _ask(nginx, "GET", f"/{number}"))[1] for number in (1, 2)}
        if states[2].get("state") == "done" and nginx.read("error.log").count("are damaged"):
            break
        await asyncio.sleep(0.1)
    case.equal(states[2].get("state"), "done", "the one behind it")
    case.equal(nginx.read("error.log").count("broadcast 1 is paused, as its"), 1, "told of")
    await case.stop(nginx)
    case.check_logs(nginx)


async def test_pace(case):
    """The rates hold for all broadcasts of a bot together; one chat's 429 delays no other."""
    api = Api()
    nginx = await _scene(case, api, pace="global=100r/s global_burst=10")
    loop = asyncio.get_running_loop()
    start = loop.time()
    api.flooded = 1000510
    for number in range(2):
        chats = [1000100 + 1000 * number + each for each in range(200)]
        if number == 0:
            chats[100] = api.flooded
        await _ask(nginx, "POST", body={"method": "sendMessage", "params": {"text": "hello"},
                                        "chat_ids": chats})
    while sum(api.asked.values()) < 399:
        await asyncio.sleep(0.02)
    seconds = loop.time() - start
    case.note(f"400 calls in {seconds:.2f} s")
    case.check(seconds > 3.5, f"400 calls took {seconds:.2f} s at 100 in a second")
    case.check(len(api.sent) > 350, f"{len(api.sent)} chats beside one that has to wait")
    end = loop.time() + 60
    while loop.time() < end:
        states = [(await _ask(nginx, "GET", f"/{number}"))[1]["state"] for number in (1, 2)]
        if states == ["done", "done"]:
            break
        await asyncio.sleep(0.1)
    case.equal(states, ["done", "done"], "states")
    case.equal(api.sent[api.flooded], 1, "the chat that had to wait")
    await case.stop(nginx)
    case.check_logs(nginx)


async def test_example(case):
    """The script makes a broadcast of a file of ids, and shows its progress."""
    api = Api()
    nginx = await _scene(case, api)
    path = f"{case.directory}/chats.txt"
    with open(path, "w", encoding="ascii") as file:
        file.write("".join(f"{1000000 + number}\n" for number in range(200)))

    async def run(*arguments):
        process = await asyncio.create_subprocess_exec(
            sys.executable, os.path.join(TOP, "examples/broadcast/broadcast.py"), *arguments,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT)
        output, _ = await process.communicate()
        return process.returncode, output.decode()

    url = f"http://127.0.0.1:{nginx.port}/cast"
    status, output = await run(url, path, '{"text": "hi"}')
    case.equal(status, 0, f"exit status ({output})")
    case.check("100% done: 194 sent, 6 blocked, 0 failed, 0 unknown" in output, output)
    case.equal(sum(api.sent.values()), 194, "messages")

    with open(path, "w", encoding="ascii") as file:
        file.write("5\n@durov\n")
    status, output = await run(url, path, "sendMessage", '{"text": "hi"}')
    case.equal(status, 1, "exit status")
    case.check("line 2 of the chats is \"@durov\"" in output, output)

    with open(path, "w", encoding="ascii") as file:
        file.write("\n")
    status, output = await run(url, path, '{"text": "hi"}')
    case.equal(status, 1, "exit status")
    case.check("there are no chats" in output, output)
    await case.stop(nginx)
    case.check_logs(nginx)
