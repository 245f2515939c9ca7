"""The token and the secret stay where they belong, whatever goes wrong."""

import asyncio
import re

from harness import free_port
from simulator import updates
from simulator.botapi import BotApi
from simulator.program import Program
from simulator.webhook import Webhook

# tokens and secrets differ from bot to bot; these parts of them do not
TOKEN_PART = "AAtoken-that-must-not-leak"
SECRET_PART = "secret_that_must_not_leak"

# how a server can fail, and what error.log has to say of it
SHOWN = {"reset": "reset by peer", "close": "prematurely closed", "stall": "timed out",
         "garbage": "no valid HTTP", "truncated": "prematurely closed", "endless": None,
         "301": None, "401": None, "403": None, "404": None, "429": None, "500": None,
         "502": None, "503": None, "504": None}
REACHED = {
    "refused": ("http://127.0.0.1:{closed}", "Connection refused"),
    "unresolved": ("http://$nowhere", "could not be resolved"),
    "prefix": ("$nonsense", "invalid URL prefix"),
    "port": ("http://127.0.0.1:99999$empty", "invalid port"),
    "tls": ("https://127.0.0.1:{plain}", "while SSL handshaking"),
}
ANSWERED = {"json401": dict(tokens={"another"}), "json403": dict(blocked=("1",)),
            "json429": dict(limits=dict(chat=(0.1, 1.0))),
            "json400": dict(migrated={"1": "1"})}

SERVER = """\
    resolver 127.0.0.1:{closed};
    resolver_timeout 1s;
    proxy_connect_timeout 1s;
    proxy_read_timeout 300ms;
    tgbot_retry attempts=2 backoff=50ms max_backoff=200ms life=3s;
    tgbot_hold_timeout 3s;
    server {{
        listen 127.0.0.1:{port};
        set $nowhere nobody.invalid;
        set $nonsense gopher;
        set $empty "";
{locations}
    }}
"""

BOT = """\
        location = /tg/{name} {{
            tgbot_webhook {name};
            tgbot_token {token};
            tgbot_secret_token {secret};
            tgbot_handler /_program_{name};
            tgbot_api /_api_{name};
            add_header X-Uri "$tgbot_api_uri" always;
            {directives}
        }}
        location = /_program_{name} {{
            internal;
            proxy_pass {program};
            proxy_set_header X-Uri $tgbot_api_uri;
        }}
        location = /_api_{name} {{
            internal;
            proxy_pass {api}$tgbot_api_uri;
        }}
"""


class Bot:
    """A bot with a program and a Bot API, one of which may fail in one way."""

    def __init__(self, number, name, program="ok", api="ok", directives=""):
        self.name = name
        self.token = f"{7000000000 + number}:{TOKEN_PART}-{number:03}"
        self.secret = f"{SECRET_PART}-{number:03}"
        self.faults = (program, api)
        self.directives = directives
        self.webhook = None
        self.program = Program(stall=2.0, capture=True)
        self.api = BotApi(stall=2.0, capture=True, **ANSWERED.get(api, {}))
        self.program.fault = program if program in SHOWN else None
        self.api.fault = api if api in SHOWN else None

    async def start(self, case):
        for service in (self.program, self.api):
            await service.start()
            case.at_end(service.stop)

    def locations(self, closed):
        ways = []
        for service, fault in zip((self.program, self.api), self.faults):
            way, _ = REACHED.get(fault, ("http://127.0.0.1:{plain}", None))
            ways.append(way.format(closed=closed, plain=service.port))
        return BOT.format(name=self.name, token=self.token, secret=self.secret,
                          program=ways[0], api=ways[1], directives=self.directives)

    def play(self, case, port):
        self.webhook = Webhook(
            f"http://127.0.0.1:{port}/tg/{self.name}", secret=self.secret, schedule=0.1,
            ramp=0.1, execute=self.api.ride, capture=True)
        case.at_end(self.webhook.close)
        for number in (1, 2, 3):
            user = updates.person(min(number, 2))
            self.webhook.push(updates.make(
                1000 + number, "message", updates.message(number, user, f"/start {number}")))


def bots():
    faults = [*SHOWN, *REACHED]
    pairs = [("ok", "ok", "ok"), *((f"program_{fault}", fault, "ok") for fault in faults),
             *((f"api_{fault}", "ok", fault) for fault in (*faults, *ANSWERED))]
    made = [Bot(number, *pair) for number, pair in enumerate(pairs)]
    made.append(Bot(len(made), "ride", directives=(
        'tgbot_reply "reply uri=$tgbot_api_uri method=$tgbot_method";')))
    return made


async def _refusals(port, bot):
    """What the webhook answers to those who are not Telegram, or not well."""
    good = b'{"update_id":5,"message":{"chat":{"id":1,"type":"private"},"text":"x"}}'
    secret = f"X-Telegram-Bot-Api-Secret-Token: {bot.secret}\r\n"
    json_type = "Content-Type: application/json\r\n"
    answers = b""
    for method, headers, body in (
            ("POST", json_type, good),
            ("POST", json_type + secret.replace("-0", "-1"), good),
            ("GET", secret, b""),
            ("POST", "Content-Type: text/plain\r\n" + secret, good),
            ("POST", json_type + secret, b"{"),
            ("POST", json_type + secret, b'{"message":{}}'),
            ("POST", json_type + secret, b"x" * 1100000),
            ("POST", json_type + secret + "Bad\x01 Header: 1\r\n" + "X: " + "x" * 40000, b"")):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head = (f"{method} /tg/{bot.name} HTTP/1.1\r\nHost: h\r\n{headers}"
                f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n")
        try:
            writer.write(head.encode("latin-1") + body)
            answers += await reader.read()
        except ConnectionError:
            pass
        writer.close()
    return answers


def _check_program(case, bot):
    """The secret comes to its own program, in its header, and nothing else does."""
    for raw in bot.program.captured:
        text = raw.decode("latin-1")
        header = f"x-telegram-bot-api-secret-token: {bot.secret}\r\n"
        case.equal(len(re.findall(re.escape(header), text, re.IGNORECASE)), 1,
                   f"{bot.name}: secret headers to the program")
        rest = re.sub(re.escape(header), "", text, flags=re.IGNORECASE)
        case.check(SECRET_PART not in rest, f"{bot.name}: secret to the program: {rest}")
        case.check(TOKEN_PART not in rest, f"{bot.name}: token to the program: {rest}")
        case.check("x-uri" not in rest.lower(), f"{bot.name}: $tgbot_api_uri at the program")


def _check_api(case, bot):
    """The token comes to the Bot API in the request's path and nowhere else."""
    for raw in bot.api.captured:
        line, _, rest = raw.decode("latin-1").partition("\r\n")
        case.check(line.startswith(f"POST /bot{bot.token}/"), f"{bot.name}: {line!r}")
        case.check(TOKEN_PART not in rest, f"{bot.name}: token to the Bot API: {rest}")
        case.check(SECRET_PART not in rest + line, f"{bot.name}: secret to the Bot API: {rest}")


async def test_upstream_errors(case):
    chosen = bots()
    for bot in chosen:
        await bot.start(case)
    port = free_port()
    closed = free_port()
    nginx = await case.nginx(SERVER.format(
        port=port, closed=closed,
        locations="".join(bot.locations(closed) for bot in chosen)), port)

    for bot in chosen:
        bot.play(case, port)
    for _ in range(150):
        await asyncio.sleep(0.1)
        if all(sum(bot.webhook.statuses.values()) >= 2 for bot in chosen):
            break
    for bot in chosen:
        answers = sum(bot.webhook.statuses.values())
        case.check(answers >= 2, f"{bot.name}: {answers} answers, {bot.webhook.ends}")
    refusals = await _refusals(port, chosen[0])
    case.check(refusals.count(b"HTTP/1.1 4") >= 6, f"refusals: {refusals}")

    for bot in chosen:
        _check_program(case, bot)
        _check_api(case, bot)
        answered = b"".join(bot.webhook.captured) + refusals
        for part in (TOKEN_PART, SECRET_PART):
            case.check(part.encode() not in answered, f"{bot.name}: {part} to Telegram")
        program_fault, api_fault = bot.faults
        case.check(bot.program.captured or program_fault in REACHED or bot.name == "ride",
                   f"{bot.name}: the program was never asked")
        case.check(bot.api.captured or api_fault in REACHED or program_fault != "ok"
                   or bot.name == "ride", f"{bot.name}: the Bot API was never asked")
    ridden = [call.params["text"] for call in chosen[-1].api.executed]
    case.equal(set(ridden), {"reply uri= method="}, "answers of the configuration")

    await case.stop(nginx)
    case.check_logs(nginx, secrets=(TOKEN_PART, SECRET_PART))
    _check_provoked(case, nginx)


def _check_provoked(case, nginx):
    """Each error was really met, by the program's calls and by the Bot API's."""
    log = nginx.read("error.log")
    expected = {fault: text for fault, text in SHOWN.items() if text}
    expected.update({fault: text for fault, (_, text) in REACHED.items()})
    for fault, text in expected.items():
        case.check(text in log, f"{fault}: {text!r} is not in error.log")
    case.check("bot<redacted>" in log, "error.log names no call of the Bot API")
    case.check(" /_api_ok " in nginx.read("access.log"), "access.log has no subrequests")
