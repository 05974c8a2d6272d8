"""`context import`: a context out of an archive that `context export` wrote."""

from __future__ import annotations

from dockwright import errors
from dockwright.cli.command import TWO, Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session

_MAX_BYTES = 10 * 1024 * 1024


def run(session: Session, options: Options, arguments: list[str]) -> None:
    from dockwright.client import wirejson
    from dockwright.client.contexts import Context, Store, check_name

    name, path = arguments
    check_name(name)
    store = Store(session.config.directory)
    if store.exists(name):
        raise errors.Conflict(f'context "{name}" already exists')
    files = _files(_read(path))
    if "meta.json" not in files:
        raise errors.Invalid("invalid context: no metadata found")
    try:
        context = Context.from_meta(wirejson.decode(files["meta.json"]))
    except wirejson.NotJson as error:
        raise errors.Invalid("invalid context: its metadata is not JSON") from error
    context.name = name
    tls = {key.removeprefix("tls/docker/"): data for key, data in files.items() if key.startswith("tls/docker/")}
    store.put(context, tls)
    session.line(name)
    session.error(f'Successfully imported context "{name}"')


def _read(path: str) -> bytes:
    from dockwright.cli.archives import upload

    data = b""
    for piece in upload("" if path == "-" else path, what="context"):
        data += piece
        if len(data) > _MAX_BYTES:
            raise errors.Invalid("the context archive is larger than 10 MB")
    return data


def _files(data: bytes) -> dict[str, bytes]:
    """The regular files of a tar or zip archive, by name; names that are not a context's are refused."""
    import io
    import tarfile
    import zipfile

    found: dict[str, bytes] = {}
    if data[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for info in archive.infolist():
                if info.file_size > _MAX_BYTES:
                    raise errors.Invalid("the context archive is larger than 10 MB")
                if not info.is_dir():
                    found[info.filename] = archive.read(info)
    else:
        try:
            with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
                for entry in tar:
                    source = tar.extractfile(entry) if entry.isreg() else None
                    if source is not None:
                        found[entry.name] = source.read()
        except tarfile.TarError as error:
            raise errors.Invalid("the context archive is neither tar nor zip") from error
    for name in found:
        if name != "meta.json" and (not name.startswith("tls/docker/") or name.count("/") != 2 or ".." in name):
            raise errors.Invalid(f"unexpected context file: {name}")
    return found


COMMAND = Command(
    ("context import",),
    "Bring a context in from a tar or zip archive, or from standard input for -",
    "CONTEXT FILE|-",
    run,
    arguments=TWO,
    completes=("", "files"),
)
