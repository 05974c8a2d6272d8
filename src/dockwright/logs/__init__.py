"""Logs: from conmon's spool to a driver, and back to whoever asks.

    log        one container's log: open, start, read, end            record     records, queries, the seam
    spool, pump, watch   following the spool, surviving kill -9        drivers    the drivers by name
    files, rotating, codec   json-file and local                       journald, syslog, plain
    options    what --log-opt takes

What does not belong here: multiplexing and timestamps on the wire, attach, who starts conmon.
"""

from dockwright.logs.drivers import DEFAULT_DRIVER, DRIVERS, check, details, log_path
from dockwright.logs.log import Log, Logs, not_readable, read_stored
from dockwright.logs.options import boolean
from dockwright.logs.record import LogDriver, LogInfo, Query, Record

__all__ = [
    "DEFAULT_DRIVER",
    "DRIVERS",
    "Log",
    "LogDriver",
    "LogInfo",
    "Logs",
    "Query",
    "Record",
    "boolean",
    "check",
    "details",
    "log_path",
    "not_readable",
    "read_stored",
]
