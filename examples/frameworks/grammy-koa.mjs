// grammY with Koa 3.

import { bodyParser } from "@koa/bodyparser";
import { webhookCallback } from "grammy";
import Koa from "koa";
import { bot, options } from "./grammy-bot.mjs";

const app = new Koa();

app.use(bodyParser());
app.use(webhookCallback(bot, "koa", options));

app.listen(Number(process.env.PORT), "127.0.0.1");
