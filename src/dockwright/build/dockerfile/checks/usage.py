"""Checks of single instructions: forms that surprise, and what should not be in an image."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from dockwright.build.dockerfile.checks.rule import Rule, keyword
from dockwright.build.dockerfile.instructions.arg import Arg
from dockwright.build.dockerfile.instructions.base import Command, Instruction
from dockwright.build.dockerfile.instructions.cmd import Cmd
from dockwright.build.dockerfile.instructions.entrypoint import Entrypoint
from dockwright.build.dockerfile.instructions.env import Env
from dockwright.build.dockerfile.instructions.expose import Expose
from dockwright.build.dockerfile.instructions.healthcheck import Healthcheck
from dockwright.build.dockerfile.instructions.label import Label
from dockwright.build.dockerfile.instructions.maintainer import Maintainer
from dockwright.build.dockerfile.instructions.shell import Shell
from dockwright.build.dockerfile.instructions.workdir import Workdir
from dockwright.build.dockerfile.lines import Line
from dockwright.build.dockerfile.stages import Dockerfile, Stage

_SECRET = re.compile(
    r"(?:^|_)(?:apikey|auth|credential|credentials|key|password|pword|passwd|secret|token)(?:_|$)", re.I
)
_HARMLESS = re.compile(r"(?:^|_)(?:public|file|version)(?:_|$)", re.I)
_PORT = re.compile(r"\d+(?:-\d+)?(?:/\w+)?")


def _all(dockerfile: Dockerfile) -> Iterator[Instruction]:
    yield from dockerfile.arguments
    for stage in dockerfile.stages:
        yield stage.base
        yield from stage.instructions


def no_empty_continuation(dockerfile: Dockerfile) -> Iterator[tuple[Line, str]]:
    """An empty line in the middle of an instruction will end it one day."""
    for one in _all(dockerfile):
        if one.line.empty_continuation:
            last = one.line.parts[-1][1]  # told of the line that it went on to
            yield replace(one.line, start=last, end=last), "Empty continuation line"


def json_args_recommended(dockerfile: Dockerfile) -> Iterator[tuple[Line, str]]:
    """A shell between the runtime and the program keeps signals from it, unless somebody wants that shell."""
    chosen: set[int] = set()  # stages that have a SHELL, their own or that of the stage below
    for stage in dockerfile.stages:
        base = dockerfile.stage(stage.base.image, stage.number)
        if base is not None and base.number in chosen:
            chosen.add(stage.number)
        for one in stage.instructions:
            if isinstance(one, Shell):
                chosen.add(stage.number)
            elif stage.number not in chosen and isinstance(one, Cmd | Entrypoint) and _is_text(one.command):
                why = "to prevent unintended behavior related to OS signals"
                yield one.line, f"JSON arguments recommended for {keyword(one.line)} {why}"


def _is_text(command: Command) -> bool:
    return command.shell and bool(command.arguments)


def maintainer_deprecated(dockerfile: Dockerfile) -> Iterator[tuple[Line, str]]:
    """A label says the same."""
    for one in _all(dockerfile):
        if isinstance(one, Maintainer):
            yield one.line, "Maintainer instruction is deprecated in favor of using label"


def workdir_relative_path(dockerfile: Dockerfile) -> Iterator[tuple[Line, str]]:
    """Relative to what the base image happens to have."""
    known: set[int] = set()  # stages that have a WORKDIR of their own
    for stage in dockerfile.stages:
        base = dockerfile.stage(stage.base.image, stage.number)
        if base is not None and base.number in known:
            known.add(stage.number)
        for one in stage.instructions:
            if isinstance(one, Workdir):
                if not one.path.startswith(("/", "$")) and stage.number not in known:
                    why = "can have unexpected results if the base image changes"
                    yield one.line, f'Relative workdir "{one.path}" {why}'
                known.add(stage.number)


def multiple_instructions(dockerfile: Dockerfile) -> Iterator[tuple[Line, str]]:
    """Of several, only the last counts."""
    for stage in dockerfile.stages:
        yield from _repeated(stage)


def _repeated(stage: Stage) -> Iterator[tuple[Line, str]]:
    last: dict[str, Line] = {}
    for one in stage.instructions:
        if isinstance(one, Cmd | Entrypoint | Healthcheck):
            if one.keyword in last:
                why = "should not be used in the same stage because only the last one will be used"
                yield last[one.keyword], f"Multiple {keyword(one.line)} instructions {why}"
            last[one.keyword] = one.line


def legacy_key_value(dockerfile: Dockerfile) -> Iterator[tuple[Line, str]]:
    """`ENV a b` cannot hold two, and hides a missing =."""
    for one in _all(dockerfile):
        if isinstance(one, Env | Label) and one.old_form:
            word = keyword(one.line)
            message = f'"{word} key=value" should be used instead of legacy "{word} key value" format'
            yield one.line, message


def secrets_in_arg_or_env(dockerfile: Dockerfile) -> Iterator[tuple[Line, str]]:
    """Both stay in the image for everybody to read."""
    for one in _all(dockerfile):
        if isinstance(one, Arg | Env):
            for name, _ in one.pairs:
                if _SECRET.search(name) and not _HARMLESS.search(name):
                    what = f'({one.keyword} "{name}")'
                    yield one.line, f"Do not use ARG or ENV instructions for sensitive data {what}"


def expose_invalid_format(dockerfile: Dockerfile) -> Iterator[tuple[Line, str]]:
    """EXPOSE knows nothing of the host's ports."""
    for one in _all(dockerfile):
        if isinstance(one, Expose):
            for port in one.ports:
                if "$" not in port and ":" in port and not _PORT.fullmatch(port):
                    why = f"should not define an IP address or host-port mapping, found '{port}'"
                    yield one.line, f"EXPOSE instruction {why}"


RULES = (
    Rule(
        "NoEmptyContinuation",
        "Empty continuation lines will become errors in a future release",
        no_empty_continuation,
    ),
    Rule(
        "JSONArgsRecommended",
        "JSON arguments recommended for ENTRYPOINT/CMD to prevent unintended behavior related to OS signals",
        json_args_recommended,
    ),
    Rule(
        "MaintainerDeprecated",
        "The MAINTAINER instruction is deprecated, use a label instead to define an image author",
        maintainer_deprecated,
    ),
    Rule(
        "WorkdirRelativePath",
        "Relative workdir without an absolute workdir declared within the build can have unexpected results if the base "
        "image changes",
        workdir_relative_path,
    ),
    Rule(
        "MultipleInstructionsDisallowed",
        "Multiple instructions of the same type should not be used in the same stage",
        multiple_instructions,
    ),
    Rule(
        "LegacyKeyValueFormat",
        "Legacy key/value format with whitespace separator should not be used",
        legacy_key_value,
    ),
    Rule(
        "SecretsUsedInArgOrEnv",
        "Sensitive data should not be used in the ARG or ENV commands",
        secrets_in_arg_or_env,
    ),
    Rule(
        "ExposeInvalidFormat",
        "IP address and host-port mapping should not be used in EXPOSE instruction. This will become an error in a future "
        "release",
        expose_invalid_format,
    ),
)
