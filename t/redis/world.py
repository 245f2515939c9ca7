"""
A simulated world around the scripts: workers of several machines that send commands over
connections of their own to a real Redis whose clock is the simulation's.  Each step is one
thing: a command is executed, a reply arrives, a worker does something, or a fault.

What the workers know is kept apart from what has happened: a command tells the history what
its execution means ("seen"), and its worker what the reply was ("done").  The history is
checked as it grows.
"""

import collections
import os
import random

import server

LEASE = 3000          # ms
BEAT = 1000
UNKNOWN = object()    # the reply of a command whose connection was lost
FORGED = 10**12       # no id of Telegram's is above


# kinds of episodes, and how often each fault comes
NETWORK = {"late": 40, "cut": 25}
WORKERS = {**NETWORK, "kill": 8, "sleep": 8, "away": 2}
FAULTS = {"calm": {}, "network": NETWORK, "workers": WORKERS, "flush": {**WORKERS, "flush": 2},
          "delete": {**WORKERS, "delete": 16}}


class Violation(Exception):
    """what must always hold did not"""


def check(what, *about):
    if not what:
        raise Violation(" ".join(map(str, about)))


class Command:
    def __init__(self, verb, keys, argv, done=None, seen=None):
        self.verb, self.keys, self.argv = verb, keys, argv
        self.done = done or (lambda reply: None)
        self.seen = seen or (lambda reply: None)

    def __str__(self):
        return f"{self.verb} {' '.join(map(str, self.argv))}"[:400]


class Hold:
    """a lane, claim or letter that a worker has under a token"""

    def __init__(self, number, since, state="new"):
        self.number, self.since, self.state = number, since, state
        self.item = None
        self.asked = 0        # how often its end was sent again
        self.settled = False  # its end was executed


class Worker:
    def __init__(self, name):
        self.name = name
        self.number = 0
        self.wire = collections.deque()      # sent, not executed
        self.replies = collections.deque()   # executed, not received
        self.holds = {}                      # "l<lane>", "c<id>", "d<letter>" => Hold
        self.awaited = set()                 # numbers of takes, claims and leases
        self.confirmed = None                # when the last beat that was answered was sent
        self.broken = 0                      # when its lease was over, in truth
        self.beaten = None                   # when the last beat was sent
        self.asleep = 0                      # until this step

    def draw(self):
        self.number += 1
        return self.number

    def token(self, key):
        return f"{self.name}/{self.holds[key].number}"


class World:
    """What the worlds of lanes and of claims have in common."""

    prefix = "{t:bot}:"
    beat_keys = ("meta", "ready", "flight", "workers", "held", "records", "replays", "lanes",
                 "delayed", "progress")
    # one of these is deleted in an episode, beside lists of lanes
    deleted = ("",)

    def __init__(self, connection, scripts, seed, faults):
        self.connection, self.scripts = connection, scripts
        self.random = random.Random(seed)
        self.faults = FAULTS[faults]
        self.calm = calm = not self.faults
        self.clock = 4 * 10**15              # us; so late that no bucket expires meanwhile
        self.steps = 0
        self.pace = 3000 if calm else 20000  # us a step, at most
        self.late = []                       # commands that are executed some time
        self.trace = collections.deque(maxlen=int(os.environ.get("TGBOT_TRACE", 60)))
        self.counts = collections.Counter()
        self.leases = {}                     # worker => until, ms
        self.delicate = self.random.choice(self.deleted)
        self.workers = []
        self.epoch = 0
        self.faulty = not calm
        self.forget_rings()
        self.flush()
        for _ in range(self.random.randint(3, 7)):
            self.start_worker()

    # Redis

    def key(self, kind):
        return self.prefix + kind

    def redis(self, *commands):
        """-> replies of plain commands"""
        self.connection.send(*commands)
        return [self.connection.read() for _ in commands]

    def execute(self, command):
        second, rest = divmod(self.clock, 1_000_000)
        clock = self.key("clock")
        keys = [self.key(key) for key in command.keys]
        commands = [("LSET", clock, 0, second), ("LSET", clock, 1, rest)]
        if command.verb == "read":
            commands += [("LINDEX", keys[0], 0), ("HMGET", keys[1], *command.argv)]
        else:
            commands.append(("EVALSHA", self.scripts[command.verb], len(keys), *keys,
                             *command.argv))
        replies = self.redis(*commands)[2:]
        for reply in replies:
            check(not isinstance(reply, server.Error), command, "failed:", reply)
        reply = replies if command.verb == "read" else replies[0]
        self.trace.append(f"{self.steps} {self.clock / 1e6:.3f} {command} -> {str(reply)[:400]}")
        self.counts[command.verb] += 1
        command.seen(reply)
        return reply

    def flush(self):
        self.redis(("FLUSHALL",), ("RPUSH", self.key("clock"), 0, 0))

    # workers

    def start_worker(self):
        self.epoch += 1
        self.workers.append(Worker(f"m{self.epoch % 3}-{self.epoch}"))

    def send(self, worker, verb, keys, argv, done=None, seen=None):
        worker.wire.append(Command(verb, keys, argv, done, seen))

    def valid(self, worker):
        return worker.confirmed is not None and self.clock < worker.confirmed + LEASE * 1000

    def beat(self, worker):
        sent = self.clock
        number = worker.draw()

        def done(reply):
            if reply is UNKNOWN:
                return
            worker.confirmed = max(sent, worker.confirmed or 0)
            # what is awaited still was executed after the beat: replies come in order
            for lost in reply[4:]:
                name, _, number = lost.decode().rpartition("/")
                for key, hold in list(worker.holds.items()):
                    if hold.number == int(number) and name in ("", key):
                        self.lose(worker, key)

        named = [f"{key}/{hold.number}" for key, hold in worker.holds.items()]
        worker.beaten = sent
        self.send(worker, "beat", self.beat_keys,
                  [worker.name, LEASE, number, *named, *sorted(worker.awaited)], done,
                  lambda _: self.see_beat(worker))

    def see_beat(self, worker):
        """leases, as they should be"""
        now = self.clock // 1000
        if worker in self.leases and all(until <= now for until in self.leases.values()):
            self.leases = dict.fromkeys(self.leases, now + LEASE)
        for other, until in list(self.leases.items()):
            if until <= now:
                other.broken = self.clock
                del self.leases[other]
        self.leases[worker] = now + LEASE

    def lose(self, worker, key, answered=False):
        """the worker learns that it does not hold this; what it sent as an end may say so, too"""
        hold = worker.holds[key]
        over = self.leases.get(worker, 0) <= self.clock // 1000
        check(over or worker.broken >= hold.since or hold.settled or self.gone(key),
              worker.name, "lost", key, "under a lease")
        if not hold.settled:
            self.lost(hold, key)
        if hold.state != "end" or answered:
            del worker.holds[key]

    def gone(self, key):
        """whether what is held may be lost for another reason"""
        return False

    def lost(self, hold, key):
        """a world marks what may happen twice now"""

    def work(self, worker):
        """one thing that a worker does, but for the beat"""

    def others(self, worker, key):
        """workers that may work on the same, as far as they know"""
        return [other.name for other in self.workers
                if other is not worker and key in other.holds
                and other.holds[key].state == "work" and self.valid(other)]

    # rings

    def forget_rings(self):
        self.opened = None      # the id that opened a ring
        self.newest = 0         # highest id accepted
        self.forgotten = False  # what is accepted may be accepted again

    def open(self, update_id):
        """the id has a ring; one that Telegram's ids have not moved yet may go for a forged id"""
        if update_id < FORGED:
            self.opened = self.opened or update_id
        elif self.opened is None or self.newest <= self.opened:
            self.forgotten = True

    def move(self, update_id):
        if update_id < FORGED:
            self.newest = max(self.newest, update_id)

    def remembered(self, update_id, window):
        """whether a ring must know the id, once it is accepted"""
        return not self.forgotten and self.newest - window < update_id < FORGED

    # steps

    def step(self):
        self.steps += 1
        self.clock += self.random.randrange(self.pace)
        if self.faulty and self.random.random() < 0.03:
            self.fault()
            return
        awake = [worker for worker in self.workers if worker.asleep <= self.steps]
        if not awake:
            return
        worker = self.random.choice(awake)
        kind = self.random.random()
        if kind < 0.38:
            self.deliver(worker)
        elif kind < 0.75:
            if worker.replies:
                command, reply = worker.replies.popleft()
                command.done(reply)
        elif worker.beaten is None or self.clock - worker.beaten > BEAT * 1000:
            self.beat(worker)
        else:
            self.act(worker)

    def act(self, worker):
        """works, unless its lease may be over: then a beat tells what it holds still"""
        if self.valid(worker):
            self.work(worker)

    def deliver(self, worker):
        if not worker.wire:
            return
        wire = worker.wire
        if self.faulty and len(wire) > 1 and self.random.random() < 0.02:
            wire[0], wire[1] = wire[1], wire[0]    # the script of the first was unknown
        command = wire.popleft()
        worker.replies.append((command, self.execute(command)))
        if self.faulty and self.random.random() < 0.08:
            self.late.append(command)

    def fault(self):
        kind = self.random.choices(list(self.faults), list(self.faults.values()))[0]
        worker = self.random.choice(self.workers)
        self.counts[f"fault {kind}"] += 1
        if kind == "late":
            if self.late:
                self.execute(self.late.pop(self.random.randrange(len(self.late))))
            return
        self.trace.append(f"{self.steps} {self.clock / 1e6:.3f} -- {kind} {worker.name}"
                          f" {self.delicate}")
        if kind == "cut":
            self.cut(worker)
        elif kind == "kill":
            self.kill(worker)
        elif kind == "sleep":
            worker.asleep = self.steps + self.random.randrange(1000)
        elif kind == "away":
            for other in self.workers:
                self.cut(other)
            self.clock += LEASE * 1000 * self.random.randint(1, 3)
        elif kind == "flush":
            self.flush()
            self.flushed()
        else:
            self.delete(self.delicate if self.random.random() < 0.2 else "lane")

    def leave(self, worker):
        """the connection is lost: what was sent is executed later, or never"""
        for command in worker.wire:
            if self.random.random() < 0.5:
                self.late.append(command)
        left = [command for command, _ in worker.replies] + list(worker.wire)
        worker.wire.clear()
        worker.replies.clear()
        return left

    def cut(self, worker):
        for command in self.leave(worker):
            command.done(UNKNOWN)

    def kill(self, worker):
        self.leave(worker)
        self.workers.remove(worker)
        for key, hold in worker.holds.items():
            self.lost(hold, key)
        self.start_worker()

    def flushed(self):
        """all keys are gone"""

    def void(self):
        """nothing is promised to who works now: another worker may do the same"""
        for worker in self.workers:
            for key, hold in worker.holds.items():
                self.lost(hold, key)
            worker.holds.clear()
            self.cut(worker)
        self.leases.clear()

    def delete(self, kind):
        """the key is deleted"""

    # the end

    def run(self, steps):
        while self.steps < steps:
            self.step()
            if self.steps % 8 == 0:
                self.inspect()
        self.faulty = False
        for command in self.late:
            self.execute(command)
        self.late = []
        for worker in self.workers:
            worker.asleep = 0
        self.closing()
        last = self.steps + 40000
        while self.steps % 16 or self.unsettled() or any(w.holds for w in self.workers):
            check(self.steps < last, "what is left does not end:", self.left())
            self.step()
        for worker in self.workers:
            self.leave(worker)
            worker.awaited.clear()
            self.beat(worker)
            self.deliver(worker)
        self.inspect()
        self.finish()

    def closing(self):
        """no more comes in"""

    def unsettled(self):
        """whether something is left in the keys"""
        return False

    def left(self):
        return [(worker.name, list(map(str, worker.wire)), list(worker.holds))
                for worker in self.workers if worker.wire or worker.holds]

    def inspect(self):
        """compares the keys with the history"""

    def finish(self):
        """what must hold when all is done"""
