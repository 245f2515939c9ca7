"""Machines with one Redis handle each update once."""

import asyncio
import collections
import dataclasses
import itertools
import os
import signal
import time

import clients
from harness import FULL, MAIN, MODULE, SECRET, SERVER, TOKEN, Nginx, bot, free_port, until
from redis import Redis
from simulator.scene import Options, Scene

DEDUP = "tgbot_dedup redis;"


class Machines:
    """Some nginx with one Redis, between one program and one Bot API."""

    def __init__(self, case):
        self.case = case
        self.redis = Redis(case)
        self.scene = None
        self.nginx = []

    async def start(self, count=2, directives=DEDUP, redis="", api=True, locations="",
                    **options):
        await self.redis.start()
        self.scene = Scene(Options(url="http://127.0.0.1:1/", secret=SECRET, tokens=(TOKEN,),
                                   **options))
        self.case.at_end(self.scene.stop)
        await self.scene.start()
        for number in range(count):
            await self._machine(number, directives, redis, api, locations)
        return self

    async def _machine(self, number, directives, redis, api, locations):
        port = free_port()
        nginx = self.case.own(Nginx(f"{self.case.directory}/machine{number}", port))
        await asyncio.to_thread(_make, nginx.directory)
        http = f"tgbot_redis unix:{self.redis.path} {redis};"
        nginx.configure(MAIN.format(
            module=MODULE, user="user root;", workers=2, shutdown="10s",
            http=SERVER.format(
                port=port, program=self.scene.program.port, api=self.scene.api.port,
                secret=SECRET, http=http, program_timeout="10s", api_timeout="10s",
                locations=bot("e2e", directives, api) + locations)))
        await nginx.start()
        await until(lambda: len(nginx.workers()) == 2)
        self.nginx.append(nginx)

    def play(self):
        """Telegram delivers to all machines."""
        port = self.nginx[0].port
        self.scene.options = dataclasses.replace(
            self.scene.options, url=f"http://127.0.0.1:{port}/tg/e2e",
            ports=tuple(nginx.port for nginx in self.nginx))
        self.scene.play()

    def handled(self, number):
        """How often the program saw the update."""
        return len([seen for seen in self.scene.program.seen if seen.id == number])

    async def post(self, machine, number, words="once", **more):
        body = clients.text(number, words, user=number)
        return await clients.post(self.nginx[machine].port, body, **more)

    async def until_ok(self, machine, number, seconds=40.0, **more):
        """Delivers it again while it is refused, as Telegram does; the statuses."""
        statuses = []
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            answer = await self.post(machine, number, **more)
            statuses.append(answer.status if answer else None)
            if statuses[-1] == 200:
                break
            await asyncio.sleep(0.2)
        return statuses

    async def stop(self, allowed=()):
        for nginx in self.nginx:
            await self.case.stop(nginx)
            self.case.check_logs(nginx, allowed)


def _make(directory):
    os.makedirs(f"{directory}/logs")


async def test_at_once(case):
    """An update that two machines get at the same time is handled once."""
    machines = await Machines(case).start(program_latency=0.05)
    numbers = range(1001, 1061)
    answers = await asyncio.gather(*(machines.post(machine, number)
                                     for number in numbers for machine in (0, 1, 1, 0)))
    statuses = [answer.status if answer else None for answer in answers]
    case.equal(set(statuses), {200, 503}, "statuses")
    case.equal(statuses.count(200), len(numbers), "answers with 200")
    waits = {answer.headers.get("retry-after") for answer in answers if answer.status == 503}
    case.check(waits <= {"1", "2"}, f"Retry-After {waits}")
    for number in numbers:
        case.equal(machines.handled(number), 1, f"times the program saw update {number}")
        for machine in (0, 1):
            answer = await machines.post(machine, number)
            case.equal(answer.status, 200, f"status of a duplicate of {number}")
        case.equal(machines.handled(number), 1, f"times the program saw update {number}")
    texts = sorted(call.params["text"] for call in machines.scene.api.executed)
    case.equal(texts, [f"reply {number}" for number in numbers], "calls of the Bot API")
    case.equal(machines.redis.call("HLEN", "{tgbot:e2e}:held"), 0, "claims that are left")
    for nginx in machines.nginx:
        await case.check_status(nginx)
    await machines.stop()


async def test_ride(case):
    """The call that rode in a response is repeated by the other machine."""
    machines = await Machines(case).start(api=False)
    for machine in (0, 1, 0, 1):
        answer = await machines.post(machine, 1001)
        case.equal(answer.status, 200, "status")
        case.equal(clients.ridden(answer).get("text"), "reply 1001", "the call that rode")
    case.equal(machines.handled(1001), 1, "times the program saw it")
    await machines.stop()


async def test_attempts(case):
    """Failed attempts count over all machines, until the update is given up."""
    machines = await Machines(case).start(
        directives=f"{DEDUP} tgbot_attempts 4; tgbot_dead_letters zone=dead:4m;")
    machines.scene.program.fault = "500"
    statuses = [(await machines.post(machine, 1001)).status for machine in (0, 1, 1, 0, 1, 0)]
    case.equal(statuses, [500, 500, 500, 200, 200, 200], "statuses")
    attempts = [seen.attempt for seen in machines.scene.program.seen]
    case.equal(attempts, ["1", "2", "3", "4"], "attempts that the program was told")
    await machines.stop()


async def test_worker_killed(case):
    """What a killed worker had claimed is handled by the next delivery after its lease."""
    machines = await Machines(case).start()
    machines.scene.program.hold()
    posts = [asyncio.ensure_future(machines.post(0, number)) for number in (1001, 1002)]
    await until(lambda: len(machines.scene.program.seen) == 2)
    answer = await machines.post(1, 1001)
    case.equal(answer.status, 503, "status while the worker lives")
    for pid in machines.nginx[0].workers():
        machines.nginx[0].kill(pid)
    case.equal(await asyncio.gather(*posts), [None, None], "answers of killed workers")
    killed = time.monotonic()
    machines.scene.program.release()
    statuses = await machines.until_ok(1, 1001)
    case.note(f"handled after {time.monotonic() - killed:.1f} s, {len(statuses)} deliveries")
    case.equal(statuses[-1], 200, "status after the lease")
    case.equal((await machines.until_ok(0, 1002))[-1], 200, "status of the same machine")
    case.equal(machines.handled(1001), 2, "times the program saw it")
    case.equal([seen.attempt for seen in machines.scene.program.seen], ["1"] * 4, "attempts")
    await machines.stop()


async def test_worker_killed_quiet(case):
    """Workers that had nothing to do meanwhile take over at once when the lease is over."""
    machines = await Machines(case).start()
    for number in range(1001, 1021):
        case.equal((await machines.post(1, number)).status, 200, "status before")
    machines.scene.program.hold()
    post = asyncio.ensure_future(machines.post(0, 1021))
    await until(lambda: machines.scene.program.arrivals(1021))
    for pid in machines.nginx[0].workers():
        machines.nginx[0].kill(pid)
    killed = time.monotonic()
    case.equal(await post, None, "answer of a killed worker")
    machines.scene.program.release()

    def leases():
        seconds, micros = map(int, machines.redis.call("TIME"))
        now = seconds * 1000 + micros // 1000
        return machines.redis.call("ZCOUNT", "{tgbot:e2e}:workers", now, "+inf")

    case.check(await until(lambda: leases() == 0, 40), "leases do not end")
    case.note(f"no leases after {time.monotonic() - killed:.1f} s")
    names = machines.redis.call("ZRANGE", "{tgbot:e2e}:workers", 0, -1)
    idle = [name for name in names if int(name.split(":")[1]) in machines.nginx[1].workers()]
    case.equal(idle, [], "workers that have not left")
    case.equal((await machines.post(1, 1021)).status, 200, "status of the redelivery")
    case.equal(machines.handled(1021), 2, "times the program saw it")
    await machines.stop()


async def test_lost_lines(case):
    """Claims that are lost at once fill no log: a worker writes a line a second at most."""
    machines = await Machines(case).start(count=1)
    machines.scene.program.hold()
    numbers = range(1001, 1061)
    posts = [asyncio.ensure_future(machines.post(0, number)) for number in numbers]
    await until(lambda: len(machines.scene.program.seen) == len(numbers))
    machines.redis.call("ZADD", "{tgbot:e2e}:workers", 4 * 10**12, "other:1:a")
    for number in numbers:
        machines.redis.call("HSET", "{tgbot:e2e}:held", number, "other:1:a/7")
    machines.scene.program.release()
    case.equal({(await post).status for post in posts}, {503}, "statuses")
    status = await case.status(machines.nginx[0])
    case.equal(status.value("leases_lost_total"), len(numbers), "results dropped")
    lines = [line for line in machines.nginx[0].read("error.log").splitlines()
             if "this worker has lost the lease, its result is dropped" in line]
    case.note("; ".join(lines[:2]))
    seconds = [line.split("[warn]")[0] + line.split()[3] for line in lines]
    case.check(seconds, "no line")
    case.equal(len(seconds), len(set(seconds)), "lines of a worker in one second")
    await machines.stop()


async def _away(case, machines, number, away, back):
    """Redis goes while an update is in work, and comes back after its answer."""
    program = machines.scene.program
    program.hold()
    post = asyncio.ensure_future(machines.post(0, number))
    await until(lambda: program.arrivals(number))
    await away()
    start = time.monotonic()
    other = await machines.post(1, number + 1)
    seconds = time.monotonic() - start
    case.equal(other.status, 503, "status while Redis is away")
    case.check(other.headers.get("retry-after") in ("1", "2", "3"),
               f"Retry-After {other.headers.get('retry-after')}")
    program.release()
    answer = await post
    case.equal(answer.status, 503, "status of an update that cannot be accepted")
    case.check(answer.headers.get("retry-after") in ("1", "2", "3"),
               f"Retry-After {answer.headers.get('retry-after')}")
    await back()
    case.note(f"refused within {seconds:.2f} s")
    case.equal((await machines.until_ok(1, number))[-1], 200, "status of the redelivery")
    case.equal((await machines.until_ok(0, number + 1))[-1], 200, "status of the other one")
    case.equal(machines.handled(number), 1, "times the program saw it")
    case.equal(machines.handled(number + 1), 1, "times the program saw the other one")


async def test_redis_killed(case):
    """An accept that Redis did not see is repeated until it has seen it."""
    machines = await Machines(case).start()

    async def kill():
        machines.redis.kill()

    for number in (1001, 1011):
        await _away(case, machines, number, kill, machines.redis.start)
    await machines.stop()


async def test_redis_stopped(case):
    """An accept whose outcome is unknown is not answered 200, and is recognised."""
    machines = await Machines(case).start()

    async def resume():
        machines.redis.resume()

    for number in (1001, 1011):
        await _away(case, machines, number, machines.redis.pause, resume)
    await machines.stop()


async def _flood(machines, seconds, users):
    """Clients that send as fast as they are answered; the statuses, by user."""
    numbers = itertools.count(100001)
    end = time.monotonic() + seconds
    seen = collections.Counter()

    async def client(user):
        port = machines.nginx[user % 2].port
        connected = await clients.Client(port).connect()
        while time.monotonic() < end:
            number = next(numbers)
            connected.send(clients.request(clients.text(number, "more", user=user % users)))
            seen[user % users, (await connected.answer()).status] += 1
        await connected.close()

    await asyncio.gather(*(client(user) for user in range(40)))
    return seen


async def test_limits(case):
    """Limits hold over all machines; no bucket is charged for what another refuses."""
    machines = await Machines(case).start(directives=f"""{DEDUP}
        tgbot_limit $tgbot_user_id zone=users:1m rate=10r/s burst=5 action=reject redis;
        tgbot_limit all zone=all:1m rate=30r/s burst=10 action=reject redis;""", api=False)
    start = time.monotonic()
    seen = await _flood(machines, 6, 5)
    seconds = time.monotonic() - start
    passed = {user: seen[user, 200] for user in range(5)}
    refused = sum(count for (_, status), count in seen.items() if status == 429)
    case.note(f"{sum(passed.values())} of {sum(seen.values())} passed in {seconds:.2f} s, "
              f"of users {passed}")
    bound = 30 * seconds + 10
    case.check(sum(passed.values()) <= bound * 1.01, f"all: {sum(passed.values())} passed, "
                                                     f"expected at most {bound:.1f}")
    # buckets that were charged for what the other refused would let less pass
    case.check(sum(passed.values()) >= bound * 0.9, f"all: only {sum(passed.values())} passed")
    for user, count in passed.items():
        case.check(count <= (10 * seconds + 5) * 1.01, f"user {user}: {count} passed")
    case.equal(sum(seen.values()), sum(passed.values()) + refused, "other statuses")
    await machines.stop()


async def test_limits_away(case):
    """Without Redis the zone of the limit decides, which has seen what Redis let pass."""
    machines = await Machines(case).start(count=1, directives="""
        tgbot_limit $tgbot_user_id zone=users:1m rate=1r/m burst=4 action=reject redis;
        """, api=False)

    async def statuses(numbers):
        return [(await clients.post(machines.nginx[0].port,
                                    clients.text(number, "more", user=1))).status
                for number in numbers]

    case.equal(await statuses(range(1001, 1003)), [200, 200], "statuses with Redis")
    machines.redis.kill()
    case.equal(await statuses(range(1003, 1006)), [200, 200, 429], "statuses without")
    await machines.redis.start()
    status = await case.status(machines.nginx[0])
    counted = status.data["bots"]["e2e"]["limit_decisions_total"]["users"]
    case.equal((counted["passed"], counted["rejected"], counted["redis_away"]), (4, 1, 3),
               "decisions")
    await machines.stop()


LOAD = dict(updates=10000 if FULL else 2000, chats=200, connections=40, rate=400.0,
            schedule=0.1, program_latency=0.01, program_fail=0.03, lost_ack=0.1)


async def _load(case, trouble=None, seconds=120):
    machines = await Machines(case).start(**LOAD)
    scene = machines.scene
    machines.play()
    if trouble:
        await trouble(machines)
    case.check(await scene.finished(seconds), "Telegram still has updates")
    books = case.books(scene)
    case.check_books(books)
    lost = scene.webhook.lost[200]
    case.check(lost > LOAD["updates"] * 0.02, f"only {lost} answers with 200 were lost")
    for nginx in machines.nginx:
        await case.check_status(nginx)
    scene.webhook.close()
    await machines.stop()
    return machines


async def test_load(case):
    """What is lost on the way to one machine is redelivered to another, and done once."""
    await _load(case)


async def test_load_redis_killed(case):
    """Redis is killed and restarted under load; all is done, and once."""

    async def trouble(machines):
        for _ in range(2):
            await asyncio.sleep(1)
            machines.redis.kill()
            await asyncio.sleep(1)
            await machines.redis.start()

    await _load(case, trouble)


async def test_load_scripts(case):
    """Redis forgets the scripts under load: claims and beats are sent again."""

    async def trouble(machines):
        for _ in range(20):
            await asyncio.sleep(0.1)
            machines.redis.call("SCRIPT", "FLUSH")

    await _load(case, trouble)


async def test_load_reload(case):
    """Claims of workers that exit are settled by them."""

    async def trouble(machines):
        for _ in range(3):
            await asyncio.sleep(0.7)
            for nginx in machines.nginx:
                nginx.signal(signal.SIGHUP)

    await _load(case, trouble)


async def _storm(machines, seconds):
    """
    Clients that send as fast as they are answered, and again what is refused; how often each
    status was answered, None: the connection was closed.
    """
    numbers = itertools.count(200001)
    end = time.monotonic() + seconds
    statuses = collections.Counter()

    async def client(machine):
        while time.monotonic() < end:
            number = next(numbers)
            statuses.update(await machines.until_ok(machine, number, words="more"))

    await asyncio.gather(*(client(user % len(machines.nginx)) for user in range(40)))
    return statuses


async def test_flushed(case):
    """All keys are deleted under load: updates are refused at worst, and nothing crashes."""
    machines = await Machines(case).start(api=False)
    workers = [set(nginx.workers()) for nginx in machines.nginx]
    storm = asyncio.ensure_future(_storm(machines, 5))
    for _ in range(12):
        await asyncio.sleep(0.35)
        machines.redis.call("FLUSHALL")
    statuses = await storm
    case.note(f"statuses {dict(statuses)}")
    case.check(set(statuses) <= {200, 503}, f"statuses {dict(statuses)}")
    case.equal([set(nginx.workers()) for nginx in machines.nginx], workers, "workers")
    for nginx in machines.nginx:
        case.check("its keys in Redis were deleted" in nginx.read("error.log"),
                   "the log does not tell it")
    await machines.stop()


async def test_replicas(case):
    """With replicas= no update is answered 200 that a replica does not have."""
    machines = Machines(case)
    replica = Redis(case, "replica", replicaof=f"127.0.0.1 {machines.redis.port}")
    await machines.start(redis="replicas=1")
    await replica.start()
    linked = await until(lambda: "state=online" in machines.redis.call("INFO", "replication"))
    case.check(linked, "the replica does not follow")

    answers = await asyncio.gather(*(machines.post(machine, number)
                                     for number in range(1001, 1011) for machine in (0, 1)))

    # of two deliveries one is busy, and so are both if the replica is late

    case.equal({answer.status for answer in answers} - {200}, {503}, "statuses")
    for number in range(1001, 1011):
        case.equal((await machines.until_ok(0, number))[-1], 200, f"status of {number}")
        case.equal(machines.handled(number), 1, f"times the program saw update {number}")

    await replica.pause()
    for number in (1001, 1011):
        answer = await machines.post(1, number)
        case.equal(answer.status, 503, f"status of {number} without a replica")
    replica.resume()
    for number in (1001, 1011):
        case.equal((await machines.until_ok(0, number))[-1], 200, f"status of {number}")
        case.equal(machines.handled(number), 1, f"times the program saw update {number}")
    await machines.stop()


async def test_replicas_load(case):
    """With replicas= claims do not wait for a replica, and beats find them in Redis."""
    machines = Machines(case)
    replica = Redis(case, "replica", replicaof=f"127.0.0.1 {machines.redis.port}")
    await machines.start(redis="replicas=1", api=False)
    await replica.start()
    linked = await until(lambda: "state=online" in machines.redis.call("INFO", "replication"))
    case.check(linked, "the replica does not follow")
    await machines.until_ok(0, 1001)
    await machines.until_ok(1, 1002)
    workers = [set(nginx.workers()) for nginx in machines.nginx]
    statuses = await _storm(machines, 6)
    case.note(f"statuses {dict(statuses)}")
    case.equal(set(statuses), {200}, "statuses")
    case.equal([set(nginx.workers()) for nginx in machines.nginx], workers, "workers")
    seen = collections.Counter(seen.id for seen in machines.scene.program.seen)
    case.equal([number for number, times in seen.items() if times > 1], [], "seen twice")
    await machines.stop()


async def test_quit(case):
    """A worker that exits waits for Redis, but not beyond worker_shutdown_timeout."""
    machines = await Machines(case).start()
    machines.scene.program.hold()
    posts = [asyncio.ensure_future(machines.post(machine, 1001 + machine))
             for machine in (0, 1)]
    await until(lambda: len(machines.scene.program.seen) == 2)
    machines.redis.kill()
    machines.scene.program.release()
    case.equal([(await post).status for post in posts], [503, 503], "statuses")

    machines.nginx[0].signal(signal.SIGQUIT)
    start = time.monotonic()
    case.equal(await machines.nginx[0].exited(14), 0, "exit status without Redis")
    case.note(f"without Redis: {time.monotonic() - start:.1f} s")
    case.check_logs(machines.nginx[0])

    machines.nginx[1].signal(signal.SIGQUIT)
    await machines.redis.start()
    start = time.monotonic()
    case.equal(await machines.nginx[1].exited(8), 0, "exit status when Redis is back")
    case.note(f"with Redis: {time.monotonic() - start:.1f} s")
    case.check_logs(machines.nginx[1])
    case.equal(machines.redis.call("HGET", "{tgbot:e2e}:held", "1002"), None,
               "claim of the second one")
