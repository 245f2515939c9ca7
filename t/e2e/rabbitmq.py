"""A rabbitmq-server of a test, which is started, killed and asked at will."""

import asyncio
import contextlib
import glob
import importlib.util
import os
import shutil
import signal
import subprocess

from harness import free_port, until

# Debian's programs in $PATH are for its own node, and become another user
PROGRAMS = (sorted(glob.glob("/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin")) or [""])[-1]


def missing():
    """What the tests lack, or ""."""
    if not PROGRAMS or shutil.which("epmd") is None:
        return "no rabbitmq-server"
    return "" if importlib.util.find_spec("pika") else "no pika: the package python3-pika"


class RabbitMq:
    """One node with all that is its own: ports, data, cookie, and the epmd that knows it."""

    def __init__(self, case):
        self.directory = f"{case.directory}/rabbitmq"
        self.port = free_port()
        self.url = f"amqp://guest:guest@127.0.0.1:{self.port}/%2F"
        self._server = self._epmd = None
        os.makedirs(self.directory)
        with open(f"{self.directory}/plugins", "w", encoding="ascii") as file:
            file.write("[].\n")
        with open(f"{self.directory}/rabbitmq.conf", "w", encoding="ascii") as file:
            file.write(f"listeners.tcp.1 = 127.0.0.1:{self.port}\n")
        self._environment = {
            **{name: value for name, value in os.environ.items()
               if not name.startswith("RABBITMQ_") and name != "NOTIFY_SOCKET"},
            "HOME": self.directory,
            "ERL_EPMD_PORT": str(free_port()),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": "tgbot@localhost",
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_CONFIG_FILE": f"{self.directory}/rabbitmq.conf",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{self.directory}/plugins",
            "RABBITMQ_MNESIA_BASE": f"{self.directory}/data",
            "RABBITMQ_LOG_BASE": f"{self.directory}/log",
            # the server is the process that is started, not a child of it
            "RABBITMQ_ALLOW_INPUT": "1",
        }
        case.at_end(self.close)

    def spawn(self, first=None):
        """Starts it; first is called in its process before."""
        if self._epmd is None:
            self._epmd = self._run(["epmd"])
        self._server = self._run([f"{PROGRAMS}/rabbitmq-server", "-noinput"], first)

    def _run(self, command, first=None):
        with open(f"{self.directory}/output.log", "ab") as log:
            return subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=self._environment, cwd=self.directory, preexec_fn=first)

    async def start(self):
        """Returns when it serves."""
        self.spawn()
        if not await until(self.serves, 90, 0.1):
            raise RuntimeError("rabbitmq-server does not serve")
        return self

    def serves(self):
        try:
            self.connect().close()
        except OSError:
            return False
        return True

    @property
    def pid(self):
        return self._server.pid

    def kill(self):
        """Returns when it has gone."""
        if self._server is not None:
            self._server.send_signal(signal.SIGKILL)
            self._server.wait()
            self._server = None

    def close(self):
        self.kill()
        if self._epmd is not None:
            self._epmd.kill()
            self._epmd.wait()

    async def control(self, *words):
        """rabbitmqctl."""
        process = await asyncio.create_subprocess_exec(
            f"{PROGRAMS}/rabbitmqctl", "-q", *words, env=self._environment,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT)
        output, _ = await process.communicate()
        if process.returncode:
            raise RuntimeError(f"rabbitmqctl {' '.join(words)}: {output.decode()}")

    @contextlib.contextmanager
    def channel(self):
        """A channel of pika that blocks, for a question or two."""
        connection = self.connect()
        try:
            yield connection.channel()
        finally:
            connection.close()

    def connect(self):
        """What does not connect is an OSError."""
        # not installed everywhere
        import pika
        try:
            return pika.BlockingConnection(pika.URLParameters(
                f"{self.url}?connection_attempts=1&socket_timeout=5"))
        except pika.exceptions.AMQPError as error:
            raise OSError(repr(error)) from None

    def messages(self, queue):
        """How many are ready in a queue."""
        with self.channel() as channel:
            return channel.queue_declare(queue, passive=True).method.message_count
