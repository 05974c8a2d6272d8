"""API versions: what is spoken, what is refused, and which fields a version has."""

from __future__ import annotations

import re

from dockwright.errors import Invalid

NEWEST = (1, 51)
OLDEST = (1, 24)
_VERSION = re.compile(r"^/v(\d{1,4})\.(\d{1,4})(/.*)$")

Version = tuple[int, int]


def text(version: Version) -> str:
    """`(1, 51)` as 1.51."""
    return f"{version[0]}.{version[1]}"


def split(path: str) -> tuple[Version, str]:
    """The version a path asks for (the newest without one) and the rest of the path."""
    match = _VERSION.match(path)
    if not match:
        return NEWEST, path
    return (int(match[1]), int(match[2])), match[3]


def check(version: Version) -> None:
    """Raises `Invalid` with Docker's wording for a version that is not spoken."""
    if version > NEWEST:
        raise Invalid(f"client version {text(version)} is too new. Maximum supported API version is {text(NEWEST)}")
    if version < OLDEST:
        raise Invalid(
            f"client version {text(version)} is too old. Minimum supported API version is {text(OLDEST)}, "
            "please upgrade your client to a newer version"
        )


# Fields that earlier versions do not know yet, wherever they stand (docs/api/version-history of moby).
_SINCE: dict[str, Version] = {
    "DiscoveredDevices": (1, 50),
    "FirewallBackend": (1, 49),
    "ImageManifestDescriptor": (1, 48),
    "Descriptor": (1, 48),
    "GwPriority": (1, 48),
    "EnableIPv4": (1, 48),
    "CDISpecDirs": (1, 44),
    "StartInterval": (1, 44),
    "DNSNames": (1, 44),
    "ReadOnlyForceRecursive": (1, 44),
    "ReadOnlyNonRecursive": (1, 44),
    "Annotations": (1, 43),
    "CgroupVersion": (1, 41),
    "CgroupnsMode": (1, 40),
    "DeviceRequests": (1, 40),
}
_ANNOTATIONS_LISTED: Version = (1, 46)
_VIRTUAL_SIZE_UNTIL: Version = (1, 43)


def gate(document: object, version: Version) -> object:
    """Give an answer the fields that `version` has, and no newer ones, at any depth. Changes `document`."""
    hidden = {name for name, since in _SINCE.items() if version < since}
    if isinstance(document, list) and version < _ANNOTATIONS_LISTED:
        hidden.add("Annotations")
    if hidden:
        _strip(document, hidden)
    if version <= _VIRTUAL_SIZE_UNTIL:
        for entry in document if isinstance(document, list) else [document]:
            if isinstance(entry, dict) and "RepoTags" in entry:
                entry["VirtualSize"] = entry["Size"]
    return document


def _strip(document: object, hidden: set[str]) -> None:
    if isinstance(document, dict):
        for name in hidden & document.keys():
            del document[name]
        for value in document.values():
            _strip(value, hidden)
    elif isinstance(document, list):
        for value in document:
            _strip(value, hidden)
