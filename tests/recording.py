"""A registry in memory that notes what it is asked, and that misbehaves on request. For tests of pull and push."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import zstandard
from aiohttp import web

OCI = "application/vnd.oci.image."
DOCKER = "application/vnd.docker."
INDEX, MANIFEST, CONFIG = OCI + "index.v1+json", OCI + "manifest.v1+json", OCI + "config.v1+json"
LAYER = OCI + "layer.v1.tar"

_PATH = re.compile(r"/v2/(?P<name>.+?)/(?P<kind>manifests|blobs/uploads|blobs|tags)/(?P<what>[^/]*)")
_PIECE = 64 * 1024
COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "": lambda tar: tar,
    "+gzip": lambda tar: gzip.compress(tar, 1, mtime=0),
    "+zstd": zstandard.compress,
}


def digest_of(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def described(content: bytes, media_type: str, **more: Any) -> dict[str, Any]:
    """The descriptor of `content`."""
    return {"mediaType": media_type, "digest": digest_of(content), "size": len(content), **more}


@dataclass
class Recording:
    """What it holds: blobs by digest and repository, manifests by repository and tag or digest.

    `asked`: every request as (method, path, range). `cut`: a blob's answer ends after so many bytes, once for each entry.
    `lies`: bytes sent instead of a blob's own. `gate`: layers wait for it before their last byte.
    `pace_s`: between two pieces of a blob.
    """

    address: str = ""
    blobs: dict[str, bytes] = field(default_factory=dict)
    held: set[tuple[str, str]] = field(default_factory=set)
    manifests: dict[tuple[str, str], tuple[str, bytes]] = field(default_factory=dict)
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    cut: dict[str, list[int]] = field(default_factory=dict)
    lies: dict[str, bytes] = field(default_factory=dict)
    pace_s: float = 0.0
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    documents: set[str] = field(default_factory=set)
    waiting: int = 0
    most_at_once: int = 0
    arrived: asyncio.Condition = field(default_factory=asyncio.Condition)
    uploads: dict[str, bytearray] = field(default_factory=dict)

    def put_blob(self, repository: str, content: bytes) -> None:
        self.blobs[digest_of(content)] = content
        self.held.add((repository, digest_of(content)))

    def put_manifest(self, repository: str, tag: str, document: dict[str, Any]) -> dict[str, Any]:
        """Keep a document and give it a tag (none if empty); its descriptor."""
        content = json.dumps(document, indent=3).encode()  # bytes that nobody would write again by chance
        for reference in filter(None, (tag, digest_of(content))):
            self.manifests[repository, reference] = (document["mediaType"], content)
        return described(content, document["mediaType"])

    def put_image(
        self,
        repository: str,
        tag: str,
        layers: Sequence[bytes],
        *,
        compression: str = "+gzip",
        platform: dict[str, str] | None = None,
        docker: bool = False,
        **config: Any,
    ) -> dict[str, Any]:
        """An image of these layer tars; the descriptor of its manifest."""
        platform = platform or {"architecture": "amd64", "os": "linux"}
        body = {
            **platform,
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": [digest_of(layer) for layer in layers]},
        }
        blobs = [COMPRESS[compression](layer) for layer in layers]
        raw = json.dumps(body).encode()
        for blob in (raw, *blobs):
            self.put_blob(repository, blob)
        self.documents.add(digest_of(raw))
        types = (DOCKER + "distribution.manifest.v2+json", DOCKER + "container.image.v1+json")
        manifest_type, config_type = types if docker else (MANIFEST, CONFIG)
        layer_type = DOCKER + "image.rootfs.diff.tar.gzip" if docker else LAYER + compression
        document = {
            "schemaVersion": 2,
            "mediaType": manifest_type,
            "config": described(raw, config_type),
            "layers": [described(blob, layer_type) for blob in blobs],
        }
        return self.put_manifest(repository, tag, document)

    def blob_requests(self, digest: str = "") -> list[tuple[str, str]]:
        """Which blobs (or that one) were fetched: path and range."""
        return [(path, range_) for method, path, range_ in self.asked if method == "GET" and f"/blobs/{digest}" in path]

    async def until_waiting(self, count: int) -> None:
        """Return once `count` blob answers stand before the gate."""
        async with self.arrived:
            await self.arrived.wait_for(lambda: self.waiting >= count)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.method, request.path, request.headers.get("Range", "")))
        if request.path == "/v2/":
            return web.json_response({})
        match = _PATH.fullmatch(request.path)
        if match is None:
            return _refused(404, "UNSUPPORTED")
        name, what = match["name"], match["what"]
        if match["kind"] == "tags":
            tags = sorted(tag for repository, tag in self.manifests if repository == name and ":" not in tag)
            return web.json_response({"name": name, "tags": tags})
        if match["kind"] == "manifests":
            return await self._manifest(request, name, what)
        if match["kind"] == "blobs":
            return await self._blob(request, name, what)
        return await self._upload(request, name, what)

    async def _manifest(self, request: web.Request, name: str, reference: str) -> web.Response:
        if request.method == "PUT":
            content = await request.read()
            document = json.loads(content)
            children = [child["digest"] for child in document.get("manifests", ())]
            blobs = [blob["digest"] for blob in (document.get("config"), *document.get("layers", ())) if blob]
            if any((name, child) not in self.manifests for child in children):
                return _refused(400, "MANIFEST_UNKNOWN")
            if any((name, blob) not in self.held for blob in blobs):
                return _refused(400, "MANIFEST_BLOB_UNKNOWN")
            for one in (reference, digest_of(content)):
                self.manifests[name, one] = (request.headers["Content-Type"], content)
            return web.Response(status=201, headers={"Docker-Content-Digest": digest_of(content)})
        if (name, reference) not in self.manifests:
            return _refused(404, "MANIFEST_UNKNOWN")
        media_type, content = self.manifests[name, reference]
        headers = {"Content-Type": media_type, "Docker-Content-Digest": digest_of(content)}
        if request.method == "HEAD":
            return web.Response(headers=headers | {"Content-Length": str(len(content))})
        return web.Response(body=content, headers=headers)

    async def _blob(self, request: web.Request, name: str, digest: str) -> web.StreamResponse:
        if (name, digest) not in self.held:
            return _refused(404, "BLOB_UNKNOWN")
        content = self.lies.get(digest, self.blobs[digest])
        if request.method == "HEAD":
            return web.Response(headers={"Content-Length": str(len(content)), "Docker-Content-Digest": digest})
        start = int(re.sub(r"\D", "", request.headers.get("Range", "bytes=0-").partition("-")[0]) or 0)
        headers = {"Content-Length": str(len(content) - start)}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        response = web.StreamResponse(status=206 if start else 200, headers=headers)
        await response.prepare(request)
        cuts = self.cut.get(digest, [])
        end = start + cuts.pop(0) if cuts else len(content)
        for at in range(start, min(end, len(content) - 1), _PIECE):
            await response.write(content[at : min(at + _PIECE, end, len(content) - 1)])
            await asyncio.sleep(self.pace_s)
        if cuts or end < len(content):
            assert request.transport is not None
            request.transport.close()
            return response
        if digest not in self.documents:
            await self._pass_the_gate()
        with suppress(ConnectionError):  # gone while it stood before the gate
            await response.write(content[-1:])
        return response

    async def _pass_the_gate(self) -> None:
        self.waiting += 1
        self.most_at_once = max(self.most_at_once, self.waiting)
        async with self.arrived:
            self.arrived.notify_all()
        try:
            await self.gate.wait()
        finally:
            self.waiting -= 1

    async def _upload(self, request: web.Request, name: str, upload: str) -> web.Response:
        if request.method == "POST":
            mount, source = request.query.get("mount", ""), request.query.get("from", "")
            if mount and (source, mount) in self.held:
                self.held.add((name, mount))
                return web.Response(status=201, headers={"Location": f"/v2/{name}/blobs/{mount}"})
            upload = str(len(self.uploads) + 1)
            self.uploads[upload] = bytearray()
            return self._accepted(name, upload)
        if upload not in self.uploads:
            return _refused(404, "BLOB_UPLOAD_UNKNOWN")
        self.uploads[upload] += await request.read()
        if request.method != "PUT":
            return self._accepted(name, upload)
        content = bytes(self.uploads.pop(upload))
        if digest_of(content) != request.query["digest"]:
            return _refused(400, "DIGEST_INVALID")
        self.put_blob(name, content)
        return web.Response(status=201, headers={"Location": f"/v2/{name}/blobs/{digest_of(content)}"})

    def _accepted(self, name: str, upload: str) -> web.Response:
        headers = {
            "Location": f"/v2/{name}/blobs/uploads/{upload}",
            "Range": f"0-{max(0, len(self.uploads[upload]) - 1)}",
            "Docker-Upload-UUID": upload,
        }
        return web.Response(status=202, headers=headers)


def _refused(status: int, code: str) -> web.Response:
    return web.json_response({"errors": [{"code": code, "message": code.lower().replace("_", " ")}]}, status=status)


@asynccontextmanager
async def recording() -> AsyncIterator[Recording]:
    """A fresh one on loopback; its gate is open."""
    registry = Recording()
    registry.gate.set()
    app = web.Application(client_max_size=1 << 30)
    app.router.add_route("*", "/{anything:.*}", registry.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    registry.address = f"127.0.0.1:{port}"
    try:
        yield registry
    finally:
        registry.gate.set()
        await runner.cleanup()
