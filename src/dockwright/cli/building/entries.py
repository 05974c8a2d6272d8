"""`--cache-from`, `--cache-to`, `--attest` and its short forms, `--call`: options that are entries with attributes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from dockwright import errors
from dockwright.cli.building.fields import pairs, split, switch

_CALLS = {"check": "lint", "build": "", "": ""}
_NOT_HERE = ("gha", "s3", "azblob")


@dataclass(frozen=True)
class Cache:
    """Where build steps are taken from, or put."""

    kind: str
    attributes: dict[str, str]


def caches(given: Iterable[str]) -> list[Cache]:
    """`type=registry,ref=…`, or the names of images. Raises `errors.Invalid`."""
    found = []
    for text in filter(None, given):
        if "=" not in text:
            found += [Cache("registry", {"ref": name}) for name in split(text)]
            continue
        attributes = pairs(text, "cache")
        kind = attributes.pop("type", "")
        if not kind:
            raise errors.Invalid(f'type required form> "{text}"')
        if kind in _NOT_HERE:
            raise errors.Invalid(f"caches of type {kind} are not supported: registry, local or inline")
        found.append(Cache(kind, attributes))
    return found


def attestations(given: Iterable[str], *, provenance: str, sbom: str) -> dict[str, str]:
    """The frontend's attributes; the last of a type counts, and one that is disabled is left out. Raises `errors.Invalid`."""
    texts = [*given]
    texts += [_shorthand(kind, value) for kind, value in (("provenance", provenance), ("sbom", sbom)) if value]
    found: dict[str, str] = {}
    for text in texts:
        fields = [field.partition("=") for field in split(text)]
        if not all(equals for _, equals, _ in fields):
            raise errors.Invalid(f"invalid value {text}: an attestation is written as type=TYPE,key=value")
        kind = next((value for key, _, value in fields if key.strip().lower() == "type"), "")
        if kind not in ("provenance", "sbom"):
            raise errors.Invalid(f"attestation type not specified: provenance or sbom is wanted in {text!r}")
        found.pop(f"attest:{kind}", None)
        disabled = next((value for key, _, value in fields if key.strip().lower() == "disabled"), "false")
        if not switch(disabled, "disabled"):
            rest = [f"{key}={value}" for key, _, value in fields if key.strip().lower() not in ("type", "disabled")]
            found[f"attest:{kind}"] = ",".join(f'"{one}"' if "," in one else one for one in rest)
    return found


def _shorthand(kind: str, value: str) -> str:
    try:
        return f"type={kind},disabled={'false' if switch(value, kind) else 'true'}"
    except errors.Invalid:
        return f"type={kind},{value}"


@dataclass(frozen=True)
class Question:
    """What `--call` asks instead of building: a request's name, the form of its answer."""

    name: str
    form: str = ""
    ignore_status: bool = False


def question(text: str) -> Question | None:
    """None for a build. Raises `errors.Invalid`."""
    name, form, ignore = "", "", False
    for field in split(text) if text else ():
        key, equals, value = field.partition("=")
        if not equals:
            if name:
                raise errors.Invalid(f"invalid print value: {text}")
            name = field
        elif key == "format":
            form = value
        elif key == "ignorestatus":
            ignore = switch(value, "ignorestatus")
        else:
            raise errors.Invalid(f"invalid print field: {field}")
    name = _CALLS.get(name, name)
    return Question(name, form, ignore) if name else None
