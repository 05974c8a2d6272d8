"""The Images section of the Engine API, as far as this client goes."""

from __future__ import annotations

from dockwright.client.call import Call, encode_filters, quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    Filters = Mapping[str, Iterable[str]] | None


def _path(image: str, verb: str = "") -> str:
    return f"/images/{quote(image, b'/:@')}{verb}"


def list(*, all: bool = False, filters: Filters = None, manifests: bool = False) -> Call:
    query = (("all", all), ("filters", encode_filters(filters)), ("manifests", manifests))
    return Call("GET", "/images/json", query)


def inspect(image: str, *, platform: str = "", manifests: bool = False) -> Call:
    """`platform` is JSON of an OCI platform."""
    return Call("GET", _path(image, "/json"), (("platform", platform), ("manifests", manifests)))


def history(image: str, *, platform: str = "") -> Call:
    return Call("GET", _path(image, "/history"), (("platform", platform),))


def tag(image: str, repository: str, tag: str = "") -> Call:
    return Call("POST", _path(image, "/tag"), (("repo", repository), ("tag", tag)))


def remove(image: str, *, force: bool = False, prune: bool = True, platforms: Iterable[str] = ()) -> Call:
    query = (("force", force), ("noprune", not prune), ("platforms", [*platforms]))
    return Call("DELETE", _path(image), query)


def load(body: bytes | Iterable[bytes], *, quiet: bool = False, platforms: Iterable[str] = ()) -> Call:
    query = (("quiet", 1 if quiet else 0), ("platform", [*platforms]))
    return Call("POST", "/images/load", query, body=body, headers=[("Content-Type", "application/x-tar")])


def save(images: Iterable[str], *, platforms: Iterable[str] = ()) -> Call:
    return Call("GET", "/images/get", (("names", [*images]), ("platform", [*platforms])))


def import_archive(
    body: bytes | Iterable[bytes] | None,
    *,
    source: str,
    repository: str = "",
    tag: str = "",
    message: str = "",
    changes: Iterable[str] = (),
    platform: str = "",
) -> Call:
    """`source` is an address the engine fetches, or `-` for `body`."""
    query = (
        ("fromSrc", source),
        ("repo", repository),
        ("tag", tag),
        ("message", message),
        ("changes", [*changes]),
        ("platform", platform),
    )
    return Call("POST", "/images/create", query, body=body, headers=[("Content-Type", "application/x-tar")])


def pull(image: str, *, tag: str = "", platform: str = "", auth: str = "") -> Call:
    """`auth` is the X-Registry-Auth value (`credentials.to_header`). No tag means all of them."""
    query = (("fromImage", image), ("tag", tag), ("platform", platform))
    return Call("POST", "/images/create", query, headers=_auth(auth))


def push(image: str, *, tag: str = "", platform: str = "", auth: str = "") -> Call:
    """`platform` is JSON of an OCI platform. No tag means all of them."""
    return Call("POST", _path(image, "/push"), (("tag", tag), ("platform", platform)), headers=_auth(auth))


def search(term: str, *, limit: int = 0, filters: Filters = None, auth: str = "") -> Call:
    """`limit` 0 leaves it to the engine."""
    query = (("term", term), ("limit", limit or None), ("filters", encode_filters(filters)))
    return Call("GET", "/images/search", query, headers=_auth(auth))


def distribution(image: str, *, auth: str = "") -> Call:
    """What the registry has under the name."""
    return Call("GET", f"/distribution/{quote(image, b'/:@')}/json", headers=_auth(auth))


def bootstrap(
    name: str, *, tag: str = "", mirror: str = "", archive_date: str = "", packages: Iterable[str] = ()
) -> Call:
    """Dockwright's own: a base image from a distribution's package archive."""
    query = (
        ("name", name),
        ("tag", tag),
        ("mirror", mirror),
        ("archive-date", archive_date),
        ("package", [*packages]),
    )
    return Call("POST", "/images/bootstrap", query)


def compare(image: str, other: str, *, platform: str = "") -> Call:
    """Dockwright's own: what makes `other` different from `image`."""
    return Call("GET", _path(image, "/compare"), (("with", other), ("platform", platform)))


def _auth(auth: str) -> Iterable[tuple[str, str]]:
    return [("X-Registry-Auth", auth)] if auth else []


def prune(*, filters: Filters = None) -> Call:
    return Call("POST", "/images/prune", (("filters", encode_filters(filters)),))
