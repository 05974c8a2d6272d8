"""Using a result of a cache: its layers are brought here, verified by their digests, and unpacked."""

from __future__ import annotations

from collections.abc import Sequence

from dockwright.build.cache.records import Tree
from dockwright.build.progress import Work
from dockwright.build.remote_cache.importing import Found
from dockwright.errors import DockwrightError
from dockwright.image import Images
from dockwright.image.leases import Lease
from dockwright.oci import Digest


async def fetch(images: Images, lease: Lease, found: Found, below: Tree, going: Work) -> tuple[Tree, int] | None:
    """The tree that `found` gives on `below`, held by `lease`, and its topmost layer's bytes on the disk.

    None, when it does not stand on `below` or cannot be had: the step is run then.
    """
    diff_ids = tuple(diff_id for _, diff_id in found.layers)
    if not _stands_on(diff_ids, below):
        return None
    layers = [*zip(below.layers, below.diff_ids, strict=True), found.layers[-1]]
    try:
        with going.part(f"importing {found.layers[-1][0].digest} from {found.reader.name}"):
            size_bytes = await images.products.unpack(lease, layers, found.reader.blob)
            if size_bytes is None:
                return None
            layer = await images.products.compressed(lease, *found.layers[-1], "")
    except DockwrightError as error:
        going.say(f"the cache is not used: {error}\n".encode())
        return None
    return Tree(diff_ids, (*below.layers, layer)), size_bytes


def _stands_on(diff_ids: Sequence[Digest], below: Tree) -> bool:
    return len(diff_ids) == len(below.diff_ids) + 1 and tuple(diff_ids[:-1]) == below.diff_ids
