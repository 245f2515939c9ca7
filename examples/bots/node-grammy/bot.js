// A bot on grammY behind nginx.  SECRET is the secret_token of the webhook.

import { createServer } from "node:http";
import { Bot, InlineKeyboard, webhookCallback } from "grammy";

const { TOKEN, SECRET, PORT = "9002", API_ROOT = "https://api.telegram.org" } = process.env;

const bot = new Bot(TOKEN, {
  client: {
    apiRoot: API_ROOT,

    // The first sendMessage of an update is handed to nginx in the response, which
    // repeats it when the Bot API is away or says 429.  It is sent once the update
    // is handled, so after other calls of the update, which the bot makes itself.
    canUseWebhookReply: (method) => method === "sendMessage",
  },
});

bot.command("start", (ctx) =>
  ctx.reply(`Hello ${ctx.from.first_name}!`, {
    reply_markup: new InlineKeyboard().text("Tea", "tea").text("Coffee", "coffee"),
  }));

bot.on("message:text", (ctx) => ctx.reply(`You said: ${ctx.message.text}`));

bot.on("callback_query:data", async (ctx) => {
  await ctx.answerCallbackQuery({ text: "Noted." });
  await ctx.reply(`You chose ${ctx.callbackQuery.data}.`);
});

// No timeout of grammY's own: nginx holds the webhook, and knows for how long.
const handle = webhookCallback(bot, "http", {
  secretToken: SECRET,
  timeoutMilliseconds: Infinity,
});

// Without this a handler that throws would end the process.  The answer is kept
// until the handler is through, so that 200 means that all of it went well.
async function serve(request, response) {
  let status = 200;
  let headers = {};
  let body;

  const answer = {
    writeHead(code, fields = {}) {
      status = code;
      headers = fields;
      return answer;
    },
    end(text) {
      body = text;
    },
  };

  try {
    await handle(request, answer);
  } catch (error) {
    console.error(error);
    answer.writeHead(500).end();
  }

  response.writeHead(status, headers).end(body);
}

const server = createServer(serve);

// longer than nginx keeps a connection idle (keepalive_timeout of upstream{}, 60s):
// the one who closes must not be the one who may be sent a request
server.keepAliveTimeout = 75_000;

server.listen(Number(PORT), "127.0.0.1");
