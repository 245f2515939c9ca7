// The bot of the five servers beside this file.

import { Bot } from "grammy";

const { TOKEN, SECRET, API_ROOT = "https://api.telegram.org" } = process.env;

export const bot = new Bot(TOKEN, { client: { apiRoot: API_ROOT } });

// no timeout of grammY's own, after which it fails and goes on working
export const options = { secretToken: SECRET, timeoutMilliseconds: Infinity };

bot.command("menu", async (ctx) => {
  for (const line of ["We have", "tea", "and coffee."]) {
    await ctx.reply(line);
  }
});

bot.command("fail", () => {
  throw new Error("on purpose");
});

bot.on("message:text", (ctx) => ctx.reply(`You said: ${ctx.message.text}`));
