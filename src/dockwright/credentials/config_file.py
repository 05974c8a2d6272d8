"""`config.json` as a keeper of credentials, shared with Docker's own client.

What this file does not understand it hands on byte for byte: only the entries of `auths` that change are written anew.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import msgspec

from dockwright.credentials.credential import Credentials, join_auth, split_auth
from dockwright.credentials.helper import Helper
from dockwright.credentials.servers import HUB, key_of
from dockwright.errors import HostFailure, Invalid

# A configuration in the environment, read before the file: `{"auths": {…}}`.
ENVIRONMENT = "DOCKER_AUTH_CONFIG"

_Object = dict[str, msgspec.Raw]


class _Entry(msgspec.Struct):
    """One server of `auths`."""

    auth: str | None = None
    username: str | None = None
    password: str | None = None
    identitytoken: str | None = None
    registrytoken: str | None = None

    def credentials(self) -> Credentials:
        """Raises `Invalid` for an `auth` that cannot be read."""
        username, password = split_auth(self.auth) if self.auth else (self.username or "", self.password or "")
        return Credentials(username, password, self.identitytoken or "", self.registrytoken or "")


class CredentialFile:
    """The credentials of one configuration directory: in its `config.json`, or where that says they are kept.

    Reading happens at every call, so that what another process stored is seen. Servers are given by any of their names.
    """

    def __init__(self, directory: str | Path = "") -> None:
        """`directory` is `DOCKER_CONFIG` or `~/.docker` when it is not given."""
        given = str(directory) or os.environ.get("DOCKER_CONFIG") or os.path.join(os.path.expanduser("~"), ".docker")
        self.directory = Path(given)
        self.path = self.directory / "config.json"

    def get(self, server: str) -> Credentials | None:
        """What is known for `server`. Raises `Invalid` for a broken file, `HostFailure` for a helper that fails."""
        document = self._read()
        found = _lookup(_environment(), server) or self._kept(document, server)
        return None if found is None or found.empty else found

    def _kept(self, document: _Object, server: str) -> Credentials | None:
        helper = self._helper(document, server)
        return helper.get(key_of(server)) if helper is not None else _lookup(_auths(document, self.path), server)

    def store(self, server: str, credentials: Credentials) -> Helper | None:
        """Keep `credentials` for `server`, in place of what was kept. Returns the helper that keeps them, if one does.

        With a helper the file only notes that there is something; without one it holds name and password, merely encoded.
        """
        key = key_of(server)
        helper = self._helper(self._read(), server)
        if helper is not None:
            helper.store(key, credentials)
            credentials = replace(credentials, username="", password="", identity_token="")
        said = _entry(credentials)

        def change(entries: _Object) -> None:
            entries[key] = msgspec.Raw(_indented({name: _encoded(value) for name, value in said.items()}, 2))

        self._change(change)
        return helper

    def erase(self, server: str) -> bool:
        """Forget what is kept for `server`; whether the file knew of anything."""
        helper = self._helper(self._read(), server)
        if helper is not None:
            helper.erase(key_of(server))
        key = key_of(server)
        known: list[str] = []

        def change(entries: _Object) -> None:
            known.extend(name for name in entries if key_of(name) == key)
            for name in known:
                del entries[name]

        self._change(change)
        return bool(known)

    def list(self) -> dict[str, str]:
        """User names by server: of the file, of the helpers, of the environment."""
        document = self._read()
        found = _usernames(_auths(document, self.path))
        if default := _text(document, "credsStore"):
            found.update(Helper(default).list())
        for server, name in _names(document, "credHelpers").items():
            if name and (kept := Helper(name).get(server)):
                found[server] = kept.username
        found.update(_usernames(_environment()))
        return found

    def plain(self) -> dict[str, dict[str, str]]:
        """Everything that is known, wherever it is kept, as the `auths` of a file of its own: secrets in plain text."""
        found = {server: self.get(server) for server in self.list()}
        return {server: _entry(credentials) for server, credentials in found.items() if credentials is not None}

    def helper(self, server: str) -> Helper | None:
        """The helper that keeps the credentials of `server`; `None` where the file itself does."""
        return self._helper(self._read(), server)

    def choose_store(self, name: str) -> None:
        """Let the helper `name` keep what is stored from now on (`credsStore`)."""
        with self._locked():
            document = self._read()
            document["credsStore"] = msgspec.Raw(_encoded(name))
            self._write(document)

    @property
    def holds_any(self) -> bool:
        """Somebody decided where credentials are kept, or keeps some: no default is to be chosen for them."""
        document = self._read()
        return bool(_text(document, "credsStore") or _names(document, "credHelpers") or _auths(document, self.path))

    def _helper(self, document: _Object, server: str) -> Helper | None:
        key = key_of(server)
        chosen = _names(document, "credHelpers")
        # An empty name takes a server out of what `credsStore` keeps.
        for known in (key, "docker.io", "index.docker.io") if key == HUB else (key,):
            if known in chosen:
                return Helper(chosen[known]) if chosen[known] else None
        default = _text(document, "credsStore")
        return Helper(default) if default else None

    def _read(self) -> _Object:
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise Invalid(f"cannot read {self.path}: {error.strerror}") from error
        try:
            return msgspec.json.decode(data, type=_Object) if data.strip() else {}
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Invalid(f"{self.path} is not a JSON object: {error}") from error

    def _change(self, change: Callable[[_Object], None]) -> None:
        with self._locked():
            document = self._read()
            entries = _entries(document, self.path)
            before = dict(entries)
            change(entries)
            if entries != before:
                document["auths"] = msgspec.Raw(_indented({name: bytes(raw) for name, raw in entries.items()}, 1))
                self._write(document)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One change at a time: two logins side by side must not lose one another's entry."""
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            fd = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise HostFailure(f"cannot use {self.directory}: {error.strerror}") from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)

    def _write(self, document: _Object) -> None:
        """Replace the file as a whole; a link to it stays one, its owner stays, its mode becomes 0600."""
        target = os.path.realpath(self.path)
        temporary = f"{target}.{os.getpid()}.tmp"
        content = _indented({name: bytes(raw) for name, raw in document.items()}, 0)
        try:
            with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
                os.fchmod(file.fileno(), 0o600)
                _keep_owner(file.fileno(), target)
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.rename(temporary, target)
        except OSError as error:
            Path(temporary).unlink(missing_ok=True)
            raise HostFailure(f"cannot write {target}: {error.strerror}") from error


def _keep_owner(fd: int, target: str) -> None:
    try:
        before = os.stat(target)
    except FileNotFoundError:
        return
    if (before.st_uid, before.st_gid) != (os.geteuid(), os.getegid()):
        os.fchown(fd, before.st_uid, before.st_gid)


def _indented(fields: dict[str, bytes], depth: int) -> bytes:
    """An object whose values are JSON already, laid out as Docker's client does; nested values keep their own layout."""
    if not fields:
        return b"{}"
    margin = b"\n" + b"\t" * depth
    lines = (margin + b"\t" + _encoded(name) + b": " + value for name, value in fields.items())
    return b"{" + b",".join(lines) + margin + b"}"


def _entry(credentials: Credentials) -> dict[str, str]:
    """An entry of `auths`; an identity token stands for the password."""
    entry = {
        "auth": join_auth(credentials.username, "" if credentials.identity_token else credentials.password),
        "identitytoken": credentials.identity_token,
        "registrytoken": credentials.registry_token,
    }
    return {name: value for name, value in entry.items() if value}


def _encoded(text: str) -> bytes:
    return msgspec.json.encode(text)


def _environment() -> dict[str, _Entry]:
    text = os.environ.get(ENVIRONMENT, "")
    if not text:
        return {}
    try:
        return _auths(msgspec.json.decode(text, type=_Object), ENVIRONMENT)
    except msgspec.DecodeError as error:
        raise Invalid(f"{ENVIRONMENT} is not a JSON object: {error}") from error


def _entries(document: _Object, source: object) -> _Object:
    if "auths" not in document:
        return {}
    try:
        return msgspec.json.decode(document["auths"], type=_Object | None) or {}
    except msgspec.DecodeError as error:
        raise Invalid(f"{source}: auths is not a JSON object: {error}") from error


def _auths(document: _Object, source: object) -> dict[str, _Entry]:
    try:
        return {name: msgspec.json.decode(raw, type=_Entry) for name, raw in _entries(document, source).items()}
    except msgspec.DecodeError as error:
        raise Invalid(f"{source}: an entry of auths cannot be read: {error}") from error


def _lookup(auths: dict[str, _Entry], server: str) -> Credentials | None:
    """The entry under the very name first, then one for the same host under another of its names."""
    key = key_of(server)
    for name in (server, key):
        if name in auths:
            return auths[name].credentials()
    for name, entry in auths.items():
        if key_of(name) == key:
            return entry.credentials()
    return None


def _usernames(auths: dict[str, _Entry]) -> dict[str, str]:
    return {server: entry.credentials().username for server, entry in auths.items()}


def _text(document: _Object, name: str) -> str:
    value = msgspec.json.decode(document[name]) if name in document else None
    return value if isinstance(value, str) else ""


def _names(document: _Object, name: str) -> dict[str, str]:
    value = msgspec.json.decode(document[name]) if name in document else None
    return {str(key): str(one) for key, one in value.items()} if isinstance(value, dict) else {}
