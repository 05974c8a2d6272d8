"""What `cp` does: where a copy lands, and tar archives out of and into local directories.

Docker's rules: into a directory that exists the source goes by its own name; a path that does not exist becomes the
copy, and its parent must exist; `SRC/.` copies what is in SRC. An archive from a container is hostile: nothing of it is
written through a symbolic link of its own, as links are made after everything else.
"""

from __future__ import annotations

import os

from dockwright import errors
from dockwright.cli.session import STDERR, STDIN, STDOUT
from dockwright.client import wirejson
from dockwright.client.calls import containers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from dockwright.cli.session import Session

_GO_DIRECTORY = 1 << 31
_GO_SYMLINK = 1 << 27


class Copy:
    """One copy, in either direction."""

    def __init__(self, session: Session, *, follow_link: bool, keep_owner: bool, quiet: bool) -> None:
        self._session = session
        self._follow_link = follow_link
        self._keep_owner = keep_owner
        self._quiet = quiet

    def from_container(self, container: str, source: str, target: str) -> None:
        """Raises `errors.Invalid` where the copy cannot land."""
        client, base, contents = self._session.client, _base(source), _is_contents(source)
        if self._follow_link:
            source = self._followed(container, source)
        call = containers.get_archive(container, source)
        if target == "-":
            for piece in client.send(call):
                self._session.write(STDOUT, piece)
            return
        parent = os.path.dirname(target.rstrip("/")) or "."
        if not os.path.isdir(parent):
            raise errors.Invalid(f'invalid output path: directory "{parent}" does not exist')
        response = client.send(call)
        head = response.head
        found = _path_stat(head.get("x-docker-container-path-stat") if head else "")
        directory, name = local_place(target, base, bool(found["mode"] & _GO_DIRECTORY), contents)
        from dockwright.cli.unpacking import unpack

        size = unpack(response, directory, name, keep_owner=self._keep_owner)
        self._tell(size, target)

    def to_container(self, source: str, container: str, target: str) -> None:
        """Raises `errors.Invalid` where the copy cannot land."""
        client = self._session.client
        if source != "-" and not os.path.lexists(source):
            raise errors.Invalid(f"lstat {os.path.abspath(source)}: no such file or directory")
        info = self._stat(container, target)
        if info and info["mode"] & _GO_SYMLINK:
            target = _joined(target, info["linkTarget"])
            info = self._stat(container, target)
        is_directory = bool(info and info["mode"] & _GO_DIRECTORY)
        if source == "-":
            if not is_directory:
                raise errors.Invalid(f'destination "{container}:{target}" must be a directory')
            from dockwright.cli.archives import read_pieces

            client.run(containers.put_archive(container, target, read_pieces(STDIN)))
            return
        if self._follow_link and os.path.islink(source):
            name_of, source = _base(source), os.path.realpath(source)
        else:
            name_of = _base(source)
        source_is_directory = os.path.isdir(source) and (not os.path.islink(source) or source.endswith(("/", "/.")))
        directory, name = _place(
            target,
            name_of,
            source_is_directory,
            _is_contents(source),
            exists=info is not None,
            is_directory=is_directory,
        )
        from dockwright.cli.packing import Packer

        packer = Packer(source.rstrip("/") or "/" if not _is_contents(source) else source[:-2] or "/", name)
        client.run(
            containers.put_archive(
                container, directory, packer.pieces(), no_overwrite=True, copy_uid_gid=self._keep_owner
            )
        )
        self._tell(packer.size_bytes, f"{container}:{target}")

    def _tell(self, size_bytes: int, target: str) -> None:
        if self._quiet or not os.isatty(STDERR):
            return
        from dockwright.cli.display import units

        self._session.error(f"Successfully copied {units.size(size_bytes, 3)} to {target}")

    def _stat(self, container: str, path: str) -> dict[str, Any] | None:
        """What is at `path` in the container, `None` where nothing is."""
        try:
            response = self._session.client.send(containers.archive_info(container, path))
        except errors.NotFound:
            return None
        response.read()
        return _path_stat(response.head.get("x-docker-container-path-stat") if response.head else "")

    def _followed(self, container: str, path: str) -> str:
        info = self._stat(container, path)
        if info and info["mode"] & _GO_SYMLINK:
            return _joined(path, info["linkTarget"])
        return path


def _path_stat(header: str) -> dict[str, Any]:
    from binascii import a2b_base64

    found: dict[str, Any] = wirejson.decode(a2b_base64(header)) if header else {"mode": 0}
    return found


def _joined(path: str, link: str) -> str:
    return link if link.startswith("/") else os.path.join(os.path.dirname(path.rstrip("/")), link)


def _is_contents(path: str) -> bool:
    return path == "." or path.endswith("/.")


def _base(path: str) -> str:
    return os.path.basename(os.path.normpath(path)) if not _is_contents(path) else "."


def local_place(target: str, base: str, source_is_directory: bool, contents: bool) -> tuple[str, str]:
    """Where a copy lands here: the directory it is unpacked in, and the name it gets there (`.`: straight into it)."""
    exists, is_directory = os.path.exists(target), os.path.isdir(target)
    return _place(target, base, source_is_directory, contents, exists=exists, is_directory=is_directory)


def _place(
    target: str, base: str, source_is_directory: bool, contents: bool, *, exists: bool, is_directory: bool
) -> tuple[str, str]:
    if exists and is_directory:
        return target, "." if contents else base
    if exists and (source_is_directory or target.endswith("/")):
        raise errors.Invalid("cannot copy directory" if source_is_directory else "not a directory")
    if (not source_is_directory and target.endswith(("/", "/."))) or not target:
        raise errors.Invalid("no such directory")
    bare = target.rstrip("/")
    return os.path.dirname(bare) or ("/" if bare.startswith("/") else "."), os.path.basename(bare)
