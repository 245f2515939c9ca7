"""The program is away, or fails, for a while."""

import asyncio

from harness import FULL


async def test_stopped_program(case):
    """
    While the program is away nothing is lost or given up, and every refusal says when to
    come again.
    """
    away = 30 if FULL else 10
    scene, nginx = await case.scene(updates=2000, chats=150, connections=40, rate=400.0)
    scene.play()
    await asyncio.sleep(1)
    scene.program.stop()
    await asyncio.sleep(away)
    handled = sum(seen.outcome == "ok" for seen in scene.program.seen)
    await scene.program.restart()
    case.check(await scene.finished(100), "Telegram still has updates")
    books = case.books(scene)
    case.check_books(books)
    case.check(0 < handled < 1000, f"{handled} updates were handled before the outage ended")

    waits = scene.webhook.retry_after
    case.check(sum(waits.values()) > 80, f"only {sum(waits.values())} refusals")
    for (status, wait), count in waits.items():
        # those that were in work when the program went have failed
        if status == 500 and count <= 40:
            continue
        case.equal(status, 503, "status of a refusal")
        case.check(wait in ("1", "2", "3", "4", "5"), f"Retry-After {wait!r}, {count} times")
    case.equal(books["telegram"]["ends of connections"], {}, "Telegram's lost connections")
    await case.check_status(nginx)
    await case.stop(nginx)
    case.check_logs(nginx)


async def test_failing_program(case):
    """Failures do not cost Telegram its connections."""
    scene, nginx = await case.scene(
        updates=3000, chats=200, connections=40, schedule=0.1, rate=300.0)
    scene.play()
    await asyncio.sleep(1)
    scene.program.fault = "500"
    await asyncio.sleep(5)
    scene.program.fault = None
    case.check(await scene.finished(100), "Telegram still has updates")
    books = case.books(scene)
    case.check_books(books)
    failures = books["program"]["outcomes"].get("500", 0)
    case.check(failures > 200, f"the program failed only {failures} times")
    case.equal(books["telegram"]["statuses"].get("500"), failures, "failures told to Telegram")
    case.equal(books["telegram"]["ends of connections"], {}, "Telegram's lost connections")
    case.check(books["telegram"]["connections"] <= 40, "Telegram had to reconnect")
    await case.check_status(nginx)
    await case.stop(nginx)
    case.check_logs(nginx)
