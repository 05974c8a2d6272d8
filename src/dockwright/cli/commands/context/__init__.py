"""The commands of `dockwright context`, one file each."""
