// node-telegram-bot-api 0.x.

import TelegramBot from "node-telegram-bot-api";
import { serve } from "./serve.mjs";

const { TOKEN, API_ROOT = "https://api.telegram.org" } = process.env;

const bot = new TelegramBot(TOKEN, { baseApiUrl: API_ROOT });

async function onMessage({ chat, text }) {
  switch (text) {
    case "/menu":
      for (const line of ["We have", "tea", "and coffee."]) {
        await bot.sendMessage(chat.id, line);
      }
      return;

    case "/fail":
      throw new Error("on purpose");

    default:
      await bot.sendMessage(chat.id, `You said: ${text}`);
  }
}

// not bot.processUpdate(): its events do not wait for who handles them, and if that
// throws the process ends
serve(async ({ message }) => {
  if (message?.text !== undefined) {
    await onMessage(message);
  }
});
