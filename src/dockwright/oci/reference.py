"""Image references in Docker's familiar form: `busybox` is `docker.io/library/busybox:latest`.

The grammar is the one of the distribution project (reference.md): an optional domain, a path, then `:tag`, `@digest` or both.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from dockwright.errors import Invalid
from dockwright.oci import digest as digests
from dockwright.oci.digest import Digest

DEFAULT_DOMAIN = "docker.io"
DEFAULT_TAG = "latest"
NAME_LIMIT = 255

_COMPONENT = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_HOST = rf"(?:{_COMPONENT}(?:\.{_COMPONENT})*|\[[a-fA-F0-9:]+\])"
_DOMAIN = rf"{_HOST}(?::[0-9]+)?"
_SEGMENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_PATH = rf"{_SEGMENT}(?:/{_SEGMENT})*"
_TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_DIGEST = r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}"

_NAME = re.compile(rf"(?P<domain>{_DOMAIN})/(?P<path>{_PATH})")
_SUFFIX = re.compile(rf"(?P<name>[^@]*?)(?::(?P<tag>{_TAG}))?(?:@(?P<digest>{_DIGEST}))?", re.ASCII)
_TAG_ONLY = re.compile(_TAG)
_IDENTIFIER = re.compile(r"[a-f0-9]{64}")

# Longer input cannot be a reference: name, tag, the longest digest and their separators.
_INPUT_LIMIT = NAME_LIMIT + 1 + 128 + 1 + 200


@dataclass(frozen=True, slots=True)
class Reference:
    """A normalised reference: `domain/path` and a tag, a digest, both or neither."""

    domain: str
    path: str
    tag: str | None = None
    digest: Digest | None = None

    @property
    def name(self) -> str:
        """Domain and path: `docker.io/library/busybox`."""
        return f"{self.domain}/{self.path}"

    @property
    def familiar_name(self) -> str:
        """The name as people write it: `busybox`, `alice/tool`, `registry:5000/tool`."""
        if self.domain != DEFAULT_DOMAIN:
            return self.name
        official = self.path.removeprefix("library/")
        return official if "/" not in official else self.path

    @property
    def familiar(self) -> str:
        """The whole reference as people write it."""
        return self.familiar_name + self._suffix()

    @property
    def tagged(self) -> Reference:
        """This reference, with the tag `latest` when it has neither tag nor digest."""
        return self if self.tag or self.digest else replace(self, tag=DEFAULT_TAG)

    def with_tag(self, tag: str) -> Reference:
        """This name with `tag` and no digest. Raises `Invalid` on a tag that is none."""
        return Reference(self.domain, self.path, parse_tag(tag))

    def with_digest(self, digest: Digest) -> Reference:
        """This name with `digest` and no tag."""
        return Reference(self.domain, self.path, None, digest)

    def __str__(self) -> str:
        return self.name + self._suffix()

    def _suffix(self) -> str:
        return (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")


def parse(text: str) -> Reference:
    """Read a reference in familiar or full form.

    Raises `Invalid` with Docker's wording: `invalid reference format`.
    """
    if len(text) > _INPUT_LIMIT:
        raise Invalid("invalid reference format: repository name must not be more than 255 characters")
    if _IDENTIFIER.fullmatch(text):
        raise Invalid(
            f"invalid reference format: invalid repository name ({text}), cannot specify 64-byte hexadecimal strings"
        )
    parts = _SUFFIX.fullmatch(text)
    if parts is None or not parts["name"]:
        raise Invalid("invalid reference format")
    domain, path = _split_domain(parts["name"])
    if path != path.lower():
        raise Invalid(f"invalid reference format: repository name ({path}) must be lowercase")
    if _NAME.fullmatch(f"{domain}/{path}") is None:
        raise Invalid("invalid reference format")
    if len(path) > NAME_LIMIT:
        raise Invalid("invalid reference format: repository name must not be more than 255 characters")
    digest = digests.parse(parts["digest"]) if parts["digest"] else None
    return Reference(domain, path, parts["tag"], digest)


def parse_tag(text: str) -> str:
    """`text` as a tag. Raises `Invalid` with Docker's wording."""
    if _TAG_ONLY.fullmatch(text) is None:
        raise Invalid("invalid tag format")
    return text


def _split_domain(name: str) -> tuple[str, str]:
    first, slash, rest = name.partition("/")
    # A first part is a domain only when it cannot be a user's name on the hub: it has a dot, a port or capitals.
    if not slash or not ("." in first or ":" in first or first == "localhost" or first != first.lower()):
        domain, path = DEFAULT_DOMAIN, name
    else:
        domain, path = first, rest
    if domain == "index.docker.io":
        domain = DEFAULT_DOMAIN
    if domain == DEFAULT_DOMAIN and "/" not in path:
        path = "library/" + path
    return domain, path
