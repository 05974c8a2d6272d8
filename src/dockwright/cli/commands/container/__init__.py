"""The commands of `dockwright container`, one file each."""
