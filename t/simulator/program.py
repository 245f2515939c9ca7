"""A bot's program: an HTTP server that answers an Update with a method, or fails."""

import asyncio
import json
import time
from dataclasses import dataclass

from . import faults
from .http1 import Service, response


@dataclass
class Seen:
    """
    One arrival of an update at the program.  outcome: "pending", "ok" (answered 200),
    "gone" (the caller left before the answer), or the name of the fault shown.  worker:
    the process that asks, if it says so.
    """

    id: int
    time: float
    bot: str
    attempt: str
    worker: str = ""
    outcome: str = "pending"
    ended: float = 0.0


def echo(update, calls=1):
    """
    The answer of the simulated bot: "reply <update_id>" to a message's chat or to a
    button, as one call or as an array of them ("reply <update_id>", then "… part 2").
    """
    texts = [f"reply {update['update_id']}"]
    texts += [f"{texts[0]} part {part}" for part in range(2, calls + 1)]
    methods = [_method(update, text) for text in texts]
    if methods[0] is None:
        return None
    return methods[0] if calls == 1 else methods


def _method(update, text):
    query = update.get("callback_query")
    if query:
        return {"method": "answerCallbackQuery", "callback_query_id": query["id"],
                "text": text}
    for payload in update.values():
        if isinstance(payload, dict) and "chat" in payload:
            return {"method": "sendMessage", "chat_id": payload["chat"]["id"], "text": text}
    return None


class Program(Service):
    """
    answer(update) gives the JSON value to answer with, or None for an empty answer.

    dice throws "500" (a failure) and "reset" (the connection is reset once the request
    is read).  fault is one for every request, see faults.show().
    """

    def __init__(self, answer=echo, latency=0.0, dice=None, secret=None, stall=5.0,
                 trace=None, capture=False):
        super().__init__(capture)
        self.seen = []
        self.bad_requests = 0
        self.fault = None
        self.stall = stall
        self.answer = answer
        self._latency = latency
        self._dice = dice or faults.Dice()
        self._secret = secret
        self._held = None
        self.trace = trace or (lambda *_: None)

    def hold(self):
        """Keeps its answers from now on."""
        self._held = []

    def release(self, *ids):
        """Gives the answers to these updates; without any to all, and keeps no more."""
        held = [answer for answer in self._held if not ids or answer[2].id in ids]
        self._held = [answer for answer in self._held if answer not in held] if ids else None
        for answer in held:
            self._finish(*answer)

    def arrivals(self, *ids):
        """What was seen of these updates."""
        return [seen for seen in self.seen if seen.id in ids]

    def serve(self, connection, request):
        headers = request.headers
        if self._secret is not None:
            if headers.get("x-telegram-bot-api-secret-token") != self._secret:
                connection.send(response(401))
                self.bad_requests += 1
                return
        try:
            update = json.loads(request.body)
            update_id = update["update_id"]
        except (ValueError, KeyError, TypeError):
            connection.send(response(400))
            self.bad_requests += 1
            return

        seen = Seen(update_id, time.monotonic(), headers.get("x-tgbot-bot", ""),
                    headers.get("x-tgbot-attempt", ""), headers.get("x-worker", ""))
        if headers.get("x-tgbot-update-id", str(update_id)) != str(update_id):
            self.bad_requests += 1
        self.seen.append(seen)
        self.trace("seen", update, seen)

        fault = self.fault or self._dice.throw(update_id)
        delay = self._delay(update_id)
        if self._held is not None:
            self._held.append((connection, update, seen, fault))
        elif delay:
            asyncio.get_running_loop().call_later(
                delay, self._finish, connection, update, seen, fault)
        else:
            self._finish(connection, update, seen, fault)

    def _delay(self, update_id):
        """Between half the mean and one and a half of it."""
        if not self._latency:
            return 0
        return self._latency * (0.5 + faults.fraction("latency", update_id, len(self.seen)))

    def _finish(self, connection, update, seen, fault):
        seen.ended = time.monotonic()
        if connection.lost:
            seen.outcome = "gone"
        elif fault is not None:
            seen.outcome = fault
            faults.show(connection, fault, self.stall)
        else:
            seen.outcome = "ok"
            value = self.answer(update)
            if value is None:
                connection.send(response(200))
            else:
                body = json.dumps(value, separators=(",", ":")).encode()
                connection.send(response(200, body, "application/json"))
        self.trace("answered", update, seen)
