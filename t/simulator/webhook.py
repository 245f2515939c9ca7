"""
The client side of Telegram's webhooks, after WebhookActor.cpp of its Bot API server:
queues, connections and their ramp, retries, and methods in answers.
"""

import asyncio
import heapq
import math
import random
import socket
import ssl
from collections import Counter, deque
from urllib.parse import urlsplit

from . import calls
from .http1 import HttpError, Parser, decoded

MAX_RETRY_AFTER = 3600
MAX_RESEND_TIMEOUT = 60
GONE_TIMEOUT = 23 * 3600
MAX_HEAD = 4096

LOST = "acknowledgement lost"


class Window:
    """At most count events within a duration."""

    def __init__(self, duration, count):
        self._duration = duration
        self._events = deque(maxlen=count)

    def wakeup(self, now):
        if len(self._events) < self._events.maxlen:
            return now
        return max(now, self._events[0] + self._duration)

    def add(self, now):
        self._events.append(now)


class Delivery:
    """One update and what became of it."""

    __slots__ = ("update", "queue", "pushed", "expires", "delay", "fails", "wakeup", "sent",
                 "broken", "lost", "acked", "statuses", "dropped")

    def __init__(self, update, queue, pushed, expires):
        self.update = update
        self.queue = queue
        self.pushed = pushed
        self.expires = expires
        self.delay = 1
        self.fails = 0
        self.wakeup = 0.0
        self.sent = 0
        self.broken = 0         # attempts that ended without an answer
        self.lost = 0           # attempts whose answer we did not take
        self.statuses = []      # of the attempts that ended with one
        self.acked = False
        self.dropped = False


class Wire(asyncio.Protocol):
    """A connection to the webhook; takes an update before it is established."""

    def __init__(self, owner):
        self.delivery = None
        self._owner = owner
        self._parser = Parser(response=True, max_body=calls.MAX_BODY)
        self._transport = None
        self._unsent = b""
        self._cut = None
        self._timer = None
        self._over = False
        self._arm()

    def connection_made(self, transport):
        if self._over:
            transport.abort()
            return
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._transport = transport
        if self._unsent:
            self._write(self._unsent)
            self._unsent = b""

    def send(self, delivery, data, cut=None):
        """
        cut: seconds until the connection ends, unless an answer begins to arrive before,
        which ends it as well.
        """
        self.delivery = delivery
        self._cut = cut
        self._arm()
        if self._transport is None:
            self._unsent = data
        else:
            self._write(data)

    def _write(self, data):
        self._transport.write(data)
        if self._cut is not None and self._cut < math.inf:
            self._owner.loop.call_later(self._cut, self._hang_up)

    def _hang_up(self):
        """Not before all of the update has left."""
        if not self._over and self._transport.get_write_buffer_size():
            self._owner.loop.call_later(0.001, self._hang_up)
        else:
            self.end(LOST)

    def data_received(self, data):
        owner = self._owner
        if self._cut is not None:
            owner.overheard(data)
            self.end(LOST)
            return
        if owner.captured is not None:
            owner.captured.append(data)
        try:
            responses = self._parser.feed(data)
            for message in responses:
                if self.delivery is None:
                    raise HttpError("an answer to nothing")
                message.body = decoded(message)
                self._arm()
                owner.answered(self, message)
        except HttpError:
            self.end("garbage")

    def connection_lost(self, exc):
        if self.delivery is None:
            self.end("closed while idle")
        elif exc is not None:
            self.end("reset")
        elif not self._parser.idle:
            self.end("truncated")
        else:
            self.end("closed without answer")

    def end(self, reason):
        """The connection is over for any reason; tells the owner once."""
        if self._over:
            return
        self._over = True
        self._timer.cancel()
        if self._transport is not None:
            self._transport.abort()
        self._owner.hung_up(self, reason)

    def _arm(self):
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._owner.loop.call_later(self._owner.timeout, self._expired)

    def _expired(self):
        self.end("idle timer" if self.delivery is None else "timeout")


class Webhook:
    """
    Delivers Updates to a URL.

    schedule, ramp and life scale the delays of resends (Retry-After among them), the
    limits of new connections and the lives of updates: 1 is Telegram's own pace.
    execute(params, update) is called for a method found in an answer, in the same step
    in which the update is acknowledged.  cut(update, sent) tells, each time an update is
    sent, after how many seconds the connection is lost before its answer is read
    (math.inf: when that begins to arrive), or None.  ports: each connection is to one of
    these instead of the URL's.
    """

    def __init__(self, url, secret=None, max_connections=40, schedule=1.0, ramp=1.0,
                 life=1.0, timeout=60.0, seed=1, execute=None, cut=None, trace=None, ca=None,
                 capture=False, ports=()):
        parts = urlsplit(url)
        self._host = parts.hostname
        self._tls = _tls_context(ca) if parts.scheme == "https" else None
        self._port = parts.port or (443 if self._tls else 80)
        self._ports = ports or (self._port,)
        self._head = self._make_head(parts, secret)
        self._max_connections = max_connections
        self._schedule = schedule
        self._ramp = ramp
        self._life = life
        self._execute = execute
        self._cut = cut or (lambda *_: None)
        self._trace = trace or (lambda *_: None)
        self._random = random.Random(seed)
        self.timeout = timeout
        self.captured = [] if capture else None
        self.loop = asyncio.get_running_loop()

        self.deliveries = {}            # every update ever pushed, by update_id
        self.pending = 0
        self.deleted = False
        self.paused = False
        self.counts = Counter()
        self.statuses = Counter()
        self.retry_after = Counter()    # (status, value of the header)
        self.ends = Counter()           # why connections ended
        self.lost = Counter()           # statuses of answers that we did not take

        self._backlog = deque()
        self._queues = {}
        self._ready = []                # heap of (wakeup, number, queue)
        self._wires = set()
        self._free = deque()
        self._number = 0
        self._unique = 1 << 60
        self._last_success = self.loop.time() - 3600
        self._gone_since = None
        self._active_ramp = Window(0.5 * ramp, 10)
        self._pending_ramp = Window(2 * ramp, 1)
        self._timer = None
        self._kicked = False
        self._drained = asyncio.Event()
        self._tasks = set()

    def _make_head(self, parts, secret):
        """All of the request's head that does not depend on the update."""
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        host = parts.hostname
        if self._port != 443 or not self._tls:
            host += f":{self._port}"
        head = f"POST {target} HTTP/1.1\r\nHost: {host}\r\n"
        if secret:
            head += f"X-Telegram-Bot-Api-Secret-Token: {secret}\r\n"
        if len(head) + 120 > MAX_HEAD:
            raise ValueError("the URL is too long")
        return head + "Content-Type: application/json\r\n"

    # what its user calls

    def push(self, update):
        queue = update.queue
        if queue == 0:
            queue = self._unique
            self._unique += 1
        now = self.loop.time()
        delivery = Delivery(update, queue, now, now + update.life * self._life)
        self.deliveries[update.id] = delivery
        self._backlog.append(delivery)
        self.pending += 1
        self._drained.clear()
        self._kick()

    async def drained(self, timeout):
        """Waits until nothing is pending; whether it came to that in time."""
        if self.pending == 0:
            return True
        try:
            await asyncio.wait_for(self._drained.wait(), timeout)
        except asyncio.TimeoutError:
            return False
        return True

    def pause(self):
        """Sends nothing more, but still takes answers."""
        self.paused = True

    def resume(self):
        self.paused = False
        self._kick()

    @property
    def in_flight(self):
        return sum(wire.delivery is not None for wire in self._wires)

    @property
    def open_connections(self):
        return len(self._wires)

    @property
    def reconnects(self):
        """Connections that ended otherwise than by our own timer while nothing was sent."""
        return sum(self.ends.values()) - self.ends["idle timer"]

    def close(self):
        self.paused = True
        if self._timer is not None:
            self._timer.cancel()
        for wire in list(self._wires):
            wire.delivery = None
            wire.end("idle timer")

    # the loop of WebhookActor

    def _kick(self):
        if not self._kicked:
            self._kicked = True
            self.loop.call_soon(self._run)

    def _run(self):
        self._kicked = False
        if self.paused or self.deleted:
            return
        now = self.loop.time()
        self._load(now)
        wakeups = [self._connect(now), self._send(now)]
        wakeups = [wakeup for wakeup in wakeups if wakeup is not None]
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if wakeups:
            self._timer = self.loop.call_at(min(wakeups), self._kick)

    def _load(self, now):
        """Twice as many queues as connections are loaded: stuck ones stop all others."""
        limit = self._max_connections * 2
        while self._backlog and len(self._queues) < limit:
            delivery = self._backlog.popleft()
            delivery.wakeup = now
            queue = self._queues.setdefault(delivery.queue, deque())
            queue.append(delivery)
            if len(queue) == 1:
                self._enqueue(delivery)

    def _enqueue(self, delivery):
        self._number += 1
        heapq.heappush(self._ready, (delivery.wakeup, self._number, delivery.queue))

    def _connect(self, now):
        """Opens what connections are wanted; when to look again if the ramp forbids."""
        wanted = min(len(self._queues), self._max_connections)
        if self._last_success + 10 * self._ramp < now:
            ramp = self._pending_ramp
            wanted = min(wanted, 1)
        else:
            ramp = self._active_ramp
            wanted = max(wanted, 1)
        while len(self._wires) < wanted:
            wakeup = ramp.wakeup(now)
            if wakeup > now:
                return wakeup
            ramp.add(now)
            self.counts["connects"] += 1
            wire = Wire(self)
            self._wires.add(wire)
            self._free.append(wire)
            task = self.loop.create_task(self._open(wire))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return None

    async def _open(self, wire):
        try:
            await self.loop.create_connection(
                lambda: wire, self._host, self._random.choice(self._ports), ssl=self._tls)
        except OSError:
            wire.end("refused")

    def _send(self, now):
        """Sends what is due; when the next is due if a connection is free for it."""
        while self._free and self._ready:
            wakeup, _, queue = self._ready[0]
            if wakeup > now:
                return wakeup
            heapq.heappop(self._ready)
            delivery = self._queues[queue][0]
            delivery.sent += 1
            self.counts["sent"] += 1
            if delivery.sent > 1:
                self.counts["resent"] += 1
            body = delivery.update.body
            head = (f"{self._head}Content-Length: {len(body)}\r\nConnection: keep-alive\r\n"
                    "Accept-Encoding: gzip, deflate\r\n\r\n")
            self._trace("sent", delivery, None)
            self._free.popleft().send(delivery, head.encode("latin-1") + body,
                                      self._cut(delivery.update, delivery.sent))
        return None

    # what comes back

    def answered(self, wire, message):
        delivery, wire.delivery = wire.delivery, None
        status = message.status
        delivery.statuses.append(status)
        self.statuses[status] += 1
        self._trace("answered", delivery, message)

        if 200 <= status <= 299:
            self._gone_since = None
            self._run_method(delivery, message)
            self._acknowledge(delivery)
        else:
            self._note_gone(status)
            retry_after = message.headers.get("retry-after", "")
            self.retry_after[status, retry_after] += 1
            self._failed(delivery, int(retry_after) if retry_after.isdigit() else 0)

        if message.close:
            wire.end("Connection: close")
        else:
            self._free.append(wire)
            self._kick()

    def overheard(self, data):
        """The beginning of an answer that is lost."""
        status = data[9:12]
        if data.startswith(b"HTTP/1.1 ") and status.isdigit():
            self.lost[int(status)] += 1
            self.counts["replies lost"] += b'"method"' in data

    def hung_up(self, wire, reason):
        self.ends[reason] += 1
        self._wires.discard(wire)
        if wire in self._free:
            self._free.remove(wire)
        delivery, wire.delivery = wire.delivery, None
        if delivery is not None:
            if reason == LOST:
                delivery.lost += 1
            elif reason != "refused":
                delivery.broken += 1
            self._trace(reason, delivery, None)
            self._failed(delivery, 0)
        self._kick()

    def _run_method(self, delivery, message):
        content_type = message.headers.get("content-type", "")
        if not message.body or not calls.readable(content_type):
            return
        try:
            params = calls.parse(content_type, message.body)
        except calls.CallError as error:
            self.counts["unparsable answers"] += 1
            params = error.params
        method = params.get("method", "").lower()
        if not method:
            return
        if method.startswith("get") or method in (
                "deletewebhook", "setwebhook", "close", "logout"):
            self.counts["ignored methods"] += 1
            return
        self.counts["methods in answers"] += 1
        if self._execute is not None:
            self._execute(params, delivery.update)

    def _acknowledge(self, delivery):
        delivery.acked = True
        self._last_success = self.loop.time()
        self._settle(delivery)

    def _failed(self, delivery, retry_after):
        """Telegram's schedule: at once, then 2, 4, 8 … seconds, or what we were told."""
        now = self.loop.time()
        delay = delivery.delay
        wait = min(retry_after, MAX_RETRY_AFTER)
        if retry_after == 0 and delivery.fails > 0:
            top = self._random.randint(MAX_RESEND_TIMEOUT, MAX_RESEND_TIMEOUT * 2)
            wait = delay = min(top, delay * 2)
        wait *= self._schedule
        if now + wait > delivery.expires:
            delivery.dropped = True
            self._trace("given up", delivery, None)
            self._settle(delivery)
            return
        delivery.delay = delay
        delivery.fails += 1
        delivery.wakeup = now + wait
        self._enqueue(delivery)

    def _note_gone(self, status):
        if status != 410:
            self._gone_since = None
        elif self._gone_since is None:
            self._gone_since = self.loop.time()
        elif self.loop.time() > self._gone_since + GONE_TIMEOUT * self._schedule:
            self.deleted = True

    def _settle(self, delivery):
        queue = self._queues[delivery.queue]
        queue.popleft()
        if queue:
            self._enqueue(queue[0])
        else:
            del self._queues[delivery.queue]
        self.pending -= 1
        if self.pending == 0:
            self._drained.set()


def _tls_context(ca):
    context = ssl.create_default_context(cafile=ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
