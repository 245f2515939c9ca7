"""
Two processes and four workers send to many chats at once, as fast as the limits of
Telegram allow, and no faster.
"""

import asyncio
import json
import os
import sys
from collections import defaultdict

from harness import FULL, TOKEN, TOP, bot, free_port, until
from simulator.botapi import BotApi
from simulator.http1 import fetch

# of Telegram's limits
SCALE = 1 if FULL else 10

# messages to a chat, to a group, from each of the processes
PEOPLE = [str(number) for number in range(1, 301)]
GROUPS = [str(-number) for number in range(1, 21)]
MESSAGES = {**dict.fromkeys(PEOPLE, 3), **dict.fromkeys(GROUPS, 5)}
ALL = 2 * sum(MESSAGES.values())
# the bot's burst is the calls of a second, so that it lasts as long at any scale
BURST = SCALE * 30
LIMITS = dict(chat=(SCALE, 3), group=(SCALE * 20 / 60, 20), bot=(SCALE * 30, BURST))

# this one is under a 429 meanwhile
PAUSED = "7"

CONF = """\
    upstream bot_api {{ server 127.0.0.1:{api}; keepalive 64; }}
    tgbot_secret_token off;
    tgbot_pace zone=pace:4m chat={chat}r/s group={group}r/m global={bot}r/s
               global_burst={bot} max_wait=150s;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
{webhook}
        location /bulk/ {{ tgbot_gateway e2e bulk timeout=150s; }}
        location /people/ {{ tgbot_gateway e2e; }}
        location = /_api {{
            internal;
            proxy_pass http://bot_api$tgbot_api_uri;
        }}
        location /status {{ tgbot_status; }}
    }}
"""


class Sender:
    """A process that sends its half."""

    def __init__(self, process):
        self._process = process

    async def sent(self):
        """Waits until it has sent a round; None, or the statuses when there is no other."""
        line = (await self._process.stdout.readline()).decode().strip()
        return None if line == "sent" else json.loads(line)

    def go_on(self):
        self._process.stdin.write(b"\n")

    async def ended(self):
        await self._process.wait()


async def sender(case, name, port):
    return Sender(await asyncio.create_subprocess_exec(
        sys.executable, f"{TOP}/t/e2e/callers/bulk.py", name, str(port), "/bulk/",
        json.dumps(MESSAGES), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE))


def taken(port):
    """Whether nginx has read all that was sent to it."""
    with open("/proc/net/tcp", encoding="ascii") as sockets:
        return not any(
            int(queues.split(":")[1], 16) for local, queues in
            ((fields[1], fields[4]) for fields in map(str.split, list(sockets)[1:]))
            if local.endswith(f":{port:04X}"))


def waited(nginx):
    """
    Seconds in which the Bot API could have run and the machine ran others, and of each of the
    workers on an average: what one of them cannot send is a part of the calls.
    """
    waits = []
    for pid in (os.getpid(), *nginx.workers()):
        with open(f"/proc/{pid}/schedstat", encoding="ascii") as file:
            waits.append(int(file.read().split()[1]) / 1e9)
    return waits[0] + sum(waits[1:]) / (len(waits) - 1)


async def push(senders, port):
    """All the calls, in rounds: one is there before the next begins.  Statuses."""
    while True:
        said = [await process.sent() for process in senders]
        if None not in said:
            for process in senders:
                await process.ended()
            return said
        await until(lambda: taken(port))
        for process in senders:
            process.go_on()


async def people(port, count=50):
    """Answers to people, one after the other: the statuses of the calls."""
    return [(await fetch("127.0.0.1", port,
                         f"/people/sendMessage?chat_id={10000 + number}&text=Hi")).status
            for number in range(count)]


def check_order(case, bulk):
    """Each chat got what a process sent to it in the order in which it was sent."""
    numbers = defaultdict(list)
    for call in bulk:
        name, _, number = call.params["text"].partition(" ")
        numbers[name, call.chat].append(int(number))
    case.equal([key for key, got in numbers.items() if got != list(range(len(got)))], [],
               "processes and chats out of order")


async def test_limits_of_telegram(case):
    api = BotApi(tokens={TOKEN}, limits=LIMITS)
    api.limits.people.update(str(10000 + number) for number in range(50))
    case.at_end(api.stop)
    await api.start()
    port = free_port()
    nginx = await case.nginx(CONF.format(
        port=port, api=api.port, webhook=bot(), chat=SCALE, group=20 * SCALE,
        bot=30 * SCALE), port, workers=4)

    before = waited(nginx)
    senders = [await sender(case, name, port) for name in ("A", "B")]
    pushing = asyncio.ensure_future(push(senders, port))

    await until(lambda: len(api.executed) > 100)
    api.limits.pause(PAUSED, 3)
    answered = await people(port)
    left = ALL + 50 - len(api.executed)
    case.equal(answered, [200] * 50, "statuses of answers to people")
    case.check(left > 200, f"answers to people waited: only {left} calls are left")

    statuses = await pushing
    others = waited(nginx) - before
    case.equal(statuses, [{"200": ALL // 2}] * 2, "statuses of both processes")
    case.equal(len(api.executed), ALL + 50, "messages")

    bulk = [call for call in api.executed if call.params["text"] != "Hi"]
    check_order(case, bulk)
    begun, ended = bulk[0].time, bulk[-1].time
    late = [chat for when, chat in api.limits.refusals
            if chat != PAUSED and when > begun + 1]
    case.equal(late, [], "chats of calls that were refused after the first second")
    case.equal([pause.further for pause in api.limits.pauses if pause.further > 2], [],
               "calls during a pause, more than the one that learned of it and one further")

    # not more than the time in which the machine ran others is lost
    took = ended - begun
    used, least = (len(bulk) / (BURST + 30 * SCALE * max(0, seconds))
                   for seconds in (took, took - others))
    case.note(f"{len(bulk)} calls in {took:.1f} s: {used:.1%} of what is allowed; the machine "
              f"ran others for {others:.1f} s")
    case.check(least >= 0.95, f"only {used:.1%} of what is allowed, {least:.1%} without the "
                              "time in which the machine ran others")

    await case.stop(nginx)
    case.check_logs(nginx)
