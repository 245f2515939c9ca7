"""
Instructions of the worker per update, counted by callgrind of valgrind.  No clock is read, so
any machine will do, a busy one as well.

Each path runs twice, with FEW updates and with MANY.  Both counts have the start, the first
update of each user and the end in them, so their difference is what the other updates cost.
Updates come over one connection, each after the answer to the one before.  The program and the
Bot API are another nginx, which is not counted.
"""

import collections
import os
import re
import signal
import time

from measure import Void
from servers import MODULE, OTHER, Echo, Gateway, Nginx, Plain, Tgbot

FEW = 1000  # the load has as many users
MANY = 3000
TIMEOUT = 60
GATEWAY_MOST = 1.3  # times plain proxy_pass

QUEUE = "tgbot_queue  zone=updates:32m;"


class Upstream(Nginx):
    """the program and the Bot API"""

    file = "upstream"
    replies = False
    asked = 0

    def calls(self):
        """-> requests so far, without those of this function"""
        self.asked += 1
        status, body = self.request("GET", "/requests")
        if status != 200:
            raise Void(f"{self.name}: /requests is answered {status}")
        return int(body.split()[9]) - self.asked


class Counted:
    """
    a server under callgrind; aim: instructions at most; calls: requests to the program and the
    Bot API per update
    """

    aim = None
    times = None  # the aim as a path and a factor
    calls = 0
    lines = {}  # of its configuration

    def spawn(self, command, **env):
        # the worker writes its counts when it ends, and may be another user than root then
        os.chmod(self.directory, 0o1777)
        super().spawn(["valgrind", "--tool=callgrind",
                       f"--callgrind-out-file={self.directory}/callgrind.%p",
                       f"--log-file={self.directory}/valgrind.%p", *command], **env)

    def stop(self):
        """gracefully: the master kills no worker that takes long to write its counts"""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait()

    def done(self):
        """-> updates that are at the end of their path, None: those that were answered"""
        return None


class CountedTgbot(Counted, Tgbot):
    def done(self):
        return self.deliveries().get("done")


class Floor(Counted, Echo):
    path = "echo"
    text = "nginx, body read (echo): the floor"


class Reply(CountedTgbot):
    path = "reply"
    text = "secret, dedup, two limits, a reply rides"
    aim = 45000


class Proxy(Counted, Nginx):
    path = "proxy"
    text = "nginx, proxy_pass to the program"
    file = "proxy"
    replies = False
    calls = 1


class Held(CountedTgbot):
    path = "held"
    text = "held, a call of the program"
    file = "handler"
    replies = False
    calls = 1
    aim = 62000
    lines = {"queue": "", "answer": "nothing", "state": ""}


class Queued(Held):
    path = "queued"
    text = "queued, a call of the program"
    aim = 72000
    lines = {"queue": QUEUE, "answer": "nothing", "state": ""}

    def done(self):
        return self.status()["bots"]["bench"]["queue_items_total"]["done"]


class QueuedApi(Queued):
    path = "queued-api"
    text = "queued, the program and a Bot API call"
    calls = 2
    aim = 98000
    lines = {"queue": QUEUE, "answer": "call", "state": ""}

    def done(self):
        bot = self.status()["bots"]["bench"]
        results = bot["api_calls_total"].get("sendMessage", {})
        return min(bot["queue_items_total"]["done"], results.get("ok", 0))


class QueuedFile(Queued):
    path = "queued-file"
    text = "the same, and zones are files"
    aim = 72000
    lines = {"queue": QUEUE, "answer": "nothing", "state": "tgbot_state zones;"}


class CountedPlain(Counted, Plain):
    path = "plain"
    text = "nginx, proxy_pass to the Bot API"
    calls = 1


class CountedGateway(Counted, Gateway):
    path = "gateway"
    text = "gateway, a Bot API call"
    calls = 1
    times = ("plain", GATEWAY_MOST)


PATHS = (Floor, Reply, Proxy, Held, Queued, QueuedFile, QueuedApi, CountedPlain, CountedGateway)


def wait_until(server, what, value, expected):
    deadline = time.monotonic() + TIMEOUT
    while value() != expected:
        if time.monotonic() > deadline:
            raise Void(f"{server.name}: {value()} {what} instead of {expected}:"
                       f" {server.output()}")
        time.sleep(0.1)


def read_counts(path):
    """-> instructions by object: of each function its own, without those it called"""
    names = {}
    counts = collections.Counter()
    called = False
    with open(path, encoding="utf-8") as file:
        for line in file:
            ob = re.match(r"(c?)ob=\((\d+)\)(?: (.*))?", line)
            if ob:
                names.setdefault(ob[2], os.path.basename(ob[3] or ""))
                if not ob[1]:
                    current = names[ob[2]]
            elif line.startswith("calls="):
                called = True
            elif line[0] in "+-*0123456789":
                # the line after "calls=" has what the call cost
                cost = line.split()[1:]
                if cost and not called:
                    counts[current] += int(cost[0])
                called = False
            elif line.startswith("totals:"):
                total = int(line.split()[1])
    if sum(counts.values()) != total:
        raise Void(f"{path}: {sum(counts.values())} instructions instead of {total}")
    return counts


def run_path(load, server, upstream, updates):
    """-> instructions of the worker by object"""
    try:
        server.start()
        before = upstream.calls()
        load.run(server, updates, connections=1)
        wait_until(server, "calls", lambda: upstream.calls() - before, updates * server.calls)
        if server.done() is not None:
            wait_until(server, "updates done", server.done, updates)
        worker, = server.pids()
    finally:
        server.stop()
    if "[error]" in server.output() or upstream.calls() - before != updates * server.calls:
        raise Void(f"{server.name}: {upstream.calls() - before} calls, {server.output()}")
    return read_counts(f"{server.directory}/callgrind.{worker}")


def cost(load, kind, module, upstream, directory):
    """-> instructions per update by object"""
    values = {"upstream": upstream.port, **kind.lines}
    counts = []
    for updates in (FEW, MANY):
        server = kind(f"{kind.path}-{updates}", kind.text, directory, **values)
        if issubclass(kind, (Tgbot, Gateway)):
            server.modules = (module,)
        counts.append(run_path(load, server, upstream, updates))
    few, many = counts
    return {ob: round((many[ob] - few[ob]) / (MANY - FEW)) for ob in many
            if many[ob] - few[ob] >= MANY - FEW}


def summary(objects):
    return {"instructions": sum(objects.values()),
            "yajl": sum(count for ob, count in objects.items() if ob.startswith("libyajl")),
            "objects": objects}


def number(value):
    return f"{value:,}".replace(",", " ") if value else ""


def show(title, row, width):
    line = f"{title:{width}} {number(row['instructions']):>12} {number(row['yajl']):>12}"
    print(f"{line} {number(row.get('aim')):>8}".rstrip(), flush=True)


def run(load, directory):
    """prints a table; -> rows, failures"""
    upstream = Upstream("upstream", "the program and the Bot API", directory)
    rows = {}
    failures = []
    width = max(len(kind.text) for kind in PATHS) + 2
    try:
        upstream.start()
        print(f"\n{'':{width}} instructions of which yajl      aim", flush=True)
        for kind in PATHS:
            aim = kind.aim
            if kind.times:
                beside, factor = kind.times
                aim = round(rows[beside]["instructions"] * factor)
            row = rows[kind.path] = {
                "title": kind.text, "aim": aim,
                **summary(cost(load, kind, MODULE, upstream, directory))}
            show(kind.text, row, width)
            if aim and row["instructions"] > aim:
                failures.append(f"{kind.text}: {number(row['instructions'])} instructions,"
                                f" more than {number(aim)}")
            if OTHER and issubclass(kind, (Tgbot, Gateway)):
                row["other"] = summary(cost(load, kind, OTHER, upstream, directory))
                show("  the other module", row["other"], width)
    finally:
        upstream.stop()
    return rows, failures
