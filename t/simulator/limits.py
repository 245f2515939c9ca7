"""How much Telegram lets a bot send, and the pauses that it orders with a 429."""

import math
import time
from collections import defaultdict
from dataclasses import dataclass

# the key of what holds for all chats
BOT = ""


@dataclass
class Pause:
    """The time after a 429; chat is BOT if the 429 holds for all chats."""

    chat: str
    begun: float
    until: float
    further: int = 0        # calls that came before it was over


class Bucket:
    """A token bucket: rate tokens a second, at most burst of them."""

    def __init__(self, rate, burst):
        self._rate = rate
        self._burst = burst
        self._tokens = float(burst)
        self._time = None

    def wait(self, now):
        """Seconds until there is a token, 0 if there is one."""
        if self._time is not None:
            earned = (now - self._time) * self._rate
            self._tokens = min(self._burst, self._tokens + earned)
        self._time = now
        return 0 if self._tokens >= 1 else (1 - self._tokens) / self._rate

    def take(self):
        self._tokens -= 1


class Limits:
    """
    Each limit is (calls a second, burst), or None: of each chat, of each group besides, of
    the bot, and of the bot's calls with allow_paid_broadcast.  A chat that has exceeded its
    limit, or the group's, takes nothing until the seconds are over that the 429 told.  What
    exceeds the bot's limit is refused, and no pause follows, since Telegram does not say
    for which calls the 429 holds.
    """

    def __init__(self, chat=None, group=None, bot=None, paid=None):
        self.people = set()     # chats where a person has just written: without the bot's limit
        self.pauses = []        # all there were
        self.refusals = []      # when, and for which chat
        self._chat = chat
        self._group = group
        self._bots = {False: Bucket(*bot) if bot else None,
                      True: Bucket(*paid) if paid else None}
        self._chats = defaultdict(self._of_chat)
        self._groups = defaultdict(self._of_group)
        self._paused = {}

    def _of_chat(self):
        return Bucket(*self._chat)

    def _of_group(self):
        return Bucket(*self._group)

    def refuses(self, chat, paid=False, now=None):
        """Takes what a call to a chat needs: 0, or whole seconds to wait."""
        now = time.monotonic() if now is None else now
        for scope in (BOT, chat):
            pause = self._paused.get(scope)
            if pause is not None and now < pause.until:
                pause.further += 1
                return self._refused(now, chat, pause.until - now)

        own = [buckets[chat] for limit, buckets in (
            (self._chat, self._chats),
            (self._group if is_group(chat) else None, self._groups)) if limit]
        wait = max((bucket.wait(now) for bucket in own), default=0)
        if wait:
            return self.pause(chat, self._refused(now, chat, wait), now)

        shared = None if chat in self.people else self._bots[paid]
        if shared is not None:
            wait = shared.wait(now)
            if wait:
                return self._refused(now, chat, wait)
            own.append(shared)
        for bucket in own:
            bucket.take()
        return 0

    def pause(self, chat, seconds, now=None):
        """Lets a chat, or BOT, take nothing for so many seconds, which it returns."""
        now = time.monotonic() if now is None else now
        pause = Pause(chat, now, now + seconds)
        self._paused[chat] = pause
        self.pauses.append(pause)
        return seconds

    def _refused(self, now, chat, wait):
        self.refusals.append((now, chat))
        return max(1, math.ceil(wait))


def is_group(chat):
    """Whether it is a group or a channel: their ids are negative, or names."""
    return chat.startswith(("-", "@"))


def limited(method):
    """Whether calls of a method are messages to a chat."""
    lower = method.lower()
    return lower != "sendchataction" and lower.startswith(("send", "copy", "forward"))
