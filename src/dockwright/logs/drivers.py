"""The drivers by name: what `--log-driver` takes."""

from __future__ import annotations

from collections.abc import Mapping

from dockwright.errors import Invalid
from dockwright.logs import options as opts
from dockwright.logs import syslog
from dockwright.logs.files import FILE_OPTIONS, FileDriver, limits, open_cache, open_json_file, open_local
from dockwright.logs.journald import JournaldDriver
from dockwright.logs.plain import CachedDriver, NoneDriver
from dockwright.logs.record import LogDriver, LogInfo

DEFAULT_DRIVER = "json-file"
#: As `info` lists them.
DRIVERS = ("journald", "json-file", "local", "none", "syslog")


def check(driver: str, options: Mapping[str, str]) -> None:
    """Refuse, when a container is created, what its start would refuse. Raises `Invalid`, in Docker's words."""
    if driver not in DRIVERS:
        raise Invalid(f"logger: no log driver named '{driver}' is registered")
    if driver == "none":
        return  # Docker looks at no option of it
    opts.check_mode(options)
    opts.attributes(LogInfo("", "", ""), options)
    opts.tag(LogInfo("0" * 64, "", ""), options)
    if driver in ("json-file", "local"):
        opts.check_known(options, FILE_OPTIONS, driver)
        limits(options, compress=False)
        return
    opts.check_known(options, opts.CACHE | (syslog.SYSLOG_OPTIONS if driver == "syslog" else frozenset()), driver)
    limits(options, compress=False, prefix="cache-")
    opts.boolean(options.get("cache-disabled", "false"))
    if driver == "syslog":
        syslog.check_options(options)


def open_driver(name: str, options: Mapping[str, str], info: LogInfo) -> LogDriver:
    """A driver that is ready to write. Blocking. Raises `Invalid`, and `Unavailable` when a service does not answer."""
    check(name, options)
    if name == "none":
        return NoneDriver()
    if name == "journald":
        return JournaldDriver(info, options)
    if name != "syslog":
        return open_json_file(info, options) if name == "json-file" else open_local(info, options)
    sender = syslog.SyslogDriver(info, options)
    if opts.boolean(options.get("cache-disabled", "false")):
        return sender
    try:
        return CachedDriver(sender, open_cache(info, options))
    except BaseException:
        sender.close()
        raise


def open_stored(name: str, options: Mapping[str, str], info: LogInfo) -> FileDriver | None:
    """The files of a driver, to read what an ended container left; None where it leaves none. Blocking."""
    if name == "json-file":
        return open_json_file(info, options)
    if name == "local":
        return open_local(info, options)
    if name == "syslog" and not opts.boolean(options.get("cache-disabled", "false")):
        return open_cache(info, options)
    return None


def details(name: str, options: Mapping[str, str], info: LogInfo) -> dict[str, str]:
    """What `logs --details` shows with each line, of a container that runs or does not."""
    if name == "none":
        return {}
    return opts.attributes(info, options) if name == "journald" else opts.all_attributes(info, options)


def log_path(name: str, info: LogInfo) -> str:
    """`LogPath` of inspect: only json-file names one."""
    return f"{info.folder}/{info.container_id}-json.log" if name == "json-file" else ""
