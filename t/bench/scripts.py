"""
What the scripts cost Redis: accepts, and updates taken, read and settled, per second of CPU
time of redis-server; with de-duplication and two limits, over many lanes.
"""

import os
import random
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, f"{TOP}/t/redis")

import server  # noqa: E402
from measure import SERVER_CORE, pin  # noqa: E402

AIMS = {"accepted": 25000, "settled": 20000}
PIPELINE = 64      # commands that a worker sends at once
TAKEN = 32         # lanes of a take
PAYLOAD = b"x" * 710
BOT = "{tgbot:shop}:"


def keys(text):
    return [BOT + key for key in text.split()]


class Bench:
    def __init__(self, connection, lanes, updates):
        self.redis = connection
        self.scripts = {name: connection.call("SCRIPT", "LOAD", server.text(name))
                        for name in server.names()}
        self.names = [f"{n * 0x9e3779b97f4a7c15 % 2**64:016x}" for n in range(1, lanes + 1)]
        self.updates = updates

    def script(self, name, script_keys, *argv):
        return ("EVALSHA", self.scripts[name], len(script_keys), *script_keys, *argv)

    def batch(self, commands):
        """-> the replies"""
        self.redis.send(*commands)
        replies = [self.redis.read() for _ in commands]
        for reply in replies:
            if isinstance(reply, server.Error):
                raise RuntimeError(reply)
        return replies

    def cpu(self):
        info = dict(line.split(":", 1) for line in
                    self.redis.call("INFO", "cpu").decode().splitlines() if ":" in line)
        return float(info["used_cpu_user"]) + float(info["used_cpu_sys"])

    def accept(self, limits=2):
        """-> accepts per second of CPU time"""
        fixed, chance = keys("meta seen:0 seen:1 lanes ready"), random.Random(1)
        begin, update_id = self.cpu(), 10**8
        for _ in range(self.updates // PIPELINE):
            commands = []
            for _ in range(PIPELINE):
                update_id += 1
                lane = chance.choice(self.names)
                buckets = [f"limit:bot limit:{lane}", (1, 1000, 0, 60000000, 1000, 0)]
                if not limits:
                    buckets = ["", ()]
                commands.append(self.script(
                    "accept", fixed + keys(f"lane:{lane} {buckets[0]}"), update_id, 4194304, lane,
                    PAYLOAD, 10**7, 10**10, 0, *buckets[1]))
            for reply in self.batch(commands):
                if reply[0] != 1:
                    raise RuntimeError(f"not accepted: {reply}")
        return self.updates / (self.cpu() - begin)

    def settle(self):
        """-> updates per second of CPU time"""
        begin, done, number = self.cpu(), 0, 1
        self.batch([self.script("beat", keys("meta ready flight workers held records replays lanes "
                                             "delayed progress"), "host/1", 10**9, number)])
        while True:
            number += 1
            taken = self.batch([self.script("take", keys("meta ready flight delayed workers"),
                                            "host/1", number, TAKEN, TAKEN)])[0][4:]
            if not taken:
                return done / (self.cpu() - begin)
            taken = [lane.decode() for lane in taken]
            heads = self.batch([command for lane in taken for command in
                                (("LINDEX", f"{BOT}lane:{lane}", 0),
                                 ("HMGET", f"{BOT}progress", lane, lane + "a"))])[::2]
            self.batch([self.script("settle", keys("meta ready flight lanes progress "
                                                   f"lane:{lane}"),
                                    lane, f"host/1/{number}", head.split(b" ", 1)[0], "done", 0)
                        for lane, head in zip(taken, heads)])
            done += len(taken)


def measure(sizes):
    """-> rows, failures"""
    rates = {}
    for limits in (0, 2):
        redis = server.Server(first=pin(SERVER_CORE))
        try:
            bench = Bench(redis.connect(), sizes["redis_lanes"], sizes["redis_updates"])
            rates["accepted" if limits else "accepted, no limits"] = bench.accept(limits)
            rates["settled"] = bench.settle()
        finally:
            redis.stop()
    rows = {f"{what}, per second of Redis' CPU": round(rate) for what, rate in rates.items()}
    return rows, [f"{rate:.0f} {what}, fewer than {AIMS[what]}" for what, rate in rates.items()
                  if rate < AIMS.get(what, 0)]
