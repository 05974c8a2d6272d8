"""The Containers section of the Engine API."""

from __future__ import annotations

from dockwright.client.call import Call, encode_filters, quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    Filters = Mapping[str, Iterable[str]] | None


def _path(container: str, verb: str = "") -> str:
    return f"/containers/{quote(container)}{verb}"


def list(*, all: bool = False, limit: int = 0, size: bool = False, filters: Filters = None) -> Call:
    """Rows of containers; `limit` is the number of newest ones, 0 for no limit."""
    query = (("all", all), ("limit", limit or None), ("size", size), ("filters", encode_filters(filters)))
    return Call("GET", "/containers/json", query)


def create(config: Mapping[str, Any], *, name: str = "", platform: str = "") -> Call:
    return Call("POST", "/containers/create", (("name", name), ("platform", platform)), json=config)


def inspect(container: str, *, size: bool = False) -> Call:
    return Call("GET", _path(container, "/json"), (("size", size),))


def start(container: str, *, detach_keys: str = "", checkpoint: str = "", checkpoint_dir: str = "") -> Call:
    query = (("detachKeys", detach_keys), ("checkpoint", checkpoint), ("checkpoint-dir", checkpoint_dir))
    return Call("POST", _path(container, "/start"), query)


def stop(container: str, *, signal: str = "", timeout_s: int | None = None) -> Call:
    """`timeout_s` `None` leaves the container's own stop timeout, -1 waits for ever."""
    return Call("POST", _path(container, "/stop"), (("signal", signal), ("t", timeout_s)))


def restart(container: str, *, signal: str = "", timeout_s: int | None = None) -> Call:
    return Call("POST", _path(container, "/restart"), (("signal", signal), ("t", timeout_s)))


def kill(container: str, *, signal: str = "") -> Call:
    return Call("POST", _path(container, "/kill"), (("signal", signal),))


def pause(container: str) -> Call:
    return Call("POST", _path(container, "/pause"))


def unpause(container: str) -> Call:
    return Call("POST", _path(container, "/unpause"))


def rename(container: str, name: str) -> Call:
    return Call("POST", _path(container, "/rename"), (("name", name),))


def update(container: str, config: Mapping[str, Any]) -> Call:
    return Call("POST", _path(container, "/update"), json=config)


def remove(container: str, *, force: bool = False, volumes: bool = False, link: bool = False) -> Call:
    return Call("DELETE", _path(container), (("force", force), ("v", volumes), ("link", link)))


def wait(container: str, *, condition: str = "") -> Call:
    """The head arrives once the engine watches the container, the body when the condition holds."""
    return Call("POST", _path(container, "/wait"), (("condition", condition),))


def resize(container: str, *, height: int, width: int) -> Call:
    return Call("POST", _path(container, "/resize"), (("h", height), ("w", width)))


def attach(
    container: str,
    *,
    stdin: bool = False,
    stdout: bool = False,
    stderr: bool = False,
    logs: bool = False,
    detach_keys: str = "",
) -> Call:
    query = (
        ("stream", True),
        ("stdin", stdin),
        ("stdout", stdout),
        ("stderr", stderr),
        ("logs", logs),
        ("detachKeys", detach_keys),
    )
    return Call("POST", _path(container, "/attach"), query, hijack=True)


def logs(
    container: str,
    *,
    follow: bool = False,
    since: str = "",
    until: str = "",
    tail: str = "",
    timestamps: bool = False,
    details: bool = False,
    stdout: bool = True,
    stderr: bool = True,
) -> Call:
    query = (
        ("stdout", stdout),
        ("stderr", stderr),
        ("follow", follow),
        ("since", since),
        ("until", until),
        ("tail", tail),
        ("timestamps", timestamps),
        ("details", details),
    )
    return Call("GET", _path(container, "/logs"), query)


def stats(container: str, *, stream: bool = True, one_shot: bool = False) -> Call:
    return Call("GET", _path(container, "/stats"), (("stream", int(stream)), ("one-shot", one_shot)))


def top(container: str, *, ps_args: str = "") -> Call:
    return Call("GET", _path(container, "/top"), (("ps_args", ps_args),))


def changes(container: str) -> Call:
    return Call("GET", _path(container, "/changes"))


def export(container: str) -> Call:
    return Call("GET", _path(container, "/export"))


def archive_info(container: str, path: str) -> Call:
    """The answer's `X-Docker-Container-Path-Stat` header describes `path`, base64 of JSON."""
    return Call("HEAD", _path(container, "/archive"), (("path", path),))


def get_archive(container: str, path: str) -> Call:
    return Call("GET", _path(container, "/archive"), (("path", path),))


def put_archive(
    container: str, path: str, body: bytes | Iterable[bytes], *, no_overwrite: bool = False, copy_uid_gid: bool = False
) -> Call:
    """Unpack a tar stream into the directory `path`."""
    query = (("path", path), ("noOverwriteDirNonDir", no_overwrite), ("copyUIDGID", copy_uid_gid))
    return Call("PUT", _path(container, "/archive"), query, body=body, headers=[("Content-Type", "application/x-tar")])


def prune(*, filters: Filters = None) -> Call:
    return Call("POST", "/containers/prune", (("filters", encode_filters(filters)),))


def commit(
    container: str,
    *,
    repository: str = "",
    tag: str = "",
    author: str = "",
    comment: str = "",
    changes: Iterable[str] = (),
    pause: bool = True,
    config: Mapping[str, Any] | None = None,
) -> Call:
    query = (
        ("container", container),
        ("repo", repository),
        ("tag", tag),
        ("author", author),
        ("comment", comment),
        ("changes", [*changes]),
        ("pause", None if pause else 0),
    )
    return Call("POST", "/commit", query, json=dict(config or {}))
