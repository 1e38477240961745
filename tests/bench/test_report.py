"""The benchmark's arithmetic, and how a figure is judged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bench.decisions import Throughput, full_window, growth
from bench.processes import CannotMeasure, counter, parse_stat
from bench.report import Row, decision_rows, document, scenario_rows, table
from bench.scenario import Measured, Scenario, grown, port_of, size_of

from autoscaler.model import BusyTimeAggregator, JobKey, Sample, Topology, Vertex, VertexSample
from autoscaler.store import open_store

HUNDRED = Scenario(applications=100, aggregator=BusyTimeAggregator.MAX)
MEASURED = Measured(
    scenario=HUNDRED,
    seconds=300.0,
    passes=500,
    requests={"overview": 500, "poke": 500, "job": 500, "metrics": 5_000, "applications": 10},
    received_bytes=10_000_000,
    connections=10,
    cpu_s=4.0,
    stub_cpu_s=1.0,
    resident_mib=85.0,
    late_passes=0,
    failed_passes=0,
    sample_bytes=500.0,
    calls=["/proxy/a/jobs/overview"],
)


def rows(found: Measured) -> dict[str, Row]:
    return {row.what: row for row in scenario_rows(found, 0.5)}


def test_figures_are_per_job_and_interval() -> None:
    """100 jobs, 5 intervals: everything is divided by 500; discovery's calls are no job's."""
    assert MEASURED.job_intervals == 500
    assert MEASURED.calls_per_interval == 13
    assert MEASURED.cpu_ms_per_interval == 8
    assert MEASURED.bytes_per_interval == 20_000
    assert MEASURED.connections_per_interval == 2
    assert MEASURED.share_of_core(1_000) == pytest.approx(8 / 60)
    assert MEASURED.stored_per_day() == 500 * 1_440


def test_a_shorter_interval_changes_no_figure_of_an_interval() -> None:
    """What is measured at 15 s is told per interval, and per day at an interval of 60 s."""
    fast = Scenario(applications=100, aggregator=BusyTimeAggregator.MAX, interval_s=15.0)
    found = Measured(
        **{name: getattr(MEASURED, name) for name in MEASURED.__slots__} | {"scenario": fast, "seconds": 75.0}
    )
    assert found.cpu_ms_per_interval == 8
    assert found.connections_per_interval == 2
    assert found.stored_per_day() == 500 * 1_440


def test_the_bare_loop_is_compared_per_interval() -> None:
    """13 calls of 0.5 ms are 6.5 ms."""
    assert rows(MEASURED)["daemon / bare loop"].measured == pytest.approx(8 / 6.5)
    assert rows(MEASURED)["daemon / bare loop"].verdict == "over by 23%"


@pytest.mark.parametrize(
    ("row", "verdict"),
    [
        (Row(what="x", measured=1.0), ""),
        (Row(what="x", measured=1.0, at_most=1.0), "ok"),
        (Row(what="x", measured=1.5, at_most=1.0), "over by 50%"),
        (Row(what="x", measured=3.0, at_most=0), "over by 3.00"),
        (Row(what="x", measured=60.0, at_least=60.0), "ok"),
        (Row(what="x", measured=45.0, at_least=60.0), "short by 25%"),
    ],
)
def test_a_row_says_how_far_its_target_was_missed(row: Row, verdict: str) -> None:
    """A figure without a target is not judged."""
    assert row.verdict == verdict


def test_a_share_of_json_is_judged() -> None:
    """Deciding is to reach 60 % of parsing and printing alone, and time per vertex must not grow."""
    judged = {
        row.what: row.verdict
        for row in decision_rows(
            Throughput(cases=10, decided_per_s=3_000, json_per_s=6_000), {10: 0.3, 100: 3.0, 1_000: 60.0}
        )
    }
    assert judged["share of json alone"] == "short by 17%"
    assert judged["time per vertex, 1,000 against 10 vertices"] == "over by 33%"


def test_the_table_and_the_document_hold_the_same_figures() -> None:
    """Whatever is printed can be read by a program too."""
    sections = [("100 jobs MAX", list(rows(MEASURED).values()))]
    text, written = table(sections), document(sections, {"measured": "x"}, [MEASURED])
    listed = json.loads(json.dumps(written, default=str))["sections"]["100 jobs MAX"]
    assert len(listed) == len(text.splitlines()) - 2
    assert all(row["what"] in text for row in listed)
    assert "calls" not in written["scenarios"][0]


def test_processor_time_is_read_whatever_the_process_is_called() -> None:
    """The name of a program may hold spaces and parentheses."""
    assert parse_stat("7 (a b) c) S " + " ".join(str(n) for n in range(1, 20))) == (11 + 12) / 100


def test_counters_are_read_from_the_daemons_metrics() -> None:
    """A counter that is missing cannot be measured, which is said."""
    text = "# HELP autoscaler_passes_total Passes\nautoscaler_passes_total 12.0\n"
    assert grown(text, text.replace("12", "20"), "passes") == 8
    with pytest.raises(CannotMeasure, match="late"):
        counter(text, "autoscaler_late_passes_total")


def test_the_port_is_read_from_the_log() -> None:
    """The daemon is told to choose a free one, and says which."""
    assert port_of('{"event": "x"}\n{"event": "autoscaler started", "port": 4711}\n') == 4711
    with pytest.raises(CannotMeasure):
        port_of("")


def test_samples_and_bytes_of_a_store_are_counted(tmp_path: Path) -> None:
    """What a day will take is extrapolated from the growth per sample."""
    path = tmp_path / "a.db"
    store = open_store(f"sqlite:///{path}", 1 << 30, 0).store
    before = size_of(path)
    topology = Topology(vertices=(Vertex(id="a", name="a", parallelism=1, max_parallelism=2),))
    sample = Sample(at=1, vertices={"a": VertexSample(load=0.5)})
    for _ in range(200):
        store.append_sample(JobKey(cluster="c", application="a", job="j"), topology, 1, sample)
    after = size_of(path)
    store.close()
    assert after[0] - before[0] == 200
    assert after[1] > before[1]


def test_the_window_that_is_timed_is_full() -> None:
    """One decision per size is measured, and each is a whole one."""
    assert len(full_window(10).samples) == 60
    assert growth((10,), 1)[10] > 0
