"""The wire's shapes: domain objects in, what `msgspec` encodes out."""
