"""Zones as files: what a stop, a kill of everything and an upgrade leave."""

import asyncio
import os
import random
import shutil
import signal
import time

import build
import clients
from harness import FULL, MODULE, NGINX, StartError, alive, bot, children, suspend, turns, until
from zonefiles import (COUNT, DIRECTIVES, STATE, all_handled, damage, fill, handled, refused,
                       reload_refused, write)

LIFE = 15           # seconds without a beat until a worker counts as dead


async def test_stopped(case):
    """A worker that hangs loses what it has in work, and does no harm when it goes on."""
    scene, nginx = await case.scene(
        directives=DIRECTIVES, http=STATE, updates=4000, chats=100,
        connections=40, ramp=0.1, schedule=0.1, rate=200.0, program_latency=0.01)
    scene.play()
    async for turn in turns(scene, 200):
        pid = nginx.workers()[0]
        scene.kills[pid] = time.monotonic()
        await suspend(pid)
        if turn == 1:
            await asyncio.sleep(LIFE + 2)
        else:
            await nginx.kill_all(scene)
            await nginx.start()
            break
        os.kill(pid, signal.SIGCONT)
    case.check(await scene.finished(120), "Telegram still has updates")
    # see _under_load()
    await case.check_status(nginx, 120)
    case.check_books(case.books(scene), parts=("lost",))
    scene.webhook.close()
    await case.stop(nginx)


async def test_reload(case):
    """Reloads keep the files, and let them go with the last workers that use them."""
    scene, nginx = await case.scene(directives=DIRECTIVES, http=STATE, program_latency=0.005)
    scene.program.hold()
    await fill(case, nginx)
    for _ in range(3):
        old = nginx.workers()
        nginx.signal(signal.SIGHUP)
        await until(lambda: set(nginx.workers()) - set(old), 30)
    with open(f"/proc/{nginx.master}/maps", encoding="ascii") as maps:
        case.equal(sum("updates.zone" in line for line in maps), 1, "maps of the queue")
    scene.program.release()
    await all_handled(case, scene)
    status = await case.check_status(nginx, 30)
    case.equal(status.value("queue_items_total", "done"), COUNT, "done")
    await case.stop(nginx, timeout=30)
    case.check_logs(nginx)


async def _under_load(case, change, module=None, latency=0.02, **more):
    """Something is done to nginx while updates come."""
    if module:
        more["module"] = module
    scene, nginx = await case.scene(
        directives=DIRECTIVES, http=STATE, updates=2000, chats=100,
        connections=40, ramp=0.1, schedule=0.1, rate=400.0, program_latency=latency,
        nginx={"start": False, **more})
    # WINCH is for daemons only
    nginx.configure(nginx.read("nginx.conf").replace("daemon off;", ""))
    await nginx.start(detached=True)
    await until(lambda: len(nginx.workers()) == 2)
    scene.play()
    await asyncio.sleep(2)
    await change(nginx)
    case.check(await scene.finished(120), "Telegram still has updates")
    # on a machine that is busy the queue is worked on for longer than Telegram delivers
    status = await case.check_status(nginx, 120)
    books = case.books(scene)
    case.check_books(books)
    scene.webhook.close()
    await case.stop(nginx)
    case.check_logs(nginx)
    return nginx, status


async def test_upgrade(case):
    """Twice a new binary takes over: both masters use the same files meanwhile."""
    async def change(nginx):
        await nginx.upgrade()
        await asyncio.sleep(1)
        await nginx.upgrade()

    nginx, status = await _under_load(case, change)
    case.equal(status.value("queue_items_total", "accepted"), 2000, "accepted")
    case.equal(nginx.read("error.log").count("start new binary process"), 2, "changes")


async def test_upgrade_killed(case):
    """
    A new binary has one zone more, and one whose file is there, and is killed when it makes
    the first and while it opens the second: the next one takes over.
    """
    module = await build.module("zonetest", "NGX_HTTP_TGBOT_ZONE_TEST=1")
    more = bot("more", "tgbot_queue zone=others:1m;", api=False)
    scene, nginx = await case.scene(directives=DIRECTIVES, http=STATE, locations=more,
                                    nginx={"module": module, "detached": True})
    scene.program.hold()
    for number in range(1, 11):
        answer = await clients.post(nginx.port, clients.text(number, "hello"), "/tg/more")
        case.equal(answer.status, 200, "acknowledgement")
    text = nginx.read("nginx.conf")

    # the bot goes, and its file stays
    await nginx.kill_all()
    nginx.configure(text.replace(more, ""))
    await nginx.start(detached=True)

    nginx.configure(text.replace(more, more + bot("third", api=False)))
    killed = []
    for point in ("file: entry added", "queue: store repaired"):
        write(case, "stop", point)
        os.kill(nginx.master, signal.SIGUSR2)
        if not case.check(await until(lambda: nginx.read("stopped")),
                          f"{point} was never reached"):
            return
        pid = int(nginx.read("stopped").split()[-1])
        os.kill(pid, signal.SIGKILL)
        killed.append(f"new binary process {pid} exited on signal 9")
        os.unlink(f"{case.directory}/stopped")
        await until(lambda: not nginx.read("nginx.pid.oldbin"))
    await nginx.upgrade()
    scene.program.release()
    await all_handled(case, scene, 10)
    await case.check_status(nginx)
    await case.stop(nginx)
    case.check_logs(nginx, killed)


async def _give_up(nginx):
    """A new binary is started, works for a while, and ends: the old one goes on."""
    old = nginx.master
    os.kill(old, signal.SIGUSR2)
    await until(lambda: nginx.read("nginx.pid").strip() not in ("", str(old)))
    new = int(nginx.read("nginx.pid"))
    await until(lambda: children(new))
    os.kill(old, signal.SIGWINCH)
    await until(lambda: children(old) == [new], 60)
    await asyncio.sleep(1)
    os.kill(old, signal.SIGHUP)
    await until(lambda: len(children(old)) == 3)
    os.kill(new, signal.SIGQUIT)
    await until(lambda: nginx.read("nginx.pid").strip() == str(old) and not alive(new), 60)


async def test_rollback(case):
    """An upgrade is given up: the old master starts workers again, and the new one ends."""
    _, status = await _under_load(case, _give_up)
    case.equal(status.value("queue_items_total", "accepted"), 2000, "accepted")


async def test_forth_and_back(case):
    """Twice a new binary takes over, and once it is given up, in one run."""
    async def change(nginx):
        await nginx.upgrade()
        await _give_up(nginx)
        await nginx.upgrade()

    nginx, status = await _under_load(case, change)
    case.equal(status.value("queue_items_total", "accepted"), 2000, "accepted")
    case.equal(nginx.read("error.log").count("start new binary process"), 3, "changes")


async def test_module(case):
    """Another file of the module is loaded by a reload: it uses the same files."""
    module = f"{case.directory}/module.so"
    shutil.copy(MODULE, module)

    async def change(nginx):
        shutil.copy(MODULE, f"{case.directory}/another.so")
        nginx.configure(nginx.read("nginx.conf").replace("/module.so", "/another.so"))
        old = nginx.workers()
        nginx.signal(signal.SIGHUP)
        await until(lambda: not set(old) & set(nginx.workers()), 30)

    _, status = await _under_load(case, change, module)
    case.equal(status.value("queue_items_total", "accepted"), 2000, "accepted")


async def test_kill(case):
    """All of nginx is killed, ten times in a row, while updates come."""
    scene, nginx = await case.scene(
        directives=DIRECTIVES, http=STATE, updates=4000, chats=100,
        connections=40, ramp=0.1, schedule=0.1, rate=600.0, program_latency=0.02)
    scene.play()
    async for turn in turns(scene, 300):
        await nginx.kill_all(scene)
        await nginx.start()
        if turn == 10:
            break
    case.check(await scene.finished(120), "Telegram still has updates")
    # see _under_load()
    status = await case.check_status(nginx, 120)
    case.check_books(case.books(scene))
    case.check(status.value("queue_items_total", "accepted") >= 4000, "accepted")
    scene.webhook.close()
    await case.stop(nginx)
    case.check_logs(nginx)


async def _stop_and_start(case, end, lost=0):
    """nginx ends with a backlog, and starts again; "lost" workers were killed."""
    scene, nginx = await case.scene(directives=DIRECTIVES, http=STATE, program_latency=0.005)
    scene.program.hold()
    await fill(case, nginx)
    await until(lambda: scene.program.seen)
    before = await case.status(nginx)
    scene.program.release()
    await end(nginx)
    left = COUNT - len(handled(scene))
    case.check(left > COUNT / 2, f"only {left} were left")

    await nginx.start()
    await all_handled(case, scene)
    status = await case.check_status(nginx, 30)
    case.equal(status.value("queue_items_total", "accepted"), COUNT, "accepted")
    case.equal(status.value("queue_items_total", "done"), COUNT, "done")
    case.equal(status.data["start_time_seconds"], before.data["start_time_seconds"], "start")

    # what was accepted before is known
    await fill(case, nginx, COUNT - 9, 10)
    status = await case.check_status(nginx)
    case.equal(status.value("deliveries_total", "duplicate"), 10, "duplicates")
    case.equal(status.value("received_total"), COUNT + 10, "received")
    await case.stop(nginx)
    case.check_logs(nginx)
    return scene


async def test_paused(case):
    """What a 429 stops is stopped after a kill of everything, and in a zone of another size."""
    scene, nginx = await case.scene(
        locations="        location /bot/ { tgbot_gateway e2e; }\n", http=STATE,
        directives="tgbot_pace zone=pace:1m max_wait=1s;", chat_limit=(0.01, 1))

    async def send(words):
        body = f'{{"chat_id":7,"text":"{words}"}}'.encode()
        answer = await clients.post(nginx.port, body, "/bot/bot/sendMessage")
        return answer.status, answer.body

    case.equal((await send("one"))[0], 200, "the first call")
    case.equal((await send("two"))[0], 429, "the second call")
    case.equal(len(scene.api.arrived), 2, "calls that arrived")
    for size in ("1m", "2m"):
        await nginx.kill_all()
        nginx.configure(nginx.read("nginx.conf").replace("pace:1m", f"pace:{size}"))
        await nginx.start()
        status, text = await send("three")
        case.equal(status, 429, f"with {size}: {text}")
        case.equal(len(scene.api.arrived), 2, f"calls that arrived with {size}")
    await case.stop(nginx)
    case.check_logs(nginx)


async def _end(case, nginx, number):
    nginx.signal(number)
    case.equal(await nginx.exited(20), 0, "nginx's exit status")


async def test_quit(case):
    """Nothing is handled twice, as workers finish what they have in work."""
    scene = await _stop_and_start(case, lambda nginx: _end(case, nginx, signal.SIGQUIT))
    seen = [seen.id for seen in scene.program.seen if seen.outcome == "ok"]
    case.equal(len(seen), len(set(seen)), "handled once")


async def test_term(case):
    await _stop_and_start(case, lambda nginx: _end(case, nginx, signal.SIGTERM))


async def test_kill_once(case):
    await _stop_and_start(case, lambda nginx: nginx.kill_all())


async def _orphans(nginx, number):
    """The master is killed, and its workers end in order."""
    workers = nginx.workers()
    nginx.signal(signal.SIGKILL)
    await nginx.exited(10)
    for pid in workers:
        os.kill(pid, number)
    await until(lambda: not any(alive(pid) for pid in workers))


async def test_master_quit(case):
    await _stop_and_start(case, lambda nginx: _orphans(nginx, signal.SIGQUIT))


async def test_master_term(case):
    await _stop_and_start(case, lambda nginx: _orphans(nginx, signal.SIGTERM))


async def test_dead_letters(case):
    """Letters are there after a kill of everything, and are replayed."""
    scene, nginx = await case.scene(
        directives=DIRECTIVES.replace("tgbot_attempts 3", "tgbot_attempts 1"), http=STATE)
    scene.program.fault = "500"
    await fill(case, nginx, count=10)
    status = await case.check_status(nginx)
    case.equal(status.value("queue_items_total", "dead"), 10, "dead")
    await nginx.kill_all()
    await nginx.start()
    status = await case.check_status(nginx)
    case.equal(status.value("dead_letters", "letters"), 10, "letters")
    await case.stop(nginx)
    case.check_logs(nginx)


async def test_resize(case):
    """Another size at a start: what is in the file goes into a new one, if it fits."""
    scene, nginx = await case.scene(directives=DIRECTIVES, http=STATE)
    scene.program.hold()
    await fill(case, nginx, count=600)
    text = nginx.read("nginx.conf")
    for size in ("31m", "40m"):
        nginx.configure(text.replace("updates:32m", f"updates:{size}"))
        await reload_refused(case, nginx, "expected that its size stays")
    await nginx.kill_all()
    path = f"{case.directory}/state/updates.zone"
    for size in ("40m", "16m"):
        nginx.configure(text.replace("updates:32m", f"updates:{size}"))
        await nginx.start()
        case.check(await until(lambda: os.path.getsize(path) == int(size[:-1]) << 20),
                   f"the file has {os.path.getsize(path)} bytes, expected {size}")
        status = await case.status(nginx)
        case.equal(status.value("queue_items_total", "accepted"), 600, "accepted")
        await nginx.kill_all()

    # 16m of updates, and no room for them
    nginx.configure(text.replace("updates:32m", "updates:16m"))
    await nginx.start()
    await fill(case, nginx, 601, 8000)
    await nginx.kill_all()
    nginx.configure(text.replace("updates:32m", "updates:3m"))
    await refused(case, nginx, "has no room for what is in", None)
    case.equal(os.path.getsize(path), 16 << 20, "size of the file")
    nginx.configure(text)
    scene.program.release()
    await nginx.start()
    await all_handled(case, scene, 8600, 120)
    await case.check_status(nginx, 30)
    await case.stop(nginx)


async def test_boot(case):
    """After a crash of the machine, and after an orderly stop, another boot goes on."""
    module = await build.module("zonetest", "NGX_HTTP_TGBOT_ZONE_TEST=1")

    write(case, "boot", "one")
    scene, nginx = await case.scene(directives=DIRECTIVES, http=STATE,
                                    nginx={"module": module})
    scene.program.hold()
    await fill(case, nginx, count=100)
    scene.program.release()
    await nginx.kill_all()
    write(case, "boot", "two")
    await nginx.start()
    await all_handled(case, scene, 100)
    await case.check_status(nginx)
    # de-duplication begins empty, and goes on after a stop in order
    await fill(case, nginx, 91, 10)
    status = await case.check_status(nginx)
    case.equal(status.value("deliveries_total", "duplicate"), 0, "duplicates")
    await case.stop(nginx)
    write(case, "boot", "three")
    await nginx.start()
    await fill(case, nginx, 91, 10)
    status = await case.check_status(nginx)
    case.equal(status.value("deliveries_total", "duplicate"), 10, "duplicates")
    await case.stop(nginx)
    case.check_logs(nginx)


HOUR = 3600


async def test_clock(case):
    """
    Between two starts the wall clock is set.  That changes no age in the same boot; after
    another boot ages go on by it, and stand still if it was set back.
    """
    module = await build.module("zonetest", "NGX_HTTP_TGBOT_ZONE_TEST=1")
    write(case, "boot", "one")
    scene, nginx = await case.scene(directives=DIRECTIVES, http=STATE,
                                    nginx={"module": module})
    scene.program.hold()
    await fill(case, nginx, count=20)
    expected = 0
    for boot, ahead, more in (("one", HOUR, 0), ("one", -2 * HOUR, 0), ("two", HOUR, 3 * HOUR),
                              ("three", -5 * HOUR, 0), ("three", 0, 0), ("four", HOUR, HOUR)):
        await nginx.kill_all()
        write(case, "boot", boot)
        write(case, "clock", f"{ahead}")
        await nginx.start()
        expected += more
        status = await case.status(nginx)
        age = status.value("queue_oldest_age_seconds")
        case.check(expected <= age < expected + HOUR / 2,
                   f"age {age} in boot {boot}, {ahead} s ahead, expected {expected}")
        case.equal(status.queued(), 20, "in the queue")

    # the life of a message is a day
    await nginx.kill_all()
    write(case, "boot", "five")
    write(case, "clock", f"{25 * HOUR}")
    scene.program.release()
    await nginx.start()
    status = await case.check_status(nginx)
    case.equal(status.value("queue_items_total", "expired"), 20, "expired")
    await case.stop(nginx)


async def test_clock_of_boot(case):
    """The clock that counts from the boot begins again: ages, and waits for retries, go on."""
    module = await build.module("zonetest", "NGX_HTTP_TGBOT_ZONE_TEST=1")
    scene, nginx = await case.scene(
        directives=DIRECTIVES.replace("backoff=100ms max_backoff=200ms", "backoff=2s"),
        http=STATE, nginx={"module": module, "start": False})
    nginx.wrapper = ("unshare", "--time", "--monotonic", "100000", "--boottime", "100000",
                     "--fork", "--kill-child")
    write(case, "boot", "one")
    try:
        await nginx.start(detached=True)
    except StartError as error:
        if "unshare" in str(error):
            case.skip("the kernel has no namespaces of time")
            return
        raise
    scene.program.fault = "500"
    await fill(case, nginx, count=20)
    await until(lambda: len(scene.program.seen) >= 20)
    await nginx.kill_all()
    scene.program.fault = None
    nginx.wrapper = ()
    write(case, "boot", "two")
    await nginx.start(detached=True)
    await all_handled(case, scene, 20)
    status = await case.check_status(nginx)
    case.equal(status.value("queue_items_total", "expired"), 0, "expired")

    # and on again
    scene.program.hold()
    await fill(case, nginx, 21, 20)
    await nginx.kill_all()
    scene.program.release()
    nginx.wrapper = ("unshare", "--time", "--monotonic", "900000", "--boottime", "900000",
                     "--fork", "--kill-child")
    write(case, "boot", "three")
    await nginx.start(detached=True)
    await all_handled(case, scene, 40)
    status = await case.check_status(nginx)
    case.equal(status.value("queue_items_total", "expired"), 0, "expired")
    await case.stop(nginx)


async def test_boot_locked(case):
    """A worker is killed inside the lock by a stop: after a boot the zone is no whole one."""
    module = await build.module("zonetest", "NGX_HTTP_TGBOT_ZONE_TEST=1")

    write(case, "boot", "one")
    scene, nginx = await case.scene(
        directives=DIRECTIVES + "tgbot_limit $tgbot_user_id zone=users:1m rate=1r/m burst=1;",
        http=STATE, nginx={"module": module})
    for number in (1, 2):
        await clients.post(nginx.port, clients.short(number, "hello", 7))
    status = await case.check_status(nginx)
    case.equal(status.value("deliveries_total", "limited"), 1, "limited")
    write(case, "stop", "bucket: taken")
    post = asyncio.ensure_future(clients.post(nginx.port, clients.short(3, "hello", 8)))
    case.check(await until(lambda: nginx.read("stopped"), 15), "it was never reached")
    # the master waits a second, and kills the worker
    nginx.signal(signal.SIGTERM)
    case.equal(await nginx.exited(30), 0, "exit status")
    await asyncio.gather(post, return_exceptions=True)
    write(case, "boot", "two")
    await nginx.start()
    await clients.post(nginx.port, clients.short(4, "hello", 7))
    status = await case.check_status(nginx)
    case.equal(status.value("deliveries_total", "limited"), 1, "limited after the boot")
    case.check(await until(lambda: 4 in handled(scene)), "update 4 was not handled")
    await case.stop(nginx)


async def test_boot_killed_start(case):
    """The start after a crash of the machine is killed: the next one trusts no more than it."""
    module = await build.module("zonetest", "NGX_HTTP_TGBOT_ZONE_TEST=1")

    write(case, "boot", "one")
    scene, nginx = await case.scene(directives=DIRECTIVES, http=STATE,
                                    nginx={"module": module})
    scene.program.hold()
    await fill(case, nginx, count=100)
    await nginx.kill_all()
    write(case, "boot", "two")
    await _start_killed(case, nginx, "queue: store repaired")
    damage(case, f"{case.directory}/state/updates.zone")
    await _all_but_damaged(case, scene, nginx)


async def _start_killed(case, nginx, point):
    """A start of nginx is killed at a point on its way."""
    write(case, "stop", point)
    process = await asyncio.create_subprocess_exec(
        NGINX, "-p", nginx.directory, "-c", f"{nginx.directory}/nginx.conf",
        stderr=asyncio.subprocess.DEVNULL)
    case.check(await until(lambda: nginx.read("stopped"), 15), f"{point} was never reached")
    process.kill()
    await process.wait()
    os.unlink(f"{case.directory}/stopped")


async def test_resize_killed(case):
    """
    A start that copies a queue into a file of another size is killed: what was there is there,
    in the one file or the other.
    """
    module = await build.module("zonetest", "NGX_HTTP_TGBOT_ZONE_TEST=1")
    scene, nginx = await case.scene(directives=DIRECTIVES, http=STATE,
                                    nginx={"module": module})
    scene.program.hold()
    await fill(case, nginx, count=300)
    await nginx.kill_all()
    text = nginx.read("nginx.conf")
    path = f"{case.directory}/state/updates.zone"
    size = 32
    for turn, point in enumerate(("queue: store repaired", "file: entry added",
                                  "queue: item uncounted", "queue: lanes made",
                                  "store: items checked", "file: in use")):
        # torn as well
        if turn % 2:
            write(case, "boot", f"boot {turn}")
        nginx.configure(text.replace("updates:32m", f"updates:{40 - turn}m"))
        await _start_killed(case, nginx, point)
        case.check(os.path.getsize(path) >> 20 in (size, 40 - turn), "size of the file")
        size = os.path.getsize(path) >> 20
    nginx.configure(text.replace("updates:32m", "updates:20m"))
    scene.program.release()
    await nginx.start()
    case.equal(os.path.getsize(path), 20 << 20, "size of the file")
    await all_handled(case, scene, 300)
    status = await case.check_status(nginx)
    case.equal(status.value("queue_items_total", "accepted"), 300, "accepted")
    await case.stop(nginx)


async def _all_but_damaged(case, scene, nginx):
    scene.program.release()
    await nginx.start()
    case.check(await until(lambda: len(handled(scene)) == 99, 30),
               f"{len(handled(scene))} of 99 were handled")
    case.check(37 not in handled(scene), "update 37, which is damaged, was handled")
    status = await case.check_status(nginx)
    case.equal(status.zone("updates")["broken"], 1, "broken")
    await case.stop(nginx)


async def test_copy(case):
    """A copy that was taken while nginx ran is used in the same boot: it is taken for torn."""
    scene, nginx = await case.scene(directives=DIRECTIVES, http=STATE)
    scene.program.hold()
    await fill(case, nginx, count=100)
    state = f"{case.directory}/state"
    shutil.copytree(state, f"{state}.copy")
    await nginx.kill_all()
    os.rename(state, f"{state}.before")
    os.rename(f"{state}.copy", state)
    damage(case, f"{state}/updates.zone")
    await _all_but_damaged(case, scene, nginx)


PAGE = 4096


def _mix(chance, old, new):
    """A file as a crash of the machine may leave it: pages of two moments, and of zeros."""
    pages = [old[:PAGE]]
    for at in range(PAGE, len(new), PAGE):
        page = chance.choice((old, new))[at:at + PAGE]
        pages.append(bytes(PAGE) if chance.random() < 0.02 else page)
    return b"".join(pages)


async def test_crash(case):
    """
    The machine crashes at some moment: nginx starts on what is left, and the program gets
    only what was sent, each update to its bot.
    """
    module = await build.module("zonetest", "NGX_HTTP_TGBOT_ZONE_TEST=1")
    scene, nginx = await case.scene(
        directives=DIRECTIVES.replace("32m", "2m"), http=STATE, nginx={"module": module})
    state = f"{case.directory}/state"
    names = [name for name in os.listdir(state) if name.endswith(".zone")]

    def read():
        files = {}
        for name in names:
            with open(f"{state}/{name}", "rb") as file:
                files[name] = file.read()
        return files

    first = 1
    for seed in range(200 if FULL else 10):
        chance = random.Random(seed)
        scene.program.hold()
        await fill(case, nginx, first, 100)
        old = read()
        scene.program.release()
        await fill(case, nginx, first + 100, 100)
        new = read()
        first += 200
        await nginx.kill_all()
        for name in names:
            with open(f"{state}/{name}", "wb") as file:
                file.write(_mix(chance, old[name], new[name]))
        write(case, "boot", f"boot {seed}")
        await nginx.start()
        status = await case.check_status(nginx, 30)
        left = [status.value("queue_depth", part) for part in ("waiting", "inflight")]
        case.equal(left, [0, 0], f"left in the queue, seed {seed}")
    for seen in scene.program.seen:
        case.check(0 < seen.id < first, f"update {seen.id} was never sent")
    case.equal(scene.program.bad_requests, 0, "requests the program cannot take")
    await case.stop(nginx)
    case.check_logs(nginx)


async def test_killed_start(case):
    """A start that is killed at some moment, again and again, leaves what was there."""
    module = await build.module("zonetest", "NGX_HTTP_TGBOT_ZONE_TEST=1")
    scene, nginx = await case.scene(directives=DIRECTIVES, http=STATE,
                                    nginx={"module": module})
    scene.program.hold()
    await fill(case, nginx, count=100)
    await nginx.kill_all()
    chance = random.Random(7)
    for number in range(30):
        write(case, "boot", f"boot {number}")
        process = await asyncio.create_subprocess_exec(
            NGINX, "-p", nginx.directory, "-c", f"{nginx.directory}/nginx.conf",
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL)
        await asyncio.sleep(chance.random() * 0.05)
        workers = children(process.pid)
        process.kill()
        await process.wait()
        for pid in workers:
            os.kill(pid, signal.SIGKILL)
        await until(lambda: not any(alive(pid) for pid in workers))
    scene.program.release()
    await nginx.start()
    await all_handled(case, scene, 100)
    status = await case.check_status(nginx, 30)
    case.equal(status.value("queue_items_total", "accepted"), 100, "accepted")
    await case.stop(nginx)
