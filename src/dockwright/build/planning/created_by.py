"""What an image's history says of each instruction (`created_by`): BuildKit's words, which tools read and caches compare."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from dockwright.build.dockerfile.instructions.add import Add
from dockwright.build.dockerfile.instructions.arg import Arg
from dockwright.build.dockerfile.instructions.base import Instruction
from dockwright.build.dockerfile.instructions.copy import Copy
from dockwright.build.dockerfile.instructions.env import Env
from dockwright.build.dockerfile.instructions.healthcheck import Healthcheck
from dockwright.build.dockerfile.instructions.label import Label
from dockwright.build.dockerfile.instructions.maintainer import Maintainer
from dockwright.build.dockerfile.instructions.shell import Shell
from dockwright.build.dockerfile.instructions.stopsignal import StopSignal
from dockwright.build.dockerfile.instructions.user import User
from dockwright.build.dockerfile.instructions.volume import Volume
from dockwright.oci import History
from dockwright.oci import digest as digests

COMMENT = "dockwright.dockerfile.v1"
# What BuildKit puts behind instructions that made a layer.
_MADE = " # buildkit"


def of_run(arguments: Iterable[str], declared: Mapping[str, str]) -> str:
    """A command, with the build's arguments that it saw."""
    seen = [f"|{len(declared)}", *(f"{name}={value}" for name, value in declared.items())] if declared else []
    return f"RUN {' '.join([*seen, *arguments])}{_MADE}"


def of_files(one: Copy | Add) -> str:
    """COPY and ADD."""
    options = ["--parents"] if isinstance(one, Copy) and one.parents else []
    options += [f"--chown={one.chown}"] if one.chown else []
    options += [f"--chmod={one.chmod}"] if one.chmod else []
    documents = [f"<<{document.name}" for document in one.inline]
    return f"{' '.join([one.keyword, *options, *one.paths, *documents, one.destination])}{_MADE}"


def of_command(keyword: str, arguments: Iterable[str]) -> str:
    """CMD and ENTRYPOINT."""
    return f"{keyword} [{' '.join(msgspec.json.encode(one).decode() for one in arguments)}]"


def of_ports(ports: Iterable[str]) -> str:
    """EXPOSE."""
    return f"EXPOSE [{' '.join(ports)}]"


def of_others(one: Instruction) -> str | None:
    """What changes nothing but the configuration; None where the history says nothing of it."""
    match one:
        case Env() | Label():
            return f"{one.keyword} {_pairs(one.pairs)}"
        case Arg():
            return f"ARG {_pairs(one.pairs)}"
        case User():
            return f"USER {one.user}"
        case StopSignal():
            return f"STOPSIGNAL {one.signal}"
        case Maintainer():
            return f"MAINTAINER {one.name}"
        case Volume():
            return f"VOLUME [{' '.join(one.paths)}]"
        case Shell():
            return f"SHELL [{' '.join(one.arguments)}]"
        case Healthcheck():
            return _health(one)
    return None


def past(history: Iterable[History]) -> str:
    """A digest of what was done so far, in words. BuildKit signs some of them."""
    return digests.of(msgspec.json.encode([one.created_by.removesuffix(_MADE) for one in history]))


def _pairs(pairs: Iterable[tuple[str, str | None]]) -> str:
    return " ".join(name if value is None else f"{name}={value}" for name, value in pairs)


def _health(one: Healthcheck) -> str:
    times = {
        "Interval": one.interval_ns,
        "Timeout": one.timeout_ns,
        "StartPeriod": one.start_period_ns,
        "StartInterval": one.start_interval_ns,
    }
    told = " ".join(f"{name}:{_duration(value)}" for name, value in times.items())
    return f"HEALTHCHECK {{Test:[{' '.join(one.test)}] {told} Retries:{one.retries}}}"


def _duration(value_ns: int) -> str:
    """A time as Go has it: `1m30s`, `1.5s`, `500ms`, `0s`."""
    if value_ns == 0:
        return "0s"
    for unit, size in (("ns", 1), ("\u00b5s", 1_000), ("ms", 1_000_000)):
        if value_ns < size * 1000:
            return f"{value_ns / size:g}{unit}"
    seconds, rest_ns = divmod(value_ns, 1_000_000_000)
    hours, minutes = seconds // 3600, seconds // 60 % 60
    fraction = f"{rest_ns:09}".rstrip("0")
    told = f"{seconds % 60}{'.' * bool(fraction)}{fraction}s"
    if hours:
        return f"{hours}h{minutes}m{told}"
    return f"{minutes}m{told}" if minutes else told
