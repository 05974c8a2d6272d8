"""`--call=outline`: what a target can be given. Arguments, secrets and agents of it and of all stages that it needs."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from dockwright.build.describing.places import columns, described, of_line
from dockwright.build.dockerfile import Dockerfile, Stage
from dockwright.build.dockerfile.expansion import BadExpansion, expand
from dockwright.build.dockerfile.instructions import mounts
from dockwright.build.dockerfile.instructions.arg import Arg
from dockwright.build.dockerfile.instructions.copy import Copy
from dockwright.build.dockerfile.instructions.run import Run
from dockwright.build.dockerfile.lines import Line
from dockwright.build.dockerfile.scope import Scope, automatic, expand_at, global_scope
from dockwright.build.planning.plan import Options
from dockwright.errors import Invalid
from dockwright.oci import platform as platforms


@dataclass(frozen=True)
class Argument:
    """An ARG, and the names that its default is made of."""

    name: str
    value: str
    line: Line
    needs: frozenset[str] = frozenset()


@dataclass
class Outline:
    """What is asked for, each once, by name: arguments, and the lines of secrets and agents with whether they are required."""

    target: Stage
    arguments: dict[str, Argument] = field(default_factory=dict)
    secrets: dict[str, tuple[Line, bool]] = field(default_factory=dict)
    agents: dict[str, tuple[Line, bool]] = field(default_factory=dict)

    def as_json(self, source: str) -> dict[str, Any]:
        """In the form of the protocol. `source` is the Dockerfile in base64."""
        name = self.target.base.name
        arguments = sorted(self.arguments.values(), key=lambda one: one.line.start)
        found = {
            "name": name,
            "description": described(self.target.base.line, name),
            "args": [_without_empty(_argument(one)) for one in arguments],
            "secrets": _asked(self.secrets),
            "ssh": _asked(self.agents),
            "sources": [source],
        }
        return _without_empty(found)


def outline(dockerfile: Dockerfile, options: Options) -> Outline:
    """The outline of `options.target`. Raises `DockerfileError`, and `Invalid` for a target that is not there."""
    return _Outliner(dockerfile, options).run()


class _Outliner:
    def __init__(self, dockerfile: Dockerfile, options: Options) -> None:
        self._dockerfile, self._given = dockerfile, options.arguments
        self._target = dockerfile.target(options.target)
        host = platforms.host()
        known = automatic(self._target.base.name, options.platform or host, host)
        self._global, _ = global_scope(dockerfile.arguments, self._given, known, dockerfile.escape)
        self._arguments = _global_arguments(dockerfile, self._global)
        self._found = Outline(self._target)
        self._scopes: dict[int, Scope] = {}

    def run(self) -> Outline:
        self._stage(self._target)
        return self._found

    def _stage(self, stage: Stage) -> Scope:
        if stage.number in self._scopes:
            return self._scopes[stage.number]
        base = stage.base
        image = expand_at(base.image, self._global, self._dockerfile.escape, base.line)
        platform = expand_at(base.platform, self._global, self._dockerfile.escape, base.line)
        earlier = self._dockerfile.stage(image.text, stage.number)
        env = dict(self._stage(earlier).env) if earlier is not None else {}
        scope = self._scopes[stage.number] = Scope(self._dockerfile.escape, self._given, self._global, env)
        declared = dict(self._arguments)
        used = image.used | platform.used
        for one in stage.instructions:
            seen = scope.see(one)
            if isinstance(one, Arg) and isinstance(seen, Arg):
                declared |= self._declared(one, seen)
                used |= {name for name, _ in seen.pairs}
            for needed in self._stages_needed(stage, seen):
                self._stage(needed)
            if isinstance(seen, Run):
                self._mounts(seen)
        for name in _closure(used, declared):
            self._found.arguments.setdefault(name, declared[name])
        return scope

    def _declared(self, written: Arg, seen: Arg) -> dict[str, Argument]:
        """What a stage's ARG adds: not the global ones that it only takes over."""
        found = {}
        for (name, default), (_, value) in zip(written.pairs, seen.pairs, strict=True):
            if default is not None or name in self._given or name not in self._arguments:
                found[name] = Argument(name, value or "", written.line)
        return found

    def _stages_needed(self, stage: Stage, one: object) -> Iterator[Stage]:
        names = [one.from_] if isinstance(one, Copy) else []
        if isinstance(one, Run):
            names = [mount.from_ for mount in _parsed(one)]
        for name in filter(None, names):
            found = self._dockerfile.stage(name, stage.number)
            if found is not None:
                yield found

    def _mounts(self, run: Run) -> None:
        for mount in _parsed(run):
            if mount.kind == "secret":
                name = mount.id or mount.source or posixpath.basename(mount.target) or mount.env
                self._found.secrets.setdefault(name, (run.line, mount.required))
            elif mount.kind == "ssh":
                self._found.agents.setdefault(mount.id or "default", (run.line, mount.required))


def _global_arguments(dockerfile: Dockerfile, values: Mapping[str, str]) -> dict[str, Argument]:
    found = {}
    for one in dockerfile.arguments:
        for name, default in one.pairs:
            needs = frozenset[str]()
            if default is not None:
                try:
                    needs = frozenset(expand(default, values, dockerfile.escape).used)
                except BadExpansion:
                    pass  # the build's own error, or a value given in its stead
            found[name] = Argument(name, values.get(name, ""), one.line, needs - {name})
    return found


def _parsed(run: Run) -> list[mounts.Mount]:
    try:
        return [mounts.parse(text) for text in run.mounts]
    except Invalid as error:
        raise run.line.error(str(error)) from None


def _closure(names: set[str], declared: Mapping[str, Argument]) -> set[str]:
    found: set[str] = set()
    waiting = [name for name in names if name in declared]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += [other for other in declared[name].needs if other in declared]
    return found


def _argument(one: Argument) -> dict[str, Any]:
    about = described(one.line, one.name)
    return {"name": one.name, "description": about, "value": one.value, "location": of_line(one.line)}


def _asked(found: Mapping[str, tuple[Line, bool]]) -> list[dict[str, Any]]:
    ordered = sorted(found.items(), key=lambda item: item[1][0].start)
    return [
        _without_empty({"name": name, "required": required, "location": of_line(line)})
        for name, (line, required) in ordered
    ]


def _without_empty(found: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in found.items() if value}


def text(found: dict[str, Any]) -> str:
    """For people."""
    told = ""
    if found.get("name") or found.get("description"):
        rows = [["TARGET:", found.get("name", "(default)")]]
        if found.get("description"):
            rows.append(["DESCRIPTION:", found["description"]])
        told += columns(rows, 1) + "\n"
    if found.get("args"):
        arguments = [[one["name"], one.get("value", ""), one.get("description", "")] for one in found["args"]]
        told += columns([["BUILD ARG", "VALUE", "DESCRIPTION"], *arguments], 3) + "\n"
    for key in ("secrets", "ssh"):
        if found.get(key):
            asked = [[one["name"], "true" if one.get("required") else ""] for one in found[key]]
            told += columns([["SECRET" if key == "secrets" else "SSH", "REQUIRED"], *asked], 3) + "\n"
    return told
