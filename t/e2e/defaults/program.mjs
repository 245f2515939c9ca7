// What frameworks do as they come, of which docs/program.md has a table: each with its own
// webhook, and no setting that is not needed to start it.  The first argument is its name.

import { createServer } from "node:http";

const { TOKEN, SECRET, API_ROOT } = process.env;
const PORT = Number(process.env.PORT);
const HOST = "127.0.0.1";
const URL = "https://bot.example.com/tg/shop";
const LINES = ["We have", "tea", "and coffee."];

// the handlers, for frameworks whose context sends by the function named
const menu = (send) => async (ctx) => {
  for (const line of LINES) {
    await ctx[send](line);
  }
};

const fail = async () => {
  throw new Error("on purpose");
};

function handlers(bot, send) {
  bot.command("menu", menu(send));
  bot.command("fail", fail);
  return bot;
}

async function grammy(client) {
  const { Bot, webhookCallback } = await import("grammy");
  const bot = handlers(new Bot(TOKEN, { client: { apiRoot: API_ROOT, ...client } }), "reply");

  return (adapter) => webhookCallback(bot, adapter, { secretToken: SECRET });
}

const PROGRAMS = {
  async "grammy-http"() {
    createServer((await grammy())("http")).listen(PORT, HOST);
  },

  async "grammy-http-reply"() {
    const callback = await grammy({ canUseWebhookReply: (method) => method === "sendMessage" });
    createServer(callback("http")).listen(PORT, HOST);
  },

  async "grammy-express"() {
    const { default: express } = await import("express");
    const app = express();
    app.use(express.json());
    app.use((await grammy())("express"));
    app.listen(PORT, HOST);
  },

  async "grammy-fastify"() {
    const { default: fastify } = await import("fastify");
    const app = fastify();
    app.post("/_shop", (await grammy())("fastify"));
    await app.listen({ port: PORT, host: HOST });
  },

  async "grammy-koa"() {
    const { default: Koa } = await import("koa");
    const { bodyParser } = await import("@koa/bodyparser");
    const app = new Koa();
    app.use(bodyParser());
    app.use((await grammy())("koa"));
    app.listen(PORT, HOST);
  },

  async "grammy-hono"() {
    const { Hono } = await import("hono");
    const { serve } = await import("@hono/node-server");
    const app = new Hono();
    app.post("/_shop", (await grammy())("hono"));
    serve({ fetch: app.fetch, port: PORT, hostname: HOST });
  },

  async "grammy-hono-reply"() {
    const { Hono } = await import("hono");
    const { serve } = await import("@hono/node-server");
    const callback = await grammy({ canUseWebhookReply: (method) => method === "sendMessage" });
    const app = new Hono();
    app.post("/_shop", callback("hono"));
    serve({ fetch: app.fetch, port: PORT, hostname: HOST });
  },

  async telegraf() {
    const { Telegraf } = await import("telegraf");
    const bot = new Telegraf(TOKEN, { telegram: { apiRoot: API_ROOT } });
    handlers(bot, "reply");
    await bot.launch({ webhook: { domain: URL, path: "/_shop", port: PORT, host: HOST,
                                  secretToken: SECRET } });
  },

  async "node-telegram-bot-api-0"() {
    const { default: TelegramBot } = await import("node-telegram-bot-api-0");
    const bot = new TelegramBot(TOKEN, { baseApiUrl: API_ROOT,
                                         webHook: { port: PORT, host: HOST } });
    bot.onText(/^\/menu/, ({ chat }) => menu("reply")({
      reply: (line) => bot.sendMessage(chat.id, line) }));
    bot.onText(/^\/fail/, fail);
  },

  async "node-telegram-bot-api-2"() {
    const { Bot } = await import("node-telegram-bot-api");
    const { createWebhookServer } = await import("node-telegram-bot-api/node");
    const bot = handlers(new Bot(TOKEN, { apiRoot: API_ROOT }), "reply");
    createWebhookServer(bot, { path: "/_shop", secretToken: SECRET }).listen(PORT, HOST);
  },

  async gramio() {
    const { Bot, webhookHandler } = await import("gramio");
    const bot = handlers(new Bot(TOKEN, { api: { baseURL: `${API_ROOT}/bot` } }), "send");
    createServer(webhookHandler(bot, "http", SECRET)).listen(PORT, HOST);
    await bot.start({ webhook: { url: URL, secret_token: SECRET } });
  },

  async "gramio-wait"() {
    const { Bot, webhookHandler } = await import("gramio");
    const bot = handlers(new Bot(TOKEN, { api: { baseURL: `${API_ROOT}/bot` } }), "send");
    createServer(webhookHandler(bot, "http", { secretToken: SECRET, shouldWait: true }))
      .listen(PORT, HOST);
  },

  async puregram() {
    const { Telegram } = await import("puregram");
    const telegram = new Telegram({ token: TOKEN, apiBaseUrl: `${API_ROOT}/bot` });
    telegram.updates.on("message", async (ctx) => {
      await { "/menu": menu("send"), "/fail": fail }[ctx.text]?.(ctx);
    });
    createServer(telegram.updates.getWebhookMiddleware(SECRET)).listen(PORT, HOST);
  },
};

await PROGRAMS[process.argv[2]]();
