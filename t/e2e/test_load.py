"""Many updates while everything around nginx fails now and then."""

import asyncio
import signal

from harness import turns

LOAD = dict(
    updates=5000, chats=300, connections=40, schedule=0.1, stall=2.0,
    program_latency=0.005, program_fail=0.03, program_reset=0.02,
    api_500=0.03, api_reset=0.02, api_stall=0.01)

# a stalled call is given up before the stall ends, and made again
QUICK = dict(directives="tgbot_retry attempts=8 backoff=50ms max_backoff=1s;",
             api_timeout="1s")


def check_faults(case, books, options):
    """The faults did happen, in something like the numbers asked for."""
    outcomes = books["program"]["outcomes"]
    for fault, chance in (("500", options.program_fail), ("reset", options.program_reset)):
        least = options.updates * chance / 2
        case.check(outcomes.get(fault, 0) > least, f"only {outcomes} at the program")
    unknown = books["bot api"]["calls with unknown outcome"]
    case.check(unknown > options.updates * 0.01, f"only {unknown} calls were left unknown")


async def test_failures(case):
    scene, nginx = await case.scene(**QUICK, **LOAD)
    scene.play()
    case.check(await scene.finished(120), "Telegram still has updates")
    books = case.books(scene)
    case.check_books(books)
    check_faults(case, books, scene.options)
    case.equal(books["telegram"]["ends of connections"], {}, "Telegram's lost connections")
    await case.check_status(nginx)
    await case.stop(nginx)
    case.check_logs(nginx)


async def test_reload(case):
    scene, nginx = await case.scene(**QUICK, **LOAD, rate=500.0)

    async def reload():
        async for _ in turns(scene, 400):
            nginx.signal(signal.SIGHUP)

    scene.play()
    reloading = asyncio.get_running_loop().create_task(reload())
    case.check(await scene.finished(120), "Telegram still has updates")
    reloading.cancel()
    books = case.books(scene)
    case.check_books(books)
    check_faults(case, books, scene.options)
    reloads = nginx.read("error.log").count("signal 1 (SIGHUP) received")
    case.check(reloads >= 8, f"only {reloads} reloads")

    await case.check_status(nginx)
    # a connection on which nothing was sent yet would hold a worker
    scene.webhook.close()
    await case.stop(nginx, timeout=9)
    case.check_logs(nginx)


async def test_two_calls_each(case):
    """Both calls of an answer come, in order, through 429, 500 and migrated chats."""
    scene, nginx = await case.scene(
        **QUICK, updates=600, chats=60, calls=2, api_500=0.05, api_502=0.05,
        api_truncate=0.02, global_limit=(300.0, 100.0),
        migrated=((-1001000000004, -1002000000004),))
    scene.play()
    case.check(await scene.finished(120), "Telegram still has updates")
    books = case.books(scene)
    case.check_books(books)
    statuses = books["bot api"]["statuses"]
    case.check(statuses.get("429"), f"no 429 among {statuses}")
    moved = scene.api.by_chat()
    case.check("-1001000000004" not in moved, "calls executed in a chat that has moved")
    case.check(moved.get("-1002000000004"), "no call followed the chat that has moved")
    await case.check_status(nginx)
    await case.stop(nginx)
    case.check_logs(nginx)
