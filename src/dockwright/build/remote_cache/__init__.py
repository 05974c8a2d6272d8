"""Build caches that outlive their host: in a registry, in a directory, inside an image.

asked                   what may be asked for
place, places           where they are kept
form                    BuildKit's format of them
importing, exporting    between that and the solver's keys
"""

from dockwright.build.blobs import Reader, Writer
from dockwright.build.remote_cache.asked import CacheFrom, CacheTo, classic, parse_from, parse_to
from dockwright.build.remote_cache.places import DirectoryPlace

__all__ = ["CacheFrom", "CacheTo", "DirectoryPlace", "Reader", "Writer", "classic", "parse_from", "parse_to"]
