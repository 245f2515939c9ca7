"""What a queue survives: a stop and a start, an upgrade, another module file."""

import asyncio
import os
import shutil
import signal
import stat
import struct
import tempfile
import zlib

import clients
from harness import FULL, MODULE, alive, children, until

COUNT = 5000 if FULL else 600

DIRECTIVES = ("tgbot_queue zone=updates:32m concurrency=4 state=queue.state; "
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


async def _stop_and_start(case, number):
    scene, nginx = await case.scene(directives=DIRECTIVES, program_latency=0.005)
    path = f"{case.directory}/queue.state"
    scene.program.hold()
    await _fill(case, nginx)
    await until(lambda: scene.program.seen)
    scene.program.release()
    nginx.signal(number)
    case.equal(await nginx.exited(20), 0, "nginx's exit status")
    left = COUNT - len(_handled(scene))
    case.check(left > COUNT / 2, f"only {left} were left")
    case.check(os.path.exists(path), "there is no file")
    case.equal(stat.S_IMODE(os.stat(path).st_mode), 0o600, "the file's mode")

    await nginx.start()
    case.check(await until(lambda: not os.path.exists(path)), "the file is still there")
    await _all_handled(case, scene)
    status = await case.check_status(nginx, 30)
    loaded = status.value("queue_items_total", "loaded")
    case.check(loaded >= left, f"{loaded} were loaded of {left}")
    case.note(f"{loaded} of {COUNT} went through the file")

    # what was accepted before is known
    await _fill(case, nginx, COUNT - 9, 10)
    status = await case.check_status(nginx)
    case.equal(status.value("deliveries_total", "duplicate"), 10, "duplicates")
    await case.stop(nginx)
    case.check_logs(nginx)
    return scene


async def test_quit(case):
    """Nothing is handled twice, as workers finish what they have in work."""
    scene = await _stop_and_start(case, signal.SIGQUIT)
    seen = [seen.id for seen in scene.program.seen if seen.outcome == "ok"]
    case.equal(len(seen), len(set(seen)), "handled once")


async def test_term(case):
    await _stop_and_start(case, signal.SIGTERM)


HEADER = struct.Struct("=8sIIQQqIIQQ")
RECORD = struct.Struct("=Qq5q14I")
PARSED = 2  # of what is behind the version in an update's data


def _rewrite(path, version, change):
    """The file as another version of the module writes it; -> number of updates."""
    with open(path, "rb") as file:
        data = file.read()
    header = list(HEADER.unpack_from(data))
    at = HEADER.size
    records = b""
    updates = 0
    while at < len(data):
        record = list(RECORD.unpack_from(data, at))
        at += RECORD.size
        kind, *lengths = record[7:11]
        name, item, answer = (data[at + sum(lengths[:i]):at + sum(lengths[:i + 1])]
                              for i in range(3))
        at += sum(lengths)
        if kind == 1:
            updates += 1
            item = change(item, _strings(item))
            record[9] = len(item)
        records += RECORD.pack(*record) + name + item + answer
    header[2] = version
    header[3] = HEADER.size + len(records)
    start = HEADER.pack(*header)[:44]
    header[7] = zlib.crc32(start, zlib.crc32(records))
    with open(path, "wb") as file:
        file.write(HEADER.pack(*header) + records)
    return updates


def _strings(item):
    """-> where the strings of an update's data start and end"""
    at = 2
    places = []
    while at < len(item):
        length, = struct.unpack_from("=I", item, at)
        places.append((at, at + 4 + length))
        at += 4 + length
    return places


def _unparsed(item, places):
    """what is found in the update is not with it"""
    assert item[1] == PARSED
    return item[:1] + b"\0" + item[2:places[-1][0]]


def _other_fields(item, places):
    """another version of the module has found it"""
    at = places[-1][0] + 4
    return item[:at] + bytes([item[at] ^ 1]) + item[at + 1:]


async def _other_version(case, version, change):
    """Updates are parsed again where what was found in them is of no use."""
    scene, nginx = await case.scene(directives=DIRECTIVES, program_latency=0.005)
    path = f"{case.directory}/queue.state"
    scene.program.hold()
    await _fill(case, nginx, count=50)
    nginx.signal(signal.SIGTERM)
    case.equal(await nginx.exited(20), 0, "nginx's exit status")
    case.equal(_rewrite(path, version, change), 50, "updates in the file")
    scene.program.release()

    await nginx.start()
    await _all_handled(case, scene, 50)
    status = await case.check_status(nginx, 30)
    case.equal(status.value("queue_items_total", "loaded"), 50, "loaded")
    case.equal(status.value("queue_items_total", "done"), 50, "done")
    await case.stop(nginx)
    case.check_logs(nginx)


async def test_version_before(case):
    await _other_version(case, 1, _unparsed)


async def test_other_fields(case):
    await _other_version(case, 2, _other_fields)


async def test_dead_letters(case):
    """Letters are there after a start, and are replayed."""
    scene, nginx = await case.scene(
        directives=DIRECTIVES.replace("tgbot_attempts 3", "tgbot_attempts 1"))
    scene.program.fault = "500"
    await _fill(case, nginx, count=10)
    status = await case.check_status(nginx)
    case.equal(status.value("queue_items_total", "dead"), 10, "dead")
    nginx.signal(signal.SIGTERM)
    case.equal(await nginx.exited(20), 0, "nginx's exit status")
    await nginx.start()
    status = await case.check_status(nginx)
    case.equal(status.value("dead_letters", "letters"), 10, "letters")
    await case.stop(nginx)
    case.check_logs(nginx)


async def test_user(case):
    """
    Workers may change neither the directory nor the file: what was loaded is not loaded
    again after a crash.
    """
    if os.geteuid() != 0:
        case.skip("only root has workers of another user")
        return
    directory = tempfile.mkdtemp(prefix="tgbot-state-")
    case.at_end(lambda: shutil.rmtree(directory))
    os.chmod(directory, 0o755)
    path = f"{directory}/queue.state"
    scene, nginx = await case.scene(
        directives=DIRECTIVES.replace("queue.state", path), program_latency=0.005,
        nginx={"user": "www-data"})
    scene.program.hold()
    await _fill(case, nginx, count=100)
    nginx.signal(signal.SIGTERM)
    case.equal(await nginx.exited(20), 0, "nginx's exit status")
    case.check(os.path.getsize(path) > 0, "there is no file")
    scene.program.release()

    await nginx.start()
    await _all_handled(case, scene, 100)
    status = await case.check_status(nginx)
    case.equal(status.value("queue_items_total", "loaded"), 100, "loaded")
    case.equal(os.path.getsize(path), 0, "bytes in the file")
    for pid in nginx.workers():
        nginx.kill(pid)
    await until(lambda: len(nginx.workers()) == 2)
    pids = nginx.workers()
    nginx.signal(signal.SIGKILL)
    await nginx.exited(10)
    for pid in pids:
        nginx.kill(pid)
    await until(lambda: not any(alive(pid) for pid in pids))

    await nginx.start()
    status = await case.check_status(nginx)
    case.equal(status.value("queue_items_total", "loaded"), 0, "loaded again")
    await case.stop(nginx)
    case.check_logs(nginx)


async def _under_load(case, change, module=None, latency=0.02, **more):
    """Something is done to nginx while updates come."""
    if module:
        more["module"] = module
    scene, nginx = await case.scene(
        directives=DIRECTIVES, updates=2000, chats=100,
        connections=40, ramp=0.1, schedule=0.1, rate=400.0, program_latency=latency,
        nginx={"detached": True, **more})
    scene.play()
    await asyncio.sleep(2)
    await change(nginx)
    case.check(await scene.finished(120), "Telegram still has updates")
    status = await case.check_status(nginx, 60)
    books = case.books(scene)
    case.check_books(books, parts=("lost", "doubled without cause"))
    scene.webhook.close()
    await case.stop(nginx)
    case.check_logs(nginx)
    return nginx, status


async def test_module(case):
    """Another file of the module is loaded: the old workers end what is in their zones."""
    module = f"{case.directory}/module.so"
    shutil.copy(MODULE, module)

    async def change(nginx):
        shutil.copy(MODULE, f"{case.directory}/another.so")
        nginx.configure(nginx.read("nginx.conf").replace("/module.so", "/another.so"))
        old = nginx.workers()
        nginx.signal(signal.SIGHUP)
        await until(lambda: not set(old) & set(nginx.workers()), 30)

    nginx, status = await _under_load(case, change, module)
    case.equal(status.value("queue_items_total", "loaded"), 0, "loaded")
    case.check(status.value("queue_items_total", "accepted") < 1900, "zones were adopted")


async def test_upgrade(case):
    """A new binary is started under load, and the old one ends."""
    nginx, status = await _under_load(case, lambda nginx: nginx.upgrade())
    loaded = status.value("queue_items_total", "loaded")
    case.check(loaded > 50, f"only {loaded} updates went from the old one to the new one")
    left = [name for name in os.listdir(case.directory)
            if name.startswith("queue.state") and not name.endswith(".lock")]
    case.equal(left, ["queue.state"] if "queue.state" in left else [], "files left")
    case.check("changing binary" in nginx.read("error.log"), "it was not changed")


async def test_rollback(case):
    """An upgrade is given up: what the new master leaves is worked on by the old one."""
    async def change(nginx):
        old = nginx.master
        os.kill(old, signal.SIGUSR2)
        await until(lambda: nginx.read("nginx.pid").strip() not in ("", str(old)))
        new = int(nginx.read("nginx.pid"))
        await until(lambda: children(new))
        # what was connected to the old workers is to come to the new ones, too
        for pid in children(old):
            if pid != new:
                os.kill(pid, signal.SIGQUIT)
        await asyncio.sleep(2)
        os.kill(new, signal.SIGQUIT)
        await until(lambda: nginx.read("nginx.pid").strip() == str(old), 60)

    nginx, status = await _under_load(case, change, latency=0.05, user="www-data")
    loaded = status.value("queue_items_total", "loaded")
    case.check(loaded > 10, f"only {loaded} updates went from the new one to the old one")
