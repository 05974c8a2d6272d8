"""OCI layouts for tests: several platforms, attestations, referrers, artifacts, in every media type."""

from __future__ import annotations

import gzip
import hashlib
import json
from typing import Any

import zstandard
from tests.archives import files, member, tar_of

OCI = "application/vnd.oci.image."
DOCKER = "application/vnd.docker."
LAYERS = {
    "tar": (OCI + "layer.v1.tar", lambda tar: tar),
    "gzip": (OCI + "layer.v1.tar+gzip", lambda tar: gzip.compress(tar, mtime=0)),
    "zstd": (OCI + "layer.v1.tar+zstd", zstandard.compress),
    "docker": (DOCKER + "image.rootfs.diff.tar.gzip", lambda tar: gzip.compress(tar, mtime=0)),
}


class Layout:
    """Blobs, and the descriptors that an index.json lists."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.entries: list[dict[str, Any]] = []

    def blob(self, content: bytes, media_type: str, **more: Any) -> dict[str, Any]:
        digest = "sha256:" + hashlib.sha256(content).hexdigest()
        self.blobs["blobs/" + digest.replace(":", "/")] = content
        return {"mediaType": media_type, "digest": digest, "size": len(content), **more}

    def document(self, media_type: str, **fields: Any) -> dict[str, Any]:
        """A manifest or index; fields that nobody here knows are to be kept too."""
        body = {"schemaVersion": 2, "mediaType": media_type, **fields, "x-unknown": {"kept": True}}
        return self.blob(json.dumps(body, indent=3).encode(), media_type)

    def image(self, architecture: str, content: str, kind: str = "gzip", **more: Any) -> dict[str, Any]:
        """One platform's manifest with one layer that has a file named after the architecture."""
        tar = files({architecture: content})
        diff_id = "sha256:" + hashlib.sha256(tar).hexdigest()
        config = {"architecture": architecture, "os": "linux", "rootfs": {"type": "layers", "diff_ids": [diff_id]}}
        layer_type, pack = LAYERS[kind]
        docker = kind == "docker"
        manifest = self.document(
            DOCKER + "distribution.manifest.v2+json" if docker else OCI + "manifest.v1+json",
            config=self.blob(
                json.dumps(config).encode(), DOCKER + "container.image.v1+json" if docker else OCI + "config.v1+json"
            ),
            layers=[self.blob(pack(tar), layer_type)],
        )
        return manifest | {"platform": {"os": "linux", "architecture": architecture}} | more

    def attestation(self, about: dict[str, Any]) -> dict[str, Any]:
        """What BuildKit puts beside an image: provenance in a manifest of an unknown platform."""
        manifest = self.document(
            OCI + "manifest.v1+json",
            config=self.blob(b'{"architecture":"unknown","os":"unknown"}', OCI + "config.v1+json"),
            layers=[self.blob(b'{"about":"' + about["digest"].encode() + b'"}', "application/vnd.in-toto+json")],
        )
        annotations = {
            "vnd.docker.reference.type": "attestation-manifest",
            "vnd.docker.reference.digest": about["digest"],
        }
        return manifest | {"platform": {"os": "unknown", "architecture": "unknown"}, "annotations": annotations}

    def referrer(self, subject: dict[str, Any], content: bytes = b"signature") -> dict[str, Any]:
        """An artifact that says something of `subject` (OCI image-spec 1.1, manifest.md)."""
        bare = {key: subject[key] for key in ("mediaType", "digest", "size")}
        return self.artifact(content, subject=bare)

    def artifact(self, content: bytes, **more: Any) -> dict[str, Any]:
        return self.document(
            OCI + "manifest.v1+json",
            artifactType="application/vnd.example.thing",
            config=self.blob(b"{}", "application/vnd.oci.empty.v1+json"),
            layers=[self.blob(content, "application/vnd.example.thing")],
            **more,
        )

    def index(self, *children: dict[str, Any], docker: bool = False) -> dict[str, Any]:
        kind = DOCKER + "distribution.manifest.list.v2+json" if docker else OCI + "index.v1+json"
        return self.document(kind, manifests=list(children))

    def named(self, target: dict[str, Any], name: str) -> None:
        self.entries.append(target | {"annotations": {"io.containerd.image.name": f"docker.io/library/{name}"}})

    def nameless(self, target: dict[str, Any]) -> None:
        self.entries.append(target)

    def tar(self) -> bytes:
        return tar_of(
            member("oci-layout", b'{"imageLayoutVersion":"1.0.0"}'),
            member("index.json", json.dumps({"schemaVersion": 2, "manifests": self.entries}).encode()),
            *(member(path, content) for path, content in self.blobs.items()),
        )
