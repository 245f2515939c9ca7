// Telegraf 4.

import { Telegraf } from "telegraf";
import { message } from "telegraf/filters";
import { serve } from "./serve.mjs";

const { TOKEN, API_ROOT = "https://api.telegram.org" } = process.env;

// Telegraf's own limit is 90 seconds, and what takes longer fails and goes on working
const bot = new Telegraf(TOKEN, { telegram: { apiRoot: API_ROOT }, handlerTimeout: 2 ** 31 - 1 });

bot.command("menu", async (ctx) => {
  for (const line of ["We have", "tea", "and coffee."]) {
    await ctx.reply(line);
  }
});

bot.command("fail", () => {
  throw new Error("on purpose");
});

bot.on(message("text"), (ctx) => ctx.reply(`You said: ${ctx.message.text}`));

// not bot.webhookCallback(), which answers 200 although a handler threw
serve((update) => bot.handleUpdate(update));
