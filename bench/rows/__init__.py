"""The rows in the order of the table. Memory first: an idle daemon is one that has done nothing yet."""

from __future__ import annotations

from bench.engines import DOCKER
from bench.row import Row
from bench.rows import (
    builds,
    commandline,
    copying,
    execs,
    images,
    listing,
    memory,
    names,
    networks,
    runs,
    starts,
    streams,
)

_ALL: tuple[Row, ...] = (
    *memory.ROWS,
    *runs.ROWS,
    *networks.ROWS,
    *names.ROWS,
    *execs.ROWS,
    *commandline.ROWS,
    *starts.ROWS,
    *streams.ROWS,
    *copying.ROWS,
    *images.ROWS,
    *builds.ROWS,
    *listing.ROWS,
    *memory.AFTERWARDS,
)
ROWS = tuple(row for row in _ALL if DOCKER or not row.needs_docker_cli)
