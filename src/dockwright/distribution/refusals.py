"""What a registry's refusal means: its error body and headers to one of our errors, in Docker's words. No I/O.

The words are those that tools match on: `denied: …`, `unauthorized: …`, `manifest for NAME not found: manifest unknown: …`.
The codes are those of OCI distribution-spec 1.1, "Error Codes".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

import msgspec

from dockwright.distribution import challenge
from dockwright.errors import Conflict, DockwrightError, Forbidden, Invalid, NotFound, Unauthorized, Unavailable
from dockwright.oci import Reference

MESSAGE_LIMIT = 1000

# What a code says where the registry adds nothing to it.
_MEANINGS = {
    "UNAUTHORIZED": "authentication required",
    "DENIED": "requested access to the resource is denied",
    "NAME_UNKNOWN": "repository name not known to registry",
    "MANIFEST_UNKNOWN": "manifest unknown",
    "BLOB_UNKNOWN": "blob unknown to registry",
    "TOOMANYREQUESTS": "too many requests",
}
_BY_STATUS = {401: "UNAUTHORIZED", 403: "DENIED", 429: "TOOMANYREQUESTS"}
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_BEARER_ERRORS = {"invalid_token": "UNAUTHORIZED", "insufficient_scope": "DENIED"}


class Interrupted(Unavailable):
    """A failure that may pass: the connection broke, the registry is overloaded. `retry_after_s` is what it asked for."""

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


@dataclass(frozen=True)
class Refusal:
    """One error of a registry's answer; `code` is empty when its body was not of the specified form."""

    status: int
    code: str
    message: str

    def __str__(self) -> str:
        return f"{self.code.lower().replace('_', ' ')}: {self.message}" if self.code else self.message

    @property
    def passing(self) -> bool:
        """Whether the same request may succeed later."""
        return self.status in PASSING


def patience_s(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """The wait a `Retry-After` header asks for (RFC 9110, 10.2.3: seconds, or a date); None when malformed or missing."""
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit() and len(value) < 10:
        return float(value)
    try:
        date = parsedate_to_datetime(value)
        if date.tzinfo is None:  # "-0000": the zone is not told; HTTP dates are UTC
            date = date.replace(tzinfo=UTC)
        return max(0.0, (date - (now or datetime.now(UTC))).total_seconds())
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


class _Entry(msgspec.Struct):
    code: str | int = ""
    message: str | None = ""


class _Body(msgspec.Struct):
    errors: list[_Entry] | None = None
    # Token servers and gateways say it in one of these instead.
    message: str | None = None
    details: str | None = None
    error: str | None = None
    error_description: str | None = None


def read(status: int, headers: Mapping[str, str], body: bytes) -> Refusal:
    """The refusal in an answer of status 400 and up. No body or header makes it raise."""
    for asked in challenge.parse([headers.get("WWW-Authenticate", "")]) if status in (401, 403) else ():
        if asked.scheme == "bearer" and (code := _BEARER_ERRORS.get(asked.get("error"))):
            return Refusal(status, code, _clean(asked.get("error_description")) or _MEANINGS[code])
    try:
        said = msgspec.json.decode(body, type=_Body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        said = _Body()
    if said.errors:
        return _from_entry(status, said.errors[0])
    code = _BY_STATUS.get(status, "")
    message = _clean(said.details or said.error_description or said.message or said.error or "")
    return Refusal(status, code, message or _MEANINGS.get(code) or _status_text(status))


def error_of(refusal: Refusal, what: str, retry_after_s: float | None = None) -> DockwrightError:
    """The error for a refusal of `what` (method and URL, without a query)."""
    if refusal.passing:
        return Interrupted(_told(refusal, what), retry_after_s)
    kind = {400: Invalid, 401: Unauthorized, 403: Forbidden, 404: NotFound, 409: Conflict}.get(
        refusal.status, Unavailable
    )
    if refusal.code == "DENIED":
        kind = Forbidden
    return kind(_told(refusal, what))


def pull_error(
    refusal: Refusal, reference: Reference, what: str, retry_after_s: float | None = None
) -> DockwrightError:
    """The same on a pull, where Docker names the image and hides whether it exists."""
    if refusal.passing:
        return Interrupted(_told(refusal, what), retry_after_s)
    if refusal.code == "DENIED" or (refusal.status == 403 and not refusal.code):
        return NotFound(
            f"pull access denied for {reference.familiar_name}, "
            f"repository does not exist or may require 'docker login': {refusal}"
        )
    if refusal.code == "NAME_UNKNOWN":
        return NotFound(f"repository {reference.familiar_name} not found: {refusal}")
    if refusal.code == "MANIFEST_UNKNOWN" or (refusal.status == 404 and not refusal.code):
        return NotFound(f"manifest for {reference.familiar} not found: {_unknown(refusal)}")
    return error_of(refusal, what)


def _unknown(refusal: Refusal) -> str:
    return str(refusal) if refusal.code else "manifest unknown: manifest unknown"


def _told(refusal: Refusal, what: str) -> str:
    return str(refusal) if refusal.code else f"{what}: unexpected status {refusal.status}: {refusal}"


def _from_entry(status: int, entry: _Entry) -> Refusal:
    code = _clean(str(entry.code)).upper()[:64]
    if not code or code == "UNKNOWN":
        code = _BY_STATUS.get(status, code)
    return Refusal(status, code, _clean(entry.message or "") or _MEANINGS.get(code) or _status_text(status))


def _status_text(status: int) -> str:
    try:
        return HTTPStatus(status).phrase.lower()
    except ValueError:
        return f"status {status}"


def _clean(text: str) -> str:
    """One line that is safe on a terminal and in a log."""
    return " ".join("".join(c if c.isprintable() else " " for c in text[:MESSAGE_LIMIT]).split())
