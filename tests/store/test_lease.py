"""The lease on a cluster: one holder at a time, by the database's clock, and no write of a former one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from autoscaler.model import History
from autoscaler.store import Opened, RecoveringStore, Store, StoreUnavailable, open_store, open_to_command
from tests.store import servers
from tests.store.builders import KEY, ROOMY, T0, a_command, a_history, a_pass, a_request, a_status

MINUTE = 60_000
Open = Callable[[], Store]


@pytest.fixture
def another(url: str) -> Iterator[Open]:
    """Give a function that opens the same database once more, as another process would."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(closing(open_store(url, ROOMY, T0).store))


def test_a_lease_has_one_holder(another: Open) -> None:
    """Who holds it renews it under the same token; another is told who does, until it is given back."""
    a, b = another(), another()
    assert a.hold_lease("c", "a", MINUTE, T0).token == 1
    assert b.hold_lease("c", "b", MINUTE, T0).holder == "a"
    renewed = a.hold_lease("c", "a", MINUTE, T0 + 1)
    assert (renewed.holder, renewed.token) == ("a", 1)
    assert b.release_lease("c", "b", T0) == renewed
    assert a.release_lease("c", "a", T0) is None
    assert b.release_lease("c", "b", T0) is None
    taken = b.hold_lease("c", "b", MINUTE, T0)
    assert (taken.holder, taken.token) == ("b", 2)


def test_each_cluster_has_its_own(another: Open) -> None:
    """Clusters that share a store have a lease each; case tells them apart."""
    a, b = another(), another()
    assert a.hold_lease("c", "a", MINUTE, T0).holder == "a"
    assert b.hold_lease("C", "b", MINUTE, T0).holder == "b"


def test_an_expired_lease_is_anybodys(another: Open) -> None:
    """After its time it goes to whoever asks first, with a higher token; its holder may renew it late if nobody did."""
    a, b = another(), another()
    a.hold_lease("c", "a", -1, T0)
    assert a.hold_lease("c", "a", -1, T0).token == 1
    assert b.hold_lease("c", "b", MINUTE, T0).token == 2
    assert a.hold_lease("c", "a", MINUTE, T0).holder == "b"


@pytest.mark.parametrize("url", [pytest.param("file")], indirect=True)
def test_a_file_goes_by_the_machines_clock(another: Open) -> None:
    """Processes that share a file share the clock that is handed in; not a millisecond too early."""
    a, b = another(), another()
    expires_at = a.hold_lease("c", "a", MINUTE, T0).expires_at
    assert expires_at == T0 + MINUTE
    assert b.hold_lease("c", "b", MINUTE, expires_at - 1).holder == "a"
    assert b.hold_lease("c", "b", MINUTE, expires_at).holder == "b"


def test_a_server_goes_by_its_own_clock(server: servers.Server) -> None:
    """A machine whose clock is years ahead takes no lease early, and one that is behind holds none longer."""
    url = server.new_database()
    with closing(open_store(url, ROOMY, T0).store) as a, closing(open_store(url, ROOMY, T0).store) as b:
        a.hold_lease("c", "a", MINUTE, 0)
        assert b.hold_lease("c", "b", MINUTE, 2**52).holder == "a"
        a.hold_lease("c", "a", -1, 2**52)
        assert b.hold_lease("c", "b", MINUTE, 0).holder == "b"


def test_who_stands_still_within_a_transaction_blocks_nobody_for_long(server: servers.Server) -> None:
    """A holder that is frozen, or whose machine is gone, while it writes keeps the lease's row locked for seconds."""
    url = server.new_database()
    with closing(open_store(url, ROOMY, T0).store) as a, closing(open_store(url, ROOMY, T0).store) as b:

        def is_taken() -> bool:
            try:
                return b.hold_lease("c", "b", MINUTE, T0).holder == "b"
            except StoreUnavailable:  # after it has waited for the lock
                return False

        a.hold_lease("c", "a", -1, T0)
        frozen = ExitStack()
        frozen.enter_context(a.writing())
        assert not is_taken()
        assert any(is_taken() for _ in range(3))
        with pytest.raises(StoreUnavailable):
            frozen.close()


def test_of_many_at_once_one_gets_it(another: Open) -> None:
    """Daemons that ask in the same instant, for the first time too, agree on one of them."""
    stores = [another() for _ in range(6)]
    with ThreadPoolExecutor(len(stores)) as pool:
        for cluster in ("c", "d", "e"):
            found = pool.map(lambda n, c=cluster: stores[n].hold_lease(c, f"holder {n}", MINUTE, T0), range(6))
            assert len({lease.holder for lease in found}) == 1


def test_a_former_holder_writes_nothing(another: Open) -> None:
    """Once another has taken the lease every write of the former holder is refused, by name, and reads go on."""
    a, b = another(), another()
    a.save_memory(KEY, a_history())
    a.hold_lease("c", "a", -1, T0)
    a.save_memory(KEY, History())  # expired, but nobody took it
    b.hold_lease("c", "b", MINUTE, T0)
    b.save_memory(KEY, a_history())
    for attempt in (
        lambda: a.save_memory(KEY, History()),
        lambda: a.add_request(a_request()),
        lambda: a.save_status(a_status()),
        lambda: a.retain(T0),
    ):
        with pytest.raises(StoreUnavailable, match="the lease of a is lost, b holds it"):
            attempt()
    assert a.memory(KEY) == a_history()
    assert a.open_requests() == ()


def test_commands_need_no_lease(url: str, another: Open) -> None:
    """An operator's commands are written while a daemon holds the lease."""
    another().hold_lease("c", "a", MINUTE, T0)
    with closing(open_to_command(url, ROOMY)) as store:
        store.set_command(a_command())
        assert store.commands("j-1", T0) == (a_command(),)


# ------------------------------------------------------------------ the daemon's store


def test_who_stands_by_keeps_nothing(path: Path) -> None:
    """Without the lease nothing is stored and nothing fails, but for an intent, which may not be sent unstored."""
    url = f"sqlite:///{path}"
    with closing(open_store(url, ROOMY, T0).store) as other:
        store = RecoveringStore(url, ROOMY, lambda: T0, pytest.fail, open_store(url, ROOMY, T0))
        other.hold_lease("c", "other", MINUTE, T0)
        assert store.hold_lease("c", "me", MINUTE, T0).holder == "other"
        store.record_pass(a_pass(history=a_history()))
        store.save_status(a_status())
        store.retain(T0)
        with pytest.raises(StoreUnavailable, match="another daemon acts"):
            store.add_request(a_request())
        assert (other.keys(), other.open_requests()) == ((), ())
        other.release_lease("c", "other", T0)
        store.hold_lease("c", "me", MINUTE, T0)
        store.record_pass(a_pass(history=a_history()))
        assert other.memory(KEY) == a_history()
        store.close()


def test_a_standby_shows_its_statuses_where_nobody_else_does() -> None:
    """In a store of its own, of which no other daemon holds the lease, a standby's `status` is not a stale one."""
    opened = open_store("sqlite://", ROOMY, T0).store
    store = RecoveringStore("sqlite://", ROOMY, lambda: T0, pytest.fail, Opened(store=opened))
    assert store.release_lease("c", "me", T0) is None
    store.record_pass(a_pass(history=a_history()))
    assert (opened.statuses(), opened.memory(KEY)) == ((a_status(),), History())
    store.close()
