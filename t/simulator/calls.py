"""Parameters of a Bot API call, read as Telegram's own HttpReader reads them."""

import json
import re
from json.decoder import scanstring
from urllib.parse import parse_qsl

MAX_BODY = 1 << 20
MAX_DEPTH = 100
MAX_FILES = 50

_SPACE = re.compile(r"[ \t\r\n]*")
_NESTING = re.compile(r'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', re.DOTALL)


class CallError(ValueError):
    """The parameters cannot be read; those before the fault are in .params."""

    def __init__(self, reason, params):
        super().__init__(reason)
        self.params = params


def readable(content_type):
    """Whether Telegram looks into a body of this type at all."""
    kind = content_type.lower()
    return any(known in kind for known in (
        "application/json", "application/x-www-form-urlencoded", "multipart/form-data"))


def parse(content_type, body):
    """
    A dict of strings; a JSON value that is no string stays JSON text.  The first of
    several equal names counts.
    """
    kind = content_type.lower()
    if "application/json" in kind:
        return _json(body.decode("utf-8", "surrogateescape"))
    if "application/x-www-form-urlencoded" in kind:
        return _first(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
    if "multipart/form-data" in kind:
        return _multipart(content_type, body)
    return {}


def files(content_type, body):
    """The files of a form that parse() has read, as bytes by name."""
    match = re.search(r'boundary=(?:"([^"]+)"|([^;\s]+))', content_type, re.IGNORECASE)
    if "multipart/form-data" not in content_type.lower() or match is None:
        return {}
    found = {}
    for part in body.split(b"--" + (match.group(1) or match.group(2)).encode("latin-1")):
        head, _, value = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        name = re.search(rb'\bname="([^"]*)"', head)
        if name and re.search(rb"\bfilename=", head):
            found[name.group(1).decode("latin-1")] = value.removesuffix(b"\r\n")
    return found


def parse_query(query):
    return _first(parse_qsl(query, keep_blank_values=True))


def _first(pairs):
    params = {}
    for name, value in pairs:
        params.setdefault(name, value)
    return params


def _json(text):
    """Reads member by member, so that what stands before a syntax error is kept."""
    params = {}
    decoder = json.JSONDecoder()

    def skip(pos):
        return _SPACE.match(text, pos).end()

    pos = skip(0)
    # telebot sends null for a call without parameters
    if text[pos:].rstrip() in ("", "null"):
        return params
    try:
        pos = _expect(text, pos, "{")
        pos = skip(pos)
        while text[pos] != "}" or params:
            key_end = _expect(text, pos, '"')
            key, pos = scanstring(text, key_end, True)
            pos = skip(_expect(text, skip(pos), ":"))
            value, end = decoder.raw_decode(text, pos)
            raw = text[pos:end]
            if _depth(raw) >= MAX_DEPTH:
                raise ValueError("nested too deeply")
            params.setdefault(key, value if isinstance(value, str) else raw)
            pos = skip(end)
            if text[pos] == "}":
                break
            pos = skip(_expect(text, pos, ","))
        if skip(pos + 1) != len(text):
            raise ValueError("text after the object")
    except (ValueError, IndexError, RecursionError) as error:
        raise CallError(f"can't parse JSON: {error}", params) from None
    return params


def _expect(text, pos, char):
    if text[pos] != char:
        raise ValueError(f"expected {char!r} at {pos}")
    return pos + 1


def _depth(text):
    if text[0] not in "[{":
        return 0
    depth = deepest = 0
    for token in _NESTING.findall(text):
        if token in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif token in "]}":
            depth -= 1
    return deepest


def _multipart(content_type, body):
    match = re.search(r'boundary=(?:"([^"]+)"|([^;\s]+))', content_type, re.IGNORECASE)
    if match is None:
        raise CallError("no boundary", {})
    boundary = b"--" + (match.group(1) or match.group(2)).encode("latin-1")
    params = {}
    files = 0
    parts = body.split(boundary)
    for part in parts[1:-1]:
        head, found, value = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        disposition = re.search(rb"content-disposition:([^\r\n]*)", head, re.IGNORECASE)
        name = disposition and re.search(rb'\bname="([^"]*)"', disposition.group(1))
        if not found or not name:
            raise CallError("bad part of multipart/form-data", params)
        if re.search(rb"\bfilename=", disposition.group(1)):
            files += 1
            if files > MAX_FILES:
                raise CallError("too many files", params)
            continue
        text = value.removesuffix(b"\r\n").decode("utf-8", "replace")
        params.setdefault(name.group(1).decode("latin-1"), text)
    if not parts[-1].startswith(b"--"):
        raise CallError("multipart/form-data is cut off", params)
    return params
