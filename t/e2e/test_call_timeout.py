"""A call that nginx does not let go of, since a thread works for it."""

import os

import build
import clients
from harness import bot

CACHED = """\
        location = /_cached {
            internal;
            aio threads;
            proxy_pass http://program;
            proxy_cache answers;
            proxy_cache_methods POST;
            proxy_cache_key $uri;
            proxy_cache_valid 1m;
        }
"""


async def test_thread(case):
    """
    Its update fails, its place is free for others, and the request ends with its thread;
    a stop is not kept.
    """
    library = await build.library("hangread.c", case.directory)
    hang = f"{case.directory}/hang"
    case.at_end(lambda: _remove(hang))

    _, nginx = await case.scene(
        http=f"proxy_cache_path {case.directory}/cache keys_zone=answers:1m;\n"
             "tgbot_call_timeout 500ms; tgbot_max_calls 1;",
        locations=bot("cached", api=False, handler="/_cached") + CACHED,
        nginx={"workers": 1, "start": False,
               "environment": {"LD_PRELOAD": library, "HANGREAD": hang}})
    await nginx.start()

    async def send(number, path, status):
        answer = await clients.post(nginx.port, clients.text(number, "hello", user=number),
                                    path)
        case.equal(answer and answer.status, status, f"update {number}")

    await send(1, "/tg/cached", 200)
    await send(2, "/tg/cached", 200)

    with open(hang, "w", encoding="utf-8"):
        pass

    await send(3, "/tg/cached", 500)
    case.check("cannot abort it yet: it is abandoned" in nginx.read("error.log"),
               "no line about it in error.log")
    await send(4, "/tg/e2e", 200)

    _remove(hang)
    await send(3, "/tg/cached", 200)

    status = await case.status(nginx)
    calls = {event: status.value("calls_total", "handler", event, bot="cached")
             for event in ("started", "ok", "failed", "unknown", "aborted")}
    case.equal(calls, {"started": 4, "ok": 3, "failed": 0, "unknown": 1, "aborted": 0},
               "calls")
    case.equal(status.value("calls_expired_total", bot="cached"), 1, "calls that expired")

    await case.stop(nginx)
    case.check_logs(nginx)


def _remove(path):
    if os.path.exists(path):
        os.unlink(path)
