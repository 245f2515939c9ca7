"""The metrics that others read: Prometheus' and JSON's after faults, and alerts."""

import asyncio
import re

import clients
import prometheus
from harness import TOP, bot
from simulator.http1 import fetch

FAULTS = dict(updates=2500, chats=200, connections=40, rate=800.0, schedule=0.1,
              program_latency=0.01, program_fail=0.05, program_reset=0.01, api_500=0.03,
              api_reset=0.02, lost_ack=0.03)

QUEUED = bot("queued", "tgbot_queue zone=updates:16m; tgbot_limit $tgbot_chat_id "
                       "zone=chats:1m rate=100r/s burst=100; tgbot_attempts 2 backoff=50ms "
                       "max_backoff=100ms;", api=False)


ALERTS = f"{TOP}/examples/prometheus-alerts.yml"

# [alert, series with values of each minute]: the first half fires, the other does not
FIRING = (
    ("QueueOld", 'queue_oldest_age_seconds{bot="b"}', "290+30x40"),
    ("QueueFull", 'queue_full_total{bot="b"}', "0x10 1+1x30"),
    ("DeadLetters", 'dead_letters_total{bot="b",cause="failed"}', "0x10 1+1x30"),
    ("HandlerFailing", 'handler_calls_total{bot="b",outcome="failed"}', "0+6x40",
     'handler_calls_total{bot="b",outcome="handled"}', "0+90x40"),
    ("AnswersIgnored", 'answers_ignored_total{bot="b",reason="type"}', "0x10 1+1x30"),
    ("HandlerSlow", 'handler_duration_seconds_bucket{bot="b",le="10"}', "0+90x40",
     'handler_duration_seconds_bucket{bot="b",le="30"}', "0+100x40",
     'handler_duration_seconds_bucket{bot="b",le="+Inf"}', "0+100x40"),
    ("ApiFlood", 'api_calls_total{bot="b",method="sendMessage",result="429"}', "0+6x40",
     'api_calls_total{bot="b",method="sendMessage",result="ok"}', "0+90x40"),
    ("Unauthorized", 'unauthorized_workers{bot="b"}', "1x40"),
    ("WrongSecret", 'rejected_total{bot="b",reason="secret"}', "0+3x40"),
    ("WebhookUrl", 'webhook_url_ok{bot="b"}', "0x40"),
    ("WebhookError", 'webhook_last_error_timestamp_seconds{bot="b"}', "0+60x40"),
    ("PendingUpdates", 'webhook_pending_updates{bot="b"}', "101x40"),
    ("ZoneFull", 'zone_bytes{zone="z",state="used"}', "0x5 95x40",
     'zone_bytes{zone="z",state="free"}', "100x5 5x40"),
    ("ZoneRepaired", 'zone_repaired_total{zone="z"}', "0x20 1x20"),
    ("RedisDown", 'redis_up{job="tgbot"}', "1x20 0x20"),
)

CALM = (
    ("QueueOld", 'queue_oldest_age_seconds{bot="b"}', "299x40"),
    ("QueueFull", 'queue_full_total{bot="b"}', "7x40"),
    ("DeadLetters", 'dead_letters_total{bot="b",cause="failed"}', "7x40"),
    ("HandlerFailing", 'handler_calls_total{bot="b",outcome="failed"}', "0+3x40",
     'handler_calls_total{bot="b",outcome="handled"}', "0+90x40"),
    ("AnswersIgnored", 'answers_ignored_total{bot="b",reason="type"}', "7x40"),
    ("HandlerSlow", 'handler_duration_seconds_bucket{bot="b",le="10"}', "0+100x40",
     'handler_duration_seconds_bucket{bot="b",le="30"}', "0+100x40",
     'handler_duration_seconds_bucket{bot="b",le="+Inf"}', "0+100x40"),
    ("ApiFlood", 'api_calls_total{bot="b",method="sendMessage",result="429"}', "0+3x40",
     'api_calls_total{bot="b",method="other",result="ok"}', "0+90x40"),
    ("Unauthorized", 'unauthorized_workers{bot="b"}', "0x40"),
    ("WrongSecret", 'rejected_total{bot="b",reason="json"}', "0+3x40"),
    ("WebhookUrl", 'webhook_url_ok{bot="b"}', "1x40"),
    ("WebhookError", 'webhook_last_error_timestamp_seconds{bot="b"}', "60x40"),
    ("PendingUpdates", 'webhook_pending_updates{bot="b"}', "99x40"),
    ("ZoneFull", 'zone_bytes{zone="z",state="used"}', "100x40",
     'zone_bytes{zone="z",state="free"}', "0x40"),
    ("ZoneRepaired", 'zone_repaired_total{zone="z"}', "1x40"),
    ("RedisDown", 'redis_up{job="tgbot"}', "0x20 1x20"),
)


async def _scrape(nginx):
    answer = await fetch("127.0.0.1", nginx.port, "/status?format=prometheus")
    return answer.body


def _documented():
    """Names in the tables of the section of metrics in docs/operations.md."""
    with open(f"{TOP}/docs/operations.md", encoding="utf-8") as file:
        section = file.read().partition("\n### Metrics\n")[2].partition("\n### ")[0]
    names = set()
    for line in section.splitlines():
        if line.startswith("| `"):
            names.update(re.findall(r"`(\w+)`", line.split("|")[1]))
    return {prometheus.PREFIX + name for name in names}


async def test_metrics(case):
    """After faults both formats say the same, all that is documented, and it balances."""
    scene, nginx = await case.scene(
        directives="tgbot_retry attempts=5 backoff=20ms max_backoff=100ms; "
                   "tgbot_register https://bot.example.com api=http://127.0.0.1:1;",
        locations=QUEUED, **FAULTS)
    scene.play()
    for _ in range(2):
        await asyncio.sleep(1)
        nginx.kill(nginx.workers()[0], scene)
    case.check(await scene.finished(120), "Telegram still has updates")
    statuses = await clients.flood(nginx.port, (
        clients.request(clients.text(number, "x", user=number), "/tg/queued")
        for number in range(3000000001, 3000000301)))
    case.equal(dict(statuses), {200: 300}, "answers of the queue")
    case.books(scene)
    status = await case.check_status(nginx)

    text = await _scrape(nginx)
    families, samples = prometheus.parse(text.decode())
    expected = prometheus.samples_of(status.data)
    case.check(len(expected) > 200, f"only {len(expected)} samples")
    for key in sorted(expected.keys() | samples.keys(), key=str):
        case.equal(samples.get(key), expected.get(key), f"sample {key}")
    case.equal(set(families), _documented(), "metrics and those that are documented")

    killed = len(nginx.killed)
    deliveries = status.value("deliveries_total")
    aborted = status.value("deliveries_total", "aborted")
    observed = status.value("update_duration_seconds", "count")
    case.check(deliveries - aborted - killed <= observed <= deliveries,
               f"{observed} durations of {deliveries} deliveries, {aborted} aborted")
    ended = sum(status.value("calls_total", "handler", event)
                for event in ("ok", "failed", "unknown"))
    observed = status.value("handler_duration_seconds", "count")
    case.check(ended - killed <= observed <= ended,
               f"{observed} durations of {ended} calls of the program")
    mean = status.value("handler_duration_seconds", "sum") / observed
    # it is in seconds
    case.check(0.005 < mean < 5, f"the program took {mean:.3f} s, which takes 0.01 s")

    if prometheus.promtool():
        case.equal(await prometheus.run("check", "metrics", data=text), (0, ""), "promtool")
    else:
        case.note("without promtool, which is not there")
    await case.stop(nginx)
    case.check_logs(nginx)


def _rule_test(alert, fires, *series):
    """A test of promtool: whether the alert fires after 30 minutes."""
    lines = ["  - interval: 1m", "    input_series:"]
    for name, values in zip(series[::2], series[1::2]):
        name = prometheus.PREFIX + name.replace("{", '{instance="i",')
        lines += [f"      - series: '{name}'", f"        values: '{values}'"]
    sample = f'count(ALERTS{{alertname="Tgbot{alert}",alertstate="firing"}})'
    lines += ["    promql_expr_test:", f"      - expr: '{sample}'", "        eval_time: 30m"]
    lines += ["        exp_samples:" + ("" if fires else " []")]
    if fires:
        lines += ["          - labels: '{}'", "            value: 1"]
    return "\n".join(lines) + "\n"


async def test_alerts(case):
    """The example's rules are sound, of metrics that exist, and fire when they should."""
    with open(ALERTS, encoding="utf-8") as file:
        rules = file.read()
    names = re.findall(r"alert: Tgbot(\w+)", rules)
    case.equal([row[0] for row in FIRING], names, "alerts that are to fire")
    case.equal([row[0] for row in CALM], names, "alerts that are to be calm")

    used = {re.sub(r"_(bucket|sum|count)$", "", name)
            for name in re.findall(rf"{prometheus.PREFIX}\w+", rules)}
    case.equal(used - _documented(), set(), "metrics of alerts that nobody writes")

    if not prometheus.promtool():
        case.skip("no promtool")
        return
    code, output = await prometheus.run("check", "rules", ALERTS)
    case.check(code == 0 and f"SUCCESS: {len(names)} rules found" in output, output)

    path = f"{case.directory}/rules_test.yml"
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"rule_files: ['{ALERTS}']\nevaluation_interval: 1m\ntests:\n")
        for alert, *series in FIRING:
            file.write(_rule_test(alert, True, *series))
        for alert, *series in CALM:
            file.write(_rule_test(alert, False, *series))
    code, output = await prometheus.run("test", "rules", path)
    case.equal(code, 0, f"rules under test:\n{output}\n")
