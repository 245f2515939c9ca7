"""Flooders are held at their rate, and others do not notice."""

import asyncio
import time
from collections import Counter, defaultdict

import clients
from harness import FULL, until

FLOODERS = range(1, 101)
CALM = range(1001, 1901)

RATE = 20
BURST = 30
TICK = 0.01                 # in each one every flooder sends an update
TICKS = 3000 if FULL else 600
CALM_TICKS = 150            # in so many every calm user sends one
CONNECTIONS = 8

# milliseconds: the clock of a worker stands still while it is at what has arrived
CLOCK = 20


class Sender(asyncio.Protocol):
    """Sends what it is given at once, and counts answers."""

    def __init__(self):
        self.statuses = Counter()
        self.sent = 0
        self.transport = None
        self._counter = clients.Statuses(self.statuses)

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self._counter.feed(data)

    def send(self, requests):
        self.sent += len(requests)
        self.transport.write(b"".join(requests))

    @property
    def behind(self):
        return self.sent - sum(self.statuses.values())


async def _traffic(case, nginx):
    """Sends it all; how many were sent."""
    loop = asyncio.get_running_loop()
    senders = []
    for _ in range(CONNECTIONS):
        _, sender = await loop.create_connection(Sender, "127.0.0.1", nginx.port)
        senders.append(sender)
        case.at_end(sender.transport.close)

    number = 100000
    share = len(CALM) // CALM_TICKS
    started = time.monotonic()
    for tick in range(TICKS):
        calm = tick % CALM_TICKS * share
        users = (*FLOODERS, *CALM[calm:calm + share])
        requests = [clients.request(clients.short(number + i, "hello", user))
                    for i, user in enumerate(users)]
        number += len(requests)
        for i, sender in enumerate(senders):
            sender.send(requests[i::CONNECTIONS])
        wait = started + (tick + 1) * TICK - time.monotonic()
        await asyncio.sleep(max(0.0, wait))
        # so not too much may arrive at a time
        if sum(sender.behind for sender in senders) > len(FLOODERS):
            await until(lambda: sum(sender.behind for sender in senders) < len(FLOODERS),
                        step=0.001)
    case.check(await until(lambda: not sum(sender.behind for sender in senders)),
               "updates without an answer")
    case.note(f"{number - 100000} updates in {time.monotonic() - started:.1f} s")
    statuses = sum((sender.statuses for sender in senders), Counter())
    case.equal(dict(statuses), {200: number - 100000}, "statuses")
    return number - 100000


def _decisions(text):
    """user: [(when, milliseconds, whether the update was handled)] in order of time."""
    users = defaultdict(list)
    for line in text.splitlines():
        when, user, verdict = line.split()
        users[int(user)].append((round(float(when) * 1000), verdict == "done"))
    for decisions in users.values():
        decisions.sort(key=lambda decision: decision[0])
    return users


def _accepted(decisions):
    """
    (accepted, promised, tolerance): from the first acceptance to the last one that
    follows a refusal, by the module's own clock.  Just before that one the bucket had
    less than a token, so all it was given has been taken, but for what came to it since
    that refusal.
    """
    first = decisions[0][0]
    last = max(i for i, (_, taken) in enumerate(decisions)
               if i and taken and not decisions[i - 1][1])
    accepted = sum(taken for _, taken in decisions[:last + 1])
    promised = BURST + RATE * (decisions[last][0] - first) / 1000
    gap = decisions[last][0] - decisions[last - 1][0] + CLOCK
    return accepted, promised, 1 + RATE * gap / 1000


async def test_flooders(case):
    scene, nginx = await case.scene(
        f"tgbot_limit $tgbot_user_id zone=users:1m rate={RATE}r/s burst={BURST};"
        "tgbot_reply ok; access_log limit.log limit;",
        http="log_format limit '$msec $tgbot_user_id $tgbot_verdict';", api=False)
    sent = await _traffic(case, nginx)

    users = _decisions(nginx.read("limit.log"))
    case.equal(sum(len(decisions) for decisions in users.values()), sent, "decisions")
    for user in CALM:
        refused = sum(not taken for _, taken in users[user])
        case.equal((len(users[user]), refused), (TICKS // CALM_TICKS, 0),
                   f"calm user {user}: updates, refused")

    sums = Counter()
    for user in FLOODERS:
        accepted, promised, tolerance = _accepted(users[user])
        sums.update(accepted=accepted, promised=promised)
        case.check(abs(accepted - promised) <= tolerance,
                   f"flooder {user}: {accepted} accepted, {promised:.1f} promised, "
                   f"{tolerance:.1f} tolerated")
    off = abs(sums["accepted"] / sums["promised"] - 1)
    case.note(f"flooders: {sums['accepted']} accepted, {sums['promised']:.0f} promised, "
              f"{off * 100:.2f} % off")
    case.check(off < 0.01, f"{off * 100:.2f} % off the promise")

    status = await case.check_status(nginx)
    for outcome, name in (("passed", "done"), ("dropped", "limited")):
        count = sum(taken == (name == "done") for decisions in users.values()
                    for _, taken in decisions)
        case.equal(status.value("limit_decisions_total", "users", outcome),
                   count, f"{outcome} by the status")
        case.equal(status.value("deliveries_total", name), count,
                   f"{name} by the status")
    case.equal(scene.program.seen, [], "updates at the program")
    await case.stop(nginx)
    case.check_logs(nginx)
