"""The world of held mode: updates are claimed, worked on, and accepted once."""

from world import FORGED, UNKNOWN, Hold, World, check

WINDOW = 256
FLYING = 14           # updates that Telegram delivers at a time
RIDES = 16            # remainders, so that rides take the place of others


class Update:
    """an update, as the executions tell"""

    def __init__(self, update_id):
        self.id = update_id
        self.flying = 0        # deliveries without a response
        self.acked = False
        self.ride = None
        self.handled = 0
        self.excused = False
        self.forget()

    def forget(self):
        """its record goes"""
        self.first = None      # when it was claimed first, ms
        self.attempts = 0
        self.charged = False


class Claims(World):
    deleted = ("held", "records", "firsts", "workers", "meta", "seen:0", "seen:1")

    def __init__(self, *arguments, **options):
        self.updates = {}                     # that Telegram delivers, by id
        self.known = []                       # all that ever were
        self.accepted = {}                    # id => update, since the last FLUSHALL
        self.slots = {}                       # remainder => id of the ride that is kept
        self.next_id = 0
        self.odd = False                      # keys were deleted
        self.closed = False
        super().__init__(*arguments, **options)
        self.next_id = self.random.randrange(1, 10**9)
        self.records = self.random.choice((6, 4096))

    # what Telegram does

    def work(self, worker):
        if self.random.random() < 0.4 and not self.closed:
            self.telegram(worker)
        elif worker.holds:
            self.go_on(worker)

    def telegram(self, worker):
        self.updates = {update.id: update for update in self.updates.values()
                        if update.flying or not update.acked or self.random.random() < 0.97}
        oldest = min(self.updates, default=self.next_id)
        if len(self.updates) < FLYING and self.next_id - oldest < WINDOW // 4:
            self.next_id += 1 if self.random.random() < 0.8 else self.random.randrange(1, 40)
            self.updates[self.next_id] = Update(self.next_id)
            self.known.append(self.updates[self.next_id])
        update = self.random.choice(list(self.updates.values()))
        if self.faulty and self.random.random() < 0.02:
            update = Update(FORGED + self.random.randrange(2**52))
        if update.flying < 2:
            self.claim(worker, update)

    def claim(self, worker, update):
        number, sent = worker.draw(), self.clock
        key = f"c{update.id}"
        worker.awaited.add(number)
        update.flying += 1

        def done(reply):
            worker.awaited.discard(number)
            update.flying -= 1
            if reply is UNKNOWN:
                return
            if reply[0] == 0:
                update.acked = True
            elif reply[0] == 1 and self.valid(worker):
                check(key not in worker.holds, update.id, "is claimed twice by", worker.name)
                worker.holds[key] = hold = Hold(number, sent, "work")
                hold.item = update
                check(not self.others(worker, key), "two workers handle", update.id, worker.name,
                      self.others(worker, key))

        self.send(worker, "claim", ("meta", "seen:0", "seen:1", "held", "records", "firsts",
                                    "workers", f"ride:{update.id % RIDES}"),
                  [update.id, WINDOW, worker.name, number, self.records, 0], done,
                  lambda reply: self.see_claim(update, reply))

    def see_claim(self, update, reply):
        verdict = reply[0]
        self.counts[f"claim {verdict}"] += 1
        exact = self.remembered(update.id, WINDOW)
        if verdict == 0:
            check(update.id in self.accepted or self.odd, update.id,
                  "is called a duplicate, and was lost")
            ride = self.accepted[update.id].ride if update.id in self.accepted else None
            kept = self.slots.get(update.id % RIDES) == update.id
            check(reply[1].decode() == (ride if ride and kept else "") or self.odd, update.id,
                  "has the ride", reply[1])
        if verdict != 1:
            return
        self.open(update.id)
        check(update.id not in self.accepted or not exact, update.id,
              "is claimed, and was accepted")
        if self.odd or self.records < 100:
            return
        if update.first is None:
            update.first = self.clock // 1000
        check(reply[1] == self.clock // 1000 - update.first, update.id, "has the age", reply[1])
        check(reply[2] == update.attempts, update.id, "has failed", reply[2], "times, not",
              update.attempts)
        check(reply[3] or not update.charged, update.id, "is charged again")

    # what workers do

    def go_on(self, worker):
        key = self.random.choice(list(worker.holds))
        hold = worker.holds[key]
        if hold.state != "work":
            return
        update = hold.item
        kind = self.random.random()
        if kind < 0.5:
            update.handled += 1
            check(update.handled == 1 or update.excused or self.odd or self.forgotten
                  or self.abandoned(update), update.id, "is handled twice, and nothing failed")
            ride = f"text\n{update.id}" if self.random.random() < 0.5 else ""
            self.unclaim(worker, key, hold, "accept", 0, 0, ride)
        elif kind < 0.95:
            self.unclaim(worker, key, hold, "release", self.random.randrange(2),
                         self.random.randrange(2), "")
        else:
            self.unclaim(worker, key, hold, "forget", 0, 0, "")

    def abandoned(self, update):
        return any(hold.item is update and not self.valid(worker)
                   for worker in self.workers for hold in worker.holds.values())

    def unclaim(self, worker, key, hold, what, failed, charged, ride):
        update = hold.item
        hold.state = "end"
        keys = ("meta", "seen:0", "seen:1", "held", "records", "firsts",
                f"ride:{update.id % RIDES}")
        argv = [update.id, WINDOW, f"{worker.name}/{hold.number}", what, failed, charged, ride]

        def done(reply):
            if worker.holds.get(key) is not hold:
                return
            if reply is UNKNOWN:
                hold.asked += 1
                self.send(worker, "unclaim", keys, argv, done, seen)
            elif reply == 0 and not (hold.asked and hold.settled):
                self.lose(worker, key, True)
            else:
                update.acked = update.acked or what == "accept"
                del worker.holds[key]

        def seen(reply):
            self.see_unclaim(update, hold, what, failed, charged, ride, reply)

        self.send(worker, "unclaim", keys, argv, done, seen)

    def see_unclaim(self, update, hold, what, failed, charged, ride, reply):
        self.counts[f"unclaim {what} {reply}"] += 1
        if reply == 2:
            check(update.id in self.accepted or self.odd, update.id, "was not accepted")
        if reply != 1:
            return
        hold.settled = True
        if what == "accept":
            exact = self.remembered(update.id, WINDOW)
            check(update.id not in self.accepted or not exact, update.id,
                  "is accepted twice")
            self.accepted[update.id] = update
            update.forget()
            update.ride = ride or update.ride
            if ride:
                self.slots[update.id % RIDES] = update.id
            self.move(update.id)
        elif what == "release":
            update.attempts += failed
            update.charged = update.charged or bool(charged)
        else:
            update.forget()

    # faults

    def lost(self, hold, key):
        hold.item.excused = True

    def gone(self, key):
        return self.odd

    def flushed(self):
        self.accepted.clear()
        self.slots.clear()
        self.forget_rings()
        for update in self.known:
            update.forget()
            update.excused = True
        self.void()

    def delete(self, kind):
        if kind == "lane":
            return
        self.redis(("DEL", self.key(kind)))
        if kind.startswith("seen") or kind == "meta":
            self.forgotten = True
        else:
            self.odd = True
            if kind in ("held", "workers"):
                self.void()

    # checks

    def inspect(self):
        held, records, firsts = self.redis(("HKEYS", self.key("held")),
                                           ("HKEYS", self.key("records")),
                                           ("ZRANGE", self.key("firsts"), 0, -1))
        check(len(firsts) <= self.records or self.odd, len(firsts), "records")
        check(set(held) <= set(firsts) or self.odd, "claims without a record", held, firsts)
        check({name.rstrip(b"c") for name in records} <= set(firsts) or self.odd,
              "attempts without a record", records, firsts)

    def closing(self):
        self.closed = True

    def unsettled(self):
        return self.redis(("HLEN", self.key("held")))[0] > 0

    def finish(self):
        check(self.redis(("EXISTS", self.key("held")))[0] == 0, "claims are left")
