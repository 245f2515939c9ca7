// The same work on grammY: SECRET, PORT.

import { createServer } from "node:http";
import { Bot, webhookCallback } from "grammy";

const { SECRET, PORT } = process.env;

const RATE = 100000;
const BURST = 100000;
const REMEMBERED = 4194304;

const bot = new Bot("1:bench", {
  botInfo: {
    id: 1,
    is_bot: true,
    first_name: "Bench",
    username: "bench_bot",
    can_join_groups: true,
    can_read_all_group_messages: false,
    supports_inline_queries: false,
  },
  client: { canUseWebhookReply: (method) => method === "sendMessage" },
});

const seen = new Set();
const users = new Map();
const chats = new Map();

function isNew(id) {
  if (seen.has(id)) {
    return false;
  }

  seen.add(id);

  if (seen.size > REMEMBERED) {
    seen.delete(seen.values().next().value);
  }

  return true;
}

function take(buckets, key) {
  const now = performance.now();
  const bucket = buckets.get(key);

  if (bucket === undefined) {
    buckets.set(key, { tokens: BURST - 1, last: now });
    return true;
  }

  bucket.tokens = Math.min(BURST, bucket.tokens + (now - bucket.last) * RATE / 1000);
  bucket.last = now;

  if (bucket.tokens < 1) {
    return false;
  }

  bucket.tokens -= 1;
  return true;
}

bot.use((ctx, next) => {
  if (isNew(ctx.update.update_id)
      && (ctx.from === undefined || take(users, ctx.from.id))
      && (ctx.chat === undefined || take(chats, ctx.chat.id))) {
    return next();
  }
});

bot.command("start", (ctx) =>
  ctx.reply(`Hello ${ctx.from.first_name}!  Tell me what you look for.`));
bot.command("help", (ctx) => ctx.reply("Ask for /hours, or /order and a number."));
bot.command("hours", (ctx) => ctx.reply("We are open from 9 to 18."));
bot.command("order", (ctx) => ctx.reply(`Order ${ctx.match} is on its way.`));

createServer(webhookCallback(bot, "http", { secretToken: SECRET }))
  .listen(Number(PORT), "127.0.0.1");
