"""Command line of the simulator: demo, run, serve."""

import argparse
import asyncio
import contextlib
import json
import signal
import sys
from dataclasses import fields
from urllib.parse import urljoin, urlsplit

from . import demo, report
from .scene import Options, Scene

DESCRIPTION = """\
A simulator of Telegram for webhooks: the client that delivers Updates, the Bot API, and
a bot's program.  It needs nothing but Python.
"""


def address(text):
    """HOST:PORT, or none."""
    if text == "none":
        return None
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT or none")
    return host or "127.0.0.1", int(port)


def pair(kind):
    """A,B as a tuple of two numbers."""
    def convert(text):
        try:
            first, second = text.split(",")
            return kind(first), kind(second)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not A,B") from None
    return convert


def parser():
    main = argparse.ArgumentParser(prog="simulator", description=DESCRIPTION)
    commands = main.add_subparsers(dest="command", required=True)

    show = commands.add_parser("demo", help="show some updates step by step")
    show.add_argument("--url", default=demo.URL)
    show.add_argument("--secret", default=demo.SECRET)
    show.add_argument("--token", default=demo.TOKEN)
    show.add_argument("--stay", action="store_true", help="serve on until interrupted")
    _add_addresses(show, demo.API, demo.PROGRAM)

    run = commands.add_parser("run", help="deliver many updates and say what became of them")
    run.add_argument("--report", choices=("text", "json"), default="text")
    run.add_argument("--timeout", type=float, default=300.0, help="seconds for all of it")
    _add_addresses(run, demo.API, demo.PROGRAM)
    _add_options(run)

    serve = commands.add_parser("serve", help="the Bot API and the program alone, with a trace")
    _add_addresses(serve, demo.API, demo.PROGRAM)
    _add_options(serve)
    return main


def _add_addresses(command, api, program):
    for name, default in (("--api", api), ("--program", program)):
        command.add_argument(f"{name}-listen", type=address, default=default,
                             metavar="HOST:PORT", help="none: do not start it")


def _add_options(command):
    """One option for each field of Options, of its type and with its default."""
    special = {
        "tokens": dict(action="append", metavar="TOKEN", help="known; none: every one"),
        "blocked": dict(action="append", metavar="CHAT", help="chats that answer 403"),
        "migrated": dict(action="append", type=pair(int), metavar="OLD,NEW"),
        **{f"{limit}_limit": dict(type=pair(float), metavar="RATE,BURST")
           for limit in ("chat", "group", "global")},
        "url": dict(default=demo.URL),
    }
    names = {"tokens": "--token", "blocked": "--blocked-chat", "migrated": "--migrated-chat",
             "rate": "--rate"}
    for field in fields(Options):
        settings = dict(dest=field.name, default=field.default)
        settings.update(special.get(field.name, {}))
        if isinstance(field.default, tuple):
            settings["default"] = None
        elif "type" not in settings:
            settings["type"] = type(field.default)
        command.add_argument(names.get(field.name, "--" + field.name.replace("_", "-")),
                             **settings)


def _options(args):
    values = {field.name: getattr(args, field.name) for field in fields(Options)}
    return Options(**{name: tuple(value) if isinstance(value, list) else value
                      for name, value in values.items() if value is not None})


async def _interrupted():
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()


async def _demo(args):
    scene = demo.Demo(args.url, args.secret, args.token)
    if args.api_listen:
        await scene.api.start(*args.api_listen)
    if args.program_listen:
        await scene.program.start(*args.program_listen)

    parts = urlsplit(args.url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    if not await demo.reachable(parts.hostname, port, 10):
        print(f"nothing listens on {parts.hostname}:{port}", file=sys.stderr)
        return 1

    wrong = await scene.run()
    print(f"\n{wrong} steps went wrong" if wrong else "\nall as it should be", flush=True)
    if args.stay and not wrong:
        print("\nServing on.  To be Telegram yourself:\n"
              f"  curl -i {args.url} -H 'Content-Type: application/json' \\\n"
              f"    -H 'X-Telegram-Bot-Api-Secret-Token: {args.secret}' \\\n"
              "    -d '{\"update_id\":271829000,\"message\":{\"message_id\":1,\"date\":1,"
              "\"chat\":{\"id\":1,\"type\":\"private\"},\"text\":\"hello\"}}'\n"
              "To be the program, without a token:\n"
              f"  curl {urljoin(args.url, '/api/sendMessage')} -d chat_id=1 -d text=hello\n"
              "Ctrl-C ends it.\n", flush=True)
        await _interrupted()
    scene.api.stop()
    scene.program.stop()
    return 1 if wrong else 0


async def _run(args):
    scene = Scene(_options(args))
    await scene.start(args.program_listen, args.api_listen)
    scene.play()
    finished = await scene.finished(args.timeout)
    books = scene.report()
    scene.stop()
    print(report.as_json(books) if args.report == "json" else report.text(books))
    if not finished:
        print("not finished in time", file=sys.stderr)
    return 0 if finished and report.good(books) else 1


async def _serve(args):
    scene = Scene(_options(args))

    def trace(event, *details):
        print(json.dumps([event, *details], ensure_ascii=False, default=vars), flush=True)

    scene.api.trace = trace
    scene.program.trace = trace
    await scene.start(args.program_listen, args.api_listen)
    for name, service in (("Bot API", scene.api), ("program", scene.program)):
        if service.port:
            print(f"{name} on port {service.port}", file=sys.stderr, flush=True)
    await _interrupted()
    scene.stop()
    return 0


def main():
    args = parser().parse_args()
    sys.stdout.reconfigure(errors="replace")
    command = {"demo": _demo, "run": _run, "serve": _serve}[args.command]
    with contextlib.suppress(KeyboardInterrupt):
        return asyncio.run(command(args))
    return 130
