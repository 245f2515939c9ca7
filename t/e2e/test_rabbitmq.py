"""
examples/rabbitmq with a real RabbitMQ: whatever is killed or full, no update is lost, and each
chat's updates are handled in their order.
"""

import asyncio
import os
import re
import shlex
import signal
import subprocess
import sys
import zlib
from collections import defaultdict

import rabbitmq
from bots import listens, read_text, write
from harness import MAIN, MODULE, SECRET, TOKEN, TOP, Nginx, free_port, until
from simulator import updates
from simulator.botapi import BotApi
from simulator.webhook import Webhook

EXAMPLE = f"{TOP}/examples/rabbitmq"
CHATS = 40
RATE = 100                      # updates a second
POISON = 499999999              # a chat of which one update cannot be handled


class Program:
    """A program of the example, which is started and killed at will."""

    def __init__(self, case, name, number="", **environment):
        self._command = [sys.executable, "-B", f"{EXAMPLE}/{name}.py"]
        self._path = f"{case.directory}/{name}{number}.log"
        self._environment = dict(os.environ, SECRET=SECRET, **environment)
        self._process = None
        case.at_end(self.kill)

    def start(self):
        with open(self._path, "ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log,
                                             env=self._environment)

    def kill(self):
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def said(self, words):
        """How often."""
        return read_text(self._path).count(words)


class Shop:
    """The bot of the example, Telegram on both sides of it, and RabbitMQ."""

    def __init__(self, case):
        self._case = case
        self._pushed = defaultdict(list)    # numbers by chat
        self._next = 161803000
        self._traffic = None
        self.rabbit = rabbitmq.RabbitMq(case)
        self.api = BotApi(tokens={TOKEN})
        self.nginx = self.webhook = self.bridge = None
        self.consumers = []

    async def start(self):
        case = self._case
        # this takes longest
        self.rabbit.spawn()
        case.at_end(self.api.stop)
        await self.api.start()
        gateway, bridge = free_port(), free_port()
        self.bridge = self.program("bridge", PORT=str(bridge))
        self.consumers = [self.program("consumer", number, GATEWAY=f"127.0.0.1:{gateway}")
                          for number in (1, 2)]
        await self._start_nginx(gateway, bridge)
        for program in (self.bridge, *self.consumers):
            program.start()
        case.check(await until(self.rabbit.serves, 90, 0.1), "RabbitMQ does not serve")
        for line in re.findall(r"^    rabbitmqctl (.*)", read_text(f"{EXAMPLE}/README.md"), re.M):
            await self.rabbit.control(*shlex.split(line))
        case.check(await until(lambda: self.bridge.said(" connected"), 60, 0.1),
                   "the bridge does not connect")
        self.webhook = Webhook(f"http://127.0.0.1:{self.nginx.port}/tg/shop", secret=SECRET,
                               schedule=0.1, ramp=0.02)
        case.at_end(self.webhook.close)

    def program(self, name, number="", **environment):
        url = self.rabbit.url.replace("guest:guest", "shop:change-me")
        return Program(self._case, name, number, AMQP_URL=f"{url}?heartbeat=20", **environment)

    async def _start_nginx(self, gateway, bridge):
        case = self._case
        port = free_port()
        directory = f"{case.directory}/tgbot"
        os.makedirs(directory)
        write(f"{directory}/shop.token", f"{TOKEN}\n")
        write(f"{directory}/shop.secret", f"{SECRET}\n")
        text = read_text(f"{EXAMPLE}/nginx.conf")
        for name, old, new in (
                ("upstream.conf", "server  api.telegram.org:443;",
                 f"server  127.0.0.1:{self.api.port};"),
                ("api-location.conf", "https://telegram", "http://telegram")):
            write(f"{directory}/{name}",
                  _replaced(read_text(f"{TOP}/examples/{name}"), (old, new)))
        text = _replaced(
            re.sub("ssl_certificate.*", "", text), ("/etc/nginx/tgbot/", f"{directory}/"),
            ("/var/lib/nginx/tgbot;", f"{case.directory}/state;"),
            ("127.0.0.1:9010", f"127.0.0.1:{bridge}"), ("127.0.0.1:8081", f"127.0.0.1:{gateway}"),
            ("listen               443 ssl;", f"listen 127.0.0.1:{port};"))
        self.nginx = case.own(Nginx(case.directory, port))
        self.nginx.configure(MAIN.format(
            module=MODULE, user="user root;" * (os.geteuid() == 0), workers=2, shutdown="10s",
            http=text))
        await self.nginx.start()

    def push(self, chat, text=None, **more):
        """One more message of a chat; without a text the bot repeats the number of it."""
        self._next += 1
        if text is None:
            text = str(self._next)
            self._pushed[str(chat)].append(text)
        message = updates.message(self._next, updates.person(chat), text)
        message.update(more)
        self.webhook.push(updates.make(self._next, "message", message))
        return self._next

    def begin(self):
        """Messages of all chats, until end()."""
        async def flow():
            number = 0
            while True:
                self.push(500000000 + number % CHATS)
                number += 1
                await asyncio.sleep(1 / RATE)
        self._traffic = asyncio.get_running_loop().create_task(flow())

    async def end(self):
        """Waits until all of it is handled."""
        self._traffic.cancel()
        case = self._case
        case.check(await self.webhook.drained(60), "Telegram still has updates")
        wanted = sum(len(numbers) for numbers in self._pushed.values())
        case.check(await until(lambda: len(self.answered()) == wanted, 60),
                   f"{len(self.answered())} of {wanted} updates were answered")

    def answered(self):
        """Numbers of the messages that were repeated once or more often."""
        return {call.params["text"] for call in self.api.executed}

    async def more(self, what, count=30):
        """Waits until so many other messages are answered."""
        before = len(self.answered())
        self._case.check(await until(lambda: len(self.answered()) >= before + count, 60),
                         f"{what}: nothing goes on")

    async def refused(self, what, count=5):
        """Waits for so many answers to Telegram that are none of success."""
        def total():
            return sum(times for status, times in self.webhook.statuses.items() if status != 200)
        before = total()
        self._case.check(await until(lambda: total() >= before + count, 60),
                         f"{what}: nothing is refused")

    def check_order(self):
        """Of the first time that each message was answered."""
        case = self._case
        for chat, numbers in self._pushed.items():
            got = [call.params["text"].removeprefix("You said: ")
                   for call in self.api.executed if call.chat == chat]
            case.equal(list(dict.fromkeys(got)), numbers, f"chat {chat}")


def _replaced(text, *changes):
    for old, new in changes:
        assert old in text, f"no {old}"
        text = text.replace(old, new)
    return text


async def test_all(case):
    """All that can go is killed under traffic, and the disk of RabbitMQ is full for a while."""
    missing = rabbitmq.missing()
    if missing:
        case.skip(missing)
        return
    shop = Shop(case)
    await shop.start()
    poison = shop.push(POISON, "/start", **{"from": {}})
    shop.push(POISON)
    shop.begin()
    await shop.more("at first")

    shop.consumers[0].kill()
    shop.consumers[1].kill()
    shop.consumers[1].start()
    await shop.more("a consumer was killed")
    shop.consumers[0].start()

    shop.bridge.kill()
    await shop.refused("the bridge was killed")
    shop.bridge.start()
    await shop.more("the bridge was started")

    await reload(case, shop)
    await shop.nginx.kill_all()
    await shop.nginx.start()
    await shop.more("nginx was killed")

    shop.rabbit.kill()
    await shop.refused("RabbitMQ was killed")
    shop.rabbit.spawn()
    await shop.more("RabbitMQ was started")

    await disk_alarm(case, shop)
    await refusals(case, shop)
    await asyncio.to_thread(crashes, case, shop.rabbit)

    await shop.end()
    shop.check_order()
    case.check(await until(lambda: shop.rabbit.messages("tgbot.shop.dead")), "no dead letter")
    with shop.rabbit.channel() as channel:
        method, properties, _ = channel.basic_get("tgbot.shop.dead")
        case.equal(properties.message_id, str(poison), "the dead letter")
        case.equal(method.message_count, 0, "other dead letters")
    case.check(await until(lambda: not sum(
        shop.rabbit.messages(f"tgbot.shop.{number}") for number in range(8))), "not all handled")
    # those that were under way when nginx was killed, one of each queue
    case.check(len(shop.api.executed) - len(shop.answered()) <= 8, "calls that were made twice")
    case.note(f"{len(shop.api.executed)} answers to {len(shop.answered())} messages, "
              f"statuses {dict(shop.webhook.statuses)}")
    await case.stop(shop.nginx)
    case.check_logs(shop.nginx)


async def reload(case, shop):
    """Connections that consumers keep to the gateway end, and no call of theirs has to wait."""
    def lost():
        return sum(consumer.said("no answer of the gateway") for consumer in shop.consumers)
    before, old = lost(), shop.nginx.workers()
    shop.nginx.signal(signal.SIGHUP)
    case.check(await until(lambda: not set(shop.nginx.workers()) & set(old), 60), "no reload")
    await shop.more("nginx was reloaded")
    case.equal(lost(), before, "calls without an answer")


async def disk_alarm(case, shop):
    """While RabbitMQ takes nothing, Telegram keeps the updates."""
    await shop.rabbit.control("set_disk_free_limit", "1000000GB")
    case.check(await until(lambda: shop.bridge.said(" blocked: ")), "not blocked")
    # and what had been confirmed before has arrived
    await shop.refused("blocked", 60)
    before = shop.webhook.statuses[200]
    await shop.refused("blocked", 20)
    case.equal(shop.webhook.statuses[200], before, "confirmed while blocked")
    await shop.rabbit.control("set_disk_free_limit", "1MB")
    await shop.more("no longer blocked")


def crashes(case, rabbit):
    """An update that ends each consumer which gets it is a dead letter at last."""
    got = 0
    with rabbit.channel() as channel:
        channel.basic_publish("", "tgbot.full.0", b"{}")
    while not rabbit.messages("tgbot.full.dead") and got < 30:
        with rabbit.channel() as channel:
            method, _, _ = next(channel.consume("tgbot.full.0", inactivity_timeout=1))
            got += method is not None
    case.equal(got, 21, "consumers that ended")


async def refusals(case, shop):
    """A queue of another bot is full, and then there is none."""
    port = free_port()
    bridge = shop.program("bridge", "-full", BOT="full", PORT=str(port), QUEUE_LENGTH="2")
    bridge.start()
    case.check(await until(lambda: bridge.said(" connected") and listens(port), 60),
               "a second bridge does not connect")
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def publish(last):
        statuses = []
        while len(statuses) < 300 and last not in statuses:
            writer.write(("POST / HTTP/1.1\r\nContent-Length: 2\r\nX-Key: 1\r\n"
                          f"X-Telegram-Bot-Api-Secret-Token: {SECRET}\r\n\r\n{{}}").encode())
            head = await reader.readuntil(b"\r\n\r\n")
            statuses.append(int(head.split()[1]))
        case.equal(statuses[-1], last, "the last answer")
        return statuses

    case.equal((await publish(503))[0], 200, "the first answer")
    with shop.rabbit.channel() as channel:
        for number in range(8):
            channel.queue_delete(f"tgbot.full.{number}")
    case.equal(await publish(503), [503], "answers without a queue")
    case.check(await until(lambda: bridge.said(" connected") > 1, 60),
               "the queues are not declared once more")
    case.equal(await publish(200), [200], "answers with a queue")
    with shop.rabbit.channel() as channel:
        channel.queue_purge(f"tgbot.full.{zlib.crc32(b'1') % 8}")
    writer.close()
    bridge.kill()
