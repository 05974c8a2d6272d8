"""The event bus: publish, history since a time, follow.

Shapes follow the Engine API's `EventMessage`. Events are kept in SQLite with a retention by count, so `since` works
across restarts (Docker keeps 256 in memory).
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import msgspec

from dockwright.store import Database, Schema

EVENT_SCHEMA = Schema(
    "events",
    [
        "CREATE TABLE event (id INTEGER PRIMARY KEY, time_ns INTEGER NOT NULL, body BLOB NOT NULL);"
        "CREATE INDEX event_time ON event (time_ns)"
    ],
)

KEPT = 10_000
QUEUE_LIMIT = 4096


class Event(msgspec.Struct, frozen=True):
    """One thing that happened: `type` is container, image, network, volume, daemon or builder.

    `actor_id` is the id of the thing, `attributes` its labels and what the action adds, `time_ns` nanoseconds since 1970.
    """

    type: str
    action: str
    actor_id: str
    attributes: dict[str, str] = msgspec.field(default_factory=dict)
    time_ns: int = 0


Matches = Callable[[Event], bool]


@dataclass(eq=False)
class _Follower:
    matches: Matches
    queue: asyncio.Queue[Event | None] = field(default_factory=lambda: asyncio.Queue(QUEUE_LIMIT))
    lagged: bool = False


class Events:
    """Publish and follow. A slow follower never slows the publisher: past `QUEUE_LIMIT` unread events its stream ends."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._followers: set[_Follower] = set()
        self._unsaved: list[Event] = []
        self._last_ns = 0
        self._published = 0

    @property
    def followers(self) -> int:
        """How many streams are open (`NEventsListener` of `info`)."""
        return len(self._followers)

    async def publish(self, type: str, action: str, actor_id: str, /, **attributes: str) -> Event:
        """Keep the event and hand it to every follower. Times are strictly increasing in one daemon's life."""
        event = self._stamp(type, action, actor_id, attributes)
        body = msgspec.json.encode(event)
        self._published += 1
        prune = self._published % 1000 == 0

        def save(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT INTO event (time_ns, body) VALUES (?, ?)", (event.time_ns, body))
            if prune:
                connection.execute("DELETE FROM event WHERE id <= (SELECT MAX(id) FROM event) - ?", (KEPT,))

        # Followers hear it in the same step that stamped it: the order they see is the order of the stamps.
        for follower in tuple(self._followers):
            self._offer(follower, event)
        self._unsaved.append(event)
        try:
            await self._database.write(save)
        finally:
            self._unsaved.remove(event)
        return event

    async def follow(
        self, matches: Matches, *, since_ns: int | None = None, until_ns: int | None = None
    ) -> AsyncIterator[Event]:
        """Past events from `since_ns` on, then new ones until `until_ns`; without `until_ns` it goes on for ever.

        History and subscription are one step: nothing is missed or told twice in between.
        """
        follower = _Follower(matches)
        self._followers.add(follower)
        try:
            last_ns = -1
            if since_ns is not None:
                for event in await self._history(since_ns, until_ns):
                    if matches(event):
                        yield event
                    last_ns = event.time_ns
            while True:
                remaining = None if until_ns is None else (until_ns - time.time_ns()) / 1e9
                try:
                    async with asyncio.timeout(None if remaining is None else max(remaining, 0)):
                        event_or_end = await follower.queue.get()
                except TimeoutError:
                    return
                if event_or_end is None or (until_ns is not None and event_or_end.time_ns > until_ns):
                    return
                if event_or_end.time_ns > last_ns:
                    yield event_or_end
        finally:
            self._followers.discard(follower)

    async def _history(self, since_ns: int, until_ns: int | None) -> list[Event]:
        unsaved = list(self._unsaved)

        def load(connection: sqlite3.Connection) -> list[bytes]:
            rows = connection.execute(
                "SELECT body FROM event WHERE time_ns >= ? AND time_ns <= ? ORDER BY time_ns",
                (since_ns, until_ns if until_ns is not None else 2**63 - 1),
            )
            return [row[0] for row in rows]

        found = {
            event.time_ns: event
            for event in (msgspec.json.decode(body, type=Event) for body in await self._database.read(load))
        }
        for event in unsaved:
            if since_ns <= event.time_ns and (until_ns is None or event.time_ns <= until_ns):
                found[event.time_ns] = event
        return [found[key] for key in sorted(found)]

    def _stamp(self, type: str, action: str, actor_id: str, attributes: dict[str, str]) -> Event:
        self._last_ns = max(time.time_ns(), self._last_ns + 1)
        return Event(type, action, actor_id, attributes, self._last_ns)

    def _offer(self, follower: _Follower, event: Event) -> None:
        if follower.lagged or not follower.matches(event):
            return
        if follower.queue.qsize() >= QUEUE_LIMIT - 1:
            follower.lagged = True
            follower.queue.put_nowait(None)
            return
        follower.queue.put_nowait(event)
