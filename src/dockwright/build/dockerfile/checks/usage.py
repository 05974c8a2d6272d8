"""Checks of single instructions: forms that surprise, and what should not be in an image."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from dockwright.build.dockerfile.checks.rule import Rule
from dockwright.build.dockerfile.instructions.arg import Arg
from dockwright.build.dockerfile.instructions.base import Instruction
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
_HARMLESS = re.compile(r"(?:^|_)public(?:_|$)", re.I)
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
            yield one.line, "empty continuation line"


def json_args_recommended(dockerfile: Dockerfile) -> Iterator[tuple[Line, str]]:
    """A shell between the runtime and the program keeps signals from it."""
    for stage in dockerfile.stages:
        shells = [number for number, one in enumerate(stage.instructions) if isinstance(one, Shell)]
        for number, one in enumerate(stage.instructions):
            chosen = any(before < number for before in shells)  # somebody wants this shell
            if isinstance(one, Cmd | Entrypoint) and one.command.shell and one.command.arguments and not chosen:
                yield one.line, f"JSON arguments recommended for {one.keyword}: a shell does not pass signals on"


def maintainer_deprecated(dockerfile: Dockerfile) -> Iterator[tuple[Line, str]]:
    """A label says the same."""
    for one in _all(dockerfile):
        if isinstance(one, Maintainer):
            yield one.line, "MAINTAINER is deprecated: use LABEL org.opencontainers.image.authors"


def workdir_relative_path(dockerfile: Dockerfile) -> Iterator[tuple[Line, str]]:
    """Relative to what the base image happens to have."""
    for stage in dockerfile.stages:
        absolute = dockerfile.stage(stage.base.image, stage.number) is not None  # that stage's own matter
        for one in stage.instructions:
            if isinstance(one, Workdir):
                if not one.path.startswith(("/", "$")) and not absolute:
                    yield one.line, f'relative workdir "{one.path}" depends on what the base image has'
                absolute = True


def multiple_instructions(dockerfile: Dockerfile) -> Iterator[tuple[Line, str]]:
    """Of several, only the last counts."""
    for stage in dockerfile.stages:
        yield from _repeated(stage)


def _repeated(stage: Stage) -> Iterator[tuple[Line, str]]:
    kinds = (Cmd, Entrypoint, Healthcheck)
    left = Counter(one.keyword for one in stage.instructions if isinstance(one, kinds))
    for one in stage.instructions:
        if isinstance(one, kinds):
            left[one.keyword] -= 1
            if left[one.keyword]:
                yield one.line, f"multiple {one.keyword} instructions in one stage: only the last one is used"


def legacy_key_value(dockerfile: Dockerfile) -> Iterator[tuple[Line, str]]:
    """`ENV a b` cannot hold two, and hides a missing =."""
    for one in _all(dockerfile):
        if isinstance(one, Env | Label) and one.old_form:
            yield one.line, f'"{one.keyword} key=value" should be used instead of the old "{one.keyword} key value"'


def secrets_in_arg_or_env(dockerfile: Dockerfile) -> Iterator[tuple[Line, str]]:
    """Both stay in the image for everybody to read."""
    for one in _all(dockerfile):
        if isinstance(one, Arg | Env):
            for name, _ in one.pairs:
                if _SECRET.search(name) and not _HARMLESS.search(name):
                    yield one.line, f'{one.keyword} "{name}" looks like a secret: use RUN --mount=type=secret'


def expose_invalid_format(dockerfile: Dockerfile) -> Iterator[tuple[Line, str]]:
    """EXPOSE knows nothing of the host's ports."""
    for one in _all(dockerfile):
        if isinstance(one, Expose):
            for port in one.ports:
                if "$" not in port and ":" in port and not _PORT.fullmatch(port):
                    yield one.line, f"EXPOSE should not define an IP address or host port, found '{port}'"


RULES = (
    Rule("NoEmptyContinuation", "no empty lines inside an instruction", no_empty_continuation),
    Rule("JSONArgsRecommended", "CMD and ENTRYPOINT have their JSON form", json_args_recommended),
    Rule("MaintainerDeprecated", "a label instead of MAINTAINER", maintainer_deprecated),
    Rule("WorkdirRelativePath", "the first WORKDIR is absolute", workdir_relative_path),
    Rule("MultipleInstructionsDisallowed", "one CMD, ENTRYPOINT and HEALTHCHECK a stage", multiple_instructions),
    Rule("LegacyKeyValueFormat", "ENV and LABEL with an equals sign", legacy_key_value),
    Rule("SecretsUsedInArgOrEnv", "no secrets in ARG and ENV", secrets_in_arg_or_env),
    Rule("ExposeInvalidFormat", "EXPOSE names ports of the container alone", expose_invalid_format),
)
