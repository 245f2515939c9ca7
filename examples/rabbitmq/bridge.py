#!/usr/bin/env python3
"""
Puts each Update into RabbitMQ: the program that tgbot_handler asks.

It answers 200 when RabbitMQ has confirmed that it has the Update, in a queue that is on
disk.  Else it answers 503, and Telegram keeps the Update and sends it again.  SECRET is
the secret_token of the webhook, PORT where nginx finds this program.
"""

import asyncio
import os
from hmac import compare_digest
from itertools import takewhile

from pika import BasicProperties
from pika.spec import Basic

from broker import Broker, log, queue_of, run

SECRET = os.environ.get("SECRET", "").encode()
PORT = int(os.environ.get("PORT", "9010"))

# Updates that RabbitMQ has not confirmed yet: at most so many, for so many seconds.
WINDOW = 256
CONFIRM = 10.0

ANSWERS = {status: f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode()
           for status in ("200 OK", "400 Bad Request", "401 Unauthorized",
                          "503 Service Unavailable")}


class Bridge(Broker):
    """Publishes, and tells by answer(status) what became of it."""

    def __init__(self):
        self._channel = None
        self._blocked = False
        self._tag = 0           # RabbitMQ counts what is published in a channel
        self._waiting = {}      # by tag, in order: answer, and until when it waits
        super().__init__()
        self._expire()

    def ready(self, channel):
        self.connection.add_on_connection_blocked_callback(self._block)
        self.connection.add_on_connection_unblocked_callback(self._unblock)
        channel.add_on_return_callback(self._returned)
        self._channel, self._blocked, self._tag = channel, False, 0

    def gone(self):
        self._channel = None
        self._refuse(list(self._waiting))

    def publish(self, key, update_id, body, answer):
        if self._channel is None or not self._channel.is_open or self._blocked \
                or len(self._waiting) >= WINDOW:
            answer("503 Service Unavailable")
            return
        self._tag += 1
        self._waiting[self._tag] = answer, self.loop.time() + CONFIRM
        # mandatory: what no queue takes is returned
        self._channel.basic_publish("", queue_of(key), body, BasicProperties(
            content_type="application/json", delivery_mode=2, message_id=update_id,
            correlation_id=str(self._tag)), mandatory=True)

    def confirmed(self, frame):
        tags = [frame.method.delivery_tag]
        if frame.method.multiple:
            tags = list(takewhile(lambda tag: tag <= tags[0], self._waiting))
        if isinstance(frame.method, Basic.Ack):
            for tag in tags:
                self._answer(tag, "200 OK")
        else:
            self._refuse(tags)

    def _returned(self, _channel, _method, properties, _body):
        """It is confirmed as well, after this."""
        self._refuse([int(properties.correlation_id)])
        self.reconnect("there is no queue for an update: declaring all once more")

    def _block(self, _connection, method):
        """RabbitMQ lacks disk or memory, and reads nothing more from this connection."""
        log.error("blocked: %s", method.method.reason)
        self._blocked = True
        self._refuse(list(self._waiting))

    def _unblock(self, *_):
        log.info("no longer blocked")
        self._blocked = False

    def _expire(self):
        now = self.loop.time()
        self._refuse([tag for tag, (_, end) in self._waiting.items() if end < now])
        self.loop.call_later(1, self._expire)

    def _refuse(self, tags):
        for tag in tags:
            self._answer(tag, "503 Service Unavailable")

    def _answer(self, tag, status):
        answer, _ = self._waiting.pop(tag, (None, 0))
        if answer is not None:
            answer(status)


class Connection(asyncio.Protocol):
    """A connection of nginx, which sends the next request after the answer to this one."""

    def __init__(self, bridge):
        self._bridge = bridge
        self._transport = None
        self._data = b""

    def connection_made(self, transport):
        self._transport = transport

    def data_received(self, data):
        self._data += data
        head, end, body = self._data.partition(b"\r\n\r\n")
        if not end:
            return
        fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:])
        fields = {name.lower(): value for name, value in fields.items()}
        if len(body) < int(fields.get(b"content-length", 0)):
            return
        self._data = b""
        if not compare_digest(fields.get(b"x-telegram-bot-api-secret-token", b""), SECRET):
            self._answer("401 Unauthorized")
            return
        update_id = fields.get(b"x-tgbot-update-id", b"").decode()
        key = fields.get(b"x-key", b"").decode()
        self._bridge.publish(key or update_id, update_id, body, self._answer)

    def _answer(self, status):
        if not self._transport.is_closing():
            self._transport.write(ANSWERS[status])


async def main():
    bridge = Bridge()
    server = await bridge.loop.create_server(lambda: Connection(bridge), "127.0.0.1", PORT,
                                             backlog=512)
    await server.serve_forever()


if __name__ == "__main__":
    run(main)
