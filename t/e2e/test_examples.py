"""
The bots in examples/bots: each runs behind nginx with its own locations.conf, and what it
answers to Updates has to arrive at the Bot API.  examples/two-machines, of which one dies.
And the configurations in README.md and docs.
"""

import asyncio
import glob
import os
import re
import shutil
import signal
import sys

import clients
from bots import MENU, Bot, node_modules, php_fpm, read, read_text, write
from harness import MAIN, MODULE, SECRET, TOKEN, TOP, Nginx, free_port, until
from redis import Redis
from simulator import updates
from simulator.botapi import BotApi
from simulator.http1 import fetch
from simulator.program import Program
from status import Status

BOTS = f"{TOP}/examples/bots"
MACHINES = f"{TOP}/examples/two-machines"
ANN = updates.person(471100001, "Ann")

# the bot of a gateway or of broadcasts, where only these are shown
ELSEWHERE = """
server {
    location = /tg/shop {
        tgbot_webhook shop;
        tgbot_token_file /etc/nginx/tgbot/shop.token;
        tgbot_secret_token off;
        tgbot_api /_api;
        tgbot_reply Hello;
    }

    location = /_api { internal; proxy_pass http://127.0.0.1:9$tgbot_api_uri; }
}
"""

# at least so many are in README.md, docs and examples/bots
CONFIGURATIONS = 15


async def conversation(case, bot):
    """What each of the bots can do, and how it fails."""
    chat = str(ANN["id"])

    status, ride = await bot.update("message", updates.message(1, ANN, "/start"))
    case.equal((status, ride), (200, b""), "the answer to /start")
    markup = "".join(call.params.get("reply_markup", "") for call in bot.api.executed)
    case.check('"callback_data":"tea"' in markup.replace(" ", ""), f"no buttons: {markup}")
    case.equal(bot.take_calls(), [("sendMessage", chat, "Hello Ann!")], "calls for /start")

    status, ride = await bot.update("message", updates.message(2, ANN, "Grüße 🙂"))
    case.equal((status, ride), (200, b""), "the answer to a text")
    case.equal(bot.take_calls(), [("sendMessage", chat, "You said: Grüße 🙂")],
               "calls for a text")

    status, ride = await bot.update("callback_query",
                                    updates.callback_query(10 ** 17, ANN, "tea"))
    case.equal((status, ride), (200, b""), "the answer to a button")
    case.equal(bot.take_calls(), [("answerCallbackQuery", None, "Noted."),
                                  ("sendMessage", chat, "You chose tea.")],
               "calls for a button")

    status, ride = await bot.update("message", updates.message(9, ANN, "/menu"))
    case.equal((status, ride), (200, b""), "the answer to /menu")
    case.equal(bot.take_calls(), [("sendMessage", chat, text) for text in MENU],
               "calls for /menu")

    status, _ = await bot.update("message", updates.photo(3, ANN, "A photo"))
    case.equal((status, bot.take_calls()), (200, []), "a photo, which no bot answers")

    # no user, which makes each of them fail
    broken = updates.message(4, ANN, "/start")
    del broken["from"]
    status, _ = await bot.update("message", broken)
    case.equal((status, bot.take_calls()), (500, []), "an update the bot fails on")

    status, _ = await bot.update("message", updates.message(5, ANN, "Still there?"))
    case.equal((status, bot.take_calls()),
               (200, [("sendMessage", chat, "You said: Still there?")]), "the update after it")

    # twice at once, as nginx keeps connections and each program takes several
    first, second = await asyncio.gather(
        bot.update("message", updates.message(6, ANN, "one")),
        bot.update("message", updates.message(7, ANN, "two")))
    case.equal((first[0], second[0]), (200, 200), "two updates at once")
    case.equal(sorted(call[2] for call in bot.take_calls()),
               ["You said: one", "You said: two"], "calls for two updates")

    status, _ = await bot.update("message", updates.message(8, ANN, "let me in"), "wrong")
    case.equal((status, bot.take_calls()), (401, []), "a wrong secret")
    case.equal([line.count(" failed ") for line in bot.logged().splitlines()].count(1), 1,
               "updates that failed by access.log")

    await bot.finish()


async def test_python(case):
    bot = Bot(case, f"{BOTS}/python", "python", "127.0.0.1:9001")
    await bot.start([sys.executable, "bot.py"])
    await conversation(case, bot)


async def test_python_album(case):
    """The photos of an album are answered once, whatever comes between; none is lost."""
    directory = f"{BOTS}/python-album"
    command = [sys.executable, "bot.py"]
    bot = Bot(case, directory, "album", "127.0.0.1:9005")
    (lines,) = re.findall(r"^#     map .*?^#     \}", read_text(f"{directory}/locations.conf"),
                          re.MULTILINE | re.DOTALL)
    await bot.start(command, http=lines.replace("#", ""))
    bob = updates.person(471100002, "Bob")

    async def send(number, user, album=None):
        if album:
            message = updates.photo(number, user, "")
            message["media_group_id"] = album
        else:
            message = updates.message(number, user, "hi")
        case.equal(await bot.update("message", message), (200, b""), f"message {number}")

    def texts():
        return sorted(call.params["text"] for call in bot.api.executed)

    for number in range(1, 11):
        await send(number, ANN, "13000000000000001")
        if number == 5:
            await send(101, bob, "13000000000000002")
            await send(102, bob, "13000000000000002")
            await send(103, bob)
    case.check(await until(lambda: len(bot.api.executed) == 3), f"calls: {texts()}")
    case.equal(sorted(bot.take_calls()), sorted([
        ("sendMessage", str(ANN["id"]), "An album of 10."),
        ("sendMessage", str(bob["id"]), "An album of 2."),
        ("sendMessage", str(bob["id"]), "You said: hi")]), "calls")

    def photos():
        return sum(int(re.search(r"\d+", text)[0]) for text in texts())

    for number in range(11, 14):
        await send(number, ANN, "13000000000000003")
    bot.program.kill()
    bot.program.wait()
    await bot.run(command)
    case.check(await until(lambda: photos() >= 3, 30), f"after a crash: {texts()}")
    case.equal(photos(), 3, "photos after a crash")
    await bot.finish()


async def test_php(case):
    bot = Bot(case, f"{BOTS}/php", "php", "unix:/run/php/php-fpm.sock")
    command = php_fpm(case, bot.program_port)
    if command is not None:
        await bot.start(command, replaced=[("/srv/bot/bot.php", f"{BOTS}/php/bot.php")])
        await conversation(case, bot)


async def test_wsgi(case):
    uwsgi = shutil.which("uwsgi")
    if uwsgi is None:
        case.skip("no uwsgi: the packages uwsgi-core and uwsgi-plugin-python3 have it")
        return
    bot = Bot(case, f"{BOTS}/wsgi", "wsgi", "127.0.0.1:9003")
    await bot.start([uwsgi, "--plugin", "python3", "--socket",
                     f"127.0.0.1:{bot.program_port}", "--master", "--die-on-term",
                     "--processes", "4", "--wsgi-file", "bot.py"])
    await conversation(case, bot)


async def test_node_grammy(case):
    modules = node_modules(case)
    if modules is None:
        return
    os.symlink(modules, f"{case.directory}/node_modules")
    for name in ("bot.js", "package.json"):
        shutil.copy(f"{BOTS}/node-grammy/{name}", case.directory)
    bot = Bot(case, f"{BOTS}/node-grammy", "grammy", "127.0.0.1:9002")
    await bot.start(["node", "bot.js"], case.directory)

    # the second call is made by the bot itself
    chat = str(ANN["id"])
    status, _ = await bot.update("message", updates.message(10, ANN, "/dice"))
    case.equal((status, bot.take_calls()),
               (200, [("sendMessage", chat, "It rolls."), ("sendDice", chat, None),
                      ("sendMessage", chat, "That is yours.")]), "calls for /dice")
    await conversation(case, bot)


async def test_configurations(case):
    """nginx accepts each configuration in README.md and docs, and warns of nothing."""
    blocks = []
    for path in ["README.md", *sorted(glob.glob("docs/*.md", root_dir=TOP))]:
        text = read(f"{TOP}/{path}").decode()
        found = re.findall(r"^```nginx\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        case.equal(len(found), text.count("```nginx\n"), f"configurations in {path}")
        blocks += [(path, block) for block in found]
    text = read(f"{BOTS}/README.md").decode()
    (block,) = re.findall(r"^    http \{\n(.*?)^    \}", text, re.MULTILINE | re.DOTALL)
    blocks.append(("examples/bots/README.md", block))
    case.check(len(blocks) >= CONFIGURATIONS, f"only {len(blocks)} configurations")

    directory = f"{case.directory}/tgbot"
    state = f"{case.directory}/state"
    os.makedirs(directory)
    os.makedirs(state)
    for name in ("api-location.conf", "upstream.conf"):
        with open(f"{TOP}/examples/{name}", encoding="utf-8") as file:
            text = file.read()
        # the name would have to be resolved
        write(f"{directory}/{name}", text.replace("server  api.telegram.org",
                                                   "server  127.0.0.1"))
    shutil.copy(f"{BOTS}/python/locations.conf", directory)
    for number, name in enumerate(("shop", "faq", "python"), 1):
        write(f"{directory}/{name}.token", f"{number}{TOKEN}\n")
        write(f"{directory}/{name}.secret", f"{SECRET}\n")

    for path, text in blocks:
        if not re.search(r"^\s*(server|map|log_format) ", text, re.MULTILINE):
            # but for what is allowed in http only
            only = re.compile(r"^tgbot_(?:redis|state) [^;]*;", re.MULTILINE)
            outer = "\n".join(only.findall(text))
            text = f"{outer}\nserver {{\n{only.sub('', text)}\n}}"
        elif "tgbot_api " in text and "location = /_api" not in text \
                and "api-location.conf" not in text:
            text = text.replace("server {", "server { location = /_api { internal; "
                                "proxy_pass http://127.0.0.1:9$tgbot_api_uri; }", 1)
        if re.search("tgbot_(gateway|broadcast)", text) and "tgbot_webhook" not in text:
            text += ELSEWHERE
        text = re.sub(r"listen +443 ssl;|ssl_certificate(_key)? [^;]*;", "", text)
        text = re.sub(r"\bserver \{",
                      lambda _: f"server {{ listen 127.0.0.1:{free_port()};", text)
        text = text.replace("/etc/nginx/tgbot/", f"{directory}/")
        text = text.replace("/var/lib/nginx/tgbot", state)

        nginx = Nginx(case.directory, 0)
        nginx.configure(MAIN.format(module=MODULE, user="", workers=1, shutdown="1s", http=text))
        status, output = await nginx.test()
        case.check(status == 0 and "[warn]" not in output,
                   f"a configuration of {path}: {output}\n{text}")


async def test_readme(case):
    """
    The configuration in README.md with a queue, the gateway and the status, as it stands
    there: nginx answers, the queue survives a kill of nginx, a program sends.
    """
    blocks = re.findall(r"^```nginx\n(.*?)^```", read_text(f"{TOP}/README.md"),
                        re.MULTILINE | re.DOTALL)
    (text,) = (block for block in blocks if "tgbot_gateway" in block)
    directory = f"{case.directory}/tgbot"
    os.makedirs(directory)
    write(f"{directory}/shop.token", f"{TOKEN}\n")
    write(f"{directory}/shop.secret", f"{SECRET}\n")

    program, api = Program(secret=SECRET), BotApi(tokens={TOKEN})
    for service in (program, api):
        case.at_end(service.stop)
        await service.start()
    for name, change in (("upstream.conf", ("server  api.telegram.org:443",
                                            f"server  127.0.0.1:{api.port}")),
                         ("api-location.conf", ("https://telegram", "http://telegram"))):
        write(f"{directory}/{name}", _changed(f"{TOP}/examples/{name}", change))
    port, own = free_port(), free_port()
    text = _replaced(re.sub("ssl_certificate.*", "", text), "README.md",
                     ("listen               443 ssl", f"listen 127.0.0.1:{port}"),
                     ("listen  127.0.0.1:8090", f"listen  127.0.0.1:{own}"),
                     ("http://127.0.0.1:9001", f"http://127.0.0.1:{program.port}"),
                     ("/etc/nginx/tgbot/", f"{directory}/"),
                     ("/var/lib/nginx/tgbot", f"{case.directory}/state"))
    nginx = await case.nginx(text, port)

    async def update(number, words):
        answer = await clients.post(port, clients.text(number, words, number), "/tg/shop")
        case.equal(answer and answer.status, 200, f"update {number}")
        return answer.body

    body = await update(1, "/start")
    case.check(b"We are open from 9 to 18." in body, f"nginx answers /start with {body!r}")
    program.hold()
    for number in range(2, 12):
        await update(number, "hello")
    await nginx.kill_all()
    program.release()
    await nginx.start()
    texts = {f"reply {number}" for number in range(2, 12)}
    case.check(await until(lambda: {call.params["text"] for call in api.executed} == texts, 40),
               f"calls after a kill: {sorted(call.params['text'] for call in api.executed)}")

    answer = await clients.post(own, b'{"chat_id":7,"text":"by itself"}', "/sendMessage")
    case.equal(answer and answer.status, 200, "a call of the program")
    case.check("by itself" in (call.params["text"] for call in api.executed),
               "the call of the program is not at the Bot API")
    answer = await fetch("127.0.0.1", own, "/tgbot")
    case.equal(Status(answer.body).value("deliveries_total", "queued", bot="shop"), 10, "queued")
    await case.stop(nginx)
    case.check_logs(nginx)


class Machines:
    """The files of examples/two-machines: a Redis, machines, and the balancer before them."""

    def __init__(self, case):
        self._case = case
        self._ports = [free_port(), free_port()]
        self._update_id = 271828000
        self.directory = f"{case.directory}/tgbot"
        self.program = Program(secret=SECRET)
        self.api = BotApi(tokens={TOKEN})
        self.redis = None
        self.machines = []
        self.balancer = None

    async def start(self):
        case = self._case
        os.makedirs(self.directory)
        for name, text in (("shop.token", TOKEN), ("shop.secret", SECRET),
                           ("redis.password", "change-me-tgbot")):
            write(f"{self.directory}/{name}", f"{text}\n")
        for service in (self.program, self.api):
            case.at_end(service.stop)
            await service.start()
        self._copy("upstream.conf", ("server  api.telegram.org:443",
                                     f"server  127.0.0.1:{self.api.port}"))
        self._copy("api-location.conf", ("https://telegram", "http://telegram"))

        options = dict(line.split(None, 1) for line in
                       read_text(f"{MACHINES}/redis.conf").splitlines()
                       if line and not line.startswith("#"))
        options.update(bind="127.0.0.1", aclfile=f"{MACHINES}/users.acl", save="")
        self.redis = Redis(case, **options)
        self.redis.login = ("admin", "change-me-admin")
        await self.redis.start()

        machine = _changed(
            f"{MACHINES}/machine.conf",
            ("tgbot_redis  10.0.0.3", f"tgbot_redis  127.0.0.1:{self.redis.port}"),
            ("http://127.0.0.1:8001", f"http://127.0.0.1:{self.program.port}"),
            ("https://tg.example.com;", "https://tg.example.com interval=1s "
                                        f"api=http://127.0.0.1:{self.api.port};"),
            ("/etc/nginx/tgbot/", f"{self.directory}/"))
        for name, port in zip("ab", self._ports):
            self.machines.append(await self._nginx(
                name, port, machine.replace("listen  80", f"listen  127.0.0.1:{port}")))
        port = free_port()
        self.balancer = await self._nginx("balancer", port, re.sub(
            "ssl_certificate.*", "", _changed(
                f"{MACHINES}/balancer.conf",
                ("10.0.0.1:80", f"127.0.0.1:{self._ports[0]}"),
                ("10.0.0.2:80", f"127.0.0.1:{self._ports[1]}"),
                ("listen       443 ssl", f"listen       127.0.0.1:{port}"))))

    def _copy(self, name, change):
        write(f"{self.directory}/{name}", _changed(f"{TOP}/examples/{name}", change))

    async def _nginx(self, name, port, http):
        directory = f"{self._case.directory}/{name}"
        os.makedirs(f"{directory}/logs")
        nginx = self._case.own(Nginx(directory, port))
        nginx.configure(MAIN.format(module=MODULE, user="user root;" * (os.geteuid() == 0),
                                    workers=2, shutdown="10s", http=http))
        await nginx.start()
        return nginx

    async def updates(self, count, nginx=None):
        """Delivers so many, each of a user of its own; -> their ids, statuses."""
        first = self._update_id + 1
        self._update_id += count
        ids = range(first, first + count)
        answers = await asyncio.gather(*(self.update(number, nginx) for number in ids))
        return ids, set(answers)

    async def update(self, number, nginx=None):
        answer = await clients.post((nginx or self.balancer).port,
                                    clients.text(number, "hello", number), "/tg/shop")
        return answer and answer.status

    async def handled(self, ids):
        """Waits for them; -> ids of those handled, as often as they were."""
        await until(lambda: len(self.program.arrivals(*ids)) >= len(ids))
        return sorted(seen.id for seen in self.program.arrivals(*ids))


async def test_two_machines(case):
    """One of two machines dies: what it had accepted is handled by the other one."""
    shop = Machines(case)
    await shop.start()
    first, second = shop.machines
    hooks = shop.api.registrations

    case.check(await until(lambda: hooks.hooks[TOKEN].url == "https://tg.example.com/tg/shop"),
               "not registered")
    ids, statuses = await shop.updates(40)
    case.equal(statuses, {200}, "statuses")
    case.equal(await shop.handled(ids), list(ids), "updates handled")

    # the same update at the other machine is a duplicate
    (number,), _ = await shop.updates(1, first)
    case.equal(await shop.update(number, second), 200, "a duplicate")
    await shop.handled([number])
    case.equal(shop.redis.call("HGET", "{tgbot:shop}:meta", "accepted"), "41", "accepted")

    # accepted by the first machine, which dies with all that it has in work
    shop.program.hold()
    ids, statuses = await shop.updates(30, first)
    case.equal(statuses, {200}, "statuses of the first machine")
    for pid in (first.master, *first.workers()):
        first.killed.append(pid)
        os.kill(pid, signal.SIGKILL)
    shop.program.release()
    case.check(await until(lambda: {seen.id for seen in shop.program.arrivals(*ids)
                                    if seen.outcome == "ok"} == set(ids), 40),
               "updates of the machine that died are not handled")
    more, statuses = await shop.updates(20)
    case.equal(statuses, {200}, "statuses with one machine")
    case.equal(await shop.handled(more), list(more), "updates handled by one machine")

    case.check(await until(
        lambda: shop.redis.call("HGET", "{tgbot:shop}:meta", "items") == "0"), "not empty")
    checks = hooks.count("getWebhookInfo")
    await until(lambda: hooks.count("getWebhookInfo") >= checks + 2)
    case.equal(hooks.count("setWebhook"), 1, "setWebhook of both machines")
    await case.stop(second)
    case.check_logs(second)
    case.equal(shop.redis.call("ACL", "LOG"), [], "what Redis refused the user")


async def test_two_machines_acl(case):
    """users.acl allows what the scripts call."""
    allowed = set(re.findall(r"\+([a-z]+)", read_text(f"{MACHINES}/users.acl")))
    called = set()
    for path in glob.glob(f"{TOP}/ngx_http_tgbot_module/work/redis_*.lua"):
        called |= set(re.findall(r"redis\.p?call\('([A-Z]+)'", read_text(path)))
    case.check(len(called) > 20, f"only {len(called)} commands")
    case.equal({name.lower() for name in called} - allowed, set(), "not in users.acl")


def _changed(path, *changes):
    """The text of a file in which all that is named is replaced."""
    return _replaced(read_text(path), path, *changes)


def _replaced(text, path, *changes):
    for old, new in changes:
        assert old in text, f"{old} is not in {path}"
        text = text.replace(old, new)
    return text
