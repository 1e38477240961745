"""The lease on a cluster: one row, taken and renewed under a lock on it, judged by the database's clock.

Machines that share a database server may disagree about the time; the server alone says when a lease has expired. An
SQLite file is shared by processes of one machine, whose clock they all have.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, text, update

from autoscaler.model import Lease, Millis
from autoscaler.store.errors import StoreUnavailable
from autoscaler.store.prepared import Prepared
from autoscaler.store.schema import identity_of_cluster, leases

NOBODY = ""

# Built once, as every discovery asks them and every write the first.
_IS_WANTED = leases.c.cluster == bindparam("wanted")
_LEASE = select(leases.c.holder, leases.c.token, leases.c.expires_at).where(_IS_WANTED)
_SHARED = Prepared(_LEASE.with_for_update(read=True), "wanted")
_LOCKED = Prepared(_LEASE.with_for_update(), "wanted")
_CHANGE = Prepared(update(leases).where(_IS_WANTED), "wanted", "holder", "token", "expires_at")

_SERVER_CLOCKS = {  # not the time the transaction began, which may have waited for the row
    "postgresql": "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint)",
    "mysql": "SELECT CAST(UNIX_TIMESTAMP(SYSDATE(3)) * 1000 AS SIGNED)",
    "mariadb": "SELECT CAST(UNIX_TIMESTAMP(SYSDATE(3)) * 1000 AS SIGNED)",
}


def begin(connection: Connection, cluster: str) -> None:
    """Make the row of a cluster, held by nobody. It has to be there before it is locked: on a row that is missing MySQL
    lets several lock the gap, and then none of them insert."""
    nobody = _values(Lease(holder=NOBODY, token=0, expires_at=0))
    connection.execute(insert(leases), {"cluster": identity_of_cluster(cluster)} | nobody)


def hold(connection: Connection, cluster: str, holder: str, duration: Millis, now: Millis) -> Lease | None:
    """Take the lease if it is free or expired, renew it if it is the holder's, and return whose it is then.

    ``now`` counts in SQLite only. ``None`` if there is no row of the cluster yet.
    """
    known = _found(connection, _LOCKED, cluster)
    if known is None:
        return None
    now = _now(connection, now)
    if known.holder not in (holder, NOBODY) and now < known.expires_at:
        return known
    token = known.token if known.holder == holder else known.token + 1
    lease = Lease(holder=holder, token=token, expires_at=now + duration)
    _change(connection, cluster, lease)
    return lease


def release(connection: Connection, cluster: str, holder: str, now: Millis) -> Lease | None:
    """Give the lease back if it is the holder's, and return that of another that holds it."""
    known = _found(connection, _LOCKED, cluster)
    if known is None or known.holder == NOBODY:
        return None
    if known.holder == holder:
        _change(connection, cluster, Lease(holder=NOBODY, token=known.token, expires_at=0))
        return None
    return known if _now(connection, now) < known.expires_at else None


def check(connection: Connection, cluster: str, lease: Lease) -> None:
    """Raise ``StoreUnavailable`` if another has taken the lease since; until this transaction ends nobody can."""
    found = _found(connection, _SHARED, cluster)
    if found is None or (found.holder, found.token) != (lease.holder, lease.token):
        taken = found.holder if found is not None and found.holder != NOBODY else "nobody"
        raise StoreUnavailable(f"not written: the lease of {lease.holder} is lost, {taken} holds it")


def _values(lease: Lease) -> dict[str, Any]:
    return {"holder": lease.holder, "token": lease.token, "expires_at": lease.expires_at}


def _found(connection: Connection, query: Prepared, cluster: str) -> Lease | None:
    rows = query.rows(connection, {"wanted": identity_of_cluster(cluster)})
    return next((Lease(holder=holder, token=token, expires_at=at) for holder, token, at in rows), None)


def _change(connection: Connection, cluster: str, lease: Lease) -> None:
    _CHANGE.change(connection, {"wanted": identity_of_cluster(cluster)} | _values(lease))


def _now(connection: Connection, now: Millis) -> Millis:
    statement = _SERVER_CLOCKS.get(connection.dialect.name)
    return now if statement is None else int(connection.scalar(text(statement)) or 0)
