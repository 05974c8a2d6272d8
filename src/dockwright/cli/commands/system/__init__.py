"""The commands of `dockwright system`, one file each."""
