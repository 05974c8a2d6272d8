"""The files of a result as one directory: each platform's tree, mounted, and what is attested of them."""

from __future__ import annotations

import hashlib
import os
from contextlib import AsyncExitStack
from pathlib import Path

from dockwright import workers
from dockwright.build.outputs.output import ToDirectory
from dockwright.build.outputs.result import Attestation, Result
from dockwright.build.outputs.statements import statement
from dockwright.build.steps.mounting import Mounter
from dockwright.errors import Conflict

_CHUNK = 1024 * 1024


async def compose(
    stack: AsyncExitStack, mounter: Mounter, folder: Path, result: Result, output: ToDirectory, *, split: bool
) -> Path:
    """The directory, below the `place` `folder`, for as long as `stack` is open."""
    root = folder / "root"
    await workers.quick(root.mkdir)
    for number, part in enumerate(result.parts):
        place = root / part.folder if split else root
        loud = [one for one in part.attestations if not one.inline_only]
        await workers.quick(place.mkdir, exist_ok=True)
        await stack.enter_async_context(mounter.placed(part.tree, place, f"{folder.name}.{number}", readonly=not loud))
        if loud:
            await workers.bulk(_attest, place, loud, output.attestation_prefix, result)
    return root


def _attest(place: Path, attestations: list[Attestation], prefix: str, result: Result) -> None:
    """Put statements beside the files they speak of. The tree is a copy that nobody keeps."""
    subjects = _subjects(place)
    for one in attestations:
        path = place / f"{prefix}{one.file}"
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            raise Conflict(f"the result has a file {path.name} already: set attestation-prefix") from None
        with os.fdopen(fd, "wb") as file:
            file.write(statement(one, subjects))
            file.flush()
            if result.time_ns is not None:
                os.utime(fd, ns=(result.time_ns, result.time_ns))


def _subjects(place: Path) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    for folder, names, files in os.walk(place):
        names.sort()
        for name in sorted(files):
            path = Path(folder, name)
            if path.is_file() and not path.is_symlink():
                digest = {"sha256": _sha256(path)}
                found.append({"name": os.path.relpath(path, place), "digest": digest})
    return found


def _sha256(path: Path) -> str:
    state = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            state.update(chunk)
    return state.hexdigest()
