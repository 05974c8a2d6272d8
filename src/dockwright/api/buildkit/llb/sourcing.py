"""Sources: images, repositories, files at addresses, directories and layouts of the client."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from dockwright.build.lending.lender import DEFAULT_AGENT
from dockwright.build.planning.graph import Base, Copy, Download, Repository, Scratch, Vertex
from dockwright.build.sources import gitref
from dockwright.build.sources.downloads import checked_address, checked_checksum
from dockwright.build.sources.gitref import GitRef, redacted
from dockwright.errors import Invalid, Unsupported
from dockwright.image import Image
from dockwright.oci import Platform
from dockwright.oci import platform as platforms

Attributes = dict[str, str]
FindImage = Callable[[str, Platform, Attributes], Awaitable[Image]]
FindDirectory = Callable[[str, Attributes], Awaitable[Vertex]]

# Where secrets and agents are looked for anyway.
_GIT_DEFAULTS = {
    "git.authtokensecret": "GIT_AUTH_TOKEN",
    "git.authheadersecret": "GIT_AUTH_HEADER",
    "git.mountsshsock": DEFAULT_AGENT,
}


@dataclass(frozen=True)
class Sources:
    """Those of one build: how its images, and its client's directories and layouts, are found. `files` takes file:// for the
    address of a repository."""

    image: FindImage
    layout: FindImage
    local: FindDirectory
    files: bool = False

    async def vertex(self, identifier: str, given: Attributes, title: str, platform: Platform | None) -> Vertex:
        """The source that `identifier` names. Raises `Unsupported` for a scheme or an attribute that there is none."""
        scheme, separator, rest = identifier.partition("://")
        wanted = platform or platforms.host()
        attributes = dict(given)
        match scheme if separator else "":
            case "docker-image":
                found: Vertex = Base(
                    title=title or rest, image=await self.image(rest, wanted, attributes), reference=rest
                )
            case "oci-layout":
                image = await self.layout(identifier, wanted, attributes)
                found = Base(title=title or identifier, image=image, reference=rest)
            case "local":
                found = await self.local(rest, attributes)
            case "git":
                found = self._repository(rest, attributes, title)
            case "http" | "https":
                found = _download(identifier, attributes, title)
            case _:
                raise Unsupported(
                    f"source {identifier}: this scheme is not supported: there are "
                    "docker-image, git, http, https, local and oci-layout"
                )
        refuse(identifier, attributes)
        return found

    def _repository(self, rest: str, attributes: Attributes, title: str) -> Vertex:
        path, _, fragment = rest.partition("#")
        address = attributes.pop("git.fullurl", "") or f"https://{path}"
        base = gitref.parse(address, context=True, files=self.files)
        # A remote that a Dockerfile would not take for one (without .git, say) is one here all the same.
        remote = base.remote if base is not None else checked_address(address)
        ref, _, subdir = fragment.partition(":")
        keep = attributes.pop("git.keepgitdir", "") == "true"
        checksum = gitref.checked_commit(attributes.pop("git.checksum", ""))
        skip = attributes.pop("git.skipsubmodules", "") == "true"
        for name, default in _GIT_DEFAULTS.items():
            if attributes.get(name) == default:
                del attributes[name]
        found = GitRef(
            remote,
            ref,
            (attributes.pop("git.subdir", "") or subdir).strip("/"),
            checksum,
            keep_git_dir=keep,
            submodules=False if skip else None,
            known_hosts=attributes.pop("git.knownsshhosts", ""),
        )
        return Repository(title=title or found.shown, ref=found)


def _download(address: str, attributes: Attributes, title: str) -> Vertex:
    """The file alone in a tree, under the name that is asked for."""
    shown = title or redacted(address)
    checksum = checked_checksum(attributes.pop("http.checksum", ""))
    fetched = Download(title=shown, url=checked_address(address), checksum=checksum)
    name, perm = attributes.pop("http.filename", ""), attributes.pop("http.perm", "")
    uid, gid = attributes.pop("http.uid", ""), attributes.pop("http.gid", "")
    if not all(part == "" or (part.isascii() and part.isdigit()) for part in (uid, gid)):
        raise Invalid(f"source {redacted(address)}: http.uid and http.gid are numbers")
    if "/" in name or name in (".", ".."):
        raise Invalid(f"source {redacted(address)}: http.filename is the name of a file: {name}")
    mode = perm.removeprefix("0o")
    return Copy(
        title=shown,
        base=Scratch(),
        source=None,
        paths=(),
        destination=f"/{name}",
        remotes=(fetched,),
        mode=mode,
        owner=f"{uid or 0}:{gid or 0}",
    )


def refuse(identifier: str, attributes: Mapping[str, str]) -> None:
    """Raises `Unsupported` for what is left of a source's attributes."""
    for name, value in attributes.items():
        if value:
            raise Unsupported(f"source {redacted(identifier)}: {name} is not supported")
