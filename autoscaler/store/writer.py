"""Writing: one transaction's worth of samples, decisions, requests and the rest."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from autoscaler.model import (
    Command,
    Decision,
    History,
    JobKey,
    JobStatus,
    Millis,
    PassRecord,
    Request,
    Sample,
    Topology,
    Transition,
    VertexId,
)
from autoscaler.store.codec import dump, load, pack, pack_sample, unpack, vertex_ids
from autoscaler.store.errors import StoreUnavailable
from autoscaler.store.prepared import Prepared
from autoscaler.store.schema import (
    OF_ONE_JOB,
    commands,
    decisions,
    identity_of,
    identity_of_command,
    jobs,
    name_of,
    plans,
    requests,
    samples,
    statuses,
)

# Built once; building costs more than SQLite takes to run them.
_JOB_ID = select(jobs.c.id).where(jobs.c.identity == bindparam("wanted"))
_MEMORY = Prepared(select(jobs.c.memory).where(jobs.c.id == bindparam("wanted")), "wanted")
_UPDATE_MEMORY = Prepared(update(jobs).where(jobs.c.id == bindparam("wanted")), "wanted", "memory")
_LAST_PLAN = (
    select(plans.c.id, plans.c.topology)
    .where(plans.c.job_id == bindparam("wanted"))
    .order_by(plans.c.id.desc())
    .limit(1)
)
_INSERT_SAMPLE = Prepared(insert(samples).inline(), "job_id", "at", "plan_id", "running_since", "measured")
_INSERT_PLAN = insert(plans)
_INSERT_DECISION = Prepared(insert(decisions).inline(), "job_id", "at", "decided")
_UPDATE_STATUS = Prepared(update(statuses).where(statuses.c.job_id == bindparam("wanted")), "wanted", "status")
_INSERT_STATUS = Prepared(insert(statuses).inline(), "job_id", "status")
_INSERT_REQUEST = insert(requests)
_REQUEST = Prepared(select(requests.c.request).where(requests.c.id == bindparam("wanted")), "wanted")
_UPDATE_REQUEST = Prepared(update(requests).where(requests.c.id == bindparam("wanted")), "wanted", "state", "request")
_IS_JOB = jobs.c.identity == bindparam("wanted")
_IS_GONE = Prepared(update(jobs).where(_IS_JOB, jobs.c.absent_since.is_(None)), "wanted", "absent_since")
_IS_BACK = Prepared(update(jobs).where(_IS_JOB, jobs.c.absent_since.is_not(None)), "wanted", "absent_since")


@dataclass(slots=True, kw_only=True)
class Known:
    """What this process need not look up again to append a sample of one job."""

    job_id: int
    plan_id: int | None = None
    topology: Topology | None = None
    order: tuple[VertexId, ...] = ()


class Writer:
    """Several writes that become visible together or not at all; from ``Store.writing``."""

    def __init__(self, connection: Connection, known: dict[JobKey, Known]) -> None:
        self._connection = connection
        self._known = known

    def record_pass(self, done: PassRecord) -> None:
        """Keep all that a pass leaves behind."""
        key = done.status.key
        self.append_sample(key, done.topology, done.running_since, done.sample)
        if done.history is not None:
            self.save_memory(key, done.history)
        if done.decision is not None:
            self.record_decision(key, done.decision, done.detail)
        self.save_status(done.status)

    def append_sample(self, key: JobKey, topology: Topology, running_since: Millis, sample: Sample) -> None:
        """Add what a job measured at ``sample.at``; of two with the same time, windows hold the later."""
        known = self._job(key)
        self._set_plan(known, topology, sample.at)
        _INSERT_SAMPLE.change(
            self._connection,
            {
                "job_id": known.job_id,
                "at": sample.at,
                "plan_id": known.plan_id,
                "running_since": running_since,
                "measured": pack_sample(known.order, sample),
            },
        )

    def save_memory(self, key: JobKey, history: History) -> None:
        """Keep what the next decision must remember; nothing is written if it is what is kept already."""
        job_id = self._job(key).job_id
        memory = pack(dump(history))
        if _MEMORY.rows(self._connection, {"wanted": job_id}) != [(memory,)]:
            _UPDATE_MEMORY.change(self._connection, {"wanted": job_id, "memory": memory})

    def record_decision(self, key: JobKey, decision: Decision, detail: str = "") -> None:
        """Keep a decision with every number it rests on and the sentence that explains it."""
        decided = pack({"decision": dump(decision), "detail": detail})
        row = {"job_id": self._job(key).job_id, "at": decision.at, "decided": decided}
        _INSERT_DECISION.change(self._connection, row)

    def save_status(self, status: JobStatus) -> None:
        """Keep the last thing known of a job, in place of what was known before."""
        job_id = self._job(status.key).job_id
        packed = pack(dump(status))
        if _UPDATE_STATUS.change(self._connection, {"wanted": job_id, "status": packed}) == 0:
            _INSERT_STATUS.change(self._connection, {"job_id": job_id, "status": packed})

    def add_request(self, request: Request) -> int:
        """Keep a request and return its number."""
        row = {
            "job_id": self._job(request.key).job_id,
            "at": request.decided_at,
            "state": request.state.value,
            "request": pack(dump(request)),
        }
        (number,) = self._connection.execute(_INSERT_REQUEST, row).inserted_primary_key or (0,)
        return int(number)

    def update_request(self, request: Request) -> None:
        """Replace what is known of the request with the number ``request.id``.

        A life is only lived on: what does not go on from the transitions that are stored was not known to whoever
        stored those, and is not written over them.
        """
        wanted = {"wanted": request.id}
        stored = _REQUEST.rows(self._connection, wanted)
        if not stored:
            raise StoreUnavailable(f"request {request.id} of {request.key} is not in the store")
        ((packed,),) = stored
        lived = _transitions(packed)
        if request.transitions[: len(lived)] == lived:
            values = {"state": request.state.value, "request": pack(dump(request))}
            _UPDATE_REQUEST.change(self._connection, {**wanted, **values})

    def set_command(self, command: Command) -> None:
        """Keep an operator's command, in place of a former one that set the same."""
        self.unset_command(command)
        row = {"identity": identity_of_command(command), "until": command.until, "command": pack(dump(command))}
        self._connection.execute(insert(commands), row)

    def unset_command(self, command: Command) -> None:
        """Delete what a command set, whoever gave it."""
        self._connection.execute(delete(commands).where(commands.c.identity == identity_of_command(command)))

    def mark_absent(self, key: JobKey, at: Millis) -> None:
        """Note that a job is gone since ``at``, unless a time is noted already or nothing is stored of it."""
        _IS_GONE.change(self._connection, {"wanted": identity_of(key), "absent_since": at})

    def present(self, key: JobKey) -> None:
        """Note that a job is there again."""
        _IS_BACK.change(self._connection, {"wanted": identity_of(key), "absent_since": None})

    def forget(self, key: JobKey) -> None:
        """Delete everything that is stored of a job."""
        self._known.pop(key, None)
        job_id = self._connection.scalar(_JOB_ID, {"wanted": identity_of(key)})
        if job_id is None:
            return
        for table in OF_ONE_JOB:
            self._connection.execute(delete(table).where(table.c.job_id == job_id))
        self._connection.execute(delete(jobs).where(jobs.c.id == job_id))

    def _job(self, key: JobKey) -> Known:
        known = self._known.get(key)
        if known is None:
            job_id = self._connection.scalar(_JOB_ID, {"wanted": identity_of(key)})
            if job_id is None:
                row = {"identity": identity_of(key), "name": name_of(key)}
                (job_id,) = self._connection.execute(insert(jobs), row).inserted_primary_key or (0,)
            known = self._known[key] = Known(job_id=job_id)
        return known

    def _set_plan(self, known: Known, topology: Topology, at: Millis) -> None:
        """Make ``topology`` the job's plan; a row is written only if it differs from the one before."""
        if known.topology is topology:
            return
        if known.topology != topology:
            self._store_plan(known, topology, at)
            known.order = vertex_ids(topology)
        known.topology = topology  # the caller's own object, so that an equal one of before can be freed

    def _store_plan(self, known: Known, topology: Topology, at: Millis) -> None:
        if known.plan_id is None:
            last = self._connection.execute(_LAST_PLAN, {"wanted": known.job_id}).first()
            if last is not None and load(Topology, unpack(last.topology)) == topology:
                known.plan_id = last.id
                return
        row = {"job_id": known.job_id, "at": at, "topology": pack(dump(topology))}
        (known.plan_id,) = self._connection.execute(_INSERT_PLAN, row).inserted_primary_key or (0,)


def _transitions(packed: bytes) -> tuple[Transition, ...]:
    try:
        return load(Request, unpack(packed)).transitions
    except (zlib.error, ValueError, KeyError, TypeError) as error:
        raise StoreUnavailable(f"a request cannot be read: {error!r}", corrupt=True) from error
