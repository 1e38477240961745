"""When a rescale comes at a bad time, by what was asked before."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.pacing import (
    DAY,
    Wish,
    backed_off_for,
    bad_for,
    due,
    known_requirements,
    lost,
    objection,
    overdraft,
    trial_of,
)
from autoscaler.model import Life, Phase, Policy, Reason, Request, RequestKind, RequestState
from tests.core.builders import HOUR, MINUTE, NOW
from tests.core.requests import BEFORE, TARGET, a_request, closed, in_phase
from tests.core.strategies import few

POLICY = Policy()
UP = Wish(present=BEFORE, target=TARGET, slots=2, slots_wanted=4)
DOWN = Wish(present=TARGET, target=BEFORE, slots=4, slots_wanted=2)
BEHIND = replace(UP, behind_ms=8 * MINUTE)


def why(past: list[Request], wish: Wish = UP, **policy: Any) -> Reason | None:
    found = objection(past, wish, replace(POLICY, **policy), NOW)
    return None if found is None else found[0]


def rolled_back(at: int, **changes: Any) -> Request:
    return closed(at, life=Life(phase=Phase.ROLLED_BACK, since=at), **changes)


def adopted(at: int) -> Request:
    return closed(at, RequestState.ADOPTED, kind=RequestKind.ADOPT, reason="changed by somebody else: w 2→3")


def test_nothing_asked_before_is_no_objection() -> None:
    """A job of which nothing is remembered may be rescaled."""
    assert why([]) is why([], DOWN) is None
    assert trial_of([]) is known_requirements([]) is backed_off_for([], POLICY) is None


def test_somebody_elses_change_is_kept_for_a_while() -> None:
    """The hold names what was changed and when it ends; then the job is ours again."""
    assert why([adopted(NOW - 30 * MINUTE)]) is None
    found = objection([adopted(NOW - 29 * MINUTE), closed(NOW - DAY)], UP, POLICY, NOW)
    assert found == (
        Reason.EXTERNAL_CHANGE,
        "changed by somebody else: w 2→3; left as it is until 2025-10-09 09:01 UTC",
    )
    assert why([adopted(NOW)], external_change_hold=0) is None


def test_a_flapping_job_is_left_alone() -> None:
    """Three changes of parallelism within an hour that nobody asked for are not answered by another."""
    times = (NOW - 59 * MINUTE, NOW - 30 * MINUTE, NOW - 5 * MINUTE)
    assert why([], replace(UP, unasked=times)) is Reason.FLAPPING
    assert why([], replace(UP, unasked=times[1:])) is None
    assert why([], replace(UP, unasked=(NOW - HOUR, *times[1:]))) is None
    assert why([], replace(UP, unasked=times), external_change_hold=0) is None


def test_a_pinned_flapping_job_may_grow_when_it_falls_behind() -> None:
    """Before it is pinned more slots would only be lost again; what was pinned before the newest change is no pin."""
    wish = replace(BEHIND, unasked=(NOW - 59 * MINUTE, NOW - 30 * MINUTE, NOW - 5 * MINUTE))
    pin = closed(NOW - 4 * MINUTE, kind=RequestKind.PIN)
    assert why([], wish) is Reason.FLAPPING
    assert why([pin], wish) is None
    assert why([pin], replace(wish, behind_ms=None)) is Reason.FLAPPING
    assert why([closed(NOW - 6 * MINUTE, kind=RequestKind.PIN)], wish) is Reason.FLAPPING
    assert why([replace(pin, state=RequestState.VOID)], wish) is Reason.FLAPPING


def test_a_probation_is_disturbed_by_growth_alone() -> None:
    """What is watched is not taken away again before it was seen to be bad; a job that needs more still gets it."""
    trial = in_phase(Phase.PROBATION, sent_at=NOW - HOUR)
    assert why([trial], DOWN) is Reason.PROBATION
    assert why([trial]) is None
    assert trial_of([trial, closed(NOW)]) is trial


def test_a_bad_target_is_not_tried_again_for_a_time_that_doubles() -> None:
    """6 h after the first roll-back, 12 h after the second, at most 48 h; other targets are free."""
    first = rolled_back(NOW - 5 * HOUR)
    assert why([first]) is Reason.KNOWN_BAD
    assert why([first], replace(UP, target={"s": 2, "w": 5})) is None
    assert why([rolled_back(NOW - 6 * HOUR)]) is None
    for count, hours in ((1, 6), (2, 12), (3, 24), (4, 48), (9, 48)):
        assert bad_for([rolled_back(NOW)] * count, TARGET, POLICY) == (NOW, hours * HOUR)
    assert why([first], bad_target_memory=0) is None


def test_a_roll_back_tells_what_was_undone_although_that_was_not_stored() -> None:
    """A daemon may die before it stores what became of a request; the roll-back that follows it is proof enough."""
    asked, undone = closed(NOW - 2 * HOUR), closed(NOW - HOUR, kind=RequestKind.ROLL_BACK, target=BEFORE)
    assert bad_for([asked, undone], TARGET, POLICY) == (NOW - HOUR, 6 * HOUR)
    assert bad_for([asked], TARGET, POLICY) is None
    another = closed(NOW - HOUR, kind=RequestKind.ROLL_BACK, target={"s": 1, "w": 1})
    assert bad_for([asked, another], TARGET, POLICY) is None
    further = replace(UP, target={"s": 2, "w": 6})
    assert why([rolled_back(NOW - 3 * HOUR), asked, undone], further) is Reason.KNOWN_BAD


def test_growth_that_was_undone_twice_is_not_tried_by_a_little_more() -> None:
    """A job whose lag grows wants another target each time; two failures in a row hold all that go as far, for 6 h."""
    further = replace(UP, target={"s": 2, "w": 6})
    twice = [rolled_back(NOW - 2 * HOUR), rolled_back(NOW - HOUR, target={"s": 2, "w": 5})]
    assert why(twice, further) is Reason.KNOWN_BAD
    assert why(twice, replace(BEHIND, target={"s": 2, "w": 6})) is Reason.KNOWN_BAD, "it would only fall further behind"
    assert why(twice[:1], further) is None
    assert why(twice, replace(UP, target={"s": 2, "w": 3})) is None, "less far may do"
    assert why(twice, DOWN) is None
    assert why([*twice, closed(NOW - 30 * MINUTE)], further) is None, "growth has worked since"
    assert why([*twice, rolled_back(NOW - 30 * MINUTE, target=BEFORE)], further) is Reason.KNOWN_BAD
    assert why([rolled_back(NOW - 7 * HOUR), rolled_back(NOW - 6 * HOUR, target={"s": 2, "w": 5})], further) is None
    assert why(twice, further, bad_target_memory=0) is None


def test_what_was_not_granted_is_not_asked_again_at_once() -> None:
    """10 min after the first refusal, doubled for each one in a row; rescales within the slots held are free."""
    refused = closed(NOW - 9 * MINUTE, RequestState.TIMED_OUT)
    assert why([refused]) is Reason.AWAITING_RESOURCES
    assert why([closed(NOW - 10 * MINUTE, RequestState.TIMED_OUT)]) is None
    partial = closed(NOW - 19 * MINUTE, RequestState.PARTIAL)
    assert why([refused, partial]) is Reason.AWAITING_RESOURCES
    assert why([refused, closed(NOW - HOUR), partial]) is None, "only those in a row count"
    assert why([partial, closed(NOW - 19 * MINUTE, RequestState.ACHIEVED, kind=RequestKind.WITHDRAW)]) is None
    assert why([refused], replace(UP, slots_wanted=2)) is None
    assert why([refused], back_off=0) is None
    unknown = replace(refused, outcome=None)
    assert backed_off_for([unknown], POLICY) == (NOW - 9 * MINUTE, 10 * MINUTE)
    assert backed_off_for([refused] * 30, POLICY) == (NOW - 9 * MINUTE, 6 * HOUR)


AHEAD = 3 * DAY  # the record's clock was wrong, and has been set right


@pytest.mark.parametrize(
    ("past", "wish"),
    [
        pytest.param([closed(NOW + AHEAD, kind=RequestKind.ADOPT, state=RequestState.ADOPTED)], UP, id="adopted"),
        pytest.param([], replace(UP, unasked=(NOW + AHEAD,) * 3), id="flapping"),
        pytest.param([rolled_back(NOW + AHEAD)], UP, id="known-bad"),
        pytest.param([rolled_back(NOW + AHEAD), rolled_back(NOW + AHEAD, target={"s": 2, "w": 3})], UP, id="twice"),
        pytest.param([closed(NOW + AHEAD, RequestState.TIMED_OUT)], UP, id="not-granted"),
        pytest.param([closed(NOW + AHEAD)], DOWN, id="gap"),
        pytest.param([closed(NOW + AHEAD)] * 6, UP, id="budget"),
    ],
)
def test_nothing_waits_for_a_clock_that_was_set_back_to_catch_up(past: list[Request], wish: Wish) -> None:
    """A record of a time that lies farther ahead than it would hold a job holds it no longer; a nearer one does."""
    assert why(past, wish) is None
    near = [replace(each, decided_at=NOW + MINUTE, sent_at=NOW + MINUTE) for each in past]
    near = [each if each.outcome is None else replace(each, outcome=replace(each.outcome, at=NOW + 1)) for each in near]
    near = [replace(each, life=replace(each.life, since=NOW + MINUTE)) for each in near]
    assert why(near, replace(wish, unasked=tuple(NOW + MINUTE for _ in wish.unasked))) is not None


@pytest.mark.parametrize(
    ("wish", "ago", "expected"),
    [
        (UP, 2 * MINUTE - 1, Reason.TOO_SOON),
        (UP, 2 * MINUTE, None),
        (DOWN, 30 * MINUTE - 1, Reason.TOO_SOON),
        (DOWN, 30 * MINUTE, None),
    ],
)
def test_rescales_keep_their_distance(wish: Wish, ago: int, expected: Reason | None) -> None:
    """A rescale that gives some vertex more may follow sooner than one that only takes away."""
    assert why([closed(NOW - ago)], wish) is expected
    assert why([closed(NOW - ago, kind=RequestKind.ROLL_BACK)], wish) is expected
    assert why([closed(NOW - ago, kind=RequestKind.WITHDRAW)], wish) is None
    assert why([closed(NOW - ago, RequestState.REJECTED)], wish) is None


def test_the_budget_lasts_a_day() -> None:
    """Six rescales within any 24 hours, of our own choice, that were sent."""
    spent = [closed(NOW - DAY + 1 + n * HOUR) for n in range(6)]
    assert why(spent) is Reason.BUDGET
    assert why(spent[1:]) is None
    assert why([*spent[1:], closed(NOW - DAY)]) is None
    assert why([*spent[1:], closed(NOW - 20 * HOUR, RequestState.VOID)]) is None
    assert why([*spent[1:], closed(NOW - 20 * HOUR, kind=RequestKind.ROLL_BACK)]) is None
    assert why(spent, rescale_budget=0) is None


def test_a_job_that_falls_behind_overdraws_the_budget_and_says_so() -> None:
    """Nobody's job falls behind for the sake of a count; the reason tells which rescale it is."""
    spent = [closed(NOW - DAY + 1 + n * HOUR) for n in range(6)]
    assert why(spent, BEHIND) is None
    assert overdraft(spent, BEHIND, POLICY, NOW) == "rescale 7 of 6 within a day, as the job is 8 min behind"
    assert overdraft(spent[1:], BEHIND, POLICY, NOW) is None
    assert overdraft(spent, UP, POLICY, NOW) is None
    assert overdraft(spent, BEHIND, replace(POLICY, rescale_budget=0), NOW) is None


def test_the_newest_request_that_was_sent_tells_the_requirements() -> None:
    """What was refused or never left is not what the job should have."""
    sent, refused = a_request(), a_request(state=RequestState.REJECTED)
    assert known_requirements([sent, refused, a_request(state=RequestState.VOID)]) is sent


# ------------------------------------------------------------------ what has to follow


def what(past: list[Request], **policy: Any) -> tuple[RequestKind, int | None] | None:
    found = due(past, replace(POLICY, **policy))
    return None if found is None else (found[0], found[1].id)


ROLLED_BACK = rolled_back(NOW - HOUR, id=7)
TIMED_OUT = closed(NOW - HOUR, RequestState.TIMED_OUT, id=8)
WITHDRAWN = closed(NOW, kind=RequestKind.WITHDRAW, id=9)


@pytest.mark.parametrize(
    ("past", "expected"),
    [
        ([], None),
        ([closed(NOW)], None),
        ([ROLLED_BACK], (RequestKind.ROLL_BACK, 7)),
        ([ROLLED_BACK, WITHDRAWN], (RequestKind.ROLL_BACK, 7)),
        ([ROLLED_BACK, closed(NOW, RequestState.VOID, kind=RequestKind.ROLL_BACK)], (RequestKind.ROLL_BACK, 7)),
        ([ROLLED_BACK, closed(NOW, kind=RequestKind.ROLL_BACK)], None),
        ([ROLLED_BACK, closed(NOW, RequestState.REJECTED, kind=RequestKind.ROLL_BACK)], None),
        ([ROLLED_BACK, adopted(NOW)], None),
        ([replace(ROLLED_BACK, former={})], None),
        ([TIMED_OUT], (RequestKind.WITHDRAW, 8)),
        ([closed(NOW, RequestState.PARTIAL, id=8)], (RequestKind.WITHDRAW, 8)),
        ([TIMED_OUT, closed(NOW, RequestState.VOID, kind=RequestKind.WITHDRAW)], (RequestKind.WITHDRAW, 8)),
        ([TIMED_OUT, WITHDRAWN], None),
        ([TIMED_OUT, adopted(NOW)], None),
        ([TIMED_OUT, closed(NOW)], None),
        ([replace(WITHDRAWN, state=RequestState.TIMED_OUT)], None),
    ],
)
def test_what_has_to_follow_is_asked_for_once(
    past: list[Request], expected: tuple[RequestKind, int | None] | None
) -> None:
    """A roll-back follows a bad change, a withdrawal what was not granted, unless something else left since."""
    assert what(past) == expected


def test_nothing_is_withdrawn_where_there_is_no_back_off() -> None:
    """Then an upper bound stays as it was asked for, and YARN may still grant it."""
    assert what([TIMED_OUT], back_off=0) is None


@pytest.mark.parametrize(
    ("request_", "found"),
    [
        (closed(NOW), True),
        (closed(NOW, application_id="application_1_0002"), False),
        (closed(NOW, job_id="new"), False),
        (ROLLED_BACK, False),
        (closed(NOW, RequestState.NOT_ACHIEVED, answer="accepted"), True),
        (closed(NOW, RequestState.NOT_ACHIEVED, answer="uncertain: no answer within 8 s"), False),
    ],
    ids=["another id", "another application", "the same job", "what was bad", "accepted", "perhaps never in force"],
)
def test_what_a_new_applicationmaster_lost(request_: Request, found: bool) -> None:
    """The same application under another job id has the requirements it was submitted with."""
    assert (lost([request_], "application_1_0001", "new") is request_) is found
    assert lost([], "application_1_0001", "new") is None


def test_of_a_pin_where_a_job_had_come_down_to_nothing_is_lost() -> None:
    """A job that begins anew is not made small again; a pin that asked for more is lost like the rest."""
    where_it_was = replace(in_phase(Phase.STEADY, kind=RequestKind.PIN), target=BEFORE)
    assert lost([where_it_was], "application_1_0001", "new") is None
    elsewhere = replace(where_it_was, target=TARGET)
    assert lost([elsewhere], "application_1_0001", "new") is elsewhere


_pasts = st.lists(
    st.builds(
        closed,
        st.integers(NOW - 3 * DAY, NOW),
        st.sampled_from([state for state in RequestState if state is not RequestState.INTENDED]),
        kind=st.sampled_from(list(RequestKind)),
        life=st.builds(
            Life, phase=st.sampled_from([Phase.STEADY, Phase.ROLLED_BACK]), since=st.integers(NOW - 3 * DAY, NOW)
        ),
    ),
    max_size=8,
)


@few
@given(_pasts, st.sampled_from([UP, DOWN, BEHIND]))
def test_the_budget_is_never_broken_silently(past: list[Request], wish: Wish) -> None:
    """Whatever was asked before: beyond the budget there is an objection, or it is said to be overdrawn."""
    spent = sum(
        r.kind is RequestKind.SCALE
        and r.state not in (RequestState.VOID, RequestState.REJECTED)
        and NOW - r.decided_at < DAY
        for r in past
    )
    if spent >= 6:
        assert objection(past, wish, POLICY, NOW) or overdraft(past, wish, POLICY, NOW)


@few
@given(_pasts)
def test_a_bad_target_is_never_tried_in_its_time(past: list[Request]) -> None:
    """However many rules agree, none lets a target through that is known to be bad."""
    span = bad_for(past, TARGET, POLICY)
    if span is not None and span.until > NOW:
        assert objection(past, BEHIND, POLICY, NOW) is not None
