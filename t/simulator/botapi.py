"""The Bot API server: executes calls, limits floods, and fails when told to."""

import asyncio
import functools
import json
import re
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from . import calls, faults, media
from .http1 import Service, response
from .limits import Limits, limited
from .registration import METHODS, RegistrationError, Registrations

MAX_UPLOAD = 50 << 20

_PATH = re.compile(r"/bot([^/?]+)/(test/)?([A-Za-z_]+)(?:\?(.*))?$")
_FILE = re.compile(r"/file/bot([^/?]+)/(test/)?([^?]+)$")
_METHOD = re.compile(
    r"(send|answer|edit|delete|forward|copy|get|set|pin|unpin|ban|unban|restrict|promote|"
    r"approve|decline|create|export|revoke|leave|stop|save|read|gift|transfer|refund|"
    r"upgrade|convert|post|repost|close|reopen|hide|unhide|verify|remove)[a-z]+$|"
    r"close$|logout$")


@dataclass
class Call:
    """
    One executed call; via is "api" or "response" (it rode in a webhook's answer).  worker
    is the process id of who made it, where the request said so; files are the digests of
    what it sent, by name of the part.
    """

    number: int
    time: float
    method: str
    params: dict
    via: str
    worker: str = ""
    files: dict = field(default_factory=dict)

    @property
    def chat(self):
        return self.params.get("chat_id")


@dataclass
class Arrival:
    """One call that arrived; status is what it was answered, or the name of a fault."""

    time: float
    method: str
    params: dict
    status: object = None


class ApiError(Exception):
    """An answer with ok false."""

    def __init__(self, status, description, **parameters):
        super().__init__(description)
        self.status = status
        self.description = description
        self.parameters = parameters


def blocked_by_user():
    return ApiError(403, "Forbidden: bot was blocked by the user")


def chat_not_found():
    return ApiError(400, "Bad Request: chat not found")


def migrated_to(chat):
    return ApiError(400, "Bad Request: group chat was upgraded to a supergroup chat",
                    migrate_to_chat_id=int(chat))


def flood(wait):
    return ApiError(429, f"Too Many Requests: retry after {wait}", retry_after=wait)


class BotApi(Service):
    """
    dice throws these faults: "500" and "502" (not executed), "reset-before" and
    "garbage" (not executed), "reset-after", "stall" and "truncated" (executed, but the
    caller cannot know).  limits are arguments of Limits.  What is put into .refusals, by
    chat, is what each call to the chat gets: an ApiError, or what faults.show() knows.
    """

    UNKNOWN = ("reset-after", "stall", "truncated")

    def __init__(self, tokens=None, dice=None, stall=5.0, limits=None, blocked=(),
                 migrated=None, trace=None, capture=False):
        super().__init__(capture)
        self.tokens = tokens                # None: every token is known
        self.stall = stall
        self.limits = Limits(**(limits or {}))
        self.media = media.Media()
        self.max_upload = MAX_UPLOAD
        self.refusals = {str(chat): blocked_by_user() for chat in blocked}
        for old, new in (migrated or {}).items():
            self.refusals[str(old)] = migrated_to(new)
        self.fault = None                   # a fault for everybody, see faults.show()
        self.registrations = Registrations()
        self.now = time.time                # the date of messages
        self.username = "demo_bot"          # of all bots; None: getMe fails
        self.named = 0                      # calls of getMe
        self.called = {False: set(), True: set()}   # methods, True: in the test environment
        self.arrived = []
        self.executed = []
        self.statuses = Counter()
        self.unknown = Counter()            # calls whose caller cannot know the outcome
        self.lost = 0                       # calls of answers that were refused
        self._dice = dice or faults.Dice()
        self.trace = trace or (lambda *_: None)
        self.held = []                      # requests that wait, see hold()
        self._hold = None                   # the method whose calls wait
        self._messages = defaultdict(int)

    def by_chat(self):
        """Executed calls in their order, per chat."""
        return _by_chat(self.executed)

    def arrived_by_chat(self):
        """The same of all calls that arrived, whatever became of them."""
        return _by_chat(self.arrived)

    def ride(self, params, _update=None):
        """Executes a method that came in a webhook's answer; its result is discarded."""
        try:
            self._check(params["method"], params)
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
            if request.target.startswith("/file/"):
                connection.send(self._download(request))
                return
            method, params = self._parse(request)
            if method.lower() in METHODS:
                self._register(connection, request, method, params)
                return
            answer = self._call(connection, request, method, params)
        except ApiError as error:
            self.trace("refused", request.target.rpartition("/")[2], {}, error.status)
            answer = self._refusal(error)
        if answer is not None:
            connection.send(answer)

    def _call(self, connection, request, method, params):
        """The answer to a call, or None after a fault."""
        arrival = Arrival(time.monotonic(), method, params)
        self.arrived.append(arrival)
        fault = self.refusals.get(params.get("chat_id"))
        if isinstance(fault, str):
            arrival.status = fault
            self.trace("fault", method, params, fault)
            faults.show(connection, fault, self.stall)
            return None
        arrival.status = self._dice.throw(_key(method, params))
        execute = functools.partial(
            self._execute, method, params, "api", request.headers.get("x-worker", ""),
            calls.files(request.headers.get("content-type", ""), request.body))
        try:
            if arrival.status is not None and self._misbehave(
                    connection, arrival.status, method, params, execute):
                return None
            self._check(method, params)
            result = execute()
        except ApiError as error:
            arrival.status = error.status
            raise
        arrival.status = 200
        return self._answer(200, result)

    def _download(self, request):
        match = _FILE.match(request.target)
        if match is None:
            raise ApiError(404, "Not Found")
        self._authorize(match.group(1))
        data = self.media.read(match.group(3))
        if data is None:
            raise ApiError(404, "Not Found")
        self.statuses[200] += 1
        body = b"" if request.start[0] == "HEAD" else data
        return response(200, body, "application/octet-stream", (("Connection", "keep-alive"),))

    def _register(self, connection, request, method, params):
        token = _PATH.match(request.target).group(1)
        hooks = self.registrations
        hooks.note(token, method, params,
                   calls.files(request.headers.get("content-type", ""), request.body))
        fault = hooks.fault(method)
        if isinstance(fault, tuple):
            raise flood(fault[1])
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

    def _misbehave(self, connection, fault, method, params, execute):
        """Whether the fault ends the matter."""
        self.trace("fault", method, params, fault)
        if fault == "500":
            raise ApiError(500, "Internal Server Error")
        if fault in self.UNKNOWN:
            self._check(method, params)
            result = execute()
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
        self._authorize(token)
        if request.start[0] not in ("GET", "POST"):
            raise ApiError(405, "Method Not Allowed")
        if not _METHOD.match(method.lower()):
            raise ApiError(404, "Not Found: method not found")
        if len(request.body) > self.max_upload:
            raise ApiError(413, "Request Entity Too Large")
        if method.lower() == "getupdates" and self.registrations.hooks[token].url:
            raise ApiError(409, "Conflict: can't use getUpdates method while webhook is "
                                "active; use deleteWebhook to delete the webhook first")
        params = calls.parse_query(query or "")
        try:
            more = calls.parse(request.headers.get("content-type", ""), request.body)
        except calls.CallError as error:
            raise ApiError(400, f"Bad Request: {error}") from None
        for name, value in more.items():
            params.setdefault(name, value)
        return method, params

    def _authorize(self, token):
        if self.tokens is not None and token not in self.tokens:
            raise ApiError(401, "Unauthorized")

    def _check(self, method, params):
        """What may forbid a call that is otherwise well."""
        chat = params.get("chat_id")
        if chat is None:
            return
        refusal = self.refusals.get(chat)
        if refusal is not None:
            raise refusal.with_traceback(None)
        if limited(method):
            paid = params.get("allow_paid_broadcast", "").lower() in ("true", "1")
            wait = self.limits.refuses(chat, paid)
            if wait:
                raise flood(wait)

    def _execute(self, method, params, via, worker="", files=None):
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
        if lower == "getupdates":
            return []
        if lower == "getfile":
            return self._file(params.get("file_id", ""))
        if lower.startswith("get"):
            return {}
        content = self._content(lower, params, files or {})
        call = Call(len(self.executed), time.monotonic(), method, params, via, worker,
                    {name: media.digest(data) for name, data in (files or {}).items()})
        self.executed.append(call)
        self.trace("executed", method, params, via)
        if lower == "sendchataction" or not lower.startswith(
                ("send", "edit", "forward", "copy")):
            return True
        self._messages[call.chat] += 1
        number = _number(call.chat)
        return {"message_id": self._messages[call.chat], "date": int(self.now()),
                "chat": {"id": number, "type": "supergroup" if number < 0 else "private"},
                **content}

    def _content(self, lower, params, files):
        """What the message that a call makes holds."""
        kind = media.kind_of(lower)
        if kind is None:
            return {"text": params.get("text", "")}
        found = self.media.sent(kind, params.get(kind, ""), files)
        if found is None:
            raise ApiError(400, f"Bad Request: there is no {kind} in the request")
        return {kind: found, "caption": params.get("caption", "")}

    def _file(self, file_id):
        found = self.media.file(file_id)
        if found is None:
            raise ApiError(400, "Bad Request: invalid file_id")
        if found["file_size"] > media.MAX_DOWNLOAD:
            raise ApiError(400, "Bad Request: file is too big")
        return found

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


def _by_chat(calls_made):
    chats = defaultdict(list)
    for call in calls_made:
        chats[call.params.get("chat_id")].append(call)
    return dict(chats)


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
