"""A volume driver in another process: Docker's volume plugin protocol.

Every verb is a POST of JSON to `/VolumeDriver.<Verb>`, every answer has `Err`, "" when all is well (docs.docker.com, "Docker
volume plugins").
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import msgspec

from dockwright.errors import HostFailure, NotFound, Unavailable
from dockwright.volume.seam import Seen

_CONTENT_TYPE = "application/vnd.docker.plugins.v1.2+json"
_ANSWER_LIMIT = 16 << 20
ANSWER_LIMIT_S = 120.0  # a plugin may have to attach a disk
_RETRY_S = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)  # a plugin that is being started again
# Looking around is no reason to wait for a plugin that does not answer; what somebody asked for is.
_IMPATIENT = frozenset(("VolumeDriver.Get", "VolumeDriver.List", "VolumeDriver.Capabilities"))


class Address(NamedTuple):
    """Where a plugin listens: a unix socket, or a URL with or without TLS."""

    socket: str = ""
    url: str = ""
    tls: ssl.SSLContext | None = None


class PluginVolumes:
    """The volumes of one plugin. Made by `Plugins`; `aclose` ends its connections."""

    def __init__(self, name: str, address: Address) -> None:
        self._name = name
        self._address = address
        self._session: aiohttp.ClientSession | None = None
        self._scope = ""

    async def activate(self, *, patient: bool = True) -> list[str]:
        """What the plugin implements. Raises `Unavailable`, at once unless `patient`."""
        return list((await self._call("Plugin.Activate", patient)).get("Implements") or ())

    async def create(self, name: str, options: Mapping[str, str]) -> None:
        """See `VolumeDriver.create`."""
        await self._call("VolumeDriver.Create", Name=name, Opts=dict(options))

    async def mount(self, name: str, user: str) -> Path:
        """See `VolumeDriver.mount`."""
        answer = await self._call("VolumeDriver.Mount", Name=name, ID=user)
        path = answer.get("Mountpoint")
        if not isinstance(path, str) or not path.startswith("/"):
            raise HostFailure(f"volume plugin {self._name}: no mount point for {name} in its answer")
        return Path(path)

    async def unmount(self, name: str, user: str) -> None:
        """See `VolumeDriver.unmount`."""
        await self._call("VolumeDriver.Unmount", Name=name, ID=user)

    async def remove(self, name: str) -> None:
        """See `VolumeDriver.remove`."""
        try:
            await self.inspect(name)
        except NotFound:
            return
        await self._call("VolumeDriver.Remove", Name=name)

    async def inspect(self, name: str) -> Seen:
        """See `VolumeDriver.inspect`. Whatever error the plugin gives is taken for `NotFound`: the protocol has one kind."""
        try:
            answer = await self._call("VolumeDriver.Get", Name=name)
        except HostFailure as error:
            raise NotFound(f"get {name}: no such volume ({error})") from error
        found = answer.get("Volume")
        if not isinstance(found, dict):
            raise NotFound(f"get {name}: no such volume")
        return _seen(found)

    async def all(self) -> dict[str, Seen]:
        """See `Discovering.all`."""
        listed = (await self._call("VolumeDriver.List")).get("Volumes") or []
        return {entry["Name"]: _seen(entry) for entry in listed if isinstance(entry, dict) and entry.get("Name")}

    async def scope(self) -> str:
        """See `Discovering.scope`; a plugin that does not say is `local`."""
        if not self._scope:
            try:
                told = (await self._call("VolumeDriver.Capabilities")).get("Capabilities") or {}
            except HostFailure:
                told = {}  # it does not know the call
            self._scope = "global" if str(told.get("Scope", "")).lower() == "global" else "local"
        return self._scope

    async def aclose(self) -> None:
        """End its connections. Safe to call twice."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _call(self, verb: str, patient: bool = True, /, **body: Any) -> dict[str, Any]:
        """One verb. Raises `Unavailable` when the plugin is out of reach, `HostFailure` with its words when it refuses."""
        for wait_s in (*(_RETRY_S if patient and verb not in _IMPATIENT else ()), None):
            try:
                return await self._send(verb, body)
            except aiohttp.ClientConnectorError as error:
                if wait_s is None:
                    raise Unavailable(f"volume plugin {self._name} is out of reach: {error}") from error
                await asyncio.sleep(wait_s)  # nothing was sent yet: it may be asked again
            except (aiohttp.ClientError, TimeoutError) as error:
                raise Unavailable(f"volume plugin {self._name}: {verb}: {error or 'no answer in time'}") from error
        raise AssertionError

    async def _send(self, verb: str, body: dict[str, Any]) -> dict[str, Any]:
        url = f"{self._address.url or 'http://plugin'}/{verb}"
        headers = {"Content-Type": _CONTENT_TYPE, "Accept": _CONTENT_TYPE}
        session = self._open()
        limit = aiohttp.ClientTimeout(total=ANSWER_LIMIT_S)
        async with session.post(url, data=msgspec.json.encode(body), headers=headers, timeout=limit) as response:
            raw = await response.content.read(_ANSWER_LIMIT)
            return self._read(verb, response.status, raw)

    def _read(self, verb: str, status: int, raw: bytes) -> dict[str, Any]:
        try:
            answer = msgspec.json.decode(raw) if raw.strip() else {}
        except msgspec.DecodeError:
            answer = {"Err": raw.decode(errors="replace").strip()[:500]} if status >= 400 else None
        if not isinstance(answer, dict):
            raise HostFailure(f"volume plugin {self._name}: {verb}: its answer is not JSON")
        if answer.get("Err") or status >= 400:
            raise HostFailure(f"{verb}: {answer.get('Err') or f'status {status}'}")
        return answer

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector: aiohttp.BaseConnector
            if self._address.socket:
                connector = aiohttp.UnixConnector(self._address.socket)
            else:
                connector = aiohttp.TCPConnector(ssl=self._address.tls or True)
            self._session = aiohttp.ClientSession(connector=connector)
        return self._session


def _seen(found: dict[str, Any]) -> Seen:
    status = found.get("Status")
    return Seen(
        str(found.get("Mountpoint") or ""), status if isinstance(status, dict) else None, _time(found.get("CreatedAt"))
    )


def _time(text: object) -> int:
    try:
        return int(datetime.fromisoformat(str(text)).timestamp() * 1e9)
    except ValueError:
        return 0
