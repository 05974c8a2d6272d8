"""The Dockerfile language: text in, stages of typed instructions out, or an error that names the place.

    lines, heredoc, words     from text to logical lines and words
    instructions/             one file each
    stages                    the whole file
    expansion, scope          variables
    checks/                   what works and is likely not meant

Nothing here reads a file or knows what a build does. Follows the Dockerfile 1.x reference.
"""

from dockwright.build.dockerfile.errors import DockerfileError, Span
from dockwright.build.dockerfile.stages import Dockerfile, Stage, parse

__all__ = ["Dockerfile", "DockerfileError", "Span", "Stage", "parse"]
