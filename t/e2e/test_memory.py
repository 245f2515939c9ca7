"""Memory: what happens when there is none, and that it does not grow."""

import asyncio
import itertools
import mmap
import os
import struct
import time

import build
import clients
from harness import FULL, SECRET, bot, free_port, keeps_freed, until
from simulator.http1 import HttpError, fetch
from simulator.program import Program

MOST = 500                      # allocations of one request; there are far fewer

UPDATES = 1000000 if FULL else 200000
PIECE = 10000                   # updates over the same connections
GROWTH = 512                    # KiB: less than a smallest allocation for each update

DIRECTIVES = ("tgbot_hold_timeout 4s; tgbot_retry attempts=3 backoff=50ms life=3s;"
              "tgbot_limit $tgbot_user_id zone=users:1m rate=1000r/s burst=1000;"
              "tgbot_limit $tgbot_chat_id zone=chats:1m rate=1000r/s burst=1000;")


class Failing:
    """The counter of the library that is preloaded."""

    def __init__(self, case):
        self.path = f"{case.directory}/failnth"
        with open(self.path, "wb") as file:
            file.write(bytes(4096))
        self._file = open(self.path, "r+b")
        self._map = mmap.mmap(self._file.fileno(), 4096)
        case.at_end(self.close)

    def close(self):
        self._map.close()
        self._file.close()

    def set(self, n):
        """The n-th allocation from now on fails; 0: none."""
        self._map[0:4] = struct.pack("=i", n)

    @property
    def failed(self):
        return struct.unpack("=i", self._map[0:4])[0] == -1

    @property
    def live(self):
        """Allocations that are not freed."""
        return struct.unpack("=q", self._map[8:16])[0]


class Kind:
    """A kind of request: how one is made, and what its answer has to be."""

    def __init__(self, name, path, nginx, numbers, text=None, before=None, ridden=None):
        self.name = name
        self.path = path
        self._nginx = nginx
        self._numbers = numbers
        self._text = text or (lambda number: f"text {number}")
        self._before = before
        self._ridden = ridden

    async def prepare(self):
        """Something to be sent: (number, body)."""
        number = next(self._numbers)
        body = clients.text(number, self._text(number), user=number)
        if self._before:
            number, body = await self._before(self, number, body)
        return number, body

    async def send(self, body, timeout=8.0):
        return await clients.post(self._nginx.port, body, self.path, timeout)

    def right(self, number, answer):
        """Whether an answer with 200 has the reply that it has to have."""
        expected = self._ridden(number) if self._ridden else None
        return clients.ridden(answer).get("text") == expected


class Status(Kind):
    """The status, where the end of each answer is known."""

    def __init__(self, *args, end=b"}}\n"):
        super().__init__(*args)
        self._end = end

    async def prepare(self):
        return 0, None

    async def send(self, body, timeout=8.0):
        return await fetch("127.0.0.1", self._nginx.port, self.path, timeout)

    def right(self, number, answer):
        return answer.body.endswith(self._end)


async def _once(kind, number, body):
    """It has been delivered before."""
    await kind.send(body)
    return number, body


async def _emptied(kind, number, body):
    """The bucket of the user is empty."""
    await kind.send(body)
    return number + 1, clients.text(number + 1, "again", user=number)


def _kinds(nginx):
    numbers = itertools.count(10 ** 6, 10)

    def reply(number):
        return f"reply {number}"

    def kind(name, path, **more):
        return Kind(name, path, nginx, numbers, **more)

    return [
        kind("configuration", "/tg/config", ridden=lambda number: "ok"),
        kind("riding", "/tg/riding", ridden=reply),
        kind("api", "/tg/e2e"),
        kind("miss", "/tg/cached", text=lambda number: f"cached {number}",
             ridden=lambda number: f"about cached {number}"),
        kind("hit", "/tg/cached", text=lambda _: "cached", ridden=lambda _: "about cached"),
        kind("duplicate", "/tg/riding", before=_once, ridden=reply),
        kind("limited", "/tg/limited", before=_emptied, ridden=lambda _: "slow down"),
        Status("status", "/status", nginx, numbers),
        Status("prometheus", "/status?format=prometheus", nginx, numbers, end=b"} 0\n"),
        Status("ready", "/status/ready", nginx, numbers, end=b'"reasons":[]}\n')]


async def _sweep(case, failing, kind):
    """Fails one allocation after another; how many there are."""
    for n in range(1, MOST):
        number, body = await kind.prepare()
        failing.set(n)
        try:
            answer = await kind.send(body)
        except (clients.NoAnswer, asyncio.TimeoutError):
            answer = None
            case.check(False, f"{kind.name}, allocation {n}: no answer")
        except HttpError as error:
            answer = None
            case.check(False, f"{kind.name}, allocation {n}: {error}")
        failed = failing.failed
        failing.set(0)
        what = f"{kind.name}, allocation {n} failed"
        if answer is not None:
            case.check(answer.status in (200, 500, 503), f"{what}: status {answer.status}")
            if answer.status == 200:
                case.check(kind.right(number, answer), f"{what}: 200 with {answer.body}")
        if not failed:
            case.check(answer is not None and answer.status == 200,
                       f"{kind.name} with all the memory it wants: {answer and answer.status}")
            return n - 1
        await _again(case, kind, number, body, what)
    case.check(False, f"{kind.name}: over {MOST} allocations")
    return MOST


async def _again(case, kind, number, body, what):
    """Telegram would deliver it again until it is done."""
    end = time.monotonic() + 10
    while True:
        answer = await kind.send(body)
        if answer is not None and answer.status == 200:
            # the one notice of a bucket may have gone with the failure
            right = kind.right(number, answer) or (
                kind.name == "limited" and not answer.body)
            case.check(right, f"{what}, then 200 with {answer.body}")
            return
        if time.monotonic() > end:
            case.check(False, f"{what}, then {answer and answer.status} for 10 s")
            return
        await asyncio.sleep(0.02)


async def _at_rest(case, nginx, failing):
    """What is allocated when nothing is under way."""
    await case.check_status(nginx)
    lowest = failing.live
    for _ in range(20):
        await asyncio.sleep(0.02)
        lowest = min(lowest, failing.live)
    return lowest


def own_allocator(case):
    """Whether the test is skipped, as it counts calls of the system's malloc()."""
    if keeps_freed():
        case.skip("this nginx has an allocator of its own")
    return keeps_freed()


async def test_failing_allocations(case):
    """
    Whichever allocation fails: the answer is a clean one, or the connection is closed;
    the worker lives, what was not done can be done, and nothing leaks.
    """
    if own_allocator(case):
        return
    library = await build.library("failnth.c", case.directory)
    failing = Failing(case)
    scene, nginx = await case.scene(
        http=DIRECTIVES, program_timeout="3s", api_timeout="3s",
        nginx={"workers": 1,
               "environment": {"LD_PRELOAD": library, "FAILNTH": failing.path}},
        locations=bot("config", "tgbot_reply ok;", api=False) + bot("riding", api=False)
        + bot("cached", "tgbot_cache $tgbot_text zone=answers:1m;", api=False)
        + bot("limited", "tgbot_reply ok; tgbot_limit $tgbot_user_id zone=few:1m rate=1r/m"
              ' burst=1 "reply=slow down";', api=False))
    scene.program.answer = _answer
    worker, = nginx.workers()

    kinds = _kinds(nginx)
    for kind in kinds:
        for _ in range(3):
            number, body = await kind.prepare()
            answer = await kind.send(body)
            case.check(answer is not None and answer.status == 200
                       and kind.right(number, answer), f"{kind.name} before all failures")

    before = await _at_rest(case, nginx, failing)
    sweeps = []
    for _ in range(2):
        counts = [await _sweep(case, failing, kind) for kind in kinds]
        sweeps.append(await _at_rest(case, nginx, failing))
    case.note("allocations: " + ", ".join(
        f"{kind.name} {count}" for kind, count in zip(kinds, counts)))
    case.note(f"live before {before}, after sweeps {sweeps}")
    case.check(sweeps[1] <= sweeps[0], f"live allocations grow: {before}, then {sweeps}")
    case.check(all(count >= 3 for count in counts), "hardly any allocation failed")

    replies = {call.params["text"] for call in scene.api.executed}
    handled = {seen.id for seen in scene.program.seen
               if seen.bot == "e2e" and seen.outcome == "ok"}
    missing = [number for number in handled if f"reply {number}" not in replies]
    case.equal(missing, [], "handled updates without a reply")
    case.equal(nginx.workers(), [worker], "workers")
    await case.stop(nginx)
    case.check_logs(nginx, allowed=("alloc(", "memalign("))


async def _sweep_queue(case, failing, nginx, path, numbers, worked):
    """Likewise, until the queue has done with the update; the numbers of all of them."""
    sent = []
    for n in range(1, MOST):
        number = next(numbers)
        sent.append(number)
        body = clients.text(number, "hello", user=number)
        failing.set(n)
        end = time.monotonic() + 10
        while True:
            answer = await clients.post(nginx.port, body, path)
            if answer is not None and answer.status == 200:
                break
            case.check(answer is None or answer.status in (500, 503),
                       f"{path}, allocation {n}: status {answer and answer.status}")
            if time.monotonic() > end:
                case.check(False, f"{path}, allocation {n}: not accepted")
                return sent
            await asyncio.sleep(0.02)
        if not await until(lambda number=number: number in worked(), 20):
            case.check(False, f"{path}, allocation {n}: accepted and not worked on")
            return sent
        # what follows may fail as well
        await asyncio.sleep(0.02)
        failed = failing.failed
        failing.set(0)
        if not failed:
            return sent
    case.check(False, f"{path}: over {MOST} allocations")
    return sent


async def test_failing_allocations_queue(case):
    """What was acknowledged is worked on, or is a dead letter, whichever allocation fails."""
    if own_allocator(case):
        return
    library = await build.library("failnth.c", case.directory)
    failing = Failing(case)
    dying = Program()
    await dying.start()
    dying.fault = "500"
    case.at_end(dying.stop)
    queue = ("tgbot_queue zone=updates:8m; tgbot_dead_letters zone=letters:8m max=1000; "
             "tgbot_retry attempts=5 backoff=50ms; ")
    scene, nginx = await case.scene(
        queue + "tgbot_attempts 5 backoff=50ms max_backoff=50ms;",
        program_timeout="3s", api_timeout="3s",
        nginx={"workers": 1,
               "environment": {"LD_PRELOAD": library, "FAILNTH": failing.path}},
        locations=bot("dying", queue.replace(":8m", "") + "tgbot_attempts 1;", api=False,
                      handler="/_dying")
        + f"        location = /_dying {{ internal; proxy_pass http://127.0.0.1:{dying.port};"
          " }\n")
    worker, = nginx.workers()
    numbers = itertools.count(10 ** 6)
    for path in ("/tg/e2e", "/tg/dying"):
        body = clients.text(next(numbers), "hello")
        answer = await clients.post(nginx.port, body, path)
        case.equal(answer.status, 200, f"{path} before all failures")
    first = next(numbers)

    before = await _at_rest(case, nginx, failing)
    replied = await _sweep_queue(
        case, failing, nginx, "/tg/e2e", numbers,
        lambda: {int(call.params["text"].split()[1]) for call in scene.api.executed[-50:]})
    given_up = await _sweep_queue(
        case, failing, nginx, "/tg/dying", numbers,
        lambda: {seen.id for seen in dying.seen[-50:]})
    status = await case.check_status(nginx, 30)
    after = await _at_rest(case, nginx, failing)
    case.note(f"{len(replied)} updates and {len(given_up)} letters, "
              f"live before {before}, after {after}")
    case.check(len(replied) > 7 and len(given_up) > 7, "hardly any allocation failed")
    case.equal(status.value("dead_letters", "letters", bot="dying"), 1 + len(given_up),
               "dead letters")
    case.equal(status.value("dead_letters", "letters"), 0, "dead letters of the other bot")
    case.equal(status.value("queue_items_total", "done"), 1 + len(replied), "done")
    case.equal(sorted({call.params["text"] for call in scene.api.executed
                       if int(call.params["text"].split()[1]) > first}),
               sorted(f"reply {number}" for number in replied), "replies")
    # connections and what they keep for the next ones
    case.check(after - before < 64, "allocations are not freed")
    case.equal(nginx.workers(), [worker], "workers")
    await case.stop(nginx)
    case.check_logs(nginx, allowed=("alloc(", "memalign("))


def _answer(update):
    words = update["message"]["text"]
    if words.startswith("cached"):
        return {"method": "sendMessage", "text": f"about {words}"}
    return {"method": "sendMessage", "chat_id": update["message"]["chat"]["id"],
            "text": f"reply {update['update_id']}"}


def _resident(pid):
    """KiB of its own that the process has in memory; zones do not count."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        for line in file:
            if line.startswith("RssAnon:"):
                return int(line.split()[1])
    raise RuntimeError("no RssAnon")


async def test_flat(case):
    """A worker is as large after many updates as it was after some."""
    if own_allocator(case):
        return
    scene, nginx = await case.scene(
        "tgbot_reply ok;", nginx={"workers": 1}, http=DIRECTIVES,
        locations=bot("riding", api=False, handler="/_answer")
        + bot("cached", "tgbot_cache $tgbot_text zone=answers:1m;", api=False,
              handler="/_answer")
        + '        location = /_answer { internal; default_type application/json;'
        ' return 200 \'{"method":"sendMessage","text":"about $tgbot_text"}\'; }\n')
    worker, = nginx.workers()
    paths = ("/tg/e2e", "/tg/e2e", "/tg/riding", "/tg/cached")
    number = 0

    # nginx keeps some bytes of each pipelined request until its connection ends

    async def load(count):
        nonlocal number
        for _ in range(count // PIECE):
            statuses = await clients.flood(nginx.port, (
                clients.request(clients.short(n, f"word {n % 5000}", n % 1000 + 1),
                                paths[n % len(paths)])
                for n in range(number + 1, number + PIECE + 1)))
            number += PIECE
            case.equal(dict(statuses), {200: PIECE}, "statuses")

    # until then pools of all sizes have been seen
    await load(UPDATES // 4)
    before = _resident(worker)
    await load(UPDATES * 3 // 4)
    after = _resident(worker)
    case.note(f"{before} KiB after {UPDATES // 4} updates, {after} KiB after {number}")
    case.check(after - before < GROWTH, f"grown by {after - before} KiB")
    status = await case.check_status(nginx)
    done = sum(status.value("deliveries_total", "done", bot=name) for name in status.bots)
    case.equal(done, number, "updates done")
    await case.stop(nginx)
    case.check_logs(nginx)


HELD = 96                       # updates at once
PER_UPDATE = 64                 # KiB of one that does not tell its length, beyond others


class _Http1:
    """An update that comes after its headers, in chunks or not."""

    def __init__(self, port, number, chunked, words="held"):
        self._client = clients.Client(port)
        body = clients.text(number, words, user=number)
        request = clients.request(body)
        if chunked:
            request = clients.request(b"").replace(
                b"Content-Length: 0", b"Transfer-Encoding: chunked")
            request += b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        self._head, end, body = request.partition(b"\r\n\r\n")
        self._head += end
        self._body = body

    async def begin(self):
        await self._client.connect()
        self._client.send(self._head)

    def end(self):
        self._client.send(self._body)

    async def status(self):
        answer = await self._client.answer()
        await self._client.close()
        return answer and answer.status


class _Http2:
    """An update that comes by HTTP/2, which tells no length; a connection each."""

    _SETTINGS, _HEADERS, _DATA = 4, 1, 0
    _END_STREAM, _END_HEADERS, _ACK = 1, 4, 1

    def __init__(self, port, number):
        self._port = port
        self._body = clients.text(number, "http2", user=number)
        self._reader = self._writer = None

    def _send(self, kind, flags, stream, payload=b""):
        self._writer.write(struct.pack(">I", len(payload))[1:]
                           + struct.pack(">BBI", kind, flags, stream) + payload)

    async def begin(self):
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        self._send(self._SETTINGS, 0, 0)
        # each a literal that is not indexed, names and values as they are
        headers = ((":method", "POST"), (":scheme", "http"), (":path", "/tg/e2e"),
                   (":authority", "e2e"), ("content-type", "application/json"),
                   ("x-telegram-bot-api-secret-token", SECRET))
        self._send(self._HEADERS, self._END_HEADERS, 1, b"".join(
            b"\0" + bytes([len(part[0])]) + part[0].encode() + bytes([len(part[1])])
            + part[1].encode() for part in headers))

    def end(self):
        self._send(self._DATA, self._END_STREAM, 1, self._body)

    async def status(self):
        """Of the frame of headers, whose first byte is the static table's entry of 200."""
        while True:
            head = await asyncio.wait_for(self._reader.readexactly(9), 30)
            payload = await self._reader.readexactly(int.from_bytes(head[:3], "big"))
            if head[3] == self._HEADERS:
                self._writer.close()
                return 200 if payload[0] == 0x88 else payload


def _allocated(pid):
    """KiB that the process has allocated, in memory or not; zones do not count."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        for line in file:
            if line.startswith("VmData:"):
                return int(line.split()[1])
    raise RuntimeError("no VmData")


async def test_held_bodies(case):
    """A held update takes what it is long, also if it did not say so before it came."""
    if own_allocator(case):
        return
    port = free_port()
    scene, nginx = await case.scene(
        # without the calls' buffers, which are allocated and not filled
        "tgbot_response_size 64k;",
        api=False, program_timeout="30s", nginx={"workers": 1},
        locations=f"        listen 127.0.0.1:{port} http2;\n")
    worker, = nginx.workers()
    numbers = itertools.count(1)
    # the first make the worker as large as calls and connections make it
    for name, make in (("with length", lambda n: _Http1(nginx.port, n, False)),
                       ("chunked", lambda n: _Http1(nginx.port, n, True)),
                       ("HTTP/2", lambda n: _Http2(port, n))):
        scene.program.hold()
        seen = len(scene.program.seen)
        updates = [make(next(numbers)) for _ in range(HELD)]
        before = _allocated(worker)
        for update in updates:
            await update.begin()
        # the module waits for each body, so that none can come with its headers
        while (await case.status(nginx)).value("held") < HELD:
            await asyncio.sleep(0.02)
        for update in updates:
            update.end()
        case.check(await until(lambda: len(scene.program.seen) == seen + HELD),
                   f"{name}: {len(scene.program.seen) - seen} of {HELD} updates at the program")
        grown = (_allocated(worker) - before) // HELD
        case.note(f"{name}: {grown} KiB for each of {HELD} updates")
        case.check(grown < PER_UPDATE or name == "with length",
                   f"{name}: {grown} KiB for each held update")
        scene.program.release()
        case.equal({await update.status() for update in updates}, {200}, f"{name}: statuses")
    await case.check_status(nginx)
    await case.stop(nginx)
    case.check_logs(nginx, allowed=("open socket",))


MIRRORED = 500                  # updates whose buffers are not given back
MOST_MIRRORED = 256 * 1024 // 576 + 1   # of them, in work


async def test_held_count(case):
    """What cannot be given back counts, and the worker's bound is kept."""
    scene, nginx = await case.scene(
        "mirror /mirror;", api=False, program_timeout="30s", nginx={"workers": 1},
        locations="        location = /mirror { internal; return 204; }\n")
    scene.program.hold()
    # too long for the buffer of headers
    updates = [_Http1(nginx.port, number, True, 2000 * "x")
               for number in range(1, MIRRORED + 1)]
    for update in updates:
        await update.begin()
        update.end()

    end = time.monotonic() + 20
    while (await case.status(nginx)).value("deliveries_total", "busy") < MIRRORED - MOST_MIRRORED:
        if not case.check(time.monotonic() < end, "too few are refused"):
            break
        await asyncio.sleep(0.05)
    scene.program.release()
    statuses = [await update.status() for update in updates]
    refused = statuses.count(503)
    case.note(f"{refused} of {MIRRORED} are refused")
    case.check(MIRRORED - MOST_MIRRORED <= refused < MIRRORED // 4, "not as many as they take")
    case.equal(statuses.count(200), MIRRORED - refused, "those that were in work")
    case.check("too many updates in work" in nginx.read("error.log"), "nothing is logged")
    await case.check_status(nginx)
    await case.stop(nginx)
    case.check_logs(nginx)
