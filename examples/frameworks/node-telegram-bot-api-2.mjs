// node-telegram-bot-api 2.

import { Bot } from "node-telegram-bot-api";
import { createWebhookServer } from "node-telegram-bot-api/node";

const { TOKEN, SECRET, PORT = "9001", API_ROOT = "https://api.telegram.org" } = process.env;

const bot = new Bot(TOKEN, { apiRoot: API_ROOT });

bot.command("menu", async (ctx) => {
  for (const line of ["We have", "tea", "and coffee."]) {
    await ctx.reply(line);
  }
});

bot.command("fail", () => {
  throw new Error("on purpose");
});

bot.on("message", (ctx) => ctx.reply(`You said: ${ctx.message.text}`));

// without this, a handler that throws is answered 200
bot.catch((error) => {
  console.error(error);
  throw error;
});

createWebhookServer(bot, { path: "/_shop", secretToken: SECRET }).listen(Number(PORT), "127.0.0.1");
