#!/usr/bin/env python3
"""python-telegram-bot 20 and newer, with the web server it uses itself, Tornado."""

import asyncio
import json
import logging
import os

from telegram import Update
from telegram.ext import Application, CommandHandler, MessageHandler, filters
from tornado.web import Application as Web
from tornado.web import HTTPError, RequestHandler

TOKEN = os.environ["TOKEN"]
SECRET = os.environ["SECRET"]
PORT = int(os.environ.get("PORT", "9001"))
API_ROOT = os.environ.get("API_ROOT", "https://api.telegram.org")

application = (Application.builder().token(TOKEN).base_url(f"{API_ROOT}/bot")
               .updater(None).build())
failed = set()


async def menu(update, context):
    for line in ("We have", "tea", "and coffee."):
        await update.message.reply_text(line)


async def fail(update, context):
    raise RuntimeError("on purpose")


async def echo(update, context):
    await update.message.reply_text(f"You said: {update.message.text}")


async def on_error(update, context):
    logging.error("update %s", update.update_id, exc_info=context.error)
    failed.add(update.update_id)


application.add_handler(CommandHandler("menu", menu))
application.add_handler(CommandHandler("fail", fail))
application.add_handler(MessageHandler(filters.TEXT, echo))

# process_update() never raises
application.add_error_handler(on_error)


class Webhook(RequestHandler):
    async def post(self):
        if self.request.headers.get("X-Telegram-Bot-Api-Secret-Token") != SECRET:
            raise HTTPError(401)

        update = Update.de_json(json.loads(self.request.body), application.bot)
        await application.process_update(update)

        if update.update_id in failed:
            failed.discard(update.update_id)
            raise HTTPError(500)


async def main():
    # not run_webhook(), which answers 200 when the update is in its memory, and calls
    # setWebhook
    async with application:
        await application.start()
        Web([("/.*", Webhook)]).listen(PORT, "127.0.0.1")
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
