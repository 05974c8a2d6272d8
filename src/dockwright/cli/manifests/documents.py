"""Manifests and lists as JSON, byte for byte as Docker's client writes them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from dockwright.cli.manifests.store import Entry, platform_document
from dockwright.oci import mediatypes


def list_media_type(entries: Iterable[Entry]) -> str:
    """An OCI index when every manifest is OCI's, else Docker's list."""
    if all(entry.descriptor.media_type == mediatypes.OCI_MANIFEST for entry in entries):
        return mediatypes.OCI_INDEX
    return mediatypes.DOCKER_INDEX


def list_document(entries: list[Entry]) -> bytes:
    """The list that is pushed."""
    return indented(
        {
            "schemaVersion": 2,
            "mediaType": list_media_type(entries),
            "manifests": [
                {
                    "mediaType": entry.descriptor.media_type,
                    "size": entry.descriptor.size,
                    "digest": entry.descriptor.digest,
                    "platform": platform_document(entry.platform),
                }
                for entry in entries
            ],
        },
        "   ",
    ).encode()


def indented(value: Any, step: str = "\t") -> str:
    """`value` with one field a line."""
    return json.dumps(value, indent=step, ensure_ascii=False)


def shown(content: bytes, step: str = "\t") -> str:
    """A document as it is stored, indented; its fields keep their order."""
    return indented(json.loads(content), step)
