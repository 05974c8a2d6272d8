"""Which frontends there are: the Dockerfile's, by its name, and by the images that Docker publishes it as.

`gateway.v0` and a Dockerfile's `# syntax=` name an image that is a frontend, to be run in a container. Docker's own Dockerfile
frontend is what ours is, so that it is not fetched; others are not run.
"""

from __future__ import annotations

from collections.abc import Mapping

from dockwright.build.dockerfile import Dockerfile
from dockwright.build.dockerfile.errors import Span
from dockwright.errors import Invalid, Unsupported
from dockwright.oci import reference

_DOCKERFILE, _GATEWAY = "dockerfile.v0", "gateway.v0"
ARGUMENT = "BUILDKIT_SYNTAX"
_OURS = ("docker.io/docker/dockerfile", "docker.io/docker/dockerfile-upstream")


def check(frontend: str, given: Mapping[str, str]) -> None:
    """Raises `Unsupported` for a frontend that is not ours."""
    if frontend == _GATEWAY:
        if not _is_ours(given.get("source", "")):
            raise Unsupported(_refusal(given.get("source", "")))
    elif frontend != _DOCKERFILE:
        raise Unsupported(f"the frontend {frontend!r} is not supported: there is {_DOCKERFILE}")


def check_syntax(dockerfile: Dockerfile, arguments: Mapping[str, str]) -> None:
    """Raises where a frontend that is not ours is named: `Unsupported` for that of the build's arguments, which the
    Dockerfile's `# syntax=` does not matter beside, `DockerfileError` for that.
    """
    if given := arguments.get(ARGUMENT):
        if given != _DOCKERFILE and not _is_ours(given):
            raise Unsupported(_refusal(given))
        return
    image, line = dockerfile.directives.get("syntax", ("", 1))
    if image and not _is_ours(image.split()[0]):
        raise dockerfile.source.error(_refusal(image), Span(line, 1))


def _is_ours(image: str) -> bool:
    try:
        return reference.parse(image).name in _OURS
    except Invalid:
        return False


def _refusal(image: str) -> str:
    return f"the frontend image {image!r} is not supported: this engine reads Dockerfiles itself, as docker/dockerfile does"
