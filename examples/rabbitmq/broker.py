"""
A connection to RabbitMQ that comes back, and what bridge.py and consumer.py need there.

AMQP_URL is where RabbitMQ is, and BOT the name of the bot: it is part of the names of the
queues, so that bots can share a RabbitMQ.
"""

import asyncio
import logging
import os
import random
import zlib

import pika
from pika.adapters.asyncio_connection import AsyncioConnection

URL = os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2F?heartbeat=20")
BOT = os.environ.get("BOT", "shop")

DEAD = f"tgbot.{BOT}.dead"

# So many updates are handled at once: one of each queue.  Their number can be changed
# when they are empty.
QUEUES = [f"tgbot.{BOT}.{number}" for number in range(8)]

OPTIONS = {
    "x-queue-type": "quorum",
    # one consumer has the queue, the others stand by
    "x-single-active-consumer": True,
    # a queue that is full refuses updates, and Telegram keeps them
    "x-max-length": int(os.environ.get("QUEUE_LENGTH", "100000")),
    "x-overflow": "reject-publish",
    # an update that was in work when the consumer ended, so often, is a dead letter
    "x-delivery-limit": 20,
    "x-dead-letter-exchange": DEAD,
    "x-dead-letter-strategy": "at-least-once",
}

# seconds to wait before another connection is tried, the most after several that failed
FIRST, MOST = 0.25, 4.0

log = logging.getLogger(BOT)


def queue_of(key):
    """
    All updates of a chat are in one queue.  The exchange x-consistent-hash would not do:
    it puts a chat elsewhere when RabbitMQ has started again.
    """
    return QUEUES[zlib.crc32(key.encode()) % len(QUEUES)]


class Connection(AsyncioConnection):
    """What is sent in one turn of the loop goes in one piece, which costs RabbitMQ less."""

    def __init__(self, parameters, loop, **callbacks):
        self._loop = loop
        self._pieces = []
        super().__init__(parameters, custom_ioloop=loop, **callbacks)

    def _adapter_emit_data(self, data):
        if not self._pieces:
            self._loop.call_soon(self._emit)
        self._pieces.append(data)

    def _emit(self):
        data = b"".join(self._pieces)
        self._pieces.clear()
        if not self.is_closed:
            super()._adapter_emit_data(data)


class Broker:
    """
    What it is for overrides ready(channel): all is declared; and gone(): the channel is
    no more.
    """

    def __init__(self):
        self.loop = asyncio.get_running_loop()
        self.connection = None
        self._wait = FIRST
        self._connect()

    def _connect(self):
        self.connection = Connection(
            pika.URLParameters(URL), self.loop, on_open_callback=self._opened,
            on_open_error_callback=self._lost, on_close_callback=self._lost)

    def _opened(self, connection):
        connection.channel(on_open_callback=self._declare)

    def _declare(self, channel):
        """What is declared and there already stays as it is."""
        channel.add_on_close_callback(lambda _, why: self.reconnect(why))
        channel.add_on_cancel_callback(lambda _: self.reconnect("the consumer was cancelled"))
        channel.exchange_declare(DEAD, "fanout", durable=True)
        channel.queue_declare(DEAD, durable=True, arguments={"x-queue-type": "quorum"})
        channel.queue_bind(DEAD, DEAD)
        for queue in QUEUES:
            channel.queue_declare(queue, durable=True, arguments=OPTIONS)
        # a method that is answered, after the answers to all before
        channel.confirm_delivery(self.confirmed, callback=lambda _: self._declared(channel))

    def _declared(self, channel):
        log.info("connected")
        self._wait = FIRST
        self.ready(channel)

    def reconnect(self, why):
        """Ends the connection, which is followed by another one."""
        if self.connection.is_open:
            log.error("%s", why)
            self.connection.close()

    def _lost(self, _, why):
        wait = self._wait * random.uniform(0.5, 1)
        log.error("no connection, again in %.1f s: %r", wait, why)
        self.gone()
        self._wait = min(self._wait * 2, MOST)
        self.loop.call_later(wait, self._connect)

    def ready(self, channel):
        raise NotImplementedError

    def gone(self):
        pass

    def confirmed(self, frame):
        """RabbitMQ has, or has not, what was published."""


def run(main):
    """Runs a program to its end."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("pika").setLevel(logging.CRITICAL)
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        pass
