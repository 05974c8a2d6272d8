"""What `--call` prints: the frontend's answer, for people or as JSON."""

from __future__ import annotations

import json
from typing import Any

from dockwright.cli.building.entries import Question
from dockwright.cli.command import ExitStatus
from dockwright.cli.session import Session
from dockwright.excerpts import excerpt


def show(session: Session, asked: Question, answer: dict[str, bytes], shown: str) -> int:
    """Print; the exit status is the answer's own. `shown` is what people call the Dockerfile."""
    texts = {key: value.decode(errors="replace") for key, value in answer.items()}
    if asked.form == "json":
        session.out(texts.get("result.json", "{}").rstrip("\n") + "\n")
    elif asked.name == "lint":
        _lint(session, json.loads(texts.get("result.json") or "{}"), shown)
    else:
        session.out(texts.get("result.txt") or texts.get("result.json", ""))
    status = texts.get("result.statuscode", "0")
    return 0 if asked.ignore_status or not status.isdigit() else int(status)


def _lint(session: Session, found: dict[str, Any], shown: str) -> None:
    """Raises `ExitStatus` for an error of the Dockerfile."""
    warnings = found.get("warnings") or []
    if warnings:
        count = "1 warning has" if len(warnings) == 1 else f"{len(warnings)} warnings have"
        session.line(f"Check complete, {count} been found!")
    for one in sorted(warnings, key=lambda one: min(_lines(one), default=0)):
        url = f" - {one['url']}" if one.get("url") else ""
        session.out(f"\nWARNING: {one.get('ruleName', '')}{url}\n{one.get('detail', '')}\n")
        session.out(_excerpt(found, one, shown))
    if error := found.get("buildError"):
        blank = "\n" if warnings else ""
        raise ExitStatus(1, f"{blank}ERROR: {error.get('message', '')}\n{_excerpt(found, error, shown)}".rstrip("\n"))
    if not warnings:
        session.line("Check complete, no warnings found.")


def _lines(one: dict[str, Any]) -> list[int]:
    places = (one.get("location") or {}).get("ranges") or []
    return [
        line
        for place in places
        for line in range(place["start"]["line"], max(place["end"]["line"], place["start"]["line"]) + 1)
    ]


def _excerpt(found: dict[str, Any], one: dict[str, Any], shown: str) -> str:
    import base64

    sources = found.get("sources") or []
    number = (one.get("location") or {}).get("sourceIndex", 0)
    if not 0 <= number < len(sources):
        return ""
    text = base64.b64decode(sources[number].get("data") or "").decode(errors="replace")
    return excerpt(shown, text, _lines(one))
