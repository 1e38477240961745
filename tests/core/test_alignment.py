"""Where partitions and key groups spread evenly."""

from __future__ import annotations

import pytest

from autoscaler.core.alignment import Aligned, align, is_alignable
from autoscaler.core.errors import UndecidableError
from autoscaler.model import Alignment, Input
from tests.core.builders import a_vertex

BALANCED, EVENLY, OFF = Alignment.BALANCED, Alignment.EVENLY_SPREAD, Alignment.OFF
LEGACY, MAXIMIZE = Alignment.LEGACY_EVENLY_SPREAD, Alignment.LEGACY_MAXIMIZE_UTILISATION


@pytest.mark.parametrize(
    ("mode", "current", "wanted", "spread", "lower", "upper", "expected"),
    [
        pytest.param(BALANCED, 4, 4, 12, 1, 200, Aligned(4), id="balanced-divides"),
        pytest.param(BALANCED, 10, 27, 100, 1, 200, Aligned(34), id="balanced-smaller-share"),
        pytest.param(BALANCED, 10, 7, 8, 1, 200, Aligned(8), id="balanced-down"),
        pytest.param(BALANCED, 2, 30, 20, 1, 200, Aligned(30), id="balanced-beyond-the-data"),
        pytest.param(BALANCED, 4, 7, 100, 1, 7, Aligned(7), id="balanced-nothing-below-upper"),
        pytest.param(EVENLY, 10, 27, 100, 1, 200, Aligned(50), id="evenly-divisor"),
        pytest.param(EVENLY, 23, 20, 29, 1, 200, Aligned(20), id="evenly-none-down"),
        pytest.param(OFF, 10, 27, 100, 1, 200, Aligned(27), id="off"),
        pytest.param(LEGACY, 10, 27, 100, 1, 200, Aligned(50), id="legacy-divisor-above"),
        pytest.param(LEGACY, 10, 60, 100, 1, 80, Aligned(50, limited=True), id="legacy-falls-back"),
        pytest.param(LEGACY, 10, 27, 51, 1, 28, Aligned(26, limited=True), id="legacy-not-on-a-divisor"),
        pytest.param(LEGACY, 40, 30, 100, 1, 200, Aligned(25, limited=True), id="legacy-down"),
        pytest.param(LEGACY, 40, 30, 100, 28, 200, Aligned(28, limited=True), id="legacy-at-lower-limit"),
        pytest.param(LEGACY, 40, 34, 100, 28, 200, Aligned(34), id="legacy-same-and-not-limited"),
        pytest.param(LEGACY, 6, 7, 20, 1, 8, Aligned(7), id="legacy-first-of-its-share"),
        pytest.param(LEGACY, 55, 60, 100, 1, 80, Aligned(55, limited=True), id="legacy-inverts-up"),
        pytest.param(LEGACY, 5, 3, 7, 5, 9, Aligned(5, limited=True), id="legacy-inverts-down"),
        pytest.param(MAXIMIZE, 10, 27, 100, 1, 200, Aligned(34), id="maximize-smaller-share"),
        pytest.param(MAXIMIZE, 10, 60, 100, 1, 80, Aligned(50, limited=True), id="maximize-falls-back"),
    ],
)
def test_align(
    mode: Alignment, current: int, wanted: int, spread: int, lower: int, upper: int, expected: Aligned
) -> None:
    """Each mode moves a wish upwards to where it accepts it; only the older ones may also lower it."""
    vertex = a_vertex(parallelism=current, source_partitions=spread, max_parallelism=1000)
    assert align(vertex, wanted, mode, lower, upper) == expected


def test_an_even_divisor_at_the_fallback_is_used_itself() -> None:
    """Where the first smaller value with a larger share divides evenly, it is the second choice."""
    vertex = a_vertex(parallelism=2, source_partitions=9, max_parallelism=1000)
    assert align(vertex, 4, LEGACY, 1, 5) == Aligned(3, limited=True)


def test_key_groups_stand_in_for_unknown_partitions() -> None:
    """Without known partitions the key groups are spread."""
    assert align(a_vertex(max_parallelism=128), 30, BALANCED, 1, 200) == Aligned(32)


def test_max_parallelism_bounds_the_search() -> None:
    """A vertex with fewer key groups than partitions is not aligned beyond its key groups."""
    vertex = a_vertex(source_partitions=100, max_parallelism=30)
    assert align(vertex, 27, EVENLY, 1, 200) == Aligned(27)


def test_no_parallelism_cannot_be_aligned() -> None:
    """Nothing spreads over no subtasks."""
    with pytest.raises(UndecidableError):
        align(a_vertex(), 0, BALANCED, 0, 200)


def test_the_fallback_ends_at_the_first_subtask() -> None:
    """Where no smaller value has a larger share, the search ends at one subtask."""
    vertex = a_vertex(parallelism=4, source_partitions=8, max_parallelism=0)
    assert align(vertex, 1, LEGACY, 1, 200) == Aligned(1)


@pytest.mark.parametrize(
    ("partitions", "strategies", "alignable"),
    [
        pytest.param(None, (), False, id="nothing-known"),
        pytest.param(8, (), True, id="partitions"),
        pytest.param(None, ("HASH",), True, id="keyed"),
        pytest.param(None, ("REBALANCE", "FORWARD"), False, id="not-keyed"),
    ],
)
def test_is_alignable(partitions: int | None, strategies: tuple[str, ...], alignable: bool) -> None:
    """Only partitions and keys are spread."""
    inputs = tuple(Input(id=f"v{index}", ship_strategy=each) for index, each in enumerate(strategies))
    assert is_alignable(a_vertex(source_partitions=partitions, inputs=inputs)) is alignable


def test_the_later_of_two_edges_counts() -> None:
    """Two edges from one vertex are one, shipped as the later says."""
    edges = (Input(id="a", ship_strategy="HASH"), Input(id="a", ship_strategy="FORWARD"))
    assert not is_alignable(a_vertex("b", inputs=edges))
    assert is_alignable(a_vertex("b", inputs=edges[::-1]))
