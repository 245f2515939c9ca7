// grammY with Node's own http.

import { createServer } from "node:http";
import { webhookCallback } from "grammy";
import { bot, options } from "./grammy-bot.mjs";

const handle = webhookCallback(bot, "http", options);

createServer(async (request, response) => {
  // without this, a handler that throws ends the process
  try {
    await handle(request, response);
  } catch (error) {
    console.error(error);
    response.writeHead(500).end();
  }
}).listen(Number(process.env.PORT), "127.0.0.1");
