"""Credentials for one registry, and their forms on the Engine API's wire."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from dockwright.credentials.fetching import TokenFetcher
from dockwright.credentials.servers import key_of
from dockwright.errors import Invalid

HEADER = "X-Registry-Auth"
REGISTRIES_HEADER = "X-Registry-Config"
# More than any token in use; what is longer is no credential.
_HEADER_LIMIT = 64 << 10


@dataclass(frozen=True, slots=True)
class Credentials:
    """How a client says who it is.

    `password` goes with `username`; `identity_token` is a refresh token that a registry's token server gave instead of a
    password; `registry_token` is a bearer token sent as it is; `fetcher` knows the rest, and is asked when it is needed. Their
    values are in no `repr`.
    """

    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    registry_token: str = field(default="", repr=False)
    fetcher: TokenFetcher | None = field(default=None, repr=False)

    @property
    def empty(self) -> bool:
        """Nothing is said: the client stays anonymous."""
        return not (self.username or self.password or self.identity_token or self.registry_token or self.fetcher)


def from_document(document: object) -> Credentials:
    """An `AuthConfig` of the Engine API; `auth` stands for user name and password. Raises `Invalid`.

    Names are taken in any case and unknown ones ignored, as Go's decoder does.
    """
    if document is None:
        return Credentials()
    if not isinstance(document, Mapping):
        raise Invalid("invalid credentials: a JSON object is expected")
    found: dict[str, str] = {}
    for name, value in document.items():
        if value is None or str(name).lower() not in _FIELDS:
            continue
        if not isinstance(value, str):
            raise Invalid(f"invalid credentials: {name} is not a string")
        found[str(name).lower()] = value
    username, password = found.get("username", ""), found.get("password", "")
    if found.get("auth") and not username:
        username, password = split_auth(found["auth"])
    return Credentials(username, password, found.get("identitytoken", ""), found.get("registrytoken", ""))


_FIELDS = frozenset(("username", "password", "auth", "identitytoken", "registrytoken"))


def to_document(credentials: Credentials, server: str = "") -> dict[str, str]:
    """The `AuthConfig` of the Engine API for `credentials`."""
    fields = {
        "username": credentials.username,
        "password": credentials.password,
        "serveraddress": server,
        "identitytoken": credentials.identity_token,
        "registrytoken": credentials.registry_token,
    }
    return {name: value for name, value in fields.items() if value}


def to_header(credentials: Credentials | None, server: str = "") -> str:
    """The value of `X-Registry-Auth`: base64url over JSON."""
    document = {} if credentials is None else to_document(credentials, server)
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode()


def from_header(text: str) -> Credentials | None:
    """Read `X-Registry-Auth`: base64url, padded or not, over JSON. `None` where it says nothing. Raises `Invalid`.

    The plain alphabet of base64 is read as well: clients mix the two up.
    """
    stripped = text.strip().rstrip("=")
    if not stripped:
        return None
    document = _decoded(stripped, HEADER)
    try:
        credentials = from_document(document)
    except Invalid as error:
        raise Invalid(f"invalid {HEADER} header: {error}") from None
    return None if credentials.empty else credentials


_TO_PLAIN = str.maketrans("-_", "+/")


def from_registries_header(text: str) -> dict[str, Credentials]:
    """Who the client says it is to several registries (`X-Registry-Config` of a build), by the names they are kept under.

    Raises `Invalid`.
    """
    stripped = text.strip().rstrip("=")
    document = _decoded(stripped, REGISTRIES_HEADER) if stripped else {}
    if not isinstance(document, dict):
        raise Invalid(f"invalid {REGISTRIES_HEADER} header: a JSON object is expected")
    return {key_of(str(server)): from_document(entry) for server, entry in document.items()}


def to_registries_header(found: Mapping[str, Credentials]) -> str:
    """The value of `X-Registry-Config`; empty where there is nothing to say."""
    document = {server: to_document(credentials, server) for server, credentials in found.items()}
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode() if document else ""


def _decoded(stripped: str, header: str) -> object:
    """The JSON in a header's base64url, its padding taken off. Raises `Invalid`."""
    if len(stripped) > _HEADER_LIMIT:
        raise Invalid(f"invalid {header} header: it is longer than {_HEADER_LIMIT} bytes")
    try:
        padded = stripped.translate(_TO_PLAIN).encode("ascii") + b"=" * (-len(stripped) % 4)
        return json.loads(base64.b64decode(padded, validate=True))
    except (ValueError, RecursionError):
        raise Invalid(f"invalid {header} header: it is not base64url over JSON") from None


def split_auth(text: str) -> tuple[str, str]:
    """User name and password out of an `auth` field: base64 over `name:password`. Raises `Invalid`."""
    stripped = text.strip().rstrip("=")
    try:
        raw = base64.b64decode(stripped.encode("ascii") + b"=" * (-len(stripped) % 4), validate=True)
        username, colon, password = raw.decode().partition(":")
    except (binascii.Error, UnicodeError):
        raise Invalid("invalid auth: it is not base64 over name:password") from None
    if not colon:
        raise Invalid("invalid auth: it is not base64 over name:password")
    return username, password.strip("\x00")


def join_auth(username: str, password: str) -> str:
    """The `auth` field for a user name and a password; empty for neither."""
    return base64.b64encode(f"{username}:{password}".encode()).decode() if username or password else ""
