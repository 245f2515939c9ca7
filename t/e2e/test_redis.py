"""The connection to Redis: what is sent comes back, and what is lost comes up again."""

import asyncio
import contextlib
import os
import re
import signal
import time

import build
import clients
from harness import MODULE, free_port, until
from redis import SERVER, Fake, Redis, Sentinel, certificate, cluster, info
from simulator.http1 import fetch

HTTP = """\
    {http}
    tgbot_redis {redis};
    server {{
        listen 127.0.0.1:{port};
        location = /tg {{
            tgbot_webhook e2e;
            tgbot_secret_token off;
            tgbot_handler /none;
        }}
        location / {{ redis_probe; }}
        {locations}
    }}
"""

PASSWORD = "kept to Redis & us"


class Probe:
    """An nginx with the module's connection, and one that asks it to send commands."""

    def __init__(self, case, nginx):
        self.case = case
        self.nginx = nginx

    async def ask(self, path):
        answer = await fetch("127.0.0.1", self.nginx.port, path)
        return answer.body.decode() if answer else None

    async def command(self, *words):
        return await self.ask("/c?" + ",".join(words))

    async def script(self, key, argument="a"):
        return await self.ask(f"/s?{key},{argument}")

    async def many(self, count, *words):
        return (await self.ask(f"/n?{count}," + ",".join(words))).strip()

    async def up(self, seconds=8.0, wanted="1"):
        """Whether it is up in time, and after how many seconds."""
        start = time.monotonic()
        while await self.ask("/up") != wanted:
            if time.monotonic() - start > seconds:
                return None
            await asyncio.sleep(0.02)
        return time.monotonic() - start

    async def is_up(self, seconds=8.0):
        return self.case.check(await self.up(seconds) is not None,
                               f"not up after {seconds} s")

    def log(self, text):
        return [line for line in self.nginx.read("error.log").splitlines() if text in line]

    async def logged(self, text, seconds=8.0):
        return self.case.check(await until(lambda: self.log(text), seconds),
                               f"error.log has no \"{text}\"")

    def bounded(self):
        """No kind of line about Redis comes more than once a second."""
        seen = {}
        for line in self.log("tgbot_redis: \""):
            stamp, _, text = line.partition(" [")
            text = re.sub(r"#\d+: (\*\d+ )?", "", text)
            seen.setdefault((stamp, text), []).append(line)
        for lines in seen.values():
            self.case.check(len(lines) == 1, f"{len(lines)} times: {lines[0]}")

    async def end(self, allowed=(), secrets=(PASSWORD,)):
        """It stops quietly."""
        self.bounded()
        await self.case.stop(self.nginx)
        self.case.check_logs(self.nginx, allowed, secrets)


async def probe(case, redis, http="", locations="", before="", after="", **options):
    """redis: the parameters of tgbot_redis; before, after: modules of nginx around ours."""
    library = await build.companion("redis_probe.c", case.directory)
    port = free_port()
    with contextlib.suppress(FileNotFoundError):
        os.unlink(f"{case.directory}/error.log")
    if " timeout=" not in redis:
        redis += " timeout=5s"          # the machine may be busy
    text = HTTP.format(port=port, redis=redis, http=http, locations=locations)
    options.setdefault("workers", 1)
    modules = [name for name in (before, MODULE, after, library) if name]
    nginx = await case.nginx(text, port, module=";\nload_module ".join(modules), **options)
    return Probe(case, nginx)


def lacks(case):
    if SERVER is None:
        case.skip("there is no redis-server")
    return SERVER is None


async def test_commands(case):
    """Commands and scripts, of all kinds and sizes, over TCP and over a unix socket."""
    if lacks(case):
        return
    redis = await Redis(case).start()
    for address in (f"127.0.0.1:{redis.port}", f"unix:{redis.path}"):
        asked = await probe(case, f"{address} db=3")
        await asked.is_up()
        case.equal(await asked.command("SET", "key", "a%0D%0A%00b"), "OK OK", "SET")
        case.equal(await asked.command("STRLEN", "key"), "OK 5", "STRLEN")
        case.equal(await asked.command("GET", "none"), "OK nil", "GET of nothing")
        case.equal(await asked.command("SET", "empty", "%20"), "OK OK", "SET")
        case.equal(await asked.command("LPUSH", "key", "1"),
                   "ERROR WRONGTYPE Operation against a key holding the wrong kind of value",
                   "LPUSH on a string")
        case.equal(await asked.command("NOSUCH", "secret"),
                   "ERROR ERR unknown command 'NOSUCH', with args beginning with: 'secret' ",
                   "a command that is none")
        await asked.logged("\"NOSUCH\" was refused: ERR, tgbot_redis")
        await asked.logged("\"LPUSH\" was refused: WRONGTYPE, a key holds what")
        case.check(not asked.log("'secret'"), "the log has an argument")

        case.equal(await asked.many(1000, "INCR", "n"), "OK:1000", "1000 at once")
        case.equal(await asked.command("GET", "n"), "OK 1000", "all were executed")
        case.equal(await asked.many(5000, "INCR", "n"), "OK:4096 DECLINED:904",
                   "more than may be in flight")

        case.equal(await asked.script("counter"), "OK [1,a]", "a script Redis does not know")
        case.equal(await asked.script("counter"), "OK [2,a]", "a script Redis knows")
        redis.call("SCRIPT", "FLUSH")
        case.equal(await asked.script("counter"), "OK [3,a]", "a script after SCRIPT FLUSH")
        await asyncio.sleep(1.1)        # a line of this kind was just logged
        case.equal(await asked.script("counter", "fail"), "ERROR ERR probe failed",
                   "a script that fails")
        await asked.logged("\"probe\" was refused: ERR probe failed")
        case.equal(redis.call("GET", "n"), None, "database 0")
        redis.call("FLUSHALL")
        await asked.end()


async def test_one_write(case):
    """What is sent in one iteration of the event loop leaves in few writes."""
    if lacks(case):
        return
    redis = await Redis(case).start()
    asked = await probe(case, f"127.0.0.1:{redis.port}")
    await asked.is_up()
    before = _reads(redis)
    case.equal(await asked.many(640, "PING"), "OK:640", "640 at once")
    reads = _reads(redis) - before
    case.note(f"{reads} reads of Redis for 640 commands")
    case.check(reads < 64, f"{reads} reads of Redis for 640 commands")
    await asked.end()


def _reads(redis):
    text = redis.call("INFO", "stats")
    return int(re.search(r"total_reads_processed:(\d+)", text)[1])


async def test_bell(case):
    """What is published rings, and each new connection does as well."""
    if lacks(case):
        return
    redis = await Redis(case).start()
    asked = await probe(case, f"127.0.0.1:{redis.port}")

    async def rings(count):
        for _ in range(400):
            if int(await asked.ask("/bell")) >= count:
                break
            await asyncio.sleep(0.02)
        case.equal(await asked.ask("/bell"), str(count), "rings")

    await rings(1)
    redis.call("PUBLISH", "probe", "x")
    redis.call("PUBLISH", "other", "x")
    await rings(2)
    redis.call("CLIENT", "KILL", "TYPE", "pubsub")
    await rings(3)
    redis.call("PUBLISH", "probe", "x")
    await rings(4)
    await asked.end()


async def test_restart(case):
    """Redis ends, by order and by force, and comes back; nothing is hung, nothing lost."""
    if lacks(case):
        return
    redis = await Redis(case).start()
    asked = await probe(case, f"127.0.0.1:{redis.port}")
    await asked.is_up()
    for number in (signal.SIGTERM, signal.SIGKILL):
        case.equal((await asked.command("INCR", "n"))[:3], "OK ", "before")
        refused = "connect() failed (111: Connection refused), tgbot_redis"
        lines = len(asked.log(refused))
        redis.kill(number)
        await asked.up(wanted="0")
        case.check(await until(lambda n=lines: len(asked.log(refused)) > n),
                   f"no line of \"{refused}\"")
        case.equal(await asked.command("INCR", "n"), "DECLINED ", "while it is away")
        await asyncio.sleep(3)          # the delay of the next attempt has grown
        await redis.start()
        seconds = await asked.up()
        case.check(seconds is not None and seconds < 5, f"up again after {seconds} s")
        case.note(f"up again after {seconds:.2f} s")
    await asked.logged("connection was lost, tgbot_redis")
    await asked.end()


async def test_half_open(case):
    """A Redis that hangs is left in time; without commands a PING finds out."""
    if lacks(case):
        return
    redis = await Redis(case).start()
    asked = await probe(case, f"127.0.0.1:{redis.port} timeout=300ms connect_timeout=300ms")
    await asked.is_up()
    await redis.pause()
    start = time.monotonic()
    case.equal(await asked.command("INCR", "n"), "UNKNOWN ", "a command")
    took = time.monotonic() - start
    case.check(0.25 < took < 3, f"given up after {took:.2f} s")
    await asked.logged("a command timed out (110: Connection timed out), tgbot_redis")
    await asked.logged("connecting timed out (110: Connection timed out), tgbot_redis")
    case.equal(await asked.command("INCR", "n"), "DECLINED ", "while it hangs")
    redis.resume()
    await asked.is_up(5)
    case.equal(redis.call("GET", "n"), "1", "what was sent was executed later")

    lines = len(asked.log("timed out"))
    await redis.pause()
    case.check(await asked.up(10, "0") is not None, "no PING found out")
    case.check(len(asked.log("timed out")) > lines, "no line says so")
    redis.resume()
    await asked.is_up(5)
    await asked.end()


async def test_load(case):
    """Timeouts fire under load too, and each command ends."""
    if lacks(case):
        return
    redis = await Redis(case).start()
    asked = await probe(case, f"127.0.0.1:{redis.port} timeout=300ms")
    await asked.is_up()
    counts = {}
    stop = False

    async def client():
        while not stop:
            answer = await asked.many(20, "INCR", "n")
            for part in answer.split():
                name, count = part.split(":")
                counts[name] = counts.get(name, 0) + int(count)

    clients = [asyncio.ensure_future(client()) for _ in range(8)]
    for _ in range(3):
        await until(lambda: counts.get("OK", 0) > 2000)
        await redis.pause()
        declined = counts.get("DECLINED", 0)
        await until(lambda: counts.get("DECLINED", 0) > declined + 100, 5)
        case.check(counts.get("DECLINED", 0) > declined, "it is not left while it hangs")
        counts["OK"] = 0
        redis.resume()
    await until(lambda: counts.get("OK", 0) > 2000)
    stop = True
    await asyncio.wait_for(asyncio.gather(*clients), 10)
    case.check(counts.get("UNKNOWN", 0) > 0, "nothing was in flight")
    case.note(f"{counts}")
    await asked.end()


def password(case, text, name="password_file"):
    """The parameter that names a file with it."""
    path = f"{case.directory}/{text.split()[0]}"
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
    os.chmod(path, 0o640)
    return f"{name}={path}"


async def test_passwords(case):
    """A password alone and with a user, wrong ones, and what an ACL forbids."""
    if lacks(case):
        return
    redis = Redis(case, requirepass=f'"{PASSWORD}"',
                  user="limited on >limited ~probe* ~{probe* &probe* &{probe*"
                       " +@read +@write +@scripting +@pubsub +info +ping +select +wait +asking"
                       " -flushall")
    redis.login = (PASSWORD,)
    await redis.start()

    address = f"127.0.0.1:{redis.port}"

    asked = await probe(case, f"{address} {password(case, PASSWORD + chr(10))}")
    await asked.is_up()
    case.equal(await asked.command("SET", "a", "b"), "OK OK", "with the password")
    redis.call("CONFIG", "SET", "requirepass", "another")
    redis.login = ("another",)
    redis.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    await asked.logged("\"AUTH\" was refused: WRONGPASS, the user or the password is wrong")
    case.equal(await asked.ask("/up"), "0", "up with the wrong password")
    redis.call("CONFIG", "SET", "requirepass", PASSWORD)
    redis.login = (PASSWORD,)
    await asked.is_up(5)
    await asked.end()

    asked = await probe(case, address)
    await asked.logged("\"INFO\" was refused: NOAUTH, it wants a password")
    await asked.end()

    asked = await probe(case, f"{address} user=limited {password(case, 'limited')}")
    await asked.is_up()
    case.equal(await asked.command("SET", "probe1", "b"), "OK OK", "what the ACL allows")
    case.equal(await asked.script("{probe:e2e}:n"), "OK [1,a]", "what the ACL allows")
    case.equal((await asked.command("SET", "a", "b"))[:12], "ERROR NOPERM", "another key")
    case.equal((await asked.command("FLUSHALL"))[:12], "ERROR NOPERM", "another command")
    await asked.logged("\"SET\" was refused: NOPERM, the ACL of the user forbids it")
    await asyncio.sleep(1.1)
    redis.call("ACL", "SETUSER", "limited", "resetchannels")
    await asked.logged("\"SUBSCRIBE\" was refused: NOPERM")
    await asked.is_up()
    await asked.end()


async def test_tls(case):
    """The server's certificate is checked, and its name; it checks the client's."""
    if lacks(case):
        return
    where = case.directory
    redis = await Redis(case, tls=await certificate(case, "redis", "DNS:redis.test,IP:127.0.0.1"),
                        tls_auth_clients="yes").start()
    address = f"127.0.0.1:{redis.port} ssl"
    pair = f"ssl_certificate={where}/redis.crt ssl_certificate_key={where}/redis.key"
    own = f"ssl_ca={where}/ca.crt {pair}"

    for text in (f"{address} {own}", f"{address} {own} ssl_name=redis.test"):
        asked = await probe(case, text)
        await asked.is_up()
        case.equal(await asked.command("SET", "a", "b" * 4000), "OK OK", "SET")
        case.equal(await asked.many(2000, "GET", "a"), "OK:2000", "2000 at once")
        await asked.end()

    for text, line in (
            (f"{address} {own} ssl_name=other.test",
             "certificate verify error: (62:hostname mismatch)"),
            (f"{address} {own} ssl_name=127.0.0.2",
             "certificate verify error: (64:IP address mismatch)"),
            (f"{address} {pair}",
             "certificate verify error: (19:self-signed certificate in certificate chain)"),
            (f"{address} ssl_ca={where}/ca.crt", "alert certificate required")):
        asked = await probe(case, text)
        await asked.logged(line)
        case.equal(await asked.command("SET", "a", "b"), "DECLINED ", line)
        await asked.end(allowed=("alert certificate required",))


async def test_versions(case):
    """A Redis that is too old is refused, and taken as soon as it is newer."""
    versions = ["6.2.14"]

    def answer(words):
        return info(versions[0]) if words[0] == "INFO" else (
            b"-ERR unknown\r\n" if words[0] == "CONFIG" else b"+PONG\r\n")

    fake = await Fake(case, answer).start()
    asked = await probe(case, f"127.0.0.1:{fake.port}")
    await asked.logged("Redis has version \"6.2.14\", expected 7.0 or newer, tgbot_redis: ")
    case.equal(await asked.ask("/up"), "0", "up with 6.2.14")
    count = fake.connections
    await until(lambda: fake.connections > count + 1)
    versions[0] = "10.1"
    await asked.is_up(5)
    await asked.end()


async def test_replies(case):
    """Answers that are no replies, or too large, end the connection and nothing else."""
    said = {}

    def answer(words):
        if words[0] == "INFO":
            return info()
        if words[0] == "BAD":
            said["bad"] = True
            return BAD[words[1]]
        return b"+PONG\r\n"

    fake = await Fake(case, answer).start()
    asked = await probe(case, f"127.0.0.1:{fake.port}")
    for name in BAD:
        await asked.is_up(5)
        case.equal(await asked.command("BAD", name), "UNKNOWN ", name)
        await asyncio.sleep(1.1)        # it was up for long enough to be trusted
    await asked.logged("sent what is no reply, or a reply larger than 16777216 bytes")
    await asked.end()


async def test_no_script(case):
    """What never knows a script, not even with its text, is asked a few times only."""
    asked_for = []

    def answer(words):
        if words[0] == "INFO":
            return info()
        if words[0] in ("EVAL", "EVALSHA"):
            asked_for.append(words[0])
            return b"-NOSCRIPT No matching script.\r\n"
        return b"+PONG\r\n"

    fake = await Fake(case, answer).start()
    asked = await probe(case, f"127.0.0.1:{fake.port}")
    await asked.is_up()
    case.equal(await asyncio.wait_for(asked.script("n"), 10),
               "ERROR NOSCRIPT No matching script.", "a script")
    case.equal(asked_for[:2], ["EVALSHA", "EVAL"], "the first commands")
    case.check(len(asked_for) < 10, f"{len(asked_for)} commands")
    await asked.logged("\"probe\" was refused: NOSCRIPT No matching script.")
    await asked.end()


BAD = {"text": b"hello\r\n", "elements": b"*70000\r\n", "many": b"*2000000000\r\n",
       "deep": b"*1\r\n" * 20 + b":1\r\n", "size": b"$-7\r\n",
       "large": b"$20000000\r\n" + b"x" * 17000000}


async def test_loading(case):
    """A Redis that loads its data is not up before it has."""
    states = ["LOADING Redis is loading the dataset in memory"]

    def answer(words):
        if words[0] in ("INFO", "CONFIG"):
            return info() if words[0] == "INFO" else b"*0\r\n"
        return f"-{states[0]}\r\n".encode() if states[0] else b"+OK\r\n"

    fake = await Fake(case, answer).start()
    asked = await probe(case, f"127.0.0.1:{fake.port}")
    await asked.logged("\"PING\" was refused: LOADING, it is loading its data")
    case.equal(await asked.command("GET", "a"), "DECLINED ", "while it loads")
    states[0] = ""
    await asked.is_up(5)
    for word in ("LOADING", "MASTERDOWN", "READONLY", "NOAUTH", "BUSY", "CLUSTERDOWN"):
        await asyncio.sleep(1.1)
        await asked.is_up(5)
        count = fake.connections
        states[0] = f"{word} why"
        case.equal(await asked.command("GET", "a"), "AWAY ", word)
        left = word not in ("BUSY", "CLUSTERDOWN")
        states[0] = ""
        if left:
            await until(lambda: fake.connections > count, 5)
            await asked.is_up(5)
        case.equal(fake.connections > count, left, f"{word}: another connection")
        await asked.logged(f"\"GET\" was refused: {word}, ")
    await asked.end()


async def test_warnings(case):
    """One warning each for what endangers queued updates."""
    if lacks(case):
        return
    redis = await Redis(case, appendonly="no", maxmemory_policy="allkeys-lru").start()
    asked = await probe(case, f"127.0.0.1:{redis.port}", workers=2)
    await asked.is_up()
    lines = ("\"maxmemory-policy\" \"allkeys-lru\", so it can drop queued updates",
             "neither \"appendonly yes\" nor \"save\", so its restart loses all queued")
    for line in lines:
        await asked.logged(line)
    redis.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    await asyncio.sleep(0.2)
    await asked.is_up(5)
    for line in lines:
        case.equal(len(asked.log(line)), 1, f"lines: {line}")
    await asked.end()

    redis.call("CONFIG", "SET", "save", "3600 1")
    redis.call("CONFIG", "SET", "maxmemory-policy", "noeviction")
    asked = await probe(case, f"127.0.0.1:{redis.port}")
    await asked.is_up()
    case.equal(asked.log("[warn]"), [], "warnings")
    await asked.end()


async def test_reload(case):
    """Reload and graceful stop: commands in flight end first, and no socket is left."""
    held = []

    def answer(words):
        if words[0] == "INFO":
            return info()
        if words[0] == "SLOW":
            held.append(words)
            return None
        return b"+PONG\r\n"

    fake = await Fake(case, answer).start()
    asked = await probe(case, f"127.0.0.1:{fake.port} timeout=2s")
    await asked.is_up()
    old = asked.nginx.workers()
    slow = asyncio.ensure_future(asked.command("SLOW"))
    await until(lambda: held)
    asked.nginx.signal(signal.SIGHUP)
    await until(lambda: asked.nginx.workers() != old)
    await asked.is_up()
    case.equal(await slow, "UNKNOWN ", "a command in flight when nginx was reloaded")
    await until(lambda: len(asked.nginx.workers()) == 1)

    held.clear()
    slow = asyncio.ensure_future(asked.command("SLOW"))
    await until(lambda: held)
    await asked.end()
    case.equal(await slow, "UNKNOWN ", "a command in flight when nginx was stopped")

    asked = await probe(case, f"127.0.0.1:{fake.port} timeout=60s", shutdown="1s")
    await asked.is_up()
    held.clear()
    slow = asyncio.ensure_future(asked.command("SLOW"))
    await until(lambda: held)
    start = time.monotonic()
    await asked.end()
    case.check(time.monotonic() - start < 20, "worker_shutdown_timeout has no effect")
    await slow


async def test_names(case):
    """A name is resolved by nginx's resolver, at each new connection."""
    if lacks(case):
        return
    first = await Redis(case, "first", bind="127.0.0.1").start()
    second = await Redis(case, "second", port=first.port, bind="127.0.0.2").start()
    addresses = {"redis.test": "127.0.0.1"}
    dns = await _dns(case, addresses)
    asked = await probe(case, f"redis.test:{first.port}",
                        http=f"resolver 127.0.0.1:{dns} valid=1s ipv6=off;")
    await asked.is_up()
    case.equal(await asked.command("SET", "at", "first"), "OK OK", "SET")
    addresses["redis.test"] = "127.0.0.2"
    first.kill()
    await asked.is_up()
    case.equal(await asked.command("SET", "at", "second"), "OK OK", "SET")
    case.equal(second.call("GET", "at"), "second", "the second one")
    del addresses["redis.test"]
    second.kill()
    await asked.logged("host \"redis.test\" of \"tgbot_redis\" could not be resolved (3: Host")
    await asked.end()


async def _dns(case, addresses):
    """The port of a name server that knows these addresses."""

    class Server(asyncio.DatagramProtocol):
        def connection_made(self, transport):
            self.transport = transport

        def datagram_received(self, data, addr):
            labels, at = [], 12
            while data[at]:
                labels.append(data[at + 1:at + 1 + data[at]].decode())
                at += 1 + data[at]
            question = data[12:at + 5]
            address = addresses.get(".".join(labels))
            head = data[:2] + (b"\x81\x80" if address else b"\x81\x83")
            answer = b""
            if address:
                answer = (b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x01\x00\x04"
                          + bytes(map(int, address.split("."))))
            self.transport.sendto(head + b"\x00\x01\x00" + bytes([bool(address)])
                                  + b"\x00\x00\x00\x00" + question + answer, addr)

    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        Server, local_addr=("127.0.0.1", 0))
    case.at_end(transport.close)
    return transport.get_extra_info("sockname")[1]


NCHAN = "/usr/lib/nginx/modules/ngx_nchan_module.so"

CHANNEL = """
        location /pub {
            nchan_publisher;
            nchan_channel_id one;
            nchan_redis_pass nchan;
        }
"""


async def test_nchan(case):
    """nchan, which brings a hiredis of its own, is loaded before or after: both work."""
    if lacks(case):
        return
    if not os.path.exists(NCHAN):
        case.skip("there is no nchan")
        return
    redis = await Redis(case).start()
    for where in ("before", "after"):
        asked = await probe(
            case, f"127.0.0.1:{redis.port}", locations=CHANNEL,
            http=f"upstream nchan {{ nchan_redis_server redis://127.0.0.1:{redis.port}; }}",
            **{where: NCHAN})
        await asked.is_up()
        case.equal(await asked.script("n"), "OK [1,a]", f"{where}: a script")
        for _ in range(100):            # it is not connected at once
            answer = await clients.post(asked.nginx.port, b"hello", "/pub")
            if answer and answer.status == 202:
                break
            await asyncio.sleep(0.1)
        case.equal(answer and answer.status, 202, f"{where}: nchan's answer")
        case.check(any("channel" in key for key in redis.call("KEYS", "*")),
                   f"{where}: nchan has no channel in Redis")
        case.equal(await asked.many(1000, "INCR", "n"), "OK:1000", f"{where}: 1000 at once")
        redis.call("FLUSHALL")
        await asked.end()


async def test_symbols(case):
    """The module neither shows a function of hiredis nor takes one from elsewhere."""
    process = await asyncio.create_subprocess_exec(
        "nm", "-D", MODULE, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    names = [line.split()[-1] for line in output.decode().splitlines()]
    case.check("ngx_http_tgbot_module" in names, "nm shows nothing")
    case.equal([name for name in names if re.match("_*(redis|freeReply|sds|hi_|net[A-Z])", name)],
               [], "symbols of hiredis")


async def test_addresses(case):
    """Of several addresses the one is used that is a master; a failover is followed."""
    if lacks(case):
        return
    first = await Redis(case, "first").start()
    second = await Redis(case, "second", replicaof=f"127.0.0.1 {first.port}").start()
    unused = free_port()
    asked = await probe(case, f"127.0.0.1:{unused} 127.0.0.1:{second.port}"
                              f" 127.0.0.1:{first.port}")
    case.equal(await asked.command("SET", "at", "first"), "OK OK", "at the start")
    await asked.logged("Redis has role \"slave\", expected \"master\", tgbot_redis")
    await until(lambda: second.call("GET", "at") == "first")
    case.equal(second.call("GET", "at"), "first", "the replica has it")

    first.kill()
    second.call("REPLICAOF", "NO", "ONE")
    await asked.is_up(5)
    case.equal(await asked.command("SET", "at", "second"), "OK OK", "after a failover")

    # the one that is used becomes a replica
    await first.start()
    second.call("REPLICAOF", "127.0.0.1", first.port)
    await until(lambda: "master_link_status:up" in second.call("INFO", "replication"))
    case.equal(await asked.command("SET", "at", "third"), "AWAY ", "READONLY")
    await asked.is_up(5)
    case.equal(await asked.command("SET", "at", "third"), "OK OK", "after READONLY")
    case.equal(first.call("GET", "at"), "third", "the first one has it")
    await asked.end()


async def test_sentinel(case):
    """The sentinels are asked for the master: at the start, and when it is lost."""
    if lacks(case):
        return
    first = await Redis(case, "first").start()
    second = await Redis(case, "second", replicaof=f"127.0.0.1 {first.port}").start()
    sentinel = await Sentinel(case, first).start()
    await until(lambda: sentinel.replicas() == 1)
    unused = free_port()
    asked = await probe(case, f"127.0.0.1:{unused} 127.0.0.1:{sentinel.port} sentinel=main"
                              " timeout=1s")
    case.equal(await asked.command("SET", "at", "first"), "OK OK", "at the start")
    case.equal(first.call("GET", "at"), "first", "the first one has it")

    first.kill()
    await until(lambda: sentinel.master() == second.port, 30)
    seconds = await asked.up()
    case.check(seconds is not None and seconds < 5, f"up {seconds} s after the failover")
    case.note(f"up {seconds:.2f} s after the failover")
    case.equal(await asked.command("SET", "at", "second"), "OK OK", "after the failover")
    case.equal(second.call("GET", "at"), "second", "the second one has it")

    # a master that hangs is none, and is a replica when it wakes up
    await first.start()
    await until(lambda: "role:slave" in first.call("INFO", "replication")
                and "master_link_status:up" in first.call("INFO", "replication"), 30)
    await second.pause()
    await until(lambda: sentinel.master() == first.port, 30)
    for _ in range(100):                # first it has to notice that nothing comes
        answer = await asked.command("SET", "at", "third")
        if answer == "OK OK":
            break
        await asyncio.sleep(0.1)
    case.equal(answer, "OK OK", "after the second one")
    second.resume()
    await until(lambda: "role:slave" in second.call("INFO", "replication"), 30)
    case.equal(await asked.command("GET", "at"), "OK third", "at the end")
    case.equal(first.call("GET", "at"), "third", "the first one has it")
    await asked.end()

    asked = await probe(case, f"127.0.0.1:{sentinel.port} sentinel=other")
    await asked.logged("sentinel knows no master \"other\", tgbot_redis")
    case.equal(await asked.command("GET", "at"), "DECLINED ", "without a master")
    await asked.end()


async def test_sentinel_login(case):
    """Sentinels have TLS and a password of their own, and so has the master they name."""
    if lacks(case):
        return
    tls = await certificate(case, "redis", "DNS:redis.test,IP:127.0.0.1")
    redis = Redis(case, tls=tls, requirepass="of-redis")
    redis.login = ("of-redis",)
    await redis.start()
    sentinel = Sentinel(case, redis, tls=tls, requirepass="of-sentinels",
                        user="asker on >of-asker +sentinel|get-master-addr-by-name",
                        sentinel=["auth-pass main of-redis"])
    sentinel.login = ("of-sentinels",)
    await sentinel.start()
    own = (f"127.0.0.1:{sentinel.port} sentinel=main ssl ssl_ca={case.directory}/ca.crt"
           f" {password(case, 'of-redis')}")
    for text in (password(case, "of-sentinels", "sentinel_password_file"),
                 "sentinel_user=asker " + password(case, "of-asker", "sentinel_password_file"),
                 "ssl_name=redis.test " + password(case, "of-sentinels",
                                                   "sentinel_password_file")):
        asked = await probe(case, f"{own} {text}")
        await asked.is_up()
        case.equal(await asked.command("SET", "a", "b"), "OK OK", text)
        await asked.end(secrets=("of-redis", "of-sentinels", "of-asker"))
        case.equal(asked.log("[error]"), [], text)
    for text, line in (
            ("", "\"SENTINEL\" was refused: NOAUTH, it wants a password, tgbot_redis"),
            (password(case, "of-redis", "sentinel_password_file"),
             "\"AUTH\" was refused: WRONGPASS, the user or the password is wrong"),
            ("ssl_name=other.test", "certificate verify error: (62:hostname mismatch), "
                                    f"tgbot_redis: \"127.0.0.1:{sentinel.port}\"")):
        asked = await probe(case, f"{own} {text}")
        await asked.logged(line)
        case.equal(await asked.command("GET", "a"), "DECLINED ", line)
        await asked.end(secrets=("of-sentinels", "of-asker"))


async def test_replicas(case):
    """A durable command is done when so many replicas have it, else its end is unknown."""
    if lacks(case):
        return
    master = await Redis(case, "master", repl_diskless_sync_delay="0").start()
    replica = await Redis(case, "replica", replicaof=f"127.0.0.1 {master.port}").start()
    master.call("SET", "first", 1)
    await until(lambda: master.call("WAIT", 1, 100) == 1)
    master.call("CONFIG", "RESETSTAT")
    asked = await probe(case, f"127.0.0.1:{master.port} replicas=1 timeout=6s")
    await asked.is_up()
    case.equal(await asked.ask("/d?n,a"), "OK [1,a]", "a script Redis does not know")
    case.equal(replica.call("GET", "n"), "1", "the replica has it")
    case.equal(await asked.ask("/d?n,fail"), "ERROR ERR probe failed", "a script that fails")
    case.equal((await asked.ask("/m?500,INCR,n")).strip(), "OK:500", "500 at once")
    case.equal(replica.call("GET", "n"), "502", "the replica has them")
    waits = int(re.search(r"cmdstat_wait:calls=(\d+)", master.call("INFO", "commandstats"))[1])
    case.equal(waits, 4, "calls of WAIT: two for the first script")

    await replica.pause()
    many = asyncio.ensure_future(asked.ask("/m?10,INCR,n"))
    case.equal(await asked.ask("/d?n,a"), "UNKNOWN ", "while the replica hangs")
    case.equal((await many).strip(), "UNKNOWN:10", "10 while the replica hangs")
    case.equal(await asked.script("n"), f"OK [{513 + 1},a]", "one that is not durable")
    await asked.logged("0 of 1 replicas have what was written in time, tgbot_redis")
    replica.resume()
    await until(lambda: replica.call("GET", "n") == "514")
    case.equal(await asked.ask("/d?n,a"), "OK [515,a]", "when it goes on")

    master.kill()
    await asked.up(wanted="0")
    await until(lambda: asked.log("Connection refused"))
    case.check(await asked.ask("/d?n,a") in ("AWAY ", "DECLINED "), "without a master")
    await master.start()
    await asked.is_up(5)
    for _ in range(200):                # the replica comes back as well
        answer = await asked.ask("/d?n,a")
        if answer.startswith("OK"):
            break
        await asyncio.sleep(0.1)
    case.equal(answer[:2], "OK", "with master and replica")
    await asked.end()

    asked = await probe(case, f"127.0.0.1:{master.port} replicas=2 timeout=1500ms")
    said = "1 of 2 replicas have what was written in time, tgbot_redis"
    for _ in range(10):                 # the replica may be late
        case.equal(await asked.ask("/d?n,a"), "UNKNOWN ", "more replicas than there are")
        if asked.log(said):
            break
    await asked.logged(said)
    await asked.end()


async def test_cluster(case):
    """A command finds the node of its slot, also while the slot moves."""
    if lacks(case):
        return
    nodes = await cluster(case, 3)
    asked = await probe(case, f"127.0.0.1:{nodes[0].port} cluster")
    await asked.is_up()
    tags = [f"{{tgbot:bot{i}}}" for i in range(60)]
    for turn in (1, 2):
        answers = await asyncio.gather(*(asked.script(f"{tag}:n") for tag in tags))
        case.equal([a for a in answers if a != f"OK [{turn},a]"], [], f"answers of turn {turn}")
    counts = [node.call("DBSIZE") for node in nodes]
    case.check(sum(counts) == 60 and min(counts) > 0, f"keys by node: {counts}")
    case.equal(asked.log("MOVED"), [], "lines about MOVED")

    # a slot moves: what is not there any more is asked for once
    tag = next(tag for tag in tags if nodes[0].call("EXISTS", f"{tag}:n") == 1)
    slot = nodes[0].call("CLUSTER", "KEYSLOT", tag)
    ids = [node.call("CLUSTER", "MYID") for node in nodes]
    nodes[1].call("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[0])
    nodes[0].call("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[1])
    case.equal(await asked.script(f"{tag}:n"), "OK [3,a]", "what has not moved")
    case.equal(await asked.script(f"{tag}:new"), "OK [1,a]", "what is asked for")
    case.equal(await asked.script(f"{tag}:new"), "OK [2,a]", "what is asked for again")
    nodes[1].call("SCRIPT", "FLUSH")
    case.equal(await asked.script(f"{tag}:new"), "OK [3,a]", "after SCRIPT FLUSH")
    nodes[0].call("MIGRATE", "127.0.0.1", nodes[1].port, f"{tag}:n", 0, 5000)
    case.equal(await asked.script(f"{tag}:n"), "OK [4,a]", "what has moved")
    for node in (nodes[1], nodes[0], nodes[2]):
        node.call("CLUSTER", "SETSLOT", slot, "NODE", ids[1])
    case.equal(await asked.script(f"{tag}:n"), "OK [5,a]", "when the slot has moved")

    rings = int(await asked.ask("/bell"))
    nodes[2].call("PUBLISH", "probe", "x")
    for _ in range(100):
        if int(await asked.ask("/bell")) > rings:
            break
        await asyncio.sleep(0.05)
    case.equal(await asked.ask("/bell"), str(rings + 1), "rings of another node")

    # a node that is away takes its slots with it, and no others
    tag = next(tag for tag in tags if nodes[2].call("EXISTS", f"{tag}:n") == 1)
    other = next(tag for tag in tags if nodes[1].call("EXISTS", f"{tag}:n") == 1)
    nodes[2].kill()
    for _ in range(100):
        answer = await asked.script(f"{tag}:n")
        case.check(answer in ("AWAY ", "DECLINED ", "UNKNOWN "), f"of a dead node: {answer}")
        if answer == "AWAY " and "down" in str(asked.log("CLUSTERDOWN")):
            break
        await asyncio.sleep(0.1)
    case.check((await asked.script(f"{other}:n")).startswith("OK"), "another slot")
    await nodes[2].start()
    case.check(await _answers(asked, tag), "it does not come back")
    await asked.end()


async def test_cluster_tls(case):
    """Each node of a cluster has to prove the address or the name that the cluster tells."""
    if lacks(case):
        return
    good = await certificate(case, "good", "IP:127.0.0.1")
    named = await certificate(case, "named", "DNS:*.redis.test")
    nodes = await cluster(case, 3, tls=lambda number: dict((good, good, named)[number],
                                                           **{"tls-cluster": "yes"}))
    seed = f"127.0.0.1:{nodes[0].port} cluster ssl ssl_ca={case.directory}/ca.crt"
    tags = [f"{{tgbot:bot{i}}}" for i in range(30)]
    asked = await probe(case, seed)
    await asked.is_up()
    answers = await asyncio.gather(*(asked.script(f"{tag}:n") for tag in tags))
    proved = answers.count("OK [1,a]")
    case.equal([node.call("DBSIZE") > 0 for node in nodes], [True, True, False], "nodes")
    case.equal(proved, nodes[0].call("DBSIZE") + nodes[1].call("DBSIZE"), "answers")
    await asked.logged("certificate verify error: (64:IP address mismatch), "
                       f"tgbot_redis: \"127.0.0.1:{nodes[2].port}\"")
    await asked.end()

    # the third one is told by its name, and has proved that when it answers
    nodes[2].call("CONFIG", "SET", "cluster-announce-hostname", "three.redis.test")
    for node in nodes[:2]:
        node.call("CONFIG", "SET", "cluster-preferred-endpoint-type", "hostname",
                  "cluster-announce-hostname", "127.0.0.1")
    known = lambda: all("three.redis.test" in node.call("CLUSTER", "NODES")  # noqa: E731
                        for node in nodes)
    case.check(await until(known), "the name is not known")
    dns = await _dns(case, {"three.redis.test": "127.0.0.1"})
    asked = await probe(case, seed, http=f"resolver 127.0.0.1:{dns} ipv6=off;")
    await asked.is_up()
    for tag in tags:
        case.check(await _answers(asked, tag), f"no answer for {tag}")
    case.check(nodes[2].call("DBSIZE") > 0, "the third node has nothing")
    case.equal(asked.log("verify error"), [], "errors of certificates")
    await asked.end()


async def _answers(asked, tag):
    for _ in range(150):
        if (await asked.script(f"{tag}:n")).startswith("OK"):
            return True
        await asyncio.sleep(0.1)
    return False


async def test_cluster_failover(case):
    """A replica takes the slots of its master, which is the node of the configuration."""
    if lacks(case):
        return
    nodes = await cluster(case, 4)
    nodes[3].call("CLUSTER", "REPLICATE", nodes[0].call("CLUSTER", "MYID"))
    await until(lambda: "master_link_status:up" in nodes[3].call("INFO", "replication"))
    asked = await probe(case, f"127.0.0.1:{nodes[0].port} 127.0.0.1:{nodes[3].port}"
                              f" 127.0.0.1:{nodes[1].port} cluster timeout=1s")
    await asked.is_up()
    tags = [f"{{tgbot:bot{i}}}" for i in range(20)]
    for tag in tags:
        case.equal(await asked.script(f"{tag}:n"), "OK [1,a]", f"{tag} before")
    await until(lambda: nodes[3].call("DBSIZE") == nodes[0].call("DBSIZE"))
    nodes[0].kill()
    await until(lambda: "role:master" in nodes[3].call("INFO", "replication"), 30)
    start = time.monotonic()
    for tag in tags:
        case.check(await _answers(asked, tag), f"{tag} does not come back")
    took = time.monotonic() - start
    case.note(f"all up {took:.2f} s after the failover")
    case.check(took < 5, f"up {took:.2f} s after the failover")
    await asked.end()
