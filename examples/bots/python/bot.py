#!/usr/bin/env python3
"""
A bot's program behind nginx, in nothing but Python's standard library.

It gets each Update as a POST and answers with the Bot API call, or the list of calls,
that is to be made: nginx makes them.  SECRET is the secret_token of the webhook.
"""

import json
import os
import sys
import traceback
from hmac import compare_digest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SECRET = os.environ.get("SECRET", "")
PORT = int(os.environ.get("PORT", "9001"))

KEYBOARD = {"inline_keyboard": [[{"text": "Tea", "callback_data": "tea"},
                                 {"text": "Coffee", "callback_data": "coffee"}]]}


def answer(update):
    """
    One call, a list of calls, or None.  A chat_id or callback_query_id that is missing
    is put in by nginx.
    """
    query = update.get("callback_query")
    if query:
        return [{"method": "answerCallbackQuery", "text": "Noted."},
                {"method": "sendMessage", "text": f"You chose {query['data']}."}]

    message = update.get("message", {})
    text = message.get("text")
    if text is None:
        return None
    if text == "/start":
        return {"method": "sendMessage", "reply_markup": KEYBOARD,
                "text": f"Hello {message['from']['first_name']}!"}
    if text == "/menu":
        return [{"method": "sendMessage", "text": line}
                for line in ("We have", "tea", "and coffee.")]
    return {"method": "sendMessage", "text": f"You said: {text}"}


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

        # a 500 tells nginx, and by it Telegram, to come again
        try:
            calls = answer(json.loads(body))
        except Exception:
            traceback.print_exc()
            self.reply(500)
            return
        self.reply(200, b"" if calls is None else json.dumps(calls).encode())

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
