"""`build` over BuildKit's protocol: options to a request, its progress, and what is told in the end."""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import ExitStack
from dataclasses import replace

from grpclib._typing import IServable

from dockwright import errors
from dockwright.cli.building import asking, faces, results
from dockwright.cli.building.agents import sockets
from dockwright.cli.building.attributes import attributes, entitlements
from dockwright.cli.building.colors import Colors
from dockwright.cli.building.entries import attestations, caches, question
from dockwright.cli.building.events import Update, Warning
from dockwright.cli.building.failing import BuildFailed
from dockwright.cli.building.inputs import Inputs, inputs
from dockwright.cli.building.loans import agents, secrets
from dockwright.cli.building.localcaches import LocalCaches
from dockwright.cli.building.outputs import Output, allowed, named, outputs
from dockwright.cli.building.services.agents import Agents
from dockwright.cli.building.services.auth import Auth
from dockwright.cli.building.services.files import Files
from dockwright.cli.building.services.health import Health
from dockwright.cli.building.services.loans import Secrets
from dockwright.cli.building.services.results import Results
from dockwright.cli.building.services.stores import Stores
from dockwright.cli.building.services.uploads import Uploads
from dockwright.cli.building.solving import Request, ask, solve
from dockwright.cli.flags import Options
from dockwright.cli.session import STDERR, Session
from dockwright.oci import reference


def run(session: Session, options: Options, source: str) -> int:
    """Build, or ask; the exit status."""
    if not session.debug:  # what goes wrong on the wire is told by the build that fails
        logging.getLogger("grpclib").setLevel(logging.CRITICAL)
    asked = question(_called(options))
    mode = faces.mode(
        options.text("progress") if options.given("progress") else "", os.environ, quiet=options.on("quiet")
    )
    wanted = [] if asked else _outputs(options)
    results.forget(options)
    with ExitStack() as stack:
        found = inputs(source, options.text("file"), options.many("build-context"))
        stack.callback(found.close)
        caching = LocalCaches.of(
            caches(options.many("cache-from")),
            caches(options.many("cache-to")),
            lambda text: session.error(f"WARNING: {text}"),
        )
        request = _request(session, options, found, wanted, caching, stack)
        watched = _Watched(faces.face(mode, STDERR, lambda data: session.write(STDERR, data), os.environ))
        headers = list(session.config.headers.items())
        try:
            if asked:
                told = asyncio.run(ask(session.endpoint(), request, f"frontend.{asked.name}", watched, headers))
                watched.finish(session, mode, tell_warnings=False)
                return asking.show(session, asked, told, found.shown)
            answer = asyncio.run(solve(session.endpoint(), request, watched, headers))
        except BuildFailed as error:
            watched.finish(session, mode)
            return _failed(session, options, error)
        finally:
            watched.close()
    watched.finish(session, mode)
    caching.finish(answer)
    results.tell(session, options, answer, watched.warnings)
    return 0


class _Watched:
    """The progress, closed once, with its warnings kept for the end."""

    def __init__(self, face: faces.Face) -> None:
        self._face = face
        self._closed = False
        self.warnings: list[Warning] = []

    def take(self, update: Update) -> None:
        self.warnings += update.warnings
        self._face.take(update)

    def tick(self) -> None:
        self._face.tick()

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._face.close()

    def finish(self, session: Session, mode: str, *, tell_warnings: bool = True) -> None:
        """Close, and list the warnings where people read."""
        self.close()
        if tell_warnings and mode not in ("quiet", "none", "rawjson"):
            colors = Colors.of(os.environ)[0] if os.isatty(STDERR) else Colors()
            text = faces.warnings_text(self.warnings, colors, expand=session.debug)
            session.write(STDERR, text.encode("utf-8", "surrogateescape"))


def _called(options: Options) -> str:
    if options.on("check"):
        return "check"
    return options.text("print") or options.text("call")


def _outputs(options: Options) -> list[Output]:
    tags = [str(reference.parse(tag).tagged) for tag in options.many("tag")]
    found = outputs(options.many("output"), load=options.on("load"), push=options.on("push"))
    if options.text("iidfile") and any(one.kind in ("local", "tar") for one in found):
        raise errors.Invalid("local and tar exporters are incompatible with image ID file")
    allowed(found, options.many("allow"))
    return named(found, tags, options.many("annotation"))


def _request(
    session: Session,
    options: Options,
    found: Inputs,
    wanted: list[Output],
    caching: LocalCaches,
    stack: ExitStack,
) -> Request:
    lent, lending = secrets(options.many("secret")), agents(options.many("ssh"))
    services: list[IServable] = [
        Health(),
        Auth(session.config.directory),
        Files(found.directories),
        Secrets(lent),
        Agents(sockets(lending.values(), stack)),
        Uploads(found.uploads),
        Stores({**found.layouts, **caching.layouts}, caching.writable),
        Results({number: one for number, one in enumerate(wanted) if one.file or one.directory}),
    ]
    asked = attestations(options.many("attest"), provenance=options.text("provenance"), sbom=options.text("sbom"))
    return Request(
        attributes(session, options) | found.attributes | asked,
        [_sent(one) for one in wanted],
        caching.imports,
        caching.exports,
        entitlements(options),
        services,
        found.shared_key,
        {found.attributes.get("filename", "Dockerfile"): found.shown},
    )


def _sent(one: Output) -> Output:
    """As the engine is asked for it: an image layout comes as a tar, and is unpacked here."""
    if one.kind in ("oci", "docker") and one.directory:
        return replace(one, attributes={**one.attributes, "tar": "true"})
    return one


def _failed(session: Session, options: Options, error: BuildFailed) -> int:
    for text in error.excerpts:
        session.error(text.rstrip("\n"))
    session.error(f"ERROR: {error}")
    if error.kept is not None:
        from dockwright.cli.building.shell import look_into

        look_into(session, error.kept)
    elif options.text("on-fail"):
        session.error("No shell is opened: only a step that runs a command leaves something to look into.")
    elif error.in_step and os.isatty(STDERR):
        session.error("(--on-fail shell opens a shell in what a command left)")
    return 1
