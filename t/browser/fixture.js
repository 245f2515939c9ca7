// States as tgbot_status gives them, for what a small scene does not show: many bots,
// every card, hostile texts.

/** When the counters of all of them began, and a time from which to go on. */
export const START = 1795431355;
export const NOW = START + 93784;

export const HOSTILE =
  '</script><img src=x onerror="document.title=1"><b style="color:red">&amp;\u202e"\'`${1}';

const METHODS = ['sendMessage', 'editMessageText', 'answerCallbackQuery', 'sendPhoto',
  'deleteMessage', 'sendChatAction', 'other'];
const BOUNDS = ['0.001', '0.0025', '0.005', '0.01', '0.025', '0.05', '0.1', '0.25', '0.5', '1',
  '2.5', '5', '10', '30', '60', '+Inf'];

/** Cumulative buckets of n values, half of them up to the bound with this number. */
function histogram(n, middle) {
  const buckets = {};
  BOUNDS.forEach((bound, i) => {
    const part = i < middle ? 0.4 * i / middle : 1 - 0.5 * 0.35 ** (i - middle);
    buckets[bound] = Math.round(n * (bound === '+Inf' ? 1 : part));
  });
  return { buckets, sum: n / 100, count: n };
}

/** A bot that took n updates; which: the members it has besides. */
export function bot(n, now, which = {}) {
  const api = {};
  METHODS.forEach((method, i) => {
    const calls = i < 5 ? Math.round(n / (i + 1) ** 2) : 0;
    api[method] = { ok: calls, 429: Math.round(calls / 40), '4xx': i === 1 ? 3 : 0,
      '5xx': i === 0 ? Math.round(n / 900) : 0, error: i === 0 ? 2 : 0 };
  });
  const failed = Math.round(n / 50);
  return {
    start_time: START,
    received_total: n,
    held: 3,
    deliveries_total: { done: 0, queued: n - 3 * failed, duplicate: failed, limited: failed,
      stale: 0, ignored: 0, dead: 0, busy: 0, failed: 0, rejected: failed, aborted: 0 },
    rejected_total: { secret: failed, method: 0, type: 0, json: 0 },
    calls_total: { handler: { started: n, ok: n - failed, failed, unknown: 0, aborted: 0 },
      api: { started: n, ok: n, failed: 0, unknown: 0, aborted: 0 } },
    calls_inflight: { handler: 4, api: 2 },
    handler_calls_total: { handled: n - 3 * failed, unavailable: 0, failed },
    answers_ignored_total: { type: 3, not_json: 0, encoding: 0, too_many: 0,
      refused_method: 1, bad_method: 0, no_address: 0 },
    api_calls_total: api,
    api_calls_given_up_total: 1,
    api_calls_unsent_total: 0,
    pace_waiting: { pace: 7, 429: 2, order: 1 },
    pace_waits_total: { pace: 700, 429: 20, order: 10 },
    pace_paused: 1,
    pace_pauses_total: 9,
    pace_lost_total: 0,
    pace_redis_away_total: 0,
    pace_used: { global: 28, paid: 0 },
    pace_allowed: { global: 30, paid: 1000 },
    limit_decisions_total: {
      flood: { passed: n, dropped: failed, rejected: 0, dropped_dry_run: 0,
        rejected_dry_run: 0 },
    },
    cache_total: { hit: 3 * failed, miss: failed, wait: 2, timeout: 0, bypass: n, stored: failed,
      uncacheable: 4, redis: 2, redis_away: 1 },
    queue_full_total: 0,
    dead_letters_total: { failed: 2, unsent: 1, expired: 0 },
    dedup_rebased_total: 1,
    dedup_full_total: 0,
    dedup_unnumbered_total: 0,
    leases_lost_total: 0,
    attempts_spent_total: 0,
    rides_repeated_total: 12,
    last_update_timestamp_seconds: n ? now - 2 : 0,
    update_duration_seconds: histogram(n, 2),
    handler_duration_seconds: histogram(n, 6),
    queue_items_total: { accepted: n - 3 * failed, replayed: 2, loaded: 0,
      done: n - 3 * failed - 40, dead: 3, expired: 0, dropped: 0 },
    queue_depth: { waiting: 21 + n % 13, delayed: 5, inflight: 8, dead: 3, orphaned: 0 },
    queue_oldest_age_seconds: 74,
    queue: 'zone',
    queue_lanes: 11,
    queue_blocks: 70,
    queue_allowed: 0,
    seen: { records: 12, leased: 8, rides: 0, rides_evicted: 0, top: [7654321, 0] },
    dead_letters: { letters: 3, blocks: 9, evicted: 0, oldest: now - 7200 },
    ...which,
  };
}

export function webhook(now, which = {}) {
  return {
    state: 'ok',
    url: 'https://bot.example.com/tg/shop',
    expected: 'https://bot.example.com/tg/shop',
    ip_address: '203.0.113.7',
    max_connections: 40,
    allowed_updates: ['message', 'callback_query'],
    has_custom_certificate: false,
    pending_updates: 17,
    last_error_date: now - 4000,
    last_error_message: 'Read timeout expired',
    checked: now - 120,
    registered: now - 90000,
    taken: 0,
    error: '',
    ...which,
  };
}

/** The whole state; step rises by one with each question. */
export function status(bots, now, which = {}) {
  return {
    version: '0.4.0',
    now,
    start_time: START,
    write: true,
    payload: true,
    redis_up: 1,
    redis_commands_total: { ok: 40123, error: 2, away: 3, unknown: 1 },
    redis_reconnects_total: 1,
    redis_duration_seconds: histogram(40126, 1),
    bots,
    zones: {
      tgbot_slots: { kind: 'slots', size: 65536, zone_bytes: { used: 65536, free: 0 },
        zone_evicted_total: 0, zone_repaired_total: 0 },
      tgbot_seen_shop: { kind: 'dedup', size: 2097152, zone_bytes: { used: 2097152, free: 0 },
        zone_evicted_total: 0, zone_repaired_total: 1 },
      flood: { kind: 'limit', size: 4194304, zone_bytes: { used: 4100000, free: 94304 },
        zone_evicted_total: 5120, zone_repaired_total: 0, used: 61000, total: 62000 },
      answers: { kind: 'cache', size: 8388608, zone_bytes: { used: 900000, free: 7488608 },
        zone_evicted_total: 0, zone_repaired_total: 0, entries: 311, used: 1700, total: 16000 },
      updates: { kind: 'queue', size: 33554432,
        zone_bytes: { used: 31000000, free: 2554432 }, zone_evicted_total: 0,
        zone_repaired_total: 0, items: 31000, broken: 0, orphaned: 2, used: 60000,
        total: 64000 },
      tgbot_dead: { kind: 'dead letters', size: 4194304,
        zone_bytes: { used: 3100000, free: 1094304 }, zone_evicted_total: 0,
        zone_repaired_total: 0, items: 3, broken: 0, used: 6100, total: 8100 },
    },
    ...which,
  };
}

/** Dead letters from one id on, as dead/BOT lists them. */
export function letters(ids, now) {
  const causes = ['failed', 'unsent', 'expired'];
  return ids.map((id) => ({
    id, update_id: 880000000 + id, cause: causes[id % 3], status: id % 3 ? 0 : 500,
    attempts: 10, first: now - 9000 - id, last: now - 7200, size: 700 + id * 37,
    answered: id % 3 === 1 ? 1 : 0, calls_done: id % 3 === 1 ? 2 : 0,
  }));
}
