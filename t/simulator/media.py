"""Files that bots send: their ids, what a message says of them, and their bytes."""

import hashlib

MAX_DOWNLOAD = 20 << 20

# what getFile and the result of a method call a file
_KINDS = {"photo": "jpg", "document": "bin", "video": "mp4", "audio": "mp3", "voice": "ogg",
          "animation": "mp4", "sticker": "webp"}


def digest(data):
    return hashlib.sha256(data).hexdigest()


def kind_of(method):
    """The kind of the file that a method sends, or None."""
    kind = method.lower().removeprefix("send")
    return kind if kind in _KINDS else None


class Media:
    """The files of all bots."""

    def __init__(self):
        self._paths = {}        # file_id: path
        self._data = {}         # path: bytes

    def sent(self, kind, value, files):
        """
        What a message says of the file that a call has sent, or None: value is the
        parameter named like the kind, a file_id or attach://; files are by name of the part.
        """
        name = value.removeprefix("attach://") if value.startswith("attach://") else kind
        if name in files:
            return self._described(kind, self.add(kind, files[name]))
        return self._described(kind, value) if value in self._paths else None

    def add(self, kind, data):
        """Keeps a file: its file_id, which is the same for the same bytes."""
        file_id = f"{kind}_{digest(data)[:32]}"
        if file_id not in self._paths:
            path = f"{kind}s/file_{len(self._paths)}.{_KINDS[kind]}"
            self._paths[file_id] = path
            self._data[path] = data
        return file_id

    def _described(self, kind, file_id):
        size = len(self._data[self._paths[file_id]])
        found = {"file_id": file_id, "file_unique_id": f"u{file_id[-12:]}", "file_size": size}
        if kind == "photo":
            return [dict(found, width=90, height=60)]
        return found

    def file(self, file_id):
        """The result of getFile, or None."""
        path = self._paths.get(file_id)
        if path is None:
            return None
        return {"file_id": file_id, "file_unique_id": f"u{file_id[-12:]}",
                "file_size": len(self._data[path]), "file_path": path}

    def read(self, path):
        """The bytes of a file, or None."""
        return self._data.get(path)
