"""nginx is stopped while it works."""

import asyncio
import signal
import time

from harness import until

BUSY = dict(updates=2000, chats=100, connections=40, schedule=0.1, program_latency=0.02)


async def test_quit(case):
    """
    Updates whose replies wait for the end of a flood limit are finished and answered
    before a graceful stop is over.
    """
    scene, nginx = await case.scene(**BUSY, chat_limit=(1.0, 1.0), nginx={"shutdown": "20s"})
    scene.play()
    flooded = await until(lambda: scene.api.statuses[429] >= 20, 20)
    case.check(flooded, f"the Bot API's answers: {scene.api.statuses}")

    webhook = scene.webhook
    webhook.pause()
    await asyncio.sleep(0.2)
    held = webhook.in_flight
    case.check(held >= 10, f"only {held} updates were being worked on")

    started = time.monotonic()
    await case.stop(nginx, signal.SIGQUIT, 25)
    seconds = time.monotonic() - started
    case.note(f"{held} updates held, nginx left after {seconds:.1f} s")
    case.check(seconds < 20, "worker_shutdown_timeout was needed")

    await until(lambda: webhook.in_flight == 0, 2)
    case.equal(webhook.in_flight, 0, "updates without an answer")
    broken = [d.update.id for d in webhook.deliveries.values() if d.broken]
    case.equal(broken, [], "updates that lost their connection")
    books = case.books(scene)
    case.equal(books["lost"]["acknowledged but not done"], [], "acknowledged but not done")
    case.check(not any(books["doubled without cause"].values()), "doubled without cause")
    case.check_logs(nginx)


async def test_quit_timeout(case):
    """A job that would wait for long does not outlast worker_shutdown_timeout."""
    scene, nginx = await case.scene(**BUSY, chat_limit=(0.02, 1.0), nginx={"shutdown": "3s"})
    scene.play()
    case.check(await until(lambda: scene.api.statuses[429] >= 20, 20),
               f"the Bot API's answers: {scene.api.statuses}")
    scene.webhook.pause()
    await case.stop(nginx, signal.SIGQUIT, 15)
    await until(lambda: scene.webhook.in_flight == 0, 2)
    books = case.books(scene)
    case.equal(books["lost"]["acknowledged but not done"], [], "acknowledged but not done")
    case.check_logs(nginx)


async def test_term(case):
    """A fast stop leaves no alert, and acknowledges nothing that is not done."""
    scene, nginx = await case.scene(**BUSY, api_stall=0.05, stall=30.0)
    scene.play()
    case.check(await until(lambda: len(scene.api.executed) > 300, 20), "no load")
    # much sooner than what is stalled
    await case.stop(nginx, signal.SIGTERM, 15)
    scene.webhook.pause()
    books = case.books(scene)
    case.equal(books["lost"]["acknowledged but not done"], [], "acknowledged but not done")
    case.check_logs(nginx)
