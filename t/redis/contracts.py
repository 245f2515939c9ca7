"""What the contracts of the scripts promise and a schedule of workers does not show."""

import ast
import functools
import hashlib
import re
import subprocess
import tempfile
import time
import unittest

import server
from ports import free_port

LANE = "00000000000000a1"
BOT = "{t:bot}:"

KEYS = {
    "accept": f"meta seen:0 seen:1 lanes ready lane:{LANE}",
    "put": f"meta lanes ready lane:{LANE} put:7",
    "take": "meta ready flight delayed workers",
    "beat": "meta ready flight workers held records replays lanes delayed progress",
    "settle": f"meta ready flight lanes progress lane:{LANE}",
    "give": "meta ready flight delayed progress",
    "claim": "meta seen:0 seen:1 held records firsts workers ride:1",
    "unclaim": "meta seen:0 seen:1 held records firsts ride:1",
    "limit": "meta limit:a",
    "dead_put": "meta dead letters replays",
    "dead_list": "meta dead letters replays workers",
    "dead_lease": "meta letters replays workers",
    "dead_end": "meta dead letters replays workers",
    "state": "meta ready flight delayed workers lanes held firsts dead letters",
    "cache_get": "cache:a cache:a:lock",
    "cache_fill": "cache:a cache:a:lock",
    "register": "meta register register:lock",
    "pace": "meta stop:a stop pace:a group:a pace:all",
    "pace_stop": "meta stop:a stop",
    "pace_back": "meta pace:a pace:all",
}

# arguments with which each script does something
ARGUMENTS = {
    "accept": (1, 1024, LANE, "x", 10, 1000, 0),
    "put": (LANE, "x", 10, 1000, 7),
    "take": ("w", 1, 1, 1),
    "beat": ("w", 1000, 2),
    "settle": (LANE, "w/1", 1, "done", 0),
    "give": (LANE, "w/1", 1, 0, "", "", 1000, 0),
    "claim": (1, 1024, "w", 1, 4096, 0),
    "unclaim": (1, 1024, "w/1", "accept", 0, 0, ""),
    "limit": (1000000, 1, 0),
    "dead_put": (0, "head", "data", 10, 0, 0, 0),
    "dead_list": (0, 10),
    "dead_lease": (1, "w", 1),
    "dead_end": (1, "", 1),
    "state": (),
    "cache_get": ("w", 1000),
    "cache_fill": ("w", "x", 1000),
    "register": ("w/1", 1000, ""),
    "pace": (1000, 5000, 0, 1000000, 3, 3000000, 20, 33334, 30),
    "pace_stop": (1000, "7", 0),
    "pace_back": (1000000, 3, 33334, 30),
}


class Contracts(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = server.Server()
        cls.redis = cls.server.connect()
        cls.scripts = {name: cls.redis.call("SCRIPT", "LOAD", server.text(name))
                       for name in server.names()}

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def setUp(self):
        self.redis.call("FLUSHALL")
        self.redis.call("CONFIG", "SET", "maxmemory", 0)

    def run_script(self, name, *argv, keys=None):
        keys = [BOT + key for key in (keys or KEYS[name]).split()]
        return self.redis.call("EVALSHA", self.scripts[name], len(keys), *keys, *argv)

    def accept(self, update_id, *buckets, keys="", payload="x", limit=100, size=100000, dry=0):
        return self.run_script("accept", update_id, 1024, LANE, payload, limit, size, dry,
                               *buckets, keys=KEYS["accept"] + keys)

    def head(self):
        return int(self.redis.call("LINDEX", f"{BOT}lane:{LANE}", 0).split()[0])

    def taken(self):
        """-> seq of an item that worker w has taken by token 5"""
        self.run_script("beat", "w", 60000, 4)
        self.accept(1)
        self.assertEqual(self.run_script("take", "w", 5, 9, 9)[4:], [LANE.encode()])
        return self.head()

    def test_all_are_here(self):
        self.assertEqual(set(KEYS), set(server.names()))
        self.assertEqual(set(ARGUMENTS), set(server.names()))

    def test_embedded(self):
        """the build makes the same texts, as strings of C, and their SHA1"""
        with tempfile.TemporaryDirectory() as directory:
            header = f"{directory}/lua.h"
            subprocess.run(["sh", f"{server.WORK}/ngx_http_tgbot_redis_scripts.sh", server.WORK,
                            header], check=True)
            with open(header, encoding="ascii") as file:
                made = file.read()
        for name in server.names():
            own = re.search(f"script_{name} = {{(.*?)^}};", made, re.M | re.S)[1]
            strings = re.findall(r'^ +("#?.*\\n")$', own, re.M)
            self.assertEqual("".join(map(ast.literal_eval, strings)), server.text(name))
            digest = "".join(re.findall(r"'([0-9a-f])'", own.splitlines()[-1]))
            self.assertEqual(digest, hashlib.sha1(server.text(name).encode()).hexdigest())
            self.assertEqual(digest.encode(), self.scripts[name])

    def test_another_layout(self):
        """a script refuses keys of another layout, and changes nothing"""
        self.redis.call("HSET", BOT + "meta", "v", "0")
        for name, argv in ARGUMENTS.items():
            if name.startswith("cache"):    # no layout: the keys live for minutes
                continue
            reply = self.run_script(name, *argv)
            self.assertIsInstance(reply, server.Error, name)
            self.assertTrue(reply.startswith("TGBOTVERSION"), reply)
        self.assertEqual(self.redis.call("KEYS", "*"), [(BOT + "meta").encode()])

    def test_no_keys(self):
        """no script fails on an empty Redis"""
        for name, argv in ARGUMENTS.items():
            self.redis.call("FLUSHALL")
            self.assertNotIsInstance(self.run_script(name, *argv), server.Error, name)

    def test_declared(self):
        """no script touches a key that is not declared"""
        self.redis.call("ACL", "SETUSER", "some", "on", "nopass", "~" + BOT + "*", "+@all",
                        "&" + BOT + "*")
        other = self.server.connect()
        other.call("AUTH", "some", "x")
        for name, argv in ARGUMENTS.items():
            keys = [BOT + key for key in KEYS[name].split()]
            reply = other.call("EVALSHA", self.scripts[name], len(keys), *keys, *argv)
            self.assertNotIsInstance(reply, server.Error, name)

    def test_maxmemory(self):
        """at maxmemory nothing is accepted, and what was is worked on to its end"""
        seq = self.taken()
        self.redis.call("CONFIG", "SET", "maxmemory", 1)
        for name in ("accept", "claim", "put", "limit", "cache_get", "cache_fill", "pace",
                     "pace_stop"):
            reply = self.run_script(name, *ARGUMENTS[name])
            self.assertIsInstance(reply, server.Error, name)
            self.assertTrue(reply.startswith("OOM"), reply)
        state = self.run_script("state")
        self.assertEqual(dict(zip(state[7][::2], state[7][1::2]))[b"items"], b"1")
        self.assertEqual(self.run_script("beat", "w", 60000, 6, f"l{LANE}/5")[4:], [])
        self.assertEqual(self.run_script("give", LANE, "w/5", seq, 0, "p", "a", 9999, 0), 1)
        self.assertEqual(self.run_script("take", "w", 7, 9, 9)[4:], [LANE.encode()])
        self.assertEqual(self.run_script("dead_put", seq, "h", "d", 9, 0, 0, 0), [seq, 0])
        self.assertEqual(self.run_script("settle", LANE, "w/7", seq, "dead", 0), 1)

    def test_register(self):
        """one machine at a time, and each hears what the one before it knew"""
        register = functools.partial(self.run_script, "register")
        for _ in range(2):
            self.assertEqual(register("w/1", 9000, ""), [1, b""])
            self.assertEqual(register("v/1", 9000, ""), [0, b""])
        # nor does another one end the lock, or tell
        self.assertEqual(register("v/1", 0, ""), [0, b""])
        self.assertEqual(register("v/1", 9000, "lies"), [0, b""])
        for _ in range(2):
            self.assertEqual(register("w/1", 9000, "first"), [1, b"first"])
        self.assertEqual(register("w/1", 0, "second"), [1, b"second"])
        self.assertEqual(register("v/1", 9000, ""), [1, b"second"])
        self.assertEqual(register("w/1", 9000, ""), [0, b"second"])
        self.assertGreater(self.redis.call("PTTL", BOT + "register:lock"), 5000)
        self.assertEqual(register("v/1", 0, ""), [1, b"second"])
        # who has no lock any more says nothing, and cannot say it again
        self.assertEqual(register("v/1", 0, "late"), [0, b"second"])
        self.assertEqual(register("w/1", 0, ""), [1, b"second"])
        self.assertEqual(self.redis.call("KEYS", "*"), [(BOT + "register").encode()])
        self.redis.call("CONFIG", "SET", "maxmemory", 1)
        self.assertEqual(register("w/1", 9000, ""), [1, b"second"])

    def test_foreign_key(self):
        """a key of another type: an error, and the update is not marked as accepted"""
        for kind in ("lanes", "ready", f"lane:{LANE}"):
            self.redis.call("FLUSHALL")
            self.redis.call("SET", BOT + kind, "x")
            self.assertIsInstance(self.accept(1), server.Error, kind)
            self.redis.call("DEL", BOT + kind)
            self.assertEqual(self.accept(1)[0], 1, kind)

    def test_numbers(self):
        """numbers are written with all their digits"""
        self.accept(2**53 - 1)
        seq = self.head()
        self.assertGreater(seq, 10**15)
        for kind, fields in (("meta", ("seq", "top1", "made")),):
            for value in self.redis.call("HMGET", BOT + kind, *fields):
                self.assertRegex(value, rb"^[0-9]+$")
        self.assertEqual(self.redis.call("HGET", BOT + "meta", "seq"), str(seq).encode())
        self.assertEqual(self.accept(2**53 - 1), [0])

    def test_negative_and_huge_ids(self):
        """any 64-bit id is handled: below 2^53 once"""
        for update_id in (-1, -2**53 + 1, 2**53 - 1, 0):
            self.assertEqual(self.accept(update_id)[0], 1)
            self.assertEqual(self.accept(update_id)[0], 0, update_id)
        self.assertEqual(self.accept(2**63 - 1)[0], 1)
        self.assertEqual(self.accept(-2**63)[0], 1)

    def test_bell(self):
        """the bell rings when nothing was ready, and only then"""
        other = self.server.connect()
        other.call("SUBSCRIBE", BOT + "ready")
        self.accept(1)
        self.assertEqual(other.read(), [b"message", (BOT + "ready").encode(), b""])
        self.accept(2)
        self.run_script("beat", "w", 60000, 1)
        self.run_script("take", "w", 2, 1, 1)
        self.run_script("settle", LANE, "w/2", self.head(), "done", 0)
        self.run_script("take", "w", 3, 1, 1)
        self.run_script("give", LANE, "w/3", self.head(), 0, "", "", 1000, 1)
        self.assertEqual(other.read()[0], b"message")
        other.send(("PING",))
        self.assertEqual(other.read()[0], b"pong")

    def test_bucket_lives(self):
        """a bucket's key lives until the bucket is full, and not much longer"""
        for token, burst in ((500, 1), (1000000, 3), (60000000, 20)):
            self.redis.call("FLUSHALL")
            for _ in range(burst):
                self.run_script("limit", token, burst, 0)
                full = self.redis.call("GET", BOT + "limit:a")
                ends = self.redis.call("PEXPIRETIME", BOT + "limit:a")
                if ends > 0:                   # else it was full before it was asked for
                    self.assertEqual(ends, (int(full) + 999) // 1000)

    def test_bucket_notice(self):
        """the first refusal since the bucket was full is told from others"""
        keys = "meta limit:a limit:b"
        buckets = (10**8, 9, 0, 10**8, 1, 0)
        self.assertEqual(self.run_script("limit", *buckets, keys=keys), [0, 0, 0])
        for first in (1, 0, 0):
            number, wait, told = self.run_script("limit", *buckets, keys=keys)
            self.assertEqual((number, told), (2, first))
            self.assertLessEqual(wait, 10**5)
            self.assertGreater(wait, 10**5 - 5000)

    def test_clock_set_back(self):
        """a bucket of the future refuses for no longer than it takes to fill"""
        self.redis.call("SET", BOT + "limit:a", str(10**17))
        self.assertLessEqual(self.run_script("limit", 10**6, 3, 0)[1], 1000)

    def ask(self, *buckets, limit=10**6, due=0, chat="a"):
        """asks for a place in the buckets of a chat and its bot"""
        names = [f"pace:{chat}", "pace:all"][:len(buckets)]
        keys = ["meta", f"stop:{chat}", "stop", *names]
        return self.run_script("pace", limit, 5000, due, *sum(buckets, ()),
                               keys=" ".join(keys))

    def within(self, ms, wanted, about):
        """at most the time of a slow machine has passed; 5 ms are for coarse clocks"""
        self.assertLessEqual(ms, wanted + 11, about)
        self.assertGreater(ms, wanted - 5000, about)

    def test_places(self):
        """each place is a period behind the one before, a part of the burst is kept back"""
        chat, bot = (10**8, 5), (10**7, 40)
        for _ in range(4):
            self.assertEqual(self.ask(chat, bot), [0, 0, 0])
        for number in range(3):
            what, ms, due = self.ask(chat, bot)
            self.assertEqual(what, 1)
            self.within(due // 1000 - time.time() * 1000, ms, "its time")
            self.within(ms, 1000 + 10**5 * number, number)
        # the next one would wait for too long, and changes nothing
        before = self.redis.call("GET", BOT + "pace:a")
        what, ms = self.ask(chat, bot, limit=2 * 10**5)
        self.assertEqual(what, 4)
        self.within(ms, 1000 + 3 * 10**5, "busy")
        self.assertEqual(self.redis.call("GET", BOT + "pace:a"), before)
        # another chat does not wait for this one
        self.assertEqual(self.ask(chat, bot, chat="b"), [0, 0, 0])

    def test_place_of_the_bot(self):
        """a chat that waits holds none; who has its place in the chat gets the bot's"""
        chat, bot = (10**8, 1), (10**8, 1)
        self.assertEqual(self.ask(chat, bot), [0, 0, 0])
        self.assertEqual(self.ask(chat, bot)[0], 1)
        full = self.redis.call("GET", BOT + "pace:all")
        what, ms, _ = self.ask(chat, bot, chat="b")
        self.assertEqual(what, 0)
        self.within(ms, 10**5, "the other chat has the first place of the bot")
        self.assertGreater(int(self.redis.call("GET", BOT + "pace:all")), int(full))
        # as if the time of its place had come
        what, ms, _ = self.ask(chat, bot, due=int(time.time() * 10**6))
        self.assertEqual(what, 0)
        self.within(ms, 2 * 10**5, "and this one the second")

    def test_place_too_early(self):
        """who asks before the time of the place keeps it; one far ahead was another clock's"""
        chat, bot = (10**8, 1), (1, 10**6)
        self.assertEqual(self.ask(chat, bot), [0, 0, 0])
        due = self.ask(chat, bot)[2]
        full = self.redis.call("GET", BOT + "pace:a")
        what, ms, again = self.ask(chat, bot, due=due)
        self.assertEqual((what, again), (1, due))
        self.within(ms, 10**5, "the rest of the wait")
        self.assertEqual(self.redis.call("GET", BOT + "pace:a"), full)
        what, _, again = self.ask(chat, bot, due=due + 3600 * 10**6)
        self.assertEqual(what, 1)
        self.assertGreater(again, due)
        self.assertLess(again, due + 2 * 10**8)

    def test_places_given_back(self):
        """the next one gets the time of the last; a bucket of one call keeps it"""
        for burst, wanted in ((5, 1), (1, 2)):
            self.redis.call("FLUSHALL")
            while self.ask((10**8, burst), (1, 10**6))[1] < 10**5:
                pass
            self.run_script("pace_back", 10**8, burst, keys="meta pace:a")
            self.within(self.ask((10**8, burst), (1, 10**6))[1],
                        10**5 * wanted + 1000 * (burst > 1), burst)
        self.run_script("pace_back", 10**8, 5, keys="meta pace:none")
        self.assertEqual(self.redis.call("EXISTS", BOT + "pace:none"), 0)

    def test_stopped(self):
        """a pause stops all, and the later end counts; then one call is the probe"""
        other = self.server.connect()
        other.call("SUBSCRIBE", BOT + "stop")
        stop = functools.partial(self.run_script, "pace_stop")
        buckets = (1, 10**6), (1, 10**6)
        stop(9000, "@a", 0)
        self.assertEqual(other.read()[1:], [(BOT + "stop").encode(), b"9000 @a"])
        stop(1000, "@a", 0)
        what, ms, where = self.ask(*buckets)
        self.assertEqual((what, where), (2, 1))
        self.assertGreater(ms, 2000)
        self.assertEqual(self.ask(*buckets, chat="b"), [0, 0, 0])
        stop(9000, "", 0, keys="meta stop stop")
        self.assertEqual(self.ask(*buckets, chat="b")[::2], [2, 2])
        for key in ("stop", "stop:a"):
            self.redis.call("SET", BOT + key, f"{int(time.time() * 10**6)} 0 0")
        self.assertEqual(self.ask(), [0, 0, 1])
        self.assertEqual(self.ask(*buckets), [3, 200, 1])
        self.assertEqual(self.ask(*buckets, chat="b"), [3, 200, 2])
        # a call that was sent before the pause meets a 429, and is not the probe
        stop(1, "@a", 0)
        time.sleep(0.005)
        self.assertEqual(self.ask(*buckets), [3, 200, 1])
        # the probe fails, and another one is it
        stop(-1, "@a", 0)
        self.assertEqual(self.ask(*buckets), [0, 0, 1])
        # it meets a 429, which the bot waits for as well
        stop(9000, "@a", 1)
        self.assertEqual(self.ask(*buckets, chat="b")[::2], [2, 2])
        # an answer that comes late ends nothing
        stop(0, "@a", 0)
        self.assertEqual(self.ask(*buckets)[::2], [2, 1])
        for key in ("stop", "stop:a"):
            self.redis.call("SET", BOT + key, f"{int(time.time() * 10**6)} 0 0")
        self.assertEqual(self.ask(*buckets), [0, 0, 1])
        self.assertGreater(self.redis.call("PTTL", BOT + "stop"), 50000)
        stop(0, "@a", 0)
        self.assertEqual(self.ask(*buckets), [0, 0, 0])
        self.assertEqual(self.redis.call("EXISTS", BOT + "stop", BOT + "stop:a"), 0)

    def test_stopped_clock(self):
        """a clock that is set back makes neither a pause nor the lease of a probe longer"""
        us = int(time.time() * 10**6)
        hour = 3600 * 10**6
        for lease, wanted in ((0, 2), (us + hour + 10**6, 3)):
            self.redis.call("SET", BOT + "stop:a",
                            f"{us + hour + (10**6 if wanted == 2 else -1)} {lease} {us + hour}")
            for most in (1000, 990):
                what, ms, _ = self.ask((1, 10**6), (1, 10**6))
                self.assertEqual(what, wanted)
                self.assertLessEqual(ms, most)
                time.sleep(0.02)
            time.sleep(1)
            self.assertEqual(self.ask((1, 10**6), (1, 10**6)), [0, 0, 1])

    def test_paces_live(self):
        """a bucket's key lives until the bucket is full"""
        self.ask((10**8, 3), (10**6, 30))
        for key in ("pace:a", "pace:all"):
            full = int(self.redis.call("GET", BOT + key))
            self.assertEqual(self.redis.call("PEXPIRETIME", BOT + key), (full + 999) // 1000)
        self.redis.call("SET", BOT + "pace:a", 10**17)    # the clock was set back
        self.assertEqual(self.ask((10**8, 3), (10**6, 30))[0], 0)

    def photo(self, album, *buckets):
        """asks limit for the buckets a and b, and tells whether they were charged"""
        names = "ab"[:len(buckets)]
        keys = ["meta", *(f"limit:{name}" for name in names),
                *(f"album:{name}{album}" for name in names)]
        before = [self.redis.call("GET", BOT + f"limit:{name}") for name in names]
        reply = self.run_script("limit", *sum(buckets, ()), keys=" ".join(keys))
        after = [self.redis.call("GET", BOT + f"limit:{name}") for name in names]
        return reply[0], reply[2], [old != new for old, new in zip(before, after)]

    def test_album(self):
        """the photos of an album are charged once, and taken or refused together"""
        bucket = (10**8, 2, 0)
        self.assertEqual(self.photo(1, bucket), (0, 0, [True]))
        self.assertEqual(self.photo(1, bucket), (0, 0, [False]))
        self.assertEqual(self.photo(2, bucket), (0, 0, [True]))
        self.assertEqual(self.photo(1, bucket), (0, 0, [False]))
        self.assertEqual(self.photo(3, bucket), (1, 1, [True]))
        self.redis.call("DEL", BOT + "limit:a")          # there is a token again
        self.assertEqual(self.photo(3, bucket), (1, 0, [False]))
        self.assertEqual(self.photo(4, bucket), (0, 0, [True]))
        for name in ("album:a1", "album:a3"):
            self.assertGreater(self.redis.call("PTTL", BOT + name), 50000)
            self.assertLessEqual(self.redis.call("PTTL", BOT + name), 60001)

    def test_album_rejected(self):
        """an update that comes again is looked at again, and the others go with it"""
        bucket = (10**8, 1, 1)
        self.assertEqual(self.photo(1, bucket), (0, 0, [True]))
        self.assertEqual(self.photo(2, bucket)[:2], (1, 1))
        self.redis.call("DEL", BOT + "limit:a")
        self.assertEqual(self.photo(2, bucket), (0, 0, [True]))
        self.assertEqual(self.photo(2, bucket), (0, 0, [False]))

    def test_album_of_two(self):
        """one bucket refuses, so no other one remembers that it took the album"""
        wide, narrow = (10**8, 9, 0), (10**8, 1, 0)
        self.assertEqual(self.photo(1, wide, narrow), (0, 0, [True, True]))
        self.assertEqual(self.photo(1, wide, narrow), (0, 0, [False, False]))
        self.assertEqual(self.photo(2, wide, narrow)[:2], (2, 1))
        self.assertEqual(self.photo(2, wide, narrow), (2, 0, [False, False]))
        self.assertEqual(self.redis.call("EXISTS", BOT + "album:a2"), 0)

    def test_album_accepted(self):
        """accept asks the same, and decides nothing about an album of a full queue"""
        keys = " limit:a album:a"
        bucket = (10**8, 1, 0)
        self.accept(1)
        self.assertEqual(self.accept(2, *bucket, keys=keys, limit=1)[0], 3)
        self.assertEqual(self.redis.call("EXISTS", BOT + "album:a"), 0)
        for update_id in (2, 3, 4):
            self.assertEqual(self.accept(update_id, *bucket, keys=keys)[:2], [1, 0])
        keys = " limit:a album:b"
        self.assertEqual(self.accept(5, *bucket, keys=keys)[:4:3], [2, 1])
        self.assertEqual(self.accept(6, *bucket, keys=keys)[:4:3], [2, 0])

    def test_limited(self):
        """a limited update is accepted too, unless its bucket rejects; a dry run only tells"""
        bucket = (10**8, 1)
        keys = " limit:a"
        self.assertEqual(self.accept(1, *bucket, 0, keys=keys)[:2], [1, 0])
        self.assertEqual(self.accept(2, *bucket, 0, keys=keys)[:2], [2, 1])
        self.assertEqual(self.accept(2, *bucket, 0, keys=keys), [0])
        self.assertEqual(self.accept(3, *bucket, 1, keys=keys)[:2], [2, 1])
        self.assertEqual(self.accept(3, *bucket, 1, keys=keys, dry=1)[:2], [1, 1])
        self.assertEqual(self.redis.call("LLEN", f"{BOT}lane:{LANE}"), 2)

    def test_full(self):
        """a full queue tells the age of its oldest item, and takes no token"""
        self.accept(1)
        for change in ({"limit": 1}, {"size": 20}):
            reply = self.accept(2, 10**6, 1, 0, keys=" limit:a", **change)
            self.assertEqual(reply[0], 3)
            self.assertLess(reply[1], 10000)
        self.assertEqual(self.accept(2, payload="x" * 30, size=29), [4])
        self.assertEqual(self.redis.call("EXISTS", BOT + "limit:a"), 0)
        self.assertEqual(self.accept(2)[0], 1)

    def test_answer(self):
        """an answer is saved once, counted, and refused if there is no room"""
        seq = self.taken()
        give = ("give", LANE, "w/5", seq, "-")
        self.assertEqual(self.run_script(*give, "1", "a" * 500, 400, 0), 2)
        self.assertEqual(self.redis.call("EXISTS", BOT + "progress"), 0)
        self.assertEqual(self.run_script(*give, "1", "first", 400, 0), 1)
        self.assertEqual(self.run_script(*give, "2", "other", 400, 0), 1)
        self.assertEqual(self.redis.call("HMGET", BOT + "progress", LANE, LANE + "a"),
                         [f"{seq} 2".encode(), f"{seq} first".encode()])
        self.assertEqual(self.run_script("settle", LANE, "w/5", seq, "done", 0), 1)
        self.assertEqual(self.redis.call("HMGET", BOT + "meta", "items", "bytes"), [b"0", b"0"])
        self.assertEqual(self.redis.call("EXISTS", BOT + "progress"), 0)

    def test_meta_deleted(self):
        """without meta the bot goes on, a beat tells, and the books balance"""
        seq = self.taken()
        made = self.run_script("beat", "w", 60000, 6, f"l{LANE}/5")[1]
        self.redis.call("DEL", BOT + "meta")
        self.assertEqual(self.run_script("settle", LANE, "w/5", seq, "done", 0), 1)
        reply = self.run_script("beat", "w", 60000, 7)
        self.assertNotEqual(reply[1], made)
        fields = self.run_script("state")[7]
        fields = dict(zip(fields[::2], map(int, fields[1::2])))
        self.assertEqual((fields[b"loaded"], fields[b"done"]), (1, 1))
        self.assertEqual(self.accept(9)[0], 1)
        self.assertGreater(self.head(), seq)

    def test_away(self):
        """a worker whose lease is over spares the others, one that had none reaps them"""
        for again, left in (("v", 1), ("u", 0)):
            self.redis.call("FLUSHALL")
            for worker in ("w", "v"):
                self.run_script("beat", worker, 60000, 1)
            self.run_script("claim", 1, 1024, "w", 2, 9, 0)
            for worker in ("w", "v"):
                self.redis.call("ZADD", BOT + "workers", 1, worker)
            self.assertEqual(self.run_script("beat", again, 60000, 3)[3], 1 - left)
            self.assertEqual(self.redis.call("HLEN", BOT + "held"), left)

    def test_ride(self):
        """a ride is repeated, unless another update's took its place or it is too long"""
        self.run_script("beat", "w", 60000, 1)
        rides = ((1, "t\nx"), (2, ""), (3, "y" * 4097), (4, "y" * 4098))
        for update_id, ride in rides:
            keys = KEYS["unclaim"].replace("ride:1", f"ride:{update_id}")
            claim = KEYS["claim"].replace("ride:1", f"ride:{update_id}")
            number = update_id + 10
            self.assertEqual(self.run_script("claim", update_id, 1024, "w", number, 9,
                                             keys=claim)[0], 1)
            self.assertEqual(self.run_script("unclaim", update_id, 1024, f"w/{number}", "accept",
                                             0, 0, ride, keys=keys), 1)
            kept = ride.encode() if len(ride) <= 4097 else b""
            self.assertEqual(self.run_script("claim", update_id, 1024, "w", 50, 9, keys=claim),
                             [0, kept])
        self.assertGreater(self.redis.call("PTTL", BOT + "ride:1"), 200000)
        self.assertEqual(self.run_script("claim", 2, 1024, "w", 51, 9), [0, b""])

    def test_durable_claim(self):
        """a claim on the durable connection writes if the update is accepted, else takes nothing"""
        self.run_script("beat", "w", 60000, 1)
        self.assertEqual(self.run_script("claim", 1, 1024, "w", 2, 9, 1), [4])
        self.assertEqual(self.run_script("claim", 1, 1024, "w", 2, 9, 0)[0], 1)
        self.assertEqual(self.run_script("claim", 1, 1024, "w", 3, 9, 1), [4])
        self.run_script("unclaim", 1, 1024, "w/2", "accept", 0, 0, "")
        self.redis.call("CONFIG", "RESETSTAT")
        self.assertEqual(self.run_script("claim", 1, 1024, "w", 3, 9, 0), [0, b""])
        self.assertNotIn("cmdstat_hset", self.redis.call("INFO", "commandstats").decode())
        self.assertEqual(self.run_script("claim", 1, 1024, "w", 3, 9, 1), [0, b""])
        self.assertIn("cmdstat_hset", self.redis.call("INFO", "commandstats").decode())

    def test_letters(self):
        """letters are listed by id, those that are replayed are evicted last"""
        self.run_script("beat", "w", 60000, 1)
        ids = [self.bury(f"h{n}")[0] for n in range(3)]
        self.assertEqual(self.run_script("dead_list", 0, 2),
                         [3, ids[0], b"h0", 4, 0, ids[1], b"h1", 4, 0])
        self.assertEqual(self.run_script("dead_list", ids[1], 9)[1], ids[2])
        self.assertEqual(self.run_script("dead_list", 0, 0), [3])
        self.assertEqual(self.run_script("dead_lease", ids[0], "w", 2), [1, 0, b"h0", b"data"])
        self.assertEqual(self.bury("h3", spare=1), [0, 0])
        self.assertEqual(self.bury("h3")[1], 1)
        self.assertEqual(self.run_script("dead_list", 0, 1)[1], ids[0])
        self.assertEqual(self.run_script("dead_end", ids[0], "", 1), 2)
        self.assertEqual(self.run_script("dead_lease", ids[0], "v", 2), [4])
        self.run_script("beat", "v", 60000, 1)
        self.assertEqual(self.run_script("dead_lease", ids[0], "v", 2), [2])
        self.assertEqual(self.run_script("beat", "w", 60000, 3)[2], 1)
        self.assertEqual(self.run_script("dead_lease", ids[0], "v", 3)[:2], [1, 1])
        self.assertEqual(self.bury("h4", replaces=ids[0])[1], 0)
        self.assertEqual(self.run_script("dead_end", ids[0], "*", 1), 0)

    def bury(self, head, data="data", spare=0, replaces=0, again=0):
        return self.run_script("dead_put", 0, head, data, 3, spare, replaces, again)

    def test_letter_again(self):
        """a letter whose put may have been executed is put once, and is told from others"""
        first = self.bury("h")
        self.assertEqual(self.bury("h", again=1), first)
        self.assertNotEqual(self.bury("h", "other", again=1), first)
        self.assertNotEqual(self.bury("g", again=1), first)
        self.assertEqual(self.run_script("dead_list", 0, 0), [3])
        self.assertEqual(self.bury("h", again=1), first)

    def test_letter_of_a_zone(self):
        """a letter of a zone is put into the queue once"""
        self.assertEqual(self.run_script("put", LANE, "x", 9, 999, 7)[0], 1)
        self.assertEqual(self.run_script("put", LANE, "x", 9, 999, 7), [0])

    def test_state(self):
        self.taken()
        self.accept(2)
        now, ready, delayed, oldest, dead, held, records, _, workers, letter = \
            self.run_script("state")
        self.assertEqual((ready, delayed, dead, held, records), (0, 0, 0, 0, 0))
        self.assertTrue(0 <= oldest < 10000)
        self.assertEqual((workers[0], workers[2], workers[3], letter), (b"w", 1, 0, None))
        self.assertTrue(50000 < workers[1] <= 60000)
        self.assertGreater(now, 10**12)


class Moving(unittest.TestCase):
    """In a node of a cluster whose slot moves, a key that a script has emptied is another's."""

    def setUp(self):
        self.servers = []
        self.nodes = []
        for _ in range(2):
            port = free_port(bus=True)
            self.servers.append(server.Server("--port", str(port), "--cluster-enabled", "yes"))
            self.addCleanup(self.servers[-1].stop)
            self.nodes.append(self.servers[-1].connect())
        self.redis, other = self.nodes
        self.redis.call("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        self.redis.call("CLUSTER", "MEET", "127.0.0.1", port)
        self.until(lambda: b"cluster_known_nodes:2" in self.redis.call("CLUSTER", "INFO"))
        self.until(lambda: b"cluster_state:ok" in self.redis.call("CLUSTER", "INFO"))
        self.other = other.call("CLUSTER", "MYID")

    def until(self, condition):
        for _ in range(1000):
            if condition():
                return
            time.sleep(0.02)
        self.fail("there is no cluster")

    def run_script(self, name, *argv):
        keys = [BOT + key for key in KEYS[name].split()]
        return self.redis.call("EVAL", server.text(name), len(keys), *keys, *argv)

    def test_settle(self):
        """the last item of a lane is settled as a whole, and counted"""
        self.run_script("beat", "w", 60000, 4)
        for update_id in (1, 2):
            self.run_script("accept", update_id, 1024, LANE, "x", 100, 100000, 0)
        self.assertEqual(self.run_script("take", "w", 5, 9, 9)[4:], [LANE.encode()])
        self.redis.call("RPUSH", BOT + "ready", "other")
        self.redis.call("HSET", BOT + "progress", "other", "x")
        slot = self.redis.call("CLUSTER", "KEYSLOT", BOT)
        self.assertEqual(self.redis.call("CLUSTER", "SETSLOT", slot, "MIGRATING", self.other),
                         b"OK")
        for left in (1, 0):
            self.redis.call("HSET", BOT + "flight", LANE, "w/5", "other", "v/1")
            seq = self.redis.call("LINDEX", f"{BOT}lane:{LANE}", 0).split()[0]
            self.assertEqual(self.run_script("settle", LANE, "w/5", seq, "done", 0), 1)
            self.assertEqual(self.redis.call("HMGET", BOT + "meta", "items", "done"),
                             [str(left).encode(), str(2 - left).encode()])


def run():
    """-> whether all hold"""
    load = unittest.defaultTestLoader.loadTestsFromTestCase
    suite = unittest.TestSuite(map(load, (Contracts, Moving)))
    return unittest.TextTestRunner(verbosity=0).run(suite).wasSuccessful()
