"""Files that a build reads from elsewhere: git repositories and http addresses, as sources of ADD and as contexts.

gitref          what text names a repository
git             the git program, confined
repositories    commits, fetched and checked out once
downloads       files at addresses, fetched while they change
shelf           where both are kept, and what of it may go
contexts        contexts by address or name
"""

from dockwright.build.sources.contexts import Sources
from dockwright.build.sources.gitref import GitRef
from dockwright.build.sources.repositories import Commit, Repositories

__all__ = ["Commit", "GitRef", "Repositories", "Sources"]
