"""What tests of zones that are files have in common: updates in a queue, and its files."""

import asyncio
import hashlib
import os
import signal

import clients
from harness import FULL, TOP, StartError, until

COUNT = 5000 if FULL else 600

STATE = "tgbot_state state;"
DIRECTIVES = ("tgbot_queue zone=updates:32m concurrency=4; "
              "tgbot_attempts 3 backoff=100ms max_backoff=200ms;")


def requests(first, count):
    for number in range(first, first + count):
        yield clients.request(clients.text(number, f"hello {number}", user=number % 50 + 1))


async def fill(case, nginx, first=1, count=COUNT):
    statuses = await clients.flood(nginx.port, requests(first, count), 1, 8)
    case.equal(dict(statuses), {200: count}, "acknowledgements")


def handled(scene):
    return {seen.id for seen in scene.program.seen if seen.outcome == "ok"}


async def all_handled(case, scene, count=COUNT, seconds=60):
    case.check(await until(lambda: len(handled(scene)) == count, seconds),
               f"{len(handled(scene))} of {count} were handled")
    # of a lane one after the other
    last = {}
    for seen in scene.program.seen:
        if seen.outcome == "ok":
            lane = seen.id % 50
            case.check(seen.id >= last.get(lane, 0), f"{seen.id} after {last.get(lane)}")
            last[lane] = seen.id


def contents(directory):
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


def write(case, name, text):
    """A file that nginx of a build for tests reads: of a boot, of where to stop."""
    with open(f"{case.directory}/{name}.part", "w", encoding="ascii") as file:
        file.write(text)
    os.rename(f"{case.directory}/{name}.part", f"{case.directory}/{name}")


def damage(case, path):
    """Changes a byte of update 37 in a file of a queue."""
    with open(path, "r+b") as file:
        at = file.read().find(b'"hello 37"')
        case.check(at > 0, "no update 37 in the file")
        file.seek(at + 1)
        file.write(b"j")


async def refused(case, nginx, expected, changed=()):
    """
    nginx does not start, says why in one line, and changes nothing but "changed"; None: it
    may change all files.
    """
    before = contents(f"{case.directory}/state")
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
    after = contents(f"{case.directory}/state")
    for name in set(before) | set(after):
        if changed is not None and name not in changed:
            case.equal(after.get(name), before.get(name), f"{name} is as it was")


async def reload_refused(case, nginx, expected):
    count = nginx.read("error.log").count(expected)
    nginx.signal(signal.SIGHUP)
    case.check(await until(lambda: nginx.read("error.log").count(expected) > count),
               f"the reload was not refused by {expected!r}")


async def printed(case, *arguments):
    """What "dev zones" prints."""
    process = await asyncio.create_subprocess_exec(
        f"{TOP}/dev", "zones", *arguments, f"{case.directory}/state",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT)
    output, _ = await process.communicate()
    return process.returncode, output.decode("utf-8", "replace")
