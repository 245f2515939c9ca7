#!/usr/bin/env python3
"""
A bot's program that takes Updates from RabbitMQ, and answers through tgbot_gateway.

The updates of a queue are handled one after another, and so are those of a chat.  An
update is acknowledged when it is handled; until then it is in RabbitMQ, whatever becomes
of this program.  Several of these programs may run: one has the updates, and another one
takes over when it is gone.  GATEWAY is the address of the gateway.
"""

import asyncio
import functools
import http.client
import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor

from broker import QUEUES, Broker, log, run

# of an update on which handle() fails; after the first one it waits for 0.5 seconds, then
# for 1, 2 and 4, and its queue with it
ATTEMPTS = 5

GATEWAY = os.environ.get("GATEWAY", "127.0.0.1:8081")

kept = threading.local()


class Later(Exception):
    """The gateway or Telegram is away, or wants no call now: the same update once more."""

    def __init__(self, seconds):
        super().__init__(f"{seconds} s")
        self.seconds = seconds


def ask(*request):
    """The gateway's answer; the connection is kept for the thread's next call."""
    connection = vars(kept).pop("connection", None)
    is_new = connection is None
    if is_new:
        connection = http.client.HTTPConnection(GATEWAY, timeout=60)
    try:
        connection.request("POST", *request)
        answer = json.loads(connection.getresponse().read())
    except (OSError, http.client.HTTPException, ValueError) as error:
        connection.close()
        # the gateway closes one that is idle for long
        if not is_new:
            return ask(*request)
        log.error("no answer of the gateway to %s: %r", request[0], error)
        raise Later(1) from None
    kept.connection = connection
    return answer


def call(method, key, **params):
    """
    Telegram's answer to a call.  The gateway makes a call with a key once: should the
    update be handled twice, the second call gets the answer to the first one.
    """
    answer = ask(f"/bot/{method}", json.dumps(params), {
        "Content-Type": "application/json", "Idempotency-Key": key})
    if not answer["ok"]:
        log.error("%s: %s", method, answer["description"])
        # nginx was killed in the middle of it, for example: rather twice than not at all
        if answer["error_code"] == 409:
            return call(method, f"{key}-again", **params)
        # 401: it refuses the bot's token; else it is this call that Telegram refuses
        if answer["error_code"] in (401, 429) or answer["error_code"] >= 500:
            raise Later(answer.get("parameters", {}).get("retry_after", 1))
    return answer


def handle(update):
    """The bot.  What it raises makes the update come again, and at last a dead letter."""
    key = str(update["update_id"])
    query = update.get("callback_query")
    message = update.get("message", {})
    if query:
        call("answerCallbackQuery", f"{key}-1", callback_query_id=query["id"], text="Noted.")
        call("sendMessage", f"{key}-2", chat_id=query["from"]["id"],
             text=f"You chose {query['data']}.")
    elif message.get("text") == "/start":
        call("sendMessage", key, chat_id=message["chat"]["id"],
             text=f"Hello {message['from']['first_name']}!")
    elif "text" in message:
        call("sendMessage", key, chat_id=message["chat"]["id"],
             text=f"You said: {message['text']}")


class Consumer(Broker):
    """Takes one update of each queue at a time."""

    def __init__(self):
        self._threads = ThreadPoolExecutor(len(QUEUES))
        self._tasks = set()
        super().__init__()

    def ready(self, channel):
        # of each queue: the next one comes when this one is acknowledged
        channel.basic_qos(prefetch_count=1)
        for queue in QUEUES:
            channel.basic_consume(queue, self._take)

    def _take(self, *delivery):
        task = self.loop.create_task(self._work(*delivery))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _work(self, channel, method, properties, body):
        """Here an update is retried: in RabbitMQ another one of its chat would overtake it."""
        attempt = 1
        # what is delivered by a channel that is gone is delivered once more
        while channel.is_open:
            try:
                # a thread may wait for the gateway while heartbeats go on
                await self.loop.run_in_executor(
                    self._threads, lambda: handle(json.loads(body)))
                settle = channel.basic_ack
            except Later as later:
                await asyncio.sleep(later.seconds)
                continue
            except Exception:
                log.exception("update %s failed", properties.message_id)
                if attempt < ATTEMPTS:
                    await asyncio.sleep(2 ** attempt / 4)
                    attempt += 1
                    continue
                # to the dead letters
                settle = functools.partial(channel.basic_reject, requeue=False)
            if channel.is_open:
                settle(method.delivery_tag)
            return


async def main():
    consumer = Consumer()
    await consumer.loop.create_future()


if __name__ == "__main__":
    run(main)
