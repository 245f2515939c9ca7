"""Zones of shared memory: too small for what comes, and left in the middle of a change."""

import asyncio
import glob
import itertools
import os
import random
import re
import signal

import build
import clients
from harness import FULL, TOP, bot, children, until
from simulator.program import Program, echo
from simulator.updates import Traffic

KEYS = 1000000 if FULL else 100000
WORDS = KEYS // 5
KEPT = 300                      # replies that rode; there is room for some more

_NEEDED = re.compile(r'"(\w+):\d+k".* (\d+)k or more')
_BAD = re.compile(r"\[(warn|error|crit|alert|emerg)\]")

SMALL = ("tgbot_dedup zone=seen:{seen}k window=1024;"
         "tgbot_limit $tgbot_user_id zone=users:{users}k rate=1r/m burst=1;"
         "tgbot_limit $tgbot_text zone=texts:{texts}k rate=1000r/s burst=1000 shared;")


async def _smallest(case, **directives):
    """The smallest sizes that nginx takes for zones, as its own errors tell them."""
    sizes = dict.fromkeys(directives, 1)
    text = " ".join(directives.values())
    for _ in range(len(sizes) + 1):
        locations = bot("small", text.format(**sizes), api=False)
        _, nginx = await case.scene(locations=locations, nginx={"start": False})
        status, output = await nginx.test()
        if status == 0:
            break
        found = _NEEDED.search(output)
        if not case.check(found, f"nginx -t: {output}"):
            break
        sizes[found.group(1)] = int(found.group(2))
    case.note(f"smallest sizes, KiB: {sizes}")
    return sizes


def _check_errors(case, nginx):
    lines = [line for line in nginx.read("error.log").splitlines() if _BAD.search(line)]
    case.check(not lines, f"{len(lines)} errors, such as {lines[:2]}")


async def test_smallest_limits(case):
    """More keys than buckets: each is held to its own limit as long as it is known."""
    sizes = await _smallest(
        case, seen="tgbot_dedup zone=seen:{seen}k window=1024;",
        users="tgbot_limit $tgbot_user_id zone=users:{users}k rate=1r/m burst=1;",
        texts="tgbot_limit $tgbot_text zone=texts:{texts}k rate=1r/m burst=1 shared;")
    scene, nginx = await case.scene(
        SMALL.format(**sizes) + "tgbot_reply ok;", api=False)
    chance = random.Random(1)
    users = [chance.getrandbits(40) + 1 for _ in range(KEYS)]
    statuses = await clients.flood(nginx.port, (
        clients.request(clients.short(number, f"{user:x}" * 5, user))
        for number, user in enumerate(users, 100)))
    case.equal(dict(statuses), {200: KEYS}, "statuses")

    status = await case.check_status(nginx)
    case.equal(status.value("deliveries_total", "done"), KEYS, "handled")
    for name in ("users", "texts"):
        zone = status.zone(name)
        case.equal(zone["used"], zone["total"], f"{name}: buckets")
        case.equal(zone["zone_evicted_total"], len(set(users)) - zone["total"],
                   f"{name}: evicted")
        case.equal(status.value("limit_decisions_total", name, "passed"), KEYS,
                   f"{name}: passed")

    # the last ones are known, the first ones are not
    top = KEYS + 100
    for user, verdict in ((users[-1], "limited"), (users[0], "done")):
        top += 1
        before = status.value("deliveries_total", verdict)
        await clients.post(nginx.port, clients.short(top, "again", user))
        status = await case.check_status(nginx)
        case.equal(status.value("deliveries_total", verdict), before + 1,
                   f"user {user} again: {verdict}")
    for number, verdict in ((top, "duplicate"), (top - 1024, "done")):
        before = status.value("deliveries_total", verdict)
        await clients.post(nginx.port, clients.short(number, "again", 5000 + number))
        status = await case.check_status(nginx)
        case.equal(status.value("deliveries_total", verdict), before + 1,
                   f"{top - number} below the top: {verdict}")
    await case.stop(nginx)
    _check_errors(case, nginx)
    case.check_logs(nginx)


async def test_smallest_cache(case):
    """More keys than entries; and update_ids without any order."""
    sizes = await _smallest(
        case, seen="tgbot_dedup zone=seen:{seen}k window=1024;",
        answers="tgbot_cache $tgbot_text zone=answers:{answers}k;")
    scene, nginx = await case.scene(
        "tgbot_dedup zone=seen:{seen}k window=1024;"
        "tgbot_cache $tgbot_text zone=answers:{answers}k;".format(**sizes), api=False,
        handler="/_answer",
        locations='        location = /_answer { internal; default_type application/json;'
                  ' return 200 \'{"method":"sendMessage","text":"about $tgbot_text"}\'; }\n')
    chance = random.Random(2)
    words = [f"{chance.getrandbits(64):x}" * (1 + number % 20) for number in range(WORDS)]
    statuses = await clients.flood(nginx.port, (
        clients.request(clients.short(chance.getrandbits(52), word)) for word in words),
        connections=8, depth=8)
    case.equal(dict(statuses), {200: WORDS}, "statuses")

    status = await case.check_status(nginx)
    case.equal(status.value("deliveries_total", "done"), WORDS, "handled")
    zone = status.zone("answers")
    asked = status.value("cache_total", "miss")
    case.equal(asked + status.value("cache_total", "bypass"), WORDS, "keys not found")
    case.equal(status.value("cache_total", "stored")
               + status.value("cache_total", "uncacheable"), asked, "what was asked for")
    case.check(status.value("cache_total", "stored") > WORDS / 2, "hardly anything stored")
    case.check(0 < zone["entries"] <= zone["used"] <= zone["total"], f"zone {zone}")
    case.check(zone["zone_evicted_total"] > WORDS / 2, f"zone {zone}")
    case.check(status.value("dedup_rebased_total") > WORDS / 2, "rings were not moved")

    for result in ("miss", "hit"):
        before = status.value("cache_total", result)
        answer = await clients.post(
            nginx.port, clients.short(chance.getrandbits(52), "the last one", 77))
        ridden = clients.ridden(answer)
        case.equal((ridden.get("chat_id"), ridden.get("text")),
                   ("77", "about the last one"), "answer")
        status = await case.check_status(nginx)
        case.equal(status.value("cache_total", result), before + 1, result)
    await case.stop(nginx)
    _check_errors(case, nginx)
    case.check_logs(nginx)


# what happens in the master while it reads a configuration
_MASTER = ("dedup: area", "bots:", "file:")

# what happens in a repair, after a death at another point
_REPAIR = ("dedup: records repaired", "dedup: lists emptied", "queue: store repaired",
           "queue: lanes made", "store: items checked", "store: entries emptied",
           "chain: marks wiped", "chain: free blocks linked", "dead: store repaired")
_FIRST = {"dedup": "dedup: record held", "queue": "queue: item leased",
          "store": "queue: item leased", "dead": "dead: written"}

# zones of a bot with a queue, and what test_register.py kills workers in
_QUEUED = ("queue:", "store:", "dead:")
_REGISTERED = ("registry:",)

# test_pace.py, and unit tests
_CALLED = ("pace:", "idempotency:", "broadcast:")

# what zones of several kinds have
_SHARED = ("chain:", "list:")

_POINT = re.compile(r'ngx_http_tgbot_zone_stop\("([^"]+)"\)')


def all_points():
    """Where the sources can be stopped with a zone locked."""
    points = set()
    for name in glob.glob(f"{TOP}/ngx_http_tgbot_module/*/*.c"):
        with open(name, encoding="utf-8") as file:
            points.update(_POINT.findall(file.read()))
    return sorted(point for point in points if not point.startswith(_MASTER))


class Stops:
    """Stops a worker at a point, to be killed there."""

    def __init__(self, case, scene, nginx, shared="queue: item leased"):
        self._case = case
        self._scene = scene
        self._nginx = nginx
        self._shared = shared

    def ask(self, point):
        path = f"{self._nginx.directory}/stop"
        with open(f"{path}.new", "w", encoding="ascii") as file:
            file.write(point)
        os.rename(f"{path}.new", path)

    async def reached(self, point):
        """The process id of the worker that is there, or None."""
        path = f"{self._nginx.directory}/stopped"
        if not self._case.check(await until(lambda: os.path.exists(path), 15, 0.005),
                                f"{point!r} was never reached"):
            return None
        said, _, pid = self._nginx.read("stopped").rpartition(" ")
        self._case.equal(said, point, "stopped at")
        os.unlink(path)
        return int(pid)

    async def kill_at(self, point, everything=False):
        """
        Whether a worker was killed at the point; in a repair it is the second one.
        everything: the master and the other workers are killed at once with it.
        """
        first = point
        if point in _REPAIR:
            first = _FIRST.get(point.partition(":")[0], self._shared)
        self.ask(first)
        pid = await self.reached(first)
        if pid is None:
            return False
        if first != point:
            self.ask(point)
            self._nginx.kill(pid, self._scene)
            pid = await self.reached(point)
            if pid is None:
                return False
        if everything:
            await self._nginx.kill_all(self._scene)
        else:
            self._nginx.kill(pid, self._scene)
        return True


async def _post(nginx, *args):
    """Delivers something, whoever may be killed over it."""
    try:
        return await clients.post(nginx.port, *args)
    except OSError:
        return None


async def _mix(nginx, lane, over):
    """All that other bots do with zones, until it is over."""
    chance = random.Random(lane)
    number = lane * 10 ** 6
    while not over.is_set():
        number += 1
        user = chance.choice((5, 6, chance.getrandbits(40)))
        update = clients.short(number, "x", user)
        if number % 2:
            update = update.replace(b'"text":', b'"media_group_id":"%d","text":' % number)
        await _post(nginx, update, "/tg/limited")
        words = chance.choice(("cached", f"cached {chance.getrandbits(64):x}"))
        await _post(nginx, clients.short(number, words, user), "/tg/cached")
        await _post(nginx, clients.short(chance.getrandbits(52), words, user), "/tg/jumping")


def _answer(update):
    """Long ones for the cache, the others by number."""
    text = update.get("message", {}).get("text", "")
    if text.startswith("cached"):
        return {"method": "sendMessage", "text": f"about {text} " + "long " * 200}
    return echo(update)


async def _crowd(nginx, over):
    """New users of a bot all the time: its zone, which a repair empties, is soon full."""
    chance = random.Random(4)
    for number in itertools.count(4 * 10 ** 6, 50):
        if over.is_set():
            break
        try:
            await clients.flood(nginx.port, (
                clients.request(clients.short(number + i, "x", chance.getrandbits(40)),
                                "/tg/limited") for i in range(50)), 1, 50)
        except OSError:
            pass
        await asyncio.sleep(0.05)


async def test_killed_inside(case):
    """
    A worker is killed with a zone locked, in the middle of each change: the zone is
    repaired once, others go on, and what was accepted stays accepted.
    """
    module = await build.module("zonetest", "NGX_HTTP_TGBOT_ZONE_TEST=1")
    sizes = await _smallest(
        case, users="tgbot_limit $tgbot_user_id zone=users:{users}k rate=1r/m burst=1;",
        answers="tgbot_cache $tgbot_text zone=answers:{answers}k;")
    scene, nginx = await case.scene(
        api=False, updates=0, schedule=0.02, ramp=0.02, program_fail=0.1,
        nginx={"module": module},
        locations=bot("limited", "tgbot_reply ok;"
                      f"tgbot_limit $tgbot_user_id zone=users:{sizes['users']}k rate=9r/m;"
                      "tgbot_limit $tgbot_text zone=texts:64k rate=1r/m burst=1;", api=False)
        + bot("cached", f"tgbot_cache $tgbot_text zone=answers:{sizes['answers']}k "
              "valid=1s lock_timeout=1s;", api=False)
        + bot("jumping", "tgbot_reply ok;", api=False))
    scene.program.answer = _answer
    scene.play()
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    case.at_end(over.set)
    mixers = [loop.create_task(_mix(nginx, lane, over)) for lane in (1, 2, 3)]
    mixers.append(loop.create_task(_crowd(nginx, over)))
    stops = Stops(case, scene, nginx, "dedup: record held")
    points = [point for point in all_points()
              if not point.startswith(_QUEUED + _REGISTERED + _CALLED)]
    case.check(len(points) >= 20, f"only {points}")
    updates = iter(Traffic(100000, 50).updates)

    async def push():
        while not over.is_set():
            if scene.webhook.pending < 10:
                for _ in range(5):
                    scene.webhook.push(next(updates))
            await asyncio.sleep(0.02)

    pusher = loop.create_task(push())
    rounds = 0
    for point in points:
        if not await stops.kill_at(point):
            continue
        rounds += 1
        repaired = await _repaired(case, nginx, rounds)
        case.equal(repaired, rounds, f"repairs after a death at {point!r}")
    case.check(await until(lambda: len(scene.webhook.deliveries) > 3 * KEPT, 60),
               "too few updates")
    over.set()
    await asyncio.gather(pusher, *mixers)
    case.check(await scene.finished(30), "Telegram still has updates")
    case.check_books(case.books(scene))
    await _check_kept(case, scene, nginx)

    await case.check_status(nginx)
    case.note(f"{rounds} points, {len(nginx.killed)} workers killed")
    # a worker that exits waits for a connection that has had no request yet
    scene.webhook.close()
    await case.stop(nginx)
    case.equal(nginx.read("error.log").count("it is repaired"), rounds, "warnings of repair")
    case.check_logs(nginx)


async def _die(nginx, over):
    """Updates of a bot whose program always fails."""
    for number in itertools.count(4000000000):
        if over.is_set():
            break
        await _post(nginx, clients.text(number, "x" * 2000, user=number), "/tg/dying")
        await asyncio.sleep(0.05)


async def test_queue_killed_inside(case):
    """The same with queues and dead letters: what is in them stays there, in order."""
    rounds, nginx = await _queue_killed_inside(case)
    case.equal(nginx.read("error.log").count("it is repaired"), rounds, "warnings of repair")


async def test_files_killed_inside(case):
    """All of nginx is killed with a zone locked, each time, and the zones are files."""
    await _queue_killed_inside(case, "tgbot_state state;", everything=True)


async def _queue_killed_inside(case, http="", everything=False):
    module = await build.module("zonetest", "NGX_HTTP_TGBOT_ZONE_TEST=1")
    failing = Program()
    await failing.start()
    failing.fault = "500"
    case.at_end(failing.stop)
    scene, nginx = await case.scene(
        "tgbot_queue zone=updates:8m; tgbot_attempts 100 backoff=50ms max_backoff=100ms; "
        "tgbot_retry attempts=50 backoff=2500ms max_backoff=2500ms;",
        updates=0, schedule=0.02, ramp=0.02, program_fail=0.1, api_500=0.05,
        nginx={"module": module}, http=http,
        locations=bot("dying", "tgbot_queue zone=updates; tgbot_dead_letters "
                      "zone=letters:100k max=30; tgbot_attempts 1;", api=False,
                      handler="/_failing")
        + f"        location = /_failing {{ internal; proxy_pass http://127.0.0.1:"
          f"{failing.port}; }}\n        location /letters {{ tgbot_status write=on; }}\n")
    scene.play()
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    case.at_end(over.set)
    dying = [loop.create_task(_die(nginx, over)), loop.create_task(_replays(nginx, over))]
    stops = Stops(case, scene, nginx)
    points = [point for point in all_points() if point.startswith(_QUEUED + _SHARED)]
    case.check(len(points) >= 25, f"only {points}")
    updates = iter(Traffic(100000, 50).updates)

    async def push():
        while not over.is_set():
            if scene.webhook.pending < 10:
                for _ in range(5):
                    scene.webhook.push(next(updates))
            await asyncio.sleep(0.05)

    pusher = loop.create_task(push())
    rounds = 0
    for point in points:
        if not await stops.kill_at(point, everything):
            continue
        rounds += 1
        if everything:
            await nginx.start()
        else:
            repaired = await _repaired(case, nginx, rounds)
            case.equal(repaired, rounds, f"repairs after a death at {point!r}")
    over.set()
    await asyncio.gather(pusher, *dying)
    case.check(await scene.finished(30), "Telegram still has updates")
    status = await case.check_status(nginx, 60)
    books = case.books(scene)
    case.check_books(books, parts=("lost", "disordered"))
    # an update whose worker died before it was marked as accepted came again
    again = set().union(*books["doubled without cause"].values())
    unanswered = {n for n, delivery in scene.webhook.deliveries.items() if delivery.broken}
    case.check(again <= unanswered, f"doubled without cause: {sorted(again - unanswered)}")
    case.check(len(again) <= rounds, f"{len(again)} doubled by {rounds} deaths")
    done = status.value("queue_items_total", "done")
    case.check(books["updates"] <= done <= books["updates"] + rounds, f"{done} were done")
    letters = status.value("dead_letters", "letters", bot="dying")
    case.check(letters > 0, "there are no dead letters")
    case.note(f"{rounds} points, {len(nginx.killed)} workers killed")
    # a worker that exits waits for a connection that has had no request yet
    scene.webhook.close()
    await case.stop(nginx)
    case.check_logs(nginx)
    return rounds, nginx


async def test_many_bots(case):
    """
    No number of bots is too many for zones that need not be declared; letters are there
    after a reload with more of them.
    """
    def bots(count):
        return "".join(bot(f"bot{number}", "tgbot_dedup off;", api=False)
                       for number in range(count))

    for count in (64, 80, 1100):
        _, nginx = await case.scene(locations=bots(count), nginx={"start": False})
        status, output = await nginx.test()
        case.equal(status, 0, f"nginx -t with {count} bots: {output}")

    scene, nginx = await case.scene("tgbot_attempts 1;", api=False, locations=bots(10))
    scene.program.fault = "500"
    await clients.post(nginx.port, clients.text(1, "fails"))
    status = await case.check_status(nginx)
    case.equal(status.value("dead_letters", "letters"), 1, "letters")
    size = status.zone("tgbot_dead")["total"]

    text = nginx.read("nginx.conf")
    for count in (300, 5):
        nginx.configure(text.replace(bots(10), bots(count)))
        nginx.signal(signal.SIGHUP)
        for _ in range(500):
            status = await case.status(nginx)
            if len(status.bots) == count + 1:
                break
            await asyncio.sleep(0.02)
        case.equal(len(status.bots), count + 1, "bots after a reload")
        case.equal(status.value("dead_letters", "letters"), 1, f"letters, {count} bots")
        case.equal(status.zone("tgbot_dead")["total"], size, "blocks")
    await case.stop(nginx)
    case.check_logs(nginx)

    scene, nginx = await case.scene("tgbot_attempts 1;", api=False, locations=bots(300))
    scene.program.fault = "500"
    for name in ("e2e", "bot299"):
        await clients.post(nginx.port, clients.text(1, "fails"), f"/tg/{name}")
    status = await case.check_status(nginx)
    case.equal(status.value("dead_letters", "letters"), 1, "letters of the first bot")
    case.check(status.zone("tgbot_dead")["total"] > 7 * size, "the zone did not grow")
    await case.stop(nginx)
    case.check_logs(nginx)


async def _replays(nginx, over):
    """Letters go round and round."""
    while not over.is_set():
        await clients.replay(nginx.port, "dying")
        await asyncio.sleep(0.1)


async def test_replay_killed(case):
    """
    A worker is killed when a letter is in the queue and a letter still: it is handled
    once, replayed again or not.
    """
    module = await build.module("zonetest", "NGX_HTTP_TGBOT_ZONE_TEST=1")
    scene, nginx = await case.scene(
        "tgbot_queue zone=updates:1m; tgbot_attempts 1;", nginx={"module": module},
        program_timeout="60s",
        locations="        location /letters { tgbot_status write=on; }\n")
    program = scene.program
    stops = Stops(case, scene, nginx)
    loop = asyncio.get_running_loop()

    async def letters(count):
        for _ in range(500):
            status = await case.status(nginx)
            if status.value("dead_letters", "letters") == count:
                break
            await asyncio.sleep(0.02)
        return case.equal(status.value("dead_letters", "letters"), count, "letters")

    async def replayed():
        status = await case.status(nginx)
        return status.value("queue_items_total", "replayed")

    for number, again in ((10, True), (20, False)):
        program.fault = "500"
        await clients.post(nginx.port, clients.text(number, "fails", user=1))
        await letters(1)
        program.fault = None

        # one that is before it in its lane
        program.hold()
        await clients.post(nginx.port, clients.text(number + 1, "stays", user=1))
        await until(lambda number=number: program.arrivals(number + 1))

        before = await replayed()
        stops.ask("dead: replayed")
        replay = loop.create_task(clients.replay(nginx.port, f"e2e/{number // 10}"))
        pid = await stops.reached("dead: replayed")
        if pid is None:
            return
        nginx.kill(pid, scene)
        case.equal(await replay, None, "a killed worker's answer")
        # its lease ends when the master has seen its end
        await until(lambda pid=pid: pid not in children(nginx.master))
        await letters(1)
        case.equal(await replayed(), before + 1, "in the queue")

        if again:
            case.equal(await clients.replay(nginx.port, f"e2e/{number // 10}"), b'{"replayed":1}\n',
                       "replayed again")
            case.equal(await replayed(), before + 1, "in the queue once")
            await letters(0)

        program.release()
        await until(lambda number=number: len(program.arrivals(number)) >= 2)
        await letters(0)
        await case.check_status(nginx)
        case.equal([seen.outcome for seen in program.arrivals(number)], ["500", "ok"],
                   f"arrivals of {number}")
    await case.stop(nginx)
    case.check_logs(nginx)


async def _repaired(case, nginx, expected):
    """How often zones were repaired, to the end, once all of them have been asked."""
    count = 0
    for _ in range(100):
        await case.status(nginx)
        count = nginx.read("error.log").count("it is repaired")
        if count >= expected:
            break
        await asyncio.sleep(0.02)
    return count


async def _check_kept(case, scene, nginx):
    """All that was accepted is known, and of the last ones the replies."""
    status = await case.status(nginx)
    kept = status.data["bots"]["e2e"]["dedup"]["rides"]
    case.check(kept > KEPT, f"only {kept} replies are kept")
    seen = len(scene.program.seen)
    again = [delivery.update for delivery in scene.webhook.deliveries.values()]
    lost = []
    for update in again[-KEPT:]:
        answer = await clients.post(nginx.port, update.body)
        text = clients.ridden(answer).get("text")
        if (answer.status, text) != (200, f"reply {update.id}"):
            lost.append((update.id, answer.status, text))
    case.equal(lost[-5:], [], f"{len(lost)} replies with duplicates")
    statuses = await clients.flood(nginx.port, (
        clients.request(update.body) for update in again))
    case.equal(dict(statuses), {200: len(again)}, "statuses of duplicates")
    case.equal(len(scene.program.seen), seen, "updates at the program after duplicates")
