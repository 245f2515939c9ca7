// A program that calls the Bot API with one of the frameworks, and prints what it gets, a
// line of JSON for each call.  Its arguments are the framework and the API's root, which is
// given to the framework as its users are told to.

import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";

const { TOKEN, PHOTO, DIRECTORY } = process.env;
const [, , NAME, ROOT] = process.argv;

// What each makes of a framework: call(method, parameters), where a file is what file(path)
// returns; fetch(file_id), the bytes of a file; and wrong(error), what an error tells.
const FRAMEWORKS = {
  async grammy() {
    const { Bot, InputFile } = await import("grammy");
    const { api } = new Bot(TOKEN, { client: { apiRoot: ROOT } });
    return {
      call: (method, params) => api.raw[method](params),
      file: (path) => new InputFile(path),
      async fetch(id) {
        const { file_path: path } = await api.getFile(id);
        return download(`${ROOT}/file/bot${TOKEN}/${path}`);
      },
      wrong: (error) => shape(error),
    };
  },

  async telegraf() {
    const { Telegram } = await import("telegraf");
    // its root is a directory
    const telegram = new Telegram(TOKEN, { apiRoot: `${ROOT}/` });
    return {
      call: (method, params) => telegram.callApi(method, params ?? {}),
      file: (path) => ({ source: path }),
      fetch: async (id) => download(await telegram.getFileLink(id)),
      wrong: (error) => shape(error.response),
    };
  },

  async "node-telegram-bot-api-0"() {
    const { default: TelegramBot } = await import("node-telegram-bot-api-0");
    const bot = new TelegramBot(TOKEN, { baseApiUrl: ROOT, filepath: true });
    const calls = {
      getMe: () => bot.getMe(),
      sendMessage: ({ chat_id: chat, text, ...more }) => bot.sendMessage(chat, text, more),
      editMessageText: ({ text, ...more }) => bot.editMessageText(text, more),
      sendChatAction: ({ chat_id: chat, action }) => bot.sendChatAction(chat, action),
      sendPhoto: ({ chat_id: chat, photo, ...more }) => bot.sendPhoto(chat, photo, more),
      sendDocument: ({ chat_id: chat, document, ...more }) =>
        bot.sendDocument(chat, document, more, { contentType: "application/octet-stream" }),
      getFile: ({ file_id: id }) => bot.getFile(id),
    };
    return {
      call: (method, params) => (calls[method]?.(params)
                                 ?? bot._request(method, { form: params })),
      file: (path) => path,
      fetch: async (id) => readFile(await bot.downloadFile(id, DIRECTORY)),
      wrong: (error) => shape(error.response?.body),
    };
  },

  async "node-telegram-bot-api-2"() {
    const { Api } = await import("node-telegram-bot-api");
    const { fromPath } = await import("node-telegram-bot-api/node");
    const api = new Api(TOKEN, { apiRoot: ROOT, maxRetries: 0 });
    return {
      call: (method, params) => api[method]?.(params) ?? api.request(method, params),
      file: fromPath,
      async fetch(id) {
        const { file_path: path } = await api.getFile({ file_id: id });
        return download(`${ROOT}/file/bot${TOKEN}/${path}`);
      },
      wrong: ({ errorCode, description, parameters }) =>
        shape({ error_code: errorCode, description, parameters }),
    };
  },

  async gramio() {
    const { Bot, MediaUpload } = await import("gramio");
    const bot = new Bot(TOKEN, { api: { baseURL: `${ROOT}/bot` } });
    return {
      call: (method, params) => bot.api[method](params),
      file: (path) => MediaUpload.path(path),
      fetch: async (id) => Buffer.from(await bot.downloadFile(id)),
      wrong: ({ code, message, payload }) =>
        shape({ error_code: code, description: message, parameters: payload }),
    };
  },

  async puregram() {
    const { MediaSource, Telegram } = await import("puregram");
    const telegram = new Telegram({ token: TOKEN, apiBaseUrl: `${ROOT}/bot` });
    return {
      call: (method, params) => telegram.api.call(method, params),
      file: (path) => MediaSource.path(path),
      async fetch(id) {
        const { file_path: path } = await telegram.api.getFile({ file_id: id });
        return download(telegram.getFileURL(path));
      },
      wrong: ({ code, message, parameters }) =>
        shape({ error_code: code, description: message, parameters }),
    };
  },
};

function shape(error) {
  const { error_code: code, description, parameters } = error ?? {};
  return { code, description, parameters };
}

async function download(url) {
  return Buffer.from(await (await fetch(url)).arrayBuffer());
}

const { call, file, fetch: fetchFile, wrong } = await FRAMEWORKS[NAME]();

async function step(name, work) {
  let got;
  try {
    got = { result: await work() };
  } catch (error) {
    // of what is no answer of the Bot API only that it is none
    const told = wrong(error);
    got = { error: told.code === undefined ? "no answer" : told };
  }
  console.log(JSON.stringify({ step: name, ...got }));
}

const message = (chat, text, more) => call("sendMessage", { chat_id: chat, text, ...more });

await step("me", () => call("getMe"));
await step("text", () => message(1001, "Grüße 🙂 \"\\\n"));
await step("keyboard", () => message(1001, "Choose", { reply_markup: {
  inline_keyboard: [[{ text: "Tee & Kaffee", callback_data: "1=2&3" }]] } }));
await step("edit", () => call("editMessageText", { chat_id: 1001, message_id: 1, text: "Edited" }));
await step("action", () => call("sendChatAction", { chat_id: 1001, action: "typing" }));
await step("group", () => message(-1002000000001, "To the group"));

let photo;
await step("photo", async () => {
  photo = await call("sendPhoto", { chat_id: 1001, caption: "Größe: 5 MB",
                                    photo: await file(PHOTO) });
  return photo;
});
const id = photo?.photo?.[0].file_id;
await step("photo again", () => call("sendPhoto", { chat_id: 1001, photo: id }));
await step("document", async () => call("sendDocument", { chat_id: 1001,
                                                          document: await file(PHOTO) }));
await step("file", () => call("getFile", { file_id: id }));
await step("download", async () => createHash("sha256").update(await fetchFile(id)).digest("hex"));

await step("blocked", () => message(1002, "Hello"));
await step("unknown chat", () => message(1003, "Hello"));
await step("flood", () => message(1004, "Hello"));
await step("page", () => message(1005, "Hello"));
await step("failure", () => message(1006, "Hello"));
await step("no text", () => message(1001, ""));
await step("no method", () => call("noSuchMethod", {}));
