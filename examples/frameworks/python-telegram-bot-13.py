#!/usr/bin/env python3
"""python-telegram-bot 13, the version of Debian 12."""

import json
import os
from http.server import BaseHTTPRequestHandler, HTTPServer

from telegram import Bot, Update
from telegram.ext import CommandHandler, Dispatcher, Filters, MessageHandler

TOKEN = os.environ["TOKEN"]
SECRET = os.environ["SECRET"]
PORT = int(os.environ.get("PORT", "9001"))
API_ROOT = os.environ.get("API_ROOT", "https://api.telegram.org")

bot = Bot(TOKEN, base_url=f"{API_ROOT}/bot")
dispatcher = Dispatcher(bot, None, workers=0)
errors = []


def menu(update, context):
    for line in ("We have", "tea", "and coffee."):
        update.message.reply_text(line)


def fail(update, context):
    raise RuntimeError("on purpose")


def echo(update, context):
    update.message.reply_text(f"You said: {update.message.text}")


dispatcher.add_handler(CommandHandler("menu", menu))
dispatcher.add_handler(CommandHandler("fail", fail))
dispatcher.add_handler(MessageHandler(Filters.text, echo))

# process_update() never raises
dispatcher.add_error_handler(lambda update, context: errors.append(context.error))


class Webhook(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))

        if self.headers.get("X-Telegram-Bot-Api-Secret-Token") != SECRET:
            self.answer(401)
            return

        errors.clear()
        dispatcher.process_update(Update.de_json(json.loads(body), bot))

        for error in errors:
            self.log_error("%r", error)
        self.answer(500 if errors else 200)

    def answer(self, status):
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_request(self, *args):
        """nginx logs requests."""


class Server(HTTPServer):
    """One update at a time, as in python-telegram-bot 13 itself."""

    request_queue_size = 128


if __name__ == "__main__":
    # not Updater.start_webhook(), which answers 200 when the update is in its memory
    Server(("127.0.0.1", PORT), Webhook).serve_forever()
