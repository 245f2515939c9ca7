"""Faults of a server: which one comes when, and how each of them looks on the wire."""

import asyncio
import hashlib
from collections import Counter

from .http1 import response

GARBAGE = b"\x16\x03\x01 this is no HTTP\r\n\r\n"
HTML = (b"<html>\r\n<head><title>%d</title></head>\r\n<body>\r\n<center><h1>%d</h1></center>\r\n"
        b"<hr><center>nginx/1.18.0</center>\r\n</body>\r\n</html>\r\n")


class Dice:
    """
    Decides which fault meets a request.

    The decision depends on the seed, on what is asked, and on how often it was asked
    before: not on the time or the order in which requests of different chats arrive.
    """

    def __init__(self, seed=1, **chances):
        self.seed = seed
        self.chances = {name.replace("_", "-"): chance
                        for name, chance in chances.items() if chance}
        self.thrown = Counter()
        self._asked = Counter()

    def throw(self, key):
        """The name of a fault, or None."""
        if not self.chances:
            return None
        self._asked[key] += 1
        point = fraction(self.seed, key, self._asked[key])
        for name, chance in self.chances.items():
            if point < chance:
                self.thrown[name] += 1
                return name
            point -= chance
        return None


def fraction(*key):
    """A number in [0, 1) that depends on the key alone."""
    digest = hashlib.blake2b(repr(key).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2 ** 64


def show(connection, name, stall=5.0):
    """
    Answers with the fault: "reset", "garbage", "truncated", "stall" (nothing, then the
    end), "close" (no answer at all), "endless" (larger than anybody takes), or a status,
    which comes as a web server's page.
    """
    if name == "reset":
        connection.reset()
    elif name == "close":
        connection.finish(b"")
    elif name == "garbage":
        connection.finish(GARBAGE)
    elif name == "truncated":
        connection.finish(response(200, b'{"ok":true,"result":true}', "application/json")[:-9])
    elif name == "endless":
        connection.send(response(200, b" " * 4194304, "application/json"))
    elif name == "stall":
        asyncio.get_running_loop().call_later(stall, connection.reset)
    else:
        status = int(name)
        headers = (("Retry-After", "1"),) if status == 429 else ()
        connection.send(response(status, HTML % (status, status), "text/html", headers))
