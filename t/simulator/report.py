"""What became of the updates: lost, doubled, disordered."""

import json
import re
from collections import Counter, defaultdict

from .botapi import key_of

_REPLY = re.compile(r"reply (\d+)(?: part (\d+))?$")
SHOWN = 10

# how long after the program's answer its worker may still be at work on the update
SETTLING = 5.0


def make(webhook, program, api, calls=1, kills=None):
    """
    The books of a run in which every update was the program's to answer by echo() with
    so many calls.  kills: when workers were killed, by process id.  A dict of plain
    values.
    """
    deliveries = webhook.deliveries
    handled = _handled(program)
    replies = _replies(api)

    lost = {
        "unacknowledged": [d.update.id for d in deliveries.values() if not d.acked],
        "given up": [d.update.id for d in deliveries.values() if d.dropped],
        "unhandled": [n for n in deliveries if n not in handled],
        "reply missing": [n for n in deliveries
                          if any((n, part) not in replies for part in range(1, calls + 1))],
        "acknowledged but not done": [
            n for n, d in deliveries.items() if d.acked and (
                n not in handled
                or any((n, part) not in replies for part in range(1, calls + 1)))],
    }
    lanes = _lanes(deliveries)
    disordered = {
        "at the program": _disordered_handling(lanes, program),
        "replies": _disordered_replies(lanes, replies),
    }
    excuses = _excuses(deliveries, program, kills or {})
    doubled, without_cause = _doubled(handled, excuses, api, replies, kills or {})

    return {
        "updates": len(deliveries),
        "lost": lost,
        "disordered": disordered,
        "doubled": doubled,
        "doubled without cause": without_cause,
        "telegram": {
            "sent": webhook.counts["sent"],
            "resent": webhook.counts["resent"],
            "connections": webhook.counts["connects"],
            "reconnects": webhook.reconnects,
            "ends of connections": dict(webhook.ends),
            "statuses": _strings(webhook.statuses),
            "methods in answers": webhook.counts["methods in answers"],
            "lost answers": _strings(webhook.lost),
            "replies in lost answers": webhook.counts["replies lost"],
        },
        "program": {
            "requests": program.requests,
            "connections": program.accepted,
            "outcomes": dict(Counter(seen.outcome for seen in program.seen)),
            "bad requests": program.bad_requests,
        },
        "bot api": {
            "requests": api.requests,
            "connections": api.accepted,
            "executed": len(api.executed),
            "statuses": _strings(api.statuses),
            "calls with unknown outcome": sum(api.unknown.values()),
            "lost replies of answers": api.lost,
        },
    }


def good(report):
    """
    Nothing lost, nothing out of order, nothing doubled without a cause, and no request
    that the program could not take.
    """
    return not report["program"]["bad requests"] and not any(
        values for part in ("lost", "disordered", "doubled without cause")
        for values in report[part].values())


def text(report):
    lines = [f"updates: {report['updates']}"]
    for part in ("lost", "disordered", "doubled", "doubled without cause"):
        for name, values in report[part].items():
            sample = ", ".join(str(value) for value in values[:SHOWN])
            more = " …" if len(values) > SHOWN else ""
            lines.append(f"{part}, {name}: {len(values)}"
                         + (f" ({sample}{more})" if values else ""))
    for part in ("telegram", "program", "bot api"):
        for name, value in report[part].items():
            if isinstance(value, dict):
                value = ", ".join(f"{key} {count}" for key, count in value.items()) or "none"
            lines.append(f"{part}, {name}: {value}")
    for name in ("seconds", "cpu seconds"):
        if name in report:
            lines.append(f"{name}: {report[name]:.1f}")
    lines.append("good" if good(report) else "NOT GOOD")
    return "\n".join(lines)


def as_json(report):
    return json.dumps(dict(report, good=good(report)), indent=2, ensure_ascii=False)


def _strings(counter):
    return {str(key): counter[key] for key in sorted(counter)}


def _handled(program):
    """update_id: how often the program answered it 200."""
    return Counter(seen.id for seen in program.seen if seen.outcome == "ok")


def _replies(api):
    """(update_id, part): the calls executed for it."""
    replies = defaultdict(list)
    for call in api.executed:
        match = _REPLY.match(call.params.get("text", ""))
        if match:
            replies[int(match.group(1)), int(match.group(2) or 1)].append(call)
    return replies


def _lanes(deliveries):
    lanes = defaultdict(list)
    for update_id, delivery in deliveries.items():
        lanes[delivery.queue].append(update_id)
    return lanes


def _disordered_handling(lanes, program):
    """Updates the program saw before it had handled all earlier ones of their lane."""
    first_seen = {}
    first_handled = {}
    for seen in program.seen:
        first_seen.setdefault(seen.id, seen.time)
        if seen.outcome == "ok":
            ended = first_handled.get(seen.id, seen.ended)
            first_handled[seen.id] = min(ended, seen.ended)
    wrong = []
    for lane in lanes.values():
        latest = 0.0
        for update_id in lane:
            if first_seen.get(update_id, latest) < latest:
                wrong.append(update_id)
            latest = max(latest, first_handled.get(update_id, 0.0))
    return wrong


def _disordered_replies(lanes, replies):
    """Updates whose replies came for the first time before one of an earlier update."""
    first = defaultdict(dict)
    for (update_id, part), executed in replies.items():
        first[update_id][part] = executed[0].number
    wrong = []
    for lane in lanes.values():
        latest = -1
        for update_id in lane:
            for part in sorted(first[update_id]):
                if first[update_id][part] < latest:
                    wrong.append(update_id)
                latest = max(latest, first[update_id][part])
    return wrong


def _excuses(deliveries, program, kills):
    """
    update_id: how often it was right to handle it once more.  That is so when the worker
    was killed while it worked on the update; its last requests may be read when it is
    dead already.  An answer that did not reach Telegram is no excuse: the update is known
    to be accepted.  Of a program that is not told which worker asks, a connection to
    Telegram that broke is taken for a worker's death.
    """
    excuses = Counter()
    arrivals = defaultdict(list)
    for seen in program.seen:
        if seen.id in deliveries:
            arrivals[seen.id].append(seen)
    for update_id, several in arrivals.items():
        if not all(seen.worker for seen in several):
            excuses[update_id] += deliveries[update_id].broken
            continue
        ends = [seen.time for seen in several[1:]] + [float("inf")]
        for seen, following in zip(several, ends):
            killed = kills.get(int(seen.worker))
            if seen.outcome == "ok" and killed is not None \
                    and killed <= min(following, seen.ended + SETTLING):
                excuses[update_id] += 1
    return excuses


def _doubled(handled, excuses, api, replies, kills):
    """
    Besides, a call is made again when the Bot API executed it and did not say so, or when
    the worker that made it was killed before it could note what it was told.
    """
    doubled = {
        "at the program": [n for n, count in handled.items() if count > 1],
        "replies": sorted({n for (n, _), made in replies.items() if len(made) > 1}),
    }
    causeless = {
        "at the program": [n for n in doubled["at the program"]
                           if handled[n] > 1 + excuses[n]],
        "replies": sorted({
            n for (n, _), made in replies.items()
            if len(made) > 1 + api.unknown[key_of(made[0])]
            + max(excuses[n], _cut_off(made, kills))}),
    }
    return doubled, causeless


def _cut_off(made, kills):
    """How many of these calls had their worker killed before the next of them."""
    count = 0
    for call, following in zip(made, made[1:]):
        killed = kills.get(int(call.worker)) if call.worker else None
        if killed is not None and killed <= min(following.time, call.time + SETTLING):
            count += 1
    return count
