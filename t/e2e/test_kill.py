"""Workers killed under load."""

import asyncio

KILLS = 3


async def test_worker(case):
    """No acknowledged update is left unhandled; what was in work is done again."""
    scene, nginx = await case.scene(
        updates=3000, chats=200, connections=40, schedule=0.1, program_latency=0.02,
        rate=500.0)
    scene.play()
    for _ in range(KILLS):
        await asyncio.sleep(1.2)
        nginx.kill(nginx.workers()[0], scene)
    case.check(await scene.finished(120), "Telegram still has updates")
    books = case.books(scene)
    case.check_books(books)
    broken = sum(delivery.broken for delivery in scene.webhook.deliveries.values())
    case.check(broken, "no update was in a worker when it was killed")
    await case.check_status(nginx)
    await case.stop(nginx)
    case.check_logs(nginx)
