"""The commands of `dockwright image`, one file each."""
