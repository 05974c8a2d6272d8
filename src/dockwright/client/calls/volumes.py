"""The Volumes section of the Engine API, and this engine's own: snapshots, copies and archives of volumes."""

from __future__ import annotations

from dockwright.client.call import Call, encode_filters, quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    Filters = Mapping[str, Iterable[str]] | None


def _path(volume: str, verb: str = "") -> str:
    return f"/volumes/{quote(volume)}{verb}"


def list(*, filters: Filters = None) -> Call:
    return Call("GET", "/volumes", (("filters", encode_filters(filters)),))


def create(config: Mapping[str, Any]) -> Call:
    return Call("POST", "/volumes/create", json=config)


def inspect(volume: str) -> Call:
    return Call("GET", _path(volume))


def update(volume: str, *, version: int, spec: Mapping[str, Any]) -> Call:
    return Call("PUT", _path(volume), (("version", version),), json={"Spec": spec})


def remove(volume: str, *, force: bool = False) -> Call:
    return Call("DELETE", _path(volume), (("force", force),))


def prune(*, filters: Filters = None) -> Call:
    return Call("POST", "/volumes/prune", (("filters", encode_filters(filters)),))


def snapshots(volume: str) -> Call:
    return Call("GET", _path(volume, "/snapshots"))


def snapshot(volume: str, tag: str, *, pause: bool = True) -> Call:
    """With `pause`, here and below, the containers that use the volume stand still while it is copied."""
    return Call("POST", _path(volume, "/snapshots"), (("tag", tag), *_unless(pause)))


def remove_snapshot(volume: str, tag: str) -> Call:
    return Call("DELETE", _path(volume, f"/snapshots/{quote(tag)}"))


def restore(volume: str, tag: str, *, pause: bool = True) -> Call:
    return Call("POST", _path(volume, "/restore"), (("tag", tag), *_unless(pause)))


def clone(volume: str, name: str, *, tag: str = "", pause: bool = True) -> Call:
    """`tag` names a snapshot of the volume to clone in place of what it holds now."""
    return Call("POST", _path(volume, "/clone"), (("name", name), ("tag", tag), *_unless(pause)))


def rename(volume: str, name: str) -> Call:
    return Call("POST", _path(volume, "/rename"), (("name", name),))


def export(volume: str, *, tag: str = "", pause: bool = True) -> Call:
    return Call("GET", _path(volume, "/export"), (("tag", tag), *_unless(pause)))


def import_archive(volume: str, body: bytes | Iterable[bytes], *, replace: bool = False, pause: bool = True) -> Call:
    query = (("replace", replace), *_unless(pause))
    return Call("POST", _path(volume, "/import"), query, body=body, headers=[("Content-Type", "application/x-tar")])


def _unless(pause: bool) -> tuple[tuple[str, object], ...]:
    return () if pause else (("pause", 0),)
