"""Build caches that outlive their host: in a registry, in a directory, inside an image.

    asked                   what may be asked for
    places                  where they are kept (the seam is `build.blobs`)
    form                    BuildKit's format of them
    importing, fetching, exporting      between that and the solver's keys

Keys are ours: a cache that BuildKit wrote is read and holds nothing that a build of ours asks for, and the other way round; the
layers of a named image are used wherever its history fits (`CacheFrom.by_history`).
"""

from dockwright.build.blobs import Reader, Writer
from dockwright.build.remote_cache.asked import CacheFrom, CacheTo, classic, parse_from, parse_to
from dockwright.build.remote_cache.places import DirectoryPlace

__all__ = ["CacheFrom", "CacheTo", "DirectoryPlace", "Reader", "Writer", "classic", "parse_from", "parse_to"]
