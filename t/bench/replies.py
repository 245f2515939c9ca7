"""
How soon people are answered while bulk waits for its pace, at half of the rate that one worker
can take, beside the same without bulk: by calls of the program through tgbot_gateway, and by
updates that the program answers with a call, each until the Bot API has answered the call.  The
rounds with and without bulk take turns.
"""

import statistics

from instructions import Upstream, wait_until
from measure import Void
from servers import Tgbot, start

HALF = 0.5
WAITING = 600   # calls of bulk, to 300 chats
MOST = 1.0      # ms that bulk may add to the time within which 99 % are answered


class Replies(Tgbot):
    file = "replies"
    replies = False

    def waiting(self):
        """-> calls that wait for their pace"""
        return self.status()["bots"]["bench"]["pace_waiting"]["pace"]


class ByGateway(Replies):
    uri = "/people/sendMessage"
    calls_by_itself = True


def measure(load, directory, sizes):
    """-> rows, failures"""
    upstream = Upstream("replies-upstream", "the program and the Bot API", directory)
    upstream.start()
    servers = [kind(f"replies-{name}", title, directory, upstream=upstream.port)
               for kind, name, title in ((ByGateway, "gateway", "calls by tgbot_gateway"),
                                         (Replies, "webhook", "answers to webhooks"))]
    rows, failures = {}, []
    try:
        for one in start(servers):
            added, said = beside(load, one, sizes)
            rows[one.title] = said
            if added > MOST:
                failures.append(f"{one.title}: bulk adds {added:.2f} ms, more than {MOST}")
    finally:
        for one in (*servers, upstream):
            one.stop()
    return rows, failures


def beside(load, one, sizes):
    """-> ms that bulk adds to the time within which 99 % are answered, and what is told"""
    runs = [load.run(one, one.warm) for _ in range(6)]
    rate = statistics.median(core / cost for cost, core in runs[1:]) * 1e6 * HALF
    waits = {0: [], WAITING: []}
    bulk = 0
    for number in range(sizes["reply_rounds"]):
        for count in sorted(waits, reverse=number % 2):
            _, result = load.measure(
                one, int(rate * sizes["reply_seconds"]), warm=one.warm, rate=rate,
                bulk=count, bulk_path="/bulk/sendMessage")
            if result["bulk_ok"] != result["bulk"] - count:
                raise Void(f"{one.name}: {result['bulk_ok']} of {result['bulk']} calls of bulk "
                           f"were answered 200, {count} wait")
            bulk += result["bulk_ok"]
            waits[count].append((result["p50"] / 1000, result["p99"] / 1000))
            # those who hung up
            wait_until(one, "calls wait", one.waiting, 0)
    added = statistics.median(
        with_bulk - without for (_, with_bulk), (_, without) in zip(waits[WAITING], waits[0]))
    halves, alone = (statistics.median(values) for values in zip(*waits[0]))
    halves_beside, with_bulk = (statistics.median(values) for values in zip(*waits[WAITING]))
    return added, (
        f"{rate:.0f}/s, 50 % within {halves:.2f} ms, 99 % within {alone:.2f} ms; beside "
        f"{WAITING} calls of bulk {halves_beside:.2f} ms and {with_bulk:.2f} ms; "
        f"added {added:+.2f} ms; {bulk} of bulk were sent")
