"""Blobs by digest: the seam `BlobStore` and its implementation on the local file system.

What belongs here: getting bytes in, verified, and out again. What does not: what a blob means, and how long it is kept.
"""

from dockwright.content.blobstore import BlobInfo, BlobStore, Ingest, put, read
from dockwright.content.local import LocalBlobs
from dockwright.content.partial import Partial

__all__ = ["BlobInfo", "BlobStore", "Ingest", "LocalBlobs", "Partial", "put", "read"]
