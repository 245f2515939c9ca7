// gramio 0.10.

import { Bot } from "gramio";
import { serve } from "./serve.mjs";

const { TOKEN, API_ROOT = "https://api.telegram.org" } = process.env;

const bot = new Bot(TOKEN, { api: { baseURL: `${API_ROOT}/bot` } });

bot.command("menu", async (context) => {
  for (const line of ["We have", "tea", "and coffee."]) {
    await context.send(line);
  }
});

bot.command("fail", () => {
  throw new Error("on purpose");
});

bot.on("message", (context) => context.send(`You said: ${context.text}`));

// without this, a handler that throws is answered 200
bot.onError(({ error }) => {
  throw error;
});

await bot.init();

// not webhookHandler(), which answers 200 at once, or with shouldWait fails after 30
// seconds and goes on working
serve((update) => bot.updates.handleUpdate(update));
