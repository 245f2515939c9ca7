"""
The calls of program.mjs with python-telegram-bot, of whichever version there is.  The
argument is the API's root.
"""

import asyncio
import hashlib
import inspect
import json
import os
import sys
import urllib.request

from telegram import Bot, InlineKeyboardButton, InlineKeyboardMarkup
from telegram.error import ChatMigrated, RetryAfter, TelegramError

TOKEN, PHOTO = os.environ["TOKEN"], os.environ["PHOTO"]
ROOT = sys.argv[1]
BOT = Bot(TOKEN, base_url=f"{ROOT}/bot", base_file_url=f"{ROOT}/file/bot")


async def called(work):
    """Version 13 returns what newer ones return a promise of."""
    result = work()
    return await result if inspect.isawaitable(result) else result


async def step(name, work):
    try:
        result = await called(work)
        result = result.to_dict() if hasattr(result, "to_dict") else result
        got = {"result": result}
    except RetryAfter as error:
        got = {"error": [type(error).__name__, str(error), int(error.retry_after)]}
    except ChatMigrated as error:
        got = {"error": [type(error).__name__, str(error), error.new_chat_id]}
    except TelegramError as error:
        got = {"error": [type(error).__name__, str(error)]}
    print(json.dumps({"step": name, **got}), flush=True)
    return got.get("result")


async def download(file_id):
    """The digest of a file."""
    path = (await called(lambda: BOT.get_file(file_id))).file_path
    with urllib.request.urlopen(path) as answer:
        return hashlib.sha256(answer.read()).hexdigest()


async def main():
    def photo(**more):
        with open(PHOTO, "rb") as file:
            return BOT.send_photo(1001, file.read(), caption="Größe: 5 MB", **more)

    def document():
        with open(PHOTO, "rb") as file:
            return BOT.send_document(1001, file.read(), filename="photo.jpg")

    keyboard = InlineKeyboardMarkup([[InlineKeyboardButton("Tee & Kaffee",
                                                           callback_data="1=2&3")]])
    if hasattr(BOT, "initialize"):
        await BOT._request[1].initialize()

    await step("me", BOT.get_me)
    await step("text", lambda: BOT.send_message(1001, "Grüße 🙂 \"\\\n"))
    await step("keyboard", lambda: BOT.send_message(1001, "Choose", reply_markup=keyboard))
    await step("edit", lambda: BOT.edit_message_text("Edited", chat_id=1001, message_id=1))
    await step("action", lambda: BOT.send_chat_action(1001, "typing"))
    await step("group", lambda: BOT.send_message(-1002000000001, "To the group"))
    sent = await step("photo", photo)
    file_id = sent["photo"][0]["file_id"]
    await step("photo again", lambda: BOT.send_photo(1001, file_id))
    await step("document", document)
    await step("download", lambda: download(file_id))
    for name, chat in (("blocked", 1002), ("unknown chat", 1003), ("flood", 1004),
                       ("page", 1005), ("failure", 1006)):
        await step(name, lambda chat=chat: BOT.send_message(chat, "Hello"))
    await step("no text", lambda: BOT.send_message(1001, ""))


asyncio.run(main())
