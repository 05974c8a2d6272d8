"""From an image's name to a created container: the cidfile, the image that has to be got first, the engine's warnings."""

from __future__ import annotations

import os

from dockwright import errors
from dockwright.client.calls import containers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session

_PULL_POLICIES = ("always", "missing", "never")
_API_SOCKET = "/var/run/docker.sock"


def check_pull_policy(options: Options) -> str:
    policy = options.text("pull") or "missing"
    if policy not in _PULL_POLICIES:
        raise errors.Invalid(f'invalid pull option: \'{policy}\': must be one of "always", "missing" or "never"')
    return policy


def create(session: Session, options: Options, request: dict[str, Any]) -> str:
    """Create the container of `request` and return its id; the image is pulled as `--pull` says."""
    cidfile = options.text("cidfile")
    if cidfile and os.path.exists(cidfile):
        raise errors.Conflict(
            f"container ID file found, make sure the other container isn't running or delete {cidfile}"
        )
    if session.config.values.get("proxies"):
        from dockwright.cli.options.environment import proxies

        request["Env"] += proxies(session.config, session.endpoint().url, request["Env"])
    if options.on("use-api-socket"):
        _share_api(session, request)
    found = _create_or_pull(session, options, request)
    for warning in found.get("Warnings") or ():
        session.error(f"WARNING: {warning}")
    container: str = found["Id"]
    if cidfile:
        with open(cidfile, "x") as file:
            file.write(container)
    if options.on("use-api-socket"):
        _copy_logins(session, container)
    return container


def _create_or_pull(session: Session, options: Options, request: dict[str, Any]) -> dict[str, Any]:
    policy = check_pull_policy(options)
    image, platform = request["Image"], options.text("platform") or os.environ.get("DOCKER_DEFAULT_PLATFORM", "")
    call = containers.create(request, name=options.text("name"), platform=platform)
    if policy == "always":
        _pull(session, image, platform, options.on("quiet"))
    try:
        found: dict[str, Any] = session.client.json(call)
    except errors.NotFound as error:
        if policy != "missing" or "no such image" not in str(error).lower():
            raise
        if not options.on("quiet"):
            session.error(f"Unable to find image '{with_tag(image)}' locally")
        _pull(session, image, platform, options.on("quiet"))
        found = session.client.json(call)
    return found


def _pull(session: Session, image: str, platform: str, quiet: bool) -> None:
    from dockwright.cli.commands.image.pull import pull
    from dockwright.oci import reference

    name = reference.parse(image).tagged
    tag = name.digest or name.tag or ""
    pull(session, name.familiar_name, tag, name.domain, platform, quiet=quiet, to_stderr=True)


def with_tag(image: str) -> str:
    """`image` with `:latest` where it names neither tag nor digest."""
    return image if "@" in image or ":" in image.rpartition("/")[2] else f"{image}:latest"


def split_tag(image: str) -> tuple[str, str]:
    """A reference as its name and its tag or digest."""
    name, at, digest = image.partition("@")
    if at:
        return name, digest
    head, slash, last = image.rpartition("/")
    last, _, tag = last.partition(":")
    return head + slash + last, tag


def _share_api(session: Session, request: dict[str, Any]) -> None:
    """Bind the engine's socket into the container, and tell clients there where the logins are."""
    endpoint = session.endpoint()
    source = endpoint.path if endpoint.scheme == "unix" else _API_SOCKET
    mounts = request["HostConfig"].setdefault("Mounts", [])
    mounts.append({"Type": "bind", "Source": source, "Target": _API_SOCKET})
    if not any(entry.startswith("DOCKER_CONFIG=") for entry in request["Env"]):
        request["Env"].append("DOCKER_CONFIG=/run/secrets/docker")


def _copy_logins(session: Session, container: str) -> None:
    import io
    import json
    import tarfile

    from dockwright.credentials import CredentialFile

    data = json.dumps({"auths": CredentialFile(session.config.directory).plain()}).encode()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for directory in ("run", "run/secrets", "run/secrets/docker"):
            entry = tarfile.TarInfo(directory)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(entry)
        entry = tarfile.TarInfo("run/secrets/docker/config.json")
        entry.size, entry.mode = len(data), 0o600
        archive.addfile(entry, io.BytesIO(data))
    session.client.run(containers.put_archive(container, "/", buffer.getvalue()))
