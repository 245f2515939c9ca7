"""Clients of a webhook that are no Telegram: one request, many at once, a flood."""

import asyncio
import os
import re
import signal
from collections import Counter

from harness import SECRET, suspend
from simulator import calls, updates
from simulator.http1 import HttpError, Parser

_STATUS = re.compile(rb"HTTP/1\.1 (\d{3})")


def request(body, path="/tg/e2e", secret=SECRET):
    """The bytes of a webhook's request."""
    return (f"POST {path} HTTP/1.1\r\nHost: e2e\r\n"
            f"X-Telegram-Bot-Api-Secret-Token: {secret}\r\n"
            "Content-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n").encode("latin-1") + body


def text(update_id, words, user=1):
    """The body of an update: a user's message in the private chat."""
    return updates.make(update_id, "message",
                        updates.message(update_id, updates.person(user), words)).body


def short(update_id, words, user=1):
    """The same with little more than what has to be in it, for floods."""
    return (f'{{"update_id":{update_id},\n"message":{{"message_id":{update_id},"from":'
            f'{{"id":{user},"is_bot":false,"first_name":"A"}},"chat":{{"id":{user},'
            f'"type":"private"}},"date":1700000000,"text":"{words}"}}}}').encode("ascii")


class NoAnswer(Exception):
    """A request is neither answered nor refused."""


class Client:
    """One connection: connect, send, then answer gives the answers in their order."""

    def __init__(self, port):
        self._port = port
        self._parser = Parser(response=True)
        self._messages = []
        self._reader = self._writer = None

    async def connect(self):
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    def send(self, data):
        self._writer.write(data)

    async def answer(self, timeout=30.0):
        """The next answer; None: the connection ended without one."""
        try:
            return await asyncio.wait_for(self._answer(), timeout)
        except asyncio.TimeoutError:
            raise NoAnswer(f"after {timeout} s") from None

    async def _answer(self):
        while not self._messages:
            try:
                data = await self._reader.read(65536)
            except ConnectionError:
                data = b""
            if not data:
                if not self._parser.idle:
                    raise HttpError("half an answer")
                return None
            self._messages += self._parser.feed(data)
        return self._messages.pop(0)

    async def close(self):
        """Returns when the other side knows of it as well."""
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except ConnectionError:
            pass


async def connect(nginx, worker, count):
    """So many connections that the worker has accepted, whatever the others do."""
    others = [pid for pid in nginx.workers() if pid != worker]
    connected = []
    try:
        for pid in others:
            await suspend(pid)
        for _ in range(count):
            client = await Client(nginx.port).connect()
            connected.append(client)
            client.send(b"GET /pid HTTP/1.1\r\nHost: e2e\r\n\r\n")
            answer = await client.answer()
            if int(answer.body) != worker:
                raise RuntimeError(f"worker {int(answer.body)} is not stopped")
    finally:
        for pid in others:
            os.kill(pid, signal.SIGCONT)
    return connected


async def post(port, body, path="/tg/e2e", timeout=30.0, secret=SECRET):
    """The answer to one request on a connection of its own, or None."""
    client = await Client(port).connect()
    try:
        client.send(request(body, path, secret))
        return await client.answer(timeout)
    except ConnectionError:
        return None
    finally:
        await client.close()


async def replay(port, path):
    """What is said to a replay of dead letters, "bot/id", or None if nothing is."""
    return await letters(port, path, "POST")


async def letters(port, path, method="GET"):
    """What is said of dead letters, "bot" or "bot/id", or None if nothing is."""
    action = {"POST": "X-Tgbot-Action: replay\r\n", "DELETE": "X-Tgbot-Action: drop\r\n"}
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"{method} /letters/dead/{path} HTTP/1.0\r\nHost: localhost\r\n"
                     f"{action.get(method, '')}\r\n".encode())
        answer = await reader.read()
        writer.close()
    except OSError:
        return None
    return answer.partition(b"\r\n\r\n")[2] or None


def ridden(message):
    """The parameters of the method that rides in an answer; {} if none does."""
    if not message.body:
        return {}
    return calls.parse(message.headers.get("content-type", ""), message.body)


class Statuses:
    """Counts the statuses of answers in a stream of them."""

    def __init__(self, statuses):
        self._statuses = statuses
        self._tail = b""

    def feed(self, data):
        """How many answers have begun in these bytes."""
        data = self._tail + data
        found = _STATUS.findall(data)
        # too short for a whole match
        self._tail = data[-11:]
        for status in found:
            self._statuses[int(status)] += 1
        return len(found)


class _Flood(asyncio.Protocol):
    """A connection of a flood: keeps so many requests under way."""

    def __init__(self, requests, depth, statuses, over):
        self._requests = requests
        self._depth = depth
        self._statuses = statuses
        self._over = over
        self._counter = Statuses(statuses)
        self._waiting = 0
        self._transport = None

    def connection_made(self, transport):
        self._transport = transport
        self._more()

    def _more(self):
        batch = []
        for data in self._requests:
            batch.append(data)
            if len(batch) == self._depth:
                break
        self._waiting = len(batch)
        if batch:
            self._transport.write(b"".join(batch))
        else:
            self._transport.close()

    def data_received(self, data):
        self._waiting -= self._counter.feed(data)
        if self._waiting == 0:
            self._more()

    def connection_lost(self, exc):
        self._statuses["lost"] += self._waiting
        if not self._over.done():
            self._over.set_result(None)


async def flood(port, requests, connections=16, depth=16):
    """
    Sends all of the requests as fast as they are answered, depth of them at a time on
    each connection.  How often each status came; "lost" counts those without an answer.
    """
    loop = asyncio.get_running_loop()
    statuses = Counter()
    requests = iter(requests)
    ends = []
    for _ in range(connections):
        over = loop.create_future()
        ends.append(over)
        await loop.create_connection(
            lambda over=over: _Flood(requests, depth, statuses, over), "127.0.0.1", port)
    await asyncio.gather(*ends)
    return +statuses
