"""The ways to a store: the daemon's, which heals what it can, and those of commands, which leave it as it is."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Engine

from autoscaler.model import Millis
from autoscaler.store.engine import (
    Place,
    check_readable,
    check_usable,
    ensure_schema,
    is_sound,
    is_there,
    no_store_yet,
    place_of,
    read_only_engine,
    require_schema,
    set_aside,
    writable_engine,
)
from autoscaler.store.errors import StoreError
from autoscaler.store.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """An open store. ``notes`` are sentences for the log; ``history_lost``: there was a history before."""

    store: Store
    notes: tuple[str, ...] = ()
    history_lost: bool = False


def open_store(url: str, max_size_bytes: int, now: Millis) -> Opened:
    """Open the store to read and write, creating it if need be.

    A damaged SQLite file is set aside and a new history begun. Raises ``StoreError`` where somebody has to
    act first and ``StoreUnavailable`` while the disk is full or does not answer; a store at ``sqlite://``, in
    memory, can take its place meanwhile.
    """
    place = place_of(url)
    notes: tuple[str, ...] = ()
    if place.path is not None:
        check_usable(place.path)
        if not is_sound(place.path):
            aside = set_aside(place.path, now)
            notes = (f"the store {place.path} is damaged; it was set aside as {aside} and a new history begins",)
    engine = writable_engine(place, max_size_bytes)
    try:
        ensure_schema(engine, place)
    except BaseException:
        engine.dispose()
        raise
    return Opened(store=Store(engine, place, max_size_bytes), notes=notes, history_lost=bool(notes))


def open_existing(url: str) -> Store:
    """Open a store that is there already, to read only, whether or not a daemon writes to it meanwhile."""
    place = _existing(url)
    return _opened(read_only_engine(place), place, 0)


def open_to_command(url: str, max_size_bytes: int) -> Store:
    """Open a store that is there already to write an operator's commands, whether or not a daemon uses it meanwhile.

    It is not created, so that it never belongs to somebody else than the daemon, and not checked for damage, which
    is set aside by the daemon alone.
    """
    place = _existing(url)
    if place.path is not None:
        check_usable(place.path)
    return _opened(writable_engine(place, max_size_bytes), place, max_size_bytes)


def _existing(url: str) -> Place:
    place = place_of(url)
    if place.in_memory:
        raise StoreError("store.url is in memory, where only the daemon itself can reach it")
    if place.path is not None:
        if not is_there(place.path):
            raise StoreError(no_store_yet(place))
        check_readable(place.path)
    return place


def _opened(engine: Engine, place: Place, max_size_bytes: int) -> Store:
    try:
        require_schema(engine, place)
    except BaseException:
        engine.dispose()
        raise
    return Store(engine, place, max_size_bytes)
