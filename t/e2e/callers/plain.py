"""
The Bot API by Python's own HTTP: every form in which parameters can come.  The argument is
the API's root; $TOKEN may be empty: then there is none in the path.  $TEST is "test/" for
the test environment.
"""

import http.client
import json
import os
import sys
import urllib.parse

TOKEN, TEST = os.environ["TOKEN"], os.environ.get("TEST", "")
ROOT = urllib.parse.urlsplit(sys.argv[1])
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
PARTS = "multipart/form-data; boundary=zz"
HEADERS = ("Content-Type", "Content-Length", "Retry-After")


def ask(name, method, target, body=None, kind=None):
    connection = http.client.HTTPConnection(ROOT.hostname, ROOT.port, timeout=60)
    try:
        connection.request(method, ROOT.path + target, body,
                           {"Content-Type": kind} if kind else {})
        answer = connection.getresponse()
        text = answer.read().decode("utf-8", "replace")
        print(json.dumps({"step": name, "status": [answer.status, answer.reason],
                          "headers": {name: answer.headers[name] for name in HEADERS},
                          "body": text}), flush=True)
    except (OSError, http.client.HTTPException) as error:
        print(json.dumps({"step": name, "error": type(error).__name__}), flush=True)
    finally:
        connection.close()


def parts(**params):
    lines = []
    for name, value in params.items():
        data = isinstance(value, bytes)
        lines.append(f'--zz\r\nContent-Disposition: form-data; name="{name}"'.encode()
                     + (b'; filename="a.bin"' if data else b"") + b"\r\n\r\n"
                     + (value if data else str(value).encode()) + b"\r\n")
    return b"".join(lines) + b"--zz--\r\n"


def call(method):
    return f"/bot{TOKEN}/{TEST}{method}" if TOKEN else f"/{method}"


SEND = call("sendMessage")
HELLO = {"chat_id": 1001, "text": "Grüße & 🙂 =?%"}

ask("query", "GET", f"{SEND}?{urllib.parse.urlencode(HELLO)}")
ask("query of POST", "POST", f"{SEND}?{urllib.parse.urlencode(HELLO)}")
ask("JSON", "POST", SEND, json.dumps(HELLO), JSON)
ask("JSON with a type", "POST", SEND, json.dumps(HELLO), f"{JSON}; charset=utf-8")
ask("null", "POST", call("getMe"), "null", JSON)
ask("form", "POST", SEND, urllib.parse.urlencode(HELLO), FORM)
ask("parts", "POST", SEND, parts(**HELLO), PARTS)
ask("chat in the query", "POST", f"{call('sendDocument')}?chat_id=1001",
    parts(document=bytes(300000)), PARTS)
ask("chat after the file", "POST", call("sendDocument"),
    parts(document=bytes(300000), chat_id=1001), PARTS)
ask("no parameters", "GET", call("getMe"))
ask("another case", "GET", call("GETME"))
ask("broken JSON", "POST", SEND, '{"chat_id":1001,', JSON)
ask("broken parts", "POST", SEND, parts(**HELLO)[:-20], PARTS)
ask("too large", "POST", call("sendDocument"), parts(document=bytes(7000000)), PARTS)
for chat in range(1002, 1007):
    ask(f"chat {chat}", "POST", SEND, json.dumps({**HELLO, "chat_id": chat}), JSON)
ask("no chat", "POST", SEND, json.dumps({"text": "Hello"}), JSON)
ask("no method", "GET", call("noSuchMethod"))
