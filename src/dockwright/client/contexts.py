"""Contexts on disk, in the layout Docker's client uses, so that both clients share them.

<config>/contexts/meta/<sha256 of the name>/meta.json      name, description, endpoint
<config>/contexts/tls/<sha256 of the name>/docker/*.pem    ca.pem, cert.pem, key.pem
"""

from __future__ import annotations

import os

from dockwright import errors
from dockwright.client import wirejson
from dockwright.client.config import write_whole
from dockwright.client.endpoint import Endpoint, Tls, tls_in_directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

TLS_FILES = ("ca.pem", "cert.pem", "key.pem")
_NAME_START = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
_NAME = _NAME_START | frozenset("_.+-")


class Context:
    """One stored context. `host` may be empty: then the context says nothing about where the engine is."""

    def __init__(self, name: str, description: str = "", host: str = "", skip_tls_verify: bool = False) -> None:
        self.name = name
        self.description = description
        self.host = host
        self.skip_tls_verify = skip_tls_verify

    @classmethod
    def from_meta(cls, meta: Any) -> Context:
        """From the content of a `meta.json`."""
        if not isinstance(meta, dict):
            raise errors.Invalid("the context's metadata is not a JSON object")
        endpoint = (meta.get("Endpoints") or {}).get("docker") or {}
        return cls(
            str(meta.get("Name", "")),
            str((meta.get("Metadata") or {}).get("Description", "")),
            str(endpoint.get("Host", "")),
            bool(endpoint.get("SkipTLSVerify", False)),
        )

    def to_meta(self) -> dict[str, Any]:
        metadata = {"Description": self.description} if self.description else {}
        endpoint: dict[str, Any] = {"Host": self.host} if self.host else {}
        endpoint["SkipTLSVerify"] = self.skip_tls_verify
        return {"Name": self.name, "Metadata": metadata, "Endpoints": {"docker": endpoint}}


class Store:
    """The contexts of one configuration directory."""

    def __init__(self, config_dir: str) -> None:
        self._root = os.path.join(config_dir, "contexts")

    def meta_dir(self, name: str) -> str:
        return os.path.join(self._root, "meta", _digest(name))

    def tls_dir(self, name: str) -> str:
        return os.path.join(self._root, "tls", _digest(name))

    def get(self, name: str) -> Context:
        """Raises `errors.NotFound`."""
        return Context.from_meta(self.meta(name))

    def meta(self, name: str) -> Any:
        """The content of the context's `meta.json`, as it is. Raises `errors.NotFound`."""
        path = os.path.join(self.meta_dir(name), "meta.json")
        try:
            with open(path, "rb") as file:
                return wirejson.decode(file.read())
        except FileNotFoundError as error:
            raise errors.NotFound(
                f'context "{name}": context not found: open {path}: no such file or directory'
            ) from error
        except wirejson.NotJson as error:
            raise errors.Invalid(f"{path} is not JSON") from error

    def names(self) -> list[str]:
        """The names of all stored contexts in order; `default` is not stored."""
        root = os.path.join(self._root, "meta")
        found = []
        for entry in _listdir(root):
            try:
                with open(os.path.join(root, entry, "meta.json"), "rb") as file:
                    found.append(Context.from_meta(wirejson.decode(file.read())).name)
            except (FileNotFoundError, NotADirectoryError):
                continue
        return sorted(found)

    def exists(self, name: str) -> bool:
        return os.path.exists(os.path.join(self.meta_dir(name), "meta.json"))

    def put(self, context: Context, tls: dict[str, bytes] | None = None) -> None:
        """Store `context`; `tls` replaces its certificate files, `None` leaves them."""
        if tls is not None:
            self._put_tls(context.name, tls)
        directory = self.meta_dir(context.name)
        os.makedirs(directory, mode=0o755, exist_ok=True)
        data = wirejson.encode(context.to_meta()).encode()
        write_whole(os.path.join(directory, "meta.json"), data, 0o644)

    def remove(self, name: str) -> None:
        """Raises `errors.NotFound`."""
        if not self.exists(name):
            raise errors.NotFound(f'context "{name}" does not exist')
        from shutil import rmtree

        rmtree(self.meta_dir(name))
        rmtree(self.tls_dir(name), ignore_errors=True)

    def tls_files(self, name: str) -> dict[str, bytes]:
        """The certificate files of a context by name."""
        directory = os.path.join(self.tls_dir(name), "docker")
        found = {}
        for file_name in _listdir(directory):
            with open(os.path.join(directory, file_name), "rb") as file:
                found[file_name] = file.read()
        return found

    def endpoint(self, name: str) -> Endpoint:
        """The engine `name` stands for. Raises `errors.Invalid` where it does not say one."""
        try:
            context = self.get(name)
        except errors.NotFound as error:
            raise errors.NotFound(f"unable to resolve docker endpoint: {error}") from error
        tls = self._tls(context)
        return Endpoint.parse(context.host, tls) if context.host else Endpoint.default()

    def _tls(self, context: Context) -> Tls | None:
        directory = os.path.join(self.tls_dir(context.name), "docker")
        if not os.path.isdir(directory) and not context.skip_tls_verify:
            return None
        return tls_in_directory(directory, not context.skip_tls_verify)

    def _put_tls(self, name: str, tls: dict[str, bytes]) -> None:
        from shutil import rmtree

        directory = os.path.join(self.tls_dir(name), "docker")
        rmtree(self.tls_dir(name), ignore_errors=True)
        if not tls:
            return
        os.makedirs(directory, mode=0o700, exist_ok=True)
        for file_name, data in tls.items():
            write_whole(os.path.join(directory, file_name), data, 0o600)


def check_name(name: str) -> None:
    """Raises `errors.Invalid` for a name that cannot be stored."""
    if not name:
        raise errors.Invalid("context name cannot be empty")
    if name == "default":
        raise errors.Invalid('"default" is a reserved context name')
    if name[0] not in _NAME_START or not _NAME.issuperset(name) or len(name) < 2:
        raise errors.Invalid(
            f'context name "{name}" is invalid, names are validated against regexp "^[a-zA-Z0-9][a-zA-Z0-9_.+-]+$"'
        )


def _digest(name: str) -> str:
    from hashlib import sha256

    return sha256(name.encode()).hexdigest()


def _listdir(path: str) -> list[str]:
    try:
        return sorted(os.listdir(path))
    except FileNotFoundError:
        return []
