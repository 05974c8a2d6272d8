"""The engine of another machine through `ssh`: its `system dial-stdio` joins the far socket to stdin and stdout.

The process is ours to end: it gets one end of a socket pair, and leaves when that closes.
"""

from __future__ import annotations

import subprocess

from dockwright.client.errors import CannotConnect

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket as _socket

    from dockwright.client.endpoint import Endpoint
else:
    import _socket

PROGRAM = "ssh"
_children: list[subprocess.Popen[bytes]] = []


def command(endpoint: Endpoint) -> list[str]:
    """The program and arguments. The far side runs `dockwright` where it is installed, else `docker`."""
    arguments = [PROGRAM, "-o", "ConnectTimeout=30", "-T"]
    if endpoint.user:
        arguments += ["-l", endpoint.user]
    if endpoint.port:
        arguments += ["-p", str(endpoint.port)]
    host = f"--host {_shell_quote('unix://' + endpoint.path)} " if endpoint.path not in ("", "/") else ""
    script = (
        f"if command -v dockwright >/dev/null 2>&1; then exec dockwright {host}system dial-stdio; "
        f"else exec docker {host}system dial-stdio; fi"
    )
    return [*arguments, "--", endpoint.host, "sh", "-c", _shell_quote(script)]


def dial(endpoint: Endpoint) -> _socket.socket:
    """A socket whose other end is the far engine. Raises `CannotConnect` when `ssh` is not installed."""
    reap()
    ours, theirs = socket_pair()
    try:
        _children.append(
            subprocess.Popen(command(endpoint), stdin=theirs.fileno(), stdout=theirs.fileno(), start_new_session=True)
        )
    except OSError as error:
        ours.close()
        raise CannotConnect(f"cannot run {PROGRAM}: {error.strerror}") from error
    finally:
        theirs.close()
    return ours


def socket_pair() -> tuple[_socket.socket, _socket.socket]:
    from socket import AF_UNIX, SOCK_STREAM, socketpair

    return socketpair(AF_UNIX, SOCK_STREAM)


def reap() -> None:
    """Collect the connections' processes that have ended."""
    _children[:] = [child for child in _children if child.poll() is None]


def _shell_quote(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
