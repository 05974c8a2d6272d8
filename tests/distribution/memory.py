"""A registry in memory, with what docker-registry lacks: uploads that go on after a break, chunks, the referrers API."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import threading

from tests.webserver import Exchange, Handle, WebServer

_UPLOAD = re.compile(r"/v2/(.+)/blobs/uploads/(\d+)$")


class MemoryRegistry(WebServer):
    """Keeps what it is sent. `misbehave` as in `Between`; `received` counts the bytes of blobs that came in."""

    def __init__(self) -> None:
        super().__init__(self._dispatch)
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[str, tuple[str, bytes]] = {}
        self.uploads: dict[str, bytearray] = {}
        self.received = 0
        self.chunk_min = 0
        self.location_prefix = ""
        self.range_form = "0-{}"
        self._rules: list[tuple[re.Pattern[str], Handle, list[None]]] = []
        self._lock = threading.Lock()
        self._numbers = itertools.count()

    def misbehave(self, pattern: str, handle: Handle, times: int = 1) -> None:
        """Let `handle` answer the next `times` requests whose `METHOD path` matches `pattern`."""
        self._rules.append((re.compile(pattern), handle, [None] * times))

    def honest(self, exchange: Exchange) -> None:
        """Answer as a registry should."""
        if match := _UPLOAD.match(exchange.path):
            self._upload(exchange, match[1], match[2])
        elif exchange.path.endswith("/blobs/uploads/"):
            self._begin(exchange)
        elif "/blobs/" in exchange.path:
            content = self.blobs.get(exchange.path.rpartition("/")[2])
            exchange.send(404) if content is None else exchange.send(200, {}, content)
        elif "/manifests/" in exchange.path:
            self._manifest(exchange)
        elif "/referrers/" in exchange.path:
            self._referrers(exchange)
        else:
            exchange.send(200 if exchange.path == "/v2/" else 404)

    def break_after(self, exchange: Exchange, count: int) -> None:
        """Keep `count` bytes of what a PATCH sends, and end the connection."""
        match = _UPLOAD.match(exchange.path)
        assert match is not None
        part = exchange.read(count)
        self.uploads[match[2]] += part
        self.received += len(part)
        exchange.cut()

    def _dispatch(self, exchange: Exchange) -> None:
        with self._lock:
            rule = next((r for r in self._rules if r[2] and r[0].match(f"{exchange.method} {exchange.path}")), None)
            if rule is not None:
                rule[2].pop()
        (rule[1] if rule else self.honest)(exchange)

    def _begin(self, exchange: Exchange) -> None:
        if exchange.query.get("mount") in self.blobs and exchange.query.get("from") == "known":
            exchange.send(201)
            return
        number = str(next(self._numbers))
        self.uploads[number] = bytearray()
        headers = self._progress(exchange.path + number, number)
        if self.chunk_min:
            headers["OCI-Chunk-Min-Length"] = str(self.chunk_min)
        exchange.send(202, headers)

    def _progress(self, path: str, number: str) -> dict[str, str]:
        size = len(self.uploads[number])
        return {
            "Location": f"{self.location_prefix}{path}?state=a%2Bb%3D",
            "Range": self.range_form.format(max(size - 1, 0)),
        }

    def _upload(self, exchange: Exchange, name: str, number: str) -> None:
        upload = self.uploads.get(number)
        if upload is None:
            exchange.send(404)
            return
        if exchange.method == "GET":
            exchange.send(204, self._progress(exchange.path, number))
            return
        if exchange.method == "DELETE":
            del self.uploads[number]
            exchange.send(204)
            return
        told = exchange.headers.get("Content-Range")
        if upload and (told is None or not told.startswith(f"{len(upload)}-")) and exchange.left:
            exchange.read()
            exchange.send(416)
            return
        part = exchange.read()
        upload += part
        self.received += len(part)
        if exchange.method == "PATCH":
            exchange.send(202, self._progress(exchange.path, number))
            return
        digest = exchange.query["digest"]
        if "sha256:" + hashlib.sha256(upload).hexdigest() != digest:
            exchange.send(400, {}, b'{"errors":[{"code":"DIGEST_INVALID","message":"it is another"}]}')
            return
        self.blobs[digest] = bytes(upload)
        del self.uploads[number]
        exchange.send(201, {"Docker-Content-Digest": digest})

    def _manifest(self, exchange: Exchange) -> None:
        wanted = exchange.path.rpartition("/")[2]
        if exchange.method == "PUT":
            content = exchange.read()
            digest = "sha256:" + hashlib.sha256(content).hexdigest()
            entry = (exchange.headers["Content-Type"], content)
            self.manifests[wanted] = self.manifests[digest] = entry
            subject = json.loads(content).get("subject")
            extra = {"OCI-Subject": subject["digest"]} if subject else {}
            exchange.send(201, {"Docker-Content-Digest": digest} | extra)
        elif wanted in self.manifests:
            kind, content = self.manifests[wanted]
            exchange.send(200, {"Content-Type": kind}, content)
        else:
            exchange.send(404, {}, b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}')

    def _referrers(self, exchange: Exchange) -> None:
        wanted = exchange.path.rpartition("/")[2]
        found = []
        for name, (kind, content) in self.manifests.items():
            manifest = json.loads(content)
            if ":" in name and (manifest.get("subject") or {}).get("digest") == wanted:
                found.append(
                    {
                        "mediaType": kind,
                        "digest": name,
                        "size": len(content),
                        "artifactType": manifest.get("artifactType", ""),
                    }
                )
        index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": found}
        headers = {"Content-Type": "application/vnd.oci.image.index.v1+json"}
        exchange.send(200, headers, json.dumps(index).encode())
