"""
One of several processes that send to many chats at once, each call on a connection of its
own.  Arguments: a name for the process, the port, the location, and a JSON object, how many
messages to which chat.  A chat's messages are sent one after the other, each when a line
came on stdin; "sent" is printed after each round, at the end the statuses.
"""

import asyncio
import json
import sys
from collections import Counter

NAME, PORT, LOCATION = sys.argv[1:4]
MESSAGES = json.loads(sys.argv[4])
TOGETHER = 100


async def send(chat, number):
    """Sends a message; returns what reads the status of its answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(PORT))
    body = json.dumps({"chat_id": chat, "text": f"{NAME} {number}"}).encode()
    writer.write(f"POST {LOCATION}sendMessage HTTP/1.1\r\nHost: bot\r\nConnection: close\r\n"
                 "Content-Type: application/json\r\n"
                 f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
    await writer.drain()
    return asyncio.ensure_future(status(reader, writer))


async def status(reader, writer):
    answer = await reader.read()
    writer.close()
    return answer[9:12].decode() or "none"


async def main():
    answers = []
    for number in range(max(MESSAGES.values())):
        chats = [chat for chat, count in MESSAGES.items() if number < count]
        for first in range(0, len(chats), TOGETHER):
            answers += await asyncio.gather(*(
                send(chat, number) for chat in chats[first:first + TOGETHER]))
        print("sent", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
    print(json.dumps(Counter(await asyncio.gather(*answers))), flush=True)


asyncio.run(main())
