// The page in front of nginx at work: numbers move, letters are replayed and dropped, and
// nobody else can do that.  t/browser/run looks after what comes of it.

import {
  PHONE, check, config, contrast, equal, fits, open, run, shot, sound, until,
} from './browser.js';

const WRITES = `${config.url}/dead/e2e`;

async function listed() {
  const answer = await fetch(WRITES);
  return (await answer.json()).letters.map((letter) => letter.id);
}

/** Presses Tab until the button of that name has the focus, and says how it is seen. */
async function tabTo(page, name) {
  for (let i = 0; i < 100; i++) {
    await page.keyboard.press('Tab');
    const [label, outline] = await page.evaluate(() => {
      const e = document.activeElement;
      const style = getComputedStyle(e);
      return [e.getAttribute('aria-label') || e.textContent.trim(),
        `${style.outlineStyle} ${style.outlineWidth}`];
    });
    if (label === name) {
      return equal(outline, 'solid 3px', `Tab reaches "${name}", which is seen`);
    }
  }
  return check(false, `Tab reaches "${name}"`);
}

async function moves() {
  const opened = await open(config.url);
  const { page } = opened;
  const figures = page.locator('.figures dd');
  const total = async () => Number((await figures.nth(4).textContent()).replaceAll(',', ''));

  await page.getByRole('heading', { name: 'Updates' }).waitFor();
  const first = await total();
  check(await until(async () => await total() > first + 10), 'received updates rise');
  check(await until(async () => parseFloat(await figures.first().textContent()) > 5),
    'there is a rate', await figures.first().textContent());
  check(await until(async () => {
    const d = await page.locator('svg.chart .line1').first().getAttribute('d');
    return (d.match(/L/g) || []).length > 3;
  }), 'there is a line');
  check(await page.getByRole('row', { name: /^queued/ }).isVisible(), 'verdicts');
  check(await page.getByRole('row', { name: /^send\s?Message/ }).isVisible(), 'methods');
  equal(await page.locator('.zones b', { hasText: config.zone }).count(), 1, 'a zone by its name');

  const size = page.viewportSize();
  for (const [name, scheme, viewport] of [['light', 'light', size], ['dark', 'dark', size],
    ['phone', 'light', PHONE], ['phone-dark', 'dark', PHONE],
    ['narrow', 'light', { width: 320, height: 600 }]]) {
    await page.emulateMedia({ colorScheme: scheme });
    await page.setViewportSize(viewport);
    await page.waitForTimeout(100);
    await fits(page, `scene, ${name}`);
    await contrast(page, `scene, ${name}`);
    await shot(page, name);
  }
  await sound(opened, 'scene');
}

async function oneOfTwo() {
  const opened = await open(config.url);
  const { page } = opened;

  await page.getByRole('link', { name: /^idle/ }).focus();
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { level: 2, name: 'idle' }).waitFor();
  check(await page.getByText('No updates yet. They come').isVisible(), 'no updates yet');
  await page.reload();
  await page.getByRole('heading', { level: 2, name: 'idle' }).waitFor();
  equal(new URL(page.url()).hash, '#bot=idle', 'the fragment keeps the bot');
  await sound(opened, 'one of two');
}

/** By the keyboard alone: show, replay, drop. */
async function keyboard() {
  const opened = await open(config.url);
  const { page } = opened;
  const [shown, replayed, dropped, kept] = config.letters;
  const items = page.locator('.letters > li');
  const result = page.locator('.result');

  await items.first().waitFor();
  equal(await items.count(), 4, 'four letters');

  await tabTo(page, `Show letter ${shown.id}`);
  await page.keyboard.press('Enter');
  const update = items.first().locator('pre');
  await update.waitFor();
  equal(JSON.parse(await update.textContent()).message.text, shown.text,
    'the update is there as text');
  await shot(page, 'letter');

  await tabTo(page, `Replay letter ${replayed.id}`);
  await page.keyboard.press('Enter');
  check(await until(async () => await result.textContent()
                               === `Letter ${replayed.id} was replayed.`), 'replayed',
  await result.textContent());
  equal(await result.getAttribute('aria-live'), 'polite', 'which is announced');
  check(await until(async () => await items.count() === 3), 'it is gone from the list');
  equal(await page.evaluate(() => document.activeElement.getAttribute('aria-label')),
    `Replay letter ${dropped.id}`, 'the focus is on the next letter');

  const dialog = page.getByRole('dialog');
  await tabTo(page, `Drop letter ${dropped.id}`);
  await page.keyboard.press('Enter');
  await dialog.waitFor();
  equal(await page.evaluate(() => document.activeElement.textContent), 'Keep',
    'what is lost for ever is asked for');
  await shot(page, 'dialog', false);
  await page.keyboard.press('Escape');
  await dialog.waitFor({ state: 'hidden' });
  equal(await listed(), [shown.id, dropped.id, kept.id], 'nothing is dropped without a yes');

  const on = (name) => until(async () => await page.evaluate(
    () => document.activeElement.textContent) === name);
  await page.keyboard.press('Enter');
  await dialog.waitFor();
  await on('Keep');
  await page.keyboard.press('Tab');
  await on('Drop');
  await page.keyboard.press('Enter');
  check(await until(async () => await items.count() === 2), 'dropped');
  equal(await listed(), [shown.id, kept.id], 'that letter and no other');
  // the list is asked for by itself
  const title = page.locator('h3', { hasText: 'Dead letters' });
  await until(async () => await title.textContent() === 'Dead letters: 2');
  equal(await title.textContent(), 'Dead letters: 2', 'how many there are');
  await sound(opened, 'keyboard');
}

/** A page of another origin tries; its own questions are refused before they are sent. */
async function others(other) {
  const before = await listed();
  const opened = await open(other);
  const { page } = opened;

  const tried = await page.evaluate(async ([url, letter]) => {
    const results = [];
    for (const [path, method, action] of [['', 'POST', 'replay'], ['', 'DELETE', 'drop'],
      [`/${letter}`, 'DELETE', 'drop'], [`/${letter}`, 'POST', 'replay']]) {
      for (const options of [
        { method, headers: { 'X-Tgbot-Action': action } },
        { method, headers: { 'X-Tgbot-Action': action }, mode: 'no-cors' },
        { method, mode: 'no-cors' },
        { method, credentials: 'include' },
      ]) {
        results.push(await fetch(url + path, options)
          .then((answer) => `${answer.type} ${answer.status}`, () => 'refused'));
      }
    }
    return results;
  }, [WRITES, before[0]]);
  check(tried.every((result) => result === 'refused' || result === 'opaque 0'),
    'another origin reads no answer', tried);
  equal(await listed(), before, 'another origin changes nothing');

  await page.evaluate((url) => {
    const form = document.createElement('form');
    form.method = 'post';
    form.action = url;
    document.body.append(form);
    form.submit();
  }, WRITES);
  await page.waitForURL(WRITES);
  check((await page.textContent('body')).includes('"error"'), 'a form is refused');
  equal(await listed(), before, 'a form changes nothing');

  await page.goto(other);
  const framed = await page.evaluate(async (url) => {
    const frame = document.createElement('iframe');
    frame.src = url;
    document.body.append(frame);
    await new Promise((resolve) => { frame.onload = resolve; });
    return frame.contentDocument === null;
  }, config.url);
  await page.waitForTimeout(500);
  check(framed, 'another origin cannot read what it frames');
  check(opened.seen.requests.includes(`GET ${config.url}`)
        && !opened.seen.requests.some((request) => request.includes('format=json')),
  'another origin frames nothing that runs', opened.seen.requests);
  await page.context().close();
}

async function all() {
  const opened = await open(config.url);
  const { page } = opened;
  const items = page.locator('.letters > li');

  await items.first().waitFor();
  await page.getByRole('button', { name: '3 dead letters' }).waitFor({ state: 'detached' });
  await page.getByRole('button', { name: '2 dead letters' }).click();
  equal(await page.evaluate(() => document.activeElement.textContent), 'Dead letters: 2',
    'the way to the letters');
  await page.getByRole('button', { name: 'Replay all' }).click();
  await page.getByText('2 letters were replayed').waitFor();
  await page.getByText('No dead letters.').waitFor();
  const focus = () => page.evaluate(() => document.activeElement.textContent);
  await until(async () => await focus() === 'Dead letters');
  equal(await focus(), 'Dead letters', 'the focus is not lost with the button');
  check(await until(async () => await page.getByRole('button', { name: 'Drop all' })
    .count() === 0), 'nothing is there to be dropped');
  await sound(opened, 'all of them');
}

/** The same location with another slash at its end, and one that only shows. */
async function elsewhere() {
  for (const [path, buttons] of [['/', 2], ['', 2]]) {
    const opened = await open(config.url + path);
    await opened.page.locator('.letters > li').first().waitFor();
    equal(await opened.page.locator('.letters > li').first().getByRole('button').count(), buttons,
      `letters at ...${path}`);
    await sound(opened, `at ...${path}`);
  }

  for (const url of [config.readonly, `${config.readonly}/`, config.slash]) {
    const opened = await open(url);
    await opened.page.locator('.letters > li').first().waitFor();
    equal(await opened.page.locator('.letters > li').first().locator('button, details').count(), 0,
      `read only: ${new URL(url).pathname}`);
    await sound(opened, url);
  }
}

await run(async () => {
  for (const test of [moves, oneOfTwo, elsewhere]) {
    await test();
  }
  for (const other of config.others) {
    await others(other);
  }
  await keyboard();
  await all();
});
