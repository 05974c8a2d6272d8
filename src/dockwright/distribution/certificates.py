"""TLS contexts per host: the system's CAs, and what Docker's `certs.d` adds.

<certs.d>/<host[:port]>/*.crt            further CAs
<certs.d>/<host[:port]>/NAME.cert, .key  client certificates
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import ParamSpec, TypeVar

from dockwright import workers
from dockwright.errors import Invalid

P = ParamSpec("P")
K = TypeVar("K")
V = TypeVar("V")


# What a directory holds is looked at again after that long: certificates are added and renewed under a running daemon.
LOOKED_AT_S = 15.0
CONTEXTS_KEPT = 64

Fingerprint = tuple[tuple[Path, int], ...]


class Contexts:
    """The contexts of one set of directories: one for all hosts that have none of their own, as a context is large."""

    def __init__(self, directories: Iterable[Path]) -> None:
        self._directories = tuple(directories)
        self._seen: dict[str, tuple[Fingerprint, float]] = {}
        self._built: dict[tuple[Fingerprint, bool], ssl.SSLContext] = {}

    async def get(self, host: str, *, verified: bool) -> ssl.SSLContext:
        """The context for `host` (`name` or `name:port`). Raises `Invalid`, naming the file that cannot be used."""
        fingerprint = await self._look(host)
        context = self._built.get((fingerprint, verified))
        if context is None:
            context = await workers.quick(_build, self._folders(host), verified)
            _bounded(self._built)[fingerprint, verified] = context
        return context

    async def has_authority(self, host: str) -> bool:
        """Whether a directory names a CA for `host`: its certificates are then to be checked, wherever it is."""
        return any(path.suffix == ".crt" for path, _ in await self._look(host))

    async def _look(self, host: str) -> Fingerprint:
        fingerprint, until = self._seen.get(host, ((), 0.0))
        if until <= time.monotonic():
            fingerprint = await workers.quick(_fingerprint, self._folders(host))
            _bounded(self._seen)[host] = (fingerprint, time.monotonic() + LOOKED_AT_S)
        return fingerprint

    def _folders(self, host: str) -> list[Path]:
        # A host is one component of a path: what could leave the directory is no host.
        if "/" in host or host in ("", ".", ".."):
            return []
        return [directory / host for directory in self._directories]


def _bounded(kept: dict[K, V]) -> dict[K, V]:
    while len(kept) >= CONTEXTS_KEPT:
        del kept[next(iter(kept))]
    return kept


def _fingerprint(folders: list[Path]) -> Fingerprint:
    found = []
    for folder in folders:
        for path in _files(folder, ".crt", ".cert", ".key"):
            try:
                found.append((path, path.stat().st_mtime_ns))
            except OSError:
                found.append((path, 0))  # building the context says what is wrong with it
    return tuple(found)


def _build(folders: list[Path], verified: bool) -> ssl.SSLContext:
    if verified:
        context = ssl.create_default_context()
    else:  # without the system's CAs, which take most of the time
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    for folder in folders:
        for path in _files(folder, ".crt"):
            _usable(path, context.load_verify_locations, path)
        for certificate, key in _pairs(folder):
            _usable(certificate, context.load_cert_chain, certificate, key)
    return context


def _files(folder: Path, *suffixes: str) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.suffix in suffixes)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise Invalid(f"cannot read the certificates in {folder}: {error.strerror}") from error


def _pairs(folder: Path) -> list[tuple[Path, Path]]:
    certificates, keys = _files(folder, ".cert"), _files(folder, ".key")
    for key in keys:
        if key.with_suffix(".cert") not in certificates:
            raise Invalid(f"missing client certificate {key.with_suffix('.cert').name} for key {key.name}")
    for certificate in certificates:
        if certificate.with_suffix(".key") not in keys:
            raise Invalid(
                f"missing key {certificate.with_suffix('.key').name} for client certificate {certificate.name}. "
                "CA certificates must use the extension .crt"
            )
    return [(certificate, certificate.with_suffix(".key")) for certificate in certificates]


def _usable(path: Path, load: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
    try:
        load(*args, **kwargs)
    except (OSError, ssl.SSLError) as error:
        raise Invalid(f"cannot use the certificate {path}: {error}") from error
