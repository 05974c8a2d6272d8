"""What a build gives: exporters, one for the image store, one for archives of images, one for files.

    output, parsing         what may be asked for
    sink, places            where it goes to
    result                  what there is to give
    documents, statements   configuration, manifest, index; what is attested
    exporting, directories  the exporters

What does not belong here: how an image is stored, compressed or pushed (`image/products.py`).
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
