"""The world of the queue: Telegram delivers, workers take, and all is handled in order."""

import collections

from world import FORGED, UNKNOWN, Hold, World, check

LANES = [f"{n:016x}" for n in range(0xa0, 0xac)]
WINDOW = 256
CONCURRENCY = 6
LIMIT = 70
LIMIT_SIZE = 9000
DEAD = 8              # letters at most
ATTEMPTS = 3


class Item:
    """an update in the queue, as its executions tell"""

    def __init__(self, update, lane, seq):
        self.update, self.lane, self.seq = update, lane, seq
        self.progress = None
        self.answer = None
        self.due = 0           # not before this time, us
        self.handled = 0       # how often the program took it
        self.excused = False   # a fault allows more than once
        self.size = 0


class Update:
    """an update that Telegram delivers"""

    def __init__(self, update_id, lane):
        self.id, self.lane = update_id, lane
        self.album = None
        self.flying = 0        # deliveries without a response
        self.acked = False


class Level:
    """a bucket, seen from outside: admissions never exceed rate * time + burst"""

    def __init__(self, token, burst):
        self.token, self.burst = token, burst
        self.level, self.at = 0.0, 0

    def now(self, clock):
        self.level = max(0.0, self.level - (clock - self.at) / self.token)
        self.at = clock
        return self.level


class Lanes(World):
    deleted = ("ready", "delayed", "flight", "lanes", "workers", "progress", "meta", "seen:0",
               "seen:1")

    def __init__(self, *arguments, **options):
        self.lanes = {lane: [] for lane in LANES}   # the items of each, in order
        self.bound = {lane: collections.deque() for lane in LANES}   # Telegram's own queues
        self.accepted = set()
        self.next_id = 0
        self.odd = False             # a key was deleted that is no list of a lane
        self.hollow = False          # a list was deleted
        self.events = collections.Counter()
        self.letters = {}            # id => update, of the letters in Redis
        self.levels = {}
        self.albums = {}             # (bucket, album) => whether the bucket took the album
        self.closed = False
        super().__init__(*arguments, **options)
        self.next_id = self.random.randrange(1, 10**9)

    # what Telegram does

    def work(self, worker):
        kind = self.random.random()
        if kind < 0.5 and not self.closed:
            self.telegram(worker)
        elif kind < 0.54 and not self.closed:
            self.operate(worker)
        elif kind < 0.6:
            self.take(worker)
        elif worker.holds:
            self.go_on(worker)

    def telegram(self, worker):
        lane = self.random.choice(LANES)
        bound = self.bound[lane]
        while bound and bound[0].acked:
            bound.popleft()
        if not bound:
            oldest = min((queue[0].id for queue in self.bound.values() if queue),
                         default=self.next_id)
            if self.next_id - oldest > WINDOW // 4:
                return
            self.next_id += 1 if self.random.random() < 0.9 else self.random.randrange(1, 40)
            bound.append(Update(self.next_id, lane))
            if self.random.random() < 0.4:
                bound[0].album = f"{lane}-{self.next_id // 8}"
        update = bound[0]
        if update.flying < (1 if self.calm else 2):
            self.accept(worker, update)
        if self.faulty and self.random.random() < 0.01:
            forged = self.random.choice((FORGED, 2**53, 2**62)) + self.random.randrange(10**11)
            self.accept(worker, Update(forged, lane))

    def accept(self, worker, update):
        dry = self.random.random() < 0.05
        buckets = [("limit:bot", 120_000, 5, 0), (f"limit:{update.lane}", 2_000_000, 2, 1)]
        buckets = buckets[:self.random.randrange(3)]
        keys = ["meta", "seen:0", "seen:1", "lanes", "ready", f"lane:{update.lane}",
                *(bucket[0] for bucket in buckets)]
        if update.album and not dry:
            keys += [f"album:{bucket[0]}:{update.album}" for bucket in buckets]
        argv = [update.id, WINDOW, update.lane, f"{update.id} {'x' * (update.id % 90)}", LIMIT,
                LIMIT_SIZE, int(dry)]
        for bucket in buckets:
            argv += bucket[1:]
        update.flying += 1

        def done(reply):
            update.flying -= 1
            if reply is not UNKNOWN and (reply[0] < 2 or reply[0] == 2
                                         and not buckets[reply[1] - 1][3]):
                update.acked = True

        self.send(worker, "accept", keys, argv, done,
                  lambda reply: self.see_accept(update, buckets, dry, argv[3], reply))

    def see_accept(self, update, buckets, dry, payload, reply):
        verdict = reply[0]
        self.counts[f"accept {verdict}"] += 1
        marked = abs(update.id) < 2**53
        if verdict == 0:
            check(update.id in self.accepted, update.id, "is called a duplicate, and was lost")
            return
        if self.remembered(update.id, WINDOW):
            check(update.id not in self.accepted, update.id, "is accepted twice")
        if verdict == 3:
            count = sum(map(len, self.lanes.values()))
            check(self.odd or self.hollow or count >= LIMIT
                  or self.bytes() + len(payload) > LIMIT_SIZE,
                  "full with", count, "items")
            return
        album = None if dry else update.album
        refused = self.levels_refuse(buckets, album)
        check(refused is None or self.forgotten or refused == reply[1], "bucket", reply[1],
              "refused,", refused, "had no token")
        if album and reply[1] and not buckets[reply[1] - 1][3]:
            self.albums.setdefault((buckets[reply[1] - 1][0], album), False)
        if verdict == 2 and not dry:
            if marked and not buckets[reply[1] - 1][3]:
                self.accept_id(update.id)
            return
        check(verdict == 1, "unknown verdict", verdict)
        if reply[1] == 0:
            for name, token, burst, _ in buckets:
                if album:
                    if (name, album) in self.albums:
                        continue
                    self.albums[name, album] = True
                level = self.levels.setdefault(name, Level(token, burst))
                level.level += 1
                check(level.level <= burst + 0.01, name, "admits too much")
        if marked:
            self.accept_id(update.id)
        self.append(update, reply[5], payload)
        self.events["accepted"] += 1
        check(sum(map(len, self.lanes.values())) <= LIMIT or self.odd, "more than the limit")

    def accept_id(self, update_id):
        self.accepted.add(update_id)
        self.open(update_id)
        self.move(update_id)

    def levels_refuse(self, buckets, album):
        """-> the first bucket that refuses, 0, or None: it cannot be told"""
        for i, (name, token, burst, _) in enumerate(buckets, 1):
            if (name, album) in self.albums:
                if not self.albums[name, album]:
                    return i
                continue
            level = self.levels.setdefault(name, Level(token, burst)).now(self.clock) + 1 - burst
            if abs(level) < 1e-3:
                return None
            if level > 0:
                return i
        return 0

    def append(self, update, seq, payload):
        item = Item(update, update.lane, seq)
        item.size = len(f"{seq} {self.clock // 1000} {payload}")
        self.lanes[update.lane].append(item)

    def bytes(self):
        return sum(item.size + (len(f"{item.seq} {item.answer}") if item.answer else 0)
                   for items in self.lanes.values() for item in items)

    # what workers do

    def take(self, worker):
        number, sent = worker.draw(), self.clock
        worker.awaited.add(number)

        def done(reply):
            worker.awaited.discard(number)
            if reply is UNKNOWN:
                return
            for lane in reply[4:]:
                lane = lane.decode()
                worker.holds["l" + lane] = hold = Hold(number, sent)
                self.read(worker, lane, hold)

        self.send(worker, "take", ("meta", "ready", "flight", "delayed", "workers"),
                  [worker.name, number, self.random.randint(1, 4), CONCURRENCY], done,
                  self.see_take)

    def see_take(self, reply):
        check(reply[3] <= CONCURRENCY or self.odd, "concurrency is", reply[3])

    def read(self, worker, lane, hold):
        def done(reply):
            if worker.holds.get("l" + lane) is not hold:
                return
            if reply is UNKNOWN or not self.valid(worker):
                self.read(worker, lane, hold)
            else:
                self.start(worker, lane, hold, reply)

        self.send(worker, "read", (f"lane:{lane}", "progress"), [lane, lane + "a"], done)

    def start(self, worker, lane, hold, reply):
        head, (progress, answer) = reply
        if head is None:
            self.settle(worker, lane, hold, 0, "gone")
            return
        seq = int(head.split()[0])
        item = next((item for item in self.lanes[lane] if item.seq == seq), None)
        if item is None and (self.odd or self.hollow):
            worker.holds.pop("l" + lane)
            return
        check(item, "item", seq, "of lane", lane, "is worked on and was ended")
        check(item is self.lanes[lane][0], "item", seq, "of lane", lane, "overtakes")
        check(self.clock >= item.due or self.odd, "item", seq, "is taken before its delay")
        check(not self.others(worker, "l" + lane), "two workers on lane", lane, worker.name,
              self.others(worker, "l" + lane))
        mine = [value and value.decode().split(" ", 1) for value in (progress, answer)]
        mine = [value[1] if value and int(value[0]) == seq else None for value in mine]
        check(mine == [item.progress, item.answer] or self.odd, "item", seq, "has saved", mine,
              "expected", item.progress, item.answer)
        hold.item, hold.state = item, "work"
        hold.progress, hold.answer = mine

    def go_on(self, worker):
        key = self.random.choice(list(worker.holds))
        hold = worker.holds[key]
        if hold.state != "work":
            return
        if key[0] == "d":
            self.end_letter(worker, key, hold)
            return
        lane, item = key[1:], hold.item
        kind = self.random.random()
        attempts = int(hold.progress or 0)
        if kind < (0.15 if hold.answer is None else 0.03):
            answer = f"a{item.seq}" + "y" * self.random.randrange(60)
            hold.answer = hold.answer or answer
            self.give(worker, lane, hold, "-", hold.progress or "", answer)
        elif kind < 0.3 and attempts + 1 < ATTEMPTS:
            self.give(worker, lane, hold, self.random.choice((0, 50, 500, 4000)),
                      str(attempts + 1), "")
        elif kind < 0.38:
            self.bury(worker, lane, hold)
        elif kind < 0.4:
            self.settle(worker, lane, hold, item.seq, self.random.choice(("expired", "dropped")))
        else:
            item.handled += 1
            check(item.handled == 1 or item.excused or self.odd or self.abandoned(item),
                  "item", item.seq, "is handled twice, and nothing failed")
            self.settle(worker, lane, hold, item.seq, "done")

    def abandoned(self, item):
        """whether a worker had it when its lease was over, and does not know yet"""
        return any(hold.item is item and not self.valid(worker)
                   for worker in self.workers for hold in worker.holds.values())

    def end(self, worker, key, hold, verb, keys, argv, then, seen):
        """sends what ends a lease until it is answered"""
        hold.state = "end"

        def done(reply):
            if worker.holds.get(key) is not hold:
                return
            if reply is UNKNOWN:
                hold.asked += 1
                self.send(worker, verb, keys, argv, done, seen)
            else:
                then(reply)

        self.send(worker, verb, keys, argv, done, seen)

    def settle(self, worker, lane, hold, seq, event):
        key = "l" + lane

        def then(reply):
            if reply == 0 and not (hold.asked and hold.settled):
                self.lose(worker, key, True)
            else:
                del worker.holds[key]

        self.end(worker, key, hold, "settle",
                 ("meta", "ready", "flight", "lanes", "progress", f"lane:{lane}"),
                 [lane, f"{worker.name}/{hold.number}", seq, event, self.random.randrange(2)],
                 then, lambda reply: self.see_settle(hold, lane, seq, event, reply))

    def see_settle(self, hold, lane, seq, event, reply):
        self.counts[f"settle {reply}"] += 1
        hold.settled = hold.settled or reply > 0
        if reply != 1:
            return
        check(self.lanes[lane] and self.lanes[lane][0].seq == seq, "settle of", seq,
              "removed another item of lane", lane)
        item = self.lanes[lane].pop(0)
        check(event != "done" or item.handled, "item", seq, "is done and was never handled")
        self.events[event] += 1

    def give(self, worker, lane, hold, delay, progress, answer):
        key = "l" + lane
        item = hold.item

        def then(reply):
            if reply == 0 and not (hold.asked and hold.settled):
                self.lose(worker, key, True)
            elif delay == "-" or reply == 2:
                hold.state, hold.asked = "work", 0
                if reply == 2:
                    hold.answer = None
            else:
                del worker.holds[key]

        self.end(worker, key, hold, "give", ("meta", "ready", "flight", "delayed", "progress"),
                 [lane, f"{worker.name}/{hold.number}", item.seq, delay, progress, answer,
                  LIMIT_SIZE, self.random.randrange(2)],
                 then, lambda reply: self.see_give(hold, item, delay, progress, answer, reply))

    def see_give(self, hold, item, delay, progress, answer, reply):
        self.counts[f"give {reply}"] += 1
        if reply != 1:
            return
        if progress:
            item.progress = progress
        if answer and item.answer is None:
            item.answer = answer
        if delay != "-":
            hold.settled = True
            item.due = self.clock // 1000 * 1000 + delay * 1000

    # dead letters

    def bury(self, worker, lane, hold):
        """gives up: a letter first, then the item"""
        update, seq, room = hold.item.update, hold.item.seq, self.random.random() < 0.2

        def then(reply):
            hold.asked = 0
            if reply[0] == 0:
                hold.state = "work"
            else:
                self.settle(worker, lane, hold, seq, "dead")

        self.end(worker, "l" + lane, hold, "dead_put", ("meta", "dead", "letters", "replays"),
                 [seq, f"{update.id}", f"{update.id} data", DEAD, int(room), 0, 0], then,
                 lambda reply: self.see_bury(seq, update, room, reply))

    def see_bury(self, seq, update, room, reply):
        check(reply[0] == seq or reply[0] == 0 and room, "letter", reply[0])
        if reply[0] == 0:
            check(len(self.letters) >= DEAD, "there was room for a letter")
            return
        self.letters[seq] = update
        there, replayed = self.redis(("ZRANGE", self.key("dead"), 0, -1),
                                     ("HKEYS", self.key("replays")))
        there = set(map(int, there))
        gone = set(self.letters) - there
        check(len(gone) == reply[1] and len(there) <= DEAD, "evicted", reply[1], "of",
              len(self.letters), "letters")
        check(all(letter > max(gone, default=0) for letter in there
                  if str(letter).encode() not in replayed and letter != seq),
              "evicted", gone, "and not the oldest of", there)
        for letter in gone:
            del self.letters[letter]

    def operate(self, worker):
        """an operator replays or drops a letter"""
        if not self.letters:
            return
        letter = self.random.choice(list(self.letters))
        update = self.letters[letter]
        kind = self.random.randrange(4)
        if kind == 0:
            self.send(worker, "dead_end", ("meta", "dead", "letters", "replays", "workers"),
                      [letter, "", 1], None, lambda reply: self.see_drop(letter, reply == 1))
        elif kind == 1 and "d%d" % letter not in worker.holds:
            self.lease_letter(worker, letter)
        else:
            payload = f"{update.id} again"
            for _ in range(self.random.randint(1, 2)):
                self.send(worker, "put", ("meta", "lanes", "ready", f"lane:{update.lane}",
                                          "letters", "dead", "replays", "workers"),
                          [update.lane, payload, LIMIT, LIMIT_SIZE, letter], None,
                          lambda reply: self.see_put(letter, update, payload, reply))

    def see_put(self, letter, update, payload, reply):
        if reply[0] == 0:
            check(letter not in self.letters, "letter", letter, "is there and not replayed")
        elif reply[0] == 1:
            check(letter in self.letters, "letter", letter, "is replayed twice")
            del self.letters[letter]
            self.append(update, reply[1], payload)
            self.events["replayed"] += 1

    def lease_letter(self, worker, letter):
        number, sent = worker.draw(), self.clock
        worker.awaited.add(number)
        key = "d%d" % letter

        def done(reply):
            worker.awaited.discard(number)
            if reply is not UNKNOWN and reply[0] == 1 and self.valid(worker) \
                    and key not in worker.holds:
                check(not self.others(worker, key) or self.odd, "two workers replay", letter)
                worker.holds[key] = Hold(number, sent, "work")

        self.send(worker, "dead_lease", ("meta", "letters", "replays", "workers"),
                  [letter, worker.name, number], done)

    def end_letter(self, worker, key, hold):
        letter, gone = int(key[1:]), self.random.randrange(2)

        def then(_):
            del worker.holds[key]

        self.end(worker, key, hold, "dead_end",
                 ("meta", "dead", "letters", "replays", "workers"),
                 [letter, f"{worker.name}/{hold.number}", gone], then,
                 lambda reply: self.see_drop(letter, reply == 1 and gone))

    def see_drop(self, letter, gone):
        if gone:
            check(self.letters.pop(letter, None), "letter", letter, "is dropped twice")

    # faults

    def lost(self, hold, key):
        if hold.item:
            hold.item.excused = True

    def gone(self, key):
        return self.odd or key[0] == "d" and int(key[1:]) not in self.letters

    def flushed(self):
        self.accepted.clear()
        self.forget_rings()
        for items in self.lanes.values():
            items.clear()
        self.letters.clear()
        self.levels.clear()
        self.events.clear()
        self.void()

    def delete(self, kind):
        if kind == "lane":
            lane = self.random.choice(LANES)
            self.redis(("DEL", self.key(f"lane:{lane}")))
            self.hollow = self.hollow or bool(self.lanes[lane])
            self.lanes[lane].clear()
            return
        self.redis(("DEL", self.key(kind)))
        if kind.startswith("seen"):
            self.forgotten = True
        elif kind == "meta":
            self.events.clear()
            self.odd = self.forgotten = True
        else:
            self.odd = True
            if kind in ("flight", "workers"):
                self.void()

    # checks

    def inspect(self):
        key = self.key
        replies = self.redis(
            ("HGETALL", key("meta")), ("LRANGE", key("ready"), 0, -1),
            ("ZRANGE", key("delayed"), 0, -1), ("HKEYS", key("flight")),
            ("ZRANGE", key("lanes"), 0, -1),
            *(("LRANGE", key(f"lane:{lane}"), 0, -1) for lane in LANES))
        meta = dict(zip(replies[0][::2], replies[0][1::2]))
        count = {name.decode(): int(value) for name, value in meta.items()}
        for lane, items in zip(LANES, replies[5:]):
            check([int(item.split()[0]) for item in items]
                  == [item.seq for item in self.lanes[lane]], "lane", lane, "has", items)
        self.books(count)
        if self.odd:
            return
        places = collections.Counter(replies[1] + replies[2] + replies[3])
        for lane, n in places.items():
            check(n == 1, "lane", lane, "is in", n, "places")
        check(set(places) == set(replies[4]), "lanes", set(places) ^ set(replies[4]))
        if self.hollow:
            return
        check(set(replies[4]) == {lane.encode() for lane in LANES if self.lanes[lane]},
              "lanes with items", replies[4])

    def books(self, count):
        got = {name: count.get(name, 0) for name in
               ("accepted", "replayed", "done", "dead", "expired", "dropped", "loaded", "items")}
        check(got["accepted"] + got["replayed"] + got["loaded"]
              == got["done"] + got["dead"] + got["expired"] + got["dropped"] + got["items"],
              "the books do not balance:", got)
        if not self.odd:
            for event in ("accepted", "replayed", "done", "dead", "expired"):
                check(got[event] == self.events[event], event, got[event], self.events[event])
        if not self.odd and not self.hollow:
            check(got["dropped"] == self.events["dropped"], "dropped", got["dropped"])
            check(got["items"] == sum(map(len, self.lanes.values())), "items", got["items"])
            check(count.get("bytes", 0) == self.bytes(), "bytes", count.get("bytes"),
                  self.bytes())

    # the end

    def closing(self):
        self.closed = True

    def unsettled(self):
        return any(self.lanes.values()) or self.redis(
            ("EXISTS", *map(self.key, ("ready", "delayed", "flight"))))[0] > 0

    def finish(self):
        counters, keys = self.redis(
            ("HMGET", self.key("meta"), "items", "bytes"),
            ("EXISTS", *map(self.key, ("lanes", "progress", *("lane:" + lane for lane in LANES)))))
        check([int(counter or 0) for counter in counters] == [0, 0], "at the end", counters)
        check(keys == 0, "at the end", keys, "keys are left")
