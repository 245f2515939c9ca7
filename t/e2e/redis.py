"""A redis-server of a test, which is started, killed and stopped at will."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time

from harness import suspend, until
from ports import free_port

SERVER = os.environ.get("TGBOT_REDIS") or shutil.which("redis-server")


class Error(str):
    """An error that Redis answered."""


class Redis:
    """
    On a port of 127.0.0.1 and a unix socket; it keeps its data over kill() and start(), by
    an AOF.  options: further ones of redis-server, name=value; tls: those of a
    certificate(), then the port speaks TLS only.
    """

    def __init__(self, case, name="redis", port=None, tls=None, **options):
        self.directory = f"{case.directory}/{name}"
        self.port = port or free_port()
        self.path = f"{self.directory}/socket"
        self.options = {"port": self.port, "bind": "127.0.0.1", "unixsocket": self.path,
                        "dir": self.directory, "appendonly": "yes", "appendfsync": "no",
                        "save": "",
                        "enable-debug-command": "yes", "logfile": "redis.log"}
        self._change(tls, options)
        self.login = ()             # arguments of AUTH for call()
        self.arguments = ()
        self._process = None
        os.makedirs(self.directory, exist_ok=True)
        case.at_end(self.kill)

    def _change(self, tls, options):
        if tls:
            options = {"port": 0, "tls-port": self.port, "tls-auth-clients": "no",
                       "tls-replication": "yes", **tls, **options}
        self.options.update((key.replace("_", "-"), value) for key, value in options.items())

    async def start(self):
        """Returns when it serves."""
        self.spawn()
        if not await until(self.serves, 30):
            raise RuntimeError("redis-server does not serve")
        return self

    def spawn(self):
        # the configuration may hold passwords
        with open(f"{self.directory}/redis.conf", "w", encoding="ascii") as file:
            for name, values in self.options.items():
                for value in values if isinstance(values, list) else [values]:
                    text = '""' if value == "" else value
                    file.write(f"{name} {text}\n")
        self._process = subprocess.Popen([SERVER, f"{self.directory}/redis.conf", *self.arguments],
                                         stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)

    @property
    def pid(self):
        return self._process.pid

    def serves(self):
        try:
            return self.call("PING") == "PONG"
        except OSError:
            return False

    def kill(self, number=signal.SIGKILL):
        """Also one that is paused; returns when it has gone."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.send_signal(signal.SIGCONT)
            self._process.wait()
            self._process = None

    async def pause(self):
        await suspend(self.pid)

    def resume(self):
        os.kill(self.pid, signal.SIGCONT)

    def call(self, *words, timeout=5.0):
        """The reply to one command, on a connection of its own; text is str."""
        try:
            return self._call(words, timeout)
        except ConnectionError:
            # sentinels close the connections of what they make a master or a replica
            if words[0] not in ("INFO", "HGET"):
                raise
            return self._call(words, timeout)

    def _call(self, words, timeout):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(timeout)
            sock.connect(self.path)
            with sock.makefile("rb") as file:
                for command in (("AUTH", *self.login), words) if self.login else (words,):
                    sock.sendall(encode(command))
                    reply = read(file)
        return reply

    def clients(self, name=b""):
        """How many connections there are, but for the one that asks."""
        return len(self.call("CLIENT", "LIST").splitlines()) - 1


class Sentinel(Redis):
    """One sentinel, which alone decides on failovers of the master "main"."""

    def __init__(self, case, master, name="sentinel", tls=None, **options):
        super().__init__(case, name)
        more = options.pop("sentinel", [])
        self.options = {
            "port": self.port, "bind": "127.0.0.1", "unixsocket": self.path,
            "dir": self.directory, "logfile": "redis.log",
            "sentinel": [f"monitor main 127.0.0.1 {master.port} 1",
                         "down-after-milliseconds main 1000", "failover-timeout main 2000",
                         *more]}
        self._change(tls, options)
        self.arguments = ("--sentinel",)

    async def start(self):
        """It sees what happens sooner than after its 10 seconds."""
        await super().start()
        self.call("SENTINEL", "DEBUG", "info-period", 500, "publish-period", 500)
        return self

    def master(self):
        """The port of the master."""
        return int(self.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main")[1])

    def replicas(self):
        return len(self.call("SENTINEL", "REPLICAS", "main"))


async def cluster(case, count, tls=lambda number: None, **options):
    """
    Nodes of a cluster; the first three share the slots, the others have none.  tls: that of
    the node with this number.
    """
    nodes = [await Redis(case, f"node{i}", port=free_port(bus=True), cluster_enabled="yes",
                         cluster_node_timeout="1500", cluster_require_full_coverage="no",
                         cluster_replica_validity_factor="0", tls=tls(i), **options).start()
             for i in range(count)]
    for node in nodes[1:]:
        nodes[0].call("CLUSTER", "MEET", "127.0.0.1", node.port)
    for i, node in enumerate(nodes[:3]):
        node.call("CLUSTER", "ADDSLOTSRANGE", i * 16384 // 3, (i + 1) * 16384 // 3 - 1)
    case.check(await until(lambda: all(_knows(node, count) for node in nodes), 30),
               "there is no cluster")
    return nodes


def _knows(node, count):
    info = node.call("CLUSTER", "INFO")
    return (f"cluster_known_nodes:{count}" in info and "cluster_state:ok" in info
            and "cluster_slots_assigned:16384" in info)


def encode(words):
    words = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"".join([b"*%d\r\n" % len(words)]
                    + [b"$%d\r\n%s\r\n" % (len(word), word) for word in words])


def read(file):
    """One reply from a file of bytes."""
    line = file.readline()
    if not line:
        raise ConnectionError("closed by Redis")
    kind, rest = line[:1], line[1:-2].decode("utf-8", "surrogateescape")
    if kind == b"-":
        return Error(rest)
    if kind == b":":
        return int(rest)
    if kind == b"$":
        if rest == "-1":
            return None
        return file.read(int(rest) + 2)[:-2].decode("utf-8", "surrogateescape")
    if kind == b"*":
        return None if rest == "-1" else [read(file) for _ in range(int(rest))]
    return rest


class Way:
    """
    A way to a Redis on which packets are lost as long as "lost" has "there" or "back" in it.
    A connection that lost some is dead for good, and neither side is told of it.
    """

    def __init__(self, case, redis):
        self.lost = set()
        self.port = free_port()
        self._redis = redis
        self._server = None
        self._ends = []
        case.at_end(self.close)

    async def start(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        return self

    async def _serve(self, reader, writer):
        self._ends.append(writer)
        if self.lost:
            return
        there, back = await asyncio.open_unix_connection(self._redis.path)
        self._ends.append(back)
        dead = set()
        with contextlib.suppress(asyncio.CancelledError):       # the test is over
            await asyncio.gather(self._carry(reader, back, "there", dead),
                                 self._carry(there, writer, "back", dead))

    async def _carry(self, reader, writer, direction, dead):
        try:
            while True:
                data = await reader.read(65536)
                if direction in self.lost:
                    dead.add(direction)
                if not data:
                    break
                if direction not in dead:
                    writer.write(data)
        except OSError:
            pass
        if not dead and not self.lost:
            writer.close()

    def close(self):
        self._server.close()
        for writer in self._ends:
            writer.close()


async def certificate(case, name, names):
    """
    -> options of redis-server for a certificate for these names, such as "DNS:redis.test",
    that an authority of the test has signed.
    """
    where = case.directory
    with open(f"{where}/names", "w", encoding="ascii") as file:
        file.write(f"subjectAltName={names}")
    lines = [f"req -newkey rsa:2048 -nodes -keyout {name}.key -out {name}.csr -subj /CN={name}",
             f"x509 -req -in {name}.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2"
             f" -extfile names -out {name}.crt"]
    if not os.path.exists(f"{where}/ca.crt"):
        lines.insert(0, "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -days 2"
                        " -subj /CN=ca")
    for line in lines:
        process = await asyncio.create_subprocess_exec(
            "openssl", *line.split(), cwd=where, stderr=asyncio.subprocess.DEVNULL)
        await process.wait()
    return {"tls-cert-file": f"{where}/{name}.crt", "tls-key-file": f"{where}/{name}.key",
            "tls-ca-cert-file": f"{where}/ca.crt"}


class Fake:
    """
    A server that answers each command by answer(words), bytes; None: not at all.  Counts
    connections.
    """

    def __init__(self, case, answer, port=None):
        self.answer = answer
        self.port = port or free_port()
        self.connections = 0
        self._server = None
        self._writers = set()
        case.at_end(self.close)

    async def start(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        return self

    async def _serve(self, reader, writer):
        self.connections += 1
        self._writers.add(writer)
        try:
            while True:
                count = int((await reader.readline())[1:])
                words = []
                for _ in range(count):
                    size = int((await reader.readline())[1:])
                    words.append((await reader.readexactly(size + 2))[:-2].decode())
                data = self.answer(words)
                if data is not None:
                    writer.write(data)
        except (ValueError, OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    def close(self):
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self._writers):
            writer.close()


def bulk(text):
    data = text.encode()
    return b"$%d\r\n%s\r\n" % (len(data), data)


def info(version="7.0.15", role="master", policy="noeviction"):
    """What a Redis says of itself, as far as the module looks at it."""
    return bulk(f"# Server\r\nredis_version:{version}\r\nmaxmemory_policy:{policy}\r\n"
                f"role:{role}\r\n")


def elapsed(since):
    return time.monotonic() - since
