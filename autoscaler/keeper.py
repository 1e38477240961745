"""Keeps a copy of the store's essentials on another machine, and begins from it where the local store holds nothing.

For a store in a file: a master that is replaced, and its disk with it, takes up commands, history and requests where
the one before left them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from autoscaler.cluster import Depot, DepotError
from autoscaler.model import Millis
from autoscaler.store import StoreError, StoreUnavailable
from autoscaler.telemetry import Journal

COPY_EVERY: Millis = 600_000
RETRY: Millis = 10_000
PATIENCE: Millis = 900_000  # HDFS comes up some minutes after a master's services have started
_TIMEOUT_S = 30.0
_AT_THE_END_S = 5.0  # a PUT on the wire may have taken 8 s before, and systemd waits for 20


class Essentials(Protocol):
    """A store whose essentials can be copied."""

    def is_empty(self) -> bool: ...
    def essentials(self) -> bytes: ...
    def take_essentials(self, copied: bytes) -> None: ...


class Keeper:
    """The copy of one store. ``where`` names it in messages; ``acts`` tells whether this daemon's store is the one to
    copy: of several daemons only the acting one's is."""

    def __init__(
        self,
        depot: Depot,
        where: str,
        store: Essentials,
        journal: Journal,
        acts: Callable[[], bool],
        since: Millis,
    ) -> None:
        self._depot = depot
        self._where = where
        self._store = store
        self._journal = journal
        self._acts = acts
        self._since = since

    def has_begun(self, now: Millis) -> bool:
        """Fill an empty store from the copy; false while it is not known whether there is one, and to be asked again.

        Until then nothing may be written: the copy would be lost with the next one. After ``PATIENCE`` jobs must not
        wait any longer.
        """
        try:
            if not self._store.is_empty():
                return True
            copied = self._depot.read(_TIMEOUT_S)
            if copied is not None:
                self._store.take_essentials(copied)
                self._journal.note("the store begins from its copy", copy=self._where, bytes=len(copied))
        except (DepotError, StoreUnavailable) as error:
            if now - self._since < PATIENCE:
                self._journal.once(
                    "copy", "the store's copy cannot be read; waiting for it", copy=self._where, error=str(error)
                )
                return False
            self._journal.warn("the store begins without its copy", copy=self._where, error=str(error))
        except StoreError as error:
            self._journal.warn("the store begins without its copy", copy=self._where, error=str(error))
        return True

    def copy(self, timeout_s: float = _TIMEOUT_S) -> None:
        """Write the copy anew, if this daemon acts."""
        if not self._acts():
            return
        try:
            self._depot.write(self._store.essentials(), timeout_s)
        except (DepotError, StoreError) as error:
            self._journal.once(
                "copy", "the store cannot be copied; the last copy stays", copy=self._where, error=str(error)
            )
        else:
            self._journal.over("copy", "the store is copied again", copy=self._where)

    def part(self) -> None:
        """The last copy, before the process ends."""
        self.copy(_AT_THE_END_S)
