"""Dockwright: a Docker-compatible container platform.

Importing this package imports nothing else: the command line's start-up time depends on it.
"""

__version__ = "0.1.0"
