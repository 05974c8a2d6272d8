"""`context export`: a context as a tar archive, to be imported elsewhere."""

from __future__ import annotations

import os

from dockwright import errors
from dockwright.cli.command import Arguments, Command
from dockwright.cli.session import STDOUT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tarfile import TarFile

    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session


def run(session: Session, options: Options, arguments: list[str]) -> None:
    from dockwright.client.contexts import check_name

    name = arguments[0]
    if name != "default":
        check_name(name)
    path = arguments[1] if len(arguments) > 1 else f"{name}.dockercontext"
    data = _archive(session, name)
    if path == "-":
        if os.isatty(STDOUT):
            raise errors.Invalid("cowardly refusing to export to a terminal, specify a file path")
        session.write(STDOUT, data)
        return
    # It may hold a private key: for the owner alone, and never over another file.
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
        file.write(data)
    session.error(f'Written file "{path}"')


def _archive(session: Session, name: str) -> bytes:
    import io
    import tarfile

    from dockwright.client import wirejson
    from dockwright.client.contexts import Context, Store
    from dockwright.client.endpoint import default_endpoint

    store = Store(session.config.directory)
    if name == "default":
        meta, files = Context(name, host=default_endpoint(session.config, session.host).url).to_meta(), {}
    else:
        meta, files = store.meta(name), store.tls_files(name)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        _add(archive, "meta.json", wirejson.encode(meta).encode(), 0o644)
        for directory in ("tls", "tls/docker") if files else ():
            entry = tarfile.TarInfo(directory)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o700
            archive.addfile(entry)
        for file_name, data in files.items():
            _add(archive, f"tls/docker/{file_name}", data, 0o600)
    return buffer.getvalue()


def _add(archive: TarFile, name: str, data: bytes, mode: int) -> None:
    import io
    import tarfile

    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(data), mode
    archive.addfile(entry, io.BytesIO(data))


COMMAND = Command(
    ("context export",),
    "Write a context as a tar archive to a file, or to standard output for -",
    "CONTEXT [FILE|-]",
    run,
    arguments=Arguments(1, 2),
    completes=("contexts", "files"),
)
