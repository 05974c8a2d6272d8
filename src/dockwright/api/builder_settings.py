"""The section `builder` of daemon.json, as dockerd has it: limits of the build cache (`gc`), and entitlements."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeVar

import msgspec

from dockwright.build.cache.pruning import FILTERS
from dockwright.build.policy import NETWORK_HOST, SECURITY_INSECURE, BuilderOptions, Rule, Space
from dockwright.errors import DockwrightError, Invalid
from dockwright.units import parse_duration, parse_size

T = TypeVar("T")


class _Policy(msgspec.Struct, forbid_unknown_fields=True, rename="lower"):
    """`keepStorage` is what `reservedSpace` was called."""

    all: bool = False
    filter: list[str] | dict[str, dict[str, bool]] = []
    keep_storage: str = msgspec.field(default="", name="keepstorage")
    reserved_space: str = msgspec.field(default="", name="reservedspace")
    max_used_space: str = msgspec.field(default="", name="maxusedspace")
    min_free_space: str = msgspec.field(default="", name="minfreespace")


class _Gc(msgspec.Struct, forbid_unknown_fields=True):
    enabled: bool = True
    policy: list[_Policy] = []
    keep_storage: str = msgspec.field(default="", name="defaultkeepstorage")
    reserved_space: str = msgspec.field(default="", name="defaultreservedspace")
    max_used_space: str = msgspec.field(default="", name="defaultmaxusedspace")
    min_free_space: str = msgspec.field(default="", name="defaultminfreespace")


class _Entitlements(msgspec.Struct, forbid_unknown_fields=True):
    network_host: bool = msgspec.field(default=True, name="network-host")
    security_insecure: bool = msgspec.field(default=False, name="security-insecure")


class _Builder(msgspec.Struct, forbid_unknown_fields=True):
    gc: _Gc = msgspec.field(default_factory=_Gc)
    entitlements: _Entitlements = msgspec.field(default_factory=_Entitlements)


class _Filters(NamedTuple):
    filters: dict[str, list[str]]
    unused_s: float


def builder_options(document: dict[str, Any]) -> BuilderOptions:
    """What the section says; names in any case, as Go reads them. Raises `Invalid`."""
    try:
        found = msgspec.convert(_lower(document), _Builder)
    except msgspec.ValidationError as error:
        raise Invalid(f"builder: {error}") from None
    granted = {NETWORK_HOST: found.entitlements.network_host, SECURITY_INSECURE: found.entitlements.security_insecure}
    return BuilderOptions(
        entitlements=frozenset(name for name, given in granted.items() if given),
        upkeep=found.gc.enabled,
        space=_space(found.gc, "default"),
        rules=tuple(_rule(policy) for policy in found.gc.policy),
    )


def _rule(policy: _Policy) -> Rule:
    filters, unused_s = _filters(policy.filter)
    return Rule(_space(policy, ""), filters, unused_s, policy.all)


def _filters(given: list[str] | dict[str, dict[str, bool]]) -> _Filters:
    """`["unused-for=24h"]`, or the form of older releases: `{"unused-for": {"24h": true}}`."""
    pairs = (
        [(key, value) for key, values in given.items() for value in values]
        if isinstance(given, dict)
        else [(text.partition("=")[0].strip().lower(), text.partition("=")[2].strip()) for text in given]
    )
    found: dict[str, list[str]] = {}
    unused_s = 0.0
    for key, value in pairs:
        if key in ("unused-for", "until"):
            unused_s = max(unused_s, _checked(f"filter {key}", parse_duration, value) / 1e9)
        elif key in FILTERS:
            found.setdefault(key, []).append(value)
        else:
            raise Invalid(f"builder: unknown filter {key!r} of a gc policy: unused-for, {', '.join(FILTERS)} are known")
    return _Filters(found, unused_s)


def _space(given: _Gc | _Policy, prefix: str) -> Space:
    def size(name: str, text: str) -> int:
        return _checked(f"{prefix}{name}", parse_size, text) if text else 0

    return Space(
        size("reservedSpace", given.reserved_space or given.keep_storage),
        size("maxUsedSpace", given.max_used_space),
        size("minFreeSpace", given.min_free_space),
    )


def _checked(name: str, parse: Any, text: str) -> int:
    try:
        return int(parse(text))
    except DockwrightError as error:
        raise Invalid(f"builder: failed to parse {name}: {error}") from None


def _lower(value: Any, *, filter: bool = False) -> Any:
    """Names of fields without their case; those of a filter are what they are."""
    if isinstance(value, dict) and not filter:
        return {str(key).lower(): _lower(item, filter=str(key).lower() == "filter") for key, item in value.items()}
    if isinstance(value, list):
        return [_lower(item) for item in value]
    return value
