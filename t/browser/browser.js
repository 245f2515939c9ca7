// What the tests in a browser have in common: checks, and pages that are watched.

import { chromium } from 'playwright-core';

export const config = JSON.parse(process.argv[2]);

export const PHONE = { width: 375, height: 812 };

let number = 0;

// of the page that was opened last
let errors = [];

export function check(good, what, detail) {
  number++;
  console.log(`${good ? 'ok' : 'not ok'} ${number} - ${what}`);
  if (!good && detail !== undefined) {
    console.log(`#   ${JSON.stringify(detail)}`);
  }
  return good;
}

export function equal(got, expected, what) {
  return check(JSON.stringify(got) === JSON.stringify(expected), what, { got, expected });
}

let browser = null;

async function launched() {
  browser ||= await chromium.launch({
    executablePath: config.chromium,
    chromiumSandbox: process.getuid() !== 0,
    args: ['--disable-dev-shm-usage'],
  });
  return browser;
}

/**
 * A page of its own context, of which errors, violations of its policy and requests to others
 * are kept.  answers: what /status?format=json and what is below are answered with, instead
 * of by nginx: a function of the path that gives JSON, or a status, or null for no answer.
 */
export async function open(url, options = {}, answers = null) {
  const context = await (await launched()).newContext({
    viewport: { width: 1280, height: 900 }, locale: 'en-GB', timezoneId: 'UTC', ...options,
  });
  const page = await context.newPage();
  const seen = { errors: [], outside: [], requests: [] };

  errors = seen.errors;
  page.on('console', (message) => {
    if (message.type() !== 'log') {
      seen.errors.push(`${message.type()}: ${message.text()}`);
    }
  });
  page.on('pageerror', (error) => seen.errors.push(error.stack));
  page.on('request', (request) => {
    seen.requests.push(`${request.method()} ${request.url()}`);
    if (new URL(request.url()).origin !== new URL(url).origin) {
      seen.outside.push(request.url());
    }
  });
  await page.addInitScript(() => {
    // questions whose answers the page has not dealt with: what waits for an answer, or for its
    // text, goes on before the message comes
    const { fetch } = window;
    const { text } = Response.prototype;
    const counted = (promise) => {
      const { port1, port2 } = new MessageChannel();
      const over = () => port2.postMessage(0);
      window.asking++;
      port1.onmessage = () => { window.asking--; };
      promise.then(over, over);
      return promise;
    };
    window.asking = 0;
    window.fetch = (...of) => counted(fetch(...of));
    Response.prototype.text = function () { return counted(text.call(this)); };

    window.violations = [];
    document.addEventListener('securitypolicyviolation',
      (event) => window.violations.push(`${event.violatedDirective}: ${event.blockedURI}`));
  });

  if (answers) {
    await page.clock.install();
    const base = new URL(url).pathname;
    await page.route((of) => of.pathname.startsWith(`${base}/dead/`)
                             || of.pathname.startsWith(`${base}/broadcast/`)
                             || of.searchParams.get('format') === 'json', async (route) => {
      const of = new URL(route.request().url());
      const value = await answers(of.pathname.slice(base.length) + of.search, route.request());
      if (value === null) {
        await route.abort();
      } else if (typeof value === 'number') {
        await route.fulfill({ status: value, body: '<h1>no</h1>' });
      } else if (typeof value === 'string') {
        await route.fulfill({ body: value });
      } else {
        await route.fulfill({ json: value });
      }
    });
  }

  await page.goto(url);
  return { page, seen };
}

/** Until a condition is true, or for 20 seconds. */
export async function until(condition) {
  for (const end = Date.now() + 20000; Date.now() < end;) {
    if (await condition()) {
      return true;
    }
    await new Promise((resolve) => { setTimeout(resolve, 100); });
  }
  return false;
}

/** Until the page has dealt with the answers to all its questions. */
export async function answered(page) {
  for (let tries = 0; await page.evaluate(() => window.asking > 0); tries++) {
    if (tries === 2000) {
      throw new Error('no answer to a question of the page');
    }
    await page.waitForTimeout(10);
  }
}

/** Lets so many questions of the page be asked and answered, by a clock of its own. */
export async function steps(page, count) {
  await answered(page);
  for (let i = 0; i < count; i++) {
    await page.clock.runFor(2000);
    await answered(page);
  }
}

/** What holds of every page, whatever it shows. */
export async function sound({ page, seen }, what, expected = () => false) {
  equal(seen.errors.filter((error) => !expected(error)), [], `${what}: no errors`);
  equal(seen.outside, [], `${what}: no requests to others`);
  equal(await page.evaluate(() => window.violations), [], `${what}: its policy holds`);
  equal(await page.evaluate(() => [...document.querySelectorAll(
    'img, b b, [style], [onclick], [onerror], script:not(body > script)')].map(
    (e) => e.outerHTML.slice(0, 100))), [],
  `${what}: nothing of others is markup`);
  await page.context().close();
}

export async function fits(page, what) {
  const [wide, width] = await page.evaluate(() =>
    [document.documentElement.scrollWidth, window.innerWidth]);
  check(wide <= width, `${what}: does not scroll sideways`, [wide, width]);
}

/** Texts whose contrast to what is behind them is less than WCAG's AA asks for. */
export async function contrast(page, what) {
  const faint = await page.evaluate(() => {
    const parts = (color) => {
      const [r, g, b, a = 1] = color.match(/[\d.]+/g).map(Number);
      return { rgb: [r, g, b], a };
    };
    const luminance = ({ rgb }) => rgb.map((v) => v / 255)
      .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
      .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
    const behind = (e) => {
      for (; e; e = e.parentElement) {
        const color = parts(getComputedStyle(e).backgroundColor);
        if (color.a === 1) {
          return color;
        }
      }
      return parts('rgb(255, 255, 255)');
    };
    const list = [];
    for (const e of document.querySelectorAll('body *')) {
      const own = [...e.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
      if (!own || !e.checkVisibility() || e.tagName === 'SCRIPT') {
        continue;
      }
      const style = getComputedStyle(e);
      const color = parts(e instanceof SVGElement ? style.fill : style.color);
      const [low, high] = [luminance(color), luminance(behind(e))].sort((a, b) => a - b);
      const ratio = (high + 0.05) / (low + 0.05);
      if (ratio < 4.5) {
        list.push(`${e.textContent.slice(0, 30)}: ${ratio.toFixed(2)}`);
      }
    }
    return list;
  });
  equal(faint, [], `${what}: contrast`);
}

export async function shot(page, name, fullPage = true) {
  await page.screenshot({ path: `${config.shots}/${name}.png`, fullPage, caret: 'initial' });
}

export async function end() {
  await browser.close();
}

/** Runs what was given, and says so if it is not over. */
export async function run(main) {
  try {
    await main();
  } catch (error) {
    check(false, 'ran to its end', [error.stack, ...errors]);
  }
  await end();
}
