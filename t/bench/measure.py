"""CPU time of a server's processes per update, the load coming from another core."""

import ctypes
import json
import os
import signal
import statistics
import subprocess
import time

SETTLE = 0.03
PR_SET_PDEATHSIG = 1

ALLOWED = sorted(os.sched_getaffinity(0))
LOAD_CORE = ALLOWED[0]
SERVER_CORE = ALLOWED[-1]

SECRET = "Bench-2f6a1c9e40d7"


class Void(Exception):
    """what was measured is not what was meant"""


def pin(*cores):
    """for what is started: on these cores, before all else there if that is allowed"""
    def run():
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        os.sched_setaffinity(0, cores)
        os.setsid()
        try:
            os.setpriority(os.PRIO_PROCESS, 0, -20)
            with open("/proc/self/autogroup", "w", encoding="ascii") as file:
                file.write("-20")
        except OSError:
            pass
    return run


def cpu(pids):
    """seconds that all threads of the processes have run"""
    total = 0
    for pid in pids:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as file:
                total += int(file.read().split()[0])
    return total / 1e9


class Load:
    def __init__(self, program, directory):
        self.program = program
        subprocess.run([os.environ.get("CC", "cc"), "-O2", "-o", program,
                        os.path.join(directory, "load.c")], check=True)

    def run(self, server, requests, warm=0, **options):
        """
        -> microseconds of CPU per update, share of the core; each update must be answered
        200, and with a message unless the server makes none.

        connections, depth, block, users; random: users in no order; bare: updates of
        nothing but an id; bulk_path, bulk: so many calls of bulk wait all the time
        """
        used, result = self.measure(server, requests, warm, **options)
        return used / requests * 1e6, used / result["seconds"]

    def measure(self, server, requests, warm=0, **options):
        """
        -> seconds of CPU, and what the load says; rate: updates a second, then it says
        within how many microseconds a half (p50) and 99 % (p99) of them were answered; sleep:
        the load leaves its core to others while it waits
        """
        letters = {"connections": "c", "depth": "d", "block": "b", "users": "k", "rate": "R",
                   "bulk_path": "B", "bulk": "q"}
        arguments = [self.program, "-p", server.port, "-u", server.uri, "-s", SECRET,
                     "-n", requests, "-w", warm,
                     "-i", server.take(requests + warm, options.get("block", 1))]
        if server.calls_by_itself:
            arguments.append("-m")
        for name, value in options.items():
            if name in letters:
                arguments += [f"-{letters[name]}", value]
            elif value:
                arguments += [{"random": "-r", "bare": "-e", "sleep": "-z"}[name]]
        with subprocess.Popen(
                [str(argument) for argument in arguments], stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, text=True, preexec_fn=pin(LOAD_CORE)) as process:
            if process.stdout.readline() != "ready\n":
                raise Void(f"{server.name}: no load, see above and {server.directory}")
            time.sleep(SETTLE)
            before = cpu(server.pids())
            process.stdin.write("\n")
            process.stdin.flush()
            line = process.stdout.readline()
            time.sleep(SETTLE)
            used = cpu(server.pids()) - before
        if not line:
            raise Void(f"{server.name}: the load broke off, see above and {server.directory}")
        result = json.loads(line)
        self.check(server, result, requests + warm, options.get("bare"))
        return used, result

    def seed(self, server, updates, **options):
        """as fast as it goes"""
        self.run(server, updates, depth=16, connections=8, **options)

    @staticmethod
    def check(server, result, sent, bare):
        if result["ok"] != sent:
            raise Void(f"{server.name}: {result['ok']} of {sent} updates were answered 200, "
                       f"others {result['status']}")
        if server.replies and not bare and result["replies"] != sent:
            raise Void(f"{server.name}: {result['replies']} of {sent} updates got a message")
        server.sent += sent
        server.bare += sent if bare else 0


def rounds(load, servers, count, seconds):
    """
    -> for each server a list of (microseconds, share of the core), one a round; the rounds of
    all servers take turns, each of about so many seconds
    """
    sizes = {}
    for server in servers:
        load.run(server, server.warm, **server.options)
        cost, _ = load.run(server, server.warm, **server.options)
        sizes[server] = max(200, int(seconds * 1e6 / cost))
    samples = {server: [] for server in servers}
    for number in range(count):
        order = servers if number % 2 == 0 else servers[::-1]
        for server in order:
            size = sizes[server]
            samples[server].append(
                load.run(server, size, warm=max(100, size // 20), **server.options))
    return samples


def summary(samples, base):
    """of one server: medians, and how it compares with another one round by round"""
    costs = [cost for cost, _ in samples]
    ratios = [cost / other for cost, (other, _) in zip(costs, base)]
    low, _, high = statistics.quantiles(costs, n=4)
    return {
        "microseconds": statistics.median(costs),
        "quartiles": [low, high],
        "ratio": statistics.median(ratios),
        "core": statistics.median(share for _, share in samples),
        "rounds": costs,
    }
