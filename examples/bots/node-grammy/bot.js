// A bot on grammY behind nginx.  SECRET is the secret_token of the webhook.

import { createServer } from "node:http";
import { json } from "node:stream/consumers";
import { Bot, InlineKeyboard } from "grammy";

const { TOKEN, SECRET, PORT = "9002", API_ROOT = "https://api.telegram.org" } = process.env;

const bot = new Bot(TOKEN, { client: { apiRoot: API_ROOT } });

// These calls are not made by the bot: they are collected, and nginx gets them as the
// answer.  nginx makes them in their order once the handler is through, and repeats them
// when the Bot API is away or says 429.  If the handler throws none of them is made, so
// none is made twice.  Their result is unknown here, it is true: a bot that needs the
// message_id of what it sends takes sendMessage out.
const COLLECTED = new Set(["sendMessage", "answerCallbackQuery"]);

// so many are taken by nginx in one answer
const MAX_CALLS = 32;

const answers = new WeakMap();

bot.use((ctx, next) => {
  const calls = answers.get(ctx.update);

  ctx.api.config.use(async (call, method, payload, signal) => {
    if (COLLECTED.has(method) && calls.length < MAX_CALLS) {
      calls.push({ method, ...payload });
      return { ok: true, result: true };
    }

    // a call that is made now must not overtake those before it
    while (calls.length > 0) {
      const { method: earlier, ...its } = calls.shift();
      const result = await call(earlier, its);
      if (!result.ok) return result;
    }

    return call(method, payload, signal);
  });

  return next();
});

bot.command("start", (ctx) =>
  ctx.reply(`Hello ${ctx.from.first_name}!`, {
    reply_markup: new InlineKeyboard().text("Tea", "tea").text("Coffee", "coffee"),
  }));

bot.command("menu", async (ctx) => {
  for (const line of ["We have", "tea", "and coffee."]) {
    await ctx.reply(line);
  }
});

// sendDice is not collected, as its result is needed
bot.command("dice", async (ctx) => {
  await ctx.reply("It rolls.");
  const { message_id } = await ctx.replyWithDice();
  await ctx.reply("That is yours.", { reply_parameters: { message_id } });
});

bot.on("message:text", (ctx) => ctx.reply(`You said: ${ctx.message.text}`));

bot.on("callback_query:data", async (ctx) => {
  await ctx.answerCallbackQuery({ text: "Noted." });
  await ctx.reply(`You chose ${ctx.callbackQuery.data}.`);
});

// 200 means that all of it went well; a 500 tells nginx, and by it Telegram, to come
// again.  nginx holds the webhook, and knows for how long.
async function serve(request, response) {
  if (request.headers["x-telegram-bot-api-secret-token"] !== SECRET) {
    response.writeHead(401).end();
    return;
  }

  try {
    const update = await json(request);
    const calls = [];

    answers.set(update, calls);
    await bot.handleUpdate(update);

    response.writeHead(200, { "Content-Type": "application/json" })
      .end(calls.length > 0 ? JSON.stringify(calls) : "");
  } catch (error) {
    console.error(error);
    response.writeHead(500).end();
  }
}

const server = createServer(serve);

// longer than nginx keeps a connection idle (keepalive_timeout of upstream{}, 60s):
// the one who closes must not be the one who may be sent a request
server.keepAliveTimeout = 75_000;

await bot.init();
server.listen(Number(PORT), "127.0.0.1");
