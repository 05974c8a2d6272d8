"""A token server (Docker's token authentication specification) that a real registry believes."""

from __future__ import annotations

import base64
import json
import secrets
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from tests.certificates import Authority
from tests.webserver import Exchange, WebServer


class TokenServer(WebServer):
    """Gives tokens to `accounts` (name to password) for everything they ask, and to nobody else for `pull` alone.

    `life_s` is how long a token is good; `oauth` whether POST is known; `identity` the identity token a login is given;
    `tokens` the number of those given, `granted` the scopes, in order.
    """

    service, issuer = "tests.registry", "tests.tokens"

    def __init__(self, root: Path, accounts: dict[str, str]) -> None:
        super().__init__(self._answer)
        authority = Authority(root)
        self._key, self._authority = authority.signer()
        self.certificate = authority.certificate
        self.accounts = accounts
        self.life_s = 300
        self.oauth = True
        self.identity = secrets.token_urlsafe(24)
        self.anonymous = True
        self.granted: list[list[str]] = []

    @property
    def realm(self) -> str:
        return f"{self.url}/token"

    def _answer(self, exchange: Exchange) -> None:
        if exchange.method == "POST":
            self._answer_form(exchange)
            return
        account = _basic(exchange.headers.get("Authorization") or "")
        known = account is not None and self.accounts.get(account[0]) == account[1]
        if account is not None and not known:
            self._refuse(exchange, "incorrect username or password")
            return
        if account is None and not self.anonymous:
            self._refuse(exchange, "authentication required")
            return
        scopes = _scopes(exchange._handler.path)
        answer = self._token(account[0] if account else "", scopes)
        if exchange.query.get("offline_token") == "true" and account:
            answer["refresh_token"] = self.identity
        exchange.send(200, {"Content-Type": "application/json"}, json.dumps(answer).encode())

    def _answer_form(self, exchange: Exchange) -> None:
        form = {name: values[-1] for name, values in parse_qs(exchange.read().decode()).items()}
        if not self.oauth:
            exchange.send(404)
            return
        if form.get("grant_type") != "refresh_token" or form.get("refresh_token") != self.identity:
            self._refuse(exchange, "invalid identity token")
            return
        answer = self._token(next(iter(self.accounts)), form.get("scope", "").split())
        answer["access_token"] = answer.pop("token")
        exchange.send(200, {"Content-Type": "application/json"}, json.dumps(answer).encode())

    def _refuse(self, exchange: Exchange, details: str) -> None:
        exchange.send(401, {"Content-Type": "application/json"}, json.dumps({"details": details}).encode())

    def _token(self, account: str, scopes: list[str]) -> dict[str, object]:
        self.granted.append(scopes)
        now = int(time.time())
        access = []
        for scope in scopes:
            kind, _, rest = scope.partition(":")
            name, _, actions = rest.rpartition(":")
            allowed = [action for action in actions.split(",") if account or action == "pull"]
            access.append({"type": kind, "name": name, "actions": allowed})
        claims = {
            "iss": self.issuer,
            "sub": account,
            "aud": self.service,
            "exp": now + max(self.life_s, 1),
            "nbf": now - 60,
            "iat": now,
            "jti": secrets.token_hex(8),
            "access": access,
        }
        der = self._authority.public_bytes(serialization.Encoding.DER)
        header = {"typ": "JWT", "alg": "ES256", "x5c": [base64.b64encode(der).decode()]}
        signed = f"{_encode(json.dumps(header).encode())}.{_encode(json.dumps(claims).encode())}"
        r, s = decode_dss_signature(self._key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
        return {"token": f"{signed}.{_encode(signature)}", "expires_in": self.life_s}


def _basic(header: str) -> tuple[str, str] | None:
    if not header.startswith("Basic "):
        return None
    name, _, password = base64.b64decode(header[6:]).decode().partition(":")
    return name, password


def _scopes(path: str) -> list[str]:
    return [scope for value in parse_qs(urlsplit(path).query).get("scope", []) for scope in value.split()]


def _encode(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
