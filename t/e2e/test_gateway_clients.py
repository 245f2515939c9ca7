"""
Programs on frameworks, as they are: each calls the Bot API itself, and then through
tgbot_gateway, and gets the same answers, and the Bot API the same calls, to the byte.
"""

import asyncio
import hashlib
import json
import os
import shutil
import sys

from bots import go_program, node_modules, python_telegram_bot
from harness import TOKEN, TOP, bot, free_port
from simulator.botapi import ApiError, BotApi, blocked_by_user, chat_not_found, flood

CALLERS = f"{TOP}/t/e2e/callers"
PHOTO = bytes(range(256)) * 20480
DIGEST = hashlib.sha256(PHOTO).hexdigest()

# what the Bot API says of some chats, see t/e2e/callers
REFUSALS = {"1002": blocked_by_user(), "1003": chat_not_found(), "1004": flood(3600),
            "1005": "502", "1006": ApiError(500, "Internal Server Error")}

GATEWAY = """\
    upstream bot_api {{ server 127.0.0.1:{api}; keepalive 8; }}
    tgbot_secret_token off;
    server {{
        listen 127.0.0.1:{port};
{webhook}
        location {path} {{
            tgbot_gateway e2e;
            tgbot_retry_on off;
            client_max_body_size 6m;
            client_body_buffer_size 16k;
        }}
        location = /_api {{
            internal;
            proxy_pass http://bot_api$tgbot_api_uri;
        }}
    }}
"""


async def bot_api(case):
    api = BotApi(tokens={TOKEN})
    api.refusals.update(REFUSALS)
    api.max_upload = 6 << 20
    api.now = lambda: 1700000000
    case.at_end(api.stop)
    await api.start()
    return api


async def run(case, command, root, token=TOKEN, **environment):
    """What a program prints that is started with the root as its last argument, by step."""
    with open(f"{case.directory}/photo.jpg", "wb") as file:
        file.write(PHOTO)
    log = open(f"{case.directory}/program.log", "ab")
    case.at_end(log.close)
    program = await asyncio.create_subprocess_exec(
        *command, root, cwd=case.directory, stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE, stderr=log,
        env=dict(os.environ, **environment, TOKEN=token, PHOTO=f"{case.directory}/photo.jpg",
                 DIRECTORY=case.directory, PYTHONHASHSEED="0",
                 PYTHONPYCACHEPREFIX=f"{TOP}/build/pycache"))
    output, _ = await program.communicate()
    case.equal(program.returncode, 0, f"{command}, exit status")
    return {line.pop("step"): line for line in map(json.loads, output.splitlines())}


def received(api):
    """
    The calls that arrived, without the names that frameworks draw for parts of a form, and
    what was executed with which files.
    """
    return ([(call.method, {name: "attach://" if value.startswith("attach://") else value
                            for name, value in call.params.items()}, call.status)
             for call in api.arrived],
            [(call.method, sorted(call.files.values())) for call in api.executed])


async def compare(case, command, steps, token=TOKEN, direct_token=TOKEN, test=False,
                  apart=(), path="/api/"):
    """
    A program gets the same directly and through the gateway; returns what it got there.  The
    tokens are those of the program; test: all is in the test environment; apart: steps that
    are not compared; path: the gateway's location.
    """
    environment = {"TEST": "test/"} if test else {}
    direct = await bot_api(case)
    expected = await run(case, command, f"http://127.0.0.1:{direct.port}", direct_token,
                         **environment)
    case.check(steps <= len(expected), f"only {len(expected)} steps: {list(expected)}")

    behind = await bot_api(case)
    port = free_port()
    webhook = bot()
    if test:
        webhook = webhook.replace("tgbot_api /_api;", "tgbot_api /_api test;")
    nginx = await case.nginx(GATEWAY.format(
        port=port, api=behind.port, webhook=webhook, path=path), port)
    got = await run(case, command, f"http://127.0.0.1:{port}{path.rstrip('/')}", token,
                    **environment)

    for step, result in expected.items():
        if step not in apart:
            case.equal(got.get(step), result, f"step \"{step}\"")
    for what, calls, wanted in zip(("arrived", "executed"), received(behind), received(direct)):
        case.equal(len(calls), len(wanted), f"calls that {what}")
        for number, (call, one) in enumerate(zip(calls, wanted)):
            case.equal(call, one, f"call {number} that {what}")
    await case.stop(nginx)
    case.check_logs(nginx)
    return got


def check_files(case, got):
    """The steps with files of a program did what they are for."""
    case.equal(got.get("download", {}).get("result"), DIGEST, "the digest of the file")
    case.check("error" in got.get("blocked", {}), "no error where the bot is blocked")


async def of_node(case, name):
    modules = node_modules(case)
    if modules is None:
        return
    shutil.copy(f"{CALLERS}/program.mjs", case.directory)
    os.symlink(modules, f"{case.directory}/node_modules")
    check_files(case, await compare(case, ["node", "program.mjs", name], 18))


async def test_grammy(case):
    await of_node(case, "grammy")


async def test_telegraf(case):
    await of_node(case, "telegraf")


async def test_node_telegram_bot_api_0(case):
    await of_node(case, "node-telegram-bot-api-0")


async def test_node_telegram_bot_api_2(case):
    await of_node(case, "node-telegram-bot-api-2")


async def test_gramio(case):
    await of_node(case, "gramio")


async def test_puregram(case):
    await of_node(case, "puregram")


async def of_python(case, versions):
    python = python_telegram_bot(case, versions)
    if python is not None:
        check_files(case, await compare(case, [*python, f"{CALLERS}/ptb.py"], 15))


async def test_python_telegram_bot_13(case):
    await of_python(case, range(13, 14))


async def test_python_telegram_bot_20(case):
    await of_python(case, range(20, 100))


async def test_telebot(case):
    program = await go_program(case, f"{CALLERS}/telebot.go")
    if program is not None:
        check_files(case, await compare(case, [program], 15))


async def plain(case, **options):
    """Every form of parameters, and the answers' headers."""
    await compare(case, [sys.executable, f"{CALLERS}/plain.py"], 20, **options)


async def test_plain(case):
    await plain(case)


async def test_plain_without_token(case):
    await plain(case, token="", path="/")


async def test_plain_with_placeholder(case):
    """What frameworks take that insist on the form of a token."""
    await plain(case, token="1000:nginx")


async def test_plain_with_another_token(case):
    """It is refused as Telegram refuses it, except that nginx looks at the size before."""
    other = f"7000000002:{'A' * 35}"
    await plain(case, token=other, direct_token=other, apart=("too large",))


async def test_plain_below_test(case):
    await plain(case, test=True)
