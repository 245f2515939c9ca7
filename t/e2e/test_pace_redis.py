"""Machines with one Redis send bulk at the pace of one bot, and obey a 429 to one of them."""

import asyncio
import contextlib
import hashlib
import os
import time
from collections import Counter, defaultdict

import clients
from harness import FULL, MAIN, MODULE, SECRET, TOKEN, Nginx, bot, free_port, until
from redis import Redis, cluster
from simulator.botapi import BotApi
from test_pace import _call, _request, _texts

KEYS = "{tgbot:e2e}:"

# as Telegram has them
LIMITS = {"chat": (1, 3), "group": (20 / 60, 20), "bot": (30, 30)}

HTTP = """\
    upstream bot_api {{ server 127.0.0.1:{api}; keepalive 64; }}
    tgbot_secret_token {secret};
    tgbot_redis {redis} timeout=2s;
    tgbot_pace max_wait=100s redis {pace};
    server {{
        listen 127.0.0.1:{port} backlog=4096;
{webhook}
        location /bot/ {{ tgbot_gateway e2e bulk timeout=100s; }}
        location /people/ {{ tgbot_gateway e2e timeout=20s; }}
        location = /_api {{
            internal;
            proxy_pass http://bot_api$tgbot_api_uri;
        }}
        location /status {{ tgbot_status; }}
    }}
"""


class Machines:
    """Two nginx with one Redis before one Bot API."""

    def __init__(self, case):
        self.case = case
        self.redis = Redis(case)
        self.api = None
        self.nginx = []
        self._made = 0

    async def start(self, pace="", limits=None, address=None, workers=2):
        """pace: parameters of tgbot_pace; address: of Redis, if it is not one of ours."""
        if address is None:
            await self.redis.start()
            address = f"unix:{self.redis.path}"
        self.api = BotApi(tokens={TOKEN}, limits=limits)
        self.case.at_end(self.api.stop)
        await self.api.start()
        for _ in range(2):
            await self.add(pace, address, workers)
        return self

    async def add(self, pace, address, workers):
        port = free_port()
        nginx = self.case.own(Nginx(f"{self.case.directory}/machine{self._made}", port))
        self._made += 1
        os.makedirs(f"{nginx.directory}/logs")
        nginx.configure(MAIN.format(
            module=MODULE, user="user root;", workers=workers, shutdown="10s",
            http=HTTP.format(port=port, api=self.api.port, secret=SECRET, redis=address,
                             pace=pace, webhook=bot())))
        await nginx.start()
        await until(lambda: len(nginx.workers()) == workers)
        self.nginx.append(nginx)
        # the workers ask Redis once they are connected to it
        await until(lambda: self.redis.call("PUBSUB", "NUMSUB", KEYS + "stop")[1]
                    == workers * len(self.nginx) if "unix" in address else True)

    async def push(self, machine, calls, connections=40, statuses=None):
        """Sends bulk, pairs of a chat and a text; those of a chat one after the other."""
        statuses = [] if statuses is None else statuses
        chats = defaultdict(list)
        for chat, text in calls:
            chats[chat].append(text)
        lines = iter(list(chats.items()))

        async def connection():
            for chat, texts in lines:
                for text in texts:
                    statuses.append(await _call(self.nginx[machine].port, chat, text))

        await asyncio.gather(*(connection() for _ in range(connections)))
        return statuses

    async def state(self, machine, name):
        status = await self.case.status(self.nginx[machine])
        return status.data["bots"]["e2e"][name]

    async def away(self, machine):
        """Calls that went without Redis."""
        return await self.state(machine, "pace_redis_away_total")

    async def heard(self, machine):
        """Waits until the machine knows of a pause."""
        for _ in range(100):
            if await self.state(machine, "pace_paused"):
                return
            await asyncio.sleep(0.01)
        self.case.check(False, f"machine {machine} has not heard of the pause")

    def late(self, chats=()):
        """Chats that were refused after the first second, but for those."""
        begun = self.api.executed[0].time
        return [chat for when, chat in self.api.limits.refusals
                if when > begun + 1 and chat not in chats]

    async def stop(self, allowed=()):
        for nginx in self.nginx:
            await self.case.stop(nginx)
            self.case.check_logs(nginx, allowed)


def _messages(machine, chats, count):
    return [(str(chat), f"{machine} {number}") for number in range(count) for chat in chats]


def _order(case, api):
    """The messages of a machine came to each chat in their order."""
    numbers = defaultdict(list)
    for call in api.executed:
        machine, _, number = call.params["text"].partition(" ")
        numbers[machine, call.chat].append(int(number))
    case.equal([key for key, got in numbers.items() if got != sorted(got)], [],
               "machines and chats out of order")


async def test_limits_of_telegram(case):
    """Two machines together are as fast as the bot may be, and none is refused."""
    machines = await Machines(case).start(limits=LIMITS)
    api = machines.api
    scale = 5 if FULL else 1
    own = [range(1, 1 + 30 * scale), range(1001, 1001 + 30 * scale)]
    common = [*range(501, 511), *(-number for number in range(1, 6))]
    calls = [_messages(machine, own[machine], 5) + _messages(machine, common, 2)
             for machine in (0, 1)]
    total = sum(map(len, calls))

    statuses = await asyncio.gather(*(machines.push(machine, calls[machine])
                                      for machine in (0, 1)))
    case.equal([Counter(some) for some in statuses], [{200: total // 2}] * 2, "statuses")
    case.equal(machines.late(), [], "chats refused after the first second")
    _order(case, api)

    took = api.executed[-1].time - api.executed[0].time
    case.note(f"{total} calls in {took:.1f} s: {(total - 30) / 30 / took:.1%} of what is allowed")
    half = Counter(call.params["text"][0] for call in api.executed[:total // 2])
    case.check(min(half.values()) > total // 6, f"one machine is slower: {half} of the first half")
    for machine in (0, 1):
        case.equal(await machines.away(machine), 0, "calls without Redis")
    await machines.stop()


async def test_starved(case):
    """A machine that comes later gets its share at once."""
    machines = await Machines(case).start(limits=LIMITS)
    api = machines.api
    first = asyncio.ensure_future(machines.push(0, _messages(0, range(1, 301), 1), 300))
    case.check(await until(lambda: len(api.executed) > 60), "the first machine sends nothing")
    begun = len(api.executed)
    case.equal(set(await machines.push(1, _messages(1, range(501, 531), 1))), {200}, "statuses")
    share = Counter(call.params["text"][0] for call in api.executed[begun:])
    case.check(share["0"] < 160, f"the second machine waited for {share['0']} calls of the first")
    case.equal(set(await first), {200}, "statuses")
    case.equal(machines.late(), [], "chats refused after the first second")
    await machines.stop()


async def test_flood(case):
    """A chat that a 429 stopped is stopped on all machines, and one call goes first."""
    machines = await Machines(case).start()
    api = machines.api
    loop = asyncio.get_running_loop()
    api.limits.pause("1", 2)

    async def people(machine, number):
        body = _request("1", f"{machine} {number}").replace(b"/bot/", b"/people/", 1)
        client = await clients.Client(machines.nginx[machine].port).connect()
        client.send(body)
        answer = await client.answer(60)
        await client.close()
        return answer and answer.status

    waiting = [loop.create_task(people(0, 0))]
    case.check(await until(lambda: api.limits.refusals), "no call was refused")
    refused = api.limits.refusals[0][0]
    await machines.heard(1)
    for number in range(1, 6):
        for machine in (0, 1):
            waiting.append(loop.create_task(people(machine, number)))
            waiting.append(loop.create_task(
                _call(machines.nginx[machine].port, "1", f"{machine}bulk {number}")))
            await asyncio.sleep(0.02)
    case.equal(len(api.limits.refusals), 1, "calls that were sent during the pause")
    # the call that goes first meets another flood
    api.limits.pause("1", 4)
    case.equal(set(await asyncio.gather(*waiting)), {200}, "statuses")
    further = [when - refused for when, _ in api.limits.refusals[1:]]
    # nginx's coarse clock may end a pause some milliseconds early, once
    case.check(len(further) <= 2 and min(further) > 1.5, f"refused again after {further} s")
    _order(case, api)
    case.equal(machines.redis.call("KEYS", KEYS + "stop*"), [], "pauses that are left")
    await machines.stop()


async def test_probes_of_another(case):
    """Chats that wait for another machine's probes keep no token from other chats."""
    machines = await Machines(case).start("global=100r/s global_burst=2", workers=1)
    api, redis = machines.api, machines.redis
    loop = asyncio.get_running_loop()

    def stop(lease):
        """Pauses that are over, and until when their probes belong to a machine that died."""
        for chat in "12":
            redis.call("SET", f"{KEYS}stop:{hashlib.md5(chat.encode()).hexdigest()}",
                       f"{int(time.time() - 1) * 10**6} {int(lease) * 10**6} 0", "PX", 100000)

    def asked():
        """Questions of machines that Redis has answered."""
        text = redis.call("INFO", "commandstats").partition("cmdstat_evalsha:calls=")[2]
        return int(text.partition(",")[0] or 0)

    stop(time.time() + 90)
    before = asked()
    waiting = [loop.create_task(_call(machines.nginx[0].port, chat, "x")) for chat in "12"]
    case.check(await until(lambda: asked() > before + 10), "the two chats do not ask")
    others = [loop.create_task(_call(machines.nginx[0].port, chat, "x")) for chat in "345"]
    case.check(await until(lambda: len(api.executed) == 3), "other chats wait, too")
    case.equal(await asyncio.gather(*others), [200] * 3, "statuses of other chats")
    waits = await machines.state(0, "pace_waits_total")
    case.equal(waits["429"], 2, "calls that wait, though each asks again and again")
    case.equal((await machines.state(0, "pace_waiting"))["429"], 2, "calls that wait")

    stop(0)
    case.equal(await asyncio.gather(*waiting), [200] * 2, "statuses")
    case.check(await until(lambda: not redis.call("KEYS", KEYS + "stop*")), "a pause is left")
    await machines.stop()


async def test_bot_stopped(case):
    """A pause of the bot holds for bulk and for people of the other machine."""
    machines = await Machines(case).start()
    api = machines.api
    loop = asyncio.get_running_loop()
    machines.redis.call("EVAL", """
        local time = redis.call('TIME')
        local ends = string.format('%d', (time[1] + 3) * 1000000)
        redis.call('SET', KEYS[1], ends .. ' 0 0', 'PX', 60000)
        return redis.call('PUBLISH', KEYS[1], '3000 ')""", 1, KEYS + "stop")
    began = time.monotonic()
    for machine in (0, 1):
        await machines.heard(machine)
    calls = [loop.create_task(_call(nginx.port, str(chat), "x"))
             for chat in range(1, 6) for nginx in machines.nginx]
    calls.append(loop.create_task(_call(machines.nginx[1].port, None, "x",
                                        "answerInlineQuery")))
    case.equal(set(await asyncio.gather(*calls)), {200}, "statuses")
    case.check(api.executed[0].time - began > 1.5, "the pause did not hold")
    # the longest pause of a 429
    machines.redis.call("PUBLISH", KEYS + "stop", "2147483000 9")
    await machines.heard(1)
    case.equal(await _call(machines.nginx[1].port, "9", "x"), 429, "status of a chat")
    await machines.stop()


async def test_redis_away(case):
    """Without Redis each machine goes on by itself, and asks it again when it is there."""
    machines = await Machines(case).start("chat=20r/s global=100r/s")
    api, redis = machines.api, machines.redis
    statuses = []
    over = asyncio.Event()

    async def push(machine):
        number = 0
        while not over.is_set():
            number += 1
            statuses.append(await _call(machines.nginx[machine].port, f"{number % 20 + 1}",
                                        f"{machine} {number}"))

    pushing = [asyncio.ensure_future(push(machine)) for machine in (0, 1) for _ in range(5)]

    async def goes_on(what):
        before = len(api.executed)
        case.check(await until(lambda: len(api.executed) > before + 50), f"{what}: nothing is sent")

    async def again(what):
        for machine in (0, 1):
            async def asks():
                before = await machines.away(machine)
                await goes_on(what)
                return await machines.away(machine) == before
            for _ in range(40):
                if await asks():
                    break
            else:
                case.check(False, f"{what}: Redis is not asked again")

    await goes_on("with Redis")
    for machine in (0, 1):
        case.equal(await machines.away(machine), 0, "calls without Redis")
    redis.kill()
    await goes_on("without Redis")
    for machine in (0, 1):
        case.check(await machines.away(machine) > 0, "no call went without Redis")
    await redis.start()
    await again("after Redis was killed")
    await redis.pause()
    await goes_on("Redis hangs")
    redis.resume()
    await again("after Redis hung")
    over.set()
    await asyncio.gather(*pushing)
    case.equal(set(statuses), {200}, "statuses")
    await machines.stop()


async def test_machine_killed(case):
    """The places that a machine had asked for are over in time, and its others are free."""
    machines = await Machines(case).start(limits=LIMITS)
    api = machines.api
    lost = asyncio.ensure_future(machines.push(1, _messages(1, range(501, 801), 1), 300))
    mine = asyncio.ensure_future(machines.push(0, _messages(0, range(1, 301), 1), 300))
    case.check(await until(lambda: len(api.executed) > 100), "nothing is sent")
    await machines.nginx[1].kill_all()
    killed = time.monotonic()
    left = 300 - sum(call.params["text"][0] == "0" for call in api.executed)
    case.equal(set(await mine), {200}, "statuses of the other machine")
    took = time.monotonic() - killed
    # a second's worth of places at most is lost
    case.check(took < left / 30 + 5, f"{left} calls took {took:.1f} s")
    case.equal(machines.late(), [], "chats refused after the first second")
    await lost
    del machines.nginx[1]
    await machines.stop()


async def test_cancelled(case):
    """Who hangs up gives its place in Redis back."""
    machines = await Machines(case).start("global=1r/s global_burst=8")
    api, redis = machines.api, machines.redis
    await machines.push(0, _messages(0, range(1, 8), 1))
    began = len(api.executed)

    def full():
        return int(redis.call("GET", KEYS + "pace:all") or 0) / 1e6

    async def given():
        """Until no more places are taken."""
        last = None
        while last != full():
            last = full()
            await asyncio.sleep(0.3)
        return last

    waiting = []
    for chat in range(101, 113):
        client = await clients.Client(machines.nginx[1].port).connect()
        client.send(_request(str(chat), "x"))
        waiting.append(client)
    before = await given()
    done = len(api.executed)
    for client in waiting:
        await client.close()
    case.check(await until(lambda: full() < before - 2.5),
               f"the bucket is full at {full()}, and was at {before}")
    case.note(f"{before - full():.0f} of {12 - (done - began)} places went back")
    # and the next ones do not wait for them
    asked = time.monotonic()
    case.equal(await _call(machines.nginx[0].port, "200", "x"), 200, "status")
    case.check(time.monotonic() - asked < 5, "the places were not free")
    await machines.stop()


async def test_cluster(case):
    """The keys of a bot are in one slot, and the bell comes from any node."""
    nodes = await cluster(case, 3)
    machines = Machines(case)
    await machines.start(address=f"127.0.0.1:{nodes[0].port} cluster", limits=LIMITS)
    api = machines.api
    statuses = await asyncio.gather(*(
        machines.push(machine, _messages(machine, range(1 + 50 * machine, 31 + 50 * machine), 2))
        for machine in (0, 1)))
    case.equal([set(some) for some in statuses], [{200}] * 2, "statuses")
    case.equal(machines.late(), [], "chats refused after the first second")
    for machine in (0, 1):
        case.equal(await machines.away(machine), 0, "calls without Redis")

    api.limits.pause("1", 3)
    calls = [asyncio.ensure_future(_call(machines.nginx[0].port, "1", "0 9"))]
    case.check(await until(lambda: api.limits.refusals), "no call was refused")

    def stopped():
        for node in nodes:
            with contextlib.suppress(OSError):
                if node.call("KEYS", "*stop:*"):
                    return True
        return False

    case.check(await until(stopped), "the pause is not in Redis")
    await machines.heard(1)
    calls.append(asyncio.ensure_future(_call(machines.nginx[1].port, "1", "1 9")))
    case.equal(await asyncio.gather(*calls), [200, 200], "statuses")
    case.check(len(api.limits.refusals) <= 2, f"refused {len(api.limits.refusals)} times")
    await machines.stop()
