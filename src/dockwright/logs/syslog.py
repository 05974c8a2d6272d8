"""The driver `syslog`: RFC 3164 and RFC 5424 messages over a unix, UDP, TCP or TLS socket."""

from __future__ import annotations

import logging
import os
import socket
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

from dockwright.errors import Invalid, Unavailable
from dockwright.logs import options as opts
from dockwright.logs.record import LogInfo, Mark, Record

log = logging.getLogger(__name__)

SYSLOG_OPTIONS = frozenset(
    {
        "syslog-address",
        "syslog-facility",
        "syslog-tls-ca-cert",
        "syslog-tls-cert",
        "syslog-tls-key",
        "syslog-tls-skip-verify",
        "syslog-format",
    }
)
_LOCAL_SOCKETS = ("/dev/log", "/var/run/syslog", "/var/run/log")
_FACILITIES = (
    *("kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp"),
    *("", "", "", "", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"),
)
_FORMATS = ("", "rfc3164", "rfc5424", "rfc5424micro")
_DAEMON, _ERR, _INFO = 3, 3, 6
_PORT = 514
_TIMEOUT_S = 10.0
_COMPLAIN_EVERY_S = 30.0


@dataclass(frozen=True, slots=True)
class Target:
    """`scheme` is empty (the local socket), unix, unixgram, udp, tcp or tcp+tls."""

    scheme: str
    path: str = ""
    host: str = ""
    port: int = _PORT

    @property
    def stream(self) -> bool:
        """Whether messages need a frame."""
        return self.scheme in ("tcp", "tcp+tls")


def parse_address(text: str) -> Target:
    """`syslog-address`. Raises `Invalid`, in Docker's words where it has some."""
    if not text:
        return Target("")
    url = urlsplit(text)
    if url.scheme in ("unix", "unixgram"):
        if not os.path.exists(url.path):
            raise Invalid(f"stat {url.path}: no such file or directory")
        return Target(url.scheme, path=url.path)
    if url.scheme not in ("udp", "tcp", "tcp+tls"):
        raise Invalid(f"unsupported scheme: '{url.scheme}'")
    try:
        port = url.port or _PORT
    except ValueError as error:
        raise Invalid(f"syslog-address {text}: {error}") from error
    if not url.hostname:
        raise Invalid(f"syslog-address {text}: no host")
    return Target(url.scheme, host=url.hostname, port=port)


def parse_facility(text: str) -> int:
    """`syslog-facility` by name or number. Raises `Invalid`."""
    if not text:
        return _DAEMON
    if text in _FACILITIES:
        return _FACILITIES.index(text)
    if text.isdecimal() and int(text) <= 23:
        return int(text)
    raise Invalid("invalid syslog facility")


def check_options(options: Mapping[str, str]) -> None:
    """Raises `Invalid`."""
    parse_address(options.get("syslog-address", ""))
    parse_facility(options.get("syslog-facility", ""))
    if options.get("syslog-format", "") not in _FORMATS:
        raise Invalid("Invalid syslog format")


class SyslogDriver:
    """Sends. Connects when made; a connection that breaks is made anew once, then its records are dropped with a warning."""

    name = "syslog"

    def __init__(self, info: LogInfo, options: Mapping[str, str]) -> None:
        """Raises `Invalid` for the options and `Unavailable` when nobody answers."""
        check_options(options)
        self._target = parse_address(options.get("syslog-address", ""))
        self._facility = parse_facility(options.get("syslog-facility", ""))
        self._tag = opts.tag(info, options, opts.DEFAULT_TAG)
        self._format = _formatter(options.get("syslog-format", ""), self._target, self._tag)
        self._counted = self._target.scheme == "tcp+tls" and options.get("syslog-format", "").startswith("rfc5424")
        self._tls = _tls_context(options) if self._target.scheme == "tcp+tls" else None
        self._complained = 0.0
        self._socket: socket.socket | None = self._connect()

    def write(self, records: Sequence[Record]) -> None:
        """See `LogDriver.write`; never raises: what cannot be sent is dropped, as in Docker."""
        messages = [message for record in records if (message := self._message(record))]
        try:
            self._send(messages)
        except OSError as error:
            if time.monotonic() - self._complained > _COMPLAIN_EVERY_S:
                self._complained = time.monotonic()
                log.warning("syslog: dropped messages of %s: %s", self._tag, error)

    def mark(self) -> Mark:
        """See `LogDriver.mark`."""
        return Mark()

    def rotate_if_full(self) -> bool:
        """See `LogDriver.rotate_if_full`."""
        return False

    def rewind(self, mark: Mark | None) -> None:
        """See `LogDriver.rewind`."""

    def close(self) -> None:
        """See `LogDriver.close`."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _message(self, record: Record) -> bytes:
        text = record.data.removesuffix(b"\n")
        if not text:
            return b""
        priority = self._facility << 3 | (_ERR if record.stream == "stderr" else _INFO)
        message = self._format(priority, record.time_ns, text)
        if self._counted:
            return b"%d %b" % (len(message), message)  # RFC 5425, 4.3
        return message + b"\n" if self._target.stream else message

    def _send(self, messages: list[bytes]) -> None:
        done = 0
        for attempt in (1, 2):
            try:
                if self._socket is None:
                    self._socket = self._connect()
                while done < len(messages):
                    self._socket.sendall(messages[done])
                    done += 1
                return
            except (OSError, Unavailable) as error:
                self.close()
                if attempt == 2:
                    raise OSError(str(error)) from error

    def _connect(self) -> socket.socket:
        target = self._target
        try:
            if not target.host:
                return _connect_local([target.path] if target.path else list(_LOCAL_SOCKETS), target.scheme)
            if target.scheme == "udp":
                family, kind, proto, _, address = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_DGRAM)[
                    0
                ]
                datagram = socket.socket(family, kind, proto)
                datagram.connect(address)
                return datagram
            stream = socket.create_connection((target.host, target.port), timeout=_TIMEOUT_S)
            if self._tls is not None:
                return self._tls.wrap_socket(stream, server_hostname=target.host)
            return stream
        except OSError as error:
            raise Unavailable(f"failed to initialize logging driver: syslog: {error}") from error


def _connect_local(paths: list[str], scheme: str) -> socket.socket:
    kinds = {"unix": (socket.SOCK_STREAM,), "unixgram": (socket.SOCK_DGRAM,)}
    for path in paths:
        for kind in kinds.get(scheme, (socket.SOCK_DGRAM, socket.SOCK_STREAM)):
            local = socket.socket(socket.AF_UNIX, kind)
            local.settimeout(_TIMEOUT_S)
            try:
                local.connect(path)
                return local
            except OSError:
                local.close()
    raise OSError("Unix syslog delivery error")


Format = Callable[[int, int, bytes], bytes]


def _formatter(name: str, target: Target, tag: str) -> Format:
    pid, host = os.getpid(), socket.gethostname()

    def rfc5424(priority: int, time_ns: int, text: bytes, digits: str = "seconds") -> bytes:
        stamp = datetime.fromtimestamp(time_ns / 1e9, UTC).astimezone().isoformat(timespec=digits)
        stamp = stamp.removesuffix("+00:00") + ("Z" if stamp.endswith("+00:00") else "")
        return f"<{priority}>1 {stamp} {host} {tag} {pid} {tag} - ".encode() + text

    def rfc3164(priority: int, time_ns: int, text: bytes) -> bytes:
        stamp = time.strftime("%b %e %H:%M:%S", time.localtime(time_ns // 1_000_000_000))
        named = f"{host} " if target.host else ""
        return f"<{priority}>{stamp} {named}{tag}[{pid}]: ".encode() + text

    if name == "rfc5424":
        return rfc5424
    if name == "rfc5424micro":
        return lambda priority, time_ns, text: rfc5424(priority, time_ns, text, "microseconds")
    return rfc3164


def _tls_context(options: Mapping[str, str]) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=options.get("syslog-tls-ca-cert") or None)
        if certificate := options.get("syslog-tls-cert"):
            context.load_cert_chain(certificate, options.get("syslog-tls-key") or None)
    except OSError as error:
        raise Invalid(f"syslog TLS files: {error}") from error
    if "syslog-tls-skip-verify" in options:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
