"""
The programs in examples/frameworks, as they are: each runs behind nginx, is told of all that
fails, and answers when the work is done.  And what the frameworks do without that, which the
table in docs/program.md says.
"""

import asyncio
import json
import os
import shutil

from bots import (
    MENU, Bot, go_program, node_modules, php_fpm, post, python_telegram_bot, read_text, write)
from harness import SECRET, TOKEN, TOP, until
from simulator import updates
from simulator.http1 import fetch

BOTS = f"{TOP}/examples/bots"
RECIPES = f"{TOP}/examples/frameworks"
DEFAULTS = f"{TOP}/t/e2e/defaults"
ANN = updates.person(471100001, "Ann")
CHAT = str(ANN["id"])

# what the table in docs/program.md says of a program
ENDS = ", and the process ends"

# it listens before
NODE_RED_STARTED = "Started flows"


async def held(case, bot, early=False):
    """
    Whether the answer to /menu waits until its calls are made, which the Bot API keeps
    meanwhile; its status, and the texts in the order of arrival.  early: it should not.
    """
    bot.api.hold("sendMessage")
    answer = asyncio.ensure_future(bot.update("message", updates.message(2, ANN, "/menu")))
    case.check(await until(lambda: bot.api.held), "no call for /menu")

    if early:
        await until(answer.done)
    else:
        # what was answered at once has arrived when these have
        for _ in range(20):
            await fetch("127.0.0.1", bot.port, "/")
    waits = not answer.done()

    bot.api.release()
    status, _ = await answer
    await until(lambda: len(bot.api.executed) == len(MENU))
    return waits, status, [text for _, _, text in bot.take_calls()]


async def recipe(case, bot, command, cwd=None, says=""):
    """What each program of the directory has to do."""
    await bot.start(command, cwd, says=says)

    status, _ = await bot.update("message", updates.message(1, ANN, "Grüße 🙂"))
    case.equal((status, bot.take_calls()),
               (200, [("sendMessage", CHAT, "You said: Grüße 🙂")]), "a text")

    case.equal(await held(case, bot), (True, 200, MENU),
               "/menu: is held, status, texts")

    # Telegram sends it again, and the program is asked again
    status, _ = await bot.update("message", updates.message(3, ANN, "/fail"))
    again, _ = await bot.again()
    case.equal((status, again, bot.take_calls()), (500, 500, []), "an update that fails, twice")
    case.check(await until(lambda: bot.logged().count(" failed ") == 2),
               "updates that failed by access.log are not 2")

    status, _ = await bot.update("message", updates.message(4, ANN, "Still there?"))
    case.equal((status, bot.take_calls()),
               (200, [("sendMessage", CHAT, "You said: Still there?")]), "the update after it")

    # what does not come from nginx
    status, _ = await asyncio.to_thread(
        post, bot.program_port, "/_shop",
        updates.make(5, "message", updates.message(5, ANN, "let me in")).body, "wrong")
    case.equal((status in (401, 403), bot.take_calls()), (True, []),
               f"a wrong secret, which the program answers with {status}")

    case.equal([call.method for call in bot.api.registrations.calls
                if call.method == "setWebhook"], [], "calls of setWebhook")
    await bot.finish()


def shop(case):
    return Bot(case, RECIPES, "shop", "127.0.0.1:9001")


async def as_it_comes(case, row, command, path=""):
    """
    A program of t/e2e/defaults does what a row of the table in docs/program.md says.
    path: where its webhook is.
    """
    bot = shop(case)
    await bot.start(command, case.directory,
                    [(f"{bot.program_port};", f"{bot.program_port}{path};")])
    when, failure, registers = documented(row)

    waits, status, texts = await held(case, bot, early=when == "before the work")
    case.equal((status, texts), (200, MENU), "the answer to /menu, texts")

    status, _ = await bot.update("message", updates.message(3, ANN, "/fail"))
    if failure.endswith(ENDS):
        await until(lambda: bot.program.poll() is not None)
    ended = bot.program.poll() is not None
    if not ended:
        again, _ = await bot.update("message", updates.message(4, ANN, "/menu"))
        case.equal(again, 200, "the answer to the update after it")

    hooks = {call.method for call in bot.api.registrations.calls}
    case.equal(("after the work" if waits else "before the work",
                f"{status}{ENDS if ended else ''}",
                "yes" if "setwebhook" in hooks else "no"),
               (when, failure, registers), f"{row} as it comes")

    # some take their time to stop
    bot.program.kill()


def documented(row):
    """The cells of a row of the table, between the first one and the last one."""
    for line in read_text(f"{TOP}/docs/program.md").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[0] == row:
            return cells[1:4]
    raise RuntimeError(f"no row \"{row}\" in docs/program.md")


async def of_node(case, name):
    modules = node_modules(case)
    if modules is None:
        return
    for file in os.listdir(RECIPES):
        if file.endswith(".mjs"):
            shutil.copy(f"{RECIPES}/{file}", case.directory)
    packages = f"{case.directory}/node_modules"
    if name == "node-telegram-bot-api-0":
        # it is installed under this name, beside version 2
        os.mkdir(packages)
        os.symlink(f"{modules}/{name}", f"{packages}/node-telegram-bot-api")
    else:
        os.symlink(modules, packages)
    await recipe(case, shop(case), ["node", f"{name}.mjs"], case.directory)


def default_of_node(case, name):
    """How such a program of t/e2e/defaults is started, or None."""
    modules = node_modules(case)
    if modules is None:
        return None
    shutil.copy(f"{DEFAULTS}/program.mjs", case.directory)
    os.symlink(modules, f"{case.directory}/node_modules")
    return ["node", "program.mjs", name]


async def node_as_it_comes(case, row, name, path=""):
    command = default_of_node(case, name)
    if command is not None:
        await as_it_comes(case, row, command, path)


async def started(case, name):
    command = default_of_node(case, name)
    if command is None:
        return None
    bot = shop(case)
    await bot.start(command, case.directory)
    return bot


async def test_grammy_http(case):
    await of_node(case, "grammy-http")


async def test_grammy_http_as_it_comes(case):
    await node_as_it_comes(case, "grammY 1.46, http", "grammy-http")


async def test_grammy_express(case):
    await of_node(case, "grammy-express")


async def test_grammy_express_as_it_comes(case):
    await node_as_it_comes(case, "grammY, Express 5", "grammy-express")


async def test_grammy_fastify(case):
    await of_node(case, "grammy-fastify")


async def test_grammy_fastify_as_it_comes(case):
    await node_as_it_comes(case, "grammY, Fastify 5", "grammy-fastify")


async def test_grammy_koa(case):
    await of_node(case, "grammy-koa")


async def test_grammy_koa_as_it_comes(case):
    await node_as_it_comes(case, "grammY, Koa 3", "grammy-koa")


async def test_grammy_hono(case):
    await of_node(case, "grammy-hono")


async def test_grammy_hono_as_it_comes(case):
    await node_as_it_comes(case, "grammY, Hono 4", "grammy-hono")


async def test_grammy_webhook_reply_as_it_comes(case):
    """With canUseWebhookReply the first call is the answer, while the others are made."""
    bot = await started(case, "grammy-http-reply")
    if bot is None:
        return
    bot.api.hold("sendMessage")
    body = updates.make(2, "message", updates.message(2, ANN, "/menu")).body
    status, answer = await asyncio.to_thread(
        post, bot.program_port, "/_shop", body, SECRET)
    case.equal((status, json.loads(answer)["text"], bot.api.executed),
               (200, MENU[0], []), "the answer, and what was made before it")
    bot.api.release()


async def test_grammy_hono_reply_as_it_comes(case):
    """The answer is a string that holds the call, which is no call."""
    bot = await started(case, "grammy-hono-reply")
    if bot is not None:
        await bot.update("message", updates.message(2, ANN, "/menu"))
        await until(lambda: len(bot.api.executed) == 2)
        case.equal([text for _, _, text in bot.take_calls()], MENU[1:], "texts")


async def test_telegraf(case):
    await of_node(case, "telegraf")


async def test_telegraf_as_it_comes(case):
    await node_as_it_comes(case, "Telegraf 4.16", "telegraf")


async def test_node_telegram_bot_api_0(case):
    await of_node(case, "node-telegram-bot-api-0")


async def test_node_telegram_bot_api_0_as_it_comes(case):
    await node_as_it_comes(case, "node-telegram-bot-api 0.66", "node-telegram-bot-api-0",
                           path=f"/{TOKEN}")


async def test_node_telegram_bot_api_2(case):
    await of_node(case, "node-telegram-bot-api-2")


async def test_node_telegram_bot_api_2_as_it_comes(case):
    await node_as_it_comes(case, "node-telegram-bot-api 2.1", "node-telegram-bot-api-2")


async def test_gramio(case):
    await of_node(case, "gramio")


async def test_gramio_as_it_comes(case):
    await node_as_it_comes(case, "gramio 0.10", "gramio")


async def test_gramio_wait_as_it_comes(case):
    await node_as_it_comes(case, "gramio 0.10, `shouldWait: true`", "gramio-wait")


async def test_puregram(case):
    await of_node(case, "puregram")


async def test_puregram_as_it_comes(case):
    await node_as_it_comes(case, "puregram 2.27", "puregram")


async def test_python_telegram_bot_13(case):
    python = python_telegram_bot(case, range(13, 14))
    if python is not None:
        await recipe(case, shop(case), [*python, "python-telegram-bot-13.py"])


async def test_python_telegram_bot_13_as_it_comes(case):
    python = python_telegram_bot(case, range(13, 14))
    if python is not None:
        await as_it_comes(case, "python-telegram-bot 13", [*python, f"{DEFAULTS}/ptb13.py"])


async def test_python_telegram_bot_20(case):
    python = python_telegram_bot(case, range(20, 100))
    if python is not None:
        await recipe(case, shop(case), [*python, "python-telegram-bot-20.py"])


async def test_python_telegram_bot_20_as_it_comes(case):
    python = python_telegram_bot(case, range(20, 100))
    if python is not None:
        await as_it_comes(case, "python-telegram-bot 20 and newer",
                          [*python, f"{DEFAULTS}/ptb20.py"])


async def test_perl(case):
    plackup = shutil.which("plackup")
    if plackup is None:
        case.skip("no plackup: the package libplack-perl has it")
        return
    bot = shop(case)
    await recipe(case, bot, [plackup, "-E", "deployment", "-o", "127.0.0.1",
                             "-p", str(bot.program_port), "perl.psgi"])


async def test_ruby(case):
    puma = shutil.which("puma")
    if puma is None:
        case.skip("no puma: the package puma has it")
        return
    bot = shop(case)
    await recipe(case, bot, [puma, "-b", f"tcp://127.0.0.1:{bot.program_port}", "ruby.ru"])


async def test_php_as_it_comes(case):
    """A failure that is shown is 200, and an answer of text/html is no call."""
    bot = Bot(case, f"{BOTS}/php", "php", "unix:/run/php/php-fpm.sock")
    command = php_fpm(case, bot.program_port)
    if command is None:
        return
    await bot.start([*command, "-d", "display_errors=1"],
                    replaced=[("/srv/bot/bot.php", f"{DEFAULTS}/bot.php")])
    status, _ = await bot.update("message", updates.message(1, ANN, "hello"))
    case.equal((status, bot.take_calls()), (200, []), "an answer without a type")
    status, _ = await bot.update("message", updates.message(2, ANN, "/fail"))
    case.equal((status, bot.take_calls()), (200, []), "a failure that is shown")


async def test_telebot(case):
    program = await go_program(case, f"{RECIPES}/telebot.go")
    if program is not None:
        await recipe(case, shop(case), [program])


async def test_telebot_as_it_comes(case):
    program = await go_program(case, f"{DEFAULTS}/telebot.go")
    if program is not None:
        await as_it_comes(case, "telebot 3", [program])


def node_red(case, bot, flow):
    """How Node-RED is started with a flow, or None."""
    modules = node_modules(case)
    return modules and [
        "node", f"{modules}/node-red/red.js", "--userDir", f"{case.directory}/node-red",
        "--port", str(bot.program_port), "-D", "uiHost=127.0.0.1",
        "-D", "httpAdminRoot=false", flow]


async def test_node_red(case):
    bot = shop(case)
    command = node_red(case, bot, f"{RECIPES}/node-red.json")
    if command is not None:
        await recipe(case, bot, command, says=NODE_RED_STARTED)


async def test_node_red_as_it_comes(case):
    """Without the node that catches errors there is no answer."""
    bot = shop(case)
    flow = [node for node in json.loads(read_text(f"{RECIPES}/node-red.json"))
            if node["type"] != "catch"]
    write(f"{case.directory}/flow.json", json.dumps(flow))
    command = node_red(case, bot, f"{case.directory}/flow.json")
    if command is not None:
        await bot.start(command, replaced=[("150s", "1s")], says=NODE_RED_STARTED)
        await bot.update("message", updates.message(3, ANN, "/fail"))
        case.check("upstream timed out" in bot.errors(), "an answer")
        case.equal(documented("Node-RED 4.1, \"http in\"")[1], "no answer", "docs/program.md")
