"""Parameters that several paths about images share: platforms, names with tags, and who asks."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from dockwright.api.call import Call
from dockwright.credentials import HEADER, Credentials, from_header
from dockwright.errors import Invalid
from dockwright.oci import Platform, Reference, reference
from dockwright.oci import digest as digests
from dockwright.oci import platform as oci_platform

T = TypeVar("T")

_PLATFORM_LIMIT = 16


def platforms(call: Call, name: str = "platform") -> list[Platform]:
    """Every value of a platform parameter: `os/arch/variant`, or since 1.48 its JSON form. Raises `Invalid`."""
    given = [text for text in call.request.query.getall(name, ()) if text]
    if len(given) > _PLATFORM_LIMIT:
        raise Invalid(f"invalid {name}: more than {_PLATFORM_LIMIT} are given")
    return [json_platform(text) if text.startswith("{") else oci_platform.parse(text) for text in given]


def platform(call: Call) -> Platform | None:
    """The one platform that a path takes. Raises `Invalid` for several, and for what is none."""
    given = platforms(call)
    if len(given) > 1:
        raise Invalid("multiple platform parameters are not supported")
    return given[0] if given else None


def json_platform(text: str) -> Platform:
    """`{"os": "linux", "architecture": "arm64"}`. Raises `Invalid`."""
    try:
        found = msgspec.json.decode(text, type=Platform)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise Invalid(f"failed to parse platform: {error}") from error
    if not found.os or not found.architecture:
        raise Invalid("failed to parse platform: both os and architecture must be provided")
    return found.normal


def names(call: Call) -> tuple[str, ...]:
    """The names of a build's image, `t`: each may be several with commas between them. Raises `Invalid`."""
    given = [name for text in call.request.query.getall("t", ()) for name in text.split(",") if name]
    return tuple(reference.parse(name).tagged.familiar for name in given)


def build_arguments(call: Call) -> dict[str, str]:
    """`buildargs`, without those that have no value. Raises `Invalid`."""
    given = json(call, "buildargs", dict[str, str | None]) or {}
    return {name: value for name, value in given.items() if value is not None}


def named(name: str, tag: str) -> Reference:
    """`name` with `tag`, which may be a digest and counts more than what `name` says. Raises `Invalid`."""
    found = reference.parse(name)
    if not tag:
        return found
    if ":" in tag:
        return found.with_digest(digests.parse(tag))
    return found.with_tag(tag)


def credentials(call: Call) -> Credentials | None:
    """Who the client says it is to the registry (`X-Registry-Auth`); None where it says nothing. Raises `Invalid`."""
    return from_header(call.request.headers.get(HEADER, ""))


def json(call: Call, name: str, kind: type[T]) -> T | None:
    """A parameter that is JSON; None where it is not given, or null. Raises `Invalid`."""
    text = call.text(name)
    if text in ("", "null"):
        return None
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise Invalid(f"invalid {name}: {error}") from error
