"""Each update is handled once, whatever becomes of its acknowledgement."""

import asyncio
import random
import signal

import clients
from harness import FULL, bot, turns, until

LOAD = dict(updates=40000 if FULL else 5000, chats=300, connections=40, ramp=0.1,
            program_latency=0.01, program_fail=0.01, lost_ack=0.05)

# Of the replies that rode a bot keeps some hundred, the latest ones.  By Telegram's own
# times this is a bot with 7 updates a second, as many as come at once when the machine was
# busy with something else.
RIDING = dict(rate=350.0, schedule=0.02)
CALLING = dict(rate=500.0, schedule=0.1)
COPIES = 50


async def _unrest(scene, nginx):
    """A reload each 400 updates, and each other time a worker is killed as well."""
    chance = random.Random(1)
    async for turn in turns(scene, 400):
        nginx.signal(signal.SIGHUP)
        if turn % 2 == 0:
            nginx.kill(chance.choice(nginx.workers()), scene)


async def _lost_acknowledgements(case, api):
    scene, nginx = await case.scene(
        **LOAD, **(CALLING if api else RIDING), nginx={"workers": 3}, api=api)
    scene.play()
    unrest = asyncio.get_running_loop().create_task(_unrest(scene, nginx))
    case.check(await scene.finished(150 if not FULL else 600), "Telegram still has updates")
    unrest.cancel()
    books = case.books(scene)
    case.check_books(books)

    deliveries = scene.webhook.deliveries.values()
    lost = scene.webhook.lost
    repeated = sum(d.lost > 0 and not d.broken for d in deliveries)
    case.note(f"lost answers {dict(lost)}, {books['telegram']['replies in lost answers']} "
              f"with a reply, {len(nginx.killed)} workers killed")
    case.check(repeated > LOAD["updates"] * LOAD["lost_ack"] / 2,
               f"only {repeated} updates lost an acknowledgement and nothing else")
    case.check(lost[200] > LOAD["updates"] * LOAD["lost_ack"] / 5,
               f"only {lost[200]} lost answers were acknowledgements")
    case.check(len(nginx.killed) >= 4, f"only {len(nginx.killed)} workers were killed")
    reloads = nginx.read("error.log").count("signal 1 (SIGHUP) received")
    case.check(reloads >= 8, f"only {reloads} reloads")

    ways = {call.via for call in scene.api.executed}
    case.equal(ways, {"api" if api else "response"}, "ways of replies")
    if not api:
        replies = books["telegram"]["replies in lost answers"]
        case.check(replies > LOAD["updates"] * LOAD["lost_ack"] / 5,
                   f"only {replies} replies were in lost answers")

    await case.check_status(nginx)
    scene.webhook.close()
    await case.stop(nginx)
    case.check_logs(nginx)


async def test_lost_acknowledgements_riding(case):
    """A reply that rode in a lost answer rides in the next one."""
    await _lost_acknowledgements(case, api=False)


async def test_lost_acknowledgements_api(case):
    await _lost_acknowledgements(case, api=True)


async def _copies(case, scene, nginx, path, number):
    """Sends one update on many connections at once, and again until each has its 200."""
    body = clients.text(number, "once", user=number)
    connected = []
    for worker in nginx.workers():
        connected += await clients.connect(nginx, worker, COPIES // 2)
    answers = []
    again = connected
    scene.program.hold()
    while again:
        for client in again:
            client.send(clients.request(body, path))
        coming = [asyncio.ensure_future(client.answer()) for client in again]
        if again is connected:
            # one is in work until all others were refused
            await until(lambda all=coming: sum(task.done() for task in all) >= COPIES - 1)
            scene.program.release()
        came = await asyncio.gather(*coming)
        answers += came
        case.check(all(came), "connections without an answer")
        again = [client for client, answer in zip(again, came)
                 if answer is not None and answer.status == 503]
        if again:
            await asyncio.sleep(0.1)
    for client in connected:
        await client.close()
    return answers


async def test_copies(case):
    """An update that comes many times at once is handled once."""
    scene, nginx = await case.scene(locations=bot("riding", api=False))
    for number, path in ((1001, "/tg/e2e"), (1002, "/tg/riding")):
        answers = await _copies(case, scene, nginx, path, number)
        busy = [answer for answer in answers if answer.status == 503]
        case.equal(len([seen for seen in scene.program.seen if seen.id == number]), 1,
                   f"{path}: times the program saw it")
        case.equal(sorted({answer.status for answer in answers}), [200, 503],
                   f"{path}: statuses")
        case.equal(len(answers) - len(busy), COPIES, f"{path}: answers with 200")
        case.check(len(busy) >= COPIES - 1, f"{path}: only {len(busy)} were told to wait")
        waits = {answer.headers.get("retry-after") for answer in busy}
        case.check(waits <= {"1", "2"}, f"{path}: Retry-After {waits}")
        case.note(f"{path}: {len(busy)} times 503")
        replies = [clients.ridden(answer).get("text") for answer in answers
                   if answer.status == 200]
        # the reply of a duplicate is the reply again: Telegram has seen none before
        case.equal(set(replies), {None} if path == "/tg/e2e" else {f"reply {number}"},
                   f"{path}: replies in answers")
    case.equal([call.params["text"] for call in scene.api.executed], ["reply 1001"],
               "calls of the Bot API")

    status = await case.check_status(nginx)
    for name in ("e2e", "riding"):
        case.equal(status.value("deliveries_total", "done", bot=name), 1, f"{name}: done")
        case.equal(status.value("deliveries_total", "duplicate", bot=name), COPIES - 1,
                   f"{name}: duplicates")
    await case.stop(nginx)
    case.check_logs(nginx)
