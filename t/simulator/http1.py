"""HTTP/1.1 messages over asyncio protocols: as much of it as the simulator needs."""

import asyncio
import socket
import struct
import zlib

REASONS = {
    200: "OK", 204: "No Content", 301: "Moved Permanently", 400: "Bad Request",
    401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
    409: "Conflict", 410: "Gone", 413: "Request Entity Too Large", 429: "Too Many Requests",
    500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable",
    504: "Gateway Timeout",
}


class HttpError(Exception):
    """What arrived is not HTTP, or is HTTP that Telegram does not take."""


class Message:
    """A request or a response: start is its first line, split in three."""

    __slots__ = ("start", "fields", "headers", "body", "raw", "close")

    def __init__(self, start, fields):
        self.start = start
        self.fields = fields
        self.headers = {}
        for name, value in fields:
            self.headers.setdefault(name.lower(), value)
        self.body = b""
        self.raw = b""
        connection = self.headers.get("connection", "").lower()
        version = start[0] if start[0].startswith("HTTP/") else start[2]
        self.close = connection == "close" or (
            version == "HTTP/1.0" and connection != "keep-alive")

    @property
    def status(self):
        return int(self.start[1])

    @property
    def target(self):
        return self.start[1]


class Parser:
    """Cuts a byte stream into messages."""

    def __init__(self, response=False, max_body=None):
        self._response = response
        self._max_body = max_body
        self._buffer = b""
        self._message = None
        self._head_length = 0

    @property
    def idle(self):
        """Whether the stream stands between two messages."""
        return not self._buffer and self._message is None

    def feed(self, data):
        self._buffer = self._buffer + data if self._buffer else data
        messages = []
        while self._buffer or self._message is not None:
            message = self._next()
            if message is None:
                break
            messages.append(message)
        return messages

    def _next(self):
        if self._message is None:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                if self._buffer[:5] != b"HTTP/"[:len(self._buffer)] and self._response:
                    raise HttpError("not an HTTP response")
                return None
            self._message = self._parse_head(self._buffer[:end])
            self._head_length = end + 4

        message = self._message
        body = self._body(message)
        if body is None:
            return None

        message.body, used = body
        message.raw = self._buffer[:used]
        self._buffer = self._buffer[used:]
        self._message = None
        return message

    def _parse_head(self, head):
        lines = head.decode("latin-1").split("\r\n")
        start = lines[0].split(" ", 2)
        if len(start) == 2 and self._response:
            start.append("")
        if len(start) != 3:
            raise HttpError("bad first line")
        if self._response and not (start[0].startswith("HTTP/1.") and start[1].isdigit()):
            raise HttpError("bad status line")
        fields = []
        for line in lines[1:]:
            name, colon, value = line.partition(":")
            if not colon:
                raise HttpError("bad header line")
            fields.append((name, value.strip()))
        return Message(tuple(start), fields)

    def _body(self, message):
        """The body and where it ends in the buffer, or None while it is incomplete."""
        start = self._head_length
        if self._response and (message.status < 200 or message.status in (204, 304)):
            return b"", start

        encoding = message.headers.get("transfer-encoding", "").lower()
        if encoding == "chunked":
            return self._chunked(start)
        if encoding not in ("", "identity"):
            raise HttpError("unknown Transfer-Encoding")

        length = message.headers.get("content-length")
        if length is None:
            # Telegram ignores a body that only the end of the connection limits
            if self._response:
                message.close = True
                return b"", len(self._buffer)
            return b"", start
        if not length.isdigit():
            raise HttpError("bad Content-Length")
        self._check(int(length))
        end = start + int(length)
        if len(self._buffer) < end:
            return None
        return self._buffer[start:end], end

    def _chunked(self, pos):
        parts = []
        total = 0
        while True:
            line = self._buffer.find(b"\r\n", pos)
            if line < 0:
                return None
            try:
                size = int(self._buffer[pos:line].split(b";")[0], 16)
            except ValueError:
                raise HttpError("bad chunk") from None
            total += size
            self._check(total)
            pos = line + 2
            if len(self._buffer) < pos + size + 2:
                return None
            if size == 0:
                return b"".join(parts), pos + 2
            parts.append(self._buffer[pos:pos + size])
            pos += size + 2

    def _check(self, size):
        if self._max_body is not None and size > self._max_body:
            raise HttpError("body is too big")


def decoded(message):
    """The body of a message without its Content-Encoding."""
    encoding = message.headers.get("content-encoding", "").lower()
    if encoding in ("", "identity"):
        return message.body
    if encoding not in ("gzip", "deflate"):
        raise HttpError("unknown Content-Encoding")
    try:
        return zlib.decompress(message.body, 32 + zlib.MAX_WBITS)
    except zlib.error as error:
        raise HttpError(str(error)) from None


def response(status, body=b"", content_type=None, headers=()):
    """The bytes of a response with a Content-Length."""
    lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'Status')}"]
    if content_type is not None:
        lines.append(f"Content-Type: {content_type}")
    lines.append(f"Content-Length: {len(body)}")
    lines.extend(f"{name}: {value}" for name, value in headers)
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


async def fetch(host, port, target, timeout=10.0):
    """The answer to a GET on a connection of its own, or None if it ends without."""
    parser = Parser(response=True)
    messages = []
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(f"GET {target} HTTP/1.1\r\nHost: {host}\r\n"
                     "Connection: close\r\n\r\n".encode("latin-1"))
        while not messages:
            data = await asyncio.wait_for(reader.read(65536), timeout)
            if not data:
                return None
            messages = parser.feed(data)
        return messages[0]
    except ConnectionError:
        return None
    finally:
        writer.close()


class Connection(asyncio.Protocol):
    """A client's connection to a Service."""

    def __init__(self, service):
        self.service = service
        self.lost = False
        self._parser = Parser()
        self._transport = None

    def connection_made(self, transport):
        self._transport = transport
        self.service.connections.add(self)
        self.service.accepted += 1

    def connection_lost(self, exc):
        self.lost = True
        self.service.connections.discard(self)

    def data_received(self, data):
        try:
            requests = self._parser.feed(data)
        except HttpError:
            self.send(response(400, b"", headers=(("Connection", "close"),)))
            self._transport.close()
            return
        for request in requests:
            self.service.handle(self, request)

    def send(self, data):
        if not self.lost:
            self._transport.write(data)

    def finish(self, data):
        """Sends data and closes the connection."""
        self.send(data)
        if not self.lost:
            self._transport.close()
            self.lost = True

    def reset(self):
        """Ends the connection by RST."""
        if self.lost:
            return
        sock = self._transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()


class Service:
    """An HTTP server that can be stopped as a killed process is, and started again."""

    def __init__(self, capture=False):
        self.connections = set()
        self.accepted = 0
        self.requests = 0
        self.port = None
        self.captured = [] if capture else None
        self.tls = None                 # an ssl.SSLContext: HTTPS
        self._host = None
        self._server = None

    async def start(self, host="127.0.0.1", port=0):
        loop = asyncio.get_running_loop()
        self._host = host
        self._server = await loop.create_server(
            lambda: Connection(self), host, port, backlog=1024, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def restart(self):
        """Starts again where it was stopped."""
        await self.start(self._host, self.port)

    def stop(self):
        """
        Closes the listening socket and every connection.  As with a process that is
        killed, an answer that was sent arrives, and a request that was not read is reset.
        """
        if self._server is None:
            return
        self._server.close()
        self._server = None
        for connection in list(self.connections):
            connection.finish(b"")

    def handle(self, connection, request):
        self.requests += 1
        if self.captured is not None:
            self.captured.append(request.raw)
        self.serve(connection, request)

    def serve(self, connection, request):
        raise NotImplementedError
