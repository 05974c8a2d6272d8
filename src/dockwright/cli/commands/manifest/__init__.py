"""The commands of `dockwright manifest`, one file each."""
