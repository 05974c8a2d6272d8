"""The lists on this machine: `<config>/manifests/LIST/MANIFEST`, shared with Docker's client."""

from __future__ import annotations

import base64
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dockwright.client.config import write_whole
from dockwright.errors import Invalid, NotFound
from dockwright.oci import Descriptor, Digest, Platform, Reference, mediatypes
from dockwright.oci import digest as digests


@dataclass(frozen=True)
class Entry:
    """One manifest of a list: `name` is where it was found, `content` its bytes there."""

    name: str
    descriptor: Descriptor
    content: bytes

    @property
    def platform(self) -> Platform:
        return self.descriptor.platform or Platform()

    def to_document(self) -> dict[str, Any]:
        """As Docker's client writes it."""
        oci = self.descriptor.media_type in (mediatypes.OCI_MANIFEST, "")
        return {
            "Ref": self.name,
            "Descriptor": descriptor_document(self.descriptor),
            "Raw": base64.b64encode(self.content).decode(),
            "OCIManifest" if oci else "SchemaV2Manifest": json.loads(self.content),
        }

    @classmethod
    def from_document(cls, document: Any, path: Path) -> Entry:
        """Raises `Invalid` for a file that is none of these."""
        try:
            found = document["Descriptor"]
            platform = found.get("platform") or {}
            descriptor = Descriptor(
                str(found["mediaType"]),
                digests.parse(found["digest"]),
                int(found["size"]),
                platform=Platform(
                    str(platform.get("architecture", "")),
                    str(platform.get("os", "")),
                    str(platform.get("os.version", "")),
                    tuple(map(str, platform.get("os.features") or ())) or None,
                    str(platform.get("variant", "")),
                ),
            )
            content = base64.b64decode(document["Raw"], validate=True)
        except (KeyError, TypeError, ValueError, AttributeError, Invalid) as error:
            raise Invalid(f"{path} is not a manifest of a list: {error}") from None
        if digests.of(content) != descriptor.digest:
            raise Invalid(f"{path} is broken: its content is not what its digest says")
        return cls(str(document.get("Ref", "")), descriptor, content)


def descriptor_document(descriptor: Descriptor) -> dict[str, Any]:
    """A descriptor with its fields in the order in which Go's client writes them."""
    found: dict[str, Any] = {
        "mediaType": descriptor.media_type,
        "digest": descriptor.digest,
        "size": descriptor.size,
    }
    if descriptor.platform is not None:
        found["platform"] = platform_document(descriptor.platform)
    return found


def platform_document(platform: Platform) -> dict[str, Any]:
    """A platform with its fields in Go's order; what is not said is left out."""
    found: dict[str, Any] = {"architecture": platform.architecture, "os": platform.os}
    if platform.os_version:
        found["os.version"] = platform.os_version
    if platform.os_features:
        found["os.features"] = list(platform.os_features)
    if platform.variant:
        found["variant"] = platform.variant
    return found


class Lists:
    """The lists of one configuration directory."""

    def __init__(self, config_dir: str) -> None:
        self._root = Path(config_dir) / "manifests"

    def exists(self, name: Reference) -> bool:
        return self._directory(name).is_dir()

    def get(self, name: Reference) -> list[Entry]:
        """The manifests of a list, by their names. Raises `NotFound`; `Invalid` for a broken file."""
        try:
            paths = sorted(self._directory(name).iterdir(), key=lambda path: os.fsencode(path.name))
        except (FileNotFoundError, NotADirectoryError):
            raise NotFound(f"No such manifest: {name}") from None
        return [_read(path) for path in paths if not path.name.endswith(".tmp")]

    def find(self, name: Reference, manifest: Reference) -> Entry | None:
        """One manifest of a list. Raises `Invalid` for a broken file."""
        path = self._directory(name) / _file_name(manifest)
        return _read(path) if path.is_file() else None

    def save(self, name: Reference, manifest: Reference, entry: Entry) -> None:
        """Keep `entry` in the list, in place of what it had under that name."""
        directory = self._directory(name)
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        content = json.dumps(entry.to_document(), separators=(",", ":"), ensure_ascii=False).encode()
        write_whole(str(directory / _file_name(manifest)), content, 0o644)

    def remove(self, name: Reference) -> None:
        """Forget a list. Raises `NotFound`."""
        if not self.exists(name):
            raise NotFound(f"No such manifest: {name}")
        shutil.rmtree(self._directory(name))

    def _directory(self, name: Reference) -> Path:
        return self._root / _file_name(name)


def _file_name(name: Reference) -> str:
    return str(name).replace(":", "-").replace("/", "_")


def _read(path: Path) -> Entry:
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise Invalid(f"{path} cannot be read: {error}") from None
    return Entry.from_document(document, path)


def entry_of(name: str, content: bytes, media_type: str, platform: Platform) -> Entry:
    """An entry for a manifest that was found under `name`."""
    digest: Digest = digests.of(content)
    return Entry(name, Descriptor(media_type, digest, len(content), platform=platform), content)
