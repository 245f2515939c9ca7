"""The Bot API server: executes calls, limits floods, and fails when told to."""

import asyncio
import functools
import json
import math
import re
import time
from collections import Counter, defaultdict
from dataclasses import dataclass

from . import calls, faults
from .http1 import Service, response
from .registration import METHODS, RegistrationError, Registrations

_PATH = re.compile(r"/bot([^/?]+)/(test/)?([A-Za-z_]+)(?:\?(.*))?$")
_METHOD = re.compile(
    r"(send|answer|edit|delete|forward|copy|get|set|pin|unpin|ban|unban|restrict|promote|"
    r"approve|decline|create|export|revoke|leave|stop|save|read|gift|transfer|refund|"
    r"upgrade|convert|post|repost|close|reopen|hide|unhide|verify|remove)[a-z]+$|"
    r"close$|logout$")


@dataclass
class Call:
    """
    One executed call; via is "api" or "response" (it rode in a webhook's answer).  worker
    is the process id of who made it, where the request said so.
    """

    number: int
    time: float
    method: str
    params: dict
    via: str
    worker: str = ""

    @property
    def chat(self):
        return self.params.get("chat_id")


class Bucket:
    """A token bucket: rate tokens a second, at most burst of them."""

    def __init__(self, rate, burst):
        self._rate = rate
        self._burst = burst
        self._tokens = float(burst)
        self._time = None

    def take(self, now):
        """0, or whole seconds to wait."""
        if self._time is not None:
            earned = (now - self._time) * self._rate
            self._tokens = min(self._burst, self._tokens + earned)
        self._time = now
        if self._tokens >= 1:
            self._tokens -= 1
            return 0
        return max(1, math.ceil((1 - self._tokens) / self._rate))


class ApiError(Exception):
    """An answer with ok false."""

    def __init__(self, status, description, **parameters):
        super().__init__(description)
        self.status = status
        self.description = description
        self.parameters = parameters


class BotApi(Service):
    """
    dice throws these faults: "500" and "502" (not executed), "reset-before" and
    "garbage" (not executed), "reset-after", "stall" and "truncated" (executed, but the
    caller cannot know).
    """

    UNKNOWN = ("reset-after", "stall", "truncated")

    def __init__(self, tokens=None, dice=None, stall=5.0, chat_limit=None, global_limit=None,
                 blocked=(), migrated=None, trace=None, capture=False):
        super().__init__(capture)
        self.tokens = tokens                # None: every token is known
        self.stall = stall
        self.blocked = {str(chat) for chat in blocked}
        self.migrated = {str(old): int(new) for old, new in (migrated or {}).items()}
        self.fault = None                   # a fault for everybody, see faults.show()
        self.registrations = Registrations()
        self.username = "demo_bot"          # of all bots; None: getMe fails
        self.named = 0                      # calls of getMe
        self.called = {False: set(), True: set()}   # methods, True: in the test environment
        self.executed = []
        self.statuses = Counter()
        self.unknown = Counter()            # calls whose caller cannot know the outcome
        self.lost = 0                       # calls of answers that were refused
        self._dice = dice or faults.Dice()
        self.trace = trace or (lambda *_: None)
        self.held = []                      # requests that wait, see hold()
        self._hold = None                   # the method whose calls wait
        self._chat_limit = chat_limit
        self._chats = {}
        self._global = Bucket(*global_limit) if global_limit else None
        self._messages = defaultdict(int)

    def by_chat(self):
        """Executed calls in their order, per chat."""
        chats = defaultdict(list)
        for call in self.executed:
            chats[call.chat].append(call)
        return dict(chats)

    def ride(self, params, _update=None):
        """Executes a method that came in a webhook's answer; its result is discarded."""
        try:
            self._check(params)
            self._execute(params["method"], params, "response")
        except ApiError as error:
            self.lost += 1
            self.trace("lost", params["method"], params, error.status)

    def hold(self, method):
        """Keeps calls of a method from now on."""
        self._hold = method

    def release(self):
        """Serves the calls it kept, and keeps no more."""
        self._hold = None
        held, self.held = self.held, []
        for connection, request in held:
            self.serve(connection, request)

    def serve(self, connection, request):
        if self._hold is not None and f"/{self._hold}" in request.target:
            self.held.append((connection, request))
            return
        if self.fault is not None:
            faults.show(connection, self.fault, self.stall)
            return
        try:
            method, params = self._parse(request)
            if method.lower() in METHODS:
                self._register(connection, request, method, params)
                return
            fault = self._dice.throw(_key(method, params))
            worker = request.headers.get("x-worker", "")
            if fault is not None and self._misbehave(connection, fault, method, params,
                                                     worker):
                return
            self._check(params)
            answer = self._answer(200, self._execute(method, params, "api", worker))
        except ApiError as error:
            self.trace("refused", request.target.rpartition("/")[2], {}, error.status)
            answer = self._refusal(error)
        connection.send(answer)

    def _register(self, connection, request, method, params):
        token = _PATH.match(request.target).group(1)
        hooks = self.registrations
        hooks.note(token, method, params,
                   calls.files(request.headers.get("content-type", ""), request.body))
        fault = hooks.fault(method)
        if isinstance(fault, tuple):
            status, wait = fault
            raise ApiError(status, f"Too Many Requests: retry after {wait}", retry_after=wait)
        if isinstance(fault, int):
            raise ApiError(fault, "Fault")
        if fault is not None:
            faults.show(connection, fault, self.stall)
            return
        execute = functools.partial(self._registered, connection, token, method, params,
                                    hooks.calls[-1].files)
        if hooks.delay and method.lower() == "setwebhook":
            asyncio.get_running_loop().call_later(hooks.delay, execute)
        else:
            execute()

    def _registered(self, connection, *call):
        """Executes a call, and answers."""
        try:
            answer = self._answer(200, self.registrations.call(*call))
        except RegistrationError as error:
            wait = {"retry_after": error.retry_after} if error.retry_after else {}
            answer = self._refusal(ApiError(error.status, error.description, **wait))
        connection.send(answer)

    def _misbehave(self, connection, fault, method, params, worker):
        """Whether the fault ends the matter."""
        self.trace("fault", method, params, fault)
        if fault == "500":
            raise ApiError(500, "Internal Server Error")
        if fault in self.UNKNOWN:
            self._check(params)
            result = self._execute(method, params, "api", worker)
            self.unknown[_key(method, params)] += 1
            if fault == "truncated":
                connection.finish(self._answer(200, result)[:-7])
                return True
        kind = fault.removesuffix("-before").removesuffix("-after")
        faults.show(connection, kind, self.stall)
        return True

    def _parse(self, request):
        match = _PATH.match(request.target)
        if match is None:
            raise ApiError(404, "Not Found")
        token, test, method, query = match.groups()
        self.called[bool(test)].add(method)
        if self.tokens is not None and token not in self.tokens:
            raise ApiError(401, "Unauthorized")
        if request.start[0] not in ("GET", "POST"):
            raise ApiError(405, "Method Not Allowed")
        if not _METHOD.match(method.lower()):
            raise ApiError(404, "Not Found: method not found")
        params = calls.parse_query(query or "")
        try:
            more = calls.parse(request.headers.get("content-type", ""), request.body)
        except calls.CallError as error:
            raise ApiError(400, f"Bad Request: {error}") from None
        for name, value in more.items():
            params.setdefault(name, value)
        return method, params

    def _check(self, params):
        """What may forbid a call that is otherwise well."""
        chat = params.get("chat_id")
        if chat is None:
            return
        if chat in self.blocked:
            raise ApiError(403, "Forbidden: bot was blocked by the user")
        if chat in self.migrated:
            raise ApiError(400, "Bad Request: group chat was upgraded to a supergroup chat",
                           migrate_to_chat_id=self.migrated[chat])
        now = time.monotonic()
        wait = 0
        if self._chat_limit:
            bucket = self._chats.get(chat)
            if bucket is None:
                bucket = self._chats[chat] = Bucket(*self._chat_limit)
            wait = bucket.take(now)
        if wait == 0 and self._global:
            wait = self._global.take(now)
        if wait:
            raise ApiError(429, f"Too Many Requests: retry after {wait}", retry_after=wait)

    def _execute(self, method, params, via, worker=""):
        lower = method.lower()
        if lower == "sendmessage":
            if not params.get("chat_id"):
                raise ApiError(400, "Bad Request: chat_id is empty")
            if not params.get("text"):
                raise ApiError(400, "Bad Request: message text is empty")
        if lower == "answercallbackquery" and not params.get("callback_query_id"):
            raise ApiError(400, "Bad Request: query is too old and response timeout expired "
                                "or query ID is invalid")
        if lower == "getme":
            self.named += 1
            if self.username is None:
                raise ApiError(404, "Not Found")
            return {"id": 110201543, "is_bot": True, "first_name": "Demo",
                    "username": self.username}
        if lower.startswith("get"):
            return {}
        call = Call(len(self.executed), time.monotonic(), method, params, via, worker)
        self.executed.append(call)
        self.trace("executed", method, params, via)
        if not lower.startswith(("send", "edit", "forward", "copy")):
            return True
        self._messages[call.chat] += 1
        return {"message_id": self._messages[call.chat], "date": int(time.time()),
                "chat": {"id": _number(call.chat), "type": "private"},
                "text": params.get("text", "")}

    def _answer(self, status, result):
        self.statuses[status] += 1
        body = json.dumps({"ok": True, "result": result}, separators=(",", ":")).encode()
        return response(status, body, "application/json", (("Connection", "keep-alive"),))

    def _refusal(self, error):
        self.statuses[error.status] += 1
        answer = {"ok": False, "error_code": error.status, "description": error.description}
        headers = [("Connection", "keep-alive")]
        if error.parameters:
            answer["parameters"] = error.parameters
        if "retry_after" in error.parameters:
            headers.append(("Retry-After", str(error.parameters["retry_after"])))
        body = json.dumps(answer, separators=(",", ":")).encode()
        return response(error.status, body, "application/json", headers)


def _key(method, params):
    """What makes a call the same call when it comes again."""
    return method.lower(), tuple(sorted(
        (name, value) for name, value in params.items() if name != "method"))


def key_of(call):
    """The key under which BotApi.unknown counts an executed call."""
    return _key(call.method, call.params)


def _number(chat):
    try:
        return int(chat)
    except (TypeError, ValueError):
        return 0
