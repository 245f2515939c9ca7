"""python-telegram-bot 13 as it comes, with its own webhook."""

import os

from telegram.ext import CommandHandler, Updater


def menu(update, context):
    for line in ("We have", "tea", "and coffee."):
        update.message.reply_text(line)


def fail(update, context):
    raise RuntimeError("on purpose")


updater = Updater(os.environ["TOKEN"], base_url=f"{os.environ['API_ROOT']}/bot")
updater.dispatcher.add_handler(CommandHandler("menu", menu))
updater.dispatcher.add_handler(CommandHandler("fail", fail))
updater.start_webhook("127.0.0.1", int(os.environ["PORT"]), "_shop",
                      webhook_url="https://bot.example.com/tg/shop")
updater.idle()
