"""What a build is made of: operations, each of which yields a tree of files, and the trees it needs first.

Vertices are equal only to themselves: a Dockerfile's instruction becomes one, and what shares it shares the object.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from dockwright.build.context import Context
from dockwright.build.dockerfile.heredoc import Heredoc
from dockwright.build.dockerfile.instructions.mounts import Mount
from dockwright.build.sources.gitref import GitRef
from dockwright.image import Image
from dockwright.oci import Platform, RunConfig


@dataclass(frozen=True, eq=False, kw_only=True)
class Vertex:
    """One operation. `title` is what people see (`[build 2/5] RUN make`); `lines` are where it stands in the Dockerfile."""

    title: str
    lines: tuple[int, int] = (0, 0)
    # The instruction as the Dockerfile has it; empty where it is none.
    written: str = ""
    # Its stage, and its place in it: what a build of the same Dockerfile later calls the same step.
    place: str = ""
    # The latest time of its files, where whoever builds says none: that of the stage's base image.
    latest_ns: int | None = None

    @property
    def inputs(self) -> tuple[Vertex, ...]:
        """What has to be there first."""
        return ()


@dataclass(frozen=True, eq=False, kw_only=True)
class Scratch(Vertex):
    """The empty tree."""

    title: str = "scratch"


@dataclass(frozen=True, eq=False, kw_only=True)
class Base(Vertex):
    """The files of an image, which the Dockerfile calls `reference`."""

    image: Image
    reference: str = ""


@dataclass(frozen=True, eq=False, kw_only=True)
class Local(Vertex):
    """A directory of this host, as it lies there: a named context."""

    context: Context


@dataclass(frozen=True, eq=False, kw_only=True)
class Repository(Vertex):
    """A tree of a git repository."""

    ref: GitRef


@dataclass(frozen=True, eq=False, kw_only=True)
class Download(Vertex):
    """A file at an http address; with `unpack`, what is in the archive that it is, or the file as `context`."""

    url: str
    checksum: str = ""
    unpack: bool = False


@dataclass(frozen=True)
class MountOf:
    """A mount of a RUN. `source` is the tree it shows; None for the build's context, or where none is needed."""

    mount: Mount
    source: Vertex | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class Execute(Vertex):
    """A command run on a tree. `script` is what the file that it runs holds; `unkeyed` variables no cache asks for."""

    base: Vertex
    arguments: tuple[str, ...]
    env: tuple[str, ...]
    working_dir: str
    user: str
    script: str = ""
    network: str = "default"
    # Empty for the usual one.
    hostname: str = ""
    security: str = "sandbox"
    mounts: tuple[MountOf, ...] = ()
    unkeyed: tuple[str, ...] = ()
    # What a container of the tree so far would be told: for a look at it when the command fails.
    config: RunConfig = field(default_factory=RunConfig)
    # What its programs are made for; None is this host.
    platform: Platform | None = None
    # A digest of the history up to this step: what images of other builders are compared by.
    past: str = ""

    @property
    def reads_more(self) -> bool:
        """Whether its result depends on more than its tree and what is said of it: other trees, the context."""
        return self.security != "sandbox" or any(one.mount.kind == "bind" or one.source for one in self.mounts)

    @property
    def inputs(self) -> tuple[Vertex, ...]:
        return (self.base, *(mount.source for mount in self.mounts if mount.source is not None))


@dataclass(frozen=True, eq=False, kw_only=True)
class Copy(Vertex):
    """Files put into a tree. `source` None is the build's context; `owner` and `mode` are as the Dockerfile has them.

    `remotes` come after the paths: whole repositories, and downloads, which `unpack_remote` unpacks where they are archives.
    """

    base: Vertex
    source: Vertex | None
    paths: tuple[str, ...]
    destination: str
    inline: tuple[Heredoc, ...] = ()
    owner: str = ""
    mode: str = ""
    exclude: tuple[str, ...] = ()
    parents: bool = False
    unpack: bool = False
    link: bool = False
    remotes: tuple[Vertex, ...] = ()
    unpack_remote: bool = False
    # A directory comes with its name, not its members alone; and what a link leads to comes, not the link.
    whole: bool = False
    follow: bool = True

    @property
    def inputs(self) -> tuple[Vertex, ...]:
        return (self.base, *self.remotes) if self.source is None else (self.base, self.source, *self.remotes)


@dataclass(frozen=True, eq=False, kw_only=True)
class Edit(Vertex):
    """One change to a tree: no Dockerfile has it, other languages do. `owner` is as in a Dockerfile."""

    base: Vertex
    path: str
    owner: str = ""

    @property
    def inputs(self) -> tuple[Vertex, ...]:
        return (self.base,)


@dataclass(frozen=True, eq=False, kw_only=True)
class WriteFile(Edit):
    """A file with this content, in a directory that is there."""

    content: bytes
    mode: int


@dataclass(frozen=True, eq=False, kw_only=True)
class NewDirectory(Edit):
    """A directory; with `parents` it may be there, and what leads to it is made too."""

    mode: int
    parents: bool = False


@dataclass(frozen=True, eq=False, kw_only=True)
class NewLink(Edit):
    """A symbolic link to `target`."""

    target: str


@dataclass(frozen=True, eq=False, kw_only=True)
class Remove(Edit):
    """Take away what is at the path, which with `wildcards` may be several places; with `missing_ok` it may be none."""

    missing_ok: bool = False
    wildcards: bool = False


@dataclass(frozen=True, eq=False, kw_only=True)
class Merge(Vertex):
    """Trees laid over each other, the first at the bottom: each brings its layers."""

    trees: tuple[Vertex, ...]

    @property
    def inputs(self) -> tuple[Vertex, ...]:
        return tuple(dict.fromkeys(self.trees))


@dataclass(frozen=True, eq=False, kw_only=True)
class Difference(Vertex):
    """What `upper`, which stands on `lower`, adds to it and takes away."""

    lower: Vertex
    upper: Vertex

    @property
    def inputs(self) -> tuple[Vertex, ...]:
        return tuple(dict.fromkeys((self.lower, self.upper)))


@dataclass(frozen=True, eq=False, kw_only=True)
class MakeDirectory(Vertex):
    """A directory, where it is not there yet."""

    base: Vertex
    path: str
    owner: str = ""

    @property
    def inputs(self) -> tuple[Vertex, ...]:
        return (self.base,)


def in_order(wanted: Sequence[Vertex]) -> list[Vertex]:
    """All that vertices need and themselves, each after what it needs."""
    found: dict[Vertex, None] = {}
    left = [(vertex, False) for vertex in reversed(wanted)]
    while left:
        one, inputs_done = left.pop()
        if one in found:
            continue
        if inputs_done:
            found[one] = None
        else:
            left.append((one, True))
            left += [(before, False) for before in reversed(one.inputs)]
    return list(found)
