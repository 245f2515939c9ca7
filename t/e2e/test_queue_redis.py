"""The queue in Redis: the lanes of several machines, through what happens to them."""

import asyncio
import os
import signal

import clients
from harness import FULL, MAIN, MODULE, SECRET, SERVER, TOKEN, Nginx, bot, free_port, until
from redis import Redis, cluster
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


async def test_scripts_flushed(case):
    """Redis forgets its scripts all the time: they are sent again."""
    machines = await Machines(case).start()
    machines.scene.play()
    while machines.count("done") < UPDATES // 2:
        machines.redis.call("SCRIPT", "FLUSH")
        await asyncio.sleep(0.05)
    await machines.finished()
    await machines.end()


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
