"""Joining a person's terminal, or a script's pipes, to a container's streams."""
