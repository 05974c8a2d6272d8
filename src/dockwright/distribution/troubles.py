"""What a broken or refused connection means, in the words of Docker's tools, which people search for."""

from __future__ import annotations

import errno
import re
import ssl

import aiohttp
from yarl import URL

from dockwright.distribution.refusals import Interrupted
from dockwright.errors import Corrupt, DockwrightError, Unavailable

# OpenSSL's X509_V_ERR_* to the words of Go's crypto/x509.
_UNKNOWN_AUTHORITY = frozenset({2, 18, 19, 20, 21})
_EXPIRED = frozenset({9, 10})
_OTHER_NAME = frozenset({62, 64})
_PLAIN_HTTP = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "UNKNOWN_PROTOCOL"})

_QUERY = re.compile(r"(https?://[^\s?#]*)[?#]\S*")


def named(method: str, url: URL) -> str:
    """A request for a message: `Get "https://host/v2/"`, without query, fragment and password."""
    return f'{method.capitalize()} "{url.with_query(None).with_fragment(None).with_user(None)}"'


def broken(what: str, error: Exception) -> DockwrightError:
    """The connection broke while an answer was read."""
    if isinstance(error, TimeoutError):
        return Interrupted(f"{what}: no data for too long: timed out")
    return Interrupted(f"{what}: the connection broke: {_text(error)}")


def unsent(what: str, error: Exception, *, answered: bool) -> DockwrightError:
    """No answer came. `answered`: this host has answered before, so that it may again."""
    if isinstance(error, DockwrightError):
        return error
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return Unavailable(f"{what}: tls: failed to verify certificate: {_certificate(error.certificate_error)}")
    if isinstance(error, aiohttp.ClientSSLError):
        return Unavailable(f"{what}: {_tls(error)}")
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return Unavailable(f"{what}: the proxy answered {error.status} {_text(error)}")
    if isinstance(error, aiohttp.ClientResponseError):
        return Corrupt(f"{what}: malformed answer: {_text(error)}")
    if isinstance(error, (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)):
        message = f"{what}: {_connect(error)}"
        return Interrupted(message) if answered else Unavailable(message)
    if isinstance(error, (aiohttp.InvalidURL, ValueError)):
        return Corrupt(f"{what}: {_text(error)}")
    if isinstance(error, TimeoutError):
        return Interrupted(f"{what}: no answer in time: timed out")
    return Interrupted(f"{what}: the connection broke: {_text(error)}")


def _connect(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return f"dial tcp: lookup {error.host}: no such host"
    if not isinstance(error, aiohttp.ClientConnectorError):
        return "dial tcp: i/o timeout"
    reason = error.os_error
    if reason.errno == errno.ECONNREFUSED:
        return f"dial tcp {error.host}:{error.port}: connect: connection refused"
    return f"dial tcp {error.host}:{error.port}: {reason.strerror or _text(reason)}"


def _tls(error: aiohttp.ClientSSLError) -> str:
    reason = getattr(error.os_error, "reason", None) or str(error.os_error)
    if reason in _PLAIN_HTTP:
        return "http: server gave HTTP response to HTTPS client"
    return f"tls: {reason.lower().replace('_', ' ')}"


def _certificate(error: Exception) -> str:
    code = error.verify_code if isinstance(error, ssl.SSLCertVerificationError) else 0
    if code in _UNKNOWN_AUTHORITY:
        return "x509: certificate signed by unknown authority"
    if code in _EXPIRED:
        return "x509: certificate has expired or is not yet valid"
    if code in _OTHER_NAME:
        return f"x509: certificate is not valid for this host: {_text(error)}"
    return f"x509: {_text(error)}"


def _text(error: Exception) -> str:
    """One printable line, without the queries of URLs, which may be secrets."""
    text = "".join(c if c.isprintable() else " " for c in _QUERY.sub(r"\1", str(error)[:2000])[:300])
    return " ".join(text.split()) or type(error).__name__
