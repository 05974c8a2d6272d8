"""The commands of `dockwright network`, one file each."""
