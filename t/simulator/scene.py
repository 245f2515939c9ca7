"""All of Telegram and a program around one webhook, for a run of many updates."""

import asyncio
import functools
import math
import time
from dataclasses import dataclass

from . import report
from .botapi import BotApi
from .faults import Dice, fraction
from .program import Program, echo
from .updates import Traffic
from .webhook import Webhook


@dataclass
class Options:
    """What a run is made of; probabilities are between 0 and 1."""

    url: str = ""
    ports: tuple = ()                   # of several machines behind the URL
    secret: str = ""
    tokens: tuple = ()
    updates: int = 1000
    chats: int = 100
    connections: int = 40
    rate: float = 0.0                   # updates a second; 0: all are there at once
    seed: int = 1
    calls: int = 1                      # in every answer of the program
    heavy: float = 0.0                  # the part of the updates that one chat sends

    schedule: float = 1.0               # scales of Telegram's own times
    ramp: float = 1.0
    life: float = 1.0
    telegram_timeout: float = 60.0
    lost_ack: float = 0.0               # answers to Telegram that do not arrive
    lost_ack_wait: float = 0.02         # half of them: cut within so many seconds

    program_latency: float = 0.005
    program_fail: float = 0.0
    program_reset: float = 0.0
    program_stall: float = 0.0

    api_500: float = 0.0
    api_502: float = 0.0
    api_reset: float = 0.0              # half of them before, half after executing
    api_truncate: float = 0.0
    api_stall: float = 0.0
    stall: float = 5.0                  # seconds
    chat_limit: tuple = ()              # (calls a second, burst), see Limits
    group_limit: tuple = ()
    global_limit: tuple = ()
    blocked: tuple = ()
    migrated: tuple = ()                # (old, new) pairs


class Scene:
    """Start it, set .url if nginx had to wait for the ports, play, report, stop."""

    def __init__(self, options, capture=False):
        self.options = options
        self.program = Program(
            answer=functools.partial(echo, calls=options.calls),
            latency=options.program_latency,
            dice=Dice(options.seed, **{"500": options.program_fail,
                                       "reset": options.program_reset,
                                       "stall": options.program_stall}),
            secret=options.secret or None, stall=options.stall, capture=capture)
        self.api = BotApi(
            tokens=set(options.tokens) or None,
            dice=Dice(options.seed, **{"500": options.api_500,
                                       "502": options.api_502,
                                       "reset-before": options.api_reset / 2,
                                       "reset-after": options.api_reset / 2,
                                       "truncated": options.api_truncate,
                                       "stall": options.api_stall}),
            stall=options.stall, blocked=options.blocked,
            limits=dict(chat=options.chat_limit, group=options.group_limit,
                        bot=options.global_limit),
            migrated=dict(options.migrated), capture=capture)
        self.webhook = None
        self.kills = {}                 # process id of a worker: when it was killed
        self._lost = Dice(options.seed, lost=options.lost_ack)
        self._pusher = None
        self._started = 0.0
        self._cpu = 0.0

    async def start(self, program=("127.0.0.1", 0), api=("127.0.0.1", 0)):
        """Starts the servers; None instead of an address leaves one out."""
        if program is not None:
            await self.program.start(*program)
        if api is not None:
            await self.api.start(*api)

    def play(self, capture=False):
        """Begins to deliver; returns at once."""
        options = self.options
        self._started = time.monotonic()
        self._cpu = time.process_time()
        self.webhook = Webhook(
            options.url, secret=options.secret or None, max_connections=options.connections,
            schedule=options.schedule, ramp=options.ramp, life=options.life,
            timeout=options.telegram_timeout, seed=options.seed, execute=self.api.ride,
            cut=self._cut, capture=capture, ports=options.ports)
        traffic = Traffic(options.updates, options.chats, options.seed, options.heavy)
        self._pusher = asyncio.get_running_loop().create_task(self._push(traffic.updates))

    def _cut(self, update, sent):
        if self._lost.throw(update.id) is None:
            return None
        point = fraction("cut", self.options.seed, update.id, sent)
        return math.inf if point < 0.5 else (point - 0.5) * 2 * self.options.lost_ack_wait

    async def _push(self, updates):
        for number, update in enumerate(updates):
            self.webhook.push(update)
            if self.options.rate:
                due = self._started + (number + 1) / self.options.rate
                wait = due - time.monotonic()
                if wait > 0.001:
                    await asyncio.sleep(wait)

    async def finished(self, timeout):
        """Waits until Telegram has nothing left; whether it came to that in time."""
        end = time.monotonic() + timeout
        done, _ = await asyncio.wait({self._pusher}, timeout=timeout)
        if not done:
            self._pusher.cancel()
            return False
        self._pusher.result()
        return await self.webhook.drained(max(0.0, end - time.monotonic()))

    def report(self):
        books = report.make(self.webhook, self.program, self.api, self.options.calls,
                            self.kills)
        books["seconds"] = time.monotonic() - self._started
        books["cpu seconds"] = time.process_time() - self._cpu
        return books

    def stop(self):
        if self._pusher is not None:
            self._pusher.cancel()
        if self.webhook is not None:
            self.webhook.close()
        self.program.stop()
        self.api.stop()
