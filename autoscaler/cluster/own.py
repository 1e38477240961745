"""Which of a cluster's ResourceManagers runs on this machine, so that of several daemons the one beside it acts."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

AUTO, ANY = "auto", "any"


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """The addresses of which one must be active for this daemon to act, ``None`` for whichever is.

    ``problem`` is why it cannot be told, with what to do.
    """

    addresses: tuple[str, ...] | None = None
    problem: str | None = None


def own_managers(
    addresses: Sequence[str], chosen: str, is_local: Callable[[str], bool | None], *, shared_store: bool
) -> Own:
    """Find the ResourceManagers of this machine among ``addresses``.

    ``chosen`` is the setting: an address, ``auto`` or ``any``. ``is_local`` tells it of a host, ``None`` where the
    host's name does not resolve. With a store that several machines share, the lease in it decides where none is local.
    """
    if chosen == ANY:
        return Own()
    if chosen != AUTO:
        return Own(addresses=(chosen,))
    if len(addresses) == 1:
        return Own(addresses=tuple(addresses))
    found = {address: is_local(urlsplit(address).hostname or "") for address in addresses}
    local = tuple(address for address, here in found.items() if here)
    unresolved = [address for address, here in found.items() if here is None]
    if local:
        return Own(addresses=local)
    if unresolved:
        return Own(
            problem=f"the host of {', '.join(unresolved)} does not resolve, so it cannot be told which ResourceManager "
            "runs on this machine; name it in own_resource_manager"
        )
    if shared_store:
        return Own()
    return Own(
        problem=f"none of {', '.join(addresses)} runs on this machine; name one in own_resource_manager, or `any` "
        "if no other daemon acts on this cluster"
    )


def is_local(host: str) -> bool | None:
    """Say whether a host is here: only its own addresses can be bound. ``None`` if its name does not resolve."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return None
    return any(_can_be_bound(family, address[0]) for family, _, _, _, address in found)


def _can_be_bound(family: int, address: object) -> bool:
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True
