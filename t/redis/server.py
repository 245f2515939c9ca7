"""A Redis of its own for a test, its protocol, and the scripts of the module."""

import os
import re
import shutil
import socket
import subprocess
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
WORK = os.path.join(TOP, "ngx_http_tgbot_module", "work")


class Error(str):
    """a reply that is an error"""


class Server:
    """
    redis-server on a unix socket, without persistence, until stop(); first: a function that its
    process calls before
    """

    def __init__(self, *options, first=None):
        self.dir = tempfile.mkdtemp(prefix="tgbot-redis-")
        self.path = f"{self.dir}/redis.sock"
        self.process = subprocess.Popen(
            [os.environ.get("TGBOT_REDIS", "redis-server"), "--port", "0", "--unixsocket",
             self.path, "--dir", self.dir, "--save", "", "--appendonly", "no",
             *options],
            preexec_fn=first, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)

    def connect(self):
        """-> a connection, once the server answers"""
        for _ in range(1000):
            if self.process.poll() is not None:
                raise RuntimeError("redis-server has ended")
            try:
                connection = Connection(self.path)
                if connection.call("PING") == b"PONG":
                    return connection
            except OSError:
                pass
            time.sleep(0.01)
        raise RuntimeError("redis-server does not answer")

    def stop(self):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)


class Connection:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.file = self.socket.makefile("rb", 1 << 16)

    def send(self, *commands):
        self.socket.sendall(b"".join(map(encode, commands)))

    def read(self):
        line = self.file.readline()
        if not line:
            raise OSError("closed by Redis")
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest
        if kind == b"-":
            return Error(rest.decode())
        if kind == b":":
            return int(rest)
        if kind == b"$":
            if rest == b"-1":
                return None
            return self.file.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return None if rest == b"-1" else [self.read() for _ in range(int(rest))]
        raise ValueError(f"not RESP: {line!r}")

    def call(self, *command):
        self.send(command)
        return self.read()


def encode(command):
    words = [word if isinstance(word, bytes) else str(word).encode() for word in command]
    return b"".join([b"*%d\r\n" % len(words)]
                    + [b"$%d\r\n%s\r\n" % (len(word), word) for word in words])


def text(name, mutant=None):
    """-> the script as Redis is sent it, see ngx_http_tgbot_redis_scripts.sh"""
    lines = []
    with open(f"{WORK}/redis_{name}.lua", encoding="ascii") as file:
        source = file.read()
    if mutant:
        source = mutant.apply(f"redis_{name}.lua", source)
    for line in source.splitlines():
        part = re.fullmatch(r"--include redis_(\w+)\.lua", line)
        if part:
            lines.append(text(part[1], mutant))
        elif line and not line.startswith("--"):
            lines.append(line + "\n")
    return "".join(lines)


def names():
    """-> the names of all scripts"""
    found = (re.fullmatch(r"redis_(?!part_)(\w+)\.lua", name) for name in os.listdir(WORK))
    return sorted(match[1] for match in found if match)


class Mutant:
    """
    A defect that is put into a script on purpose: a file of mutants/.  Its first line says what
    is wrong, the second one where; then each run of "-" lines is replaced by the "+" lines behind
    it.
    """

    def __init__(self, path):
        self.name = os.path.basename(path)
        with open(path, encoding="ascii") as file:
            self.what, self.file, *lines = file.read().splitlines()
        self.changes = []
        for line in lines:
            if line[0] == "-" and (not self.changes or self.changes[-1][1]):
                self.changes.append(("", ""))
            old, new = self.changes[-1]
            line, sign = line[1:] + "\n", line[0]
            self.changes[-1] = (old + line, new) if sign == "-" else (old, new + line)

    def apply(self, file, source):
        if file == self.file:
            for old, new in self.changes:
                if source.count(old) != 1:
                    raise RuntimeError(f"mutant {self.name} does not fit {file}")
                source = source.replace(old, new)
        return source


def mutants():
    """-> all of them"""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "mutants")
    return [Mutant(f"{path}/{name}") for name in sorted(os.listdir(path))]
