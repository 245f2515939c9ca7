"""
The same work on python-telegram-bot, behind tornado as its own webhook is: SECRET, PORT.

Its own answers before the update is handled and knows no answer that rides, so the page
that takes the update is ours.  Versions 13 and newer.
"""

import hmac
import json
import os
import time

import telegram
import tornado.ioloop
import tornado.web
from telegram import Update
from telegram.ext import CommandHandler

RATE = 100000
BURST = 100000
REMEMBERED = 4194304

ME = {"id": 1, "is_bot": True, "first_name": "Bench", "username": "bench_bot"}
MODERN = int(telegram.__version__.split(".", maxsplit=1)[0]) >= 20

seen = {}
users = {}
chats = {}
answers = {}


def is_new(update_id):
    if update_id in seen:
        return False
    seen[update_id] = True
    if len(seen) > REMEMBERED:
        del seen[next(iter(seen))]
    return True


def take(buckets, key):
    now = time.monotonic()
    tokens, last = buckets.get(key, (BURST, now))
    tokens = min(BURST, tokens + (now - last) * RATE)
    buckets[key] = (tokens - 1 if tokens >= 1 else tokens, now)
    return tokens >= 1


def answer(update, text):
    answers[update.update_id] = {
        "method": "sendMessage", "chat_id": update.effective_chat.id, "text": text}


def start(update, context):
    answer(update, f"Hello {update.effective_user.first_name}!  Tell me what you look for.")


def commands(update, context):
    answer(update, "Ask for /hours, or /order and a number.")


def hours(update, context):
    answer(update, "We are open from 9 to 18.")


def order(update, context):
    answer(update, f"Order {' '.join(context.args)} is on its way.")


COMMANDS = {"start": start, "help": commands, "hours": hours, "order": order}


def wanted(update):
    user, chat = update.effective_user, update.effective_chat
    return (is_new(update.update_id)
            and (user is None or take(users, user.id))
            and (chat is None or take(chats, chat.id)))


class Page(tornado.web.RequestHandler):
    def secret_is_right(self):
        secret = self.request.headers.get("X-Telegram-Bot-Api-Secret-Token", "")
        if not hmac.compare_digest(secret, os.environ["SECRET"]):
            self.set_status(401)
            return False
        return True

    def send(self, update):
        call = answers.pop(update.update_id, None)
        if call is not None:
            self.set_header("Content-Type", "application/json")
            self.write(json.dumps(call))


def serve_13():
    from telegram.ext import Dispatcher
    from telegram.utils.request import Request

    class NoRequest(Request):
        def post(self, url, data, timeout=None):
            return ME

    bot = telegram.Bot("1234:bench", request=NoRequest())
    dispatcher = Dispatcher(bot, None, workers=0)
    for name, callback in COMMANDS.items():
        dispatcher.add_handler(CommandHandler(name, callback))

    class Page13(Page):
        def post(self):
            if self.secret_is_right():
                update = Update.de_json(json.loads(self.request.body), bot)
                if wanted(update):
                    dispatcher.process_update(update)
                    self.send(update)

    return Page13


def asynchronous(function):
    async def callback(update, context):
        function(update, context)
    return callback


async def serve_20():
    from telegram.ext import Application
    from telegram.request import BaseRequest

    class NoRequest(BaseRequest):
        read_timeout = None

        async def initialize(self):
            pass

        async def shutdown(self):
            pass

        async def do_request(self, *args, **kwargs):
            return 200, json.dumps({"ok": True, "result": ME}).encode()

    application = (Application.builder().token("1234:bench").updater(None).job_queue(None)
                   .request(NoRequest()).get_updates_request(NoRequest()).build())
    for name, function in COMMANDS.items():
        application.add_handler(CommandHandler(name, asynchronous(function)))
    await application.initialize()

    class Page20(Page):
        async def post(self):
            if self.secret_is_right():
                update = Update.de_json(json.loads(self.request.body), application.bot)
                if wanted(update):
                    await application.process_update(update)
                    self.send(update)

    return Page20


def main():
    loop = tornado.ioloop.IOLoop.current()
    page = loop.run_sync(serve_20) if MODERN else serve_13()
    application = tornado.web.Application([("/tg/bench", page)],
                                          log_function=lambda handler: None)
    application.listen(int(os.environ["PORT"]), "127.0.0.1")
    loop.start()


if __name__ == "__main__":
    main()
