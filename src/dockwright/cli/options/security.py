"""`--security-opt`: a seccomp profile is read here and sent along, as the engine may be on another machine."""

from __future__ import annotations

from dockwright import errors
from dockwright.client import wirejson

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def security_options(specs: Iterable[str]) -> tuple[list[str], bool]:
    """The API's `SecurityOpt`, and whether `systempaths=unconfined` was among them. Raises `errors.Invalid`."""
    found, all_paths = [], False
    for spec in specs:
        separator = "=" if "=" in spec else ":"
        name, given, value = spec.partition(separator)
        if not given and name != "no-new-privileges":
            raise errors.Invalid(f'Invalid --security-opt: "{spec}"')
        if spec == "systempaths=unconfined":
            all_paths = True
        elif name == "seccomp" and value not in ("unconfined", "builtin"):
            found.append(f"seccomp={_profile(value)}")
        else:
            found.append(spec)
    return found, all_paths


def _profile(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return wirejson.encode(wirejson.decode(file.read()))
    except OSError as error:
        reason = (error.strerror or "").lower()
        raise errors.Invalid(f"opening seccomp profile ({path}) failed: open {path}: {reason}") from error
    except wirejson.NotJson as error:
        raise errors.Invalid(f"compacting json for seccomp profile ({path}) failed: {error}") from error
