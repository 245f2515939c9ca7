"""Updates as Telegram makes them: bytes, queue ids, lives, and traffic to test with."""

import json
import random
import time
from dataclasses import dataclass

DAY = 86400

# kind: (where the id of its queue comes from, number of the queue's kind, life in seconds)
QUEUES = {
    "message": ("chat", 0, DAY),
    "edited_message": ("chat", 0, DAY),
    "channel_post": ("chat", 0, DAY),
    "edited_channel_post": ("chat", 0, DAY),
    "inline_query": ("user", 1, 30),
    "chosen_inline_result": ("user", 2, 600),
    "callback_query": ("user", 3, 150),
    "shipping_query": ("user", 4, 150),
    "pre_checkout_query": ("user", 4, 150),
    "my_chat_member": ("chat", 5, DAY),
    "chat_member": ("user", 6, DAY),
    "chat_join_request": ("user", 6, DAY),
    "chat_boost": ("chat", 7, DAY),
    "removed_chat_boost": ("chat", 7, DAY),
    "message_reaction": ("chat", 8, DAY),
    "message_reaction_count": ("chat", 9, DAY),
    "business_connection": ("user", 10, DAY),
    "business_message": ("chat", 11, DAY),
    "edited_business_message": ("chat", 11, DAY),
    "deleted_business_messages": ("chat", 11, DAY),
    "purchased_paid_media": ("user", 12, DAY),
    "guest_message": ("chat", 12, DAY),
    "managed_bot": ("user", 13, DAY),
    "poll": ("poll", 0, DAY),
    "poll_answer": ("poll", 0, DAY),
}


@dataclass
class Update:
    """One Update on its way; queue is the lane in which Telegram keeps its order."""

    id: int
    kind: str
    payload: dict
    queue: int
    life: int
    body: bytes

    @property
    def chat(self):
        chat = self.payload.get("chat") or self.payload.get("message", {}).get("chat")
        return chat["id"] if chat else None


def make(update_id, kind, payload):
    """An Update, its body to the byte as Telegram's server writes it: ASCII only."""
    queue, life = _queue(kind, payload)
    text = json.dumps(payload, ensure_ascii=True, separators=(",", ":"))
    body = f'{{"update_id":{update_id},\n"{kind}":{text}}}'.encode("ascii")
    return Update(update_id, kind, payload, queue, life, body)


def _queue(kind, payload):
    """A queue id of 0 stands for a queue of its own."""
    if kind not in QUEUES:
        return 0, 600
    source, number, life = QUEUES[kind]
    if source == "poll":
        return int(payload.get("poll_id") or payload["id"]), life
    if source == "chat":
        owner = payload["chat"]
    else:
        owner = payload.get("from") or payload["user"]
    return owner["id"] + (number << 33), life


def person(user_id, name="Ада", language="en"):
    return {"id": user_id, "is_bot": False, "first_name": name,
            "username": f"user{user_id}", "language_code": language}


def private_chat(user):
    return {"id": user["id"], "first_name": user["first_name"],
            "username": user["username"], "type": "private"}


def group(chat_id, title="Клуб 🚲"):
    return {"id": chat_id, "title": title, "type": "supergroup"}


def message(message_id, user, text, chat=None, **more):
    """The payload of a message; a text that begins with "/" gets its entity."""
    payload = {"message_id": message_id, "from": user, "chat": chat or private_chat(user),
               "date": int(time.time()), "text": text}
    if text.startswith("/"):
        payload["entities"] = [
            {"offset": 0, "length": len(text.split()[0]), "type": "bot_command"}]
    payload.update(more)
    return payload


def photo(message_id, user, caption, chat=None):
    payload = message(message_id, user, "", chat)
    del payload["text"]
    payload["photo"] = [
        {"file_id": f"AgACAgIAAxkBAAI{message_id}{name}", "file_unique_id": f"AQAD{name}",
         "file_size": size * 30, "width": size, "height": size * 3 // 4}
        for name, size in (("s", 90), ("m", 320), ("x", 800))]
    payload["caption"] = caption
    return payload


def callback_query(query_id, user, data, chat=None):
    shown = message(7, {"id": 110201543, "is_bot": True, "first_name": "Demo",
                        "username": "demo_bot"}, "Choose", chat or private_chat(user))
    return {"id": str(query_id), "from": user, "message": shown,
            "chat_instance": str(-query_id * 7919), "data": data}


class Traffic:
    """
    Updates of many chats, the same for the same seed: mostly texts, among them photos,
    edits and buttons, whose queues are others than those of the messages.  heavy: the
    part of them all that one chat sends.
    """

    def __init__(self, count, chats, seed=1, heavy=0.0):
        self._random = random.Random(seed)
        self._heavy = heavy
        self._next = self._random.randrange(2000001, 100000000)
        self._chats = [self._chat(number) for number in range(chats)]
        self.updates = [self._update(number) for number in range(count)]

    def _chat(self, number):
        user = person(500000000 + number, self._random.choice(("Ann", "Боб", "José", "名前")))
        if number % 5 == 4:
            return user, group(-1001000000000 - number)
        return user, private_chat(user)

    def _update(self, number):
        user, chat = self._random.choice(self._chats)
        if self._heavy and self._random.random() < self._heavy:
            user, chat = self._chats[0]
        kind = self._random.random()
        update_id = self._next
        self._next += 1
        if kind < 0.08:
            return make(update_id, "callback_query",
                        callback_query(10 ** 15 + number, user, f"button:{number}", chat))
        if kind < 0.13:
            return make(update_id, "message",
                        photo(number + 1, user, f"photo {number} “ok”", chat))
        text = " ".join(self._random.choices(
            ("hello", "мир", "\"quoted\"", "back\\slash", "🙂", "line\nbreak", "word"), k=12))
        payload = message(number + 1, user, f"{text} #{number}", chat)
        if kind < 0.18:
            payload["edit_date"] = payload["date"] + 1
            return make(update_id, "edited_message", payload)
        return make(update_id, "message", payload)
