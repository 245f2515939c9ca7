"""Zones as files: what a stop, a kill of everything and an upgrade leave, and what is refused."""

import asyncio
import hashlib
import json
import os
import random
import shutil
import signal
import stat
import tempfile
import time

import build
import clients
from harness import (FULL, MODULE, NGINX, TOP, Nginx, StartError, alive, bot, children, suspend,
                     turns, until)
from simulator.http1 import fetch

COUNT = 5000 if FULL else 600
LIFE = 15           # seconds without a beat until a worker counts as dead

STATE = "tgbot_state state;"
DIRECTIVES = ("tgbot_queue zone=updates:32m concurrency=4; "
              "tgbot_attempts 3 backoff=100ms max_backoff=200ms;")


def _requests(first, count):
    for number in range(first, first + count):
        yield clients.request(clients.text(number, f"hello {number}", user=number % 50 + 1))


async def _fill(case, nginx, first=1, count=COUNT):
    statuses = await clients.flood(nginx.port, _requests(first, count), 1, 8)
    case.equal(dict(statuses), {200: count}, "acknowledgements")


def _handled(scene):
    return {seen.id for seen in scene.program.seen if seen.outcome == "ok"}


async def _all_handled(case, scene, count=COUNT, seconds=60):
    case.check(await until(lambda: len(_handled(scene)) == count, seconds),
               f"{len(_handled(scene))} of {count} were handled")
    # of a lane one after the other
    last = {}
    for seen in scene.program.seen:
        if seen.outcome == "ok":
            lane = seen.id % 50
            case.check(seen.id >= last.get(lane, 0), f"{seen.id} after {last.get(lane)}")
            last[lane] = seen.id


def _contents(directory):
    """What is in the files of a directory, as hashes."""
    sums = {}
    for name in sorted(os.listdir(directory)):
        path = f"{directory}/{name}"
        if os.path.islink(path):
            sums[name] = os.readlink(path)
        elif os.path.isfile(path):
            with open(path, "rb") as file:
                sums[name] = hashlib.sha256(file.read()).hexdigest()
    return sums


def _write(case, name, text):
    """A file that nginx of a build for tests reads: of a boot, of where to stop."""
    with open(f"{case.directory}/{name}.part", "w", encoding="ascii") as file:
        file.write(text)
    os.rename(f"{case.directory}/{name}.part", f"{case.directory}/{name}")


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
    await case.check_status(nginx, 60)
    case.check_books(case.books(scene), parts=("lost",))
    scene.webhook.close()
    await case.stop(nginx)


async def test_names(case):
    """All zones but the cache are files that only the owner may read."""
    _, nginx = await case.scene(
        directives=DIRECTIVES + "tgbot_cache $tgbot_text zone=answers:1m;"
        "tgbot_limit $tgbot_user_id zone=users:1m rate=1r/s;", http=STATE)
    directory = f"{case.directory}/state"
    case.equal(sorted(os.listdir(directory)),
               ["lock", "runtime", "tgbot_dead.zone", "tgbot_seen_e2e.zone",
                "tgbot_slots.zone", "tgbot_stats_e2e.zone", "updates.zone", "users.zone"],
               "files")
    case.equal(stat.S_IMODE(os.stat(directory).st_mode), 0o700, "mode of the directory")
    for name in os.listdir(directory):
        info = os.stat(f"{directory}/{name}")
        case.equal(stat.S_IMODE(info.st_mode), 0o600, f"mode of {name}")
        case.check(info.st_blocks * 512 >= info.st_size, f"{name} has holes")
    case.equal(os.path.getsize(f"{directory}/updates.zone"), 32 << 20, "size")
    await case.stop(nginx)
    case.check_logs(nginx)


async def test_reload(case):
    """Reloads keep the files, and let them go with the last workers that use them."""
    scene, nginx = await case.scene(directives=DIRECTIVES, http=STATE, program_latency=0.005)
    scene.program.hold()
    await _fill(case, nginx)
    for _ in range(3):
        old = nginx.workers()
        nginx.signal(signal.SIGHUP)
        await until(lambda: set(nginx.workers()) - set(old), 30)
    with open(f"/proc/{nginx.master}/maps", encoding="ascii") as maps:
        case.equal(sum("updates.zone" in line for line in maps), 1, "maps of the queue")
    scene.program.release()
    await _all_handled(case, scene)
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
    status = await case.check_status(nginx, 60)
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
        _write(case, "stop", point)
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
    await _all_handled(case, scene, 10)
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
    status = await case.check_status(nginx, 60)
    case.check_books(case.books(scene))
    case.check(status.value("queue_items_total", "accepted") >= 4000, "accepted")
    scene.webhook.close()
    await case.stop(nginx)
    case.check_logs(nginx)


# where a worker stops in a change of a zone, by the way of updates
INSIDE = ("queue: item uncounted", "queue: lane hashed", "queue: half leased",
          "queue: item leased", "store: item written", "store: item published",
          "store: item unlinked", "store: item retired", "store: progress written",
          "store: progress noted", "dedup: bit set", "dedup: record held", "dedup: record freed",
          "chain: block taken", "chain: block freed", "list: half linked",
          "list: half unlinked", "bucket: taken", "dead: written", "dead: half indexed")


async def test_kill_inside(case):
    """A worker stops inside of a change, and all of nginx is killed: at one point after another."""
    module = await build.module("zonetest", "NGX_HTTP_TGBOT_ZONE_TEST=1")
    scene, nginx = await case.scene(
        directives=DIRECTIVES.replace("tgbot_attempts 3", "tgbot_attempts 2")
        + "tgbot_limit $tgbot_user_id zone=users:1m rate=1000r/s burst=1000;",
        http=STATE, nginx={"module": module}, updates=2000 if FULL else 800,
        chats=100, connections=40, ramp=0.1, schedule=0.1, rate=300.0, program_latency=0.005,
        program_fail=0.2)
    scene.play()
    for point in INSIDE if FULL else INSIDE[::3]:
        _write(case, "stop", point)
        if not case.check(await until(lambda: nginx.read("stopped"), 15),
                          f"{point} was never reached"):
            break
        await nginx.kill_all(scene)
        os.unlink(f"{case.directory}/stopped")
        await nginx.start()
    case.check(await scene.finished(120), "Telegram still has updates")
    status = await case.check_status(nginx, 60)
    case.check_books(case.books(scene), parts=("disordered", "doubled without cause"))
    letters = [letter["update_id"] for letter in
               json.loads((await fetch("127.0.0.1", nginx.port, "/status/dead/e2e?limit=1000")).body)
               ["letters"]]
    case.equal(len(letters), len(set(letters)), "letters of one update each")
    case.equal(len(letters), status.value("dead_letters", "letters"), "letters")
    outcomes = {}
    for seen in scene.program.seen:
        outcomes.setdefault(seen.id, []).append(seen.outcome)
    for delivery in scene.webhook.deliveries.values():
        # the program may fail with what it had handled when all was killed
        ends = outcomes.get(delivery.update.id, [])
        case.check(("ok" in ends) != (delivery.update.id in letters) or "ok" in ends[:-1],
                   f"update {delivery.update.id}: {ends}, "
                   f"letter: {delivery.update.id in letters}")
    scene.webhook.close()
    await case.stop(nginx)
    case.check_logs(nginx)


async def _stop_and_start(case, end, lost=0):
    """nginx ends with a backlog, and starts again; "lost" workers were killed."""
    scene, nginx = await case.scene(directives=DIRECTIVES, http=STATE, program_latency=0.005)
    scene.program.hold()
    await _fill(case, nginx)
    await until(lambda: scene.program.seen)
    scene.program.release()
    before = await case.status(nginx)
    await end(nginx)
    left = COUNT - len(_handled(scene))
    case.check(left > COUNT / 2, f"only {left} were left")

    await nginx.start()
    await _all_handled(case, scene)
    status = await case.check_status(nginx, 30)
    case.equal(status.value("queue_items_total", "accepted"), COUNT, "accepted")
    case.equal(status.value("queue_items_total", "done"), COUNT, "done")
    case.equal(status.data["start_time_seconds"], before.data["start_time_seconds"], "start")

    # what was accepted before is known
    await _fill(case, nginx, COUNT - 9, 10)
    status = await case.check_status(nginx)
    case.equal(status.value("deliveries_total", "duplicate"), 10, "duplicates")
    case.equal(status.value("received_total"), COUNT + 10, "received")
    await case.stop(nginx)
    case.check_logs(nginx)
    return scene


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
    await _fill(case, nginx, count=10)
    status = await case.check_status(nginx)
    case.equal(status.value("queue_items_total", "dead"), 10, "dead")
    await nginx.kill_all()
    await nginx.start()
    status = await case.check_status(nginx)
    case.equal(status.value("dead_letters", "letters"), 10, "letters")
    await case.stop(nginx)
    case.check_logs(nginx)


async def _printed(case, *arguments):
    """What "dev zones" prints."""
    process = await asyncio.create_subprocess_exec(
        f"{TOP}/dev", "zones", *arguments, f"{case.directory}/state",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT)
    output, _ = await process.communicate()
    return process.returncode, output.decode("utf-8", "replace")


async def test_printed(case):
    """What is in the files of a killed nginx can be seen, and is not changed by that."""
    scene, nginx = await case.scene(
        directives=DIRECTIVES.replace("tgbot_attempts 3", "tgbot_attempts 1"), http=STATE)
    scene.program.fault = "500"
    await _fill(case, nginx, count=10)
    await case.check_status(nginx)
    scene.program.fault = None
    scene.program.hold()
    await _fill(case, nginx, first=100, count=30)
    await nginx.kill_all()

    before = _contents(f"{case.directory}/state")
    code, text = await _printed(case)
    case.equal(code, 0, "exit status")
    for line in ("updates.zone: queue, 32768 KiB", "bot e2e: 30 updates, the oldest",
                 "tgbot_dead.zone: dead letters", "bot e2e: 10 dead letters, the oldest",
                 "10 failed, 0 unsent, 0 expired", "broken: 0"):
        case.check(line in text, f"no {line!r} in:\n{text}")
    case.check("hello" not in text, "text of a user, and nobody asked for it")
    _, text = await _printed(case, "--text")
    case.check('"text": "hello 129"' in text or '"text":"hello 129"' in text, "no text")
    case.equal(_contents(f"{case.directory}/state"), before, "files")

    os.truncate(f"{case.directory}/state/updates.zone", 100000)
    code, text = await _printed(case)
    case.equal(code, 1, "exit status")
    case.check("updates.zone: is cut short" in text, f"no line about the file in:\n{text}")


async def test_user(case):
    """Workers of another user may not open the files, and use them."""
    if os.geteuid() != 0:
        case.skip("only root has workers of another user")
        return
    directory = tempfile.mkdtemp(prefix="tgbot-state-")
    case.at_end(lambda: shutil.rmtree(directory))
    scene, nginx = await case.scene(
        directives=DIRECTIVES, http=f"tgbot_state {directory};", program_latency=0.005,
        nginx={"user": "www-data"})
    scene.program.hold()
    await _fill(case, nginx, count=100)
    nginx.kill(nginx.workers()[0])
    await until(lambda: len(nginx.workers()) == 2)
    await nginx.kill_all()
    scene.program.release()
    await nginx.start()
    await _all_handled(case, scene, 100)
    await case.check_status(nginx)
    await case.stop(nginx)
    case.check_logs(nginx)


async def test_container(case):
    """An ordinary user, a root that is read-only, and directories that may be written."""
    if os.geteuid() != 0:
        case.skip("only root makes a read-only root")
        return
    scene, nginx = await case.scene(directives=DIRECTIVES, http=STATE, nginx={"start": False})
    for path in (case.directory, f"{case.directory}/logs"):
        os.chown(path, 65534, 65534)
    nginx.wrapper = ("unshare", "-m", "sh", "-c",
                     "mount --make-rprivate / && mount --bind $0 $0 && "
                     "mount -o remount,bind,ro / && ! touch /usr/x 2> /dev/null && "
                     'exec setpriv --reuid 65534 --regid 65534 --clear-groups "$@"',
                     case.directory)
    try:
        await nginx.start()
    except StartError as error:
        if "mount" in str(error):
            case.skip("no root can be made read-only")
            return
        raise
    scene.program.hold()
    await _fill(case, nginx, count=100)
    await nginx.kill_all()
    scene.program.release()
    await nginx.start()
    await _all_handled(case, scene, 100)
    case.equal(os.stat(f"{case.directory}/state/updates.zone").st_uid, 65534, "owner")
    await case.check_status(nginx)
    await case.stop(nginx)
    case.check_logs(nginx)


async def test_resize(case):
    """Another size at a start: what is in the file goes into a new one, if it fits."""
    scene, nginx = await case.scene(directives=DIRECTIVES, http=STATE)
    scene.program.hold()
    await _fill(case, nginx, count=600)
    text = nginx.read("nginx.conf")
    for size in ("31m", "40m"):
        nginx.configure(text.replace("updates:32m", f"updates:{size}"))
        await _reload_refused(case, nginx, "expected that its size stays")
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
    await _fill(case, nginx, 601, 8000)
    await nginx.kill_all()
    nginx.configure(text.replace("updates:32m", "updates:3m"))
    await _refused(case, nginx, "has no room for what is in", None)
    case.equal(os.path.getsize(path), 16 << 20, "size of the file")
    nginx.configure(text)
    scene.program.release()
    await nginx.start()
    await _all_handled(case, scene, 8600, 120)
    await case.check_status(nginx, 30)
    await case.stop(nginx)


async def test_moved(case):
    """A reload with another zone for a bot is refused while the bot has updates in its own."""
    scene, nginx = await case.scene(directives=DIRECTIVES, http=STATE)
    scene.program.hold()
    await _fill(case, nginx, count=10)
    text = nginx.read("nginx.conf")
    nginx.configure(text.replace("zone=updates:32m", "zone=others:32m"))
    nginx.signal(signal.SIGHUP)
    case.check(await until(lambda: 'zone "updates" of bot "e2e" holds 10 updates'
                           in nginx.read("error.log")), "the reload was not refused")
    case.check(not os.path.exists(f"{case.directory}/state/others.zone"), "there is a file")
    scene.program.release()
    await _all_handled(case, scene, 10)
    await case.check_status(nginx)
    old = nginx.workers()
    nginx.signal(signal.SIGHUP)
    await until(lambda: not set(old) & set(nginx.workers()), 30)
    await _fill(case, nginx, 11, 10)
    await _all_handled(case, scene, 20)
    await case.stop(nginx)


async def _reload_refused(case, nginx, expected):
    count = nginx.read("error.log").count(expected)
    nginx.signal(signal.SIGHUP)
    case.check(await until(lambda: nginx.read("error.log").count(expected) > count),
               f"the reload was not refused by {expected!r}")


async def test_other_directory(case):
    """A reload neither leaves the directory, nor begins to use one beside a queue in memory."""
    scene, nginx = await case.scene(directives=DIRECTIVES, http=STATE)
    text = nginx.read("nginx.conf")
    for other in ("tgbot_state others;", ""):
        nginx.configure(text.replace(STATE, other))
        await _reload_refused(case, nginx, "which the running nginx uses")
    case.check(not os.path.exists(f"{case.directory}/others"), "there is a directory")
    await case.stop(nginx)

    # the directory has a file of the queue
    nginx.configure(text.replace(STATE, ""))
    await nginx.start()
    scene.program.hold()
    await _fill(case, nginx, count=10)
    nginx.configure(text)
    await _reload_refused(case, nginx, 'zone "updates" holds 10 updates')
    scene.program.release()
    await _all_handled(case, scene, 10)
    await case.check_status(nginx)
    old = nginx.workers()
    nginx.signal(signal.SIGHUP)
    await until(lambda: not set(old) & set(nginx.workers()), 30)
    await _fill(case, nginx, 11, 10)
    await _all_handled(case, scene, 20)
    await case.stop(nginx)


async def test_boot(case):
    """After a crash of the machine, and after an orderly stop, another boot goes on."""
    module = await build.module("zonetest", "NGX_HTTP_TGBOT_ZONE_TEST=1")

    _write(case, "boot", "one")
    scene, nginx = await case.scene(directives=DIRECTIVES, http=STATE,
                                    nginx={"module": module})
    scene.program.hold()
    await _fill(case, nginx, count=100)
    scene.program.release()
    await nginx.kill_all()
    _write(case, "boot", "two")
    await nginx.start()
    await _all_handled(case, scene, 100)
    await case.check_status(nginx)
    # de-duplication begins empty, and goes on after a stop in order
    await _fill(case, nginx, 91, 10)
    status = await case.check_status(nginx)
    case.equal(status.value("deliveries_total", "duplicate"), 0, "duplicates")
    await case.stop(nginx)
    _write(case, "boot", "three")
    await nginx.start()
    await _fill(case, nginx, 91, 10)
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
    _write(case, "boot", "one")
    scene, nginx = await case.scene(directives=DIRECTIVES, http=STATE,
                                    nginx={"module": module})
    scene.program.hold()
    await _fill(case, nginx, count=20)
    expected = 0
    for boot, ahead, more in (("one", HOUR, 0), ("one", -2 * HOUR, 0), ("two", HOUR, 3 * HOUR),
                              ("three", -5 * HOUR, 0), ("three", 0, 0), ("four", HOUR, HOUR)):
        await nginx.kill_all()
        _write(case, "boot", boot)
        _write(case, "clock", f"{ahead}")
        await nginx.start()
        expected += more
        status = await case.status(nginx)
        age = status.value("queue_oldest_age_seconds")
        case.check(expected <= age < expected + HOUR / 2,
                   f"age {age} in boot {boot}, {ahead} s ahead, expected {expected}")
        case.equal(status.queued(), 20, "in the queue")

    # the life of a message is a day
    await nginx.kill_all()
    _write(case, "boot", "five")
    _write(case, "clock", f"{25 * HOUR}")
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
    _write(case, "boot", "one")
    try:
        await nginx.start(detached=True)
    except StartError as error:
        if "unshare" in str(error):
            case.skip("the kernel has no namespaces of time")
            return
        raise
    scene.program.fault = "500"
    await _fill(case, nginx, count=20)
    await until(lambda: len(scene.program.seen) >= 20)
    await nginx.kill_all()
    scene.program.fault = None
    nginx.wrapper = ()
    _write(case, "boot", "two")
    await nginx.start(detached=True)
    await _all_handled(case, scene, 20)
    status = await case.check_status(nginx)
    case.equal(status.value("queue_items_total", "expired"), 0, "expired")

    # and on again
    scene.program.hold()
    await _fill(case, nginx, 21, 20)
    await nginx.kill_all()
    scene.program.release()
    nginx.wrapper = ("unshare", "--time", "--monotonic", "900000", "--boottime", "900000",
                     "--fork", "--kill-child")
    _write(case, "boot", "three")
    await nginx.start(detached=True)
    await _all_handled(case, scene, 40)
    status = await case.check_status(nginx)
    case.equal(status.value("queue_items_total", "expired"), 0, "expired")
    await case.stop(nginx)


async def test_boot_locked(case):
    """A worker is killed inside the lock by a stop: after a boot the zone is no whole one."""
    module = await build.module("zonetest", "NGX_HTTP_TGBOT_ZONE_TEST=1")

    _write(case, "boot", "one")
    scene, nginx = await case.scene(
        directives=DIRECTIVES + "tgbot_limit $tgbot_user_id zone=users:1m rate=1r/m burst=1;",
        http=STATE, nginx={"module": module})
    for number in (1, 2):
        await clients.post(nginx.port, clients.short(number, "hello", 7))
    status = await case.check_status(nginx)
    case.equal(status.value("deliveries_total", "limited"), 1, "limited")
    _write(case, "stop", "bucket: taken")
    post = asyncio.ensure_future(clients.post(nginx.port, clients.short(3, "hello", 8)))
    case.check(await until(lambda: nginx.read("stopped"), 15), "it was never reached")
    # the master waits a second, and kills the worker
    nginx.signal(signal.SIGTERM)
    case.equal(await nginx.exited(30), 0, "exit status")
    await asyncio.gather(post, return_exceptions=True)
    _write(case, "boot", "two")
    await nginx.start()
    await clients.post(nginx.port, clients.short(4, "hello", 7))
    status = await case.check_status(nginx)
    case.equal(status.value("deliveries_total", "limited"), 1, "limited after the boot")
    case.check(await until(lambda: 4 in _handled(scene)), "update 4 was not handled")
    await case.stop(nginx)


async def test_boot_killed_start(case):
    """The start after a crash of the machine is killed: the next one trusts no more than it."""
    module = await build.module("zonetest", "NGX_HTTP_TGBOT_ZONE_TEST=1")

    _write(case, "boot", "one")
    scene, nginx = await case.scene(directives=DIRECTIVES, http=STATE,
                                    nginx={"module": module})
    scene.program.hold()
    await _fill(case, nginx, count=100)
    await nginx.kill_all()
    _write(case, "boot", "two")
    await _start_killed(case, nginx, "queue: store repaired")
    _damage(case, f"{case.directory}/state/updates.zone")
    await _all_but_damaged(case, scene, nginx)


async def _start_killed(case, nginx, point):
    """A start of nginx is killed at a point on its way."""
    _write(case, "stop", point)
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
    await _fill(case, nginx, count=300)
    await nginx.kill_all()
    text = nginx.read("nginx.conf")
    path = f"{case.directory}/state/updates.zone"
    size = 32
    for turn, point in enumerate(("queue: store repaired", "file: entry added",
                                  "queue: item uncounted", "queue: lanes made",
                                  "store: items checked", "file: in use")):
        # torn as well
        if turn % 2:
            _write(case, "boot", f"boot {turn}")
        nginx.configure(text.replace("updates:32m", f"updates:{40 - turn}m"))
        await _start_killed(case, nginx, point)
        case.check(os.path.getsize(path) >> 20 in (size, 40 - turn), "size of the file")
        size = os.path.getsize(path) >> 20
    nginx.configure(text.replace("updates:32m", "updates:20m"))
    scene.program.release()
    await nginx.start()
    case.equal(os.path.getsize(path), 20 << 20, "size of the file")
    await _all_handled(case, scene, 300)
    status = await case.check_status(nginx)
    case.equal(status.value("queue_items_total", "accepted"), 300, "accepted")
    await case.stop(nginx)


def _damage(case, path):
    """Changes a byte of update 37 in a file of a queue."""
    with open(path, "r+b") as file:
        at = file.read().find(b'"hello 37"')
        case.check(at > 0, "no update 37 in the file")
        file.seek(at + 1)
        file.write(b"j")


async def _all_but_damaged(case, scene, nginx):
    scene.program.release()
    await nginx.start()
    case.check(await until(lambda: len(_handled(scene)) == 99, 30),
               f"{len(_handled(scene))} of 99 were handled")
    case.check(37 not in _handled(scene), "update 37, which is damaged, was handled")
    status = await case.check_status(nginx)
    case.equal(status.zone("updates")["broken"], 1, "broken")
    await case.stop(nginx)


async def test_copy(case):
    """A copy that was taken while nginx ran is used in the same boot: it is taken for torn."""
    scene, nginx = await case.scene(directives=DIRECTIVES, http=STATE)
    scene.program.hold()
    await _fill(case, nginx, count=100)
    state = f"{case.directory}/state"
    shutil.copytree(state, f"{state}.copy")
    await nginx.kill_all()
    os.rename(state, f"{state}.before")
    os.rename(f"{state}.copy", state)
    _damage(case, f"{state}/updates.zone")
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
        await _fill(case, nginx, first, 100)
        old = read()
        scene.program.release()
        await _fill(case, nginx, first + 100, 100)
        new = read()
        first += 200
        await nginx.kill_all()
        for name in names:
            with open(f"{state}/{name}", "wb") as file:
                file.write(_mix(chance, old[name], new[name]))
        _write(case, "boot", f"boot {seed}")
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
    await _fill(case, nginx, count=100)
    await nginx.kill_all()
    chance = random.Random(7)
    for number in range(30):
        _write(case, "boot", f"boot {number}")
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
    await _all_handled(case, scene, 100)
    status = await case.check_status(nginx, 30)
    case.equal(status.value("queue_items_total", "accepted"), 100, "accepted")
    await case.stop(nginx)


async def test_unfinished(case):
    """What starts that were killed have not finished goes away with the next one."""
    _, nginx = await case.scene(directives=DIRECTIVES, http=STATE, nginx={"start": False})
    os.mkdir(f"{case.directory}/state")
    for name in ("updates.zone.new", "of-another-configuration.zone.new", "note"):
        with open(f"{case.directory}/state/{name}", "w", encoding="ascii") as file:
            file.write("something")
    await nginx.start()
    names = os.listdir(f"{case.directory}/state")
    case.equal([name for name in names if name.endswith(".new")], [], "files not finished")
    case.check("updates.zone" in names and "note" in names, f"only {names}")
    await case.stop(nginx)


async def _refused(case, nginx, expected, changed=()):
    """
    nginx does not start, says why in one line, and changes nothing but "changed"; None: it
    may change all files.
    """
    before = _contents(f"{case.directory}/state")
    with open(f"{case.directory}/error.log", "w", encoding="ascii"):
        pass
    try:
        await nginx.start()
        case.check(False, f"started, expected {expected!r}")
    except StartError:
        pass
    lines = [line for line in nginx.read("error.log").splitlines() if "[emerg]" in line]
    if case.equal(len(lines), 1, f"lines of {lines}"):
        case.check(expected in lines[0], f"{lines[0]}: expected {expected!r}")
    after = _contents(f"{case.directory}/state")
    for name in set(before) | set(after):
        if changed is not None and name not in changed:
            case.equal(after.get(name), before.get(name), f"{name} is as it was")


async def test_damaged(case):
    """Files that are no zones are refused and stay as they are."""
    _, nginx = await case.scene(directives=DIRECTIVES, http=STATE)
    await case.stop(nginx)
    state = f"{case.directory}/state"
    zone = f"{state}/updates.zone"
    with open(zone, "rb") as file:
        good = file.read()

    def write(data):
        with open(zone, "wb") as file:
            file.write(data)

    cases = (
        (lambda: write(b""), "could not read the header"),
        (lambda: write(good[:100]), "could not read the header"),
        (lambda: write(good[:-4096]), f"has {len(good) - 4096} bytes, expected {len(good)}"),
        (lambda: write(os.urandom(1 << 20)), "is no zone"),
        (lambda: write(bytes(len(good))), "is no zone"),
        (lambda: write(good[:60] + b"x" + good[61:]), "is no zone"),
        (lambda: shutil.copy(f"{state}/tgbot_dead.zone", zone), "is a dead letters zone"),
        (lambda: (os.unlink(zone), os.symlink("/etc/passwd", zone)), "could not open"),
        (lambda: (os.unlink(zone), os.mkdir(zone)), "is no regular file"),
        (lambda: (os.rmdir(zone), os.mkfifo(zone)), "is no regular file"),
    )
    for damage, expected in cases:
        damage()
        await _refused(case, nginx, expected, ("lock",))
        code, text = await nginx.test()
        case.equal(code, 1, f"nginx -t with {expected!r}")
        case.check(expected in text, f"nginx -t says {text}")
    os.unlink(zone)
    write(good)
    await nginx.start()
    await case.stop(nginx)


async def test_in_use(case):
    """A directory is of one nginx, and of one that was started by its master."""
    _, nginx = await case.scene(directives=DIRECTIVES, http=STATE)
    other = f"{case.directory}/other"
    os.makedirs(f"{other}/logs")
    port = nginx.port + 1
    second = case.own(Nginx(other, port))
    second.configure(nginx.read("nginx.conf").replace(
        f":{nginx.port} ", f":{port} ").replace(STATE, f"tgbot_state {case.directory}/state;"))
    code, text = await second.test()
    case.equal(code, 0, f"nginx -t: {text}")
    try:
        await second.start()
        case.check(False, "started")
    except StartError as error:
        case.check(f"is in use by another nginx, its master is process {nginx.master}"
                   in str(error), str(error))

    # the master is killed, its workers go on
    workers = nginx.workers()
    nginx.signal(signal.SIGKILL)
    await nginx.exited(10)
    try:
        await second.start()
        case.check(False, "started")
    except StartError as error:
        case.check("whose master is gone" in str(error), str(error))
    for pid in workers:
        os.kill(pid, signal.SIGQUIT)
    await until(lambda: not any(alive(pid) for pid in workers))
    await second.start()
    await case.stop(second)


async def test_containers(case):
    """Of two containers each has a master that is process 1: the second does not start."""
    contained = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
    process = await asyncio.create_subprocess_exec(
        *contained, "true", stderr=asyncio.subprocess.DEVNULL)
    if await process.wait():
        case.skip("no process namespaces here")
        return
    _, nginx = await case.scene(directives=DIRECTIVES, http=STATE, nginx={"start": False})
    other = f"{case.directory}/other"
    os.makedirs(f"{other}/logs")
    with open(f"{other}/nginx.conf", "w", encoding="utf-8") as file:
        file.write(nginx.read("nginx.conf").replace(
            f":{nginx.port} ", f":{nginx.port + 1} ").replace(
                STATE, f"tgbot_state {case.directory}/state;"))

    async def start(directory):
        return await asyncio.create_subprocess_exec(
            *contained, NGINX, "-p", directory, "-c", f"{directory}/nginx.conf",
            stderr=asyncio.subprocess.PIPE)

    first = await start(case.directory)
    case.check(await until(lambda: len([
        pid for master in children(first.pid) for pid in children(master)]) == 2, 20),
        "the first one does not start")
    second = await start(other)
    try:
        _, text = await asyncio.wait_for(second.communicate(), 10)
        case.check(b"is in use by another nginx, its master is process 1," in text, str(text))
    except asyncio.TimeoutError:
        case.check(False, "the second one started")
        second.kill()
    first.kill()
    await first.communicate()


async def test_test(case):
    """nginx -t changes nothing, and does not need the directory."""
    _, nginx = await case.scene(directives=DIRECTIVES, http=STATE, nginx={"start": False})
    code, text = await nginx.test()
    case.equal(code, 0, f"nginx -t: {text}")
    case.check(not os.path.exists(f"{case.directory}/state"), "there is a directory")
    await nginx.start()
    await case.stop(nginx)
    before = _contents(f"{case.directory}/state")
    code, text = await nginx.test()
    case.equal(code, 0, f"nginx -t: {text}")
    case.equal(_contents(f"{case.directory}/state"), before, "the files")


async def test_deleted(case):
    """A file that was deleted: work goes on, an upgrade is refused, a start begins empty."""
    scene, nginx = await case.scene(
        directives=DIRECTIVES, http=STATE, nginx={"detached": True})
    os.unlink(f"{case.directory}/state/updates.zone")
    await _fill(case, nginx, count=10)
    await _all_handled(case, scene, 10)
    case.check(await until(lambda: "was deleted or replaced" in nginx.read("error.log"), 30),
               "no line in error.log")
    os.kill(nginx.master, signal.SIGUSR2)
    case.check(await until(lambda: "is not the file that the running nginx uses"
                           in nginx.read("error.log")), "the upgrade was not refused")
    await until(lambda: not nginx.read("nginx.pid.oldbin"))
    await _fill(case, nginx, 11, 10)
    await _all_handled(case, scene, 20)
    await case.stop(nginx)
    await nginx.start()
    await _fill(case, nginx, 21, 10)
    await _all_handled(case, scene, 30)
    await case.stop(nginx)


async def test_deleted_end(case):
    """
    The directory was deleted: updates do not stay in it, so workers work the queue empty, as
    one in memory, before they end by an upgrade or a stop; what is left then is told.
    """
    scene, nginx = await case.scene(
        directives=DIRECTIVES, http=STATE, program_latency=0.005, nginx={"detached": True})
    for first, end in ((1, nginx.upgrade), (101, lambda: case.stop(nginx))):
        scene.program.hold()
        await _fill(case, nginx, first, 100)
        shutil.rmtree(f"{case.directory}/state")
        scene.program.release()
        await end()
        case.equal(len(_handled(scene)), first + 99, "handled")
    case.check_logs(nginx)

    await nginx.start(detached=True)
    scene.program.hold()
    await _fill(case, nginx, 201, 100)
    shutil.rmtree(f"{case.directory}/state")
    await case.stop(nginx, signal.SIGTERM)
    case.check('zone "updates" is abandoned with 100 updates' in nginx.read("error.log"),
               "what is lost is not told")


async def test_deleted_user(case):
    """Workers that may not look into the directory find no deleted file, but for a queue's."""
    if os.geteuid() != 0:
        case.skip("only root has workers of another user")
        return
    _, nginx = await case.scene(directives=DIRECTIVES, http=STATE, nginx={"user": "www-data"})

    def header():
        with open(f"{case.directory}/state/tgbot_seen_e2e.zone", "rb") as file:
            return file.read(4096)

    # the time in it goes on when a worker looks after the files
    before = header()
    case.check(await until(lambda: header() != before, 30), "nothing looks after the files")
    case.check("was deleted" not in nginx.read("error.log"), "files are there")
    os.unlink(f"{case.directory}/state/updates.zone")
    case.check(await until(lambda: "updates.zone\" was deleted" in nginx.read("error.log"), 30),
               "no line in error.log")
    case.equal(nginx.read("error.log").count("was deleted"), 1, "lines")
    await case.stop(nginx)


async def _mount(case, *command):
    """Mounts a file system as the directory; None: the test is skipped."""
    state = f"{case.directory}/state"
    if os.geteuid() != 0:
        case.skip("only root mounts a file system")
        return None
    os.makedirs(state, exist_ok=True)
    mount = await asyncio.create_subprocess_exec(
        *command, state, stderr=asyncio.subprocess.DEVNULL)
    if await mount.wait():
        case.skip(f"{command[-1]} cannot be mounted")
        return None
    case.at_end(lambda: os.system(f"umount {state}"))
    return state


async def test_holes(case):
    """A copy of a file has holes: they are filled before a write finds that there is no room."""
    scene, nginx = await case.scene(directives=DIRECTIVES, http=STATE)
    scene.program.hold()
    await _fill(case, nginx, count=100)
    await nginx.kill_all()
    copy = f"{case.directory}/copy"
    state = f"{case.directory}/state"
    os.rename(state, copy)
    os.mkdir(state)
    os.system(f"cp --sparse=always {copy}/* {state}")
    zone = f"{state}/updates.zone"

    def room():
        return os.stat(zone).st_blocks * 512

    case.check(room() < 4 << 20, "the copy has no holes")
    await nginx.start()
    case.check(room() >= 32 << 20, f"only {room()} bytes of the file are allocated")
    scene.program.release()
    await _all_handled(case, scene, 100)
    await case.stop(nginx)

    # and where there is no room
    if not await _mount(case, "mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs"):
        return
    os.system(f"cp --sparse=always {copy}/* {state}")
    await _refused(case, nginx, "could not fill the holes of", None)
    case.check(room() < 4 << 20, "the file was filled")


async def test_full(case):
    """A file system without room: nginx does not start, and leaves nothing."""
    state = await _mount(case, "mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs")
    if not state:
        return
    _, nginx = await case.scene(directives=DIRECTIVES, http=STATE, nginx={"start": False})
    await _refused(case, nginx, "could not make", ("lock", "runtime"))
    case.equal(sorted(os.listdir(state)), ["lock", "runtime"], "files")


async def test_file_systems(case):
    """
    File systems of other machines are refused.  They are not mounted: statfs() tells their
    types.
    """
    library = await build.library("filesystem.c", case.directory)
    _, nginx = await case.scene(directives=DIRECTIVES, http=STATE, nginx={"start": False})
    os.mkdir(f"{case.directory}/state")
    for number, name in (("0x6969", "NFS"), ("0x01021997", "9p"), ("0x65735546", "FUSE"),
                         ("0xff534d42", "CIFS"), ("0x517b", "SMB"), ("0x00c36400", "Ceph")):
        other = case.own(Nginx(case.directory, nginx.port,
                               {"LD_PRELOAD": library, "FILESYSTEM": number}))
        await _refused(case, other, f'state" on {name}, which cannot hold zones')
        code, text = await other.test()
        case.equal(code, 1, f"nginx -t on {name}")
        case.check(f"on {name}, which cannot hold zones" in text, f"nginx -t says {text}")


async def test_fuse(case):
    """A directory on FUSE is refused."""
    os.mkdir(f"{case.directory}/elsewhere")
    if not shutil.which("bindfs"):
        case.skip("bindfs is not installed")
        return
    if not await _mount(case, "bindfs", f"{case.directory}/elsewhere"):
        return
    _, nginx = await case.scene(directives=DIRECTIVES, http=STATE, nginx={"start": False})
    await _refused(case, nginx, 'state" on FUSE, which cannot hold zones')
    case.equal(os.listdir(f"{case.directory}/elsewhere"), [], "files")


async def test_overlay(case):
    """A directory on overlayfs, as that of a container without a volume, is a warning."""
    for name in ("lower", "files", "work"):
        os.mkdir(f"{case.directory}/{name}")
    # an overlay does not lie upon another one
    if not await _mount(
            case, "mount", "-t", "overlay", "-o",
            f"lowerdir={case.directory}/lower,upperdir={case.directory}/files,"
            f"workdir={case.directory}/work", "overlay"):
        return
    scene, nginx = await case.scene(directives=DIRECTIVES, http=STATE)
    case.check('state" on overlayfs, which is lost' in nginx.read("stderr.log"), "no warning")
    await _fill(case, nginx, count=10)
    await _all_handled(case, scene, 10)
    await case.stop(nginx)


async def test_fallocate(case):
    """A file system without fallocate(), as ext3: zeros are written."""
    library = await build.library("filesystem.c", case.directory)
    scene, nginx = await case.scene(
        directives=DIRECTIVES, http=STATE,
        nginx={"environment": {"LD_PRELOAD": library, "FALLOCATE": "no"}})
    for name in os.listdir(f"{case.directory}/state"):
        info = os.stat(f"{case.directory}/state/{name}")
        case.check(info.st_blocks * 512 >= info.st_size, f"{name} has holes")
    scene.program.hold()
    await _fill(case, nginx, count=100)
    await nginx.kill_all()
    scene.program.release()
    await nginx.start()
    await _all_handled(case, scene, 100)
    await case.stop(nginx)


async def test_no_access(case):
    """A directory that may not be written, or cannot be made, is an error."""
    _, nginx = await case.scene(directives=DIRECTIVES, http="tgbot_state a/b/c;",
                                nginx={"start": False})
    os.mkdir(f"{case.directory}/state")
    await _refused(case, nginx, "could not use")
    nginx.configure(nginx.read("nginx.conf").replace("a/b/c", "nginx.conf"))
    await _refused(case, nginx, "is a file, expected a directory")
    nginx.configure(nginx.read("nginx.conf").replace("tgbot_state nginx.conf", "tgbot_state /proc"))
    await _refused(case, nginx, "could not open")

    # one that others may write is a warning
    nginx.configure(nginx.read("nginx.conf").replace("tgbot_state /proc", "tgbot_state state"))
    os.chmod(f"{case.directory}/state", 0o777)
    await nginx.start()
    case.check("state\" is world-writable" in nginx.read("stderr.log")
               + nginx.read("error.log"), "no warning")
    await case.stop(nginx)


async def test_bots(case):
    """A bot is added by a reload: its zones are made."""
    _, nginx = await case.scene(directives=DIRECTIVES, http=STATE)
    text = nginx.read("nginx.conf")
    nginx.configure(text.replace("location /status", bot("more", api=False) + "location /status"))
    old = nginx.workers()
    nginx.signal(signal.SIGHUP)
    await until(lambda: not set(old) & set(nginx.workers()), 30)
    case.check(os.path.exists(f"{case.directory}/state/tgbot_stats_more.zone"), "no file")

    # a configuration that is refused leaves no file
    nginx.configure(text.replace("location /status", bot("third", api=False)
                                 + bot("third2", "tgbot_dedup zone=updates;", api=False)
                                 + "location /status"))
    nginx.signal(signal.SIGHUP)
    await until(lambda: "is a queue zone" in nginx.read("error.log"))
    case.check(not [name for name in os.listdir(f"{case.directory}/state") if "third" in name],
               "files of a configuration that was refused")
    await case.stop(nginx)
