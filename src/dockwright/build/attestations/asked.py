"""What may be asked for: `attest:provenance=mode=max`, `attest:sbom=generator=IMAGE`, as BuildKit's clients write it."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from dockwright.build.sources.gitref import redacted
from dockwright.errors import Invalid

# Docker's, where a client names none.
DEFAULT_SCANNER = "docker/buildkit-syft-scanner:stable-1"
_PREFIXES = ("attest:", "build-arg:BUILDKIT_ATTEST_")
_VCS = "vcs:"


@dataclass(frozen=True)
class Provenance:
    """Where the image comes from. In `min` mode arguments, labels, steps and the names of secrets are left out."""

    mode: Literal["min", "max"] = "max"
    version: Literal["v0.2", "v1"] = "v1"
    builder_id: str = ""
    file: str = "provenance.json"
    reproducible: bool = False
    inline_only: bool = False
    complete: bool = False


@dataclass(frozen=True)
class Sbom:
    """What is in the image, told by the scanner image `generator`; `parameters` are the scanner's own."""

    generator: str = DEFAULT_SCANNER
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Attestations:
    """All that is wanted. `vcs` is what the client knows of the context's repository (`source`, `revision`)."""

    provenance: Provenance | None = None
    sbom: Sbom | None = None
    vcs: Mapping[str, str] = field(default_factory=dict)


def parse(attributes: Mapping[str, str]) -> Attestations:
    """What a client's frontend `attributes` ask for; others than `attest:…`, `build-arg:BUILDKIT_ATTEST_…` and `vcs:…` are
    not looked at. Raises `Invalid`, naming the option."""
    wanted: dict[str, str] = {}
    for name, value in attributes.items():
        for prefix in _PREFIXES:
            if name.startswith(prefix):
                wanted[name.removeprefix(prefix).lower()] = value
    unknown = sorted(set(wanted) - {"provenance", "sbom"})
    if unknown:
        raise Invalid(f"unknown attestation type {unknown[0]!r}: there are provenance and sbom")
    vcs = {
        name.removeprefix(_VCS): redacted(value)
        for name, value in attributes.items()
        if name.startswith(_VCS) and value
    }
    return Attestations(
        _provenance(wanted["provenance"]) if "provenance" in wanted else None,
        _sbom(wanted["sbom"]) if "sbom" in wanted else None,
        vcs,
    )


def _provenance(text: str) -> Provenance | None:
    given = _fields(text)
    if _is_off(given):
        return None
    mode = given.pop("mode", "max")
    if mode not in ("min", "max", "full"):
        raise Invalid(f"provenance: mode={mode}: min or max")
    version = given.pop("version", "v1")
    if version not in ("v0.2", "v1"):
        raise Invalid(f"provenance: version={version}: SLSA v0.2 or v1")
    if _flag(given, "capture-usage"):
        raise Invalid("provenance: capture-usage=true: what steps use is not measured")
    file = given.pop("filename", "provenance.json")
    if not file or "/" in file:
        raise Invalid(f"provenance: filename={file}: the name of a file")
    found = Provenance(
        "min" if mode == "min" else "max",
        "v1" if version == "v1" else "v0.2",
        given.pop("builder-id", ""),
        file,
        reproducible=_flag(given, "reproducible"),
        inline_only=_flag(given, "inline-only"),
        complete=_flag(given, "complete-materials"),
    )
    if given:
        raise Invalid(f"provenance: unknown option {sorted(given)[0]}")
    return found


def _sbom(text: str) -> Sbom | None:
    given = _fields(text)
    if _is_off(given):
        return None
    return Sbom(given.pop("generator", "") or DEFAULT_SCANNER, given)


def _fields(text: str) -> dict[str, str]:
    fields = next(csv.reader([text]), []) if text else []
    found = dict(field.partition("=")[::2] for field in fields)
    found.pop("type", None)
    if found.pop("true", None) is not None or found.pop("1", None) is not None:
        return found  # `--provenance=true` is the defaults
    return found


def _is_off(given: dict[str, str]) -> bool:
    return "false" in given or "0" in given or _flag(given, "disabled")


def _flag(given: dict[str, str], name: str) -> bool:
    text = given.pop(name, "")
    if text not in ("", "true", "false", "1", "0"):
        raise Invalid(f"{name}={text}: true or false is wanted")
    return text in ("true", "1")
