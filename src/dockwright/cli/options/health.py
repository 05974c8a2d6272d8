"""`--health-*` and `--no-healthcheck`."""

from __future__ import annotations

from dockwright import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from dockwright.cli.flags import Options

_TIMES = {
    "health-interval": "Interval",
    "health-timeout": "Timeout",
    "health-start-period": "StartPeriod",
    "health-start-interval": "StartInterval",
}


def healthcheck(options: Options) -> dict[str, Any] | None:
    """The API's `Healthcheck`, `None` where nothing was asked. Raises `errors.Invalid`."""
    asked = options.any_given("health-cmd", "health-retries", *_TIMES)
    if options.on("no-healthcheck"):
        if asked:
            raise errors.Invalid("--no-healthcheck conflicts with --health-* options")
        return {"Test": ["NONE"]}
    if not asked:
        return None
    found: dict[str, Any] = {}
    if options.text("health-cmd"):
        found["Test"] = ["CMD-SHELL", options.text("health-cmd")]
    for name, key in _TIMES.items():
        if options.number(name) < 0:
            raise errors.Invalid(f"--{name} cannot be negative")
        found[key] = options.number(name)
    if options.number("health-retries") < 0:
        raise errors.Invalid("--health-retries cannot be negative")
    found["Retries"] = options.number("health-retries")
    return found
