"""A few updates shown step by step: what Telegram sent, the program saw, the chat got."""

import asyncio
import json
import time
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from . import updates
from .botapi import BotApi
from .http1 import fetch
from .program import Program
from .webhook import Webhook

TOKEN = "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw0"
SECRET = "demo-secret"
URL = "http://127.0.0.1:8080/tg/demo"
API = ("127.0.0.1", 8081)
PROGRAM = ("127.0.0.1", 8082)

ANN = updates.person(471100001, "Ann")
FIRST_ID = 271828101
TRY_AGAIN = "This fails at first"
WAIT = 20


@dataclass
class Step:
    """One update and what has to come of it; effects are (method, way) in order."""

    title: str
    kind: str
    payload: dict
    effects: list
    arrivals: int = 1       # at the program
    statuses: tuple = (200,)


def steps():
    message = updates.message
    return [
        Step("a command that nginx answers from its configuration", "message",
             message(101, ANN, "/start"),
             [("sendMessage", "response")], arrivals=0),
        Step("a command with an argument, written as in a group", "message",
             message(102, ANN, "/help@demo_bot prices"),
             [("sendMessage", "response")], arrivals=0),
        Step("a text that goes to the program; its reply goes to the Bot API", "message",
             message(103, ANN, "Is the café open? 🙂"),
             [("sendMessage", "api")]),
        Step("a button; the program answers with two calls", "callback_query",
             updates.callback_query(4711000010000001, ANN, "table:4"),
             [("answerCallbackQuery", "api"), ("editMessageText", "api")]),
        Step("a photo", "message", updates.photo(104, ANN, "Our dinner"),
             [("sendMessage", "api")]),
        Step("a text on which the program fails once; Telegram sends it again", "message",
             message(105, ANN, TRY_AGAIN),
             [("sendMessage", "api")], arrivals=2, statuses=(500, 200)),
    ]


def answer(update):
    """The program of the demonstration."""
    query = update.get("callback_query")
    if query:
        shown = query["message"]
        return [
            {"method": "answerCallbackQuery", "callback_query_id": query["id"],
             "text": "Booked."},
            {"method": "editMessageText", "chat_id": shown["chat"]["id"],
             "message_id": shown["message_id"], "text": f"You took {query['data']}."},
        ]
    message = update.get("message", {})
    if "photo" in message:
        return {"method": "sendMessage", "text": f"A fine picture: {message['caption']}"}
    if "text" in message:
        return {"method": "sendMessage", "text": f"You said: {message['text']}"}
    return None


class Demo:
    """Runs the steps one after another and prints what happens."""

    def __init__(self, url=URL, secret=SECRET, token=TOKEN):
        self._url = url
        self._secret = secret
        self._effects = []
        self._arrivals = 0
        self._failed = False
        self.api = BotApi(tokens={token}, trace=self._trace_api)
        self.program = Program(answer=answer, secret=secret, trace=self._trace_program)

    async def run(self):
        """The number of steps that did not do what they should."""
        webhook = Webhook(self._url, secret=self._secret, execute=self.api.ride,
                          trace=self._trace_webhook)
        wrong = 0
        for number, step in enumerate(steps()):
            update = updates.make(FIRST_ID + number, step.kind, step.payload)
            print(f"\n{number + 1}. {step.title}", flush=True)
            self._effects.clear()
            self._arrivals = 0
            self._failed = step.arrivals < 2
            webhook.push(update)
            done = await webhook.drained(WAIT)
            faults = self._faults(step, webhook.deliveries[update.id], done)
            for fault in faults:
                _say("WRONG", fault)
            if not faults:
                _say("ok")
            wrong += bool(faults)
            if not done:
                break
        webhook.close()
        return wrong + await self._own_call(len(steps()) + 1)

    async def _own_call(self, number):
        """What a program does by itself: 1 if it goes wrong, else 0."""
        print(f"\n{number}. a call that the program makes by itself, through the gateway",
              flush=True)
        self._effects.clear()
        query = urlencode({"chat_id": ANN["id"], "text": "Your table is ready."})
        parts = urlsplit(self._url)
        _say("program → nginx", f"/api/sendMessage?{query}")
        answer = await fetch(parts.hostname, parts.port or 80, f"/api/sendMessage?{query}")
        status = answer.status if answer else "nothing"
        _say("nginx → program", f"{status}, what the Bot API answered")
        if status == 200 and self._effects == [("sendMessage", "api")]:
            _say("ok")
            return 0
        _say("WRONG", f"answered {status}, executed {self._effects}")
        return 1

    def _faults(self, step, delivery, done):
        faults = []
        if not done:
            faults.append(f"not acknowledged within {WAIT} s")
        if tuple(delivery.statuses) != step.statuses:
            faults.append(f"Telegram was answered {delivery.statuses}, "
                          f"not {list(step.statuses)}")
        if self._arrivals != step.arrivals:
            faults.append(f"the program saw it {self._arrivals} times, not {step.arrivals}")
        if self._effects != step.effects:
            faults.append(f"executed was {self._effects}, not {step.effects}")
        if delivery.dropped:
            faults.append("Telegram gave it up")
        return faults

    def _trace_webhook(self, event, delivery, message):
        update = delivery.update
        if event == "sent":
            _say("Telegram → nginx", f"update {update.id}, {update.kind} {_gist(update)}")
        elif event == "answered":
            retry_after = message.headers.get("retry-after")
            _say("nginx → Telegram", f"{message.status}"
                 + (f", Retry-After {retry_after}" if retry_after else "")
                 + (", with a method" if message.body else ", empty"))
        else:
            _say("Telegram", event)

    def _trace_program(self, event, update, seen):
        if event == "answered":
            _say("program → nginx", "200" if seen.outcome == "ok" else seen.outcome)
            return
        self._arrivals += 1
        self.program.fault = None
        if not self._failed:
            self._failed = True
            self.program.fault = "500"
        _say("nginx → program", f"update {seen.id}"
             + (f" for bot {seen.bot}" if seen.bot else "")
             + (f", attempt {seen.attempt}" if seen.attempt else ""))

    def _trace_api(self, event, method, params, detail):
        if event != "executed":
            _say("Bot API", f"{method} {event}: {detail}")
            return
        self._effects.append((method, detail))
        way = ("Bot API ← nginx" if detail == "api" else "rode in the answer")
        shown = {name: value for name, value in params.items() if name != "method"}
        _say(way, f"{method} {json.dumps(shown, ensure_ascii=False)}")


def _say(who, what=""):
    print(f"     {who:<20}{what}".rstrip(), flush=True)


def _gist(update):
    payload = update.payload
    if update.kind == "callback_query":
        return f"with data {payload['data']!r} from {payload['from']['id']}"
    if "photo" in payload:
        return f"with a photo {payload['caption']!r} in chat {update.chat}"
    return f"{payload['text']!r} in chat {update.chat}"


async def reachable(host, port, seconds):
    """Waits until something listens there; whether it does."""
    end = time.monotonic() + seconds
    while True:
        try:
            _, writer = await asyncio.open_connection(host, port)
        except OSError:
            if time.monotonic() > end:
                return False
            await asyncio.sleep(0.1)
        else:
            writer.close()
            return True
