"""What every end-to-end test needs: an nginx of its own, a simulator, and checks."""

import asyncio
import contextlib
import functools
import itertools
import json
import os
import re
import shutil
import signal
import socket
import time

from ports import free_port
from simulator import report
from simulator.http1 import fetch
from simulator.scene import Options, Scene
from status import Status

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
NGINX = os.environ.get("TGBOT_NGINX", "/usr/sbin/nginx")
MODULE = os.path.abspath(
    os.environ.get("TGBOT_MODULE", f"{TOP}/build/ngx_http_tgbot_module.so"))
FULL = bool(os.environ.get("TGBOT_E2E_FULL"))

TOKEN = "7000000001:AAHleakless-e2e-token-0123456789abc"
SECRET = "e2e_secret_kept_to_the_program"

_BAD = re.compile(r"\[(alert|crit|emerg)\]")

# of the test that runs
_limit = None

MAIN = """\
load_module {module};
{user}
worker_processes {workers};
daemon off;
pid nginx.pid;
error_log error.log info;
worker_shutdown_timeout {shutdown};
events {{ worker_connections 4096; }}
http {{
    client_body_temp_path temp_body;
    proxy_temp_path temp_proxy;
    fastcgi_temp_path temp_fastcgi;
    uwsgi_temp_path temp_uwsgi;
    scgi_temp_path temp_scgi;
    log_format e2e '$status $request_time $uri $request_uri $args $tgbot_bot $tgbot_update_id '
        '$tgbot_update_type $tgbot_chat_id $tgbot_user_id $tgbot_text $tgbot_command '
        '$tgbot_args $tgbot_data $tgbot_message_id $tgbot_query_id $tgbot_date $tgbot_age '
        '$tgbot_verdict $tgbot_attempts api_uri=$tgbot_api_uri method=$tgbot_method '
        'upstream=$upstream_addr,$upstream_status,$proxy_host';
    access_log access.log e2e;
    log_subrequest on;
    client_max_body_size 1m;
    client_body_buffer_size 576k;
    keepalive_timeout 75s;
    keepalive_requests 100000;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header X-Worker $pid;
{http}
}}
"""

SERVER = """\
    upstream program {{ server 127.0.0.1:{program}; keepalive 64; }}
    upstream bot_api {{ server 127.0.0.1:{api}; keepalive 64; }}
    tgbot_secret_token {secret};
{http}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
{locations}
        location = /_program {{
            internal;
            proxy_pass http://program;
            proxy_connect_timeout 2s;
            proxy_read_timeout {program_timeout};
        }}
        location = /_api {{
            internal;
            proxy_pass http://bot_api$tgbot_api_uri;
            proxy_connect_timeout 2s;
            proxy_read_timeout {api_timeout};
        }}
        location /status {{ tgbot_status; }}
        location = /pid {{ return 200 $pid; }}
    }}
"""

BOT = """\
        location = /tg/{name} {{
            tgbot_webhook {name};
            tgbot_handler {handler};
            {api}
            {directives}
        }}
"""

API = "tgbot_token {token}; tgbot_api /_api;"


def bot(name="e2e", directives="", api=True, token=TOKEN, handler="/_program"):
    """A webhook's location, with the Bot API or without it."""
    return BOT.format(name=name, directives=directives, handler=handler,
                      api=API.format(token=token) if api else "")


class StartError(Exception):
    """nginx does not start; the text is what it said."""


class Nginx:
    """An nginx in the foreground, in a directory of its own."""

    def __init__(self, directory, port, environment=None):
        self.directory = directory
        self.port = port
        self.killed = []
        self.wrapper = ()           # a command that becomes nginx
        self._environment = dict(os.environ, **(environment or {}))
        self._process = None
        self._detached = None       # process id of a master that is no child of ours
        self._stderr = None

    @property
    def master(self):
        return self._detached or self._process.pid

    def configure(self, text):
        with open(f"{self.directory}/nginx.conf", "w", encoding="utf-8") as conf:
            conf.write(text)

    async def start(self, detached=False):
        """
        detached: whoever started it is gone, as with a daemon; nginx takes no new binary
        from a master whose parent is there.
        """
        command = [*self.wrapper, NGINX, "-p", self.directory,
                   "-c", f"{self.directory}/nginx.conf"]
        if detached:
            command = ["sh", "-c", '"$@" & sleep 0.5', "sh", *command]
        self._detached = None
        self._stderr = open(f"{self.directory}/stderr.log", "wb")
        # SIGXFSZ stays ignored: a test limits how long a file may be
        self._process = await asyncio.create_subprocess_exec(
            *command, stdout=self._stderr, stderr=self._stderr, env=self._environment,
            restore_signals=False)
        end = time.monotonic() + 20
        while not _listens(self.port):
            ended = self._process.returncode is not None and not detached
            if ended or time.monotonic() > end:
                raise StartError("nginx does not start:\n" + self.read("stderr.log"))
            await asyncio.sleep(0.05)
        if detached:
            await self._process.wait()
            await until(lambda: self.read("nginx.pid").strip())
            self._detached = int(self.read("nginx.pid"))
        # it listens before it catches signals
        await until(lambda: children(self.master))

    async def test(self):
        """What nginx -t returns and says."""
        process = await asyncio.create_subprocess_exec(
            NGINX, "-t", "-p", self.directory, "-c", f"{self.directory}/nginx.conf",
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            env=self._environment)
        output, _ = await process.communicate()
        return process.returncode, output.decode("utf-8", "replace")

    def read(self, name):
        try:
            with open(f"{self.directory}/{name}", encoding="utf-8", errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def signal(self, number):
        if self._detached is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._detached, number)
        elif self._process.returncode is None:
            self._process.send_signal(number)

    async def upgrade(self):
        """A new binary takes over, and the old one has ended when this returns."""
        old = self.master
        os.kill(old, signal.SIGUSR2)
        await until(lambda: self.read("nginx.pid.oldbin"))
        await until(lambda: self.read("nginx.pid").strip() not in ("", str(old)))
        pid = int(self.read("nginx.pid"))
        await until(lambda: children(pid))
        os.kill(old, signal.SIGQUIT)
        await until(lambda: not alive(old), 60)
        self._detached = pid

    def workers(self):
        """Process ids of the workers, the one with most open sockets first."""
        return sorted(children(self.master), key=_sockets, reverse=True)

    def kill(self, pid, scene=None):
        """Kills a worker, if it has not just left; the books of the scene know of it."""
        if scene is not None:
            scene.kills[pid] = time.monotonic()
        self.killed.append(pid)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    async def kill_all(self, scene=None):
        """Kills the master and its workers at once, and returns when they are gone."""
        workers = children(self.master)
        self.signal(signal.SIGKILL)
        for pid in workers:
            self.kill(pid, scene)
        await self.exited(10)
        await until(lambda: not any(alive(pid) for pid in workers))

    async def exited(self, timeout):
        """The exit status, or None if it still runs; 0 of one that is detached."""
        if self._detached is not None:
            gone = await until(lambda: not alive(self._detached), timeout)
            return 0 if gone else None
        try:
            return await asyncio.wait_for(self._process.wait(), timeout)
        except asyncio.TimeoutError:
            return None

    async def close(self):
        """Ends it for good, by force if it must be."""
        if self._process is None:
            return
        if self._detached is not None:
            for pid in [self._detached, *children(self._detached)]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        if self._process.returncode is None:
            self.signal(signal.SIGTERM)
            if await self.exited(10) is None:
                for pid in self.workers():
                    os.kill(pid, signal.SIGKILL)
                self.signal(signal.SIGKILL)
                await self._process.wait()
        self._stderr.close()


class Case:
    """One test: its directory below build/e2e, what it started, what it found wrong."""

    def __init__(self, name):
        self.name = name
        self.failures = []
        self.notes = []
        self.skipped = ""
        self.directory = f"{TOP}/build/e2e/{name}"
        self._nginxes = []
        self._closers = []
        shutil.rmtree(self.directory, ignore_errors=True)
        # where an nginx looks for its first log that was not built by Debian
        os.makedirs(f"{self.directory}/logs")

    def check(self, condition, what):
        if not condition:
            self.failures.append(what)
        return bool(condition)

    def equal(self, got, expected, what):
        return self.check(got == expected, f"{what}: got {got!r}, expected {expected!r}")

    def note(self, text):
        self.notes.append(text)

    def skip(self, reason):
        """Says that the test cannot run here; it ends by returning."""
        self.skipped = reason

    def at_end(self, function):
        self._closers.append(function)

    async def nginx(self, http, port, workers=2, shutdown="10s", module=MODULE,
                    environment=None, start=True, detached=False, user="root"):
        """
        An nginx whose http{} holds the text; environment: more of it for nginx; detached:
        see Nginx.start(); user: of its workers, if root starts it.
        """
        server = self.own(Nginx(self.directory, port, environment))
        server.configure(MAIN.format(
            module=module, user=f"user {user};" if os.geteuid() == 0 else "",
            workers=workers, shutdown=shutdown, http=http))
        if start:
            await server.start(detached)
            await until(lambda: len(server.workers()) == workers)
        return server

    def own(self, nginx):
        """Ends the nginx with the test."""
        self._nginxes.append(nginx)
        return nginx

    async def scene(self, directives="", program_timeout="10s", api_timeout="10s",
                    api=True, handler="/_program", locations="", http="", nginx=None,
                    **options):
        """
        Starts nginx with one bot, and the simulator around it.  locations: further ones
        of the server; http: further directives around it; nginx: arguments of nginx().
        """
        port = free_port()
        scene = Scene(Options(url=f"http://127.0.0.1:{port}/tg/e2e", secret=SECRET,
                              tokens=(TOKEN,), **options))
        self.at_end(scene.stop)
        await scene.start()
        text = SERVER.format(
            port=port, program=scene.program.port, api=scene.api.port, secret=SECRET,
            locations=bot("e2e", directives, api, handler=handler) + locations, http=http,
            program_timeout=program_timeout, api_timeout=api_timeout)
        return scene, await self.nginx(text, port, **(nginx or {}))

    def books(self, scene):
        """The report of a run, kept in the directory, with its sums as notes."""
        books = scene.report()
        with open(f"{self.directory}/report.json", "w", encoding="utf-8") as file:
            file.write(report.as_json(books))
        telegram = books["telegram"]
        self.note(f"{books['updates']} updates in {books['seconds']:.1f} s, "
                  f"resent {telegram['resent']}, statuses {telegram['statuses']}, "
                  f"doubled {[len(v) for v in books['doubled'].values()]}")
        return books

    def check_books(self, books, parts=("lost", "disordered", "doubled without cause")):
        for part in parts:
            for name, values in books[part].items():
                self.check(not values, f"{part}, {name}: {len(values)}, such as {values[:5]}")
        self.equal(books["program"]["bad requests"], 0, "requests the program cannot take")

    def check_logs(self, nginx, allowed=(), secrets=(TOKEN, SECRET)):
        """
        No alert but those allowed, and those of workers that were killed; no secret in
        any log.
        """
        for pid in nginx.killed:
            allowed = (*allowed, f"worker process {pid} exited on signal 9",
                       f"was locked by {pid}")
        for line in nginx.read("error.log").splitlines():
            if _BAD.search(line) and not any(text in line for text in allowed):
                self.check(False, f"error.log: {line}")
        for name in ("error.log", "access.log", "stderr.log"):
            lines = [line for line in nginx.read(name).splitlines()
                     if any(secret in line for secret in secrets)]
            self.check(not lines, f"{name} has a secret in {len(lines)} lines, "
                                  f"such as {lines[:1]}")

    async def status(self, nginx):
        """What tgbot_status says; asked again should the one who answers be killed."""
        for _ in range(20):
            answer = await fetch("127.0.0.1", nginx.port, "/status")
            if answer is not None and answer.status == 200:
                return Status(answer.body)
            await asyncio.sleep(0.05)
        raise RuntimeError("no status")

    async def check_status(self, nginx, seconds=10):
        """Waits until nothing is under way, and checks that the books balance."""
        end = time.monotonic() + seconds
        status = await self.status(nginx)
        while not status.at_rest and time.monotonic() < end:
            await asyncio.sleep(0.05)
            status = await self.status(nginx)
        self.check(status.at_rest, "something is held or called, though nobody asks")
        for fault in status.faults(len(nginx.killed)):
            self.check(False, f"status: {fault}")
        with open(f"{self.directory}/status.json", "w", encoding="utf-8") as file:
            json.dump(status.data, file, indent=1)
        return status

    async def stop(self, nginx, number=signal.SIGQUIT, timeout=15.0):
        """Stops nginx and checks that it went quietly."""
        nginx.signal(number)
        self.equal(await nginx.exited(timeout), 0, "nginx's exit status")

    async def close(self):
        for function in self._closers:
            function()
        for nginx in self._nginxes:
            await nginx.close()
        # let the loop see the ends of connections
        await asyncio.sleep(0)


def time_limit(seconds):
    """How long a test may take, but for what is untimed()."""
    global _limit
    _limit = asyncio.timeout(seconds)
    return _limit


@contextlib.contextmanager
def untimed():
    """What a test builds is there already where it ran before, and takes long where not."""
    loop = asyncio.get_running_loop()
    left = _limit.when() - loop.time()
    _limit.reschedule(None)
    try:
        yield
    finally:
        _limit.reschedule(loop.time() + left)


async def until(condition, seconds=20.0, step=0.02):
    """Waits for a condition; whether it came true."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        await asyncio.sleep(step)
    return True


async def turns(scene, updates):
    """Yields 1, 2 ...: each time that Telegram got so many more updates to deliver."""
    for turn in itertools.count(1):
        while len(scene.webhook.deliveries) < turn * updates:
            await asyncio.sleep(0.02)
        yield turn
        # signals that come at once are one
        await asyncio.sleep(0.2)


async def suspend(pid):
    """
    Stops a process, and returns when it has stopped: until then it may still be the one
    that is woken for a new connection, which nobody else would be.
    """
    os.kill(pid, signal.SIGSTOP)
    if not await until(lambda: _state(pid) == "T", 5, 0.001):
        raise RuntimeError(f"process {pid} does not stop")


def _state(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        return file.read().rpartition(")")[2].split()[0]


def children(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as children:
            return [int(child) for child in children.read().split()]
    except FileNotFoundError:
        return []


@functools.cache
def keeps_freed():
    """Whether nginx keeps what it frees, as the allocator of a sanitizer does."""
    with open(NGINX, "rb") as file:
        return b"__asan_init" in file.read()


def alive(pid):
    try:
        return _state(pid) != "Z"
    except FileNotFoundError:
        return False


def _listens(port):
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


def _sockets(pid):
    count = 0
    try:
        for name in os.listdir(f"/proc/{pid}/fd"):
            count += os.readlink(f"/proc/{pid}/fd/{name}").startswith("socket:")
    except OSError:
        pass
    return count

