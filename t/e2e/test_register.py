"""tgbot_register keeps setWebhook in step, whatever the Bot API and others do."""

import asyncio
import os
import signal
import ssl
import subprocess
import time

import build
import clients
from harness import (FULL, SECRET, SERVER, TOKEN, bot, fetch, free_port, until)
from simulator.botapi import BotApi
from simulator.registration import DEFAULT, RegistrationError, TYPES
from simulator.webhook import Webhook
from simulator import updates

HOST = "https://bot.example.com"
URL = f"{HOST}/tg/e2e"

OTHER = "https://other.example.com/hook"

# nginx looks at the clock once a turn of its loop, and the clock has steps: it may be late
CLOCK = 0.1


class World:
    """A Bot API and an nginx whose bots register with it."""

    def __init__(self, case, api, nginx):
        self.case = case
        self.api = api
        self.nginx = nginx
        self.hooks = api.registrations

    @property
    def hook(self):
        return self.hooks.hooks[TOKEN]

    def sets(self):
        return self.hooks.count("setWebhook")

    def checks(self):
        return self.hooks.count("getWebhookInfo")

    async def webhook(self, name="e2e"):
        """What the status says of a bot's webhook."""
        status = await self.case.status(self.nginx)
        return status.data["bots"][name]["webhook"]

    async def state(self, state, seconds=20):
        """Waits until the status tells of this state."""
        end = time.monotonic() + seconds
        while (got := await self.webhook())["state"] != state:
            if time.monotonic() > end:
                self.case.check(False, f"webhook {got}, expected state {state}")
                break
            await asyncio.sleep(0.1)
        return got

    async def checked(self, times=2):
        """Waits for so many checks more."""
        before = self.checks()
        came = await until(lambda: self.checks() >= before + times, 20)
        self.case.check(came, f"{self.checks() - before} checks, expected {times}")

    def lines(self, text):
        return [line for line in self.nginx.read("error.log").splitlines() if text in line]

    def configure(self, directives, secret=SECRET):
        self.nginx.configure(self.nginx.text(directives, secret))

    async def reload(self):
        """Returns when the new workers are there."""
        before = set(self.nginx.workers())
        self.nginx.signal(signal.SIGHUP)
        await until(lambda: set(self.nginx.workers()) - before, 10)


async def world(case, register="", directives="", tls=None, start=True, bots="", api=None,
                tokens=None, secret=SECRET, http="", **nginx):
    """register: parameters of tgbot_register besides the URL and the API's."""
    api = api or BotApi(tokens=tokens)
    api.tls = tls
    case.at_end(api.stop)
    await api.start()
    port, program = free_port(), free_port()
    scheme = "https" if tls else "http"

    def text(directives, secret):
        return SERVER.format(
            port=port, program=program, api=api.port, secret=secret,
            locations=bots or bot("e2e", directives), http=http,
            program_timeout="2s", api_timeout="2s")

    if not directives:
        directives = f"tgbot_register {HOST} {register} interval=1s " \
                     f"api={scheme}://127.0.0.1:{api.port};"
    server = await case.nginx(text(directives, secret), port, start=False, **nginx)
    main = server.configure

    def configure(inner):
        with open(f"{server.directory}/nginx.conf", encoding="utf-8") as file:
            old = file.read()
        main(old.replace(server.inner, inner))
        server.inner = inner

    server.inner = text(directives, secret)
    server.configure = configure
    server.text = text
    if start:
        await server.start()
    return World(case, api, server)


def certificates(case):
    """An authority, and a server's certificate by it: their files, and an SSLContext."""
    path = f"{case.directory}/tls"
    os.makedirs(path)
    with open(f"{path}/ext", "w", encoding="ascii") as file:
        file.write("subjectAltName=IP:127.0.0.1")
    for command in (
            "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 30 "
            "-subj /CN=authority",
            "req -newkey rsa:2048 -nodes -keyout api.key -out api.csr -subj /CN=127.0.0.1",
            "x509 -req -in api.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out api.pem "
            "-days 30 -extfile ext",
            "req -x509 -newkey rsa:2048 -nodes -keyout own.key -out own.pem -days 30 "
            "-subj /CN=bot.example.com"):
        subprocess.run(["openssl", *command.split()], cwd=path, check=True,
                       capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{path}/api.pem", f"{path}/api.key")
    return path, context


async def test_state(case):
    """With tgbot_state a start knows what is registered: it only checks."""
    w = await world(case, http="tgbot_state state;")
    await w.state("ok")
    for end in (w.nginx.kill_all, lambda: case.stop(w.nginx)):
        sets = w.sets()
        await end()
        await w.nginx.start()
        await w.checked()
        await w.state("ok")
        case.equal(w.sets(), sets, "setWebhook")
    await case.stop(w.nginx)
    case.check_logs(w.nginx)


async def test_first(case):
    """Over TLS, with all parameters and a certificate of one's own."""
    path, context = certificates(case)
    w = await world(
        case, f"ip_address=192.0.2.7 certificate={path}/own.pem max_connections=55 "
        f"allowed_updates=message,poll ca={path}/ca.pem", tls=context)
    got = await w.state("ok")
    await w.checked()
    case.equal(w.sets(), 1, "setWebhook")

    call = next(call for call in w.hooks.calls if call.method == "setwebhook")
    case.equal(call.params, {"url": URL, "secret_token": SECRET, "ip_address": "192.0.2.7",
                             "max_connections": "55",
                             "allowed_updates": '["message","poll"]'}, "parameters")
    with open(f"{path}/own.pem", "rb") as file:
        case.equal(call.files, {"certificate": file.read()}, "files")

    case.equal(got["url"], URL, "URL in the status")
    case.equal(got["expected"], URL, "expected URL in the status")
    case.equal(got["ip_address"], "192.0.2.7", "address in the status")
    case.equal(got["max_connections"], 55, "connections in the status")
    case.equal(got["allowed_updates"], ["message", "poll"], "types in the status")
    case.check(got["has_custom_certificate"], "no certificate in the status")
    case.check(abs(got["registered"] - time.time()) < 60, f"registered: {got}")
    case.equal(len(w.lines(f'webhook registered at "{URL}"')), 1, "lines in the log")
    await case.stop(w.nginx)
    case.check_logs(w.nginx)


async def test_wrong_authority(case):
    """Who the Bot API is cannot be told: nothing is said to it, again and again."""
    path, context = certificates(case)
    w = await world(case, f"ca={path}/own.pem", tls=context)
    await until(lambda: len(w.lines("[error]")) >= 3, 20)
    case.check(len(w.lines('getWebhookInfo for webhook "' + URL)) >= 3,
               f"errors: {w.lines('[error]')}")
    case.equal((await w.webhook())["state"], "error", "state")
    case.check((await w.webhook())["error"], "no error in the status")
    case.equal(len(w.hooks.calls), 0, "calls")
    await case.stop(w.nginx)
    case.check_logs(w.nginx)


async def test_nothing_to_do(case):
    """Telegram has it all: it is asked, and nothing is set."""
    api = BotApi()
    hook = api.registrations.hooks[TOKEN]
    hook.url = URL
    hook.allowed = frozenset(("message", "poll"))
    hook.pending = 7
    hook.last_error_date = int(time.time()) - 5
    hook.last_error_message = "Connection reset by peer"
    w = await world(case, "allowed_updates=poll,message", api=api)
    got = await w.state("ok")
    await w.checked(3)
    case.equal(w.sets(), 0, "setWebhook")
    case.equal(got["pending_updates"], 7, "pending")
    case.equal(got["last_error_message"], "Connection reset by peer", "message")
    case.equal(got["registered"], 0, "registered")
    status = await case.status(w.nginx)
    case.equal(status.value("webhook_pending_updates"), 7, "pending, as metric")
    case.equal(status.value("webhook_url_ok"), 1, "URL, as metric")
    case.equal(status.value("webhook_last_error_timestamp_seconds"), hook.last_error_date,
               "last error, as metric")
    case.check_logs(w.nginx)


async def test_taken(case):
    """Another tool's changes are taken back, but not for ever."""
    w = await world(case)
    await w.state("ok")
    for n in range(3):
        if n == 1:
            w.hook.allowed = frozenset(("message",))    # not ours to say
            await w.checked()
            case.equal(w.sets(), n + 1, "setWebhook, for what is not configured")
        if n == 2:
            # what is refused first counts once nonetheless
            w.hooks.faults["setwebhook"].append((429, 1))
        w.hook.url = OTHER
        back = await until(lambda: w.hook.url == URL, 20)
        case.check(back, f"not taken back for the {n + 1}. time")
        end = time.monotonic() + 10
        while (await w.webhook())["taken"] != n + 1 and time.monotonic() < end:
            await asyncio.sleep(0.05)
        case.equal((await w.state("ok"))["taken"], n + 1, "times taken back")
    sets = w.sets()
    w.hook.url = OTHER
    got = await w.state("stopped")
    await w.checked(3)
    case.equal(w.hook.url, OTHER, "URL")
    case.equal(w.sets(), sets, "setWebhook after the last time")
    case.equal(got["url"], OTHER, "URL in the status")
    case.equal((await case.status(w.nginx)).value("webhook_url_ok"), 0, "URL, as metric")
    case.equal(len(w.lines("[crit]")), 1, "lines at crit")

    # the other one gives it back, and it is guarded as before
    w.hook.url = URL
    await w.state("ok")
    case.check_logs(w.nginx, allowed=("another program changes the webhook",))


async def test_flood(case):
    """429: not before the time that Telegram says."""
    api = BotApi()
    api.registrations.faults["setwebhook"].append((429, 4))
    w = await world(case, api=api)
    await until(lambda: w.sets() == 2, 20)
    await w.state("ok")
    first, second = w.hooks.times("setWebhook")
    case.check(second - first >= 4 - CLOCK, f"again after {second - first:.1f} s")
    case.check_logs(w.nginx)


async def test_faults(case):
    """5xx, reset and garbage: again, later each time, and well in the end."""
    api = BotApi()
    api.registrations.faults["getwebhookinfo"].extend((500, "garbage"))
    api.registrations.faults["setwebhook"].extend((500, 502, "reset"))
    w = await world(case, api=api)
    await w.state("ok", 60)
    case.equal(w.sets(), 4, "setWebhook")
    case.equal(w.hook.url, URL, "URL")
    # a connection that was kept and is reset is not told from one that was closed
    case.check(len(w.lines("[error]")) >= 4, f"errors: {w.lines('[error]')}")
    case.equal((await w.webhook())["error"], "", "error in the status")
    case.check_logs(w.nginx)


async def test_refused(case):
    """What Telegram does not like is told in its words."""
    api = BotApi()
    w = await world(
        case, api=api, directives=f"tgbot_register {HOST}:8080 interval=2s api=http://"
        "127.0.0.1:PORT;", start=False)
    w.configure(f"tgbot_register {HOST}:8080 interval=2s api=http://127.0.0.1:{api.port};")
    await w.nginx.start()
    got = await w.state("error")
    case.check("Webhook can be set up only on ports" in got["error"], f"error: {got}")
    lines = w.lines(f'setWebhook for webhook "{HOST}:8080/tg/e2e" failed: HTTP status 400')
    case.check(lines and "ports 80, 88, 443 or 8443" in lines[0], f"lines {lines}")
    before = w.sets()
    await until(lambda: w.sets() > before, 20)
    times = w.hooks.times("setWebhook")
    case.check(times[-1] - times[-2] >= 2 - CLOCK, f"again before the interval: {times}")

    # a token that Telegram does not know
    api.tokens = {"1:other"}
    await until(lambda: w.lines("HTTP status 401"), 20)
    case.check(w.lines("HTTP status 401: Unauthorized"), "no line of 401")
    case.check_logs(w.nginx)


async def test_secret(case):
    """A secret is changed under traffic, and Telegram is never refused."""
    w = await world(case, directives="tgbot_register off;", start=False)
    w.configure(_rotate(w))
    await w.nginx.start()
    await w.state("ok")
    webhooks = []
    number = 0

    def telegram(_, hook):
        """Telegram has a new actor for a new secret; the old one finishes what it sent."""
        for webhook in webhooks:
            webhook.pause()
        webhooks.append(Webhook(f"http://127.0.0.1:{w.nginx.port}/tg/e2e",
                                secret=hook.secret, schedule=0.1, ramp=0.1))
        case.at_end(webhooks[-1].close)

    telegram(TOKEN, w.hook)
    w.hooks.on_set = telegram
    secrets = [SECRET, "another_secret", "a_third_one"]
    for old, new in zip(secrets, secrets[1:]):
        sets = w.sets()
        w.configure(_rotate(w), f"{new} {old}")
        await w.reload()
        end = time.monotonic() + 20
        after = 0
        while time.monotonic() < end and after < 50:
            number += 1
            webhooks[-1].push(update(number))
            after += w.sets() > sets
            await asyncio.sleep(0.002)
        case.equal(w.hook.secret, new, "secret")
        case.equal(w.sets(), sets + 1, "setWebhook")
        await w.state("ok")
    drained = await webhooks[-1].drained(20)
    case.check(drained, "Telegram is not done")
    statuses = sum((webhook.statuses for webhook in webhooks), start=type(
        webhooks[0].statuses)())
    case.check(set(statuses) == {200} and statuses[200] > 100, f"statuses {statuses}")
    case.note(f"{statuses[200]} updates")
    case.check_logs(w.nginx, secrets=(TOKEN, *secrets))


def _rotate(w):
    return f"tgbot_reply hello; tgbot_register {HOST} interval=1s " \
           f"api=http://127.0.0.1:{w.api.port};"


def update(number):
    return updates.make(number, "message", updates.message(1, updates.person(number, "Ann"), "hi"))


async def test_reloads(case):
    """Fifty in a row, and no more than one setWebhook."""
    w = await world(case)
    for _ in range(50):
        w.nginx.signal(signal.SIGHUP)
        await asyncio.sleep(0.1)
    await w.state("ok")
    await w.checked()
    case.equal(w.sets(), 1, "setWebhook")
    case.equal(w.lines("[error]"), [], "errors")
    await case.stop(w.nginx)
    case.check_logs(w.nginx)


async def test_killed(case):
    """Another worker goes on for the one that is killed, and sets nothing again."""
    w = await world(case)
    await w.state("ok")
    for _ in range(4):
        for pid in w.nginx.workers():
            w.nginx.kill(pid)
        await w.checked()
    case.equal(w.sets(), 1, "setWebhook")
    case.check_logs(w.nginx)


async def test_killed_inside(case):
    """A worker dies with the zone locked: it is repaired, and nothing is set for it."""
    w = await world(case, module=await build.module("zonetest", "NGX_HTTP_TGBOT_ZONE_TEST=1"))
    await w.state("ok")
    for rounds, point in enumerate(("registry: record", "registry: lease"), 1):
        with open(f"{w.nginx.directory}/stop", "w", encoding="ascii") as file:
            file.write(point)
        if point == "registry: lease":
            for pid in w.nginx.workers():
                w.nginx.kill(pid)
        stopped = await until(lambda: w.nginx.read("stopped"), 20)
        case.check(stopped, f"{point!r} was never reached")
        w.nginx.kill(int(w.nginx.read("stopped").rpartition(" ")[2]))
        os.unlink(f"{w.nginx.directory}/stopped")
        await w.checked()
        await w.state("ok")
        case.equal(len(w.lines("it is repaired")), rounds, f"repairs after {point!r}")
    case.equal(w.sets(), 1, "setWebhook")
    case.check_logs(w.nginx)


async def test_hung(case):
    """A worker that hangs while it is answered is not waited for, nor believed later."""
    if not FULL:
        case.skip("takes as long as a worker's silence; TGBOT_E2E_FULL runs it")
        return
    api = BotApi()
    api.stall = 600
    api.registrations.faults["getwebhookinfo"].append("stall")
    w = await world(case, api=api)
    await until(lambda: w.checks() == 1, 10)
    holder = next(pid for pid in w.nginx.workers() if _connected(pid, api.port))
    os.kill(holder, signal.SIGSTOP)
    await until(lambda: w.sets() == 1, 40)
    os.kill(holder, signal.SIGCONT)
    await w.checked()
    case.equal(w.sets(), 1, "setWebhook")
    await w.state("ok")
    case.check_logs(w.nginx)


def _connected(pid, port):
    """Whether the process has a connection to the port."""
    with open("/proc/net/tcp", encoding="ascii") as file:
        lines = [line.split() for line in file.readlines()[1:]]
    inodes = {line[9] for line in lines if int(line[2].split(":")[1], 16) == port}
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            link = os.readlink(f"/proc/{pid}/fd/{name}")
        except OSError:
            continue
        if link.startswith("socket:[") and link[8:-1] in inodes:
            return True
    return False


async def test_allowed(case):
    """What is not configured is left alone and shown; what is changed is set once."""
    api = BotApi()
    api.registrations.hooks[TOKEN].allowed = frozenset(("message", "chat_member"))
    w = await world(case, api=api)
    got = await w.state("ok")
    case.equal(w.hook.allowed, frozenset(("message", "chat_member")), "types")
    case.equal(got["allowed_updates"], ["chat_member", "message"], "types in the status")
    case.check("allowed_updates" not in w.hooks.calls[1].params, "types were set")

    for n, (value, expected) in enumerate((
            ("poll", ["poll"]), ("default", None), ("all", sorted(TYPES)))):
        w.configure(f"tgbot_register {HOST} interval=1s allowed_updates={value} "
                    f"api=http://127.0.0.1:{api.port};")
        await w.reload()
        case.check(await until(lambda: w.sets() == n + 2, 20), f"{value} was not set")
        await w.checked()
        got = await w.state("ok")
        case.equal(got["allowed_updates"], expected, f"types after {value}")
        case.equal(w.sets(), n + 2, f"setWebhook after {value}")
    case.check_logs(w.nginx)


async def test_unauthorized(case):
    """Telegram was refused with 401, so its secret is an old one."""
    api = BotApi()
    hook = api.registrations.hooks[TOKEN]
    hook.url = URL
    hook.secret = "a_secret_of_yesterday"
    w = await world(case, api=api)
    await w.state("ok")
    case.equal(w.sets(), 0, "setWebhook")
    w.hook.last_error_date = int(time.time()) + 1
    w.hook.last_error_message = "Wrong response from the webhook: 401 Unauthorized"
    case.check(await until(lambda: w.sets() == 1, 20), "not registered again")
    await w.checked()
    case.equal(w.sets(), 1, "setWebhook")
    case.equal(w.hook.secret, SECRET, "secret")
    case.check_logs(w.nginx)


async def test_pace(case):
    """Of 25 new bots Telegram is asked for 20 in a minute."""
    names = [f"b{n}" for n in range(25)]
    tokens = {name: f"{7000000100 + n}:AAHleakless-e2e-token-{n:019d}"
              for n, name in enumerate(names)}
    w = await world(case, bots="".join(
        bot(name, f"tgbot_register {HOST} interval=1s api=http://127.0.0.1:PORT;",
            token=tokens[name]) for name in names), start=False)
    inner = w.nginx.inner.replace("PORT", str(w.api.port))
    w.nginx.configure(inner)
    await w.nginx.start()

    def asked():
        return {call.token for call in w.hooks.calls}

    case.check(await until(lambda: w.sets() == 20, 40), f"{w.sets()} bots registered")
    await asyncio.sleep(2)
    case.equal(len(asked()), 20, "bots asked for")
    case.equal(w.sets(), 20, "setWebhook")
    if FULL:
        case.check(await until(lambda: w.sets() == 25, 90), f"{w.sets()} bots registered")
        case.equal(w.hooks.refused, [], "refused")
    case.check_logs(w.nginx, secrets=(*tokens.values(), SECRET))


async def test_tokens(case):
    """Whatever Telegram says of a webhook: no bot's token is logged or shown."""
    part = "AAHother-e2e-token-that-must-not-leak"
    other = f"7000000200:{part}"
    w = await world(case, bots=bot(
        "e2e", f"tgbot_register {HOST} interval=1s api=http://127.0.0.1:PORT;")
        + bot("other", token=other), start=False)
    w.nginx.configure(w.nginx.inner.replace("PORT", str(w.api.port)))
    await w.nginx.start()
    await w.state("ok")

    w.hook.url = f"https://x.example/?u=bot{other.replace(':', '%3A')}/{TOKEN}"
    w.hook.last_error_date = int(time.time())
    w.hook.last_error_message = f"a{'x' * 250}{other}"
    case.check(await until(lambda: w.sets() == 2, 20), "not taken back")
    case.check(await until(lambda: w.lines(
        '"https://x.example/?u=bot<redacted>/<redacted>"'), 10), "no line of the URL")

    w.hook.ip_address = other
    w.hook.last_error_date = int(time.time())
    w.hook.last_error_message = f"Wrong response: {other}\r\n\x07{TOKEN} b"
    await w.checked()
    got = await w.webhook()
    case.equal(got["last_error_message"], "Wrong response: <redacted>   <redacted> b", "error")
    case.equal(got["ip_address"], "<redacted>", "address")

    def refuse(token, method, params, files):
        raise RegistrationError(400, f"Bad Request: /bot{other}/{method}\n/bot{token}/ b")

    w.hooks.call = refuse
    got = await w.state("error")
    text = "HTTP status 400: Bad Request: /bot<redacted>/getWebhookInfo /bot<redacted>/ b"
    case.equal(got["error"], text, "why")
    case.check(w.lines(f"failed: {text}, retried in"), "no line of the failure")

    status = await fetch("127.0.0.1", w.nginx.port, "/status")
    case.check(part not in status.body.decode(), "a token in the status")
    case.check_logs(w.nginx, secrets=(part, TOKEN, SECRET))


async def test_quit(case):
    """nginx ends soon, whatever is not answered yet, and leaves no socket open."""
    for method in ("getWebhookInfo", "setWebhook"):
        api = BotApi()
        api.stall = 600
        w = await world(case, api=api, shutdown="60s")
        api.registrations.faults[method.lower()].extend(["stall"] * 9)
        w.hook.url = OTHER
        before = w.hooks.count(method)
        await until(lambda: w.hooks.count(method) > before, 20)
        started = time.monotonic()
        await case.stop(w.nginx, signal.SIGQUIT, 20)
        seconds = time.monotonic() - started
        case.note(f"{method}: {seconds:.1f} s")
        case.check(seconds < 15, f"{method}: nginx took {seconds:.1f} s")
        case.check_logs(w.nginx)


async def test_drop_pending(case):
    """What waits at Telegram goes when the bot comes to us, and not later."""
    api = BotApi()
    hook = api.registrations.hooks[TOKEN]
    hook.url = OTHER
    hook.pending = 5
    w = await world(case, "drop_pending", api=api)
    await w.state("ok")
    case.equal(w.hook.pending, 0, "pending")
    w.hook.pending = 3
    w.configure(f"tgbot_register {HOST} drop_pending interval=1s max_connections=5 "
                f"api=http://127.0.0.1:{api.port};")
    await w.reload()
    case.check(await until(lambda: w.sets() == 2, 20), "not set again")
    case.equal(w.hook.pending, 3, "pending after a change")
    case.check_logs(w.nginx)


async def test_another_url(case):
    """An API that never tells the URL it was given: later each time, and no word of success."""
    api = BotApi()
    api.registrations.hooks[TOKEN].url = OTHER
    api.registrations.shows = lambda info: dict(info, url=OTHER)
    w = await world(case, "drop_pending", api=api)
    await w.state("error")
    while w.sets() < 5:
        got = await w.webhook()
        ready = await fetch("127.0.0.1", w.nginx.port, "/status/ready")
        said = (got["state"], bool(got["error"]), ready.status)
        if not case.equal(said, ("error", True, 503), "state, error and ready"):
            break
        await asyncio.sleep(0.05)
    case.equal((await case.status(w.nginx)).value("webhook_url_ok"), 0, "URL, as metric")
    times = w.hooks.times("setWebhook")
    case.check(times[-1] - times[-2] >= 4 - CLOCK, f"setWebhook at {times}")
    case.equal(_drops(w), 1, "times that what waits was thrown away")
    case.equal((await w.webhook())["taken"], 0, "times taken back")

    w.hooks.shows = None
    got = await w.state("ok", 40)
    case.equal(got["error"], "", "error when all is well")
    ready = await fetch("127.0.0.1", w.nginx.port, "/status/ready")
    case.equal(ready.status, 200, "ready when all is well")

    # what is taken back comes from another host as well
    w.hook.url = OTHER
    case.check(await until(lambda: w.hook.url == URL, 20), "not taken back")
    case.equal(_drops(w), 1, "times that what waits was thrown away, at the end")
    case.check_logs(w.nginx)


def _drops(w):
    return sum("drop_pending_updates" in call.params for call in w.hooks.calls)


async def test_under_way(case):
    """While setWebhook is not answered, or what came of it not told, the state is not ok."""
    api = BotApi()
    api.stall = 3
    w = await world(case, api=api)
    await w.state("ok")
    sets = w.sets()
    w.hooks.faults["setwebhook"].append("stall")
    w.hook.url = OTHER
    case.check(await until(lambda: w.sets() > sets, 20), "not taken back")
    case.equal((await w.webhook())["state"], "pending", "state while it is called")
    await w.state("ok")

    sets = w.sets()
    w.hooks.on_set = lambda *_: w.hooks.faults["getwebhookinfo"].extend((500, 500))
    w.hook.url = OTHER
    got = await w.state("error")
    case.check("HTTP status 500" in got["error"], f"error {got}")
    await w.state("ok")
    case.equal(w.sets(), sets + 1, "setWebhook for answers that told nothing")
    case.check_logs(w.nginx)


async def test_username(case):
    """getMe is called once, over reloads and checks; without an answer all else goes on."""
    api = BotApi()
    api.username = None
    w = await world(case, api=api)
    await w.state("ok")
    await w.checked()
    case.equal((await w.webhook())["username"], "", "a username that nobody told")
    case.check(w.lines("getMe failed: HTTP status 404"), "no line of the failure")
    case.check(api.named >= 2, "not asked again")

    api.username = "shop_bot"
    named = api.named
    case.check(await until(lambda: api.named > named, 20), "not asked")
    await w.reload()
    await w.checked(3)
    case.equal((await w.webhook())["username"], "shop_bot", "username")
    case.equal(api.named, named + 1, "getMe")
    case.equal((await w.webhook())["state"], "ok", "state")
    case.check_logs(w.nginx)


async def test_environment(case):
    """Registration and calls of a bot of Telegram's test environment go there."""
    w = await world(case, bots=bot(
        "e2e", f"tgbot_register {HOST} interval=1s api=http://127.0.0.1:PORT; "
        f"tgbot_token {TOKEN}; tgbot_api /_api test; tgbot_reply hello; tgbot_reply_via api;",
        api=False), start=False)
    w.nginx.configure(w.nginx.inner.replace("PORT", str(w.api.port)))
    await w.nginx.start()
    await w.state("ok")
    answer = await clients.post(w.nginx.port, clients.text(1, "hi"))
    case.equal(answer.status, 200, "status")
    case.check(await until(lambda: w.api.executed), "no call")
    case.equal(w.api.called, {
        False: set(), True: {"getWebhookInfo", "setWebhook", "getMe", "sendMessage"}}, "methods")
    case.check_logs(w.nginx)


async def test_certificate(case):
    """
    A certificate that was replaced while nginx was down is uploaded, when Telegram says that
    it does not fit; not for ever, and not if there is none of one's own.
    """
    path, _ = certificates(case)
    failed = "SSL error {error:0A000086:SSL routines::certificate verify failed}"
    api = BotApi()
    hook = api.registrations.hooks[TOKEN]
    hook.url = URL
    hook.certificate = b"an old one"
    hook.last_error_date = int(time.time()) - 5
    hook.last_error_message = failed
    w = await world(case, f"certificate={path}/own.pem", api=api)
    await w.state("ok")
    await w.checked()
    with open(f"{path}/own.pem", "rb") as file:
        case.equal(w.hook.certificate, file.read(), "certificate")
    case.equal(w.sets(), 1, "setWebhook")
    case.equal(len(w.lines("refused because of a wrong certificate")), 1, "lines")

    w.hooks.shows = lambda info: dict(info, last_error_date=int(time.time()) + 3600,
                                      last_error_message=failed)
    got = await w.state("stopped", 40)
    case.check("because of a wrong certificate" in got["error"], f"error {got}")
    await w.checked(3)
    case.equal(w.sets(), 3, "setWebhook, three times in an hour")
    w.hooks.shows = None
    await w.state("ok")

    w.configure(f"tgbot_register {HOST} interval=1s api=http://127.0.0.1:{api.port};")
    await w.reload()
    case.check(await until(lambda: w.hook.certificate is None, 20), "not changed")
    await w.state("ok")
    sets = w.sets()
    w.hook.last_error_date = int(time.time()) + 1
    w.hook.last_error_message = failed
    await w.checked(3)
    case.equal(w.sets(), sets, "setWebhook, when there is nothing to upload")
    case.check_logs(w.nginx, allowed=("deliveries are refused again and again",))


async def test_default_types(case):
    """A list of types that is Telegram's default is not told by it, and is equal."""
    names = ",".join(sorted(DEFAULT))
    w = await world(case, f"allowed_updates={names}")
    await w.state("ok")
    await w.checked()
    await case.stop(w.nginx)
    await w.nginx.start()
    await w.state("ok")
    await w.checked()
    case.equal(w.sets(), 1, "setWebhook")
    case.equal(w.lines("[warn]"), [], "warnings")
    case.check_logs(w.nginx)


async def test_slow(case):
    """The time between two setWebhook counts from when Telegram has executed the first."""
    api = BotApi()
    api.registrations.delay = 0.9
    w = await world(case, api=api)
    case.check(await until(lambda: w.hook.url == URL, 20), "not set")
    api.registrations.delay = 0
    w.configure(f"tgbot_register {HOST} max_connections=5 interval=1s "
                f"api=http://127.0.0.1:{api.port};")
    await w.reload()
    case.check(await until(lambda: w.hook.max_connections == 5, 20), "not set again")
    await w.state("ok")
    case.equal(w.hooks.refused, [], "refused")
    case.equal(w.sets(), 2, "setWebhook")
    case.check_logs(w.nginx)


async def test_other_settings(case):
    """Settings that Telegram tells otherwise than they were given are set once."""
    api = BotApi()
    api.registrations.shows = lambda info: dict(
        info, max_connections=40, ip_address="<unknown>", has_custom_certificate=True,
        allowed_updates=["message"])
    w = await world(case, "ip_address=192.0.2.7 max_connections=55 "
                    "allowed_updates=message,poll drop_pending", api=api)
    await w.state("ok")
    await w.checked(3)
    case.equal(w.sets(), 1, "setWebhook")
    case.equal(len(w.lines("is not as it was set")), 1, "lines in the log")
    case.check_logs(w.nginx)


async def test_refused_again(case):
    """A webhook that refuses Telegram whatever its secret is: no setWebhook for ever."""
    api = BotApi()
    api.registrations.shows = lambda info: dict(
        info, last_error_date=int(time.time()) + 3600,
        last_error_message="Wrong response from the webhook: 401 Unauthorized")
    w = await world(case, api=api)
    got = await w.state("stopped", 40)
    case.check("because of a wrong secret" in got["error"], f"error {got}")
    await w.checked(3)
    case.equal(w.sets(), 4, "setWebhook, the first one and three more")
    case.equal(len(w.lines("[crit]")), 1, "lines at crit")
    api.registrations.shows = None
    await w.state("ok")
    case.check_logs(w.nginx, allowed=("deliveries are refused again and again",))


async def test_pending(case):
    """Webhooks are answered while the Bot API takes its time, by the worker that asked it."""
    api = BotApi()
    api.stall = 600
    api.registrations.faults["getwebhookinfo"].append("stall")
    w = await world(case, api=api, directives="tgbot_reply hello;", start=False, workers=1)
    w.configure(f"tgbot_register {HOST} interval=1s api=http://127.0.0.1:{api.port}; "
                "tgbot_reply hello;")
    await w.nginx.start()
    case.check(await until(lambda: w.checks() == 1, 20), "the Bot API was not asked")
    webhook = Webhook(f"http://127.0.0.1:{w.nginx.port}/tg/e2e", secret=SECRET,
                      schedule=0.1, ramp=0.01)
    case.at_end(webhook.close)
    for number in range(1, 101):
        webhook.push(update(number))
    case.check(await webhook.drained(60), "Telegram is not done")
    case.equal(dict(webhook.statuses), {200: 100}, "statuses")
    case.equal(w.checks(), 1, "questions to the Bot API, the first of which is pending")
    case.check_logs(w.nginx)
