"""What a Dockerfile says about itself: the answers to BuildKit's subrequests (`docker build --call`).

    answer      requests by name, and the forms that their results have
    outline     what a target can be given: arguments, secrets, agents
    targets     the stages
    lint        what the build checks find
    bases       what is known of base images
    places      lines as BuildKit's messages have them

No image is pulled for any of them.
"""

from dockwright.build.describing.answer import REQUESTS, answer
from dockwright.build.describing.bases import known

__all__ = ["REQUESTS", "answer", "known"]
