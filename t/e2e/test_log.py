"""tgbot_log: one line for each update that work has ended for, and nothing of users."""

import asyncio
import contextlib
import json
import os
import re
import resource
import signal
from collections import Counter

import clients
from harness import SECRET, TOKEN, bot, suspend, until
from simulator.program import echo

KEYS = ["time", "bot", "update_id", "type", "mode", "verdict", "attempts", "waited", "ran",
        "api"]
WORDS = "words of a user"


def _read(case, nginx, *names):
    """The lines of log files, which are checked."""
    lines = []
    for name in names or ("tgbot.log",):
        text = nginx.read(name)
        case.check(text.endswith("\n") or not text, f"{name} ends within a line")
        for text_line in text.splitlines():
            try:
                line = json.loads(text_line)
            except ValueError:
                case.check(False, f"{name}: no JSON: {text_line}")
                continue
            case.equal(list(line), KEYS, f"{name}: keys")
            case.check(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$", line["time"]),
                       f"{name}: time {line['time']}")
            lines.append(line)
        for secret in (TOKEN, SECRET, WORDS):
            case.check(secret not in text, f"{name} has {secret!r}")
    return lines


async def _lines(case, nginx, count, seconds=10):
    """Waits for so many lines, which come within a second."""
    await until(lambda: nginx.read("tgbot.log").count("\n") >= count, seconds)
    lines = _read(case, nginx)
    case.equal(len(lines), count, "lines")
    return lines


def _program(update):
    """The words of a message say what the program does."""
    text = update.get("message", {}).get("text", "")
    if "two" in text:
        return [{"method": "sendMessage", "text": "one"},
                {"method": "sendMessage", "text": "two"}]
    return echo(update)


async def test_lines(case):
    """Each way that work ends has its line, what is no work has none."""
    scene, nginx = await case.scene(
        "tgbot_attempts 2; tgbot_retry attempts=5 backoff=10ms max_backoff=20ms;",
        updates=0, http="tgbot_log tgbot.log;", nginx={"workers": 1},
        locations=bot("own", "tgbot_reply hello;", api=False, handler="off")
        + bot("queued", "tgbot_queue zone=q:8m; tgbot_attempts 2 backoff=300ms;", api=False)
        + bot("limited", "tgbot_limit $tgbot_chat_id zone=l:1m rate=1r/m burst=1 "
              "reply=slow; tgbot_reply hello;", api=False)
        + bot("none", "", api=False, handler="off")
        + bot("silent", "tgbot_log off;", api=False))
    scene.program.answer = _program

    async def post(number, path="e2e", words=WORDS, secret=SECRET):
        answer = await clients.post(nginx.port, clients.text(number, words),
                                    f"/tg/{path}", secret=secret)
        return answer.status

    case.equal(await post(1, words=WORDS + " two"), 200, "status")
    case.equal(await post(1), 200, "status of a duplicate")
    scene.program.fault = "500"
    case.equal(await post(2), 500, "status of a failure")
    case.equal(await post(2), 200, "status of the last failure")
    case.equal(await post(3, "queued"), 200, "status of a queued one")
    await until(lambda: '"dead","attempts":2' in nginx.read("tgbot.log").replace(
        '"held","verdict":"dead"', ""), 10)
    scene.program.fault = None
    case.equal(await post(4, "own"), 200, "status of an own answer")
    case.equal(await post(5, "none"), 200, "status without a program")
    case.equal(await post(6, "silent"), 200, "status without a log")
    for number in (7, 8):
        case.equal(await post(number, "limited"), 200, "status of a limited one")
    case.equal(await post(9, secret="wrong"), 401, "status of a stranger")
    case.equal(await post(10, "queued"), 200, "status of another queued one")
    answer = await clients.post(nginx.port, b'{"update_id":11,"1:AAtoken":{}}',
                                "/tg/queued", secret=SECRET)
    case.equal(answer.status, 200, "status of a type that is no name")
    for number in (-11, 2 ** 63 - 1, 2 ** 63):
        case.equal(await post(number, "own"), 200, f"status of {number}")

    lines = await _lines(case, nginx, 11)
    got = [(line["bot"], line["update_id"], line["mode"], line["verdict"],
            line["attempts"]) for line in lines]
    case.equal(sorted(got, key=str), sorted([
        ("e2e", 1, "held", "done", 1), ("e2e", 2, "held", "failed", 1),
        ("e2e", 2, "held", "dead", 2), ("queued", 3, "queued", "dead", 2),
        ("own", 4, "held", "done", 0), ("limited", 7, "held", "done", 0),
        ("queued", 10, "queued", "done", 1), ("queued", 11, "queued", "done", 1),
        ("own", -11, "held", "done", 0), ("own", 2 ** 63 - 1, "held", "done", 0),
        ("own", None, "held", "done", 0)], key=str), "lines")
    case.equal({line["type"] for line in lines}, {"message", "1?"}, "types")
    of = {(line["bot"], line["update_id"]): line for line in lines}
    case.equal(of["e2e", 1]["api"], {"ok": 2}, "results of calls")
    case.equal(of["own", 4]["api"], {}, "results without calls")
    # the time between two tries is at least half of the backoff
    case.check(of["queued", 3]["waited"] >= 0.15, f"waited: {of['queued', 3]}")
    case.check(of["e2e", 1]["ran"] >= 0.004, f"ran: {of['e2e', 1]}")

    # the one that is dead is kept
    status = await case.status(nginx)
    case.equal(status.value("queue_depth", "dead", bot="queued"), 1, "dead letters")
    await case.stop(nginx)
    case.check_logs(nginx)


async def test_results(case):
    """Tries of Bot API calls count by their ends."""
    scene, nginx = await case.scene(
        "tgbot_log tgbot.log; tgbot_retry attempts=9 backoff=10ms max_backoff=20ms;",
        updates=300, chats=300, schedule=0.1, api_500=0.3, nginx={"workers": 1})
    scene.play()
    case.check(await scene.finished(60), "Telegram still has updates")
    lines = await _lines(case, nginx, 300)
    sums = Counter()
    for line in lines:
        sums.update(line["api"])
    status = await case.status(nginx)
    methods = status.data["bots"]["e2e"]["api_calls_total"].values()
    case.equal({result: sums[result] for result in ("ok", "5xx")},
               {result: sum(method[result] for method in methods)
                for result in ("ok", "5xx")}, "results in all lines")
    case.check(sums["5xx"] > 50, f"results {sums}")
    case.check_logs(nginx)


async def test_rotate(case):
    """Rotation and reloads under load: each update has one line in one of the files."""
    scene, nginx = await case.scene(
        "tgbot_log tgbot.log; tgbot_queue zone=q:16m;", updates=3000, chats=300, rate=800.0,
        schedule=0.1)
    scene.play()
    for number in range(3):
        await asyncio.sleep(0.8)
        os.rename(f"{nginx.directory}/tgbot.log", f"{nginx.directory}/tgbot.log.{number}")
        nginx.signal(signal.SIGUSR1)
        came = await until(lambda: os.path.exists(f"{nginx.directory}/tgbot.log"), 10)
        case.check(came, "the log was not opened again")
        if number == 1:
            nginx.signal(signal.SIGHUP)
    case.check(await scene.finished(60), "Telegram still has updates")
    await case.check_status(nginx, 30)
    case.check_books(case.books(scene))
    await case.stop(nginx)
    lines = _read(case, nginx, "tgbot.log", *(f"tgbot.log.{n}" for n in range(3)))
    counts = Counter(line["update_id"] for line in lines)
    case.equal(set(counts), set(scene.webhook.deliveries), "updates with a line")
    case.equal(set(counts.values()), {1}, "lines for an update")
    case.equal({(line["mode"], line["verdict"]) for line in lines}, {("queued", "done")},
               "what became of them")
    case.check_logs(nginx)


async def test_killed(case):
    """A worker that is killed takes no line with it that is older than a second."""
    scene, nginx = await case.scene("tgbot_log tgbot.log;", updates=300, chats=300)
    scene.play()
    case.check(await scene.finished(60), "Telegram still has updates")
    # within a second, or later on a machine that is busy
    await until(lambda: nginx.read("tgbot.log").count("\n") >= 300, 10)
    for pid in nginx.workers():
        nginx.kill(pid, scene)
    case.equal(len(_read(case, nginx)), 300, "lines after the death of all workers")
    await until(lambda: len(nginx.workers()) == 2)
    answer = await clients.post(nginx.port, clients.text(999999, WORDS))
    case.equal(answer.status, 200, "status")
    lines = await _lines(case, nginx, 301)
    case.equal(lines[-1]["update_id"], 999999, "last line")
    case.check_logs(nginx)


async def test_shared(case):
    """An access log in the same file does no harm: its lines are between ours."""
    scene, nginx = await case.scene(
        "tgbot_log both.log; access_log both.log combined;", updates=400, chats=300,
        nginx={"workers": 1})
    scene.play()
    case.check(await scene.finished(60), "Telegram still has updates")
    await case.stop(nginx)
    lines = nginx.read("both.log").splitlines()
    case.equal(sum(line.startswith('{"time":') for line in lines), 400, "our lines")
    case.equal(sum('"POST /tg/e2e HTTP/1.1" 200' in line for line in lines), 400,
               "lines of the access log")
    case.check_logs(nginx)


async def test_full(case):
    """A file that cannot be written to: that is told once, and work goes on."""
    if not os.path.exists("/dev/full"):
        case.skip("there is no /dev/full")
        return
    scene, nginx = await case.scene("tgbot_log /dev/full;", updates=3000, chats=300,
                                    rate=1000.0, nginx={"workers": 1})
    scene.play()
    case.check(await scene.finished(60), "Telegram still has updates")
    told = await until(lambda: "lines are lost" in nginx.read("error.log"), 5)
    case.check(told, "nobody was told")
    case.check_books(case.books(scene))
    case.equal(nginx.read("error.log").count("lines are lost"), 1, "times it was told")
    case.check_logs(nginx)


def _room(nginx, pid, room):
    """Lets a process write so many bytes more into the log, which is made its largest file."""
    size = os.path.getsize(f"{nginx.directory}/tgbot.log")
    resource.prlimit(pid, resource.RLIMIT_FSIZE,
                     (room if room == resource.RLIM_INFINITY else size + room,
                      resource.RLIM_INFINITY))


def _files(pid):
    """What a process has open, but for what it closes meanwhile."""
    files = set()
    for number in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            files.add(os.readlink(f"/proc/{pid}/fd/{number}"))
    return files


async def test_short(case):
    """A write ends within a line: what follows begins a line, and what is lost is counted."""
    scene, nginx = await case.scene(
        "tgbot_log tgbot.log; tgbot_reply hello;", api=False, handler="off", updates=0)
    path = f"{nginx.directory}/tgbot.log"
    sent = 0

    async def post(pid, count, size=None):
        """To one worker, until the log has that size, or another one than before."""
        nonlocal sent
        before = os.path.getsize(path)
        other = next(worker for worker in nginx.workers() if worker != pid)
        await suspend(other)
        for _ in range(count):
            sent += 1
            answer = await clients.post(nginx.port, clients.text(100 + sent, WORDS))
            case.equal(answer.status, 200, "status")
        came = await until(lambda: os.path.getsize(path) == size if size
                           else os.path.getsize(path) != before, 20)
        case.check(came, f"the log has {os.path.getsize(path)} bytes, expected {size}")
        os.kill(other, signal.SIGCONT)

    first, second = nginx.workers()
    await post(first, 1)
    length = os.path.getsize(path)
    with open(path, "a", encoding="ascii") as file:
        file.write("x" * (1 << 20) + "\n")

    # what ends the cut line: the worker that cut it, another one, a rotation
    for count, after in ((5, first), (3, second), (2, None)):
        room = length * (count - 2) + length // 2
        size = os.path.getsize(path) + room
        _room(nginx, first, room)
        await post(first, count, size)
        _room(nginx, first, resource.RLIM_INFINITY)
        if after is None:
            os.rename(path, f"{path}.1")
            nginx.signal(signal.SIGUSR1)
            case.check(await until(lambda: path in _files(first), 10), "not opened again")
        await post(after or first, 1)

    await case.stop(nginx)
    whole = 0
    cut = []
    for name in ("tgbot.log.1", "tgbot.log"):
        text = nginx.read(name)
        case.check(text.endswith("\n"), f"{name} ends within a line")
        for line in text.splitlines():
            if line.endswith("}}"):
                case.equal(line.count('"time"'), 1, f"lines in {line}")
                whole += 1
            elif not line.startswith("xx"):
                cut.append(line)
    case.equal(len(cut), 3, f"cut lines {cut}")
    case.check(all(line.startswith('{"time":') for line in cut), f"cut lines {cut}")
    told = [int(n) for n in re.findall(r"lines are lost: (\d+)", nginx.read("error.log"))]
    case.equal(sum(told), sent - whole, f"lines that are told to be lost, {told}")
    case.check_logs(nginx)
