"""What happened: the event bus and its history. An event is told after it is true and persisted."""

from dockwright.events.bus import EVENT_SCHEMA, Event, Events

__all__ = ["EVENT_SCHEMA", "Event", "Events"]
