"""
How many updates a second are acknowledged by a queue in a zone, by one in Redis, and by RabbitMQ
behind the bridge of examples/rabbitmq.  All take turns, with as many updates under way as
Telegram has at most; what serves them may use all cores, so that the load takes no more of them
than it needs.  And how many updates a second the consumer takes from there, each with a call to
a Bot API that answers at once.
"""

import asyncio
import os
import statistics
import subprocess
import sys
import time
from types import SimpleNamespace

from instructions import Upstream
from measure import ALLOWED, SECRET, Void, cpu, pin
from queues import Deaf, Queue
from scenes import TESTS, until
from scripts import server as redis
from servers import PYTHON, TOKEN, free_port

import rabbitmq

EXAMPLE = f"{os.path.dirname(TESTS)}/examples/rabbitmq"
CONNECTIONS = 100
AIM = 5000          # updates a second that RabbitMQ confirms

ZONE = {"queue": "tgbot_dedup zone=seen:4m; tgbot_queue zone=updates:512m share=100% "
                 "concurrency=1;", "redis": "", "limit": ""}


class Beside(Queue):
    """A queue, and the processes that it needs besides nginx."""

    def __init__(self, *arguments, beside=(), **values):
        super().__init__(*arguments, **values)
        self.beside = beside

    def pids(self):
        return [*super().pids(), *(process.pid for process in self.beside)]


class Rabbit(Beside):
    file = "rabbitmq"

    def check_counts(self):
        queued = sum(self.values["rabbit"].messages(f"tgbot.shop.{number}") for number in range(8))
        if self.deliveries() != {"done": self.sent} or queued != self.sent:
            raise Void(f"{self.name}: {self.deliveries()}, in RabbitMQ {queued}, "
                       f"instead of {self.sent}")

    def calls(self):
        """-> those of the consumer that were answered"""
        calls = self.status()["bots"]["bench"]["api_calls_total"]
        return calls.get("sendMessage", {}).get("ok", 0)

    def consume(self, count):
        """-> updates a second, seconds of CPU of one"""
        path = f"{self.directory}/consumer.log"
        consumer = example("consumer", path, AMQP_URL=self.values["rabbit"].url,
                           GATEWAY=f"127.0.0.1:{self.port}")
        pids = [*super(Beside, self).pids(), self.values["rabbit"].pid, consumer.pid]
        points = []
        try:
            for wanted in (count // 20, count):
                if not asyncio.run(until(lambda: self.calls() >= wanted, 120)):
                    raise Void(f"{self.calls()} of {wanted} updates are handled: {said(path)}")
                points.append((self.calls(), time.monotonic(), cpu(pids)))
        finally:
            consumer.kill()
            consumer.wait()
        done, seconds, used = (last - first for first, last in zip(*points))
        return done / seconds, used / done


def example(name, path, **environment):
    """-> the process of a program of the example, which logs to path"""
    with open(path, "wb") as log:
        return subprocess.Popen([PYTHON, "-B", f"{EXAMPLE}/{name}.py"], stderr=log,
                                preexec_fn=pin(*ALLOWED), env={**os.environ, **environment})


class Stores:
    """What is started besides nginx, and the servers that need it."""

    def __init__(self, directory):
        self._directory = directory
        self._closers = []

    def servers(self):
        program = Deaf()
        self._closers.append(program.stop)
        found = [Beside("broker-zone", "a zone", self._directory, program=program.port, **ZONE)]
        for fsync in ("everysec", "always"):
            store = redis.Server("--unixsocketperm", "777", "--appendonly", "yes",
                                 "--appendfsync", fsync, first=pin(*ALLOWED))
            self._closers.append(store.stop)
            store.connect()
            os.chmod(store.dir, 0o755)      # the worker may be another user
            found.append(Beside(
                f"broker-redis-{fsync}", f"Redis, appendfsync {fsync}", self._directory,
                program=program.port, beside=[store.process], limit="redis",
                redis=f"tgbot_redis unix:{store.path};",
                queue="tgbot_queue redis limit=10000000 limit_size=2g concurrency=1;"))
        missing = rabbitmq.missing()
        if missing:
            print(f"left out: RabbitMQ: {missing}", file=sys.stderr)
        else:
            found.append(self._rabbit())
        return found

    def _rabbit(self):
        port, api = free_port(), Upstream("broker-api", "the Bot API", self._directory)
        self._closers.append(api.stop)
        api.start()
        server = Rabbit("broker-rabbitmq", "RabbitMQ", self._directory, program=port,
                        upstream=api.port, token=TOKEN)
        rabbit = rabbitmq.RabbitMq(SimpleNamespace(
            directory=server.directory, at_end=self._closers.append))
        rabbit.spawn(pin(*ALLOWED))
        if not asyncio.run(until(rabbit.serves, 90)):
            raise Void("RabbitMQ does not start")
        path = f"{server.directory}/bridge.log"
        bridge = example("bridge", path, AMQP_URL=rabbit.url, SECRET=SECRET, PORT=str(port))
        self._closers.append(bridge.kill)
        if not asyncio.run(until(lambda: "connected" in said(path), 30)):
            raise Void(f"the bridge does not connect: {said(path)}")
        server.values["rabbit"] = rabbit
        server.beside = [bridge, rabbit]
        return server

    def close(self):
        for close in reversed(self._closers):
            close()


def said(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def measure(load, directory, sizes):
    """-> rows, failures"""
    stores, servers, samples = Stores(directory), [], {}
    count = sizes["broker_updates"]

    def once(one, **options):
        return load.measure(one, count, count // 20, connections=CONNECTIONS, sleep=True,
                            **options)

    try:
        servers = stores.servers()
        for one in servers:
            one.start()
            one.check()
        for number in range(sizes["broker_rounds"]):
            for one in servers if number % 2 else servers[::-1]:
                used, result = once(one)
                samples.setdefault(one, []).append((count / result["seconds"], used / count))
        rates = {one: statistics.median(rate for rate, _ in some)
                 for one, some in samples.items()}
        rows = {}
        for one in servers:
            _, half = once(one, rate=rates[one] / 2)
            each = statistics.median(cost for _, cost in samples[one]) * 1e6
            rows[f"the 200, {one.title}"] = (
                f"{rates[one]:.0f} updates a second, {each:.0f} us of CPU each; at half of that "
                f"50 % within {half['p50'] / 1000:.2f} ms, 99 % within {half['p99'] / 1000:.2f} ms")
            one.check_counts()
            if isinstance(one, Rabbit):
                rate, used = one.consume(count)
                rows["the consumer of RabbitMQ"] = (
                    f"{rate:.0f} updates a second, {used * 1e6:.0f} us of CPU each")
    finally:
        for one in servers:
            one.stop()
        stores.close()
    return rows, [f"{rates[one]:.0f} updates a second, fewer than {AIM}" for one in servers
                  if isinstance(one, Rabbit) and rates[one] < AIM]
