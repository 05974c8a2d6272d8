"""`python -m dockwright.cli`."""

from dockwright.cli.main import main

main()
