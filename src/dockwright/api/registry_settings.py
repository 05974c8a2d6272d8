"""The daemon's registry flags as the registry client's options."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dockwright.distribution import RegistryOptions
from dockwright.distribution.options import CERTS_DIRS
from dockwright.errors import Invalid
from dockwright.image import TransferLimits

HUB = "docker.io"


def registry_options(values: dict[str, Any]) -> RegistryOptions:
    """Raises `Invalid` for a mirror, registry or number that is none."""
    return RegistryOptions(
        mirrors=_mirrors(values["registry-mirror"]),
        insecure=tuple(dict.fromkeys(values["insecure-registry"])),
        certs_dirs=tuple(Path(path) for path in values["registry-certs-dir"]) or CERTS_DIRS,
        max_attempts=_at_least_one("max-download-attempts", values["max-download-attempts"]),
    )


def transfer_limits(values: dict[str, Any]) -> TransferLimits:
    """Raises `Invalid` for numbers below one."""
    return TransferLimits(
        downloads=_at_least_one("max-concurrent-downloads", values["max-concurrent-downloads"]),
        uploads=_at_least_one("max-concurrent-uploads", values["max-concurrent-uploads"]),
    )


def _at_least_one(name: str, number: int) -> int:
    if number < 1:
        raise Invalid(f"invalid {name.replace('-', ' ')}: {number}")
    return number


def _mirrors(given: list[str]) -> dict[str, tuple[str, ...]]:
    """`URL` is a mirror of docker.io, as dockerd has it; `REGISTRY=URL` of that registry, `*=URL` of any."""
    found: dict[str, tuple[str, ...]] = {}
    for text in given:
        registry, equals, url = text.partition("=")
        if not equals or "/" in registry:
            registry, url = HUB, text
        registry = HUB if registry in ("index.docker.io", "registry-1.docker.io") else registry
        found[registry] = (*found.get(registry, ()), url)
    return found


def features(given: list[str]) -> None:
    """Check `features`: what dockerd may switch on, and what is always so here. Raises `Invalid`."""
    for text in given:
        name, _, value = text.partition("=")
        wanted = value.lower() in ("", "true", "1")
        if name == "containerd-snapshotter" and wanted:
            continue  # images are kept whole, as with it
        raise Invalid(f"feature {json.dumps(name)} = {str(wanted).lower()} is not supported by this daemon")
