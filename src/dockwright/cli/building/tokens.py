"""Asking a registry's authority for a token, as the distribution spec's token authentication says. Blocking."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.parse
import urllib.request

from dockwright.credentials import Credentials
from dockwright.errors import HostFailure, Invalid

_LIFE_S = 60
_LIMIT_BYTES, _TIMEOUT_S = 1 << 20, 30
_CLIENT = "dockwright"
# An authority that does not know the OAuth2 form answers so.
_NO_OAUTH = (401, 404, 405)


def fetch(realm: str, service: str, scopes: tuple[str, ...], credentials: Credentials) -> tuple[str, int]:
    """A token, and for how many seconds it counts. Raises `HostFailure` where the authority says no, `Invalid` for its URL."""
    if credentials.registry_token:
        return credentials.registry_token, _LIFE_S
    if not realm.startswith(("https://", "http://")):
        raise Invalid(f"the registry names {realm!r} as its authority, which is no URL")
    if credentials.identity_token or credentials.password:
        try:
            return _read(_oauth(realm, service, scopes, credentials))
        except urllib.error.HTTPError as error:
            if error.code not in _NO_OAUTH or credentials.identity_token:
                raise HostFailure(f"failed to fetch oauth token: {realm}: {error.code} {error.reason}") from error
        except OSError as error:
            raise HostFailure(f"failed to fetch oauth token: {realm}: {error}") from error
    try:
        return _read(_plain(realm, service, scopes, credentials))
    except OSError as error:
        raise HostFailure(f"failed to fetch a token: {realm}: {error}") from error


def _oauth(realm: str, service: str, scopes: tuple[str, ...], who: Credentials) -> urllib.request.Request:
    form = {"client_id": _CLIENT, "service": service, "scope": " ".join(scopes)}
    if who.identity_token:
        form |= {"grant_type": "refresh_token", "refresh_token": who.identity_token}
    else:
        form |= {"grant_type": "password", "username": who.username, "password": who.password}
    return urllib.request.Request(realm, urllib.parse.urlencode(form).encode())


def _plain(realm: str, service: str, scopes: tuple[str, ...], who: Credentials) -> urllib.request.Request:
    query = [("service", service)] if service else []
    query += [("scope", scope) for scope in scopes]
    if who.username:
        query.append(("account", who.username))
    url = f"{realm}{'&' if '?' in realm else '?'}{urllib.parse.urlencode(query)}"
    request = urllib.request.Request(url)
    if who.username:
        pair = base64.b64encode(f"{who.username}:{who.password}".encode()).decode()
        request.add_header("Authorization", f"Basic {pair}")
    return request


def _read(request: urllib.request.Request) -> tuple[str, int]:
    with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:
        data = answer.read(_LIMIT_BYTES)
    try:
        found = json.loads(data)
        token = found.get("token") or found.get("access_token")
    except (ValueError, AttributeError):
        token, found = None, {}
    if not isinstance(token, str):
        raise HostFailure(f"{request.full_url} answers without a token")
    expires = found.get("expires_in")
    return token, expires if isinstance(expires, int) and expires > 0 else _LIFE_S
