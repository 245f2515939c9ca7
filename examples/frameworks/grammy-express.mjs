// grammY with Express 5.  Express 4 does not see that a handler throws.

import express from "express";
import { webhookCallback } from "grammy";
import { bot, options } from "./grammy-bot.mjs";

const app = express();

// an Update has up to 512 KiB
app.use(express.json({ limit: "1mb" }));
app.post("/_shop", webhookCallback(bot, "express", options));

app.listen(Number(process.env.PORT), "127.0.0.1");
