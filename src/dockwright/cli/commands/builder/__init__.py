"""The commands of `dockwright builder`, one file each."""
