"""Ports for the servers of tests, which several processes choose at the same time."""

import errno
import fcntl
import os
import random
import socket
import tempfile

# below those that the system gives to connections
_PORTS = range(12000, 32768)

# whose turn this process has; the port of a cluster's node and that of its bus are of one turn
_TURNS = 16
_BUS = 10000
_turn = 0


def take_turn(turn):
    """The ports of this process are not those of one with another turn."""
    global _turn
    _turn = turn % _TURNS


def free_port(bus=False):
    """A port, another one each time; bus: of a node of a cluster, with that of its bus."""
    ports = _PORTS[_turn:-_BUS if bus else None:_TURNS]
    for port in random.sample(ports, len(ports)):
        if _take(port) and (not bus or _take(port + _BUS)):
            return port
    raise RuntimeError("no port is free")


def _take(port):
    """
    Whether nothing has the port.  Until this process ends, no other gets one of its block of
    four, nor does Test::Nginx, which has these locks.
    """
    directory = f"{tempfile.gettempdir()}/test-nginx-port-locks-{os.getuid()}"
    os.makedirs(directory, exist_ok=True)
    lock = os.open(f"{directory}/port-{port // 4 * 4}.lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", port))
    except OSError as error:
        os.close(lock)
        if error.errno not in (errno.EWOULDBLOCK, errno.EADDRINUSE):
            raise
        return False
    return True
