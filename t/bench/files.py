"""
Queued updates, each with a call of the program, in zones that are files beside zones in memory:
the worker's CPU time, and how long it waits for the disk at 5 000 updates a second: while the
kernel writes the files back in its own time, while another process writes as well, and while the
files are synced all the time.
"""

import os
import statistics
import subprocess
import sys
import threading
import time

from instructions import QUEUE, Upstream, wait_until
from measure import LOAD_CORE, cpu, pin
from servers import Tgbot, start

MOST = 1.1      # times the CPU time of zones in memory
RATE = 5000     # updates a second
SIZE = 2000     # updates of a round
WAIT = 0.001    # seconds of a wait that counts
OTHERS = {"": "", ", and another process writes": """
import os
while True:
    with open('filler', 'wb', 0) as file:
        for _ in range(256):
            file.write(os.urandom(1 << 20))
        os.fsync(file.fileno())
""", ", and they are synced all the time": """
import glob, os
files = [os.open(name, os.O_RDWR) for name in glob.glob('zones/*')]
while True:
    for file in files:
        os.fsync(file)
"""}


class Queued(Tgbot):
    file = "handler"
    replies = False

    def done(self):
        return self.status()["bots"]["bench"]["queue_items_total"]["done"]


class Waits(threading.Thread):
    """looks every half millisecond whether a process waits for a disk, and for how long"""

    def __init__(self, pid):
        super().__init__()
        self.pid = pid
        self.over = False
        self.waits = []

    def run(self):
        begun = None
        with open(f"/proc/{self.pid}/stat", "rb", buffering=0) as file:
            while not self.over:
                waits = file.read(512).rpartition(b")")[2].split()[0] == b"D"
                file.seek(0)
                now = time.monotonic()
                if waits:
                    begun = begun or now
                elif begun:
                    self.waits.append(now - begun)
                    begun = None
                time.sleep(0.0005)

    def stop(self):
        self.over = True
        self.join()
        return [wait for wait in self.waits if wait >= WAIT]


def costs(load, servers, count):
    """-> for each server microseconds of the worker per update; the rounds take turns"""
    samples = {one: [] for one in servers}
    for number in range(count):
        for one in servers if number % 2 else servers[::-1]:
            before = cpu(one.pids())
            load.run(one, SIZE)
            wait_until(one, "updates are done", one.done, one.sent)
            samples[one].append((cpu(one.pids()) - before) / SIZE * 1e6)
    return samples


def stalls(load, one, seconds):
    """-> waits, microseconds within which 99 % were answered"""
    waits = Waits(one.pids()[0])
    waits.start()
    try:
        _, said = load.measure(one, int(RATE * seconds), rate=RATE)
    finally:
        found = waits.stop()
    wait_until(one, "updates are done", one.done, one.sent)
    return found, said["p99"]


def told(found, p99, seconds):
    return (f"{len(found)} waits of 1 ms and more in {seconds} s, the longest of "
            f"{max(found, default=0) * 1000:.0f} ms; 99 % answered within {p99 / 1000:.1f} ms")


def measure(load, directory, sizes):
    """-> rows, failures"""
    upstream = Upstream("files-program", "the program", directory)
    upstream.start()
    lines = {"upstream": upstream.port, "queue": QUEUE, "answer": "nothing"}
    servers = [Queued("files-memory", "memory", directory, state="", **lines),
               Queued("files-files", "files", directory, state="tgbot_state zones;", **lines)]
    rows = {}
    try:
        memory, files = running = start(servers)
        samples = costs(load, running, sizes["file_rounds"])
        ratio = statistics.median(
            ours / other for ours, other in zip(samples[files], samples[memory]))
        for one in running:
            rows[f"zones that are {one.title}"] = (
                f"{statistics.median(samples[one]):.1f} us of the worker")
        rows["ratio"] = f"{ratio:.2f}"
        seconds = sizes["file_seconds"]
        rows[f"memory, {RATE}/s"] = told(*stalls(load, memory, seconds), seconds)
        for what, program in OTHERS.items():
            with subprocess.Popen([sys.executable, "-c", program], cwd=files.directory,
                                  preexec_fn=pin(LOAD_CORE)) as other:
                try:
                    rows[f"files, {RATE}/s{what}"] = told(
                        *stalls(load, files, seconds), seconds)
                finally:
                    other.kill()
        os.unlink(f"{files.directory}/filler")
    finally:
        for one in (*servers, upstream):
            one.stop()
    return rows, [f"{ratio:.2f} times the worker's time with zones in memory, more than {MOST}"
                  ] if ratio > MOST else []
