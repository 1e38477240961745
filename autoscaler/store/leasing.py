"""The lease on a cluster: one row, taken and renewed under a lock on it, judged by the database's clock.

Machines that share a database server may disagree about the time; the server alone says when a lease has expired. An
SQLite file is shared by processes of one machine, whose clock they all have.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, select, text, update

from autoscaler.model import Lease, Millis
from autoscaler.store.errors import StoreUnavailable
from autoscaler.store.schema import identity_of_cluster, leases

NOBODY = ""

# Built once, as every discovery asks them and every write the first.
_IS_WANTED = leases.c.cluster == bindparam("wanted")
_HOLDER = select(leases.c.holder, leases.c.token).where(_IS_WANTED).with_for_update(read=True)
_LOCKED = select(leases).where(_IS_WANTED).with_for_update()
_CHANGE = update(leases).where(_IS_WANTED)

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
    wanted = {"wanted": identity_of_cluster(cluster)}
    found = connection.execute(_LOCKED, wanted).first()
    if found is None:
        return None
    now = _now(connection, now)
    known = _lease(found)
    if known.holder not in (holder, NOBODY) and now < known.expires_at:
        return known
    token = known.token if known.holder == holder else known.token + 1
    lease = Lease(holder=holder, token=token, expires_at=now + duration)
    connection.execute(_CHANGE, wanted | _values(lease))
    return lease


def release(connection: Connection, cluster: str, holder: str, now: Millis) -> Lease | None:
    """Give the lease back if it is the holder's, and return that of another that holds it."""
    wanted = {"wanted": identity_of_cluster(cluster)}
    found = connection.execute(_LOCKED, wanted).first()
    known = None if found is None else _lease(found)
    if known is None or known.holder == NOBODY:
        return None
    if known.holder == holder:
        connection.execute(_CHANGE, wanted | _values(Lease(holder=NOBODY, token=known.token, expires_at=0)))
        return None
    return known if _now(connection, now) < known.expires_at else None


def check(connection: Connection, cluster: str, lease: Lease) -> None:
    """Raise ``StoreUnavailable`` if another has taken the lease since; until this transaction ends nobody can."""
    found = connection.execute(_HOLDER, {"wanted": identity_of_cluster(cluster)}).first()
    if found is None or (found.holder, found.token) != (lease.holder, lease.token):
        taken = found.holder if found is not None and found.holder != NOBODY else "nobody"
        raise StoreUnavailable(f"not written: the lease of {lease.holder} is lost, {taken} holds it")


def _values(lease: Lease) -> dict[str, Any]:
    return {"holder": lease.holder, "token": lease.token, "expires_at": lease.expires_at}


def _lease(row: Row[Any]) -> Lease:
    return Lease(holder=row.holder, token=row.token, expires_at=row.expires_at)


def _now(connection: Connection, now: Millis) -> Millis:
    statement = _SERVER_CLOCKS.get(connection.dialect.name)
    return now if statement is None else int(connection.scalar(text(statement)) or 0)
