"""Which images there are and what they are called: rows in SQLite, and the same in memory, as a start must not wait for a
query. An image without a name is dangling; it stays until it is removed or pruned."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Iterable
from dataclasses import dataclass

from dockwright.oci import Descriptor, Digest, Reference, reference
from dockwright.store import Database, Schema

IMAGE_SCHEMA = Schema(
    "images",
    [
        # `arrived_ns`: when this host got it; `parent`: what it was committed from.
        "CREATE TABLE image (digest TEXT PRIMARY KEY, media_type TEXT NOT NULL, size INTEGER NOT NULL,"
        " arrived_ns INTEGER NOT NULL, parent TEXT);"
        "CREATE TABLE image_name (name TEXT PRIMARY KEY, digest TEXT NOT NULL REFERENCES image (digest),"
        " tagged_ns INTEGER NOT NULL);"
        "CREATE INDEX image_name_digest ON image_name (digest)",
        # Which repositories were seen to hold a blob: see `sources.py`.
        "CREATE TABLE blob_source (digest TEXT NOT NULL, repository TEXT NOT NULL, seen_ns INTEGER NOT NULL,"
        " PRIMARY KEY (digest, repository)) WITHOUT ROWID",
        # `used_ns`: when somebody last asked for the image, to the minute. Referrers: see `Records.referrers`.
        "ALTER TABLE image ADD COLUMN used_ns INTEGER NOT NULL DEFAULT 0;"
        "CREATE TABLE image_referrer (digest TEXT PRIMARY KEY, media_type TEXT NOT NULL, size INTEGER NOT NULL,"
        " subject TEXT NOT NULL) WITHOUT ROWID",
    ],
)

_USED_NS = 60 * 10**9


@dataclass(frozen=True, slots=True)
class ImageRow:
    """One image. Times are nanoseconds since 1970."""

    target: Descriptor
    arrived_ns: int
    parent: Digest | None

    @property
    def digest(self) -> Digest:
        """The image's ID."""
        return self.target.digest


class Records:
    """The rows. Reads are immediate; writes are in memory once they are on the disk."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.images: dict[Digest, ImageRow] = {}
        self._names: dict[str, tuple[Reference, Digest, int]] = {}
        self._by_image: dict[Digest, set[str]] = {}
        self._used: dict[Digest, int] = {}
        # Set whenever an image came or got a name, for whoever waits and clears it.
        self.added = asyncio.Event()
        # Manifests without a name that say something of another (their `subject`), and are kept as long as that is.
        self.referrers: dict[Digest, tuple[Descriptor, Digest]] = {}

    async def load(self) -> None:
        """Read everything, once."""

        images, names, referrers = await self._database.read(
            lambda db: (
                db.execute("SELECT digest, media_type, size, arrived_ns, parent, used_ns FROM image").fetchall(),
                db.execute("SELECT name, digest, tagged_ns FROM image_name").fetchall(),
                db.execute("SELECT digest, media_type, size, subject FROM image_referrer").fetchall(),
            )
        )
        for digest, media_type, size, arrived_ns, parent, used_ns in images:
            self.images[digest] = ImageRow(Descriptor(media_type, digest, size), arrived_ns, parent)
            self._used[digest] = used_ns
        for name, digest, tagged_ns in names:
            self._remember(reference.parse(name), digest, tagged_ns)
        for digest, media_type, size, subject in referrers:
            self.referrers[digest] = Descriptor(media_type, digest, size), subject

    def target(self, name: Reference) -> Digest | None:
        """What `name` (with a tag or a digest) refers to."""
        found = self._names.get(str(name))
        return found[1] if found else None

    def names(self, image: Digest) -> list[Reference]:
        """The image's names, sorted."""
        return [self._names[name][0] for name in sorted(self._by_image.get(image, ()))]

    def last_tagged_ns(self, image: Digest) -> int | None:
        """When the image last got a name."""
        return max((self._names[name][2] for name in self._by_image.get(image, ())), default=None)

    def last_used_ns(self, image: Digest) -> int:
        """When the image last came, got a name, or was asked for, to the minute."""
        arrived = self.images[image].arrived_ns
        return max(arrived, self.last_tagged_ns(image) or 0, self._used.get(image, 0))

    async def touch(self, images: Iterable[Digest], now_ns: int) -> None:
        """Somebody uses these images. Written down once a minute at most: a start must not wait for it."""
        news = [image for image in images if image in self.images and now_ns - self._used.get(image, 0) >= _USED_NS]
        if not news:
            return
        self._used.update(dict.fromkeys(news, now_ns))
        await self._database.write(
            lambda db: db.executemany("UPDATE image SET used_ns = ? WHERE digest = ?", [(now_ns, one) for one in news])
        )

    async def add_referrers(self, referrers: Iterable[tuple[Descriptor, Digest]]) -> None:
        """Keep manifests (descriptor, subject) as long as their subjects are kept."""
        news = list(referrers)

        def save(db: sqlite3.Connection) -> None:
            rows = [(one.digest, one.media_type, one.size, subject) for one, subject in news]
            db.executemany("INSERT OR REPLACE INTO image_referrer VALUES (?, ?, ?, ?)", rows)

        await self._database.write(save)
        self.referrers.update({one.digest: (one, subject) for one, subject in news})

    async def drop_referrers(self, digests: Iterable[Digest]) -> None:
        """Forget these manifests."""
        gone = list(digests)

        def save(db: sqlite3.Connection) -> None:
            db.executemany("DELETE FROM image_referrer WHERE digest = ?", [(digest,) for digest in gone])

        await self._database.write(save)
        for digest in gone:
            self.referrers.pop(digest, None)

    def with_prefix(self, prefix: str) -> list[Digest]:
        """Images whose ID starts so, with or without the algorithm."""
        return [
            digest for digest in self.images if digest.startswith(prefix) or digest.partition(":")[2].startswith(prefix)
        ]

    async def add(self, target: Descriptor, names: Iterable[Reference] = (), parent: Digest | None = None) -> None:
        """Add an image, if it is new, and give it `names`, taken from whoever had them."""
        named = list(names)
        now = time.time_ns()
        row = self.images.get(target.digest) or ImageRow(target, now, parent)

        def save(db: sqlite3.Connection) -> None:
            values = (target.digest, target.media_type, target.size, row.arrived_ns, row.parent)
            db.execute(
                "INSERT INTO image (digest, media_type, size, arrived_ns, parent) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT (digest) DO NOTHING",
                values,
            )
            for name in named:
                db.execute("INSERT OR REPLACE INTO image_name VALUES (?, ?, ?)", (str(name), target.digest, now))

        await self._database.write(save)
        self.images[target.digest] = row
        for name in named:
            self._forget(name)
            self._remember(name, target.digest, now)
        self.added.set()

    async def untag(self, names: Iterable[Reference]) -> None:
        """Take names away."""
        gone = list(names)

        def save(db: sqlite3.Connection) -> None:
            db.executemany("DELETE FROM image_name WHERE name = ?", [(str(name),) for name in gone])

        await self._database.write(save)
        for name in gone:
            self._forget(name)

    async def remove(self, image: Digest) -> None:
        """Remove an image and its names."""

        def save(db: sqlite3.Connection) -> None:
            db.execute("DELETE FROM image_name WHERE digest = ?", (image,))
            db.execute("DELETE FROM image WHERE digest = ?", (image,))

        await self._database.write(save)
        for name in self.names(image):
            self._forget(name)
        self.images.pop(image, None)
        self._used.pop(image, None)

    def _remember(self, name: Reference, digest: Digest, tagged_ns: int) -> None:
        self._names[str(name)] = (name, digest, tagged_ns)
        self._by_image.setdefault(digest, set()).add(str(name))

    def _forget(self, name: Reference) -> None:
        found = self._names.pop(str(name), None)
        if found is not None:
            self._by_image[found[1]].discard(str(name))
