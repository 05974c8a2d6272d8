"""What a build may give: an image in the store, an archive of one, its files. And every option that BuildKit has for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from dockwright.build.blobs import Writer
from dockwright.build.outputs.sink import Sink
from dockwright.oci import Platform

Kind = Literal["uncompressed", "gzip", "zstd"]
# Where an annotation goes: into the manifest, the index, or what describes one of them.
Place = Literal["manifest", "index", "manifest-descriptor", "index-descriptor"]


@dataclass(frozen=True)
class Compression:
    """How layers are sent. `kind` None leaves them as they are; `force` converts those that have another compression too."""

    kind: Kind | None = None
    level: int | None = None
    force: bool = False


@dataclass(frozen=True)
class Annotation:
    """One annotation; `platform` None means every one."""

    place: Place
    name: str
    value: str
    platform: Platform | None = None


@dataclass(frozen=True)
class Format:
    """How an image is written down. `oci` False gives Docker's media types; `artifact` attestations as OCI artifacts.

    `inline_attestations` makes an index for what else would only go into one that is made anyway.
    """

    compression: Compression = field(default_factory=Compression)
    annotations: tuple[Annotation, ...] = ()
    oci: bool = True
    artifact: bool = False
    inline_attestations: bool = False
    rewrite_times: bool = False
    time_s: int | None = None


@dataclass(frozen=True)
class ToStore:
    """An image in the store, named `names`, and with `push` in their registries too.

    `by_digest` pushes without a tag; `canonical` also names it `NAME@DIGEST`; `dangling` names an image `PREFIX@DIGEST`, with
    `dangling_only` only where it has no name else. `keep` False pushes alone: nothing keeps the image here.
    """

    names: tuple[str, ...] = ()
    push: bool = False
    by_digest: bool = False
    canonical: bool = False
    dangling: str = ""
    dangling_only: bool = False
    keep: bool = True
    form: Format = field(default_factory=Format)


@dataclass(frozen=True)
class ToArchive:
    """An image as an OCI layout (`oci`) or for `docker load` (`docker`, a layout too); without `tar` as a directory.

    `layout`, where there is one, takes that directory blob by blob instead of the sink, and writes its index by itself.
    """

    format: Literal["oci", "docker"]
    sink: Sink
    names: tuple[str, ...] = ()
    tar: bool = True
    form: Format = field(default_factory=Format)
    layout: Writer | None = None


@dataclass(frozen=True)
class ToDirectory:
    """The files of the result, as a `tar` or file by file.

    `split` puts each platform's into a directory of its own; None does so where there are several. `empty_first` removes what
    is at the place before, as far as that is the sink's to do.
    """

    sink: Sink
    tar: bool = False
    split: bool | None = None
    attestation_prefix: str = ""
    empty_first: bool = False
    time_s: int | None = None


Output = ToStore | ToArchive | ToDirectory
Attributes = Mapping[str, str]
