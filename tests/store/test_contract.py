"""What every store promises, in memory and on a file that is opened anew between the steps."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from msgspec import structs

from autoscaler.model import (
    Fare,
    History,
    JobKey,
    Life,
    Millis,
    Outcome,
    Phase,
    Reason,
    RequestKind,
    RequestState,
    Transition,
    frozen,
)
from autoscaler.store import KEEP_DECISIONS, KEEP_SAMPLES, Store, StoreUnavailable
from tests.store.builders import (
    DAY,
    HOUR,
    KEY,
    MINUTE,
    OTHER,
    T0,
    a_command,
    a_decision,
    a_history,
    a_pass,
    a_request,
    a_sample,
    a_status,
    a_topology,
)
from tests.store.conftest import Fresh


def append(store: Store, at: Millis, key: JobKey = KEY) -> None:
    store.append_sample(key, a_topology(), T0, a_sample(at))


def times(store: Store, since: Millis = 0, key: JobKey = KEY) -> list[Millis]:
    window = store.window(key, since)
    return [] if window is None else [sample.at for sample in window.samples]


# ------------------------------------------------------------------ windows


def test_window_returns_what_was_appended(fresh: Fresh) -> None:
    """A window holds the topology, the start of the attempt and every sample, oldest first."""
    topology = a_topology()
    for at in (T0 + MINUTE, T0):
        fresh().append_sample(KEY, topology, T0 - HOUR, a_sample(at))
    window = fresh().window(KEY, 0)
    assert window is not None
    assert window.topology == topology
    assert window.running_since == T0 - HOUR
    assert window.samples == (a_sample(T0), a_sample(T0 + MINUTE))


def test_window_begins_at_since(fresh: Fresh) -> None:
    """A sample taken exactly at ``since`` is in the window, an older one is not."""
    for at in (T0 - 1, T0, T0 + 1):
        append(fresh(), at)
    assert times(fresh(), T0) == [T0, T0 + 1]


@pytest.mark.parametrize(("key", "since"), [(OTHER, 0), (KEY, T0 + 1)], ids=["unknown job", "nothing since"])
def test_no_window_where_nothing_was_measured(fresh: Fresh, key: JobKey, since: Millis) -> None:
    """No samples are no window, rather than an empty one."""
    append(fresh(), T0)
    assert fresh().window(key, since) is None


def test_window_has_one_set_of_vertices(fresh: Fresh) -> None:
    """Samples taken when the job had other vertices are not mixed in, whichever came first."""
    fresh().append_sample(KEY, a_topology(("a", "b")), T0, a_sample(T0, ids=("a", "b")))
    fresh().append_sample(KEY, a_topology(("b", "c")), T0, a_sample(T0 + 1, ids=("b", "c")))
    window = fresh().window(KEY, 0)
    assert window is not None
    assert [sample.at for sample in window.samples] == [T0 + 1]
    fresh().append_sample(KEY, a_topology(("a", "b")), T0, a_sample(T0 + 2, ids=("a", "b")))
    assert times(fresh()) == [T0, T0 + 2]


def test_window_spans_a_rescale(fresh: Fresh) -> None:
    """A changed parallelism keeps the older samples and gives the latest topology and start."""
    append(fresh(), T0)
    fresh().append_sample(KEY, a_topology(parallelism=4), T0 + 5, a_sample(T0 + 9))
    window = fresh().window(KEY, 0)
    assert window is not None
    assert window.topology == a_topology(parallelism=4)
    assert window.running_since == T0 + 5
    assert [sample.at for sample in window.samples] == [T0, T0 + 9]


def test_passes_keep_what_each_sample_was_taken_under(fresh: Fresh) -> None:
    """Every sample comes with its own topology and start, also one of a job that had other vertices; none of no job."""
    fresh().append_sample(KEY, a_topology(("a", "b")), T0, a_sample(T0, ids=("a", "b")))
    fresh().append_sample(KEY, a_topology(("b", "c"), parallelism=4), T0 + 5, a_sample(T0 + 9, ids=("b", "c")))
    first, last = fresh().passes(KEY)
    assert (first.topology, first.running_since) == (a_topology(("a", "b")), T0)
    assert first.samples == (a_sample(T0, ids=("a", "b")),)
    assert (last.topology, last.running_since) == (a_topology(("b", "c"), parallelism=4), T0 + 5)
    assert last.samples == (a_sample(T0 + 9, ids=("b", "c")),)
    assert fresh().passes(OTHER) == ()


def test_order_of_vertices_may_change(fresh: Fresh) -> None:
    """Numbers stay with their vertex when a topology lists the same vertices in another order."""
    of_both = {**a_sample(load=0.1).vertices, **a_sample(ids=["sink"]).vertices}
    sample = structs.replace(a_sample(T0), vertices=frozen(of_both))
    fresh().append_sample(KEY, a_topology(("source", "sink")), T0, sample)
    fresh().append_sample(KEY, a_topology(("sink", "source")), T0, structs.replace(sample, at=T0 + 1))
    window = fresh().window(KEY, 0)
    assert window is not None
    assert window.samples == (sample, structs.replace(sample, at=T0 + 1))


def test_a_vertex_that_reported_nothing_stays_absent(fresh: Fresh) -> None:
    """A sample without one of the vertices comes back without it."""
    fresh().append_sample(KEY, a_topology(("a", "b", "c")), T0, a_sample(T0, ids=("a", "c")))
    window = fresh().window(KEY, 0)
    assert window is not None
    assert list(window.samples[0].vertices) == ["a", "c"]


def test_a_foreign_vertex_is_refused_and_nothing_is_stored(fresh: Fresh) -> None:
    """A sample with a vertex its topology does not have is a mistake of the caller, said by name."""
    with pytest.raises(ValueError, match="stranger"):
        fresh().append_sample(KEY, a_topology(), T0, a_sample(ids=("stranger",)))
    assert fresh().keys() == ()
    append(fresh(), T0)
    assert times(fresh()) == [T0]


def test_the_later_of_two_samples_of_one_instant_counts(fresh: Fresh) -> None:
    """A window never holds two samples of the same instant."""
    append(fresh(), T0)
    fresh().append_sample(KEY, a_topology(), T0, a_sample(T0, load=0.9))
    window = fresh().window(KEY, 0)
    assert window is not None
    assert window.samples == (a_sample(T0, load=0.9),)


def test_jobs_are_told_apart_by_all_three_names(fresh: Fresh) -> None:
    """Cluster, application and job together name a job; case and similar spelling matter."""
    keys = [
        JobKey(cluster=cluster, application=application, job=job)
        for cluster in ("c", "C")
        for application in ("a", "a/b")
        for job in ("b/j", "j", "J ")
    ]
    for number, key in enumerate(keys):
        append(fresh(), T0 + number, key)
    assert [times(fresh(), key=key) for key in keys] == [[T0 + number] for number in range(len(keys))]
    assert fresh().keys() == tuple(sorted(keys))


# ------------------------------------------------------------------ memory, decisions, requests, statuses


def test_memory_is_what_was_saved_last(fresh: Fresh) -> None:
    """The history of a job is empty at first and then what was saved last."""
    assert fresh().memory(KEY) == History()
    fresh().save_memory(KEY, a_history(T0))
    fresh().save_memory(KEY, a_history(T0 + 1))
    fresh().save_memory(KEY, a_history(T0 + 1))
    assert fresh().memory(KEY) == a_history(T0 + 1)
    assert fresh().memory(OTHER) == History()


def test_decisions_come_latest_first(fresh: Fresh) -> None:
    """Decisions are paged backwards in time, each with the sentence recorded with it."""
    for number in range(5):
        fresh().record_decision(KEY, a_decision(T0 + number, Reason.SCALE), f"number {number}")
    fresh().record_decision(OTHER, a_decision(T0 + 9))
    first = fresh().decisions(KEY, limit=2)
    assert [(one.decision, one.detail) for one in first] == [
        (a_decision(T0 + 4, Reason.SCALE), "number 4"),
        (a_decision(T0 + 3, Reason.SCALE), "number 3"),
    ]
    second = fresh().decisions(KEY, limit=9, before=first[-1].decision.at)
    assert [one.decision.at for one in second] == [T0 + 2, T0 + 1, T0]


def test_a_request_is_open_until_its_outcome(fresh: Fresh) -> None:
    """A request is listed as open while it is intended or sent, and afterwards only in its job's list."""
    number = fresh().add_request(a_request())
    intended = replace(a_request(), id=number)
    assert fresh().open_requests() == (intended,)
    sent = replace(intended, state=RequestState.SENT, sent_at=T0 + 1, answer="200")
    fresh().update_request(sent)
    assert fresh().open_requests() == (sent,)
    outcome = Outcome(at=T0 + 2, parallelism=frozen({"sink": 4}), took_ms=900, note="as asked")
    achieved = replace(sent, state=RequestState.ACHIEVED, outcome=outcome)
    fresh().update_request(achieved)
    assert fresh().open_requests() == ()
    assert fresh().requests(KEY, limit=5) == (achieved,)


def test_the_life_of_a_request_is_kept_with_it(fresh: Fresh) -> None:
    """Every transition comes back with its time and reason, and with the evidence the next one needs."""
    number = fresh().add_request(a_request())
    step = Transition(at=T0 + 1, was=Phase.STEADY, now=Phase.REQUESTED, reason="sink 2→4")
    life = Life(phase=Phase.REQUESTED, since=T0 + 1, excused_ms=5, before=Fare(throughput=9.5), parallelism={"sink": 3})
    lived = replace(a_request(), id=number, kind=RequestKind.ROLL_BACK, life=life, transitions=(step,))
    fresh().update_request(lived)
    assert fresh().requests(KEY, limit=5) == (lived,)


def test_a_life_that_went_on_is_not_written_over(fresh: Fresh) -> None:
    """What somebody who knew less of a request says of it later is dropped; what goes on from its last step is kept."""
    steps = [(Phase.STEADY, Phase.REQUESTED), (Phase.REQUESTED, Phase.APPLIED), (Phase.APPLIED, Phase.ROLLED_BACK)]
    lived = tuple(Transition(at=T0 + n, was=was, now=now, reason="so") for n, (was, now) in enumerate(steps))
    number = fresh().add_request(a_request())
    asked, applied, undone = (replace(a_request(), id=number, transitions=lived[:count]) for count in (1, 2, 3))
    for each in (asked, undone, replace(applied, state=RequestState.VOID)):
        fresh().update_request(each)
    assert fresh().requests(KEY, limit=5) == (undone,)
    fresh().update_request(replace(undone, state=RequestState.ACHIEVED))
    assert fresh().requests(KEY, limit=5)[0].state is RequestState.ACHIEVED


def test_requests_of_a_job_come_latest_first(fresh: Fresh) -> None:
    """A job's requests are its own, the latest first though a clock was set back, and numbers are never used twice."""
    numbers = [fresh().add_request(a_request(decided_at=T0 - n)) for n in range(3)]
    fresh().add_request(a_request(OTHER))
    assert [one.id for one in fresh().requests(KEY, limit=2)] == [numbers[2], numbers[1]]
    fresh().forget(OTHER)
    assert fresh().add_request(a_request()) == numbers[2] + 2
    assert len(fresh().open_requests()) == 4


def test_an_unknown_request_cannot_be_updated(fresh: Fresh) -> None:
    """An update that would be lost is reported."""
    with pytest.raises(StoreUnavailable, match="request 77"):
        fresh().update_request(replace(a_request(), id=77))


def test_a_job_has_one_status(fresh: Fresh) -> None:
    """The status saved last replaces the one before; statuses are ordered by key."""
    fresh().save_status(a_status(KEY, "first"))
    fresh().save_status(a_status(OTHER))
    fresh().save_status(a_status(KEY, "second"))
    assert fresh().statuses() == (a_status(OTHER), a_status(KEY, "second"))


# ------------------------------------------------------------------ grouping, absence, forgetting


def test_all_that_a_pass_leaves_is_stored(fresh: Fresh) -> None:
    """Sample and status of every pass; history and decision of one that changed them, and they outlast the others."""
    fresh().record_pass(a_pass(T0, a_history()))
    fresh().record_pass(a_pass(T0 + 1))
    assert times(fresh()) == [T0, T0 + 1]
    assert fresh().memory(KEY) == a_history()
    assert [(each.decision.at, each.detail) for each in fresh().decisions(KEY, limit=9)] == [(T0, "worth it")]
    assert fresh().statuses() == (a_status(),)


def test_writes_of_one_group_are_stored_together(fresh: Fresh) -> None:
    """A group of writes is stored as a whole."""
    with fresh().writing() as writer:
        writer.append_sample(KEY, a_topology(), T0, a_sample())
        writer.save_memory(KEY, a_history())
        writer.record_decision(KEY, a_decision())
        writer.save_status(a_status())
        writer.present(KEY)
    assert times(fresh()) == [T0]
    assert fresh().memory(KEY) == a_history()
    assert len(fresh().decisions(KEY, limit=9)) == len(fresh().statuses()) == 1


def test_a_group_that_fails_leaves_nothing(fresh: Fresh) -> None:
    """A failure within a group undoes all of it, new jobs and topologies included, and the next one works."""
    store = fresh()

    def fail() -> None:
        with store.writing() as writer:
            writer.append_sample(KEY, a_topology(), T0, a_sample())
            raise ArithmeticError

    with pytest.raises(ArithmeticError):
        fail()
    assert store.keys() == ()
    append(store, T0 + 1)
    assert times(fresh()) == [T0 + 1]


def test_absence_keeps_its_beginning(fresh: Fresh) -> None:
    """A job is absent since it was first missed, until it is present again; an unknown job never is."""
    append(fresh(), T0)
    assert fresh().absent_since(KEY) is None
    fresh().mark_absent(KEY, T0 + 1)
    fresh().mark_absent(KEY, T0 + 2)
    fresh().mark_absent(OTHER, T0)
    assert fresh().absent_since(KEY) == T0 + 1
    assert dict(fresh().absent()) == {KEY: T0 + 1}
    fresh().present(KEY)
    fresh().present(OTHER)
    assert fresh().absent_since(KEY) is None
    assert fresh().keys() == (KEY,)


def test_forget_deletes_all_of_one_job(fresh: Fresh) -> None:
    """Nothing of a forgotten job is left, nothing of another is lost, and it can begin anew."""
    for key in (KEY, OTHER):
        append(fresh(), T0, key)
        fresh().save_memory(key, a_history())
        fresh().record_decision(key, a_decision())
        fresh().add_request(a_request(key))
        fresh().save_status(a_status(key))
    fresh().forget(KEY)
    fresh().forget(KEY)
    store = fresh()
    assert (store.window(KEY, 0), store.memory(KEY)) == (None, History())
    assert (store.decisions(KEY, limit=9), store.requests(KEY, limit=9)) == ((), ())
    assert store.keys() == (OTHER,)
    assert [len(store.decisions(OTHER, 9)), len(store.requests(OTHER, 9)), len(store.statuses())] == [1, 1, 1]
    append(fresh(), T0 + 1)
    assert times(fresh()) == [T0 + 1]


# ------------------------------------------------------------------ commands


def test_a_command_takes_the_place_of_a_former_one(fresh: Fresh) -> None:
    """There is one value per job and option, that of whoever set it last; others stay."""
    other = a_command(target="orders/*")
    for command in (a_command(), other, a_command("true", at=T0 + 1, until=T0 + 2)):
        fresh().set_command(command)
    assert set(fresh().commands("j-1", T0)) == {a_command("true", at=T0 + 1, until=T0 + 2), other}


def test_a_command_is_taken_back_whoever_gave_it(fresh: Fresh) -> None:
    """What is unset is gone, and to unset what is not set is nothing."""
    fresh().set_command(a_command())
    fresh().unset_command(replace(a_command("true"), by="bob"))
    assert fresh().commands("j-1", T0) == ()
    fresh().unset_command(a_command())


def test_commands_are_of_one_cluster_and_in_force(fresh: Fresh) -> None:
    """Those of another cluster, and those whose time has come, are not told; case tells clusters apart."""
    for command in (a_command(), replace(a_command(), cluster="J-1"), a_command(target="a/b", until=T0 + 1)):
        fresh().set_command(command)
    assert len(fresh().commands("j-1", T0)) == 2
    assert fresh().commands("j-1", T0 + 1) == (a_command(),)
    assert fresh().commands("none", T0) == ()


def test_a_command_outlives_its_jobs_history(fresh: Fresh) -> None:
    """A job that is forgotten and comes back is still paused."""
    fresh().save_status(a_status())
    fresh().set_command(a_command())
    fresh().forget(KEY)
    assert fresh().commands("j-1", T0) == (a_command(),)


def test_retention_deletes_commands_that_have_expired(fresh: Fresh) -> None:
    """Not a millisecond early, and never one without an end."""
    for command in (a_command(), a_command(target="a/b", until=T0), a_command(target="a/c", until=T0 + 1)):
        fresh().set_command(command)
    assert fresh().retain(T0).commands == 1
    assert len(fresh().commands("j-1", 0)) == 2


# ------------------------------------------------------------------ retention


def test_retention_by_age(fresh: Fresh) -> None:
    """Samples go after 7 days, decisions and finished requests after 90, each not a millisecond early."""
    now = T0 + KEEP_DECISIONS
    for age in (0, 1):
        append(fresh(), now - KEEP_SAMPLES - age)
        fresh().record_decision(KEY, a_decision(now - KEEP_DECISIONS - age))
        number = fresh().add_request(a_request(decided_at=now - KEEP_DECISIONS - age))
        done = replace(a_request(decided_at=now - KEEP_DECISIONS - age), id=number, state=RequestState.VOID)
        fresh().update_request(done)
    gone = fresh().retain(now)
    assert (gone.samples, gone.decisions, gone.requests, gone.for_space) == (1, 1, 1, 0)
    assert times(fresh()) == [now - KEEP_SAMPLES]
    assert [one.decision.at for one in fresh().decisions(KEY, 9)] == [T0]
    assert [one.decided_at for one in fresh().requests(KEY, 9)] == [T0]


def test_an_open_request_is_never_too_old(fresh: Fresh) -> None:
    """A request without an outcome stays until it has one."""
    fresh().add_request(a_request(decided_at=T0 - 400 * DAY))
    fresh().retain(T0)
    assert len(fresh().open_requests()) == 1


def test_retention_keeps_the_topology_in_use(fresh: Fresh) -> None:
    """Samples can be read after the plans before theirs were deleted, and the job goes on."""
    for number in range(4):
        topology = a_topology(parallelism=number + 1)
        fresh().append_sample(KEY, topology, T0, a_sample(T0 + number * DAY))
    fresh().retain(T0 + KEEP_SAMPLES + 2 * DAY)
    assert times(fresh()) == [T0 + 2 * DAY, T0 + 3 * DAY]
    fresh().retain(T0 + 99 * DAY)
    assert times(fresh()) == []
    fresh().append_sample(KEY, a_topology(parallelism=4), T0, a_sample(T0 + 99 * DAY))
    assert times(fresh()) == [T0 + 99 * DAY]


# ------------------------------------------------------------------ threads


def test_threads_share_a_store(fresh: Fresh) -> None:
    """Eight threads that write and read different jobs, and one job, lose nothing."""
    store = fresh()

    def work(thread: int) -> None:
        own = replace(KEY, job=f"job {thread}")
        for number in range(25):
            append(store, T0 + number, own)
            append(store, T0 + 100 * number + thread)
            store.save_status(a_status(own))
            assert len(times(store, key=own)) == number + 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert len(times(fresh())) == 200
    assert len(fresh().statuses()) == 8
