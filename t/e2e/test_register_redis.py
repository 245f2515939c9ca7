"""tgbot_register on machines with one Redis: one of them calls setWebhook for all."""

import asyncio
import os
import signal
import time

from harness import MAIN, MODULE, SECRET, SERVER, TOKEN, Nginx, bot, free_port, until
from redis import Redis
from simulator.botapi import BotApi

HOST = "https://bot.example.com"
URL = f"{HOST}/tg/e2e"

OTHER = "https://other.example.com/hook"

LOCK = "{tgbot:e2e}:register:lock"
KNOWN = "{tgbot:e2e}:register"


class Machines:
    """Two nginx in directories of their own, which have a Redis and a Bot API in common."""

    def __init__(self, case, redis):
        self.case = case
        self.redis = redis
        self.api = BotApi()
        self.hooks = self.api.registrations
        self.nginx = []

    @property
    def hook(self):
        return self.hooks.hooks[TOKEN]

    def sets(self):
        return self.hooks.count("setWebhook")

    async def prepare(self, settings=""):
        self.case.at_end(self.api.stop)
        await self.api.start()
        for _ in range(2):
            port = free_port()
            directory = f"{self.case.directory}/{port}"
            os.makedirs(f"{directory}/logs")
            self.nginx.append(self.case.own(Nginx(directory, port)))
            self.configure(self.nginx[-1], settings)
        return self

    async def start(self, settings=""):
        await self.prepare(settings)
        await asyncio.gather(*(nginx.start() for nginx in self.nginx))
        return self

    def configure(self, nginx, settings="", secret=SECRET):
        """settings: parameters of tgbot_register."""
        directives = f"tgbot_register {HOST} {settings} interval=1s " \
                     f"api=http://127.0.0.1:{self.api.port};"
        text = SERVER.format(
            port=nginx.port, program=free_port(), api=self.api.port, secret=secret,
            locations=bot("e2e", directives), program_timeout="2s", api_timeout="2s",
            # the machine may be busy
            http=f"tgbot_redis unix:{self.redis.path} connect_timeout=10s timeout=5s;")
        nginx.configure(MAIN.format(module=MODULE, workers=2, shutdown="10s", http=text,
                                    user="user root;" if os.geteuid() == 0 else ""))

    async def reload(self, nginx, settings, secret=SECRET):
        before = set(nginx.workers())
        self.configure(nginx, settings, secret)
        nginx.signal(signal.SIGHUP)
        await until(lambda: set(nginx.workers()) - before, 10)

    async def webhook(self, nginx):
        return (await self.case.status(nginx)).data["bots"]["e2e"]["webhook"]

    async def state(self, state, *machines, seconds=20):
        """Waits until these machines, or all, tell of this state; what the last one tells."""
        end = time.monotonic() + seconds
        for nginx in machines or self.nginx:
            while (got := await self.webhook(nginx))["state"] != state:
                if time.monotonic() > end:
                    self.case.check(False, f"webhook {got}, expected state {state}")
                    break
                await asyncio.sleep(0.1)
        return got

    async def checked(self, times=3):
        """Waits until each machine has asked Telegram so often."""
        async def asked(nginx):
            for _ in range(times):
                before = (await self.webhook(nginx))["checked"]
                end = time.monotonic() + 20
                while (await self.webhook(nginx))["checked"] == before:
                    if not self.case.check(time.monotonic() < end, "no check"):
                        return
                    await asyncio.sleep(0.1)
        await asyncio.gather(*(asked(nginx) for nginx in self.nginx))

    def lines(self, nginx, text):
        return [line for line in nginx.read("error.log").splitlines() if text in line]

    async def kill(self, nginx):
        """All of a machine at once, without a word."""
        for pid in (nginx.master, *nginx.workers()):
            nginx.kill(pid)
        await nginx.exited(10)

    def end(self, allowed=()):
        for nginx in self.nginx:
            self.case.check_logs(nginx, allowed)


async def test_once(case):
    """One setWebhook, and what it did is known to the other machine, over restarts as well."""
    redis = await Redis(case).start()
    m = await Machines(case, redis).start()
    await m.state("ok")
    await m.checked()
    case.equal(m.sets(), 1, "setWebhook")
    case.equal(sum(len(m.lines(nginx, "webhook registered")) for nginx in m.nginx), 1,
               "lines of a registration")
    for nginx in m.nginx:
        case.check((await m.webhook(nginx))["registered"] > 0, "not known when")

    m.hook.url = OTHER
    case.check(await until(lambda: m.hook.url == URL, 20), "not taken back")
    await m.checked()
    await m.state("ok")
    case.equal(m.sets(), 2, "setWebhook, when it was taken back")
    for nginx in m.nginx:
        case.equal((await m.webhook(nginx))["taken"], 1, "times taken back")

    # what is known outlives all of nginx: only so a secret is not taken for Telegram's
    for nginx in m.nginx:
        await case.stop(nginx)
    for nginx in m.nginx:
        m.configure(nginx, secret="another_secret")
        await nginx.start()
    await m.state("ok")
    await m.checked()
    case.equal(m.sets(), 3, "setWebhook, for another secret")
    case.equal(m.hook.secret, "another_secret", "secret")
    case.equal(m.hooks.refused, [], "refused")
    m.end()
    for value in (redis.call("GET", KNOWN), *redis.call("KEYS", "*")):
        case.check(TOKEN not in value and SECRET not in value, f"a secret in {value}")


async def test_killed(case):
    """The machine that calls setWebhook is gone: the other one goes on when its lock is over."""
    redis = await Redis(case).start()
    m = await Machines(case, redis).prepare()
    m.api.stall = 600
    m.hooks.faults["setwebhook"].append("stall")
    await asyncio.gather(*(nginx.start() for nginx in m.nginx))
    case.check(await until(lambda: m.sets() == 1, 20), "setWebhook is not called")
    holder = int(redis.call("GET", LOCK).split(":")[1])
    first, second = sorted(m.nginx, key=lambda nginx: holder not in nginx.workers())
    case.check(holder in first.workers(), "nobody has the lock")
    await asyncio.sleep(3)
    case.equal(m.sets(), 1, "setWebhook while the other one calls it")
    await m.kill(first)
    left = redis.call("PTTL", LOCK)
    case.check(0 < left <= 30000, f"the lock lives for {left} ms")
    redis.call("PEXPIRE", LOCK, 1000)
    await m.state("ok", second)
    case.equal(m.sets(), 2, "setWebhook")
    case.equal(m.hook.url, URL, "URL")

    await first.start()
    await m.state("ok")
    await m.checked()
    case.equal(m.sets(), 2, "setWebhook when it is back")
    m.end()


async def test_away(case):
    """Redis is away when nginx starts, and later: the webhook is registered all the same."""
    redis = Redis(case)
    m = await Machines(case, redis).start()
    await m.state("ok")
    await m.checked()
    sets = m.sets()
    case.check(1 <= sets <= 2, f"{sets} setWebhook")
    case.equal(sum(len(m.lines(nginx, "setWebhook is called without Redis"))
                   for nginx in m.nginx), sets, "lines")

    await redis.start()
    case.check(await until(lambda: redis.call("EXISTS", KNOWN), 30), "not told to Redis")
    await m.checked()
    case.equal(m.sets(), sets, "setWebhook when Redis is there")

    # all that others knew is lost
    redis.call("FLUSHALL")
    await m.checked()
    case.check(redis.call("EXISTS", KNOWN), "not told to Redis again")

    redis.kill()
    m.hook.url = OTHER
    case.check(await until(lambda: m.hook.url == URL, 20), "not taken back")
    await m.checked()
    await m.state("ok")
    await redis.start()
    sets = m.sets()
    await m.checked()
    await m.state("ok")
    case.equal(m.sets(), sets, "setWebhook when Redis is there again")
    m.end()


async def test_settings(case):
    """Settings that were loaded last hold: the others are told, and do not fight."""
    redis = await Redis(case).start()
    m = await Machines(case, redis).start()
    first, second = m.nginx
    await m.state("ok")

    await m.reload(first, "max_connections=5")
    case.check(await until(lambda: m.hook.max_connections == 5, 20), "not set")
    got = await m.state("stopped", second)
    case.check("another machine has registered the webhook" in got["error"], f"error {got}")
    await m.checked(4)
    await m.state("ok", first)
    case.equal(m.sets(), 2, "setWebhook")
    case.equal(len(m.lines(second, "another machine has registered")), 1, "lines")

    await m.reload(second, "max_connections=5")
    await m.state("ok")
    await m.checked()
    case.equal(m.sets(), 2, "setWebhook when both have the settings")

    # as little do two that load at once, whatever they load
    await asyncio.gather(m.reload(first, "max_connections=6"),
                         m.reload(second, "max_connections=7"))
    case.check(await until(lambda: m.hook.max_connections > 5, 20), "not set")
    await m.checked(4)
    case.check(m.sets() <= 4, f"{m.sets()} setWebhook")
    states = [(await m.webhook(nginx))["state"] for nginx in m.nginx]
    case.equal(sorted(states), ["ok", "stopped"], "states")

    # a start counts as well, of the machine whose settings were the older ones
    sets = m.sets()
    loser = m.nginx[states.index("stopped")]
    winner = m.nginx[states.index("ok")]
    await case.stop(loser)
    await loser.start()
    await m.state("ok", loser)
    await m.state("stopped", winner)
    await m.checked()
    case.equal(m.sets(), sets + 1, "setWebhook after a start")
    case.equal(m.hooks.refused, [], "refused")
    m.end()


async def test_reloads(case):
    """No lock is left behind by workers that leave."""
    redis = await Redis(case).start()
    m = await Machines(case, redis).start()
    for _ in range(30):
        for nginx in m.nginx:
            nginx.signal(signal.SIGHUP)
        await asyncio.sleep(0.2)
    await m.state("ok")
    await m.checked()
    case.equal(m.sets(), 1, "setWebhook")
    for nginx in m.nginx:
        await case.stop(nginx)
    case.equal(redis.call("EXISTS", LOCK), 0, "locks")
    m.end()
