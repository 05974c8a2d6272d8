"""Attach, start, and stay until the container has exited: what `run`, `start -a` and `attach` share."""

from __future__ import annotations

from dockwright import errors
from dockwright.cli.command import ExitStatus
from dockwright.cli.session import STDIN
from dockwright.cli.terminal import join, raw, signals
from dockwright.client.calls import containers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from dockwright.cli.session import Session


class Attachment:
    """Which streams of which container are joined to ours."""

    __slots__ = ("auto_remove", "container", "detach_keys", "proxy_signals", "stderr", "stdin", "stdout", "tty")

    def __init__(
        self,
        container: str,
        *,
        tty: bool,
        stdin: bool,
        stdout: bool = True,
        stderr: bool = True,
        detach_keys: str = "",
        auto_remove: bool = False,
        proxy_signals: bool = True,
    ) -> None:
        self.container = container
        self.tty = tty
        self.stdin = stdin
        self.stdout = stdout
        self.stderr = stderr
        self.detach_keys = detach_keys
        self.auto_remove = auto_remove
        self.proxy_signals = proxy_signals


def check_terminal(stdin: bool, tty: bool) -> None:
    """Raises `errors.Invalid` where a terminal's input is wanted and stdin is none."""
    import os

    if stdin and tty and not os.isatty(STDIN):
        raise errors.Invalid("the input device is not a TTY")


def make_joint(session: Session, attachment: Attachment) -> join.Joint:
    """Attach now; the streams flow once the joint runs."""
    check_terminal(attachment.stdin, attachment.tty)
    keys_text, keys_bytes = join.chosen_keys(session, attachment.detach_keys)
    stream = session.client.hijack(
        containers.attach(
            attachment.container,
            stdin=attachment.stdin,
            stdout=attachment.stdout,
            stderr=attachment.stderr,
            detach_keys=keys_text,
        )
    )
    return join.Joint(
        session,
        stream,
        tty=attachment.tty,
        stdin=attachment.stdin,
        detach_keys=keys_bytes,
        on_signal=_forward(session, attachment.container) if attachment.proxy_signals else None,
        on_resize=resizer(session, attachment.container) if attachment.tty else None,
    )


def resizer(session: Session, container: str) -> Callable[[], None] | None:
    return join.resizer(
        session, lambda height, width: session.client.run(containers.resize(container, height=height, width=width))
    )


def _forward(session: Session, container: str) -> Callable[[int], None]:
    def forward(number: int) -> None:
        try:
            session.client.run(containers.kill(container, signal=signals.name(number)))
        except errors.DockwrightError as error:
            if session.debug:
                session.error(f"DEBU signal {signals.name(number)}: {error}")

    return forward


def join_started(session: Session, attachment: Attachment, start: Callable[[], None]) -> int:
    """Attach, watch for the exit, `start`, and stay; returns the container's exit status, 0 after the detach keys."""
    joint = make_joint(session, attachment)
    with joint.watch() as watch:
        condition = "removed" if attachment.auto_remove else "next-exit"
        exit = session.client.send(containers.wait(attachment.container, condition=condition))
        try:
            start()
        except errors.DockwrightError:
            if attachment.auto_remove:
                exit.read()  # the engine removes what could not start; be gone only after it
            raise
        if attachment.tty:
            _tell_size(session, attachment.container)
        try:
            return join.exit_status(joint.run(watch, exit))
        except join.Detached:
            return 0


def _tell_size(session: Session, container: str) -> None:
    tell = resizer(session, container)
    if tell is not None:
        tell()


def stay_attached(session: Session, attachment: Attachment) -> int:
    """Attach to a container that runs; returns its exit status. Raises `ExitStatus` after the detach keys."""
    joint = make_joint(session, attachment)
    with joint.watch() as watch:
        exit = session.client.send(containers.wait(attachment.container))
        if attachment.tty:
            _nudge(session, attachment.container)
        try:
            return join.exit_status(joint.run(watch, exit))
        except join.Detached:
            raise ExitStatus(1, "read escape sequence") from None


def _nudge(session: Session, container: str) -> None:
    """A change of size makes a full-screen program draw itself anew for the new onlooker."""
    size = raw.size()
    if size is None:
        return
    height, width = size
    try:
        session.client.run(containers.resize(container, height=height + 1, width=width + 1))
        session.client.run(containers.resize(container, height=height, width=width))
    except errors.DockwrightError as error:
        if session.debug:
            session.error(f"DEBU resize: {error}")
