"""Docker's client configuration: `config.json` in `DOCKER_CONFIG` or `~/.docker`, shared with Docker's own client."""

from __future__ import annotations

import os

from dockwright import errors
from dockwright.client import wirejson

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def default_dir() -> str:
    return os.environ.get("DOCKER_CONFIG") or os.path.join(os.path.expanduser("~"), ".docker")


class Config:
    """The settings of one configuration directory; unknown keys are kept when the file is written again."""

    def __init__(self, directory: str, values: dict[str, Any]) -> None:
        self.directory = directory
        self.values = values

    @classmethod
    def load(cls, directory: str = "") -> Config:
        """Read `config.json`; a missing file is an empty configuration. Raises `errors.Invalid` for a broken one."""
        directory = directory or default_dir()
        path = os.path.join(directory, "config.json")
        try:
            with open(path, "rb") as file:
                values = wirejson.decode(file.read())
        except FileNotFoundError:
            values = {}
        except OSError as error:
            raise errors.Invalid(f"cannot read {path}: {error.strerror}") from error
        except wirejson.NotJson as error:
            raise errors.Invalid(f"{path} is not a JSON object") from error
        if not isinstance(values, dict):
            raise errors.Invalid(f"{path} is not a JSON object")
        return cls(directory, values)

    def text(self, key: str) -> str:
        """A string setting, empty when it is not set or not a string."""
        value = self.values.get(key)
        return value if isinstance(value, str) else ""

    @property
    def headers(self) -> dict[str, str]:
        """`HttpHeaders`: sent with every request."""
        found = self.values.get("HttpHeaders")
        return {str(k): str(v) for k, v in found.items()} if isinstance(found, dict) else {}

    def save(self) -> None:
        """Write the file: temporary name, sync, rename; its mode stays 0600 as it may hold credentials."""
        from json import dumps

        os.makedirs(self.directory, mode=0o700, exist_ok=True)
        path = os.path.realpath(os.path.join(self.directory, "config.json"))
        write_whole(path, dumps(self.values, indent="\t", ensure_ascii=False).encode(), 0o600)


def write_whole(path: str, data: bytes, mode: int) -> None:
    """Replace `path` so that a reader sees the old content or the new one."""
    temporary = f"{path}.{os.getpid()}.tmp"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.rename(temporary, path)
    except OSError:
        os.unlink(temporary)
        raise
