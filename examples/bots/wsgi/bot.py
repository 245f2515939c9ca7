"""
A bot's program behind nginx as a WSGI application: for uWSGI, Gunicorn and others.

It answers each Update with the Bot API call, or the list of calls, that is to be made:
nginx makes them.  SECRET is the secret_token of the webhook.
"""

import json
import os
import traceback
from hmac import compare_digest

SECRET = os.environ.get("SECRET", "")

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


def application(environ, start_response):
    secret = environ.get("HTTP_X_TELEGRAM_BOT_API_SECRET_TOKEN", "")
    if not compare_digest(secret.encode(), SECRET.encode()):
        start_response("401 Unauthorized", [("Content-Length", "0")])
        return []

    body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))

    # a 500 tells nginx, and by it Telegram, to come again
    try:
        calls = answer(json.loads(body))
    except Exception:
        traceback.print_exc(file=environ["wsgi.errors"])
        start_response("500 Internal Server Error", [("Content-Length", "0")])
        return []

    data = b"" if calls is None else json.dumps(calls).encode()
    start_response("200 OK", [("Content-Type", "application/json"),
                              ("Content-Length", str(len(data)))])
    return [data]
