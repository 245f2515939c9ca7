"""A bot's program behind nginx, with the locations of its example, and a Bot API."""

import asyncio
import glob
import http.client
import os
import shutil
import socket
import subprocess

from harness import SECRET, TOKEN, TOP, free_port, until, untimed
from simulator import updates
from simulator.botapi import BotApi

# what each of the programs answers to /menu
MENU = ["We have", "tea", "and coffee."]

# where dev installs the packages of t/frameworks
NODE = f"{TOP}/build/frameworks/node"

# for which Debian has its packages
PYTHON = "/usr/bin/python3"

FPM = """\
[global]
error_log = {directory}/fpm.log

[bot]
listen = 127.0.0.1:{port}
pm = static
pm.max_children = 2
clear_env = no
"""

HTTP = """\
    tgbot_token_file $tgbot_bot.token;
    tgbot_secret_token_file $tgbot_bot.secret;
    tgbot_api /_api;
{http}
    server {{
        listen 127.0.0.1:{port};
{locations}
        location = /_api {{
            internal;
            proxy_pass http://127.0.0.1:{api}$tgbot_api_uri;
        }}
    }}
"""


class Bot:
    """nginx with the locations.conf of a directory, a bot's program, and a Bot API."""

    def __init__(self, case, directory, name, address):
        self._case = case
        self._directory = directory
        self._name = name
        self._address = address
        self._nginx = None
        self.port = free_port()
        self._update_id = 314159000
        self._body = None
        self.program = None
        self.program_port = free_port()
        self.api = BotApi(tokens={TOKEN})

    async def start(self, command, cwd=None, replaced=(), says="", http=""):
        """
        Starts all of it; replaced are texts of locations.conf and what to put there, says
        what the program says when it has started, http is what stands in http{} besides.
        """
        case = self._case
        case.at_end(self.api.stop)
        await self.api.start()

        with open(f"{self._directory}/locations.conf", encoding="utf-8") as file:
            locations = file.read()
        for old, new in ((self._address, f"127.0.0.1:{self.program_port}"), *replaced):
            assert old in locations, f"{old} is not in {self._directory}/locations.conf"
            locations = locations.replace(old, new)
        for kind, text in (("token", TOKEN), ("secret", SECRET)):
            write(f"{case.directory}/{self._name}.{kind}", f"{text}\n")

        await self.run(command, cwd, says)
        self._nginx = await case.nginx(HTTP.format(
            port=self.port, api=self.api.port, locations=locations, http=http),
            self.port, workers=1)

    async def run(self, command, cwd=None, says=""):
        """Starts the program, once more if it has ended; says: as in start()."""
        case = self._case
        log = open(f"{case.directory}/program.log", "ab")
        case.at_end(log.close)
        environment = dict(
            os.environ, TOKEN=TOKEN, SECRET=SECRET, PORT=str(self.program_port),
            API_ROOT=f"http://127.0.0.1:{self.api.port}",
            PYTHONPYCACHEPREFIX=f"{TOP}/build/pycache")
        # not asyncio's, whose transports would outlive the loop
        self.program = program = subprocess.Popen(
            command, cwd=cwd or self._directory, env=environment, stdout=log, stderr=log)
        case.at_end(lambda: _end(program))
        output = f"{case.directory}/program.log"
        await until(lambda: program.poll() is not None or (
            listens(self.program_port) and says in read_text(output)), 60)
        if not listens(self.program_port):
            raise RuntimeError(f"{command[0]} does not start:\n{read_text(output)}")

    async def update(self, kind, payload, secret=SECRET):
        """The status and the method in the answer that an Update gets."""
        self._update_id += 1
        self._body = updates.make(self._update_id, kind, payload).body
        return await self.again(secret)

    async def again(self, secret=SECRET):
        """The same for the Update before, which comes again."""
        return await asyncio.to_thread(
            post, self.port, f"/tg/{self._name}", self._body, secret)

    def take_calls(self):
        """The calls executed since the last time, without what is all the same."""
        taken = [(call.method, call.chat, call.params.get("text"))
                 for call in self.api.executed]
        self.api.executed.clear()
        return taken

    def logged(self):
        return self._nginx.read("access.log")

    def errors(self):
        return self._nginx.read("error.log")

    async def finish(self):
        for line in self._nginx.read("error.log").splitlines():
            # of the secret that is wrong on purpose
            if "[warn]" in line and "missing secret token" not in line:
                self._case.check(False, f"error.log: {line}")
        await self._case.stop(self._nginx)
        self._case.check_logs(self._nginx)


def node_modules(case):
    """The directory of npm's packages; None: the test is skipped."""
    if shutil.which("node") is None or not os.path.isdir(f"{NODE}/node_modules"):
        case.skip("no packages of npm: ./dev packages e2e installs them")
        return None
    return f"{NODE}/node_modules"


def python_telegram_bot(case, versions):
    """How Python with such a version of python-telegram-bot is called, or None."""
    for path in ("", f"{TOP}/build/frameworks/python/usr/lib/python3/dist-packages"):
        python = ["env", f"PYTHONPATH={path}", PYTHON]
        found = subprocess.run(
            [*python, "-c", "import tornado\nfrom importlib.metadata import version\n"
                            "print(version('python-telegram-bot'))"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
        if found.returncode == 0 and int(found.stdout.split(".")[0]) in versions:
            return python
    case.skip("no such python-telegram-bot: ./dev packages e2e installs it")
    return None


async def go_program(case, source):
    """The program made of a source in Go, or None."""
    go = shutil.which("go")
    if go is None or not os.path.isdir("/usr/share/gocode/src/gopkg.in/telebot.v3"):
        case.skip("no telebot: golang-go and golang-gopkg-telebot.v3-dev have it")
        return None
    program = f"{case.directory}/program"
    with untimed():
        build = await asyncio.create_subprocess_exec(
            go, "build", "-o", program, source, stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            env=dict(os.environ, GO111MODULE="off", GOPATH="/usr/share/gocode",
                     GOCACHE=f"{TOP}/build/frameworks/go"))
        output, _ = await build.communicate()
    return program if case.equal((build.returncode, output), (0, b""), "go build") else None


def php_fpm(case, port):
    """How PHP-FPM is started on a port; None: the test is skipped."""
    # its program is named for its version
    found = sorted(glob.glob("/usr/sbin/php-fpm*"))
    if not found:
        case.skip("no php-fpm: the package php-fpm has it")
        return None
    write(f"{case.directory}/fpm.conf", FPM.format(port=port, directory=case.directory))
    return [found[-1], "--nodaemonize", "--allow-to-run-as-root", "--fpm-config",
            f"{case.directory}/fpm.conf"]


def post(port, path, body, secret):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("POST", path, body, {
            "Content-Type": "application/json", "X-Telegram-Bot-Api-Secret-Token": secret})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def listens(port):
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


def _end(program):
    program.terminate()
    try:
        program.wait(5)
    except subprocess.TimeoutExpired:
        program.kill()
        program.wait()


def _private(path, flags):
    return os.open(path, flags, 0o600)


def write(path, text):
    with open(path, "w", encoding="utf-8", opener=_private) as file:
        file.write(text)


def read_text(path):
    return read(path).decode()


def read(path):
    with open(path, "rb") as file:
        return file.read()
