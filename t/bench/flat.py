"""
What the module's cost depends on: remembered ids, buckets, workers.  The servers of an
experiment differ in that and in nothing else; the first one is what others are compared with.
"""

from measure import Void
from servers import Echo, Tgbot

TEXTS = {"/help": "We are open from 9 to 18."}


class Ids(Tgbot):
    file = "ids"
    texts = TEXTS


class Buckets(Tgbot):
    file = "buckets"
    texts = TEXTS

    def check_counts(self):
        super().check_counts()
        used = self.status()["zones"]["users"]["used"]
        if not self.options["users"] <= used <= self.options["users"] + len(self.texts) + 2:
            raise Void(f"{self.name}: {used} buckets")


def ids(directory, sizes):
    """
    Ids come in no order within a quarter of the window: they are looked up all over it, while
    Telegram's come nearly in order.
    """
    servers = []
    for size in sizes:
        window = 1 << (size - 1).bit_length()
        server = Ids(f"ids-{size}", f"{size:,} ids", directory,
                     window=window, zone=window // 4 + (2 << 20))
        server.options = {"block": window // 4}
        server.seed = {"updates": size, "bare": True}
        servers.append(server)
    return servers


def buckets(directory, sizes):
    """users come in no order"""
    servers = []
    for size in sizes:
        server = Buckets(f"buckets-{size}", f"{size:,} buckets", directory,
                         zone=max(sizes) * 96 + (1 << 20))
        server.options = {"users": size, "random": True}
        server.seed = {"updates": size, "users": size}
        servers.append(server)
    return servers


def workers(directory, kind):
    """
    All workers share the server's core: what a second one costs is changing between them, and
    the memory they share.
    """
    servers = []
    for count in (1, 2):
        server = kind(f"{kind.file}-workers-{count}", f"{count} worker{'s'[:count - 1]}",
                      directory)
        server.workers = count
        servers.append(server)
    return servers
