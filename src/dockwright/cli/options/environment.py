"""`--env`, `--env-file`, `--label`, `--label-file`."""

from __future__ import annotations

import os

from dockwright import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from dockwright.client.config import Config


def entry(text: str) -> str:
    """`NAME=VALUE` as it is; `NAME` with our own value, or alone (which unsets it) where we have none."""
    name, equals, _ = text.partition("=")
    if not name:
        raise ValueError(f"invalid environment variable: {text}")
    if equals or name not in os.environ:
        return text
    return f"{name}={os.environ[name]}"


def read_files(paths: Iterable[str]) -> list[str]:
    """The variables of `--env-file`s; a name alone takes our value and is left out where we have none."""

    def ours(name: str) -> str | None:
        return f"{name}={os.environ[name]}" if name in os.environ else None

    return [one for path in paths for one in _read(path, ours)]


_PROXIES = {
    "httpProxy": "HTTP_PROXY",
    "httpsProxy": "HTTPS_PROXY",
    "ftpProxy": "FTP_PROXY",
    "noProxy": "NO_PROXY",
    "allProxy": "ALL_PROXY",
}


def proxies(config: Config, engine: str, given: Iterable[str]) -> list[str]:
    """`proxies` of the configuration, for `engine` or by `default`, as variables in both spellings; given ones win."""
    configured = config.values.get("proxies")
    if not isinstance(configured, dict):
        return []
    chosen = configured.get(engine) or configured.get("default") or {}
    names = {entry.partition("=")[0] for entry in given}
    pairs = [(name, chosen.get(key)) for key, upper in _PROXIES.items() for name in (upper, upper.lower())]
    return [f"{name}={value}" for name, value in pairs if value and name not in names]


def label(text: str) -> str:
    if not text.partition("=")[0]:
        raise ValueError(f"invalid label '{text}': empty name")
    return text


def labels(files: Iterable[str], given: Iterable[str]) -> dict[str, str]:
    """Labels of files first, then those of the command line; a name alone has an empty value."""
    entries = [one for path in files for one in _read(path, lambda name: name)]
    pairs = [text.partition("=") for text in (*entries, *given)]
    return {name: value for name, _, value in pairs}


def _read(path: str, bare: Callable[[str], str | None]) -> list[str]:
    """The lines of a file of `NAME=VALUE`: blank lines and lines that start with # are skipped. Raises `errors.Invalid`."""
    with open(path, "rb") as file:
        data = file.read().removeprefix(b"\xef\xbb\xbf")
    found = []
    for number, raw in enumerate(data.split(b"\n"), 1):
        try:
            line = raw.removesuffix(b"\r").decode("utf-8").lstrip()
        except UnicodeDecodeError as error:
            raise errors.Invalid(f"invalid env file ({path}): line {number} is not UTF-8") from error
        if not line or line.startswith("#"):
            continue
        name, equals, _ = line.partition("=")
        if any(letter.isspace() for letter in name):
            raise errors.Invalid(f"invalid env file ({path}): variable '{name}' contains whitespaces")
        if not name:
            raise errors.Invalid(f"invalid env file ({path}): no variable name on line '{line}'")
        one = line if equals else bare(name)
        if one is not None:
            found.append(one)
    return found
