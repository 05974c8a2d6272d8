"""The events of a container and of what it uses, with Docker's attributes."""

from __future__ import annotations

from dockwright.container.mounts import MountPoint
from dockwright.container.parts import Parts
from dockwright.container.record import Record
from dockwright.network import Attachment


async def tell(parts: Parts, record: Record, action: str, attributes: dict[str, str]) -> None:
    """An event of the container: its image, name and labels, and what the action adds."""
    base = {"image": record.spec.config.image, "name": record.name, **record.spec.config.labels}
    await parts.events.publish("container", action, record.id, **(base | attributes))


async def tell_network(parts: Parts, record: Record, action: str, attachment: Attachment | None) -> None:
    """`connect` or `disconnect` of the network the container is on, if it is on one."""
    if attachment is not None:
        await parts.events.publish(
            "network",
            action,
            attachment.network_id,
            container=record.id,
            name=attachment.network_name,
            type="null" if attachment.network_name == "none" else attachment.network_name,
        )


async def tell_volumes(parts: Parts, record: Record, action: str) -> None:
    """`mount` or `unmount` of every volume of the container."""
    for point in record.spec.points:
        await tell_volume(parts, record, point, action)


async def tell_volume(parts: Parts, record: Record, point: MountPoint, action: str) -> None:
    """The same for one mount; nothing for what is no volume."""
    if point.type != "volume":
        return
    more = {"destination": point.destination, "propagation": point.propagation, "read/write": str(point.rw).lower()}
    await parts.events.publish(
        "volume",
        action,
        point.name,
        container=record.id,
        driver=point.driver,
        **(more if action == "mount" else {}),
    )
