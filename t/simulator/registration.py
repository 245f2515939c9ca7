"""What Telegram knows of webhooks: setWebhook, getWebhookInfo and deleteWebhook."""

import json
import re
import time
from collections import defaultdict, deque
from dataclasses import dataclass, field
from urllib.parse import urlsplit

METHODS = ("setwebhook", "getwebhookinfo", "deletewebhook")

PORTS = (443, 80, 88, 8443)
TYPES = ("message", "edited_message", "channel_post", "edited_channel_post",
         "business_connection", "business_message", "edited_business_message",
         "deleted_business_messages", "message_reaction", "message_reaction_count",
         "inline_query", "chosen_inline_result", "callback_query", "shipping_query",
         "pre_checkout_query", "purchased_paid_media", "poll", "poll_answer",
         "my_chat_member", "chat_member", "chat_join_request", "chat_boost",
         "removed_chat_boost", "guest_message", "managed_bot", "subscription",
         "stopped_message_generation", "widget_query", "shared_widget_query")
DEFAULT = frozenset(TYPES) - {"chat_member", "message_reaction", "message_reaction_count"}

_SECRET = re.compile(r"[A-Za-z0-9_-]{0,256}$")


class RegistrationError(Exception):
    """An answer with ok false: status, description, and retry_after if there is one."""

    def __init__(self, status, description, retry_after=0):
        super().__init__(description)
        self.status = status
        self.description = description
        self.retry_after = retry_after


@dataclass
class Hook:
    """A bot's webhook."""

    url: str = ""
    secret: str = ""
    certificate: bytes = None
    max_connections: int = 40
    ip_address: str = ""
    allowed: frozenset = DEFAULT
    pending: int = 0
    last_error_date: int = 0
    last_error_message: str = ""

    def info(self):
        """The result of getWebhookInfo; the secret is never told."""
        info = {"url": self.url, "has_custom_certificate": self.certificate is not None,
                "pending_update_count": self.pending}
        if self.last_error_date:
            info["last_error_date"] = self.last_error_date
            info["last_error_message"] = self.last_error_message
        if self.url:
            info["max_connections"] = self.max_connections
            info["ip_address"] = self.ip_address or "192.0.2.10"
        if self.allowed != DEFAULT:
            info["allowed_updates"] = [name for name in TYPES if name in self.allowed]
        return info


@dataclass
class Call:
    """One call that arrived, whatever became of it."""

    time: float
    token: str
    method: str
    params: dict
    files: dict = field(default_factory=dict)


class Registrations:
    """
    Webhooks of all bots.  local: a server of one's own, which takes any port and http.
    Faults that are put into .faults, by method, meet the next calls of it, one each: a
    status, (429, retry_after), or what faults.show() knows; None is none.  shows: makes
    of an answer of getWebhookInfo what is told instead.  delay: seconds until a setWebhook
    is executed, as Telegram connects to the webhook before.
    """

    def __init__(self, local=False, new_bots=20):
        self.local = local
        self.hooks = defaultdict(Hook)
        self.calls = []
        self.faults = defaultdict(deque)
        self.shows = None
        self.delay = 0
        self.on_set = None              # called with the token and its new Hook
        self.refused = []               # descriptions of our own refusals
        self._new_bots = new_bots
        self._known = set()
        self._loaded = deque()
        self._set_at = {}

    def times(self, method, token=None):
        """When a method was called."""
        return [call.time for call in self.calls
                if call.method == method.lower() and token in (None, call.token)]

    def count(self, method, token=None):
        return len(self.times(method, token))

    def fault(self, method):
        queue = self.faults[method.lower()]
        return queue.popleft() if queue else None

    def note(self, token, method, params, files):
        self.calls.append(Call(time.monotonic(), token, method.lower(), params, files))

    def call(self, token, method, params, files):
        """The result of a call, or a RegistrationError."""
        try:
            self._load(token)
            if method.lower() == "getwebhookinfo":
                info = self.hooks[token].info()
                return self.shows(info) if self.shows else info
            if method.lower() == "deletewebhook":
                params, files = {"drop_pending_updates":
                                 params.get("drop_pending_updates", "")}, {}
            return self._set(token, params, files)
        except RegistrationError as error:
            self.refused.append(error.description)
            raise

    def _load(self, token):
        """A server loads few bots for one address within a minute."""
        if token in self._known:
            return
        now = time.monotonic()
        while self._loaded and self._loaded[0] + 60 <= now:
            self._loaded.popleft()
        if len(self._loaded) >= self._new_bots:
            raise RegistrationError(429, "Too Many Requests: retry after 60", 60)
        self._loaded.append(now)
        self._known.add(token)

    def _set(self, token, params, files):
        now = time.monotonic()
        hook = self.hooks[token]
        new = self._wanted(hook, params, files)
        if new == hook and "certificate" not in files:
            return True
        if now - self._set_at.get(token, -9) < 1:
            raise RegistrationError(429, "Too Many Requests: retry after 1", 1)
        self._set_at[token] = now
        new.last_error_date = 0
        new.last_error_message = ""
        if params.get("drop_pending_updates", "").lower() in ("true", "1"):
            new.pending = 0
        self.hooks[token] = new
        if self.on_set is not None:
            self.on_set(token, new)
        return True

    def _wanted(self, hook, params, files):
        url = params.get("url", "")
        if url:
            self._check_url(url)
        secret = params.get("secret_token", "")
        if not _SECRET.match(secret):
            raise RegistrationError(
                400, "Bad Request: secret token contains unallowed characters")
        connections = params.get("max_connections", "40")
        if not connections.isdigit():
            raise RegistrationError(400, "Bad Request: bad max_connections")
        return Hook(url, secret, files.get("certificate"),
                    min(max(int(connections), 1), 100), params.get("ip_address", ""),
                    self._allowed(hook, params), hook.pending, hook.last_error_date,
                    hook.last_error_message)

    def _check_url(self, url):
        parts = urlsplit(url)
        if self.local:
            return
        if parts.scheme != "https":
            raise RegistrationError(400, "Bad Request: bad webhook: An HTTPS URL must be "
                                         "provided for webhook")
        if (parts.port or 443) not in PORTS:
            raise RegistrationError(400, "Bad Request: bad webhook: Webhook can be set up "
                                         "only on ports 80, 88, 443 or 8443")

    @staticmethod
    def _allowed(hook, params):
        """Omitted: as before; empty, or all unknown: the default."""
        if "allowed_updates" not in params:
            return hook.allowed
        try:
            names = frozenset(json.loads(params["allowed_updates"])) & frozenset(TYPES)
        except (ValueError, TypeError):
            raise RegistrationError(
                400, "Bad Request: can't parse allowed updates list") from None
        return names or DEFAULT
