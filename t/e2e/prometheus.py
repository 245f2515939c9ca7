"""Prometheus' text format: reads it, has promtool look at it, and makes it of JSON."""

import asyncio
import os
import re
import shutil

from harness import TOP

PREFIX = "nginx_tgbot_"

# labels besides that of the bot or the zone
LABELS = {
    "deliveries_total": ("verdict",), "rejected_total": ("reason",),
    "calls_total": ("kind", "event"), "calls_inflight": ("kind",),
    "handler_calls_total": ("outcome",), "api_calls_total": ("method", "result"),
    "pace_waiting": ("reason",), "pace_waits_total": ("reason",),
    "pace_used": ("bucket",), "pace_allowed": ("bucket",),
    "limit_decisions_total": ("zone", "outcome"), "cache_total": ("result",),
    "dead_letters_total": ("cause",), "queue_items_total": ("event",),
    "queue_depth": ("state",), "zone_bytes": ("state",), "build_info": ("version",),
    "redis_commands_total": ("result",), "answers_ignored_total": ("reason",),
    "idempotency_total": ("result",), "broadcasts": ("state",),
    "broadcast_chats": ("state",),
}

# what JSON has besides metrics
DETAILS = {"version", "now", "start_time", "write", "payload", "bots", "zones", "webhook",
           "queue", "queue_lanes", "queue_blocks", "queue_allowed", "dedup", "dead_letters", "kind",
           "size", "used", "total", "entries", "items", "broken", "orphaned",
           "broadcast_list"}

_SAMPLE = re.compile(r'(\w+)(?:\{(.*)\})? (\S+)')
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def promtool():
    """The path of promtool, or None."""
    path = os.environ.get("TGBOT_PROMTOOL", f"{TOP}/build/promtool")
    return path if os.access(path, os.X_OK) else shutil.which("promtool")


async def run(*args, data=b""):
    """promtool's exit status and what it says."""
    process = await asyncio.create_subprocess_exec(
        promtool(), *args, stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT)
    output, _ = await process.communicate(data)
    return process.returncode, output.decode("utf-8", "replace")


def parse(text):
    """The families of a scrape, as name: type, and its samples."""
    families = {}
    samples = {}
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            name, kind = line.split()[2:]
            assert name not in families, f"{name} twice"
            families[name] = kind
        elif not line.startswith("# HELP "):
            name, labels, value = _SAMPLE.fullmatch(line).groups()
            key = name, frozenset(_LABEL.findall(labels or ""))
            assert key not in samples, f"{line} twice"
            samples[key] = float(value)
    return families, samples


def samples_of(status):
    """The samples that belong to the JSON of the status."""
    samples = dict(_members(status, ()))
    for kind in ("bot", "zone"):
        for name, of in status[f"{kind}s"].items():
            samples.update(_members(of, ((kind, name),)))
    return samples


def _members(of, labels):
    for name, value in of.items():
        if name in DETAILS:
            continue
        if isinstance(value, dict) and "buckets" in value:
            for le, count in value["buckets"].items():
                yield _key(f"{name}_bucket", *labels, ("le", le)), count
            yield _key(f"{name}_sum", *labels), value["sum"]
            yield _key(f"{name}_count", *labels), value["count"]
        elif name == "api_calls_total":
            # in a scrape without those that were never called
            called = {method: results for method, results in value.items()
                      if any(results.values()) or method == "other"}
            yield from _values(name, labels, called, LABELS[name])
        else:
            yield from _values(name, labels, value, LABELS.get(name, ()))


def _values(name, labels, value, names):
    if names:
        for key, part in value.items():
            yield from _values(name, (*labels, (names[0], key)), part, names[1:])
    else:
        yield _key(name, *labels), value


def _key(name, *labels):
    return PREFIX + name, frozenset(labels)
