// puregram 2.

import { Telegram } from "puregram";
import { serve } from "./serve.mjs";

const { TOKEN, API_ROOT = "https://api.telegram.org" } = process.env;

const telegram = new Telegram({ token: TOKEN, apiBaseUrl: `${API_ROOT}/bot` });

// an error that gets past this is a line in puregram's log, and nothing more
const errors = new WeakMap();

telegram.updates.use(async (context, next) => {
  try {
    await next();
  } catch (error) {
    errors.set(context, error);
  }
});

telegram.updates.on("message", async (context) => {
  switch (context.text) {
    case "/menu":
      for (const line of ["We have", "tea", "and coffee."]) {
        await context.send(line);
      }
      return;

    case "/fail":
      throw new Error("on purpose");

    default:
      await context.send(`You said: ${context.text}`);
  }
});

// not getWebhookMiddleware(), which answers 200 before it hands on the update
serve(async (update) => {
  const context = telegram.updates.handleUpdate(update, false);

  await telegram.updates.dispatchMiddleware(context);

  if (errors.has(context)) {
    throw errors.get(context);
  }
});
