"""The simulator itself: is it Telegram's client to the byte and to the second?"""

import asyncio
import hashlib
import http.client
import json
import math
import time

from harness import TOKEN, free_port, until
from simulator import report, updates
from simulator.botapi import BotApi, Call, chat_not_found
from simulator.http1 import Service, response
from simulator.limits import Limits
from simulator.program import Program, Seen
from simulator.webhook import LOST, Webhook

USER = updates.person(1234567, "Žofie")
SCALE = 0.05


class Script(Service):
    """Answers each request by the next function or bytes; the last one stays."""

    def __init__(self, *answers):
        super().__init__(capture=True)
        self.times = []
        self.busy = 0
        self._answers = list(answers)

    def serve(self, connection, request):
        self.times.append(time.monotonic())
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if callable(answer):
            answer(connection, request)
        else:
            connection.send(answer)

    def gaps(self):
        """Seconds of Telegram between the requests."""
        return [round((after - before) / SCALE, 1)
                for before, after in zip(self.times, self.times[1:])]


async def begin(case, script, path="/hook?a=b", **options):
    await script.start()
    case.at_end(script.stop)
    options = {"schedule": SCALE, "ramp": SCALE, **options}
    webhook = Webhook(f"http://127.0.0.1:{script.port}{path}", **options)
    case.at_end(webhook.close)
    return webhook


def text(update_id, words="Hallo 🙂", user=USER):
    return updates.make(update_id, "message", updates.message(1, user, words))


def near(case, got, expected, what):
    # late, but not as late as the next step would be
    fits = len(got) == len(expected) and all(
        low - 0.3 <= value <= max(2 * low, 2) for value, low in zip(got, expected))
    case.check(fits, f"{what}: {got}, expected about {expected}")


async def test_request(case):
    script = Script(response(200))
    webhook = await begin(case, script, secret="s3cret")
    webhook.push(text(7, "é\n\"🙂"))
    case.check(await webhook.drained(5), "not delivered")
    head, _, body = script.captured[0].partition(b"\r\n\r\n")
    case.equal(head.decode().split("\r\n"), [
        "POST /hook?a=b HTTP/1.1",
        f"Host: 127.0.0.1:{script.port}",
        "X-Telegram-Bot-Api-Secret-Token: s3cret",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "Connection: keep-alive",
        "Accept-Encoding: gzip, deflate"], "request")
    case.check(body.startswith(b'{"update_id":7,\n"message":{'), f"body: {body[:40]}")
    case.check(rb'"text":"\u00e9\n\"\ud83d\ude42"' in body, f"body: {body}")


async def test_schedule(case):
    """At once, then after 2, 4, 8 … seconds; any 2xx ends it."""
    no = response(500)
    script = Script(no, response(301), no, response(404), no, response(204))
    webhook = await begin(case, script)
    webhook.push(text(1))
    case.check(await webhook.drained(10), "not delivered")
    near(case, script.gaps(), [0, 2, 4, 8, 16], "waits")
    case.equal(len(set(script.captured)), 1, "different requests for one update")
    case.equal((webhook.counts["sent"], webhook.counts["resent"]), (6, 5), "sent, resent")
    case.equal(webhook.reconnects, 0, "reconnects")


async def test_retry_after(case):
    """Obeyed on any status; it does not make the next delay grow; no date is taken."""
    wait = response(503, headers=(("Retry-After", "5"),))
    date = response(503, headers=(("Retry-After", "Wed, 21 Oct 2015 07:28:00 GMT"),))
    script = Script(wait, wait, date, response(200))
    webhook = await begin(case, script)
    webhook.push(text(1))
    case.check(await webhook.drained(5), "not delivered")
    near(case, script.gaps(), [5, 5, 2], "waits")


async def test_life(case):
    """An update is given up as soon as its next try would come too late."""
    script = Script(response(503, headers=(("Retry-After", "60"),)), response(200))
    webhook = await begin(case, script, life=SCALE)
    query = {"id": "1", "from": USER, "query": "q", "offset": "", "chat_type": "private"}
    webhook.push(updates.make(1, "inline_query", query))
    webhook.push(text(2))
    case.check(await webhook.drained(5), "not settled")
    case.check(webhook.deliveries[1].dropped, "not given up")
    case.check(webhook.deliveries[2].acked, "the other one was not delivered")


async def test_queues(case):
    """One update of a queue at a time, in order; others meanwhile, up to a limit."""
    running = {}
    wrong = []
    peak = 0

    def slowly(connection, request):
        nonlocal peak
        number = int(request.body.split(b":")[1].split(b",")[0])
        queue = number % 5
        if running.get(queue) is not None:
            wrong.append(number)
        running[queue] = number
        peak = max(peak, sum(value is not None for value in running.values()))

        def over():
            running[queue] = None
            connection.send(response(200))
        asyncio.get_running_loop().call_later(0.005, over)

    script = Script(slowly)
    webhook = await begin(case, script, max_connections=3)
    for number in range(100):
        webhook.push(text(number, user=updates.person(1000 + number % 5)))
    case.check(await webhook.drained(10), "not delivered")
    case.equal(wrong, [], "updates sent while one of their queue was under way")
    order = [int(raw.split(b'"update_id":')[1].split(b",")[0]) for raw in script.captured]
    for queue in range(5):
        lane = [number for number in order if number % 5 == queue]
        case.equal(lane, sorted(lane), "order in a queue")
    case.equal((peak, webhook.counts["connects"]), (3, 3), "at once, connections")


async def test_ramp(case):
    """Without a success one connection in 2 s; after one, ten in half a second."""
    failing = True
    opened = []

    def answer(connection, _):
        if failing:
            connection.send(response(500, headers=(("Retry-After", "1"),)))
        else:
            asyncio.get_running_loop().call_later(0.1, connection.send, response(200))

    script = Script(answer)
    webhook = await begin(case, script, max_connections=30, schedule=0.2, ramp=0.2)
    for number in range(60):
        webhook.push(text(number, user=updates.person(2000 + number)))
    await asyncio.sleep(0.5)
    case.equal(webhook.counts["connects"], 1, "connections without a success")
    failing = False
    while not await webhook.drained(0.01):
        opened.append((time.monotonic(), webhook.counts["connects"]))
    case.equal(webhook.counts["connects"], 30, "connections after successes")
    for (begun, first), (ended, last) in zip(opened, opened[4:]):
        if ended - begun < 0.09:
            case.check(last - first <= 10, f"{last - first} connections at once")


async def test_connections(case):
    """Every way to lose one is counted, and the update comes again."""
    script = Script(
        response(200, headers=(("Connection", "close"),)),
        lambda connection, _: connection.reset(),
        lambda connection, _: connection.finish(b""),
        lambda connection, _: connection.finish(b"HTTP/1.1 200 OK\r\nContent-Le"),
        lambda connection, _: connection.finish(b"SSH-2.0-x\r\n"),
        lambda connection, _: None,
        response(200))
    webhook = await begin(case, script, timeout=0.3, schedule=0.001)
    webhook.push(text(1))
    webhook.push(text(2))
    case.check(await webhook.drained(10), "not delivered")
    case.equal(dict(webhook.ends), {
        "Connection: close": 1, "reset": 1, "closed without answer": 1, "truncated": 1,
        "garbage": 1, "timeout": 1}, "ends of connections")
    case.equal(webhook.deliveries[2].broken, 5, "attempts without an answer")

    nobody = Webhook(f"http://127.0.0.1:{free_port()}/", schedule=SCALE, ramp=SCALE)
    case.at_end(nobody.close)
    nobody.push(text(3))
    await until(lambda: nobody.ends["refused"] >= 2)
    case.check(nobody.ends["refused"] >= 2, f"ends of connections: {nobody.ends}")
    case.equal(nobody.deliveries[3].broken, 0, "attempts that may have arrived")


async def test_methods(case):
    """A method in an answer is executed if its type, its name and its status allow it."""
    answers = [
        (200, "application/json", b'{"method":"sendMessage","chat_id":5,"text":"1"}', "1"),
        (200, "text/html", b'{"method":"sendMessage","chat_id":5,"text":"2"}', None),
        (200, None, b'{"method":"sendMessage","chat_id":5,"text":"3"}', None),
        (200, "application/json", b'{"method":"getMe","text":"4"}', None),
        (200, "application/json", b'{"method":"LOGOUT","text":"5"}', None),
        (200, "application/x-www-form-urlencoded", b"method=sendMessage&text=6", "6"),
        (201, "Application/JSON; charset=utf-8", b'{"method":"x","text":"7",oops', "7"),
        (200, "multipart/form-data; boundary=zz",
         b'--zz\r\nContent-Type: text/plain\r\nContent-Disposition: form-data; name="method"'
         b'\r\n\r\nsendMessage\r\n--zz\r\nContent-Disposition: form-data; name="text"\r\n\r\n8'
         b'\r\n--zz--\r\n', "8"),
        (200, "application/json", b'[{"method":"sendMessage","text":"9"}]', None),
    ]
    executed = []
    script = Script(*(response(*answer[:1], answer[2], answer[1]) for answer in answers))
    webhook = await begin(case, script,
                          execute=lambda params, _: executed.append(params["text"]))
    for number in range(len(answers)):
        webhook.push(text(number))
    case.check(await webhook.drained(5), "not delivered")
    case.equal(executed, [text for *_, text in answers if text], "executed")


async def test_lost_acknowledgement(case):
    """
    The whole update has arrived, the answer is not taken, and a method in it is not
    executed; the update comes again.
    """
    executed = []
    ridden = response(200, b'{"method":"sendMessage","chat_id":5,"text":"1"}',
                      "application/json")
    script = Script(
        ridden,
        lambda connection, _: connection.send(ridden[:20]),
        lambda connection, _: None,
        lambda connection, _: None,
        ridden)
    cuts = [math.inf, math.inf, 0.05, 0.0, None]
    webhook = await begin(case, script, schedule=0.001, cut=lambda *_: cuts.pop(0),
                          execute=lambda params, _: executed.append(params["text"]))
    webhook.push(text(1, "x" * 100000))
    case.check(await webhook.drained(10), "not delivered")
    delivery = webhook.deliveries[1]
    case.equal((delivery.lost, delivery.broken, delivery.statuses), (4, 0, [200]), "attempts")
    case.equal(dict(webhook.ends), {LOST: 4}, "ends of connections")
    case.equal(len(script.captured), 5, "whole requests")
    case.equal(len(set(script.captured)), 1, "different requests for one update")
    case.equal(executed, ["1"], "executed")
    case.equal(dict(webhook.lost), {200: 2}, "statuses of lost answers")
    case.equal(webhook.counts["replies lost"], 1, "replies in lost answers")


async def test_report(case):
    """What counts as lost, and what excuses that an update was handled twice."""
    webhook = Webhook(f"http://127.0.0.1:{free_port()}/")
    case.at_end(webhook.close)
    webhook.pause()
    program, api = Program(), BotApi()
    # update: (worker, begin, end of each time it was handled, times it was replied to)
    runs = {1: ([("11", 1.0, 1.1)], 1),
            2: ([("11", 1.0, 1.1), ("12", 2.0, 2.1)], 2),     # 11 was killed
            3: ([("12", 1.0, 1.1), ("12", 2.0, 2.1)], 1),     # nobody was
            4: ([("11", 1.0, 1.1), ("12", 1.3, 1.4)], 1),     # 11 still lived
            5: ([("13", 1.0, 1.1), ("12", 9.0, 9.1)], 1),     # killed long after
            9: ([("11", 1.6, 1.7), ("12", 2.0, 2.1)], 1),     # read when it was dead
            6: ([("12", 1.0, 1.1)], 2),
            7: ([("12", 1.0, 1.1)], 0),
            8: ([], 0)}
    for number, (handled, replies) in runs.items():
        webhook.push(text(number, user=updates.person(number)))
        webhook.deliveries[number].acked = True
        webhook.deliveries[number].lost = 1
        for worker, begun, ended in handled:
            program.seen.append(Seen(number, begun, "", "", worker, "ok", ended))
        for _ in range(replies):
            api.ride({"method": "sendMessage", "chat_id": str(number),
                      "text": f"reply {number}"})
    # update: who made its call, and when; each was handled once
    calls = {20: [("11", 1.4), ("12", 2.0)],                  # 11 was killed
             21: [("12", 1.4), ("11", 1.45)],                 # nobody was
             22: [("11", 1.2), ("12", 1.4)],                  # 11 still lived
             23: [("13", 1.0), ("12", 9.0)],                  # killed long after
             24: [("11", 1.4), ("12", 2.0), ("12", 2.1)]}     # once without cause
    for number, made in calls.items():
        webhook.push(text(number, user=updates.person(number)))
        webhook.deliveries[number].acked = True
        program.seen.append(Seen(number, 1.0, "", "", "12", "ok", 1.1))
        for worker, moment in made:
            api.executed.append(Call(
                len(api.executed), moment, "sendMessage",
                {"chat_id": str(number), "text": f"reply {number}"}, "api", worker))
    books = report.make(webhook, program, api, kills={11: 1.5, 13: 8.0})
    case.equal(books["lost"]["acknowledged but not done"], [7, 8], "lost")
    case.equal(books["lost"]["unhandled"], [8], "unhandled")
    case.equal(books["doubled"],
               {"at the program": [2, 3, 4, 5, 9], "replies": [2, 6, 20, 21, 22, 23, 24]},
               "doubled")
    case.equal(books["doubled without cause"],
               {"at the program": [3, 4, 5], "replies": [6, 21, 22, 23, 24]},
               "doubled without cause")
    case.check(not report.good(books), "books that are good")


async def bot_api(case, **options):
    api = BotApi(tokens={TOKEN}, **options)
    case.at_end(api.stop)
    await api.start()
    return api


async def ask(api, target, body=None, content_type="application/json"):
    """The status, Retry-After and the body that a request gets; of JSON, what it holds."""
    def request():
        connection = http.client.HTTPConnection("127.0.0.1", api.port, timeout=20)
        try:
            connection.request("GET" if body is None else "POST", target, body,
                               {} if body is None else {"Content-Type": content_type})
            answer = connection.getresponse()
            data = answer.read()
            if answer.headers["Content-Type"] == "application/json":
                data = json.loads(data)
            return answer.status, answer.headers["Retry-After"], data
        finally:
            connection.close()
    return await asyncio.to_thread(request)


def refused(status, text, **parameters):
    answer = {"ok": False, "error_code": status, "description": text}
    wait = parameters.get("retry_after")
    return (status, wait and str(wait),
            dict(answer, parameters=parameters) if parameters else answer)


async def test_refusals(case):
    """Each error has Telegram's status and shape."""
    api = await bot_api(case, blocked=(1,), migrated={-2: -1002})
    api.refusals["3"] = chat_not_found()
    api.refusals["4"] = "502"
    api.registrations.hooks[TOKEN].url = "https://bot.example.com/"
    api.max_upload = 1000

    def send(chat):
        return ask(api, f"/bot{TOKEN}/sendMessage?chat_id={chat}&text=Hi")

    case.equal(await send(1), refused(403, "Forbidden: bot was blocked by the user"), "1")
    case.equal(await send(-2), refused(
        400, "Bad Request: group chat was upgraded to a supergroup chat",
        migrate_to_chat_id=-1002), "-2")
    case.equal(await send(3), refused(400, "Bad Request: chat not found"), "3")
    status, _, page = await send(4)
    case.equal((status, page[:6]), (502, b"<html>"), "4")
    case.equal(await ask(api, "/bot1:no/getMe"), refused(401, "Unauthorized"), "a token")
    case.equal(await ask(api, f"/bot{TOKEN}/noMethod"),
               refused(404, "Not Found: method not found"), "a method")
    case.equal((await ask(api, f"/bot{TOKEN}/getUpdates"))[0], 409, "getUpdates")
    case.equal(await ask(api, f"/bot{TOKEN}/sendMessage", b" " * 1001),
               refused(413, "Request Entity Too Large"), "a body of 1001 bytes")
    case.equal(api.executed, [], "executed")
    case.equal([(call.params["chat_id"], call.status) for call in api.arrived],
               [("1", 403), ("-2", 400), ("3", 400), ("4", "502")], "calls that arrived")
    case.equal((await ask(api, f"/bot{TOKEN}/test/sendMessage?chat_id=5&text=Hi"))[0], 200,
               "in the test environment")


async def test_files(case):
    """A file that was sent can be fetched, to the byte, and has one id."""
    api = await bot_api(case)
    data = bytes(range(256)) * 4096
    form = (b'--zz\r\nContent-Disposition: form-data; name="chat_id"\r\n\r\n5\r\n'
            b'--zz\r\nContent-Disposition: form-data; name="photo"\r\n\r\nattach://x\r\n'
            b'--zz\r\nContent-Disposition: form-data; name="x"; filename="a.jpg"\r\n'
            b'Content-Type: image/jpeg\r\n\r\n' + data + b'\r\n--zz--\r\n')
    status, _, answer = await ask(api, f"/bot{TOKEN}/sendPhoto", form,
                                  "multipart/form-data; boundary=zz")
    case.equal(status, 200, f"sendPhoto: {answer}")
    case.equal(api.executed[0].files, {"x": hashlib.sha256(data).hexdigest()}, "digests")
    photo = answer["result"]["photo"][0]
    _, _, again = await ask(api, f"/bot{TOKEN}/sendPhoto?chat_id=6&photo={photo['file_id']}")
    case.equal(again["result"]["photo"], [photo], "the photo by its id")
    _, _, answer = await ask(api, f"/bot{TOKEN}/getFile?file_id={photo['file_id']}")
    path = answer["result"]["file_path"]
    case.equal(await ask(api, f"/file/bot{TOKEN}/{path}"), (200, None, data), "download")
    case.equal(await ask(api, f"/file/bot{TOKEN}/test/{path}"), (200, None, data), "/test/")
    case.equal((await ask(api, f"/file/bot{TOKEN}/photos/none.jpg"))[0], 404, "no file")
    case.equal((await ask(api, f"/file/bot1:no/{path}"))[0], 401, "another token")
    case.equal(await ask(api, f"/bot{TOKEN}/sendPhoto?chat_id=6&photo=none"),
               refused(400, "Bad Request: there is no photo in the request"), "no photo")


async def test_pauses(case):
    """A 429 stops its chat for the seconds it tells, and what comes meanwhile is counted."""
    api = await bot_api(case, limits=dict(chat=(0.01, 1)))

    async def send(chat, method="sendMessage"):
        return await ask(api, f"/bot{TOKEN}/{method}?chat_id={chat}&text=Hi")

    wait = refused(429, "Too Many Requests: retry after 100", retry_after=100)
    case.equal((await send(1))[0], 200, "the first call")
    case.equal([await send(1), await send(1)], [wait, wait], "the second and the third")
    case.equal([(await send(2))[0], (await send(1, "sendChatAction"))[0]], [200, 200],
               "another chat, and what is no message")
    case.equal([(pause.chat, pause.further) for pause in api.limits.pauses], [("1", 1)],
               "pauses, calls during them")
    api.limits.pause("", 7)
    case.equal(await send(3), refused(429, "Too Many Requests: retry after 7", retry_after=7),
               "the bot is paused")
    case.equal([(call.params["chat_id"], call.status) for call in api.arrived], [
        ("1", 200), ("1", 429), ("1", 429), ("2", 200), ("1", 200), ("3", 429)], "arrived")
    case.equal([chat for _, chat in api.limits.refusals], ["1", "1", "3"], "refusals")


async def test_limits(case):
    """What each of the limits lets through, by a clock that is told."""
    def waits(limits, chats, at, paid=False):
        return [limits.refuses(chat, paid, at) for chat in chats]

    limits = Limits(chat=(1, 3))
    case.equal(waits(limits, ["1"] * 5, 10.0), [0, 0, 0, 1, 1], "a burst to a chat")
    case.equal(waits(limits, ["1"], 10.5), [1], "during the pause")
    case.equal(waits(limits, ["1"] * 2, 11.0), [0, 1], "after the pause")
    case.equal([pause.further for pause in limits.pauses], [2, 0], "further calls")

    limits = Limits(group=(20 / 60, 20))
    case.equal(waits(limits, ["-1"] * 22, 10.0), [0] * 20 + [3, 3], "a burst to a group")
    case.equal(waits(limits, ["-1"] * 2, 13.0), [0, 3], "20 in a minute")
    case.equal(waits(limits, ["@c"] * 21 + ["1"] * 30, 10.0), [0] * 20 + [3] + [0] * 30,
               "a channel, and a person")

    limits = Limits(bot=(30, 30), paid=(1000, 40))
    limits.people.add("39")
    chats = [str(number) for number in range(40)]
    case.equal(waits(limits, chats, 10.0), [0] * 30 + [1] * 9 + [0], "chats at once")
    case.equal(waits(limits, chats, 11.0), [0] * 30 + [1] * 9 + [0], "a second later")
    case.equal(waits(limits, chats, 11.0, paid=True), [0] * 40, "paid")
    case.equal(limits.pauses, [], "pauses of chats")
