"""The life of a request: every transition of the drawing in ARCHITECTURE.md, and none that is not in it."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.lifecycle import RULES, Seen, advance, begun, entered, is_on_trial
from autoscaler.model import Bounds, Fare, Life, Phase, Policy, Request, RequestKind, RequestState, Transition, frozen
from tests.core.builders import HOUR, MINUTE, NOW, SECOND
from tests.core.requests import BEFORE, GOOD, NEW_ATTEMPT, OLD_ATTEMPT, TARGET, a_request, in_phase
from tests.core.strategies import few

POLICY = Policy(rescale_timeout=15 * MINUTE, probation=10 * MINUTE, restart_time_tracking_limit=15 * MINUTE)
REACHED = Seen(parallelism=TARGET, attempt=NEW_ATTEMPT, running=True)
PARTLY = {"s": 2, "w": 3}
FEWER, MORE = replace(GOOD, slots=1), replace(GOOD, slots=4)


def phases(request: Request, seen: Seen, at: int, **policy: Any) -> list[Phase]:
    return [each.now for each in advance(request, seen, replace(POLICY, **policy), at)[1]]


def said(request: Request, seen: Seen, at: int, **policy: Any) -> str:
    return advance(request, seen, replace(POLICY, **policy), at)[1][0].reason


# ------------------------------------------------------------------ until it is applied


def test_a_life_is_begun_once() -> None:
    """Who takes up a request that is open begins its life, unless it was begun already."""
    request = begun(a_request(), NOW)
    assert [each.now for each in request.transitions] == [Phase.REQUESTED]
    assert begun(request, NOW + 1) is request


@pytest.mark.parametrize("state", RequestState)
def test_a_request_is_open_until_it_is_known_what_became_of_it(state: RequestState) -> None:
    """Stored and perhaps sent, or sent and not seen to its end: both may still change the job."""
    assert a_request(state=state).is_open is (state in (RequestState.INTENDED, RequestState.SENT))


def test_what_flink_refused_or_nobody_sent_was_not_sent() -> None:
    """Of all requests these change no job: intended only, refused, void, or made by somebody else."""
    not_sent = {state for state in RequestState if not a_request(state=state).was_sent}
    assert not_sent == {RequestState.INTENDED, RequestState.REJECTED, RequestState.VOID, RequestState.ADOPTED}


def test_a_request_that_was_sent_begins_its_life_once() -> None:
    """What was sent is requested, with the decision's own reason; what was not stays where it is."""
    request, taken = advance(a_request(), Seen(), POLICY, NOW)
    assert taken == (Transition(at=NOW, was=Phase.STEADY, now=Phase.REQUESTED, reason="w 2→4"),)
    assert request.transitions == taken
    assert phases(a_request(sent_at=None), Seen(), NOW) == []


@pytest.mark.parametrize(
    ("seen", "at", "expected"),
    [
        pytest.param(Seen(), 1, [], id="nothing known yet"),
        pytest.param(REACHED, 1, [Phase.APPLIED, Phase.PROBATION], id="reached"),
        pytest.param(replace(REACHED, running=False), 1, [], id="not every task runs"),
        pytest.param(replace(REACHED, attempt=OLD_ATTEMPT), 1, [], id="of the old attempt"),
        pytest.param(replace(REACHED, attempt=None), 1, [], id="no attempt"),
        pytest.param(replace(REACHED, parallelism=PARTLY), 1, [], id="some of it, in time"),
        pytest.param(Seen(), 15 * MINUTE - 1, [], id="a moment before the timeout"),
        pytest.param(Seen(), 15 * MINUTE, [Phase.TIMED_OUT, Phase.STEADY], id="nothing is known at the timeout"),
        pytest.param(
            Seen(parallelism=BEFORE, attempt=OLD_ATTEMPT),
            15 * MINUTE,
            [Phase.TIMED_OUT, Phase.STEADY],
            id="nothing changed until the timeout",
        ),
        pytest.param(
            replace(REACHED, parallelism=PARTLY), 15 * MINUTE, [Phase.PARTIAL, Phase.PROBATION], id="some of it"
        ),
        pytest.param(REACHED, 60 * MINUTE, [Phase.APPLIED, Phase.PROBATION], id="reached, however late"),
    ],
)
def test_from_requested(seen: Seen, at: int, expected: list[Phase]) -> None:
    """Reached is applied, what is missing at the timeout makes it partial or nothing."""
    assert phases(in_phase(Phase.REQUESTED, transitions=SOME), seen, NOW + at) == expected


@pytest.mark.parametrize(
    ("source", "worker", "applied"), [(1, 2, True), (4, 2, True), (5, 2, False), (2, 3, False), (2, 1, False)]
)
def test_who_kept_its_bounds_may_take_what_others_gave_up(source: int, worker: int, applied: bool) -> None:
    """Somebody allowed the source 4, of which it had 1: with the slots the worker gives up it may run with more."""
    kept = Bounds(lower=1, upper=4)
    request = in_phase(
        Phase.REQUESTED,
        transitions=SOME,
        before=frozen({"s": 1, "w": 4}),
        target=frozen({"s": 1, "w": 2}),
        former=frozen({"s": kept, "w": Bounds(lower=1, upper=4)}),
        requirements=frozen({"s": kept, "w": Bounds(lower=1, upper=2)}),
    )
    seen = replace(REACHED, parallelism={"s": source, "w": worker})
    assert (phases(request, seen, NOW + 1)[:1] == [Phase.APPLIED]) is applied
    assert phases(request, replace(seen, parallelism={"s": 1}), NOW + 1) == []


SOME = (Transition(at=NOW, was=Phase.STEADY, now=Phase.REQUESTED, reason="w 2→4"),)


def test_what_is_missing_is_named() -> None:
    """A timeout says what the cluster did not give, and for how long."""
    seen = Seen(parallelism=BEFORE, slots_missing=2, missing="2 slots missing, queue root.a is full")
    request = in_phase(Phase.REQUESTED, transitions=SOME)
    assert said(request, seen, NOW + 15 * MINUTE) == "2 slots missing, queue root.a is full, for 15 min"
    assert said(request, Seen(), NOW + 15 * MINUTE + 5_000) == "the target was not reached, for 15 min 5 s"


def test_only_missing_slots_use_up_the_timeout() -> None:
    """While Flink waits for a checkpoint with all slots at hand the timeout stands still, but not for ever."""
    request = in_phase(Phase.REQUESTED, transitions=SOME)
    waiting = Seen(parallelism=BEFORE, slots_missing=0, flink_waits_ms=30 * MINUTE)
    for minute in range(1, 46):
        request, taken = advance(request, waiting, POLICY, NOW + minute * MINUTE)
        assert taken == ()
    short = replace(waiting, slots_missing=1)
    for minute in range(46, 60):
        request, taken = advance(request, short, POLICY, NOW + minute * MINUTE)
        assert taken == ()
    assert phases(request, short, NOW + 60 * MINUTE) == [Phase.TIMED_OUT, Phase.STEADY]
    assert phases(request, waiting, NOW + 75 * MINUTE) == [Phase.TIMED_OUT, Phase.STEADY], "stuck beyond all waiting"


@pytest.mark.parametrize(
    ("request_", "seen", "left", "ended"),
    [
        (in_phase(Phase.REQUESTED, NOW), Seen(slots_missing=1), 15 * MINUTE, Phase.STEADY),
        (in_phase(Phase.PROBATION, NOW), REACHED, 10 * MINUTE, Phase.STEADY),
    ],
    ids=["rescale-timeout", "probation"],
)
def test_no_phase_waits_for_a_clock_that_was_set_back(request_: Request, seen: Seen, left: int, ended: Phase) -> None:
    """A clock that is set back by a day ends a phase neither sooner nor a day later."""
    back = NOW - 24 * HOUR
    looked, taken = advance(request_, seen, POLICY, back)
    assert taken == ()
    looked, taken = advance(looked, seen, POLICY, back + left - 1)
    assert taken == ()
    _, taken = advance(looked, seen, POLICY, back + left)
    assert taken[-1].now is ended


def test_restarts_on_the_way_up_are_one_rescale() -> None:
    """TaskManagers that register one by one restart the job each time: that is no failure of the target."""
    request = in_phase(Phase.REQUESTED, transitions=SOME)
    for step in range(1, 6):
        seen = Seen(parallelism={"s": 2, "w": 2 + step}, attempt=NEW_ATTEMPT + step, slots_missing=1)
        request, taken = advance(request, seen, POLICY, NOW + step * SECOND)
        assert taken == ()
    assert request.life.attempts == 1
    assert request.life.steps == tuple(NEW_ATTEMPT + step for step in range(1, 6)), "each of them is known"


def test_a_target_that_does_not_stay_up_is_rolled_back() -> None:
    """A job that comes up at its target and dies again and again is not waited for until the timeout."""
    request, taken = in_phase(Phase.REQUESTED, transitions=SOME), ()
    for attempt in range(3):
        seen = Seen(parallelism=TARGET, attempt=NEW_ATTEMPT + attempt, slots_missing=0)
        request, taken = advance(request, seen, POLICY, NOW + attempt * SECOND)
    assert [each.now for each in taken] == [Phase.APPLIED, Phase.PROBATION, Phase.ROLLED_BACK]
    assert taken[0].reason == "the target was started, but it restarted 2 times since"


@pytest.mark.parametrize("kind", [kind for kind in RequestKind if kind is not RequestKind.SCALE])
def test_what_is_not_our_choice_is_not_on_probation(kind: RequestKind) -> None:
    """A roll-back is never rolled back, nor is what somebody else wanted."""
    request = in_phase(Phase.REQUESTED, transitions=SOME, kind=kind)
    assert phases(request, REACHED, NOW + 1) == [Phase.APPLIED, Phase.STEADY]


def test_probation_can_be_switched_off() -> None:
    """Without a probation a change that took effect is the end of it."""
    request = in_phase(Phase.REQUESTED, transitions=SOME)
    assert phases(request, REACHED, NOW + 1, probation=0) == [Phase.APPLIED, Phase.STEADY]


# ------------------------------------------------------------------ probation


def on_trial(**life: Any) -> Request:
    request = in_phase(Phase.PROBATION)
    return replace(request, life=replace(request.life, **life))


def test_probation_ends_well() -> None:
    """After its time without trouble the change stands."""
    assert is_on_trial(on_trial())
    assert phases(on_trial(), REACHED, NOW + 10 * MINUTE - 1) == []
    request, taken = advance(on_trial(), REACHED, POLICY, NOW + 10 * MINUTE)
    assert [each.now for each in taken] == [Phase.STEADY]
    assert not is_on_trial(request)
    assert phases(request, REACHED, NOW + 11 * MINUTE) == [], "a life that is over does not begin again"


def test_somebody_elses_change_ends_probation_without_a_fight() -> None:
    """Whatever goes wrong after it is not this change's doing."""
    seen = replace(REACHED, foreign=True, failed_checkpoints=99)
    assert phases(on_trial(), seen, NOW + 1) == [Phase.STEADY]
    assert "somebody else" in said(on_trial(), seen, NOW + 1)


@pytest.mark.parametrize(
    ("running", "looked_at", "ended"),
    [(True, NOW, Phase.STEADY), (True, NOW + 1, Phase.ROLLED_BACK), (False, NOW, Phase.ROLLED_BACK)],
    ids=["unwatched", "watched", "does not run"],
)
def test_what_nobody_watched_is_not_taken_back(running: bool, looked_at: int, ended: Phase) -> None:
    """Restarts while a job was paused or had no daemon, for longer than a probation, may be anybody's; it runs now."""
    seen = replace(REACHED, attempt=NEW_ATTEMPT + 1, failed_checkpoints=99, running=running)
    trial = on_trial(attempts=2, looked_at=looked_at)
    assert phases(trial, seen, NOW + 10 * MINUTE + 1) == [ended]
    assert ("nobody watched it for 10 min" in said(trial, seen, NOW + 10 * MINUTE + 1)) is (ended is Phase.STEADY)


def fares(**changes: Any) -> Seen:
    return replace(REACHED, fare=replace(GOOD, **changes))


@pytest.mark.parametrize(
    ("life", "seen", "reason"),
    [
        ({"attempts": 2}, replace(REACHED, attempt=NEW_ATTEMPT + 1), "restarted 2 times"),
        ({"attempts": 2}, replace(REACHED, attempt=NEW_ATTEMPT + 1, parallelism=PARTLY), "restarted 2 times"),
        ({}, replace(REACHED, failed_checkpoints=5), "2 checkpoints failed"),
        ({}, fares(throughput=700.0, arriving=1_000.0), "a slot reads 70% of what it did, at 1000 instead of 1000"),
        ({"before": FEWER}, fares(throughput=900.0, arriving=1_100.0), "a slot reads 45% of"),
        ({"lag_streak": 2}, fares(lag_growth=100.0), "lag grows by 100 records/s, before by 0, in 3 samples in a row"),
        ({"lag_streak": 2, "before": MORE}, fares(lag_growth=99.0, throughput=1_200.0), "lag grows by 99"),
        ({"lag_streak": 2}, fares(lag_growth=99.0, throughput=1_200.0, slots=None), "lag grows by 99"),
        ({}, fares(gc_pressure=0.51), "51% of its time collecting garbage"),
        ({"before": None}, fares(gc_pressure=0.51), "51% of its time"),
    ],
    ids=[
        "restarts",
        "restarts smaller",
        "checkpoints",
        "less",
        "less on more",
        "lag",
        "lag after down",
        "lag, slots unknown",
        "gc",
        "gc alone",
    ],
)
def test_trouble_rolls_back(life: dict[str, Any], seen: Seen, reason: str) -> None:
    """Each trigger by itself, at its threshold, with its numbers in the reason."""
    assert phases(on_trial(**life), seen, NOW + 1) == [Phase.ROLLED_BACK]
    assert reason in said(on_trial(**life), seen, NOW + 1)


@pytest.mark.parametrize(
    ("life", "seen"),
    [
        ({}, replace(REACHED, attempt=NEW_ATTEMPT + 1)),
        ({}, replace(REACHED, failed_checkpoints=4)),
        ({"failed_checkpoints": None}, replace(REACHED, failed_checkpoints=50)),
        ({}, fares(throughput=800.0)),
        ({}, fares(throughput=500.0, arriving=999.0)),
        ({"before": FEWER}, fares(throughput=1_100.0, arriving=2_000.0, slots=4)),
        ({"before": replace(GOOD, throughput=3_900.0)}, fares(throughput=1_000.0)),
        ({"before": None}, fares(throughput=1.0)),
        ({"before": replace(GOOD, throughput=0.0, arriving=0.0)}, fares(throughput=-5.0, arriving=100.0)),
        ({}, fares(throughput=None)),
        ({"lag_streak": 1}, fares(lag_growth=100.0)),
        ({"lag_streak": 2}, fares(lag_growth=50.0)),
        ({"lag_streak": 2, "before": FEWER}, fares(lag_growth=400.0, throughput=1_001.0, slots=4)),
        ({"lag_streak": 2, "before": None}, fares(lag_growth=400.0)),
        ({"lag_streak": 2}, fares(lag_growth=None)),
        ({}, fares(gc_pressure=0.5)),
        ({"before": replace(GOOD, gc_pressure=0.6)}, fares(gc_pressure=0.9)),
        ({}, fares(gc_pressure=None)),
    ],
    ids=[
        "one restart",
        "one checkpoint",
        "failures of before",
        "80 %",
        "less arrives",
        "less per slot, more in all",
        "a lag worked off",
        "nothing known of before",
        "nothing read before, and a counter ran backwards",
        "nothing known of now",
        "two samples",
        "noise",
        "a gain under more load",
        "no lag known before",
        "no lag known now",
        "gc at the threshold",
        "gc as bad before",
        "gc unknown",
    ],
)
def test_what_is_no_trouble(life: dict[str, Any], seen: Seen) -> None:
    """Below its threshold, or without a before to compare with, nothing is rolled back."""
    assert phases(on_trial(**life), seen, NOW + 1) == []


def test_a_lag_that_pauses_starts_counting_anew() -> None:
    """Three samples in a row are meant, not three in all."""
    request = on_trial()
    for growth in (100.0, 100.0, 0.0, 100.0, 100.0):
        request, taken = advance(request, fares(lag_growth=growth), POLICY, NOW + 1)
        assert taken == ()
    request, _ = advance(request, REACHED, POLICY, NOW + 1)
    assert request.life.lag_streak == 2, "a look without a sample tells nothing"


@pytest.mark.parametrize(
    ("policy", "life", "seen"),
    [
        ({"rollback_restarts": 0}, {"attempts": 9}, REACHED),
        ({"rollback_failed_checkpoints": 0}, {}, replace(REACHED, failed_checkpoints=9)),
        ({"rollback_throughput": 0.0}, {}, fares(throughput=1.0)),
        ({"rollback_lag_samples": 0}, {"lag_streak": 9}, fares(lag_growth=100.0)),
        ({"rollback_gc_pressure": 1.0}, {}, fares(gc_pressure=1.0)),
    ],
)
def test_each_trigger_can_be_switched_off(policy: dict[str, Any], life: dict[str, Any], seen: Seen) -> None:
    """What an owner does not want to be a reason is none."""
    assert phases(on_trial(**life), seen, NOW + 1, **policy) == []


def test_a_roll_back_is_the_end() -> None:
    """Nothing follows it in the life of the same request."""
    assert phases(in_phase(Phase.ROLLED_BACK), fares(gc_pressure=1.0), NOW + 60 * MINUTE) == []


# ------------------------------------------------------------------ what always holds

DRAWN = {
    (Phase.STEADY, Phase.REQUESTED),
    (Phase.REQUESTED, Phase.APPLIED),
    (Phase.REQUESTED, Phase.PARTIAL),
    (Phase.REQUESTED, Phase.TIMED_OUT),
    (Phase.APPLIED, Phase.PROBATION),
    (Phase.APPLIED, Phase.STEADY),
    (Phase.PARTIAL, Phase.PROBATION),
    (Phase.PARTIAL, Phase.STEADY),
    (Phase.TIMED_OUT, Phase.STEADY),
    (Phase.PROBATION, Phase.STEADY),
    (Phase.PROBATION, Phase.ROLLED_BACK),
}
RESTING = {Phase.STEADY, Phase.REQUESTED, Phase.PROBATION, Phase.ROLLED_BACK}

_numbers = st.none() | st.floats(0, 2_000)
_fares = st.builds(
    Fare,
    throughput=_numbers,
    arriving=_numbers,
    lag_growth=st.none() | st.floats(-500, 500),
    slots=st.none() | st.integers(1, 8),
    gc_pressure=st.none() | st.floats(0, 1),
)
_looks = st.builds(
    Seen,
    parallelism=st.sampled_from([None, BEFORE, TARGET, PARTLY]),
    attempt=st.sampled_from([None, OLD_ATTEMPT, NEW_ATTEMPT, NEW_ATTEMPT + 1, NEW_ATTEMPT + 2]),
    running=st.booleans(),
    slots_missing=st.none() | st.integers(0, 3),
    flink_waits_ms=st.integers(0, 60 * MINUTE),
    foreign=st.booleans(),
    failed_checkpoints=st.none() | st.integers(0, 9),
    fare=_fares,
)
_steps = st.lists(st.tuples(_looks, st.integers(0, 20 * MINUTE)), max_size=12)


@few
@given(_steps, st.sampled_from(list(RequestKind)), _fares)
def test_every_life_is_a_way_through_the_drawing(
    steps: list[tuple[Seen, int]], kind: RequestKind, before: Fare
) -> None:
    """Whatever is seen: transitions join up, are drawn, have a reason, and lead to at most one roll-back."""
    request = a_request(kind=kind, life=Life(before=before))
    at = NOW
    for seen, later in steps:
        at += later
        request, taken = advance(request, seen, POLICY, at)
        assert all(each.at == at and each.reason for each in taken)
    trail = request.transitions
    assert all((each.was, each.now) in DRAWN for each in trail)
    assert all(one.now is next_one.was for one, next_one in pairwise(trail))
    assert request.life.phase in RESTING
    assert [each.now for each in trail].count(Phase.ROLLED_BACK) <= (kind is RequestKind.SCALE)
    assert [each.now for each in trail].count(Phase.REQUESTED) <= 1


@few
@given(_looks, st.integers(0, 20 * MINUTE), st.integers(-(10**11), 10**11))
def test_only_differences_of_time_count(seen: Seen, later: int, by: int) -> None:
    """A life that is moved in time takes the same way."""
    request = replace(in_phase(Phase.REQUESTED, transitions=SOME), running_since=1)
    seen = replace(seen, attempt=2)
    moved = replace(
        request,
        sent_at=NOW + by,
        life=replace(request.life, since=NOW + by, looked_at=NOW + by),
    )
    here, there = advance(request, seen, POLICY, NOW + later)[1], advance(moved, seen, POLICY, NOW + by + later)[1]
    assert [(each.now, each.reason) for each in here] == [(each.now, each.reason) for each in there]


def test_every_phase_has_a_rule() -> None:
    """No phase is without a way on, even if there is none."""
    assert set(RULES) == set(Phase)


def test_a_life_can_be_ended_from_outside() -> None:
    """A job that is gone ends the life of what was asked of it, with that reason."""
    ended = entered(on_trial(), Phase.STEADY, "the job is gone", NOW + 5)
    assert ended.transitions[-1] == Transition(
        at=NOW + 5, was=Phase.PROBATION, now=Phase.STEADY, reason="the job is gone"
    )
