"""What a build reads of this side: its context, Dockerfile and named contexts, as directories to be asked for or to be sent."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from dockwright import errors
from dockwright.cli.building.layouts import Layout
from dockwright.cli.session import STDIN
from dockwright.oci import reference

UPLOADED = "http://buildkit-session/"
_REMOTE = re.compile(r"(?:https?|git|ssh)://|git@|github\.com/|[A-Za-z0-9._-]+@[A-Za-z0-9._-]+:")
_TAR_HEADS = (b"\x1f\x8b\x08", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd")
_HEAD_BYTES, _LIMIT_BYTES = 512, 16 * 1024 * 1024


@dataclass
class Inputs:
    """`directories` by the name that the engine asks for; `attributes` for the frontend. To be closed.

    `layouts` are image layouts by the name of their store. `uploads` are descriptors of tars, with what was read of them
    already. `shown` is what people call the Dockerfile.
    """

    directories: dict[str, str] = field(default_factory=dict)
    attributes: dict[str, str] = field(default_factory=dict)
    uploads: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    layouts: dict[str, Layout] = field(default_factory=dict)
    shared_key: str = ""
    shown: str = "Dockerfile"
    _temporary: list[str] = field(default_factory=list)

    def close(self) -> None:
        """Remove what was made for the build."""
        while self._temporary:
            shutil.rmtree(self._temporary.pop(), ignore_errors=True)

    def temporary(self, text: bytes | None = None) -> str:
        """A new directory, with `text` as its Dockerfile."""
        made = tempfile.mkdtemp(prefix="dockwright-build-")
        self._temporary.append(made)
        if text is not None:
            with open(os.path.join(made, "Dockerfile"), "wb") as file:
                file.write(text)
        return made


def inputs(context: str, dockerfile: str, named: Iterable[str] = ()) -> Inputs:
    """`context` is a directory, a URL or `-`; `dockerfile` a path, a URL, `-` or nothing. Raises `errors.Invalid`."""
    if context == "-" and dockerfile == "-":
        raise errors.Invalid("invalid argument: can't use stdin for both build context and dockerfile")
    found = Inputs()
    try:
        if context == "-":
            _from_stdin(found, dockerfile)
        elif os.path.isdir(context):
            found.directories["context"] = os.path.realpath(context)
            found.shared_key = shared_key(context)
            _dockerfile(found, context, dockerfile)
        elif is_remote(context):
            found.attributes["context"] = context
            _dockerfile_beside(found, dockerfile)
        else:
            raise errors.Invalid(f'unable to prepare context: path "{context}" not found')
        for text in filter(None, named):
            _named(found, text)
    except BaseException:
        found.close()
        raise
    return found


def is_remote(context: str) -> bool:
    """Whether it is for the engine to fetch."""
    return _REMOTE.match(context) is not None


def shared_key(directory: str) -> str:
    """The same for the same directory of the same machine: the engine keeps what it was sent under it."""
    path = os.path.realpath(directory)
    identity = f"{os.uname().nodename}\0{os.getuid()}\0{path}"
    return f"{os.path.basename(path)}:{hashlib.sha256(identity.encode('utf-8', 'surrogateescape')).hexdigest()[:24]}"


def _from_stdin(found: Inputs, dockerfile: str) -> None:
    head = _read(_HEAD_BYTES)
    if head[257:262] == b"ustar" or head.startswith(_TAR_HEADS):
        name = os.urandom(16).hex()
        found.uploads[name] = (STDIN, head)
        found.attributes["context"] = UPLOADED + name
        _dockerfile_beside(found, dockerfile)
        return
    if dockerfile:
        raise errors.Invalid("ambiguous Dockerfile source: both stdin and flag correspond to Dockerfiles")
    found.directories["context"] = found.temporary()
    _given_text(found, head + _read(_LIMIT_BYTES), "stdin")


def _dockerfile(found: Inputs, context: str, dockerfile: str) -> None:
    """The Dockerfile that goes with a directory: of it, or from elsewhere."""
    if dockerfile == "-" or dockerfile.startswith(("http://", "https://")):
        _dockerfile_beside(found, dockerfile)
        return
    place = dockerfile
    if not dockerfile or not os.path.exists(dockerfile):
        place = os.path.join(context, dockerfile or "Dockerfile")
    if not dockerfile and not os.path.exists(place) and os.path.isfile(os.path.join(context, "dockerfile")):
        place = os.path.join(context, "dockerfile")
    if not os.path.isfile(place):
        why = f"lstat {place}: no such file or directory"
        raise errors.Invalid(f"unable to prepare context: unable to evaluate symlinks in Dockerfile path: {why}")
    _local_dockerfile(found, place)


def _local_dockerfile(found: Inputs, place: str) -> None:
    found.directories["dockerfile"] = os.path.realpath(os.path.dirname(place) or ".")
    found.attributes["filename"] = os.path.basename(place)
    found.shown = place


def _dockerfile_beside(found: Inputs, dockerfile: str) -> None:
    """The Dockerfile of a context that is not on this side: in it, unless it is said where else."""
    if dockerfile == "-":
        _given_text(found, _read(_LIMIT_BYTES), "stdin")
    elif dockerfile.startswith(("http://", "https://")):
        _given_text(found, _fetched(dockerfile), dockerfile)
    elif os.path.isabs(dockerfile):
        _local_dockerfile(found, dockerfile)
        found.attributes["dockerfilekey"] = "dockerfile"
    else:
        found.attributes["filename"] = found.shown = dockerfile or "Dockerfile"


def _given_text(found: Inputs, text: bytes, shown: str) -> None:
    found.directories["dockerfile"] = found.temporary(text)
    found.attributes |= {"filename": "Dockerfile", "dockerfilekey": "dockerfile"}
    found.shown = shown


def _named(found: Inputs, text: str) -> None:
    """`NAME=DIRECTORY` or `NAME=URL`, of whatever the engine can fetch."""
    key, equals, value = text.partition("=")
    if not equals:
        raise errors.Invalid(f"invalid context value: {text}, expected key=value")
    try:
        name = reference.parse(key).tagged.familiar.removesuffix(":latest")
    except errors.Invalid as error:
        raise errors.Invalid(f"invalid context name {key}: {error}") from error
    found.attributes["frontend.caps"] = "moby.buildkit.frontend.contexts+forward"
    if is_remote(value) or value.startswith(("docker-image://", "target:")):
        found.attributes[f"context:{name}"] = value
        return
    if value.startswith("oci-layout://"):
        _layout(found, name, value.removeprefix("oci-layout://"))
        return
    if not os.path.isdir(value):
        raise errors.Invalid(f"failed to get build context {name}: {value} is not a directory")
    local = f"_{name}" if name in ("context", "dockerfile") else name
    found.directories[local] = os.path.realpath(value)
    found.attributes[f"context:{name}"] = f"local:{local}"
    found.attributes[f"sharedkey:localdir:{name}"] = shared_key(value)


def _layout(found: Inputs, name: str, text: str) -> None:
    """An image of an OCI layout: `PATH[:TAG][@DIGEST]`."""
    path, _, digest = text.partition("@")
    head, colon, tag = path.rpartition(":")
    path, tag = (head, tag) if colon and "/" not in tag else (path, "")
    layout = Layout(Path(path))
    try:
        digest = digest or layout.digest(tag)
    except errors.NotFound as error:
        raise errors.Invalid(f"failed to get build context {name}: {error}") from error
    store = os.urandom(16).hex()
    found.layouts[f"oci:{store}"] = layout
    found.attributes[f"context:{name}"] = f"oci-layout://{store}@{digest}"


def _fetched(url: str) -> bytes:
    import urllib.request  # 30 ms that hardly anybody needs

    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            data: bytes = answer.read(_LIMIT_BYTES)
    except (OSError, ValueError) as error:
        raise errors.HostFailure(f"cannot fetch the Dockerfile {url}: {error}") from error
    return data


def _read(size: int) -> bytes:
    data = b""
    while len(data) < size and (piece := os.read(STDIN, min(size - len(data), 1 << 16))):
        data += piece
    return data
