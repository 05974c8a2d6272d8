"""What a build has made, before it is written down in any form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dockwright.build.cache.records import Tree
from dockwright.errors import Invalid
from dockwright.oci import Digest, ImageConfig, Platform


@dataclass(frozen=True)
class Attestation:
    """Something said of one platform's files. `predicate` is JSON; `file` its name where files are given instead of images.

    One that is `inline_only` goes along where an index is made anyway, and makes none.
    """

    predicate_type: str
    predicate: bytes
    file: str
    inline_only: bool = False


@dataclass(frozen=True)
class Part:
    """The result for one platform. `cache` is the inline build cache to put into the configuration, JSON, empty for none."""

    platform: Platform
    tree: Tree
    config: ImageConfig
    attestations: tuple[Attestation, ...] = ()
    cache: bytes = b""

    @property
    def folder(self) -> str:
        """The directory for it where several platforms' files are given."""
        return str(self.platform).replace("/", "_")


@dataclass(frozen=True)
class Result:
    """All of it. `several` when an index was asked for, also for one platform; `time_ns` is what times were clamped to."""

    parts: tuple[Part, ...]
    several: bool
    time_ns: int | None

    def check_alone(self) -> None:
        """Raises `Invalid` when there is more than one part."""
        if len(self.parts) > 1:
            raise Invalid("the build has several platforms, which this output cannot hold")


@dataclass(frozen=True)
class Exported:
    """What an exporter has done. `image_id` is the image's, where one was made; `response` are BuildKit's keys.

    `attestations` are what is said of each platform's files: of the build, not of any output.
    """

    image_id: Digest | None = None
    names: tuple[str, ...] = ()
    response: Mapping[str, str] = field(default_factory=dict)
    attestations: tuple[tuple[Platform, Attestation], ...] = ()
