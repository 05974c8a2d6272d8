"""What each instruction does to its stage: to the files (a vertex) or to what the image says (its configuration)."""

from __future__ import annotations

import posixpath
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import msgspec

from dockwright.build.dockerfile import Stage
from dockwright.build.dockerfile.heredoc import Heredoc
from dockwright.build.dockerfile.instructions import mounts
from dockwright.build.dockerfile.instructions.add import Add
from dockwright.build.dockerfile.instructions.arg import Arg
from dockwright.build.dockerfile.instructions.base import Command, Instruction
from dockwright.build.dockerfile.instructions.cmd import Cmd
from dockwright.build.dockerfile.instructions.copy import Copy as CopyInstruction
from dockwright.build.dockerfile.instructions.entrypoint import Entrypoint
from dockwright.build.dockerfile.instructions.env import Env
from dockwright.build.dockerfile.instructions.expose import Expose
from dockwright.build.dockerfile.instructions.healthcheck import Healthcheck
from dockwright.build.dockerfile.instructions.label import Label
from dockwright.build.dockerfile.instructions.maintainer import Maintainer
from dockwright.build.dockerfile.instructions.onbuild import Onbuild
from dockwright.build.dockerfile.instructions.run import Run
from dockwright.build.dockerfile.instructions.shell import Shell
from dockwright.build.dockerfile.instructions.stopsignal import StopSignal
from dockwright.build.dockerfile.instructions.user import User
from dockwright.build.dockerfile.instructions.volume import Volume
from dockwright.build.dockerfile.instructions.workdir import Workdir
from dockwright.build.dockerfile.lines import Line
from dockwright.build.dockerfile.scope import PREDEFINED, Scope, expand_document_at
from dockwright.build.lending.lender import DEFAULT_AGENT
from dockwright.build.planning import created_by, ports, remote, times, titles
from dockwright.build.planning.graph import Base, Copy, Execute, MakeDirectory, MountOf, Vertex
from dockwright.build.planning.titles import Titles
from dockwright.container.signals import parse_signal
from dockwright.errors import Invalid, Unsupported
from dockwright.image import Image
from dockwright.oci import Healthcheck as ImageHealthcheck
from dockwright.oci import History, Platform, RunConfig

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Arguments of the build that are about its steps: what their host is called, and whose cache mounts they have.
SANDBOX_HOSTNAME, CACHE_NAMESPACE = "BUILDKIT_SANDBOX_HOSTNAME", "BUILDKIT_CACHE_MOUNT_NS"
DEFAULT_SHELL = ("/bin/sh", "-c")
SCRIPTS = "/dev/pipes/"

FindSource = Callable[[str, Stage, Line], Awaitable[Vertex]]


@dataclass
class Made:
    """A stage as far as it is planned: its files, its configuration and its history."""

    vertex: Vertex
    config: RunConfig
    history: list[History]
    author: str
    image: Image | None
    scope: Scope
    own_command: bool = False
    platform: Platform | None = None


def changes_files(one: Instruction) -> bool:
    """Whether the instruction counts as a step: it makes a layer, but for a WORKDIR of the root."""
    return isinstance(one, Run | CopyInstruction | Add | Workdir)


@dataclass
class Effects:
    """The effects of one instruction. `find_source` finds what `--from` names; `network` is the build's default mode."""

    stage: Stage
    made: Made
    titles: Titles
    find_source: FindSource
    network: str
    # A base image asked for it.
    trigger: bool = False
    # What later builds call the step, and whether repositories may lie on this host.
    place: str = ""
    files: bool = False
    lines: tuple[int, int] = (0, 0)

    async def apply(self, raw: Instruction) -> None:
        """Change `made` as the instruction says. Raises `DockerfileError`."""
        one = self.made.scope.see(raw)
        self.lines = (raw.line.start, raw.line.end)
        match one:
            case Run():
                await self._run(one)
            case CopyInstruction():
                await self._copy(one)
            case Add():
                self._add(one)
            case Workdir():
                self._workdir(one)
            case _:
                self._configure(one)
                if (text := created_by.of_others(one)) is not None:
                    self._tell(text, empty=True)

    def _tell(self, text: str, *, empty: bool) -> None:
        self.made.history.append(History(created_by=text, empty_layer=empty, comment=created_by.COMMENT))

    def _title(self, one: Instruction, secrets: frozenset[str] = frozenset()) -> str:
        """What people see of the step; `secrets` are variables that nobody may."""
        variables = self.made.scope.variables | dict.fromkeys(secrets, titles.MASK)
        text = titles.of_instruction(one, variables, self.made.scope.escape, trigger=self.trigger)
        return self.titles.next(text, variables)

    def _set(self, **changes: object) -> None:
        self.made.config = msgspec.structs.replace(self.made.config, **changes)

    def _directory(self) -> str:
        return self.made.config.working_dir or "/"

    def _command(self, command: Command) -> tuple[str, ...]:
        if not command.shell or not command.arguments:
            return command.arguments
        return (*(self.made.config.shell or DEFAULT_SHELL), *command.arguments)

    async def _run(self, one: Run) -> None:
        made = self.made
        if needed := [device.name for device in one.devices if device.required]:
            raise one.line.error(f"device {needed[0]} is required, and builds of this engine have no devices")
        arguments, script = self._command(one.command), ""
        if one.heredocs and one.command.shell:
            arguments, script = _with_heredocs(one, made.config.shell or DEFAULT_SHELL)
        variables = made.scope.variables
        env = {"PATH": DEFAULT_PATH, **variables}
        declared = {name: variables.get(name, "") for name in made.scope.args}
        self._tell(created_by.of_run(arguments, declared), empty=False)
        mounted = tuple([await self._mount(text, number, one) for number, text in enumerate(one.mounts)])
        made.vertex = Execute(
            title=self._title(one, frozenset(each.mount.env for each in mounted if each.mount.env)),
            lines=self.lines,
            written=one.line.text,
            place=self.place,
            latest_ns=times.of_image(self.made.image),
            base=made.vertex,
            arguments=arguments,
            env=tuple(f"{name}={value}" for name, value in env.items() if name not in PREDEFINED),
            unkeyed=tuple(f"{name}={value}" for name, value in env.items() if name in PREDEFINED),
            working_dir=self._directory(),
            user=made.config.user,
            script=script,
            network=one.network if one.network != "default" else self.network,
            hostname=made.scope.given.get(SANDBOX_HOSTNAME, ""),
            security=one.security,
            config=made.config,
            mounts=mounted,
            platform=made.platform,
            past=created_by.past(made.history),
        )

    async def _mount(self, text: str, number: int, one: Run) -> MountOf:
        try:
            mount = mounts.parse(text)
        except Invalid as error:
            raise one.line.error(str(error)) from None
        mount = _named(mount, number, self.made.scope.given.get(CACHE_NAMESPACE, ""))
        if mount.target or mount.kind in ("bind", "cache", "tmpfs"):
            target = posixpath.normpath(posixpath.join("/", self._directory(), mount.target))
            mount = replace(mount, target=target.replace("//", "/"))
            if mount.target == "/":
                raise one.line.error('invalid mount target "/"', hint="name another with target=, or set a WORKDIR")
        if mount.from_:
            return MountOf(mount, await self.find_source(mount.from_, self.stage, one.line))
        return MountOf(mount)

    async def _copy(self, one: CopyInstruction) -> None:
        for path in one.paths:
            if remote.is_remote(path, files=self.files):
                raise one.line.error(f"source can't be a URL or a git ref for COPY: {path}", hint="use ADD")
        if "$" in one.from_:
            why = "define a new stage with FROM using ARG from global scope as a workaround"
            raise one.line.error(f"variable expansion is not supported for --from, {why}")
        source = await self.find_source(one.from_, self.stage, one.line) if one.from_ else None
        self._place(one, one.paths, source=source, parents=one.parents)

    def _add(self, one: Add) -> None:
        found = remote.vertices(one, files=self.files)
        local = tuple(path for path in one.paths if path not in found)
        self._place(
            one, local, unpack=one.unpack is not False, remotes=tuple(found.values()), unpack_remote=bool(one.unpack)
        )

    def _place(
        self,
        one: CopyInstruction | Add,
        paths: tuple[str, ...],
        *,
        source: Vertex | None = None,
        parents: bool = False,
        unpack: bool = False,
        remotes: tuple[Vertex, ...] = (),
        unpack_remote: bool = False,
    ) -> None:
        """The files of a COPY or ADD: `paths` of `source`, which is the context when it is None, and `remotes`."""
        self.made.vertex = Copy(
            title=self._title(one),
            lines=self.lines,
            written=one.line.text,
            place=self.place,
            latest_ns=_linked_ns(source) if one.link else times.of_image(self.made.image),
            base=self.made.vertex,
            source=source,
            paths=paths,
            destination=self._absolute(one.destination),
            inline=tuple(_filled(document, self.made.scope, one.line) for document in one.inline),
            owner=one.chown,
            mode=one.chmod,
            exclude=one.exclude,
            parents=parents,
            unpack=unpack,
            link=one.link,
            remotes=remotes,
            unpack_remote=unpack_remote,
        )
        self._tell(created_by.of_files(one), empty=False)

    def _absolute(self, path: str) -> str:
        joined = posixpath.join(self._directory(), path)
        slash = "/" if path.endswith(("/", "/.")) or path in ("", ".", "..") else ""
        return posixpath.normpath("/" + joined).replace("//", "/").rstrip("/") + slash or "/"

    def _workdir(self, one: Workdir) -> None:
        path = posixpath.normpath(posixpath.join(self._directory(), one.path)).replace("//", "/")
        self._set(working_dir=path)
        if path != "/":
            self.made.vertex = MakeDirectory(
                title=self._title(one),
                lines=self.lines,
                written=one.line.text,
                place=self.place,
                latest_ns=times.of_image(self.made.image),
                base=self.made.vertex,
                path=path,
                owner=self.made.config.user,
            )
        self._tell(f"WORKDIR {path}", empty=path == "/")

    def _configure(self, one: Instruction) -> None:
        config = self.made.config
        match one:
            case Arg():
                pass
            case Env():
                self._set(env=tuple(f"{name}={value}" for name, value in self.made.scope.env.items()))
            case Label():
                self._set(labels={**(config.labels or {}), **dict(one.pairs)})
            case Expose():
                found = ports.exposed(one)
                opened: dict[str, dict[str, object]] = {port: {} for port in found}
                self._set(exposed_ports={**(config.exposed_ports or {}), **opened})
                self._tell(created_by.of_ports(found), empty=True)
            case Volume():
                self._set(volumes={**(config.volumes or {}), **{path: {} for path in one.paths}})
            case User():
                self._set(user=one.user)
            case StopSignal():
                self._set(stop_signal=_signal(one))
            case Shell():
                self._set(shell=one.arguments)
            case Maintainer():
                self.made.author = one.name
            case Onbuild():
                self._set(on_build=(*(config.on_build or ()), one.expression))
            case Cmd():
                command = self._command(one.command)
                self._set(cmd=command or None, args_escaped=True)
                self.made.own_command = True
                self._tell(created_by.of_command("CMD", command), empty=True)
            case Entrypoint():  # which takes away the base image's CMD, and not the stage's own
                kept = config.cmd if self.made.own_command else None
                command = self._command(one.command)
                self._set(entrypoint=command or None, cmd=kept)
                self._tell(created_by.of_command("ENTRYPOINT", command), empty=True)
            case Healthcheck():
                self._set(healthcheck=_health(one))
            case _:
                raise Unsupported(f"{one.keyword} is not supported by this release")


def _linked_ns(source: Vertex | None) -> int:
    """The latest time of files that are linked: that of where they come from, for it must not depend on the base."""
    if isinstance(source, Base):
        return times.of_image(source.image)
    if source is None or source.latest_ns is None:
        return times.FIRST_NS
    return source.latest_ns


def _named(mount: mounts.Mount, number: int, namespace: str) -> mounts.Mount:
    """A mount with the ID and the place that it has when it names none; caches of another `namespace` are others."""
    if mount.kind == "secret":
        id = mount.source or mount.id or posixpath.basename(mount.target) or mount.env
        target = mount.target or ("" if mount.env else f"/run/secrets/{posixpath.basename(id)}")
        return replace(mount, id=id, source="", target=target)
    if mount.kind == "cache":
        name = mount.id or posixpath.normpath(mount.target)
        return replace(mount, id=f"{namespace}/{name}" if namespace else name)
    if mount.kind == "ssh":
        return replace(mount, id=mount.id or DEFAULT_AGENT, target=mount.target or f"/run/buildkit/ssh_agent.{number}")
    return mount


def _with_heredocs(one: Run, shell: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
    """The arguments of a RUN with here-documents, and the text of the file /dev/pipes/NAME where one is executed.

    A document alone on the line is a script: for the shell, or with a `#!` for what that names. Else the shell reads them.
    """
    (text,) = one.command.arguments
    first = one.heredocs[0]
    if one.is_document:
        if first.content.startswith("#!"):
            return (SCRIPTS + first.name,), first.content
        return (*shell, first.content), ""
    bodies = "".join(f"\n{document.content}{document.name}" for document in one.heredocs)
    return (*shell, text + bodies), ""


def _filled(document: Heredoc, scope: Scope, line: Line) -> Heredoc:
    if not document.expand:
        return document
    return replace(document, content=expand_document_at(document.content, scope.variables, scope.escape, line))


def _signal(one: StopSignal) -> str:
    try:
        parse_signal(one.signal)
    except Invalid as error:
        raise one.line.error(str(error)) from None
    return one.signal


def _health(one: Healthcheck) -> ImageHealthcheck:
    return ImageHealthcheck(
        one.test, one.interval_ns, one.timeout_ns, one.start_period_ns, one.start_interval_ns, one.retries
    )
