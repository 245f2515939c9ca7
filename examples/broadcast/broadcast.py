#!/usr/bin/env python3
"""
Sends a message to all chats of a file, and shows how far it is.

    broadcast.py URL FILE [METHOD] PARAMS

URL     the location of tgbot_broadcast, such as http://127.0.0.1:8081/broadcast
FILE    ids of chats, one a line; "-" is the standard input
METHOD  of the Bot API, sendMessage by default
PARAMS  what the call has besides the chat, as JSON: '{"text": "hello"}'

A first Ctrl-C pauses the broadcast.  Needs nothing but Python.
"""

import itertools
import json
import sys
import time
import urllib.error
import urllib.request

LINES = 100000      # of the file in one request


def ask(method, url, body=None, kind="application/json"):
    """The JSON of an answer."""
    request = urllib.request.Request(url, data=body, method=method)
    if body is not None:
        request.add_header("Content-Type", kind)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        text = error.read().decode("utf-8", "replace")
        try:
            text = json.loads(text)["error"]
        except (ValueError, KeyError):
            pass
        sys.exit(f"{method} {url}: {error.code}: {text}")
    except urllib.error.URLError as error:
        sys.exit(f"{method} {url}: {error.reason}")


def fill(url, lines):
    """Adds the chats to a broadcast that does not go yet."""
    while part := "".join(itertools.islice(lines, LINES)):
        state = ask("POST", f"{url}/chats", part.encode(), "text/plain")
        print(f"{state['total']} chats", file=sys.stderr)


def line(state):
    """One line of progress."""
    total = state["total"] or 1
    over = total - state["waiting"] - state["in_flight"]
    bar = "#" * (30 * over // total)
    left = "" if state["left"] is None else f", {state['left'] // 60}:{state['left'] % 60:02} left"
    return (f"[{bar:30}] {100 * over // total:3}% {state['state']}: {state['sent']} sent, "
            f"{state['blocked']} blocked, {state['failed']} failed, {state['unknown']} unknown, "
            f"{state['rate']}/s{left}")


def watch(url):
    """Shows the progress until the broadcast does not go any more."""
    while True:
        state = ask("GET", url)
        end = "\r" if state["state"] == "going" and sys.stdout.isatty() else "\n"
        print(f"{line(state):100}", end=end, flush=True)
        if state["state"] != "going":
            return state
        time.sleep(1)


def main():
    if len(sys.argv) not in (4, 5):
        sys.exit(__doc__.strip())
    url, name = sys.argv[1].rstrip("/"), sys.argv[2]
    method = sys.argv[3] if len(sys.argv) == 5 else "sendMessage"
    call = {"method": method, "params": json.loads(sys.argv[-1]), "start": False}

    url += f"/{ask('POST', url, json.dumps(call).encode())['id']}"
    print(url, file=sys.stderr)

    with sys.stdin if name == "-" else open(name, encoding="utf-8") as lines:
        fill(url, lines)

    if not ask("GET", url)["total"]:
        ask("DELETE", url)
        sys.exit(f"there are no chats in {name}")

    ask("POST", f"{url}/go")
    try:
        state = watch(url)
    except KeyboardInterrupt:
        ask("POST", f"{url}/pause")
        state = watch(url)

    for kind in ("failed", "unknown"):
        if state[kind]:
            print(f"who and why: curl {url}/{kind}")
    return 0 if state["state"] == "done" else 1


if __name__ == "__main__":
    sys.exit(main())
