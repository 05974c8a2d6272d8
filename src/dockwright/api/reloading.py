"""SIGHUP: daemon.json is read again, and what may change while the daemon runs changes."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dockwright import workers
from dockwright.api import flags
from dockwright.api.server import Daemon
from dockwright.errors import DockwrightError
from dockwright.settings import Settings

log = logging.getLogger("dockwrightd")

ToSettings = Callable[[dict[str, Any]], Settings]


class Configuration:
    """What flags and file say together, and how to read the file again."""

    def __init__(self, given: dict[str, Any]) -> None:
        """`given` are the flags of the command line. Raises `Invalid`."""
        self._given = given
        self._path = Path(given.get("config-file", flags.parse_default("config-file")))
        self.values = self._read()

    def _read(self) -> dict[str, Any]:
        return flags.merge(self._given, flags.load_file(self._path, must_exist="config-file" in self._given))

    async def reload(self, daemon: Daemon, to_settings: ToSettings) -> None:
        """Take over what changed in the file; a file that is wrong changes nothing and is told in the log."""
        try:
            wanted = await workers.quick(self._read)
            await workers.quick(to_settings, wanted)
            changed = {name for name, value in wanted.items() if value != self.values[name]}
            effective = self.values | {name: wanted[name] for name in changed & flags.RELOADED}
            await daemon.engine.reload(await workers.quick(to_settings, effective))
        except DockwrightError as error:
            log.error("the configuration stays as it was: %s", error)
            return
        for name in sorted(changed - flags.RELOADED):
            log.warning("%s: a new value of %s takes effect at the next start", self._path, name)
        self.values = effective
        daemon.debug = effective["debug"]
        logging.getLogger().setLevel(level(effective))
        log.info(
            "the configuration was read again: %s", ", ".join(sorted(changed & flags.RELOADED)) or "nothing changed"
        )
        await daemon.engine.events.publish("daemon", "reload", daemon.engine.id, **_attributes(effective))


LEVELS = {"debug": "DEBUG", "info": "INFO", "warn": "WARNING", "error": "ERROR", "fatal": "CRITICAL"}


def level(values: dict[str, Any]) -> str:
    """The level to log at."""
    return "DEBUG" if values["debug"] else LEVELS[values["log-level"]]


def _attributes(values: dict[str, Any]) -> dict[str, str]:
    """What dockerd's event tells."""
    return {
        "name": os.uname().nodename,
        "debug": str(values["debug"]).lower(),
        "default-runtime": values["default-runtime"] or "",
        "features": json.dumps(values["feature"]),
        "insecure-registries": json.dumps(values["insecure-registry"]),
        "labels": json.dumps(values["label"]),
        "live-restore": str(values["live-restore"]).lower(),
        "max-concurrent-downloads": str(values["max-concurrent-downloads"]),
        "max-concurrent-uploads": str(values["max-concurrent-uploads"]),
        "max-download-attempts": str(values["max-download-attempts"]),
        "registry-mirrors": json.dumps(values["registry-mirror"]),
        "runtimes": " ".join(values["add-runtime"]),
        "shutdown-timeout": str(values["shutdown-timeout"]),
    }
