"""A container's log through its life: opened by each start, read at any time, ended with the process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

from dockwright import logs, workers
from dockwright.container.config import LogConfig
from dockwright.container.parts import Parts
from dockwright.container.record import Record
from dockwright.logs import Log, LogInfo
from dockwright.logs import Query as LogQuery

__all__ = ["ContainerLog", "LogQuery", "validate_log"]


def validate_log(config: LogConfig) -> None:
    """Raises `Invalid` for an unknown driver or option, with Docker's wording."""
    logs.check(config.type, config.config)


class ContainerLog:
    """The log of one container, whether it runs or not."""

    def __init__(self, parts: Parts, record: Record) -> None:
        self._parts = parts
        self._record = record
        self._log: Log | None = None
        # Clear between the end of the process and that of its log: a reader in between waits for the whole of it.
        self._whole = asyncio.Event()
        self._whole.set()

    @property
    def path(self) -> str:
        """`LogPath` of inspect: only json-file names one."""
        return logs.log_path(self._config.type, self._info()) if self._record.state.started_ns else ""

    @property
    def attributes(self) -> dict[str, str]:
        """What `details` shows with each line."""
        return logs.details(self._config.type, self._config.config, self._info())

    async def open(self) -> Path | None:
        """For a start, or to take up what a former daemon left: where conmon is to write, None for no log.

        Raises `Unavailable` when a log service does not answer.
        """
        if self._config.type == "none":
            return None
        if self._log is None:
            home = self._parts.paths.home(self._record.id)
            await workers.quick(home.mkdir, parents=True, exist_ok=True)
            spool, control = home / "spool", self._parts.paths.bundle(self._record.id) / "ctl"
            self._log = await self._parts.logs.open(
                self._config.type, self._config.config, self._info(), spool=spool, control=control
            )
            self._log.start()
        return self._parts.paths.home(self._record.id) / "spool"

    def check_readable(self) -> None:
        """Raises `Unsupported` with Docker's words where the driver keeps nothing."""
        config = self._config
        discards = config.type == "syslog" and logs.boolean(config.config.get("cache-disabled", "false"))
        if config.type == "none" or discards:
            raise logs.not_readable()

    async def read(self, query: LogQuery) -> AsyncGenerator[logs.Record, None]:
        """Lines, oldest first; with `query.follow` until the container ends. Raises `Unsupported` where nothing is kept."""
        await self._whole.wait()
        if self._log is not None:
            source = self._log.read(query)
        else:
            source = logs.read_stored(self._config.type, self._config.config, self._info(), query)
        async with aclosing(source) as records:
            async for record in records:
                yield record

    def ending(self) -> None:
        """The process has ended, and its log is about to: whoever reads from now on waits for `ended` or `discard`."""
        self._whole.clear()

    async def ended(self) -> None:
        """Deliver the rest; followers end."""
        try:
            if self._log is not None:
                await self._log.end()
                self._log = None
        finally:
            self._whole.set()

    async def discard(self) -> None:
        """The container goes, and its log with it: only who follows still gets the rest."""
        try:
            if self._log is not None and self._log.followed:
                await self._log.end()
        finally:
            await self.close()

    async def close(self) -> None:
        """The daemon ends, the container goes on."""
        log, self._log = self._log, None
        self._whole.set()
        if log is not None:
            await log.aclose()

    @property
    def _config(self) -> LogConfig:
        return self._record.spec.host.log_config

    def _info(self) -> LogInfo:
        spec = self._record.spec
        command = [*(spec.config.entrypoint or []), *(spec.config.cmd or [])]
        return LogInfo(
            container_id=self._record.id,
            name=self._record.name,
            folder=str(self._parts.paths.home(self._record.id)),
            image_id=spec.image_id,
            image_name=spec.config.image,
            command=" ".join(command),
            labels=spec.config.labels,
            env=spec.config.env or (),
        )
