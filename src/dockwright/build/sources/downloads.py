"""Files at http addresses, fetched once while they stay the same: a server is asked whether they have, where it can tell.

<folder>/state.json             what the server said of the file last
<folder>/<sha256>/<name>        the file, mode 600, its time the server's `Last-Modified`, else 1970
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from email.message import Message
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

import aiohttp
import msgspec
from yarl import URL

import dockwright
from dockwright import workers
from dockwright.build.lending.lender import Lender
from dockwright.build.sources.gitref import redacted
from dockwright.build.sources.shelf import About, Shelf
from dockwright.errors import Corrupt, Forbidden, Invalid, NotFound, Unauthorized, Unavailable
from dockwright.oci import digest as digests
from dockwright.undo import UndoStack

KIND = "regular"
MODE = 0o600
_STATE = "state.json"
_PIECE_BYTES = 256 << 10
# Only silence ends a download: how long it may take altogether depends on its size.
_TIMES = aiohttp.ClientTimeout(total=None, sock_connect=30, sock_read=60)
_CHECKSUM = re.compile(r"sha256:([0-9a-f]{64})")


class State(msgspec.Struct):
    """What is known of the file at an address."""

    digest: str = ""
    name: str = ""
    etag: str = ""
    last_modified: str = ""


@dataclass(frozen=True)
class Downloaded:
    """A file: in the directory `root` it is the only one. `named` is False where neither address nor server named it."""

    root: Path
    name: str
    digest: str
    named: bool = True

    @property
    def identity(self) -> str:
        """What depends on the file asks for this."""
        return f"http {self.digest} {self.name}"


def is_url(text: str) -> bool:
    """Whether it is an address that can be fetched."""
    return text.startswith(("http://", "https://"))


def checked_address(text: str) -> str:
    """Raises `Invalid` for an address that cannot be."""
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise Invalid(f"invalid address {redacted(text)[:200]!r}: {error}") from None
    if not host:
        raise Invalid(f"invalid address {redacted(text)[:200]!r}: it names no host")
    return text


def checked_checksum(text: str) -> str:
    """A checksum as ADD has it for addresses. Raises `Invalid`."""
    if text and not _CHECKSUM.fullmatch(text):
        raise Invalid(f"invalid checksum {text!r}: sha256:<64 hexadecimal digits> is wanted")
    return text


class Downloads:
    """All files that builds have fetched."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    async def fetch(self, stack: AsyncExitStack, url: str, checksum: str, lender: Lender) -> Downloaded:
        """The file at `url`, held until `stack` unwinds. One with the `checksum` that is here already is asked nobody for.

        Raises `NotFound`, `Unauthorized`, `Forbidden` and `Invalid` as the server answers, `Unavailable`, and `Corrupt` for
        another checksum.
        """
        authorization = await _authorization(url, lender)
        name = "download-" + digests.of(f"{url}\n{authorization}".encode()).partition(":")[2][:32]
        stack.enter_context(self._shelf.holding(name))
        async with self._shelf.lock(name):
            known = await workers.quick(self._known, name)
            if checksum and known.digest == checksum:
                return self._found(name, known)
            state = await self._ask(name, url, known, authorization)
            if checksum and state.digest != checksum:
                raise Corrupt(f"digest mismatch for {redacted(url)}: {state.digest} (expected: {checksum})")
            return self._found(name, state)

    def _known(self, name: str) -> State:
        try:
            state = msgspec.json.decode((self._shelf.path(name) / _STATE).read_bytes(), type=State)
        except (FileNotFoundError, msgspec.DecodeError):
            return State()
        found = self._found(name, state)
        return state if self._shelf.has(name) and (found.root / found.name).is_file() else State()

    def _found(self, name: str, state: State) -> Downloaded:
        root = self._shelf.path(name) / state.digest.partition(":")[2]
        return Downloaded(root, state.name or "context", state.digest, named=bool(state.name))

    async def _ask(self, name: str, url: str, known: State, authorization: str) -> State:
        headers = {"Accept-Encoding": "identity", "User-Agent": f"dockwright/{dockwright.__version__}"}
        if authorization:
            headers["Authorization"] = authorization
        if known.etag:
            headers["If-None-Match"] = known.etag
        elif known.last_modified:
            headers["If-Modified-Since"] = known.last_modified
        async with _response(url, headers) as response:
            if response.status == 304 and known.digest:
                return known
            _check(response, url)
            return await self._keep(name, url, response)

    async def _keep(self, name: str, url: str, response: aiohttp.ClientResponse) -> State:
        state = State(
            name=_name(url, response.headers.get("Content-Disposition", "")),
            etag=response.headers.get("ETag", ""),
            last_modified=response.headers.get("Last-Modified", ""),
        )
        async with UndoStack() as undo:
            folder = await workers.quick(self._shelf.make)
            undo.push_undo(workers.bulk, self._shelf.discard, folder)
            file = await workers.quick((folder / "content").open, "wb")
            undo.push_undo(workers.quick, file.close)
            hashed = hashlib.sha256()

            def write(piece: bytes) -> None:
                hashed.update(piece)
                file.write(piece)

            try:
                async for piece in response.content.iter_chunked(_PIECE_BYTES):
                    await workers.bulk(write, piece)
            except (aiohttp.ClientError, TimeoutError) as error:
                raise Unavailable(f"cannot fetch {redacted(url)}: {error or type(error).__name__}") from error
            state.digest = f"sha256:{hashed.hexdigest()}"
            await workers.bulk(self._place, folder, file, name, url, state)
        return state

    def _place(self, folder: Path, file: BinaryIO, name: str, url: str, state: State) -> None:
        file.flush()
        fd = file.fileno()
        os.fchmod(fd, MODE)
        seconds = _seconds(state.last_modified)
        os.utime(fd, (seconds, seconds))
        os.fsync(fd)
        inside = state.digest.partition(":")[2]
        (folder / inside).mkdir(mode=0o700)
        os.rename(folder / "content", folder / inside / (state.name or "context"))
        (folder / _STATE).write_bytes(msgspec.json.encode(state))
        about = About(KIND, f"http url {redacted(url).partition('?')[0]}")
        if not self._shelf.has(name):
            self._shelf.put(folder, name, about)
            return
        target = self._shelf.path(name)
        try:
            os.rename(folder / inside, target / inside)
        except OSError:
            pass  # it has been so before, and somebody may be reading it
        os.replace(folder / _STATE, target / _STATE)
        self._shelf.describe(target, about)


@asynccontextmanager
async def _response(url: str, headers: dict[str, str]) -> AsyncIterator[aiohttp.ClientResponse]:
    try:
        async with aiohttp.ClientSession(timeout=_TIMES, trust_env=True, auto_decompress=False) as session:
            plain = url.isascii() and url.isprintable() and " " not in url
            response = await session.get(URL(checked_address(url), encoded=plain), headers=headers)
            try:
                yield response
            finally:
                response.close()
    except (TimeoutError, aiohttp.ClientError, ValueError) as error:
        raise Unavailable(f"cannot fetch {redacted(url)}: {error or type(error).__name__}") from error


def _check(response: aiohttp.ClientResponse, url: str) -> None:
    if response.status < 300:
        return
    kinds: dict[int, type[Exception]] = {404: NotFound, 410: NotFound, 401: Unauthorized, 403: Forbidden}
    kind = kinds.get(response.status, Unavailable if response.status >= 500 else Invalid)
    raise kind(f"cannot fetch {redacted(url)}: invalid response status {response.status} {response.reason}")


async def _authorization(url: str, lender: Lender) -> str:
    """The header of the secrets HTTP_AUTH_HEADER_<host> and HTTP_AUTH_TOKEN_<host>; empty without either."""
    host = urlsplit(url).netloc.rpartition("@")[2]
    for name, before in ((f"HTTP_AUTH_HEADER_{host}", ""), (f"HTTP_AUTH_TOKEN_{host}", "Bearer ")):
        secret = await lender.secret(name)
        if secret is not None:
            text = secret.strip().decode("latin-1")
            if "\n" in text or "\r" in text:
                raise Invalid(f"the secret {name} has several lines")
            return before + text
    return ""


def _name(url: str, disposition: str) -> str:
    """The last part of the address's path, else what the server calls the file; empty when neither says anything."""
    names = [posixpath.basename(unquote(urlsplit(url).path))]
    if disposition:
        message = Message()
        message["Content-Disposition"] = disposition
        names.append(posixpath.basename((message.get_filename() or "").replace("\\", "/")))
    for name in names:
        if name not in ("", ".", "..") and "\0" not in name and len(os.fsencode(name)) < 256:
            return name
    return ""


def _seconds(last_modified: str) -> int:
    try:
        return int(parsedate_to_datetime(last_modified).timestamp())
    except (TypeError, ValueError, OverflowError):
        return 0
