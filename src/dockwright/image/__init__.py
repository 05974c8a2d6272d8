"""Images: what they are called, what they hold, and bringing them in and out.

What belongs here: names, documents, layers put together, garbage. What does not: containers, the registry protocol, HTTP.
"""

from dockwright.image.comparing import FileDifference, ImageDifference, PackageDifference
from dockwright.image.making import Commit
from dockwright.image.manager import Images, ImageUsage
from dockwright.image.progress import Progress
from dockwright.image.records import IMAGE_SCHEMA
from dockwright.image.removal import ImageUser
from dockwright.image.retention import Retention
from dockwright.image.store import Image
from dockwright.image.transfers import TransferLimits

__all__ = [
    "IMAGE_SCHEMA",
    "Commit",
    "FileDifference",
    "Image",
    "ImageDifference",
    "ImageUsage",
    "ImageUser",
    "Images",
    "PackageDifference",
    "Progress",
    "Retention",
    "TransferLimits",
]
