"""Workers killed under load."""

import asyncio

import clients
from harness import TOKEN, bot, until

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


async def test_call(case):
    """
    A call in flight is made again after a kill, also with tgbot_retry_on off, and one of
    those that are never repeated: only the dead worker knew that it had been sent.
    """
    once = "tgbot_retry_on off; tgbot_queue zone=updates:1m;"
    scene, nginx = await case.scene(
        directives="tgbot_retry_on off;", nginx={"workers": 1},
        locations=bot("queued", once, token=f"7{TOKEN}"))
    scene.api.tokens = None
    scene.program.answer = lambda update: {"method": "refundStarPayment", "user_id": 1,
                                           "telegram_payment_charge_id": "c"}
    scene.api.hold("refundStarPayment")
    held = scene.api.held

    for number, name in ((1, "e2e"), (2, "queued")):
        body = clients.text(number, "hello")
        delivery = asyncio.create_task(clients.post(nginx.port, body, f"/tg/{name}"))
        case.check(await until(lambda: len(held) == 1), f"{name}: no call")
        (worker,) = nginx.workers()
        nginx.kill(worker)
        await until(lambda: nginx.workers() not in ([worker], []))
        answer = await delivery
        case.equal(answer and answer.status, {"e2e": None, "queued": 200}[name], name)

        if name == "e2e":
            delivery = asyncio.create_task(clients.post(nginx.port, body))
        case.check(await until(lambda: len(held) == 2), f"{name}: no second call")
        held.clear()
