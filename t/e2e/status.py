"""What tgbot_status says of the bots, and whether its books balance."""

import json

ENDS = ("ok", "failed", "unknown", "aborted")

# how items come to a queue, how they go, and where they are
COME = ("accepted", "replayed", "loaded")
GONE = ("done", "dead", "expired", "dropped")
HERE = ("waiting", "delayed", "inflight")


class Status:
    """One answer of tgbot_status."""

    def __init__(self, body):
        self.data = json.loads(body)

    @property
    def bots(self):
        return sorted(self.data["bots"])

    def zone(self, name):
        return self.data["zones"][name]

    def value(self, metric, *labels, bot="e2e"):
        """A metric of a bot, by the values of its labels; of those left out the sum."""
        value = self.data["bots"][bot][metric]
        for label in labels:
            value = value[label]
        return _sum(value)

    def queued(self, bot="e2e"):
        """Items in the queue of a bot, or None if it has no queue."""
        if "queue_depth" not in self.data["bots"][bot]:
            return None
        return sum(self.value("queue_depth", state, bot=bot) for state in HERE)

    @property
    def at_rest(self):
        return not any(self.value(gauge, bot=bot) for bot in self.bots
                       for gauge in ("held", "calls_inflight")) \
            and not any(self.queued(bot) for bot in self.bots)

    def faults(self, killed=0):
        """
        What does not balance, of all bots.  A process that is killed between two steps
        of one entry leaves something begun that nobody accounts for.
        """
        faults = []
        unaccounted = 0
        for bot in self.bots:
            begun = self.value("received_total", bot=bot)
            ended = self.value("deliveries_total", bot=bot) + self.value("held", bot=bot)
            lines = [("received", begun, ended)]
            for kind in ("handler", "api"):
                begun = self.value("calls_total", kind, "started", bot=bot)
                ended = self.value("calls_inflight", kind, bot=bot) + sum(
                    self.value("calls_total", kind, end, bot=bot) for end in ENDS)
                lines.append((f"{kind} calls", begun, ended))
            if self.queued(bot) is not None:
                # of these not even a death takes anything
                items = self.data["bots"][bot]["queue_items_total"]
                come = sum(items[event] for event in COME)
                gone = sum(items[event] for event in GONE)
                if come != gone + self.queued(bot):
                    faults.append(f"{bot}: {come} items came to the queue, {gone} are "
                                  f"gone, {self.queued(bot)} there")
            for name, begun, ended in lines:
                unaccounted += begun - ended
                if not 0 <= begun - ended <= killed:
                    faults.append(f"{bot}: {name} {begun}, accounted for {ended}")
            rejected = self.value("deliveries_total", "rejected", bot=bot)
            reasons = self.value("rejected_total", bot=bot)
            if abs(rejected - reasons) > killed:
                faults.append(f"{bot}: rejected {rejected}, for reasons {reasons}")
        if unaccounted > killed:
            faults.append(f"{unaccounted} not accounted for, {killed} workers killed")
        return faults


def _sum(value):
    if isinstance(value, dict):
        return sum(_sum(part) for part in value.values())
    return value
