"""Caches in directories of ours (`type=local`): layouts that the engine reads and writes over the session."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dockwright import errors
from dockwright.cli.building.entries import Cache
from dockwright.cli.building.layouts import Layout

_MANIFEST = "cache.manifest"


@dataclass
class LocalCaches:
    """What a build reads and writes. `layouts` by the name that the protocol gives them."""

    imports: Sequence[Cache]
    exports: Sequence[Cache]
    layouts: dict[str, Layout] = field(default_factory=dict)
    written: dict[str, str] = field(default_factory=dict)  # directory: tag

    @classmethod
    def of(cls, imports: Sequence[Cache], exports: Sequence[Cache], warn: Callable[[str], None]) -> LocalCaches:
        """A local cache that is not there yet is left out, and `warn`ed of. Raises `errors.Invalid`."""
        found = cls((), ())
        found.exports = [found._export(one) for one in exports]
        found.imports = [one for given in imports if (one := found._import(given, warn)) is not None]
        return found

    def _export(self, one: Cache) -> Cache:
        if one.kind != "local":
            return one
        directory = one.attributes.get("dest", "")
        if not directory:
            raise errors.Invalid("local cache exporter requires dest")
        self.layouts[f"local:{directory}"] = Layout(Path(directory))
        self.written[directory] = one.attributes.get("tag", "latest")
        return one

    def _import(self, one: Cache, warn: Callable[[str], None]) -> Cache | None:
        if one.kind != "local":
            return one
        directory = one.attributes.get("src", "")
        if not directory:
            raise errors.Invalid("local cache importer requires src")
        layout = Layout(Path(directory))
        try:
            digest = one.attributes.get("digest") or layout.digest(one.attributes.get("tag", "latest"))
        except (errors.NotFound, errors.HostFailure) as error:
            warn(f"local cache import at {directory} skipped: {error}")
            return None
        self.layouts[f"local:{directory}"] = layout
        return replace(one, attributes={**one.attributes, "digest": digest})

    @property
    def writable(self) -> frozenset[str]:
        """Stores that the engine may write to."""
        return frozenset(f"local:{directory}" for directory in self.written)

    def finish(self, answer: dict[str, str]) -> None:
        """Name what was written, as the engine describes it."""
        described: Any = json.loads(answer.get(_MANIFEST) or "null")
        if isinstance(described, dict):
            for directory, tag in self.written.items():
                if os.path.exists(Layout(Path(directory)).blob(str(described.get("digest")))):
                    Layout(Path(directory)).name(described, tag)
