"""The figures behind `stats`: counters of the engine as percentages, for many containers over one poll loop."""

from __future__ import annotations

from dockwright import errors
from dockwright.client import wirejson
from dockwright.client.calls import containers, system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from dockwright.cli.session import Session
    from dockwright.client.sync import Response

_DRAW_EVERY_S = 0.5


class Usage:
    """One container's use at one moment; not `valid` before the first figures."""

    def __init__(self, container: str) -> None:
        self.container = container
        self.id = container
        self.name = ""
        self.valid = False
        self.cpu_percent = self.memory = self.memory_limit = self.memory_percent = 0.0
        self.received = self.sent = self.block_read = self.block_written = 0.0
        self.pids = 0

    def take(self, sample: dict[str, Any]) -> None:
        """The figures of one `stats` object."""
        self.id = sample.get("id") or self.id
        self.name = str(sample.get("name", "")).removeprefix("/")
        memory = sample.get("memory_stats") or {}
        self.memory = _memory(memory)
        self.memory_limit = float(memory.get("limit") or 0)
        self.memory_percent = 100.0 * self.memory / self.memory_limit if self.memory_limit else 0.0
        self.cpu_percent = _cpu_percent(sample)
        networks = (sample.get("networks") or {}).values()
        self.received = float(sum(one.get("rx_bytes", 0) for one in networks))
        self.sent = float(sum(one.get("tx_bytes", 0) for one in networks))
        entries = (sample.get("blkio_stats") or {}).get("io_service_bytes_recursive") or []
        self.block_read = float(sum(one["value"] for one in entries if one.get("op", "")[:1] in ("r", "R")))
        self.block_written = float(sum(one["value"] for one in entries if one.get("op", "")[:1] in ("w", "W")))
        self.pids = int((sample.get("pids_stats") or {}).get("current") or 0)
        self.valid = True


def _memory(memory: dict[str, Any]) -> float:
    """What is used, without the page cache that the kernel would give back (cgroup v1, then v2)."""
    used, parts = float(memory.get("usage") or 0), memory.get("stats") or {}
    for key in ("total_inactive_file", "inactive_file"):
        if parts.get(key, used) < used:
            return used - float(parts[key])
    return used


def _cpu_percent(sample: dict[str, Any]) -> float:
    now, before = sample.get("cpu_stats") or {}, sample.get("precpu_stats") or {}
    usage, usage_before = now.get("cpu_usage") or {}, before.get("cpu_usage") or {}
    spent = float(usage.get("total_usage") or 0) - float(usage_before.get("total_usage") or 0)
    passed = float(now.get("system_cpu_usage") or 0) - float(before.get("system_cpu_usage") or 0)
    cpus = now.get("online_cpus") or len(usage.get("percpu_usage") or ())
    return spent / passed * cpus * 100.0 if spent > 0 and passed > 0 else 0.0


class Watcher:
    """The containers named, or those that run (with `everything`: that exist)."""

    def __init__(self, session: Session, names: Sequence[str], *, everything: bool) -> None:
        self._session = session
        self._names = list(names)
        self._everything = everything

    def _chosen(self) -> list[str]:
        if self._names:
            return self._names
        rows = self._session.client.json(containers.list(all=self._everything))
        return [row["Id"][:12] for row in rows]

    def once(self) -> list[Usage]:
        """Two samples of each container, as a percentage needs: the engine takes them when it is not asked for a stream."""
        streams = [
            (Usage(name), self._session.client.send(containers.stats(name, stream=False))) for name in self._chosen()
        ]
        for usage, response in streams:
            for sample in response.values():
                usage.take(sample)
        return [usage for usage, _ in streams]

    def follow(self) -> Iterator[list[Usage]]:
        """The containers' use, again and again; with no names those that start and stop come and go."""
        client = self._session.client
        following = None if self._names else client.send(system.events(filters={"type": ["container"]}))
        rows: dict[str, tuple[Usage, Response, wirejson.Stream]] = {}
        for name in self._chosen():
            self._add(rows, name)
        yield [usage for usage, _, _ in rows.values()]
        while rows or following is not None:
            self._wait(rows, following)
            yield [usage for usage, _, _ in rows.values()]

    def _add(self, rows: dict[str, tuple[Usage, Response, wirejson.Stream]], name: str) -> None:
        try:
            usage, stream = Usage(name), wirejson.Stream()
            response = self._session.client.send(containers.stats(name))
            for sample in stream.feed(response.buffered() or b"\n"):
                usage.take(sample)
            rows[name] = (usage, response, stream)
        except errors.NotFound:
            if self._names:
                raise

    def _wait(self, rows: dict[str, tuple[Usage, Response, wirejson.Stream]], following: Response | None) -> None:
        """Take what arrives in half a second, so that many containers do not redraw the screen many times."""
        from select import POLLIN, poll
        from time import monotonic

        until = monotonic() + _DRAW_EVERY_S
        while (left := until - monotonic()) > 0:
            waiter = poll()
            names = {}
            for name, (_, response, _) in rows.items():
                waiter.register(response.fileno(), POLLIN)
                names[response.fileno()] = name
            if following is not None:
                waiter.register(following.fileno(), POLLIN)
            for descriptor, _ in waiter.poll(left * 1000):
                if descriptor in names:
                    self._take(rows, names[descriptor])
                elif following is not None:
                    self._changed(rows, following.receive())

    def _take(self, rows: dict[str, tuple[Usage, Response, wirejson.Stream]], name: str) -> None:
        usage, response, stream = rows[name]
        for sample in stream.feed(response.receive()):
            usage.take(sample)
        if response.finished:
            del rows[name]

    def _changed(self, rows: dict[str, tuple[Usage, Response, wirejson.Stream]], data: bytes) -> None:
        for event in wirejson.Stream().feed(data):
            name = str(event.get("id") or event.get("Actor", {}).get("ID", ""))[:12]
            action = event.get("Action") or event.get("status")
            if action == ("create" if self._everything else "start") and name not in rows:
                self._add(rows, name)
            elif action == ("destroy" if self._everything else "die") and name in rows:
                rows.pop(name)[1].close()
