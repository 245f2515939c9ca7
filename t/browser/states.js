// The page with states that a small scene does not have, out of fixture.js.

import {
  PHONE, answered, check, config, contrast, equal, fits, open, run, shot, sound, steps,
} from './browser.js';
import { HOSTILE, NOW, bot, letters, status, webhook } from './fixture.js';

const FAILS = (error) => error.includes('Failed to load resource');

/** Answers whose times and counters go on with each question. */
function going(make, list = letters([1, 2, 3], NOW)) {
  let step = 0;
  return (path) => {
    if (path.startsWith('?')) {
      step++;
      return make(NOW + 2 * step, 20000 + 40 * step + Math.round(60 * Math.sin(step / 6)));
    }
    return { bot: 'shop', letters: list, next: 0 };
  };
}

const shop = (now, n) => status({ shop: bot(n, now, { webhook: webhook(now) }) }, now);

async function everything() {
  for (const [name, options] of [['light', {}], ['dark', { colorScheme: 'dark' }],
    ['phone', { viewport: PHONE, hasTouch: true }],
    ['phone-dark', { viewport: PHONE, colorScheme: 'dark' }]]) {
    const opened = await open(config.url, options, going(shop));
    const { page } = opened;
    await steps(page, 62);

    for (const title of ['Updates', 'Queue', 'Verdicts', 'Limits', 'Times', 'Program', 'Bot API',
      'Pace', 'Cache', 'Webhook', 'Out of the ordinary', 'Dead letters: 3', 'Shared memory',
      'Redis']) {
      check(await page.getByRole('heading', { name: title, exact: true }).isVisible(),
        `${name}: ${title}`);
    }
    const lines = await page.locator('svg.chart .line').evaluateAll((paths) =>
      paths.map((path) => (path.getAttribute('d').match(/[ML]/g) || []).length));
    check(lines.length === 6 && lines.every((points) => points >= 58),
      `${name}: lines over two minutes`, lines);
    check(/^Updates over the last two minutes, in updates\/s. Now: received \d+\.\d, /
      .test(await page.locator('svg.chart').first().getAttribute('aria-label')),
    `${name}: charts are told as well`);
    await fits(page, name);
    await contrast(page, name);
    await shot(page, `state-${name}`);
    await sound(opened, name);
  }
}

async function numbers() {
  const opened = await open(config.url, {}, going(shop));
  const { page } = opened;
  await steps(page, 20);

  const card = (title) => page.locator('section.card').filter(
    { has: page.getByRole('heading', { name: title, exact: true }) });
  const row = async (title, name) => (await card(title).getByRole('row', { name })
    .locator('td').allTextContents()).map((text) => text.replaceAll('\u00a0', ' '));
  const fact = (title, name) => card(title).locator('dt', { hasText: name })
    .locator('xpath=following-sibling::dd[1]').textContent();

  equal(await row('Times', /^Acknowledged, in all/), ['\u2264 5 ms', '\u2264 100 ms'],
    'quantiles are bounds of buckets');
  equal((await row('Bot API', /^editMessageText/)).slice(2), ['3', '0', '0'], '4xx of a method');
  equal(await card('Bot API').getByRole('row').count(), 6, 'methods that were used');
  equal(await fact('Webhook', 'Pending'), '17\u00a0updates', 'pending updates');
  equal(await fact('Webhook', 'Last error'), '1\u00a0h\u00a06\u00a0min ago: Read timeout expired',
    'last error');
  equal((await card('Cache').locator('.figures dd').textContent()).replaceAll('\u00a0', ' '),
    '75 % of those asked', 'hits of the cache');
  equal(await fact('Cache', 'Of these by Redis'), '2', 'hits of other machines');
  equal(await fact('Cache', 'Without Redis'), '1', 'a cache without Redis');
  equal(await fact('Redis', 'State'), 'connected', 'Redis is there');
  equal(await fact('Redis', 'No reply'), '1', 'commands without a reply');
  equal((await fact('Redis', 'Median time')).replaceAll('\u00a0', ' '), '\u2264 2.5 ms',
    'round trips of Redis');
  const zone = page.locator('.zones li', { hasText: 'updates' }).first();
  equal(await zone.locator('rect').getAttribute('width'), '93.75%', 'a bar as full as its zone');
  check((await zone.textContent()).replaceAll('\u00a0', ' ').includes('29.6 MiB of 32 MiB'),
    'bytes of a zone');
  await sound(opened, 'numbers');
}

async function inRedis() {
  const opened = await open(config.url, {}, going((now, n) =>
    status({ shop: bot(n, now, { queue: 'redis', machines: {
      here: { workers: 2, inflight: 3, claims: 1 }, gone: { workers: 0, inflight: 1, claims: 0 },
    } }) }, now, { redis_up: 0, redis_reconnects_total: 3 })));
  const { page } = opened;
  await steps(page, 3);

  check(await page.getByRole('heading', { name: 'Queue in Redis' }).isVisible(),
    'a queue in Redis');
  const facts = page.locator('#redis dd');
  equal(await facts.first().textContent(), 'away', 'Redis is away');
  equal(await facts.first().getAttribute('class'), 'bad', 'which is bad');
  const machines = page.locator('.card', { has: page.getByRole('heading', { name: 'Machines' }) });
  equal((await machines.locator('dd').allTextContents()).join(', ').replaceAll('\u00a0', ' '),
    'gone, 1 update in work, 2 workers, 4 updates in work', 'machines');
  await sound(opened, 'in Redis');
}

async function manyBots() {
  const make = (now, n) => status(Object.fromEntries(Array.from({ length: 100 }, (_, i) =>
    [`bot_${i}`, bot(n + i, now, i % 20 ? {
      queue_depth: undefined, queue_items_total: undefined,
      handler_calls_total: { handled: n, unavailable: 0, failed: 0 },
      dead_letters_total: { failed: 0, unsent: 0, expired: 0 },
      dead_letters: { letters: 0, blocks: 0, evicted: 0, oldest: 0 },
    } : {})])), now);

  for (const [name, options] of [['many', {}], ['many-phone', { viewport: PHONE }]]) {
    const opened = await open(`${config.url}#bot=bot_77`, options, going(make));
    const { page } = opened;
    await steps(page, 8);

    const list = page.locator('#bots a');
    equal(await page.getByRole('heading', { level: 2, name: 'bot_77' }).count(), 1,
      `${name}: the bot of the fragment`);
    equal(await page.locator('[aria-current]').textContent().then((text) => text.slice(0, 6)),
      'bot_77', `${name}: is marked in the list`);
    check(await page.locator('[aria-current]').isVisible(), `${name}: and seen there`);
    equal(await list.count(), 100, `${name}: all of them`);
    await page.getByRole('searchbox').fill('bot_4');
    equal(await list.count(), 11, `${name}: filtered`);
    await page.getByRole('searchbox').fill('zzz');
    check(await page.getByText('No such bot.').isVisible(), `${name}: none of that name`);
    await page.getByRole('searchbox').fill('');
    await page.getByRole('button', { name: /^With problems: 5$/ }).click();
    equal(await list.count(), 5, `${name}: those with problems`);
    await page.getByRole('link', { name: /^bot_40/ }).click();
    equal(await page.evaluate(() => window.location.hash), '#bot=bot_40',
      `${name}: the fragment keeps it`);
    await page.getByRole('heading', { level: 2, name: 'bot_40' }).waitFor();
    await page.getByRole('button', { name: /^With problems/ }).click();
    await fits(page, name);
    await contrast(page, name);
    await shot(page, name);
    await page.goBack();
    await page.getByRole('heading', { level: 2, name: 'bot_77' }).waitFor();
    await sound(opened, name);
  }
}

async function hostile() {
  const make = (now, n) => {
    const state = status({ [HOSTILE]: bot(n, now, {
      webhook: webhook(now, { state: HOSTILE, url: `javascript:${HOSTILE}`, error: HOSTILE,
        last_error_message: HOSTILE, ip_address: HOSTILE, allowed_updates: [HOSTILE] }),
      deliveries_total: { [HOSTILE]: 4 }, rejected_total: { [HOSTILE]: 1 },
      api_calls_total: { [HOSTILE]: { ok: 3, 429: 0 }, constructor: { ok: 1 } },
      limit_decisions_total: { [HOSTILE]: { passed: 2 } },
    }), constructor: { received_total: HOSTILE, queue_depth: [] }, b: null,
    ['__proto__']: bot(1, now) }, now, { version: HOSTILE, redis_up: HOSTILE,
      redis_commands_total: { ok: HOSTILE } });
    state.zones = { [HOSTILE]: { kind: HOSTILE, size: 1, used: 1, total: 2 },
      x: { kind: 7, size: HOSTILE } };
    return state;
  };
  const list = letters([1], NOW).map((letter) => ({ ...letter, cause: HOSTILE }));
  const answers = going(make, list);
  const opened = await open(`${config.url}#bot=${encodeURIComponent(HOSTILE)}`, {},
    (path) => (/dead\/.*\/1$/.test(path)
      ? { id: 1, update: { text: HOSTILE }, calls: [{ method: HOSTILE, body: HOSTILE }] }
      : answers(path)));
  const { page } = opened;
  await steps(page, 3);

  equal(await page.locator('h2', { hasText: '</script>' }).textContent(), HOSTILE,
    'a name is a text');
  await page.locator('.letters summary').click();
  const shown = page.locator('.letters pre');
  await shown.first().waitFor();
  equal(JSON.parse(await shown.first().textContent()), { text: HOSTILE }, 'an update is a text');
  equal(await shown.last().textContent(), HOSTILE.replace('\u202e', '\\u202e'),
    'a call is a text, in its own direction');
  equal(await page.locator('a[href^="javascript"]').count(), 0, 'a URL is a text');
  check((await page.title()).startsWith('</script>'), 'the title is a text');
  await fits(page, 'hostile');
  for (const [name, title] of [['constructor', 'constructor'], ['__proto__', '__proto__'],
    ['b', 'No such bot'], ['toString', 'No such bot']]) {
    await page.evaluate((hash) => { window.location.hash = hash; }, `#bot=${name}`);
    await steps(page, 2);
    equal(await page.getByRole('heading', { level: 2, name: title, exact: true }).count(), 1,
      `what is no bot as it should be: ${name}`);
  }
  await page.evaluate(() => { window.location.hash = '#bot=%E0%A4%A'; });
  await steps(page, 1);
  await shot(page, 'hostile');
  await sound(opened, 'hostile');
}

async function little() {
  for (const [name, make, said] of [
    ['no bots', (now) => status({}, now, { zones: {} }), 'No bots'],
    ['no updates', (now) => status({ new: bot(0, now, { last_update_timestamp_seconds: 0,
      queue_depth: undefined, dead_letters: { letters: 0, blocks: 0, evicted: 0, oldest: 0 },
    }) }, now), 'No updates yet. They come'],
    ['nothing but a name', (now) => ({ now, bots: { b: {} } }), 'Nothing.'],
    ['nothing at all', (now) => ({ now }), 'No bots'],
  ]) {
    const opened = await open(config.url, { viewport: PHONE },
      going(make, []));
    const { page } = opened;
    await steps(page, 3);
    check(await page.getByText(said).first().isVisible(), `${name}: is told`);
    await fits(page, name);
    await contrast(page, name);
    await shot(page, name.replaceAll(' ', '-'));
    await sound(opened, name);
  }

  const opened = await open(`${config.url}#bot=nobody`, {}, going(shop));
  await steps(opened.page, 2);
  check(await opened.page.getByText('No such bot', { exact: true }).isVisible(),
    'a bot that is not there');
  await sound(opened, 'nobody');
}

async function faults() {
  for (const [answer, said] of [[403, '(403)'], [404, '(404)'], [503, '(503)'], [500, '(500)'],
    [null, 'cannot be reached'], ['<html>', 'is not the state'], [[], 'is not the state'],
    ['null', 'is not the state']]) {
    const opened = await open(config.url, {}, () => answer);
    await steps(opened.page, 2);
    const alarm = opened.page.getByRole('alert');
    check((await alarm.textContent()).startsWith('No answer yet: ')
          && (await alarm.textContent()).includes(said), `at first ${answer}`,
    await alarm.textContent());
    await contrast(opened.page, `at first ${answer}`);
    if (answer === 403) {
      await shot(opened.page, 'refused');
    }
    await sound(opened, `at first ${answer}`, FAILS);
  }

  let broken = null;
  const answers = going(shop);
  const opened = await open(config.url, {}, (path) => broken ?? answers(path));
  const { page } = opened;
  const alarm = page.getByRole('alert');
  const total = page.locator('.figures dd').nth(4);

  await steps(page, 20);
  check(await alarm.isHidden(), 'no alarm as long as there are answers');
  const last = await total.textContent();
  broken = 503;
  await steps(page, 10);
  check(/^No answer since \d\d:\d\d:\d\d: .*\(503\)/.test(await alarm.textContent()),
    'an alarm, and since when', await alarm.textContent());
  equal(await total.textContent(), last, 'the last values stay');
  await shot(page, 'no-answer');
  broken = null;
  await steps(page, 12);
  check(await alarm.isHidden(), 'the alarm ends');
  check(await total.textContent() !== last, 'and numbers move again');
  const line = await page.locator('svg.chart .line1').first().getAttribute('d');
  equal(line.match(/M/g).length, 2, 'a line has a gap where there was no answer');
  await sound(opened, 'an outage', FAILS);
}

async function restart() {
  let n = 5000;
  const opened = await open(config.url, {}, going((now) => {
    n += 20;
    return shop(now, n);
  }));
  await steps(opened.page, 10);
  n = 0;
  await steps(opened.page, 4);
  const rate = await opened.page.locator('.figures dd').first().textContent();
  check(parseFloat(rate) > 5 && parseFloat(rate) < 15, 'counters that began anew', rate);
  await sound(opened, 'restart');
}

/** What is not as it should be with a webhook is told of beside the name of its bot. */
async function webhooks() {
  const all = ['unknown', 'ok', 'pending', 'error', 'stopped'];
  const opened = await open(config.url, {}, going((now, n) => status(Object.fromEntries(
    all.map((state) => [state, bot(n, now, { webhook: webhook(now, { state }) })])), now)));
  await steps(opened.page, 2);
  const told = await opened.page.locator('#bots a').allTextContents();
  for (const state of all) {
    const text = told.find((line) => line.startsWith(state));
    equal(text.includes(`webhook: ${state}`), !['unknown', 'ok'].includes(state),
      `a webhook that is ${state}`);
  }
  await sound(opened, 'webhooks');
}

/** Broadcasts: how far each is, and what may be done with it. */
async function broadcasts() {
  const one = (id, state, which) => ({ id, method: 'sendMessage', state, created: NOW - 60,
    last: NOW, total: 200, waiting: 0, in_flight: 0, sent: 200, blocked: 0, failed: 0,
    unknown: 0, rate: 0, left: null, ...which });
  const list = [null, one(5, 'constructor', { method: HOSTILE }),
    one(4, 'going', { sent: 80, waiting: 100, in_flight: 20, rate: 29.8, left: 75 }),
    one(3, 'paused', { sent: 50, waiting: 150 }),
    one(2, 'cancelled', { sent: 0, waiting: 200 }),
    one(1, 'done', { sent: 190, blocked: 6, failed: 3, unknown: 1 })];
  const answers = going((now, n) => status({ shop: bot(n, now, { broadcast_list: list }) }, now));
  let refused = false;
  const opened = await open(config.url, {}, (path) => (!path.includes('broadcast/')
    ? answers(path) : refused ? 409 : { id: 4 }));
  const { page, seen } = opened;
  await steps(page, 2);

  const card = page.locator('.card', { has: page.getByRole('heading', { name: 'Broadcasts' }) });
  const items = card.locator('li');
  equal(await items.count(), 5, 'the broadcasts');
  const going4 = items.nth(1);
  equal((await going4.locator('p').allTextContents()).join(' | ').replaceAll('\u00a0', ' '),
    'Broadcast 4: sendMessage, going, 80 of 200 chats (40 %) | '
    + '80 sent \u00b7 29.8/s \u00b7 1 min 15 s left \u00b7 made 1 min 6 s ago',
    'how far one is');
  equal(await going4.locator('rect').getAttribute('width'), '40%', 'its bar');
  equal(await items.nth(2).getByRole('button').allTextContents(), ['Go on', 'Cancel\u2026'],
    'what may be done with one that is paused');
  equal(await items.nth(4).getByRole('button').count(), 0, 'or done');

  await page.getByRole('button', { name: 'Pause broadcast 4' }).click();
  await steps(page, 1);
  check(seen.requests.some((request) => /^POST .*\/broadcast\/shop\/4\/pause$/.test(request)),
    'it is paused');
  await page.getByRole('button', { name: 'Cancel broadcast 3' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.waitFor();
  equal(await dialog.getByRole('button').allTextContents(), ['Keep', 'Cancel'],
    'what cannot go on is asked for');
  await page.keyboard.press('Escape');
  await dialog.waitFor({ state: 'hidden' });
  check(!seen.requests.some((request) => request.endsWith('/cancel')), 'nothing without a yes');

  refused = true;
  await page.getByRole('button', { name: 'Go on broadcast 3' }).click();
  await card.locator('.refusal', { hasText: '(409)' }).waitFor();
  check(await card.getByRole('status').isVisible(), 'a refusal is told');
  await fits(page, 'broadcasts');
  await contrast(page, 'broadcasts');
  await shot(page, 'broadcasts');
  await sound(opened, 'broadcasts', FAILS);
}

async function hidden() {
  const opened = await open(config.url, {}, going(shop));
  const { page, seen } = opened;
  const hide = (value) => page.evaluate((hidden) => {
    Object.defineProperty(document, 'hidden', { configurable: true, get: () => hidden });
    document.dispatchEvent(new Event('visibilitychange'));
  }, value);

  await steps(page, 3);
  await hide(true);
  await steps(page, 1);
  const asked = seen.requests.length;
  await steps(page, 10);
  equal(seen.requests.length, asked, 'asks nothing while nobody looks');
  await hide(false);
  await answered(page);
  check(seen.requests.length > asked, 'asks at once when somebody looks again');
  await sound(opened, 'hidden');
}

async function manyLetters() {
  const ids = Array.from({ length: 50 }, (_, i) => i + 1);
  const state = (now, n) => {
    const of = shop(now, n);
    of.bots.shop.dead_letters.letters = 50;
    return of;
  };
  const answers = going(state);
  let readOnly = false;
  let refuse = false;
  const opened = await open(config.url, {}, (path) => {
    const [, after] = /after=(\d+)/.exec(path) || [null, 0];
    const [, limit] = /limit=(\d+)/.exec(path) || [null, 100];
    if (path.startsWith('?')) {
      const of = answers(path);
      Object.assign(of, readOnly ? { write: false, payload: false } : {});
      return of;
    }
    if (refuse) {
      return 404;
    }
    const list = ids.filter((id) => id > after).slice(0, limit);
    return { bot: 'shop', letters: letters(list, NOW),
      next: list.length === +limit ? list[list.length - 1] : 0 };
  });
  const { page } = opened;
  const items = page.locator('.letters > li');
  const more = page.getByRole('button', { name: 'More' });

  await steps(page, 2);
  equal(await items.count(), 20, 'twenty letters');
  await more.click();
  await answered(page);
  await more.click();
  await answered(page);
  equal(await items.count(), 50, 'and more of them');
  check(await more.isHidden(), 'until there are no more');
  await steps(page, 2);
  equal(await items.count(), 50, 'which stay');

  readOnly = true;
  await steps(page, 2);
  equal(await page.locator('.letters button, .letters details').count(), 0,
    'no buttons and no texts without write=on and payload=on');
  equal(await page.getByRole('button', { name: /Replay|Drop all/ }).count(), 0,
    'nor for all of them');

  readOnly = false;
  await steps(page, 2);
  refuse = true;
  await page.getByRole('button', { name: 'Replay letter 7' }).click();
  await page.locator('.result', { hasText: 'Not replayed: ' }).waitFor();
  check((await page.locator('.result').textContent()).includes('(404)'), 'why it was not done');
  await sound(opened, 'many letters', FAILS);
}

await run(async () => {
  for (const test of [everything, numbers, inRedis, manyBots, hostile, little, faults, restart,
    webhooks, broadcasts, hidden, manyLetters]) {
    await test();
  }
});
