"""Workers killed under load."""

import asyncio
import signal

import clients
from harness import until
from redis import Redis

KILLS = 3
MESSAGE, REFUND = "sendMessage", "refundStarPayment"


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
    A call of a held update that is in flight is made again after a kill, also with
    tgbot_retry_on off, and one of those that are never repeated: only the dead worker knew
    that it had been sent.
    """
    scene, nginx = await case.scene(directives="tgbot_retry_on off;", nginx={"workers": 1})
    scene.program.answer = lambda update: _call(REFUND, "x")
    scene.api.hold(REFUND)
    held = scene.api.held

    body = clients.text(1, "hello")
    delivery = asyncio.create_task(clients.post(nginx.port, body))
    case.check(await until(lambda: len(held) == 1), "no call")
    await _kill_worker(nginx)
    case.equal(await delivery, None, "an answer")
    delivery = asyncio.create_task(clients.post(nginx.port, body))
    case.check(await until(lambda: len(held) == 2), "no second call")
    scene.api.release()
    await delivery


async def _kill_worker(nginx):
    (worker,) = nginx.workers()
    nginx.kill(worker)
    await until(lambda: nginx.workers() not in ([worker], []))


async def _kill_all(nginx):
    await nginx.kill_all()
    await nginx.start()


async def _stop(nginx):
    nginx.signal(signal.SIGTERM)
    await nginx.exited(10)
    await nginx.start()


def _call(method, words):
    return {"method": method, "chat_id": 1, "user_id": 1, "text": words,
            "telegram_payment_charge_id": words}


async def _queued(case, kill=_kill_worker, queue="zone=updates:1m", http=""):
    """
    Of queued updates no call is made again that is never repeated, others are.  The kill is
    in such a call of the first update, and in the one behind it of the second update.
    """
    scene, nginx = await case.scene(directives=f"tgbot_queue {queue};", http=http,
                                    nginx={"workers": 1})
    api = scene.api
    scene.program.answer = lambda update: [
        _call(method, f"{update['update_id']}-{number}")
        for number, method in enumerate((MESSAGE, REFUND, MESSAGE))]
    letter = "update 1 is given up and is dead letter"

    for number, count in ((1, 1), (2, 3)):
        api.hold(REFUND)
        answer = await clients.post(nginx.port, clients.text(number, "hello", user=number))
        case.equal(answer and answer.status, 200, f"the answer to update {number}")
        case.check(await until(lambda: api.held), f"update {number}: no {REFUND}")
        if number == 2:
            (refund,) = api.held
            api.held.clear()
            api.hold(MESSAGE)
            api.serve(*refund)
            case.check(await until(lambda: api.held), f"no {MESSAGE} behind it")
        case.equal(len(api.arrived), count, f"calls before kill {number}")
        api.held.clear()
        api.release()
        await kill(nginx)
        log = lambda: nginx.read("error.log")  # noqa: E731
        case.check(await until(lambda: letter in log()), "no dead letter")

    case.check(await until(lambda: len(api.arrived) == 4), "the call was not made again")
    case.equal([call.params.get("text") for call in api.arrived],
               ["1-0", "2-0", "2-1", "2-2"], "calls")
    case.check(f"update 1: {REFUND} is given up after 1 failures: it may have been executed, "
               "and must not be retried" in log(), "it is not said why")
    case.equal(len(scene.program.seen), 2, "questions to the program")
    await case.stop(nginx)
    case.check_logs(nginx)


async def test_call_queued(case):
    await _queued(case)


async def test_call_file(case):
    await _queued(case, _kill_all, http="tgbot_state state;")


async def test_call_stop(case):
    """The same at a stop that does not wait for calls."""
    await _queued(case, _stop, http="tgbot_state state;")


async def test_call_redis(case):
    redis = await Redis(case).start()
    await _queued(case, _kill_all, "redis lease=5s", f"tgbot_redis unix:{redis.path};")


async def test_call_redis_stop(case):
    redis = await Redis(case).start()
    await _queued(case, _stop, "redis lease=5s", f"tgbot_redis unix:{redis.path};")


async def test_call_redis_away(case):
    """A call that moves money waits until Redis has noted it."""
    redis = await Redis(case).start()
    scene, nginx = await case.scene(directives="tgbot_queue redis lease=60s;",
                                    http=f"tgbot_redis unix:{redis.path};",
                                    nginx={"workers": 1})
    scene.program.answer = lambda update: _call(REFUND, "x")
    scene.program.hold()
    await clients.post(nginx.port, clients.text(1, "hello"))
    case.check(await until(lambda: scene.program.seen), "no question to the program")
    redis.kill()
    scene.program.release()
    answered = lambda: " /_program " in nginx.read("access.log")  # noqa: E731
    case.check(await until(answered), "no answer of the program")
    away = lambda: "tgbot_redis" in nginx.read("error.log")  # noqa: E731
    case.check(await until(away), "Redis is there")
    case.equal(scene.api.arrived, [], "calls without Redis")
    await redis.start()
    case.check(await until(lambda: scene.api.arrived), "no call")
    await case.check_status(nginx)
    await case.stop(nginx)
    case.equal(len(scene.api.arrived), 1, "calls")
    case.equal("given up" in nginx.read("error.log"), False, "given up")


async def test_call_refused(case):
    """A call that was answered 401 moved no money: after a stop it is made again."""
    scene, nginx = await case.scene(directives="tgbot_queue zone=updates:1m;",
                                    http="tgbot_state state;", nginx={"workers": 1})
    api = scene.api
    scene.program.answer = lambda update: _call(REFUND, "x")
    api.tokens = {"another"}
    await clients.post(nginx.port, clients.text(1, "hello"))
    paused = lambda: "is unauthorized" in nginx.read("error.log")  # noqa: E731
    case.check(await until(paused), "the bot is not paused")
    api.tokens = None
    await _stop(nginx)
    case.check(await until(lambda: api.arrived), "the call was not made again")
    await case.stop(nginx)
    case.equal(len(api.arrived), 1, "calls")
    case.equal("given up" in nginx.read("error.log"), False, "given up")
