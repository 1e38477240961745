"""Going on without the store while it cannot be used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from autoscaler.loop.ports import Environment
from autoscaler.store import StoreUnavailable


@contextmanager
def tolerated(env: Environment) -> Iterator[None]:
    """Surround reads and writes that can be done without: the first failure ends the block and is said once."""
    try:
        yield
    except StoreUnavailable as error:
        store_failed(env, error)


def store_failed(env: Environment, error: StoreUnavailable) -> None:
    """Count a failure of the store, and say so unless that was the last thing said of it."""
    env.counters.add("store_errors")
    env.journal.once("store", "the store cannot be used: nothing is rescaled until it can", error=str(error))


def store_answered(env: Environment) -> None:
    env.journal.over("store", "the store can be used again")
