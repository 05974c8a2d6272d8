"""Transfer of file trees as fsutil does it: the sender tells what there is, the receiver asks for what it has not.

modes                   Go's file modes
walking                 what of a directory is told: includes, excludes, links that are followed
sending, receiving      the two ends
headers                 what of a directory the receiver wants, in a call's metadata
"""

from dockwright.buildkit.filesync.headers import Wanted
from dockwright.buildkit.filesync.receiving import Received, receive
from dockwright.buildkit.filesync.sending import send
from dockwright.buildkit.filesync.streams import PacketStream
from dockwright.buildkit.filesync.walking import Filter

__all__ = ["Filter", "PacketStream", "Received", "Wanted", "receive", "send"]
