"""What people see of a step: `[build 2/5] RUN make`. As BuildKit has it, for whoever reads logs of both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dockwright.build.dockerfile.expansion import BadExpansion, expand_shown
from dockwright.build.dockerfile.instructions.base import Instruction
from dockwright.build.dockerfile.instructions.run import Run
from dockwright.errors import Invalid
from dockwright.image import Image
from dockwright.oci import Platform, reference
from dockwright.oci import platform as platforms

# What is shown in place of a secret.
MASK = "****"


@dataclass
class Titles:
    """Counts the steps of a stage. `stage` is its name, empty where there is only one; `platform` is None where the build is
    for one platform alone."""

    total: int
    stage: str = ""
    platform: Platform | None = None
    _count: int = 0

    def next(self, text: str, variables: Mapping[str, str] | None = None) -> str:
        """The title of the next step."""
        self._count += 1
        platform = "" if self.platform is None else f"{_crossing(self.platform, variables or {})} "
        stage = f"{self.stage} " if self.stage else ""
        return f"[{platform}{stage}{self._count:>{len(str(self.total))}}/{self.total}] {text}"


def of_base(name: str, image: Image) -> str:
    """`FROM` with the image's full name and its digest, where it is a name at all."""
    try:
        found = reference.parse(name).tagged
    except Invalid:
        return f"FROM {name}"
    digest = "" if found.digest else f"@{image.id}"
    return f"FROM {found}{digest}"


def of_instruction(one: Instruction, variables: Mapping[str, str], escape: str, *, trigger: bool = False) -> str:
    """The instruction with its variables replaced. `trigger`: a base image asked for it."""
    shell = isinstance(one, Run) or bool(one.line.heredocs)
    try:
        text = expand_shown(one.line.text, variables, escape, shell=shell)
    except BadExpansion:
        text = one.line.text  # what a shell understands need not be what we do
    word, blank, rest = text.partition(" ")
    return f"{'ONBUILD ' * trigger}{word.upper()}{blank}{rest}{_document(one)}"


def _document(one: Instruction) -> str:
    """The first line of a here-document that is the whole command."""
    if not isinstance(one, Run) or not one.is_document:
        return ""
    first, *more = one.heredocs[0].content.strip().split("\n")
    return f" ({first}{'...' if more else ''})"


def _crossing(platform: Platform, variables: Mapping[str, str]) -> str:
    """The platform of a stage, and what its programs are told to make things for where that is another."""
    target = _target(platform, variables)
    if target is None or (target.os, target.architecture) == (platform.os, platform.architecture):
        return str(platform)
    if target.os == platform.os:
        return f"{platform}->{str(target).partition('/')[2]}"
    return f"{platform}->{target}"


def _target(platform: Platform, variables: Mapping[str, str]) -> Platform | None:
    if text := variables.get("TARGETPLATFORM"):
        try:
            return platforms.parse(text).normal
        except Invalid:
            pass
    names = ("TARGETARCH", "TARGETOS", "TARGETVARIANT")
    if not any(variables.get(name) for name in names):
        return None
    architecture, os, variant = (variables.get(name, "") for name in names)
    return Platform(architecture or platform.architecture, os or platform.os, variant=variant).normal
