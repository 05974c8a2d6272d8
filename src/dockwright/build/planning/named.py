"""Named contexts: what the names in FROM and --from mean in place of stages and images.

    a directory                     Context
    docker-image://NAME             an image; docker-image://scratch is nothing
    oci-layout://DIRECTORY[:TAG]    an image of an OCI layout on this host
    target:NAME                     a stage of the same Dockerfile
    a repository                    as `sources.gitref` reads it
    http(s)://...                   what is in the archive there, or the file there as `context`

A name is looked for with the platform (`base::linux/arm64`) and without; `alpine:latest` is `alpine`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dockwright.build.context import Context
from dockwright.build.planning.graph import Download, Local, Repository, Vertex
from dockwright.build.sources import gitref, layouts
from dockwright.build.sources.downloads import checked_address, is_url
from dockwright.build.sources.gitref import redacted
from dockwright.errors import Invalid
from dockwright.oci import Platform, reference

IMAGE, LAYOUT, STAGE = "docker-image://", layouts.SCHEME, "target:"


@dataclass(frozen=True)
class Named:
    """The contexts of one build. `files` takes file:// for the address of a repository."""

    contexts: Mapping[str, Context | str] = field(default_factory=dict)
    files: bool = False

    def find(self, name: str, platform: Platform) -> Context | str | None:
        """What `name` was given to mean, if anything."""
        if not self.contexts:
            return None
        known = {_plain(one): found for one, found in self.contexts.items()}
        plain = _plain(name)
        return known.get(f"{plain}::{platform}", known.get(plain))

    def source(self, name: str, given: Context | str, lines: tuple[int, int]) -> Vertex:
        """The files of a context that is neither image nor stage. Raises `Invalid`."""
        title = f"[context {name}]"
        if isinstance(given, Context):
            return Local(title=f"{title} load from client", context=given, lines=lines)
        ref = gitref.parse(given, context=True, files=self.files)
        if ref is not None:
            return Repository(title=f"{title} {ref.shown}", ref=ref, lines=lines)
        if is_url(given):
            return Download(title=f"{title} {redacted(given)}", url=checked_address(given), unpack=True, lines=lines)
        raise Invalid(f"unsupported context source {given.partition(':')[0]} for {name}")


def _plain(name: str) -> str:
    """A name as it is compared: that of an image in its short form, without `latest`."""
    head, double, platform = name.partition("::")
    try:
        head = reference.parse(head).familiar.removesuffix(":latest")
    except Invalid:
        head = head.lower()
    return head + double + platform
