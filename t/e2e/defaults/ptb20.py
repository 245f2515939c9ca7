"""python-telegram-bot 20 and newer as it comes, with its own webhook."""

import os

from telegram.ext import Application, CommandHandler


async def menu(update, context):
    for line in ("We have", "tea", "and coffee."):
        await update.message.reply_text(line)


async def fail(update, context):
    raise RuntimeError("on purpose")


application = (Application.builder().token(os.environ["TOKEN"])
               .base_url(f"{os.environ['API_ROOT']}/bot").build())
application.add_handler(CommandHandler("menu", menu))
application.add_handler(CommandHandler("fail", fail))
application.run_webhook("127.0.0.1", int(os.environ["PORT"]), "_shop",
                        webhook_url="https://bot.example.com/tg/shop",
                        secret_token=os.environ["SECRET"])
