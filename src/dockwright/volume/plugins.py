"""Which plugins there are: sockets and specifications in directories, as Docker looks for them.

`NAME.sock` and `NAME/NAME.sock` are unix sockets; `NAME.spec` holds a URL (`unix://…`, `tcp://…`), `NAME.json` a URL and the
files of its TLS (docs.docker.com, "Docker plugin API", Plugin discovery).
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Sequence
from pathlib import Path

import msgspec

from dockwright import workers
from dockwright.errors import Invalid, NotFound
from dockwright.volume.plugin import Address, PluginVolumes

DIRECTORIES = (Path("/run/docker/plugins"), Path("/etc/docker/plugins"), Path("/usr/lib/docker/plugins"))
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.:/-]*")
_KIND = "VolumeDriver"


class _Tls(msgspec.Struct, rename="pascal"):
    insecure_skip_verify: bool = False
    ca_file: str = msgspec.field(default="", name="CAFile")
    cert_file: str = ""
    key_file: str = ""


class _Document(msgspec.Struct, rename="pascal"):
    addr: str
    name: str = ""
    tls_config: _Tls | None = msgspec.field(default=None, name="TLSConfig")


class Plugins:
    """Volume plugins by name, found when they are first asked for. `aclose` ends all connections."""

    def __init__(self, directories: Sequence[Path] = DIRECTORIES) -> None:
        self._directories = directories
        self._known: dict[str, tuple[Address, PluginVolumes]] = {}

    async def get(self, name: str, *, patient: bool = True) -> PluginVolumes:
        """Raises `NotFound` when there is none of that name or it is no volume driver, `Unavailable`, `Invalid`.

        One that does not answer is asked again for some seconds when `patient`.
        """
        bare = name.removesuffix(":latest")
        address = await workers.quick(self._find, bare)
        if address is None:
            raise NotFound(f'error looking up volume plugin {name}: plugin "{name}" not found')
        known = self._known.get(bare)
        if known is not None and known[0][:2] == address[:2]:
            return known[1]
        plugin = PluginVolumes(bare, address)
        try:
            implements = await plugin.activate(patient=patient)
        except BaseException:
            await plugin.aclose()
            raise
        if _KIND not in implements:
            await plugin.aclose()
            raise NotFound(f"error looking up volume plugin {name}: plugin does not implement the requested interface")
        former, self._known[bare] = self._known.get(bare), (address, plugin)
        if former is not None:
            await former[1].aclose()
        return plugin

    async def names(self) -> list[str]:
        """Every plugin that the directories name, whatever it implements."""
        return await workers.quick(self._list)

    async def aclose(self) -> None:
        """End all connections. Safe to call twice."""
        for _, plugin in self._known.values():
            await plugin.aclose()

    def _list(self) -> list[str]:
        found = set()
        for directory in self._directories:
            if directory.is_dir():
                found |= {path.stem for path in directory.iterdir() if path.suffix in (".sock", ".spec", ".json")}
                found |= {path.stem for path in directory.glob("*/*.sock") if path.stem == path.parent.name}
        return sorted(found)

    def _find(self, name: str) -> Address | None:
        if not _NAME.fullmatch(name) or ".." in name:
            return None
        for directory in self._directories:
            for path in (directory / f"{name}.sock", directory / name / f"{name}.sock"):
                if path.is_socket():
                    return Address(socket=str(path))
            for path in (directory / f"{name}.spec", directory / name / f"{name}.spec"):
                if path.is_file():
                    return _address(path, path.read_text().strip(), None)
            for path in (directory / f"{name}.json", directory / name / f"{name}.json"):
                if path.is_file():
                    return _from_document(path)
        return None


def _from_document(path: Path) -> Address:
    try:
        document = msgspec.json.decode(path.read_bytes(), type=_Document)
    except msgspec.DecodeError as error:
        raise Invalid(f"{path}: {error}") from error
    return _address(path, document.addr, document.tls_config)


def _address(path: Path, text: str, tls: _Tls | None) -> Address:
    scheme, found, rest = text.partition("://")
    if found and scheme == "unix":
        return Address(socket=rest)
    if found and scheme in ("tcp", "http", "https"):
        context = _context(tls) if tls is not None else None
        return Address(url=f"{'https' if context or scheme == 'https' else 'http'}://{rest.rstrip('/')}", tls=context)
    raise Invalid(f"{path}: {text[:200]!r} is no address of a plugin")


def _context(tls: _Tls) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=tls.ca_file or None)
    if tls.insecure_skip_verify:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if tls.cert_file:
        context.load_cert_chain(tls.cert_file, tls.key_file or None)
    return context
