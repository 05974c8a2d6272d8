"""`RUN [--mount=...] [--network=...] [--security=...] COMMAND`: a command whose changes become a layer."""

from __future__ import annotations

import re
from dataclasses import dataclass

from dockwright.build.dockerfile.heredoc import Heredoc
from dockwright.build.dockerfile.instructions import mounts
from dockwright.build.dockerfile.instructions.base import Arguments, Command, Instruction, expands
from dockwright.build.dockerfile.words import Word
from dockwright.errors import Invalid

NETWORKS = ("default", "none", "host")
SECURITY = ("sandbox", "insecure")


@dataclass(frozen=True)
class Device:
    """A CDI device (`vendor.com/class=name`), which the command may do without unless it is `required`."""

    name: str
    required: bool


@dataclass(frozen=True, kw_only=True)
class Run(Instruction):
    """`mounts` are the flags' values, to be expanded and then parsed by `instructions.mounts`."""

    command: Command
    mounts: tuple[str, ...] = expands(default=())
    devices: tuple[Device, ...] = ()
    network: str = "default"
    security: str = "sandbox"
    heredocs: tuple[Heredoc, ...] = ()

    @property
    def is_document(self) -> bool:
        """Whether a here-document is the whole command."""
        if not self.heredocs or not self.command.shell:
            return False
        (text,) = self.command.arguments
        return re.fullmatch(r"\d*<<-?\S+", text.strip()) is not None


def parse(arguments: Arguments) -> Run:
    """See the module. Raises `DockerfileError`."""
    options = arguments.options(texts="network security", lists="mount device")
    command = arguments.command()
    if not command.arguments:
        raise arguments.error("RUN requires at least one argument")
    for mount in options.many("mount"):
        _check_mount(arguments, mount)
    return Run(
        line=arguments.line,
        command=command,
        mounts=tuple(mount.text for mount in options.many("mount")),
        devices=tuple(_device(arguments, word) for word in options.many("device")),
        network=_one_of(arguments, options.word("network"), "network mode", NETWORKS),
        security=_one_of(arguments, options.word("security"), "security mode", SECURITY),
        heredocs=arguments.line.heredocs,
    )


def _check_mount(arguments: Arguments, word: Word) -> None:
    try:
        mounts.check_unexpanded(word.text)
    except Invalid as error:
        raise arguments.error(str(error), word) from None


def _device(arguments: Arguments, word: Word) -> Device:
    name, required = "", False
    for part in word.text.split(","):
        key, equals, value = part.partition("=")
        if key.lower() == "required":
            if value.lower() not in ("", "true", "1", "false", "0"):
                raise arguments.error(f"invalid value for required: {value}", word)
            required = value.lower() in ("", "true", "1")
        elif name:
            raise arguments.error(f"device name already set to {name}", word)
        else:
            name = value if key.lower() == "name" and equals else part
    return Device(name, required)


def _one_of(arguments: Arguments, word: Word | None, what: str, allowed: tuple[str, ...]) -> str:
    if word is None:
        return allowed[0]
    if word.text not in allowed:
        raise arguments.error(f"invalid {what}: {word.text}", word, f"one of {', '.join(allowed)}")
    return word.text
