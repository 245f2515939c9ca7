"""The directory of tgbot_state: whose it is, where it may be, and what is refused."""

import asyncio
import os
import shutil
import signal
import struct
import stat
import tempfile

import build
from harness import NGINX, Nginx, StartError, alive, bot, children, free_port, until
from zonefiles import (DIRECTIVES, STATE, all_handled, contents, fill, handled, printed, refused,
                       reload_refused)


async def test_names(case):
    """All zones but the cache are files that only the owner may read."""
    _, nginx = await case.scene(
        directives=DIRECTIVES + "tgbot_cache $tgbot_text zone=answers:1m;"
        "tgbot_limit $tgbot_user_id zone=users:1m rate=1r/s;", http=STATE)
    directory = f"{case.directory}/state"
    case.equal(sorted(os.listdir(directory)),
               ["runtime", "tgbot_dead.zone", "tgbot_pace.zone", "tgbot_seen_e2e.zone",
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


async def test_printed(case):
    """What is in the files of a killed nginx can be seen, and is not changed by that."""
    scene, nginx = await case.scene(
        directives=DIRECTIVES.replace("tgbot_attempts 3", "tgbot_attempts 1"), http=STATE)
    scene.program.fault = "500"
    await fill(case, nginx, count=10)
    await case.check_status(nginx)
    scene.program.fault = None
    scene.program.hold()
    await fill(case, nginx, first=100, count=30)
    await nginx.kill_all()

    before = contents(f"{case.directory}/state")
    code, text = await printed(case)
    case.equal(code, 0, "exit status")
    for line in ("updates.zone: queue, 32768 KiB", "bot e2e: 30 updates, the oldest",
                 "tgbot_dead.zone: dead letters", "bot e2e: 10 dead letters, the oldest",
                 "10 failed, 0 unsent, 0 expired", "broken: 0"):
        case.check(line in text, f"no {line!r} in:\n{text}")
    case.check("hello" not in text, "text of a user, and nobody asked for it")
    _, text = await printed(case, "--text")
    case.check('"text": "hello 129"' in text or '"text":"hello 129"' in text, "no text")
    case.equal(contents(f"{case.directory}/state"), before, "files")

    os.truncate(f"{case.directory}/state/updates.zone", 100000)
    code, text = await printed(case)
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
    await fill(case, nginx, count=100)
    nginx.kill(nginx.workers()[0])
    await until(lambda: len(nginx.workers()) == 2)
    await nginx.kill_all()
    scene.program.release()
    await nginx.start()
    await all_handled(case, scene, 100)
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
    nginx.wrapper = ("unshare", "-m", "--propagation", "unchanged", "sh", "-c",
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
    await fill(case, nginx, count=100)
    await nginx.kill_all()
    scene.program.release()
    await nginx.start()
    await all_handled(case, scene, 100)
    case.equal(os.stat(f"{case.directory}/state/updates.zone").st_uid, 65534, "owner")
    await case.check_status(nginx)
    await case.stop(nginx)
    case.check_logs(nginx)


async def test_moved(case):
    """A reload with another zone for a bot is refused while the bot has updates in its own."""
    scene, nginx = await case.scene(directives=DIRECTIVES, http=STATE)
    scene.program.hold()
    await fill(case, nginx, count=10)
    text = nginx.read("nginx.conf")
    nginx.configure(text.replace("zone=updates:32m", "zone=others:32m"))
    nginx.signal(signal.SIGHUP)
    case.check(await until(lambda: 'zone "updates" of bot "e2e" holds 10 updates'
                           in nginx.read("error.log")), "the reload was not refused")
    case.check(not os.path.exists(f"{case.directory}/state/others.zone"), "there is a file")
    scene.program.release()
    await all_handled(case, scene, 10)
    await case.check_status(nginx)
    old = nginx.workers()
    nginx.signal(signal.SIGHUP)
    await until(lambda: not set(old) & set(nginx.workers()), 30)
    await fill(case, nginx, 11, 10)
    await all_handled(case, scene, 20)
    await case.stop(nginx)


async def test_kinds(case):
    """A reload looks for updates of a bot in zones of queues, and in no other zones of the bot."""
    scene, nginx = await case.scene(
        directives=DIRECTIVES + "tgbot_register https://example.com/ api=http://127.0.0.1:1; "
        "tgbot_limit $tgbot_user_id zone=users:1m rate=1000r/s;")
    scene.program.hold()
    await fill(case, nginx, count=10)
    for _ in range(2):
        old = nginx.workers()
        nginx.signal(signal.SIGHUP)
        case.check(await until(lambda: set(nginx.workers()) - set(old)), "no reload")
    case.check("holds" not in nginx.read("error.log"), "a reload was refused")

    # a zone of this name was of another kind
    nginx.configure(nginx.read("nginx.conf").replace("zone=users:1m", "zone=others:1m").replace(
        "/_program;", "/_program; tgbot_cache $tgbot_text zone=users:1m;", 1))
    await reload_refused(case, nginx, 'zone "users" is a limit zone now')
    scene.program.release()
    await all_handled(case, scene, 10)
    await case.stop(nginx)
    case.check_logs(nginx, ["[emerg]"])


async def test_other_directory(case):
    """A reload neither leaves the directory, nor begins to use one beside a queue in memory."""
    scene, nginx = await case.scene(directives=DIRECTIVES, http=STATE)
    text = nginx.read("nginx.conf")
    for other in ("tgbot_state others;", ""):
        nginx.configure(text.replace(STATE, other))
        await reload_refused(case, nginx, "which the running nginx uses")
    case.check(not os.path.exists(f"{case.directory}/others"), "there is a directory")
    await case.stop(nginx)

    # the directory has a file of the queue
    nginx.configure(text.replace(STATE, ""))
    await nginx.start()
    scene.program.hold()
    await fill(case, nginx, count=10)
    nginx.configure(text)
    await reload_refused(case, nginx, 'zone "updates" holds 10 updates')
    scene.program.release()
    await all_handled(case, scene, 10)
    await case.check_status(nginx)
    old = nginx.workers()
    nginx.signal(signal.SIGHUP)
    await until(lambda: not set(old) & set(nginx.workers()), 30)
    await fill(case, nginx, 11, 10)
    await all_handled(case, scene, 20)
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
        await refused(case, nginx, expected)
        code, text = await nginx.test()
        case.equal(code, 1, f"nginx -t with {expected!r}")
        case.check(expected in text, f"nginx -t says {text}")
    os.unlink(zone)
    write(good)
    await nginx.start()
    await case.stop(nginx)


def _another_layout(path):
    """Raises the layout in a zone's header by one, and makes the header's checksum right."""
    with open(path, "r+b") as file:
        words = list(struct.unpack("<7Q", file.read(56)))
        words[5] += 1
        total = 1
        for word in words:
            total = (total ^ word) * 0x9e3779b97f4a7c15 % 2 ** 64
            total ^= total >> 32
        file.seek(0)
        file.write(struct.pack("<8Q", *words, total))
    return words[5]


async def test_layout(case):
    """Of another version a queue is refused and stays as it is; the rest is set aside."""
    _, nginx = await case.scene(directives=DIRECTIVES, http=STATE)
    await case.stop(nginx)
    state = f"{case.directory}/state"
    found = _another_layout(f"{state}/updates.zone")
    with open(f"{state}/updates.zone", "rb") as file:
        before = file.read()
    expected = f'updates.zone" has layout {found}, expected {found - 1}; the version'
    await refused(case, nginx, expected)
    code, text = await nginx.test()
    case.equal((code, expected in text), (1, True), f"nginx -t says {text}")
    with open(f"{state}/updates.zone", "rb") as file:
        case.check(file.read() == before, "the file was changed")

    os.unlink(f"{state}/updates.zone")
    _another_layout(f"{state}/tgbot_seen_e2e.zone")
    names = set(os.listdir(state))
    await nginx.start()
    case.check('zone "tgbot_seen_e2e" begins empty' in nginx.read("error.log"), "no warning")
    case.equal(len(set(os.listdir(state)) - names), 2, "updates.zone, and the file set aside")
    await case.check_status(nginx)
    await case.stop(nginx)


async def test_in_use(case):
    """A directory is of one nginx, and of one that was started by its master."""
    _, nginx = await case.scene(directives=DIRECTIVES, http=STATE)
    other = f"{case.directory}/other"
    os.makedirs(f"{other}/logs")
    port = free_port()
    second = case.own(Nginx(other, port))
    second.configure(nginx.read("nginx.conf").replace(
        f":{nginx.port} ", f":{port} ").replace(STATE, f"tgbot_state {case.directory}/state;"))
    code, text = await second.test()
    case.equal(code, 0, f"nginx -t: {text}")
    # nothing that may be deleted tells who uses the directory
    for name in os.listdir(f"{case.directory}/state"):
        if not name.endswith(".zone"):
            os.rename(f"{case.directory}/state/{name}", f"{case.directory}/{name}.kept")
    try:
        await second.start()
        case.check(False, "started")
    except StartError as error:
        case.check('"tgbot_state"' in str(error), str(error))
    for name in os.listdir(case.directory):
        if name.endswith(".kept"):
            os.rename(f"{case.directory}/{name}", f"{case.directory}/state/{name[:-5]}")
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
    before = contents(f"{case.directory}/state")
    code, text = await nginx.test()
    case.equal(code, 0, f"nginx -t: {text}")
    case.equal(contents(f"{case.directory}/state"), before, "the files")


async def test_deleted(case):
    """A file that was deleted: work goes on, an upgrade is refused, a start begins empty."""
    scene, nginx = await case.scene(
        directives=DIRECTIVES, http=STATE, nginx={"detached": True})
    os.unlink(f"{case.directory}/state/updates.zone")
    await fill(case, nginx, count=10)
    await all_handled(case, scene, 10)
    case.check(await until(lambda: "was deleted or replaced" in nginx.read("error.log"), 30),
               "no line in error.log")
    os.kill(nginx.master, signal.SIGUSR2)
    case.check(await until(lambda: "is not the file that the running nginx uses"
                           in nginx.read("error.log")), "the upgrade was not refused")
    await until(lambda: not nginx.read("nginx.pid.oldbin"))
    await fill(case, nginx, 11, 10)
    await all_handled(case, scene, 20)
    await case.stop(nginx)
    await nginx.start()
    await fill(case, nginx, 21, 10)
    await all_handled(case, scene, 30)
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
        await fill(case, nginx, first, 100)
        shutil.rmtree(f"{case.directory}/state")
        scene.program.release()
        await end()
        case.equal(len(handled(scene)), first + 99, "handled")
    case.check_logs(nginx)

    await nginx.start(detached=True)
    scene.program.hold()
    await fill(case, nginx, 201, 100)
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
    await fill(case, nginx, count=100)
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
    await all_handled(case, scene, 100)
    await case.stop(nginx)

    # and where there is no room
    if not await _mount(case, "mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs"):
        return
    os.system(f"cp --sparse=always {copy}/* {state}")
    await refused(case, nginx, "could not fill the holes of", None)
    case.check(room() < 4 << 20, "the file was filled")


async def test_full(case):
    """A file system without room: nginx does not start, and leaves nothing."""
    state = await _mount(case, "mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs")
    if not state:
        return
    _, nginx = await case.scene(directives=DIRECTIVES, http=STATE, nginx={"start": False})
    await refused(case, nginx, "could not make", ("runtime",))
    case.equal(os.listdir(state), ["runtime"], "files")


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
        await refused(case, other, f'state" on {name}, which cannot hold zones')
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
    await refused(case, nginx, 'state" on FUSE, which cannot hold zones')
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
    await fill(case, nginx, count=10)
    await all_handled(case, scene, 10)
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
    await fill(case, nginx, count=100)
    await nginx.kill_all()
    scene.program.release()
    await nginx.start()
    await all_handled(case, scene, 100)
    await case.stop(nginx)


async def test_no_access(case):
    """A directory that may not be written, or cannot be made, is an error."""
    _, nginx = await case.scene(directives=DIRECTIVES, http="tgbot_state a/b/c;",
                                nginx={"start": False})
    os.mkdir(f"{case.directory}/state")
    await refused(case, nginx, "could not use")
    nginx.configure(nginx.read("nginx.conf").replace("a/b/c", "nginx.conf"))
    await refused(case, nginx, "is a file, expected a directory")
    nginx.configure(nginx.read("nginx.conf").replace("tgbot_state nginx.conf", "tgbot_state /proc"))
    await refused(case, nginx, "could not open")

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
