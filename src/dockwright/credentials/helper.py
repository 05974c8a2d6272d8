"""Programs that keep credentials: `docker-credential-NAME` with `get`, `store`, `erase` and `list` on stdin and stdout."""

from __future__ import annotations

import json
import shutil
from typing import Any

from dockwright.credentials.credential import Credentials
from dockwright.errors import HostFailure, Invalid

PREFIX = "docker-credential-"
# A helper may ask a person for a passphrase; one that never answers must not hold its caller for ever.
LIMIT_S = 120.0
# In place of a user name: what is kept is an identity token.
_TOKEN_USER = "<token>"
_ABSENT = "credentials not found in native keychain"


class Helper:
    """One helper program. Every call starts it once; all raise `HostFailure` with what it said when it fails."""

    def __init__(self, name: str) -> None:
        """Raises `Invalid` for a name that would lead out of the search path."""
        if not name or "/" in name or "\0" in name:
            raise Invalid(f"invalid credential helper {name!r}: the name of a program {PREFIX}NAME is expected")
        self.name = name
        self._program = PREFIX + name

    def get(self, server: str) -> Credentials | None:
        """What is kept for `server`, if anything."""
        status, said = self._run("get", server)
        if status != 0:
            if said == _ABSENT:
                return None
            raise self._failure("get", said)
        document = self._decode(said)
        username, secret = str(document.get("Username", "")), str(document.get("Secret", ""))
        if username == _TOKEN_USER:
            return Credentials(identity_token=secret)
        return Credentials(username, secret)

    def store(self, server: str, credentials: Credentials) -> None:
        """Keep `credentials` for `server`, in place of what was kept."""
        token = credentials.identity_token
        document = {
            "ServerURL": server,
            "Username": _TOKEN_USER if token else credentials.username,
            "Secret": token or credentials.password,
        }
        status, said = self._run("store", json.dumps(document))
        if status != 0:
            raise self._failure("store", said)

    def erase(self, server: str) -> None:
        """Forget what is kept for `server`; nothing kept is fine."""
        status, said = self._run("erase", server)
        if status != 0 and said != _ABSENT:
            raise self._failure("erase", said)

    def list(self) -> dict[str, str]:
        """User names by server."""
        status, said = self._run("list", "unused")
        if status != 0:
            raise self._failure("list", said)
        return {str(server): str(username) for server, username in self._decode(said).items()}

    def _run(self, action: str, text: str) -> tuple[int, str]:
        import subprocess  # 8 ms that only those pay who have a helper

        try:
            done = subprocess.run(
                [self._program, action], input=text.encode(), stdout=subprocess.PIPE, timeout=LIMIT_S, check=False
            )
        except FileNotFoundError:
            raise HostFailure(
                f'error getting credentials: exec: "{self._program}": executable file not found in $PATH'
            ) from None
        except OSError as error:
            raise HostFailure(f"cannot run {self._program}: {error.strerror}") from error
        except subprocess.TimeoutExpired:
            raise HostFailure(f"{self._program} {action} did not answer within {LIMIT_S:.0f} s") from None
        return done.returncode, done.stdout.decode("utf-8", "replace").strip()

    def _decode(self, said: str) -> dict[str, Any]:
        try:
            document = json.loads(said or "{}")
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):  # its answer may hold a secret: it is not repeated
            raise HostFailure(f"{self._program} answered with something other than a JSON object")
        return document

    def _failure(self, action: str, said: str) -> HostFailure:
        return HostFailure(f"error calling {self._program} {action}: {said[:500] or 'it gave no reason'}")


def detect() -> str:
    """The helper that this host's users get by default: `pass` or `secretservice` where it is installed, else none."""
    name = "pass" if shutil.which("pass") else "secretservice"
    return name if shutil.which(PREFIX + name) else ""
