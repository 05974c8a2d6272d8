"""`dockwrightd`: settings from flags and file, one engine, its sockets, and an orderly end."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import uvloop
from aiohttp import web

import dockwright
from dockwright import faults, workers
from dockwright.api import flags, footprint
from dockwright.api.builder_settings import builder_options
from dockwright.api.network_settings import network_options
from dockwright.api.registry_settings import features, registry_options, transfer_limits
from dockwright.api.reloading import LEVELS, Configuration, level
from dockwright.api.server import Daemon
from dockwright.api.sockets import Listener, listeners
from dockwright.container.config import LogConfig, Ulimit
from dockwright.container.logging import validate_log
from dockwright.container.parts import Defaults
from dockwright.engine import Engine
from dockwright.errors import DockwrightError, Invalid
from dockwright.image import Retention
from dockwright.settings import RuntimeEntry, Settings
from dockwright.units import natural, parse_duration
from dockwright.volume.plugins import DIRECTORIES

log = logging.getLogger("dockwrightd")


def main() -> None:
    """The console script. Ends with 1 and one line on stderr when it cannot start."""
    try:
        given = flags.parse(sys.argv[1:])
        if given.get("help"):
            print(flags.usage())
            return
        if given.get("version"):
            print(f"Dockwright version {dockwright.__version__}")
            return
        configuration = Configuration(given)
        values = configuration.values
        settings = to_settings(values)
        sockets = listeners(values)
        if values["validate"]:
            print("configuration OK")
            return
        _configure_logging(values)
        _raise_descriptor_limit()
        faults.arm_from_environment()
        footprint.bound_allocator()
        uvloop.run(_serve(settings, sockets, configuration))
    except DockwrightError as error:
        print(f"dockwrightd: {error}", file=sys.stderr)
        sys.exit(1)


async def _serve(settings: Settings, sockets: list[Listener], configuration: Configuration) -> None:
    values = configuration.values
    signals: asyncio.Queue[signal.Signals] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, signals.put_nowait, number)
    async with Engine.open(settings) as engine:
        daemon = Daemon(engine, debug=values["debug"])
        server = daemon.server()
        try:
            for listener in sockets:
                await listener.open(server)
            await workers.quick(_write_pidfile, values["pidfile"])
            for warning in engine.warnings:
                log.warning("%s", warning)
            log.info("Dockwright %s listens on %s", dockwright.__version__, ", ".join(map(str, sockets)))
            footprint.freeze_what_stays()
            while await signals.get() == signal.SIGHUP:
                await configuration.reload(daemon, to_settings)
            log.info("ending")
        finally:
            for listener in sockets:
                await listener.close()
            await _end_requests(server)
            await workers.quick(_remove_pidfile, values["pidfile"])


async def _end_requests(server: web.Server) -> None:
    await server.shutdown(timeout=2.0)


def to_settings(values: dict[str, Any]) -> Settings:
    """The engine's settings. Raises `Invalid` for values that do not parse or go together."""
    if values["storage-driver"] not in ("overlay2", "overlayfs"):
        raise Invalid(f"storage-driver {values['storage-driver']!r} is not supported: only overlayfs is")
    if values["log-level"] not in LEVELS:
        raise Invalid(f"invalid logging level: {values['log-level']}")
    features(values["feature"])
    return Settings(
        data_root=Path(values["data-root"]).absolute(),
        exec_root=Path(values["exec-root"]).absolute(),
        network=network_options(values),
        containers=_containers(values),
        runtimes={name: RuntimeEntry(Path(path)) for name, path in _pairs("add-runtime", values)},
        systemd_cgroup=_systemd(values["exec-opt"]),
        shutdown_timeout_s=values["shutdown-timeout"],
        live_restore=values["live-restore"],
        labels=values["label"],
        plugin_directories=tuple(map(Path, values["plugin-directory"])) or DIRECTORIES,
        expedite_starts=values["expedite-starts"],
        gc=_retention(values),
        builder=builder_options(values["builder"]),
        registry=registry_options(values),
        transfers=transfer_limits(values),
    )


def _containers(values: dict[str, Any]) -> Defaults:
    log_config = LogConfig(type=values["log-driver"], config=dict(_pairs("log-opt", values)))
    validate_log(log_config)
    return Defaults(
        runtime=values["default-runtime"] or "",
        cgroup_parent=values["cgroup-parent"],
        cgroupns_mode=_choice(values, "default-cgroupns-mode", ("host", "private")),
        ipc_mode=_choice(values, "default-ipc-mode", ("private", "shareable")),
        log=log_config,
        shm_size=_size("default-shm-size", values["default-shm-size"]),
        init=values["default-init"],
        init_path=values["init-path"] or "",
        ulimits=[_ulimit(text) for text in values["default-ulimit"]],
        no_new_privileges=values["no-new-privileges"],
        seccomp_profile=_seccomp(values["seccomp-profile"]),
        dns=values["dns"],
        dns_search=values["dns-search"],
        dns_options=values["dns-opt"],
        host_gateway_ips=values["host-gateway-ip"],
    )


def _retention(values: dict[str, Any]) -> Retention:
    found = Retention()
    for key, value in _pairs("gc", values):
        if key == "max-size":
            found = replace(found, max_size_bytes=_size("gc max-size", value))
        elif key == "keep-for":
            found = replace(found, keep_for_s=parse_duration(value) / 1e9)
        elif key == "drop-unpacked" and value in ("true", "false"):
            found = replace(found, drop_unpacked=value == "true")
        elif key == "drop-unpacked":
            raise Invalid(f"--gc: drop-unpacked={value}: true or false")
        else:
            raise Invalid(f"--gc: unknown option {key!r}: max-size, keep-for and drop-unpacked are known")
    if found.keep_for_s is not None and found.keep_for_s <= 0:
        raise Invalid("--gc: keep-for is to be more than nothing")
    return found


def _pairs(name: str, values: dict[str, Any]) -> list[tuple[str, str]]:
    found = []
    for text in values[name]:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise Invalid(f"--{name}: {text!r} is not of the form key=value")
        found.append((key, value))
    return found


def _choice(values: dict[str, Any], name: str, allowed: tuple[str, ...]) -> str:
    value = values[name] or ""
    if value and value not in allowed:
        raise Invalid(f"--{name}: {value!r} is none of {', '.join(allowed)}")
    return str(value)


def _systemd(options: list[str]) -> bool:
    driver = "cgroupfs"
    for option in options:
        key, _, driver = option.partition("=")
        if key != "native.cgroupdriver" or driver not in ("cgroupfs", "systemd"):
            raise Invalid(f"--exec-opt: unknown option {option!r}")
    if driver == "systemd" and not Path("/run/systemd/system").is_dir():
        raise Invalid("native.cgroupdriver=systemd needs a host that runs systemd")
    return driver == "systemd"


def _size(name: str, text: str) -> int:
    units = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
    number, unit = text.rstrip("bkmgtBKMGT"), text.lstrip("0123456789").lower().removesuffix("b")
    if natural(number) is None or unit not in units:
        raise Invalid(f"--{name}: invalid size {text!r}")
    return int(number) * units[unit]


def _ulimit(text: str) -> Ulimit:
    name, _, limits = text.partition("=")
    soft, _, hard = limits.partition(":")
    try:
        return Ulimit(name=name, soft=int(soft), hard=int(hard or soft))
    except ValueError:
        raise Invalid(f"--default-ulimit: {text!r} is not of the form NAME=SOFT[:HARD]") from None


def _seccomp(value: str | None) -> str:
    if not value or value == "builtin":
        return ""
    if value == "unconfined":
        return value
    try:
        return Path(value).read_text()
    except OSError as error:
        raise Invalid(f"--seccomp-profile: {value}: {error.strerror}") from error


def _configure_logging(values: dict[str, Any]) -> None:
    logging.basicConfig(
        level=level(values), format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr
    )
    # Calls that their callers give up are no news.
    for name in ("asyncio", "grpclib"):
        logging.getLogger(name).setLevel("WARNING")


def _raise_descriptor_limit() -> None:
    """As many descriptors as the hard limit allows: each container, client and published port holds some."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _write_pidfile(path: str) -> None:
    if path:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(str(os.getpid()))


def _remove_pidfile(path: str) -> None:
    if path:
        Path(path).unlink(missing_ok=True)
