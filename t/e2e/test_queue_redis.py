"""The queue in Redis: the lanes of several machines, through what happens to them."""

import asyncio
import os
import signal
import time

import clients
from harness import FULL, MAIN, MODULE, SECRET, SERVER, TOKEN, Nginx, bot, free_port, until
from redis import Redis, Sentinel, Way, cluster
from simulator.scene import Options, Scene

QUEUE = ("tgbot_queue redis lease=5s; "
         "tgbot_retry attempts=8 backoff=50ms max_backoff=1s; "
         "tgbot_attempts 10 backoff=100ms max_backoff=1s;")

UPDATES = 10000 if FULL else 3000

LOAD = dict(updates=UPDATES, chats=300, connections=100, ramp=0.1, schedule=0.1,
            heavy=0.2, program_latency=0.004, program_fail=0.03, lost_ack=0.03)


class Machines:
    """Several nginx in directories of their own, with one Redis, program and Bot API."""

    def __init__(self, case):
        self.case = case
        self.redis = None
        self.address = ""
        self.scene = None
        self.nginx = []

    async def start(self, count=2, directives=QUEUE, timeout="500ms", options=(),
                    redis=None, address="", more=(), **load):
        """
        redis: has the bot's keys and is reached by the address.  more: parts of MAIN and
        SERVER.
        """
        self.redis = redis or await Redis(self.case, **dict(options)).start()
        self.address = address or f"unix:{self.redis.path}"
        ports = tuple(free_port() for _ in range(count))
        self.scene = Scene(Options(url=f"http://127.0.0.1:{ports[0]}/tg/e2e", ports=ports,
                                   secret=SECRET, tokens=(TOKEN,), **dict(LOAD, **load)))
        self.case.at_end(self.scene.stop)
        await self.scene.start()
        for port in ports:
            await self.add(port, directives, timeout, **dict(more))
        return self

    async def add(self, port, directives, timeout="500ms", shutdown="10s",
                  program_timeout="10s"):
        """One more machine."""
        text = SERVER.format(
            port=port, program=self.scene.program.port, api=self.scene.api.port,
            secret=SECRET, program_timeout=program_timeout,
            locations=bot("e2e", directives)
            + "location /letters { tgbot_status write=on; }",
            http=f"tgbot_redis {self.address} timeout={timeout};",
            api_timeout="10s")
        directory = f"{self.case.directory}/{port}"
        os.makedirs(f"{directory}/logs")
        nginx = self.case.own(Nginx(directory, port))
        nginx.configure(MAIN.format(module=MODULE, workers=2, shutdown=shutdown, http=text,
                                    user="user root;" if os.geteuid() == 0 else ""))
        self.nginx.append(nginx)
        await self.begin(nginx)
        return nginx

    async def begin(self, nginx):
        await nginx.start()
        await until(lambda: len(nginx.workers()) == 2)

    async def post(self, number):
        """Delivers an update of a chat of its own to the first machine."""
        body = clients.text(number, "once", user=number)
        answer = await clients.post(self.nginx[0].port, body)
        self.case.equal(answer and answer.status, 200, f"the answer to update {number}")

    async def replay(self, letter):
        """What the first machine says to it."""
        return str(await clients.replay(self.nginx[0].port, f"e2e/{letter}"))

    async def until_count(self, field, count, seconds=20):
        got = lambda: self.count(field) == count  # noqa: E731
        self.case.check(await until(got, seconds),
                        f"{field}: {self.count(field)}, expected {count}")

    async def stop(self, allowed=()):
        for nginx in self.nginx:
            await self.case.stop(nginx)
            self.case.check_logs(nginx, allowed)

    async def until_up(self, nginx):
        """-> seconds until the worker that is asked has its Redis."""
        start = time.monotonic()
        while not (await self.case.status(nginx)).data["redis_up"]:
            await asyncio.sleep(0.05)
        return time.monotonic() - start

    async def kill(self, nginx):
        """All of a machine at once, without a word."""
        for pid in (nginx.master, *nginx.workers()):
            nginx.kill(pid, self.scene)
        await nginx.exited(10)

    def count(self, field):
        return int(self.redis.call("HGET", "{tgbot:e2e}:meta", field) or 0)

    async def finished(self, seconds=300):
        """All is acknowledged and worked on; nothing is left in the queue."""
        case, scene = self.case, self.scene
        case.check(await scene.finished(seconds), "Telegram still has updates")
        gone = lambda: self.count("items") == 0  # noqa: E731
        case.check(await until(gone, seconds, 0.1), f"{self.count('items')} items are left")

    async def end(self, parts=("lost", "disordered", "doubled without cause"), allowed=()):
        case = self.case
        books = case.books(self.scene)
        case.check_books(books, parts)
        done, accepted = self.count("done"), self.count("accepted")
        case.equal(done + self.count("dead"), accepted, "items done of those accepted")
        self.scene.webhook.close()
        for nginx in self.nginx:
            await case.check_status(nginx)
            await case.stop(nginx)
            case.check_logs(nginx, allowed)
        return books


async def test_machines(case):
    """
    Updates go to two machines at random, and what was acknowledged without Telegram's
    knowledge comes again to any: all are done once, each lane in order.
    """
    machines = await Machines(case).start()
    machines.scene.play()
    await machines.finished()
    books = await machines.end()
    case.equal(machines.count("accepted"), UPDATES, "accepted")
    case.check(books["telegram"]["resent"] >= UPDATES // 50, "few updates came again")


async def test_machine_killed(case):
    """A machine is gone at once, and comes again: the other one goes on with its lanes."""
    machines = await Machines(case).start(rate=400.0)
    machines.scene.play()
    for turn in range(3):
        await asyncio.sleep(1.5)
        nginx = machines.nginx[turn % 2]
        await machines.kill(nginx)
        await asyncio.sleep(0.5)
        await machines.begin(nginx)
    await machines.finished()
    await machines.end()
    case.equal(machines.count("accepted"), UPDATES, "accepted")


async def test_killed_and_started(case):
    """Redis is killed and started again, with its AOF: nothing is lost."""
    machines = await Machines(case).start(rate=400.0)
    machines.scene.play()
    for _ in range(3):
        await asyncio.sleep(1.5)
        machines.redis.kill()
        await asyncio.sleep(0.5)
        await machines.redis.start()
    await machines.finished()
    books = await machines.end(("lost", "disordered"))
    case.equal(machines.count("accepted"), UPDATES, "accepted")
    case.check(books["telegram"]["statuses"].get("503"), "Redis was away unnoticed")


async def test_stopped(case):
    """Redis stops for longer than a lease, and all its leases are over: nothing is lost."""
    machines = await Machines(case).start(rate=400.0)
    machines.scene.play()
    await asyncio.sleep(1.5)
    await machines.redis.pause()
    await asyncio.sleep(20 if FULL else 8)
    machines.redis.resume()
    await machines.finished()
    books = await machines.end(("lost", "disordered"))
    case.equal(machines.count("accepted"), UPDATES, "accepted")
    doubled = len(books["doubled"]["at the program"])
    case.check(doubled <= 64 + UPDATES // 20, f"{doubled} updates were done twice")


async def test_packets_dropped(case):
    """
    One machine's packets to Redis are lost, or what Redis says to it: it answers 503, the
    other one goes on with its lanes, and it is back without being told.
    """
    machines = Machines(case)
    redis = await Redis(case).start()
    way = await Way(case, redis).start()
    await machines.start(1, redis=redis, address=f"127.0.0.1:{way.port}", rate=400.0,
                         updates=UPDATES * 4 // 5)
    machines.address = f"unix:{redis.path}"
    nginx = await machines.add(free_port(), QUEUE)
    machines.scene.options.ports += (nginx.port,)
    machines.scene.play()
    statuses = machines.scene.webhook.statuses
    for lost in ({"there", "back"}, {"back"}):
        await asyncio.sleep(1)
        statuses[503] = 0
        way.lost |= lost
        case.check(await until(lambda: statuses[503] > 0), f"lost {lost}: no 503")
        await asyncio.sleep(1)
        way.lost.clear()
        seconds = await machines.until_up(machines.nginx[0])
        case.note(f"lost {sorted(lost)}: up again after {seconds:.1f} s")
        case.check(seconds < 5, f"lost {lost}: up again after {seconds:.1f} s")
    await machines.finished()
    await machines.end(("lost", "disordered"))
    case.equal(machines.count("accepted"), UPDATES * 4 // 5, "accepted")


async def test_refused(case):
    """Redis forbids the scripts, becomes a replica, loads its data: nothing is lost."""
    options = dict(user="nginx on >of-nginx ~* &* +@all", key_load_delay=1)
    machines = Machines(case)
    redis = await Redis(case, **options).start()
    path = f"{case.directory}/password"
    with open(path, "w", encoding="ascii") as file:
        file.write("of-nginx")
    os.chmod(path, 0o600)
    await machines.start(redis=redis, rate=400.0, updates=UPDATES * 2 // 3,
                         address=f"unix:{redis.path} user=nginx password_file={path}")
    machines.scene.play()

    async def refused(word):
        said = lambda: all(word in nginx.read("error.log")  # noqa: E731
                           for nginx in machines.nginx)
        case.check(await until(said), f"the logs do not tell of {word}")
        statuses = machines.scene.webhook.statuses
        case.check(await until(lambda: statuses[503] > 0), f"{word}: no 503")
        statuses[503] = 0

    async def accepts():
        count = machines.count("accepted") + 100
        case.check(await until(lambda: machines.count("accepted") > count), "nothing is accepted")

    await until(lambda: machines.count("done") > 100)
    redis.call("ACL", "SETUSER", "nginx", "-evalsha")
    await refused("was refused: NOPERM, the ACL of the user forbids it")
    redis.call("ACL", "SETUSER", "nginx", "+@all")
    await accepts()
    redis.call("REPLICAOF", "127.0.0.1", free_port())
    await refused("was refused: READONLY, it is a replica")
    redis.call("REPLICAOF", "NO", "ONE")
    await accepts()
    redis.kill()
    redis.spawn()
    await refused("was refused: LOADING, it is loading its data")
    case.check(await until(redis.serves), "it does not end to load")
    await machines.finished()
    await machines.end(("lost", "disordered"))
    case.equal(machines.count("accepted"), UPDATES * 2 // 3, "accepted")


async def test_failover(case):
    """
    The master is gone, and sentinels make a replica master: with replicas= it has all that
    Telegram was told is accepted.
    """
    first = await Redis(case, "first", repl_diskless_sync_delay="0").start()
    others = [await Redis(case, name, replicaof=f"127.0.0.1 {first.port}",
                          repl_diskless_sync_delay="0").start()
              for name in ("second", "third")]
    linked = lambda: "connected_slaves:2" in first.call("INFO", "replication")  # noqa: E731
    case.check(await until(linked), "the replicas do not follow")
    sentinel = await Sentinel(case, first).start()
    case.check(await until(lambda: sentinel.replicas() == 2), "the sentinel knows no replicas")
    machines = await Machines(case).start(
        redis=first, address=f"127.0.0.1:{sentinel.port} sentinel=main replicas=1", rate=400.0,
        updates=UPDATES * 2 // 3)
    machines.scene.play()
    await until(lambda: machines.count("done") > UPDATES // 6)
    first.kill()
    ports = {redis.port: redis for redis in others}
    case.check(await until(lambda: sentinel.master() in ports), "there is no failover")
    start = time.monotonic()
    machines.redis = ports[sentinel.master()]
    for nginx in machines.nginx:
        await machines.until_up(nginx)
    seconds = time.monotonic() - start
    case.note(f"up again {seconds:.1f} s after the failover")
    case.check(seconds < 5, f"up again {seconds:.1f} s after the failover")
    await machines.finished()
    await machines.end(("lost", "disordered"))


async def test_slot_moved(case):
    """The keys of the bot move to another node of the cluster, one after the other."""
    nodes = await cluster(case, 3)
    slot = nodes[0].call("CLUSTER", "KEYSLOT", "{tgbot:e2e}")
    source = nodes[slot * 3 // 16384]
    target = next(node for node in nodes if node is not source)
    machines = await Machines(case).start(
        directives=QUEUE.replace("lease=5s", "lease=60s"), redis=source,
        address=f"127.0.0.1:{source.port} 127.0.0.1:{target.port} cluster",
        rate=400.0, updates=UPDATES // 2)
    program = machines.scene.program
    machines.scene.play()
    await until(lambda: machines.count("done") > 100)
    program.hold()
    await until(lambda: machines.count("items") > 200)
    ids = [node.call("CLUSTER", "MYID") for node in (source, target)]
    target.call("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[0])
    source.call("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[1])
    lanes = 0
    while keys := source.call("CLUSTER", "GETKEYSINSLOT", slot, 10):
        before, lanes = lanes, lanes + sum(":lane:" in key for key in keys)
        moved = source.call("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
        # all of them may have been deleted meanwhile
        case.check(moved in ("OK", "NOKEY"), f"MIGRATE: {moved}")
        await asyncio.sleep(0.02)
        # the rest moves while lanes are worked on
        if before <= 30 < lanes:
            program.release()
    for node in (target, source, *nodes):
        node.call("CLUSTER", "SETSLOT", slot, "NODE", ids[1])
    machines.redis = target
    await machines.finished()
    books = await machines.end()
    case.check(lanes > 30, f"only {lanes} lanes moved")
    case.equal(machines.count("accepted"), UPDATES // 2, "accepted")
    case.check(books["telegram"]["statuses"].get("503"), "the move was not noticed")


async def test_scripts_flushed(case):
    """Redis forgets its scripts all the time: they are sent again."""
    machines = await Machines(case).start()
    machines.scene.play()
    while machines.count("done") < UPDATES // 2:
        machines.redis.call("SCRIPT", "FLUSH")
        await asyncio.sleep(0.05)
    await machines.finished()
    await machines.end()


async def test_flushed(case):
    """All keys are deleted: what was accepted is lost, and what comes later is not."""
    machines = await Machines(case).start(rate=400.0, updates=UPDATES // 2)
    scene = machines.scene
    scene.play()
    await until(lambda: machines.count("done") > 100)
    scene.program.hold()
    await until(lambda: machines.count("items") > 200)
    before = set(scene.webhook.deliveries)
    machines.redis.call("FLUSHALL")
    scene.program.release()
    for nginx in machines.nginx:
        told = lambda one=nginx: "keys in Redis were deleted" in one.read("error.log")  # noqa: E731
        case.check(await until(told), "the log does not tell of it")
    await machines.finished()
    books = case.books(scene)
    lost = {number for numbers in books["lost"].values() for number in numbers}
    case.check(len(lost) > 100, f"only {len(lost)} updates are lost")
    case.equal(lost - before, set(), "updates lost that came later")
    scene.webhook.close()
    await machines.stop()


async def test_out_of_memory(case):
    """At maxmemory nothing is accepted, but what is in the queue is worked on."""
    machines = await Machines(case).start(rate=800.0)
    scene, redis = machines.scene, machines.redis
    scene.program.hold()
    scene.play()
    await until(lambda: machines.count("items") >= 500)
    redis.call("CONFIG", "SET", "maxmemory", "1")
    case.check(await until(lambda: scene.webhook.statuses[503] >= 20), "no 503")
    full = machines.count("accepted")
    scene.program.release()
    case.check(await until(lambda: machines.count("items") == 0, 60),
               f"{machines.count('items')} items are left at maxmemory")
    case.equal(machines.count("accepted"), full, "accepted at maxmemory")
    redis.call("CONFIG", "SET", "maxmemory", "0")
    await machines.finished()
    await machines.end()


async def test_stop(case):
    """A machine that stops gives back what it has not begun; the other one goes on."""
    machines = await Machines(case).start(rate=400.0)
    machines.scene.play()
    await asyncio.sleep(1.5)
    nginx = machines.nginx[0]
    nginx.signal(signal.SIGQUIT)
    case.equal(await nginx.exited(12), 0, "exit status")
    await machines.begin(nginx)
    await machines.finished()
    await machines.end()


async def test_api_away(case):
    """Replies wait in Redis while the Bot API is away; the program is not asked again."""
    machines = await Machines(case).start(rate=400.0, program_fail=0.0)
    scene = machines.scene
    scene.play()
    await asyncio.sleep(1.5)
    scene.api.stop()
    await asyncio.sleep(4)
    await scene.api.restart()
    await machines.finished()
    books = await machines.end()
    case.equal(books["program"]["outcomes"], {"ok": UPDATES}, "calls of the program")


async def test_program_away(case):
    """The program is away: nothing is given up, and it is not overrun."""
    machines = await Machines(case).start(rate=400.0, program_fail=0.0)
    scene = machines.scene
    scene.play()
    await asyncio.sleep(1.5)
    scene.program.stop()
    await asyncio.sleep(5)
    await scene.program.restart()
    await machines.finished()
    books = await machines.end(("lost", "disordered"))
    case.equal(machines.count("done"), UPDATES, "done")
    doubled = len(books["doubled"]["at the program"])
    case.check(doubled <= 64, f"{doubled} updates were done twice")


async def test_letter_of_before_restart(case):
    """A replayed update that dies after a restart is another letter with the same id."""
    machines = await Machines(case).start(
        1, "tgbot_queue redis lease=3s; tgbot_dead_letters zone=dead:1m; tgbot_attempts 1;",
        more={"program_timeout": "60s"})
    program, nginx = machines.scene.program, machines.nginx[0]
    program.fault = "500"
    await machines.post(77)
    await machines.until_count("dead", 1)
    program.hold()
    case.check('"replayed":1' in await machines.replay(1), "the letter is not replayed")
    case.check(await until(lambda: len(program.arrivals(77)) == 2), "the program is not asked")
    await machines.kill(nginx)
    program.release()
    await machines.begin(nginx)
    await machines.until_count("dead", 2)
    case.equal(nginx.read("error.log").count("is dead letter 1:"), 2, "letters with the id 1")
    program.fault = None
    case.check('"replayed":1' in await machines.replay(1), "the next one is not replayed")
    await machines.until_count("done", 1)
    await machines.until_count("items", 0)
    await machines.stop()


async def test_configured_node_gone(case):
    """The node that the configuration names is gone: the others' queues go on."""
    nodes = await cluster(case, 3)
    mine = [node for node in nodes if node.call("EXISTS", "{tgbot:e2e}:meta") == 0]
    seed = next(node for node in nodes if node not in mine)
    machines = await Machines(case).start(1, "tgbot_queue redis;", redis=mine[0],
                                          address=f"127.0.0.1:{seed.port} cluster")
    await machines.post(1)
    await machines.until_count("done", 1)
    seed.kill()
    nginx = machines.nginx[0]
    gone = lambda: nginx.read("error.log").count("refused") >= 2  # noqa: E731
    case.check(await until(gone), "the node is not missed")
    for number in range(2, 12):
        await machines.post(number)
    await machines.until_count("done", 11)
    await machines.stop()


async def test_shutdown_timeout(case):
    """worker_shutdown_timeout ends a worker whose updates Redis does not take back."""
    machines = await Machines(case).start(1, "tgbot_queue redis lease=60s;",
                                          more={"program_timeout": "60s", "shutdown": "2s"})
    machines.scene.program.hold()
    await machines.post(77)
    case.check(await until(lambda: machines.scene.program.arrivals(77)), "it is not in work")
    await machines.redis.pause()
    await machines.stop()


async def test_stop_while_waiting(case):
    """A machine that stops gives back an update that waits for another machine's answer."""
    directives = ("tgbot_cache menu zone=answers:1m lock_timeout=100s redis; "
                  "tgbot_queue redis lease=100s concurrency={};")
    machines = await Machines(case).start(1, directives.format(1),
                                          more={"program_timeout": "60s"})
    program, flight = machines.scene.program, "{tgbot:e2e}:flight"
    taken = lambda count: machines.redis.call("HLEN", flight) == count  # noqa: E731
    program.hold()
    await machines.post(1)
    case.check(await until(lambda: program.arrivals(1)), "the program is not asked")
    nginx = await machines.add(free_port(), directives.format(2))
    await machines.post(2)
    case.check(await until(lambda: taken(2)), "the second machine takes nothing")
    await case.stop(nginx)
    machines.nginx.remove(nginx)
    case.check_logs(nginx)
    case.check(await until(lambda: taken(1)), "the second machine gives nothing back")
    program.release()
    await machines.until_count("done", 2)
    case.equal(program.arrivals(2), [], "arrivals of the second update")
    await machines.stop()
