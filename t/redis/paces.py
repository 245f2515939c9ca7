"""
The world of tgbot_pace: machines send bulk to the chats of one bot.  The Bot API has the bot's
buckets, calls take differently long to it, and it must refuse none but those to a chat that it
has stopped.
"""

import collections
import heapq
import os
import random

import server
from world import check

SECOND = 10**6

# chats, groups, and the rate of the bot: either that is scarce, or all are
SIZES = ((40, 8, (33334, 30)), (8, 2, (150000, 8)), (8, 0, (1000, 30)))
LIMIT = 60000         # ms that a call waits at most
LEASE = 5000
LATE = 250000         # us that a call may be late for its place
CLOCK = 5000          # and early
WAY = 400000          # us to the Bot API at most: what the buckets keep back covers it
ANSWER = 50000
KINDS = {"calm": {}, "network": {"lose": 3}, "workers": {"lose": 2, "kill": 1, "early": 50},
         "flush": {"flush": 1}, "delete": {"delete": 1}}


class Call:
    def __init__(self, machine, chat):
        self.machine, self.chat = machine, chat
        self.due = 0              # of its place in the buckets of its chat
        self.probe = False
        self.asked = 0            # when it asked first


class Machine:
    def __init__(self, name):
        self.name = name
        self.busy = set()         # chats that have a call under way
        self.flight = 0           # calls that have a token of the machine's own bucket
        self.dead = False


class Paces:
    prefix = "{t:bot}:"

    def __init__(self, connection, scripts, seed, faults):
        self.connection, self.scripts = connection, scripts
        self.random = random.Random(seed)
        self.faults = KINDS[faults]
        self.clock = 4 * 10**15   # so late that no key expires meanwhile
        self.steps = 0
        self.trace = collections.deque(maxlen=int(os.environ.get("TGBOT_TRACE", 60)))
        self.counts = collections.Counter()
        self.events = []
        self.people, groups, rate = self.random.choice(SIZES)
        self.chats = [str(n) for n in range(-groups, self.people + 1) if n]
        self.rates = {"pace": (SECOND, 3), "group": (3 * SECOND, 20), "all": rate}
        self.period, self.burst = rate
        self.full = collections.Counter()     # of the Bot API's buckets
        self.floods = {}          # chat => until when the Bot API takes nothing there
        self.told = {}            # chat => end of the pause, as Redis was told
        self.probes = {}          # chat => call that goes first, not answered
        self.places = collections.deque()     # of the bot, when they were given
        self.forgot = False       # keys were deleted: more may be sent than is allowed
        self.sent = self.lost = 0
        self.connection.send(("FLUSHALL",), ("RPUSH", self.key("clock"), 0, 0))
        self.connection.read(), self.connection.read()
        self.machines = [Machine(f"m{n}") for n in range(self.random.randint(2, 3))]
        for machine in self.machines:
            self.feed(machine)

    def key(self, kind):
        return self.prefix + kind

    def at(self, us, function, *arguments):
        heapq.heappush(self.events, (self.clock + us, self.random.random(), function, arguments))

    def execute(self, script, keys, *argv):
        second, rest = divmod(self.clock, SECOND)
        clock = self.key("clock")
        keys = [self.key(key) for key in keys]
        self.connection.send(("LSET", clock, 0, second), ("LSET", clock, 1, rest),
                             ("EVALSHA", self.scripts[script], len(keys), *keys, *argv))
        reply = [self.connection.read() for _ in range(3)][2]
        check(not isinstance(reply, server.Error), script, "failed:", reply)
        self.counts[script] += 1
        self.trace.append(f"{self.steps} {self.clock / 1e6:.3f} {script} {keys[1:]} {argv}"
                          f" -> {reply}")
        return reply

    def buckets(self, call, bot=True):
        kinds = ["pace"] + ["group"] * call.chat.startswith("-") + ["all"] * bot
        keys = ["pace:all" if kind == "all" else f"{kind}:{call.chat}" for kind in kinds]
        return keys, [number for kind in kinds for number in self.rates[kind]]

    # a machine

    def feed(self, machine):
        """the machine's zone lets calls go, one in a chat, as many as it has tokens"""
        if machine.dead:
            return
        free = [chat for chat in self.chats if chat not in machine.busy]
        self.random.shuffle(free)
        while free and machine.flight < self.burst:
            call = Call(machine, free.pop())
            machine.busy.add(call.chat)
            machine.flight += 1
            call.asked = self.clock
            self.at(self.random.randrange(5000), self.ask, call)

    def ask(self, call):
        if call.machine.dead:
            return
        if self.happens("lose"):
            self.lost += 1                    # the reply is, and the call is cancelled
        keys, rates = self.buckets(call)
        what, ms, *more = self.execute(
            "pace", ["meta", f"stop:{call.chat}", "stop", *keys], LIMIT, LEASE, call.due, *rates)
        self.counts[f"pace {what}"] += 1
        us = ms * 1000
        stopped = self.told.get(call.chat, 0) > self.clock
        check(what == 2 or not stopped or self.forgot, call.chat, "is stopped, and not for",
              call.machine.name)
        if what == 0:
            check(self.clock >= call.due - CLOCK, call.chat, "goes before its place")
            self.go(call, us, more[0])
        elif what == 1:
            check(not call.due or call.due == more[0] or self.clock > call.due + LATE, call.chat,
                  "has a place, and is given another")
            call.due, = more
            call.machine.flight -= 1          # it waits in the zone
            # its machine may have forgotten the wait
            early = "early" in self.faults and self.happens("early")
            self.at(self.random.randrange(us) if early else us, self.ripe, call)
            self.feed(call.machine)
        elif what == 2:
            check(stopped or self.forgot, call.chat, "is not stopped")
            self.at(us, self.ask, call)
        elif what == 3:
            check(0 < ms <= 200 and more == [1], "asks again in", ms, "because of", more)
            call.machine.flight -= 1
            self.at(us, self.ripe, call)
            self.feed(call.machine)
        else:
            check(False, "nobody waits for so long as", ms)

    def ripe(self, call):
        call.machine.flight += 1
        self.ask(call)

    def go(self, call, us, probe):
        now = self.clock
        if call.chat in self.told and not self.forgot:
            check(probe and call.chat not in self.probes, call.chat, "has two that go first")
        call.probe = bool(probe)
        if probe:
            self.probes[call.chat] = call
        # no machine starves: there is nobody before it but who asked before
        while self.places and self.places[0] <= now - self.burst * self.period:
            self.places.popleft()
        if not self.forgot:
            most = (len(self.places) + 1 + self.lost) * self.period + SECOND
            check(us <= most, "waits for", us, "us behind", len(self.places), "places")
        self.places.append(now + us)
        kind = self.random.random()
        if kind < 0.02 and not call.probe:
            self.at(self.random.randrange(us + 1), self.cancel, call)
        else:
            self.at(us + self.random.randrange(WAY), self.arrive, call)

    def cancel(self, call):
        if call.machine.dead:
            return
        keys, rates = self.buckets(call)
        self.execute("pace_back", ["meta", *keys], *rates)
        self.end(call)

    def end(self, call):
        call.machine.busy.discard(call.chat)
        call.machine.flight -= 1
        self.feed(call.machine)

    # the Bot API

    def arrive(self, call):
        if call.machine.dead and self.random.random() < 0.5:
            return
        if self.floods.get(call.chat, 0) > self.clock:
            self.at(self.random.randrange(ANSWER), self.flooded, call, self.floods[call.chat])
            return
        keys, rates = self.buckets(call)
        for key, period, burst in zip(keys, rates[::2], rates[1::2]):
            full = max(self.full[key], self.clock) + period
            check(full <= self.clock + period * burst + 1000 or self.forgot, key, "is",
                  full - self.clock - period * burst, "us too full")
            self.full[key] = full
        self.sent += 1
        self.at(self.random.randrange(ANSWER), self.answered, call)

    def answered(self, call):
        if call.machine.dead:
            self.unprobe(call)
            return
        fails = call.probe and self.random.random() < 0.3
        if call.probe:
            self.unprobe(call)
            if not fails:
                self.told.pop(call.chat, None)
            self.stop(call, -1 if fails else 0)
        self.end(call)

    def flooded(self, call, until):
        self.unprobe(call)
        if call.machine.dead:
            return
        ms = -(-(until - self.clock) // 1000)
        if ms > 0:
            self.told[call.chat] = max(self.told.get(call.chat, 0), self.clock + ms * 1000)
            self.stop(call, ms)
        elif call.probe:
            self.stop(call, -1)
        self.end(call)

    def stop(self, call, ms):
        self.execute("pace_stop", ["meta", f"stop:{call.chat}", "stop"], ms, call.chat,
                     int(call.probe))

    def unprobe(self, call):
        if self.probes.get(call.chat) is call:
            del self.probes[call.chat]

    # faults

    def happens(self, kind):
        return self.random.random() < self.faults.get(kind, 0) / 1000

    def fault(self):
        if self.happens("kill"):
            machine = self.random.choice(self.machines)
            self.lost += machine.flight
            machine.dead = True
            self.machines.remove(machine)
            self.machines.append(Machine(f"m{self.steps}"))
            self.feed(self.machines[-1])
            self.probes = {chat: call for chat, call in self.probes.items()
                           if call.machine is not machine}
        if self.happens("flush") or self.happens("delete"):
            self.forgot = True
            keys = ["pace:all", "stop", *(f"{kind}:{chat}" for kind in ("pace", "group", "stop")
                                          for chat in self.chats)]
            keys = keys if "flush" in self.faults else self.random.sample(keys, 5)
            self.connection.call("DEL", *map(self.key, keys))

    def run(self, steps):
        began = self.clock
        while self.steps < steps:
            self.steps += 1
            self.clock, _, function, arguments = heapq.heappop(self.events)
            function(*arguments)
            self.fault()
            if self.random.random() < 0.01:
                self.floods[self.random.choice(self.chats)] = (
                    self.clock + self.random.randrange(1, 5) * SECOND)
        # many chats alone allow more than the bot: all of its rate is used
        if not self.forgot and self.people > 8:
            took = self.clock - began - 2 * SECOND
            least = took // self.period * 0.9 - self.lost
            check(self.sent >= least, self.sent, "calls were sent, and there was time for",
                  int(least))
        for key in self.connection.call("KEYS", self.key("*")):
            check(key.decode().startswith((self.key("pace:"), self.key("group:"),
                                           self.key("stop"), self.key("clock"))), "there is", key)
