"""Which variables an instruction sees: arguments of the build, ARG, ENV and what the base image brings.

Dockerfile reference, "ARG", "Scope", "Using ARG variables", "Predefined ARGs", "Automatic platform ARGs in the global scope".
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field

from dockwright.build.dockerfile.errors import DockerfileError
from dockwright.build.dockerfile.expansion import BadExpansion, Expanded, expand, expand_document
from dockwright.build.dockerfile.instructions.arg import Arg
from dockwright.build.dockerfile.instructions.base import Instruction
from dockwright.build.dockerfile.instructions.env import Env
from dockwright.build.dockerfile.instructions.expose import Expose
from dockwright.build.dockerfile.lines import Line
from dockwright.oci import Platform

# Usable without an ARG, and no part of what a cached step depends on.
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")
PREDEFINED = (*_PROXIES, *(name.lower() for name in _PROXIES))

# Arguments that ask a scanner to look into a stage, and into the context, beside the result: no variables of a step.
SCAN_STAGE, SCAN_CONTEXT = "BUILDKIT_SBOM_SCAN_STAGE", "BUILDKIT_SBOM_SCAN_CONTEXT"
NOT_SET = (SCAN_STAGE, SCAN_CONTEXT)


@dataclass(frozen=True)
class Unset:
    """An instruction used a variable that nobody set; `near` is one that was set and is spelled like it."""

    line: Line
    name: str
    near: str = ""


@dataclass
class Scope:
    """Variables at one place of a stage. `see` each instruction in its order; `expanded` gives it with its variables replaced.

    `given` are the arguments of the build (`--build-arg`), `global_` the ARGs before the first FROM and the platform ones,
    `env` the base image's environment.
    """

    escape: str
    given: Mapping[str, str]
    global_: Mapping[str, str]
    env: dict[str, str] = field(default_factory=dict)
    args: dict[str, str | None] = field(default_factory=dict)
    unset: list[Unset] = field(default_factory=list)
    # Arguments that were declared after an ENV of the same name, or a base image's.
    _later: dict[str, str] = field(default_factory=dict)

    @property
    def variables(self) -> dict[str, str]:
        """What is visible here: of an ARG and an ENV of one name, the one that came last.

        The reference lets ENV win always; BuildKit does not, and Dockerfiles are written against what it does.
        """
        predefined = {name: self.given[name] for name in PREDEFINED if name in self.given}
        return {**predefined, **self.env, **self._later}

    def inherited(self) -> Scope:
        """That of a stage on top of the one that ends here: it has its variables and its arguments."""
        return Scope(self.escape, self.given, self.global_, dict(self.env), dict(self.args), [], dict(self._later))

    def see(self, instruction: Instruction) -> Instruction:
        """`instruction` with its variables replaced; what ARG and ENV set is visible from the next one on.

        Raises `DockerfileError` for a variable that cannot be expanded or is required and not set.
        """
        if isinstance(instruction, Arg):
            return self._declare(instruction)
        before = self.variables
        found = instruction.expanded(lambda text: self._text(text, before, instruction.line))
        if isinstance(found, Env):
            self.env.update(found.pairs)
            for name, _ in found.pairs:
                self._later.pop(name, None)
        if isinstance(found, Expose):  # one variable may hold several ports
            ports = tuple(port for text in found.ports for port in text.split())
            return Expose(line=found.line, ports=ports)
        return found

    def _declare(self, instruction: Arg) -> Arg:
        pairs: list[tuple[str, str | None]] = []
        for name, default in instruction.pairs:
            value = None if default is None else self._text(default, self.variables, instruction.line)
            if name in self.given:
                value = self.given[name]
            elif default is None:
                value = self.global_.get(name)
            self.args[name] = value
            if value is not None and name not in NOT_SET:
                self._later[name] = value
            pairs.append((name, value))
        return Arg(line=instruction.line, pairs=tuple(pairs))

    def _text(self, text: str, variables: Mapping[str, str], line: Line) -> str:
        found = expand_at(text, variables, self.escape, line)
        for name in sorted(found.unset - self.args.keys()):
            near = difflib.get_close_matches(name, variables, 1, 0.75)
            self.unset.append(Unset(line, name, near[0] if near else ""))
        return found.text


def automatic(stage: str, target: Platform, host: Platform) -> dict[str, str]:
    """The arguments that a FROM sees without being told: the platform ones, and the target stage's name."""
    found = {"TARGETSTAGE": stage or "default"}
    for side, platform in (("TARGET", target), ("BUILD", host)):
        found |= {
            f"{side}PLATFORM": str(platform),
            f"{side}OS": platform.os,
            f"{side}ARCH": platform.architecture,
            f"{side}VARIANT": platform.variant,
        }
    return found


def expand_at(text: str, variables: Mapping[str, str], escape: str, line: Line) -> Expanded:
    """`expansion.expand`, its errors told at `line`. Raises `DockerfileError`."""
    try:
        return expand(text, variables, escape)
    except BadExpansion as error:
        raise _at(line, text, error) from None


def expand_document_at(text: str, variables: Mapping[str, str], escape: str, line: Line) -> str:
    """A here-document with its variables replaced, quotes meaning nothing. Raises `DockerfileError`."""
    try:
        return expand_document(text, variables, escape)
    except BadExpansion as error:
        raise line.error(f"failed to process a here-document: {error}") from None


def _at(line: Line, text: str, error: BadExpansion) -> DockerfileError:
    begin = max(0, line.text.find(text))
    return line.error(f"failed to process {text!r}: {error}", begin + min(error.offset, max(0, len(text) - 1)), 1)


def global_scope(
    arguments: list[Arg], given: Mapping[str, str], platform: Mapping[str, str], escape: str
) -> tuple[dict[str, str], set[str]]:
    """What FROM lines see: the ARGs before the first FROM and the platform ones; and the names declared without a value.

    Raises `DockerfileError`.
    """
    found: dict[str, str] = {name: given.get(name, value) for name, value in platform.items()}
    empty: set[str] = set()
    for argument in arguments:
        for name, default in argument.pairs:
            if name in given:
                found[name] = given[name]
            elif default is not None:
                found[name] = expand_at(default, found, escape, argument.line).text
            elif name not in found:
                empty.add(name)
    return found, empty - found.keys()
