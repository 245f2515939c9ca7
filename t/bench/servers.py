"""The contenders: each started on the server's core, checked, then fed."""

import glob
import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import time

from measure import SECRET, SERVER_CORE, Void, pin

HERE = os.path.dirname(os.path.abspath(__file__))
MODULES = "/usr/lib/nginx/modules"
MODULE = f"{os.path.dirname(os.path.dirname(HERE))}/build/ngx_http_tgbot_module.so"
OTHER = os.environ.get("BENCH_MODULE") and os.path.abspath(os.environ["BENCH_MODULE"])
PYTHON = "/usr/bin/python3"
FIRST_PORT = 9800
FIRST_ID = 100_000_000
LAST_ID = 999_999_999

TEXTS = {
    "/start from_the_shop_window": "Hello Anneliese!  Tell me what you look for.",
    "/help": "Ask for /hours, or /order and a number.",
    "/hours on sunday, please": "We are open from 9 to 18.",
    "/order@bench_bot 1742": "Order 1742 is on its way.",
}

TOKEN = "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw0"
GATEWAY = f"""
    location = /tg/bench {{
        tgbot_webhook       bench;
        tgbot_token         {TOKEN};
        tgbot_secret_token  off;
        tgbot_reply         off;
        tgbot_api           /api;
    }}

    location /bot/ {{
        tgbot_gateway  bench;
    }}

    location = /api {{
        internal;
        proxy_pass          http://program;
        proxy_http_version  1.1;
        proxy_set_header    Connection  "";
    }}

    location = /status {{
        tgbot_status;
    }}
"""

ports = iter(range(FIRST_PORT, FIRST_PORT + 1000))


class LeftOut(Exception):
    """what the contender needs is not here"""


def free_port():
    for port in ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise Void("no port is free")


class Server:
    """replies: it answers with messages; remembers: and only once to each update"""

    replies = True
    remembers = True
    texts = TEXTS
    uri = "/tg/bench"
    calls_by_itself = False  # the load is calls to the Bot API
    warm = 3000

    def __init__(self, name, title, directory):
        self.name = name
        self.title = title
        self.directory = os.path.join(directory, name)
        self.process = None
        self.port = None
        self.options = {}  # of its load, see Load.run()
        self.seed = None   # options of a load before
        self.next = 0      # index of the update
        self.block = 1
        self.sent = 0
        self.bare = 0      # of them
        shutil.rmtree(self.directory, ignore_errors=True)
        os.makedirs(self.directory)

    def spawn(self, command, **env):
        self.port = self.port or free_port()
        with open(f"{self.directory}/output.log", "wb") as output:
            self.process = subprocess.Popen(
                command, stdout=output, stderr=output, cwd=self.directory,
                env={**os.environ, "PORT": str(self.port), "SECRET": SECRET, **env},
                preexec_fn=pin(SERVER_CORE))
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                if self.process.poll() is not None:
                    break
                time.sleep(0.05)
        raise Void(f"{self.name} does not start: {self.output()}")

    def output(self):
        text = ""
        for path in (f"{self.directory}/output.log", f"{self.directory}/error.log"):
            if os.path.exists(path):
                with open(path, encoding="utf-8", errors="replace") as file:
                    text += file.read()[-2000:]
        return text

    def pids(self):
        return [self.process.pid]

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait()

    def take(self, count, block=1):
        """the index of the first of so many updates that were not sent yet"""
        if block != self.block:
            self.next += -self.next % block
            self.block = block
        first = self.next
        self.next += count
        if FIRST_ID + self.next + block > LAST_ID:
            raise Void("no update_ids are left")
        return first

    def request(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        return answer.status, text

    def ask(self, secret, text, index=None):
        index = self.take(1) if index is None else index
        user = 5_000_000_000 + index
        person = {"id": user, "first_name": "Anneliese", "username": "anneliese_ml"}
        update = {"update_id": FIRST_ID + index, "message": {
            "message_id": 7, "date": int(time.time()), "text": text,
            "from": {**person, "is_bot": False}, "chat": {**person, "type": "private"},
            "entities": [{"type": "bot_command", "offset": 0, "length": len(text.split()[0])}]}}
        status, body = self.request("POST", self.uri, json.dumps(update), {
            "Content-Type": "application/json", "X-Telegram-Bot-Api-Secret-Token": secret})
        self.sent += secret == SECRET
        return status, body, user

    def check(self):
        """whether it does what is measured"""
        if not self.replies:
            if self.ask(SECRET, "/help")[0] != 200:
                raise Void(f"{self.name} does not answer 200")
            return
        for text, expected in self.texts.items():
            status, body, user = self.ask(SECRET, text)
            call = {"method": "sendMessage", "chat_id": user, "text": expected}
            if status != 200 or json.loads(body or b"{}") != call:
                raise Void(f"{self.name} answers {text} with {status} {body!r}: {self.output()}")
        status, body, _ = self.ask(SECRET[:-1] + "?", "/help")
        if status not in (401, 403) or b"sendMessage" in body:
            raise Void(f"{self.name} takes a wrong secret")
        if self.remembers:
            self.check_memory()

    def check_memory(self):
        index = self.take(1)
        answers = [self.ask(SECRET, "/help", index)[:2] for _ in range(2)]
        if b"sendMessage" not in answers[0][1] or answers[1] != (200, b""):
            raise Void(f"{self.name} does not remember an update: {answers}")

    def check_counts(self):
        """whether all that was sent was what is measured, as far as the server knows"""


class Nginx(Server):
    modules = ()
    workers = 1
    binary = os.environ.get("BENCH_NGINX", "/usr/sbin/nginx")

    def __init__(self, name, title, directory, **values):
        super().__init__(name, title, directory)
        self.values = values

    def config(self):
        """file.conf, with values for its @name@s"""
        with open(f"{HERE}/nginx/{self.file}.conf", encoding="utf-8") as file:
            return file.read()

    def start(self):
        for module in self.modules:
            if not os.path.exists(module):
                raise LeftOut(f"{os.path.basename(module)} is not installed")
        with open(f"{HERE}/nginx/nginx.conf", encoding="utf-8") as file:
            text = file.read()
        self.port = free_port()
        values = {
            "modules": "\n".join(f"load_module {module};" for module in self.modules),
            "server": self.config(), "workers": self.workers, "port": self.port,
            "secret": SECRET, "here": f"{HERE}/nginx", **self.values}
        for name, value in values.items():
            text = text.replace(f"@{name}@", str(value))
        with open(f"{self.directory}/nginx.conf", "w", encoding="utf-8") as file:
            file.write(text)
        self.spawn([self.binary, "-p", self.directory, "-c", f"{self.directory}/nginx.conf",
                    "-e", f"{self.directory}/error.log", "-g", "daemon off;"])
        while len(self.pids()) < self.workers:
            time.sleep(0.01)

    def pids(self):
        master = self.process.pid
        with open(f"/proc/{master}/task/{master}/children", encoding="ascii") as file:
            return [int(pid) for pid in file.read().split()]


class Return(Nginx):
    file = "return"
    replies = False


class Echo(Nginx):
    file = "echo"
    replies = False
    modules = (f"{MODULES}/ngx_http_echo_module.so",)


class Tgbot(Nginx):
    file = "tgbot"
    modules = (MODULE,)

    def status(self):
        status, body = self.request("GET", "/status")
        if status != 200:
            raise Void(f"{self.name}: /status is answered {status}")
        return json.loads(body)

    def deliveries(self):
        return {verdict: count for verdict, count
                in self.status()["bots"]["bench"]["deliveries_total"].items() if count}

    def check_memory(self):
        """a reply that rides is repeated: it is the status that knows"""
        index = self.take(1)
        for _ in range(2):
            self.ask(SECRET, "/help", index)
        if self.deliveries().get("duplicate") != 1:
            raise Void(f"{self.name} does not remember an update: {self.deliveries()}")

    def check_counts(self):
        """of all updates one was a duplicate, and one had the wrong secret, see check()"""
        status = self.status()
        expected = {"duplicate": 1, "rejected": 1}
        if self.bare:
            expected["ignored"] = self.bare
        expected["done"] = self.sent - self.bare - 1
        if self.deliveries() != expected:
            raise Void(f"{self.name}: {self.deliveries()} instead of {expected}")
        for zone, outcomes in status["bots"]["bench"]["limit_decisions_total"].items():
            if not sum(outcomes.values()) == outcomes["passed"] == expected["done"]:
                raise Void(f"{self.name}: limit {zone}: {outcomes}")
        for zone, state in status["zones"].items():
            if state["zone_evicted_total"] or state["zone_repaired_total"]:
                raise Void(f"{self.name}: zone {zone}: {state}")


class Other(Tgbot):
    modules = (OTHER,)


class Lua(Nginx):
    file = "lua"
    modules = (f"{MODULES}/ndk_http_module.so", f"{MODULES}/ngx_http_lua_module.so")

    def start(self):
        if not glob.glob("/usr/lib/*/lua/5.1/cjson.so"):
            raise LeftOut("lua-cjson is not installed")
        super().start()


class Njs(Nginx):
    """shared memory came with 0.8.0: an older one is left without"""

    file = "njs"
    modules = (f"{MODULES}/ngx_http_js_module.so",)
    zones = ("js_shared_dict_zone  zone=seen:256m timeout=3600s evict;\n"
             "js_shared_dict_zone  zone=users:16m;\n"
             "js_shared_dict_zone  zone=chats:16m;\n")

    def config(self):
        return super().config().replace("@shared@", self.zones if self.remembers else "")

    def start(self):
        try:
            super().start()
        except Void as void:
            if "js_shared_dict_zone" not in str(void):
                raise
            self.remembers = False
            self.title += ", no memory"
            super().start()


class Grammy(Server):
    warm = 10000
    package = os.environ.get("BENCH_NODE", "")

    def start(self):
        node = shutil.which("node")
        if not node:
            raise LeftOut("Node.js is not installed")
        if not os.path.isdir(f"{self.package}/node_modules/grammy"):
            raise LeftOut("grammY is not installed")
        self.spawn([node, f"{self.package}/bot.js"], NODE_ENV="production")


class PythonTelegramBot(Server):
    warm = 500

    def start(self):
        if subprocess.run([PYTHON, "-c", "import telegram.ext, tornado"], check=False,
                          stderr=subprocess.DEVNULL).returncode:
            raise LeftOut("python-telegram-bot is not installed")
        self.spawn([PYTHON, "-B", f"{HERE}/ptb/bot.py"])


class Plain(Nginx):
    """what a call of the program's own costs without the gateway"""

    file = "gateway"
    uri = "/plain"
    replies = False
    calls_by_itself = True

    def __init__(self, name, title, directory, **values):
        super().__init__(name, title, directory, token=TOKEN, **{"gateway": "", **values})


class Gateway(Plain):
    modules = (MODULE,)
    uri = "/bot/sendMessage"

    def __init__(self, name, title, directory, **values):
        super().__init__(name, title, directory, gateway=GATEWAY, **values)

    def status(self):
        return json.loads(self.request("GET", "/status")[1])

    def done(self):
        """-> calls that were answered"""
        calls = self.status()["bots"]["bench"]["api_calls_total"]
        return calls.get("sendMessage", {}).get("ok", 0)

    def check_counts(self):
        if self.done() != self.sent:
            raise Void(f"{self.name}: {self.done()} calls instead of {self.sent}")


def contenders(directory):
    return [
        Return("return", "nginx, return 200", directory),
        Echo("echo", "nginx, body read (echo): the floor", directory),
        Tgbot("tgbot", "this module", directory),
        *([Other("other", "the other module", directory)] if OTHER else []),
        Lua("lua", "lua-nginx-module", directory),
        Njs("njs", "njs", directory),
        Grammy("grammy", "grammY on Node.js", directory),
        PythonTelegramBot("ptb", "python-telegram-bot", directory),
    ]


def start(servers):
    """-> those that run"""
    running = []
    for server in servers:
        try:
            server.start()
            server.check()
            running.append(server)
        except LeftOut as why:
            print(f"left out: {server.title}: {why}", file=sys.stderr)
    return running
