// An HTTP server for a bot's program behind nginx.  It gives each Update to work(), and
// answers 200 when work() is through, and 500 if work() throws: then the update comes
// again.  SECRET is the secret_token of the webhook.

import { createServer } from "node:http";
import { json } from "node:stream/consumers";

const { SECRET, PORT = "9001" } = process.env;

export function serve(work) {
  const server = createServer(async (request, response) => {
    if (request.headers["x-telegram-bot-api-secret-token"] !== SECRET) {
      response.writeHead(401).end();
      return;
    }

    try {
      await work(await json(request));
      response.writeHead(200).end();
    } catch (error) {
      console.error(error);
      response.writeHead(500).end();
    }
  });

  // longer than nginx keeps a connection idle
  server.keepAliveTimeout = 75_000;

  server.listen(Number(PORT), "127.0.0.1");
}
