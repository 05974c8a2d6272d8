"""What a build gives: exporters, one for the image store, one for archives of images, one for files.

output, parsing         what may be asked for
sink, places            where it goes to
result                  what there is to give
documents               configuration, manifest, index
store, archives, directories        the exporters
"""

from dockwright.build.outputs.output import (
    Annotation,
    Compression,
    Format,
    Output,
    ToArchive,
    ToDirectory,
    ToStore,
)
from dockwright.build.outputs.parsing import parse
from dockwright.build.outputs.places import DirectorySink, FileSink
from dockwright.build.outputs.sink import Sink

__all__ = [
    "Annotation",
    "Compression",
    "DirectorySink",
    "FileSink",
    "Format",
    "Output",
    "Sink",
    "ToArchive",
    "ToDirectory",
    "ToStore",
    "parse",
]
