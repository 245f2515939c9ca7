// grammY with Fastify 5.

import fastify from "fastify";
import { webhookCallback } from "grammy";
import { bot, options } from "./grammy-bot.mjs";

const app = fastify();

app.post("/_shop", webhookCallback(bot, "fastify", options));

await app.listen({ port: Number(process.env.PORT), host: "127.0.0.1" });
