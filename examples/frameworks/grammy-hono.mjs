// grammY with Hono 4.

import { serve } from "@hono/node-server";
import { webhookCallback } from "grammy";
import { Hono } from "hono";
import { bot, options } from "./grammy-bot.mjs";

const app = new Hono();

app.post("/_shop", webhookCallback(bot, "hono", options));

serve({ fetch: app.fetch, port: Number(process.env.PORT), hostname: "127.0.0.1" });
