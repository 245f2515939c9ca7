#!/usr/bin/env python3
"""
A bot behind nginx that answers an album once, with all of its photos in hand.

The photos of an album come as an Update each, and none of them says how many there are.
Behind a queue whose lane leaves albums out, the requests of all photos wait here until no
more come: then one of them is answered with the call, the others with nothing.  None is
answered before, so nothing is lost if the program dies: nginx brings all of them again.
"""

import json
import os
import sys
import threading
import time
import traceback
from hmac import compare_digest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SECRET = os.environ.get("SECRET", "")
PORT = int(os.environ.get("PORT", "9005"))

# seconds without another photo, after which an album is complete
QUIET = 1.0


class Album:
    """The photos so far, by message_id, and when the last one came."""

    def __init__(self):
        self.photos = {}
        self.last = 0.0


albums = {}
lock = threading.Lock()


def collect(message):
    """All photos of the album, in order, for one of the requests that wait; else None."""
    key = message["chat"]["id"], message["media_group_id"]
    with lock:
        album = albums.setdefault(key, Album())
        album.photos[message["message_id"]] = message
        album.last = time.monotonic()
    while (left := album.last + QUIET - time.monotonic()) > 0:
        time.sleep(left)
    with lock:
        if albums.get(key) is not album:
            return None
        del albums[key]
    return [album.photos[number] for number in sorted(album.photos)]


def answer(update):
    """One call or None; the chat_id that is missing is put in by nginx."""
    message = update.get("message", {})
    if "media_group_id" in message:
        photos = collect(message)
        return photos and {"method": "sendMessage", "text": f"An album of {len(photos)}."}
    if "text" in message:
        return {"method": "sendMessage", "text": f"You said: {message['text']}"}
    return None


class Handler(BaseHTTPRequestHandler):
    # nginx keeps its connections open
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        secret = self.headers.get("X-Telegram-Bot-Api-Secret-Token", "")
        if not compare_digest(secret.encode(), SECRET.encode()):
            self.reply(401)
            return

        # a 500 tells nginx to come again
        try:
            call = answer(json.loads(body))
        except Exception:
            traceback.print_exc()
            self.reply(500)
            return
        self.reply(200, b"" if call is None else json.dumps(call).encode())

    def reply(self, status, body=b""):
        self.send_response(status)
        if body:
            self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        """nginx logs requests."""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


if __name__ == "__main__":
    try:
        Server(("127.0.0.1", PORT), Handler).serve_forever()
    except KeyboardInterrupt:
        sys.exit(130)
