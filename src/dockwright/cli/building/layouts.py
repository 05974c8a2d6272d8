"""Directories that are OCI image layouts: where local caches are kept, and images that builds stand on. Blocking.

OCI image-spec, image-layout.md.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dockwright.client.config import write_whole
from dockwright.errors import HostFailure, Invalid, NotFound

REF_NAME = "org.opencontainers.image.ref.name"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_VERSION = b'{"imageLayoutVersion":"1.0.0"}'


@dataclass(frozen=True)
class Layout:
    """The one at `path`, which need not be there yet."""

    path: Path

    def blob(self, digest: str) -> Path:
        """Where the content of `digest` is. Raises `Invalid` for what is no digest that we keep."""
        if not _DIGEST.fullmatch(digest):
            raise Invalid(f"unsupported digest {digest!r}: sha256:HEX is wanted")
        return self.path / "blobs" / "sha256" / digest.partition(":")[2]

    @property
    def incoming(self) -> Path:
        """Where content is while it comes."""
        return self.path / "ingest"

    def digest(self, tag: str = "") -> str:
        """What `tag` names; without one, the only manifest that there is, or the one named latest. Raises `NotFound`."""
        manifests = self._index()["manifests"]
        found = [one for one in manifests if _name(one) == (tag or "latest")]
        if not found and not tag and len(manifests) == 1:
            found = manifests
        digest = found[-1].get("digest") if found else None
        if not isinstance(digest, str) or not self.blob(digest).is_file():
            raise NotFound(f"{self.path} holds nothing named {tag or 'latest'}")
        return digest

    def name(self, descriptor: dict[str, Any], tag: str) -> None:
        """Let `tag` mean `descriptor` from now on; other names stay."""
        annotations = {**(descriptor.get("annotations") or {}), REF_NAME: tag}
        with self._locked():
            index = self._index()
            kept = [one for one in index["manifests"] if _name(one) != tag]
            index["manifests"] = [*kept, {**descriptor, "annotations": annotations}]
            write_whole(str(self.path / "oci-layout"), _VERSION, 0o644)
            write_whole(str(self.path / "index.json"), json.dumps(index).encode(), 0o644)

    def _index(self) -> dict[str, Any]:
        try:
            found = json.loads((self.path / "index.json").read_bytes())
        except FileNotFoundError:
            return {"schemaVersion": 2, "manifests": []}
        except ValueError:
            found = None
        if not isinstance(found, dict) or not isinstance(found.get("manifests"), list):
            raise HostFailure(f"{self.path}/index.json is no index of an image layout")
        return found

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.path.mkdir(parents=True, exist_ok=True)
        fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)


def _name(one: dict[str, Any]) -> str | None:
    found = (one.get("annotations") or {}).get(REF_NAME)
    return found if isinstance(found, str) else None
