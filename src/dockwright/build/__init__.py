"""Building images: the Dockerfile language, and what is made of it. HTTP, registries and layers are not in here."""
