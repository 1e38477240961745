"""A recorded job decided anew: the same decisions from the same samples, and every difference shown."""

from __future__ import annotations

import gzip
import json
import math
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec import structs

from autoscaler.cli import main
from autoscaler.model import Reason, VertexSample
from autoscaler.options import APACHE, EMR, cluster, policy
from autoscaler.sim.cluster import SimCluster
from autoscaler.sim.drive import BEGAN, STORE_BYTES, fleet_on
from autoscaler.sim.edge import Edge
from autoscaler.sim.recorded import reading_of, rerun, source_rate, told
from autoscaler.sim.replay import Recording, changes, recording, replay
from autoscaler.sim.virtual import VirtualTime
from autoscaler.store import open_store
from tests.sim.builders import a_scenario

RECORDINGS = Path(__file__).parents[1] / "data" / "recordings"

# The options of the jobs whose passes on a real YARN and Flink 2.2 are recorded.
OPTIONS = {
    "job.autoscaler.decision.interval": "5 s",
    "job.autoscaler.metrics.window": "20 s",
    "job.autoscaler.stabilization.interval": "10 s",
    "job.autoscaler.scale-up.grace-period": "15 s",
    "job.autoscaler.scale-down.max-factor": "1.0",
    "job.autoscaler.restart.time": "10 s",
    "job.autoscaler.catch-up.duration": "2 min",
    "job.autoscaler.backlog-processing.lag-threshold": "1 min",
    "job.autoscaler.observed-true-processing-rate.lag-threshold": "10 s",
}
LOOP = OPTIONS | {
    "taskmanager.numberOfTaskSlots": "2",
    "job.autoscaler.yarn.rescale-gap.up": "5 s",
    "job.autoscaler.yarn.rescale-gap.down": "15 s",
    "job.autoscaler.yarn.rescale-budget": "0",
    "job.autoscaler.yarn.probation": "20 s",
}
# When the daemon that was recorded found a window not full that had been: its oldest sample was 1 ms too young.
NOT_FULL_BY_A_MILLISECOND = {"full-queue": [], "changed-by-hand": [1_795_277_211_004]}
FULL_QUEUE = {"job.autoscaler.yarn.capacity.allowance": "0"}
BY_HAND = {"job.autoscaler.yarn.external-change.hold": "45 s"}
AS_RECORDED = [word for key, value in OPTIONS.items() for word in ("--set", f"{key}={value}")]


def store_of(name: str, folder: Path) -> Path:
    """The recording as a store of this version."""
    file = folder / f"{name}.db"
    file.write_bytes(gzip.decompress((RECORDINGS / f"{name}.db.gz").read_bytes()))
    open_store(f"sqlite:///{file}", STORE_BYTES, BEGAN).store.close()
    return file


def recorded(name: str, folder: Path) -> Recording:
    with closing(open_store(f"sqlite:///{store_of(name, folder)}", STORE_BYTES, BEGAN).store) as store:
        (key,) = store.keys()
        return recording(store, key)


@pytest.mark.parametrize(("name", "passes", "minds"), [("full-queue", 13, 7), ("changed-by-hand", 18, 12)])
def test_a_recorded_run_of_a_real_lab_is_decided_as_it_was(name: str, passes: int, minds: int, tmp_path: Path) -> None:
    """Every pass, each change of mind, and what a rescale was held back by are those of the recording.

    But a window that was full stays full.
    """
    steps = replay(recorded(name, tmp_path), policy(OPTIONS), cluster(OPTIONS))
    differing = [step for step in steps if step.differs]
    assert [step.at for step in differing] == NOT_FULL_BY_A_MILLISECOND[name]
    assert all(step.replayed.reason is Reason.STEADY for step in differing)
    assert (len(steps), len(changes(steps))) == (passes, minds)
    assert Reason.SCALE in {step.replayed.reason for step in steps}


@pytest.mark.parametrize(("name", "own"), [("full-queue", FULL_QUEUE), ("changed-by-hand", BY_HAND)])
def test_a_recorded_run_of_a_real_lab_is_led_as_it_was(name: str, own: dict[str, str], tmp_path: Path) -> None:
    """Read over REST by the unchanged adapters and loop it gives the same changes of mind in the same order, and what
    held a rescale back is the same: no room, what somebody else had set."""
    found = recorded(name, tmp_path)
    was = [one for one in told(found) if one.at not in NOT_FULL_BY_A_MILLISECOND[name]]
    came = rerun(found, LOOP | own, EMR)
    assert [one.mind for one in came] == [one.mind for one in was]
    assert all(abs(one.at - other.at) < 10 for one, other in zip(was, came, strict=True))
    assert Reason.SCALE in {one.reason for one in came}


def test_what_is_measured_of_a_replayed_job_is_what_was_recorded(tmp_path: Path) -> None:
    """The answers are rebuilt so that the daemon's own reading of them gives every recorded number again."""
    found = recorded("full-queue", tmp_path)
    wanted = policy(OPTIONS)
    for one in found.passes:
        for vertex in one.topology.vertices:
            measured = one.samples[0].vertices[vertex.id]
            reading = reading_of(measured, vertex.parallelism, wanted)
            assert reading.busy[1] / 1000 == pytest.approx(measured.load)
            assert reading.back_pressured[2] / 1000 == pytest.approx(measured.back_pressure, abs=1e-9)


@pytest.mark.parametrize(
    ("measured", "rate"),
    [
        (VertexSample(lag=0.0, observed_tpr=math.inf), 0.0),
        (VertexSample(lag=50_000.0, observed_tpr=1_000.0, back_pressure=0.5), 500.0),
        (VertexSample(lag=99.0, observed_tpr=1_000.0, back_pressure=0.5), 20.0),
        (VertexSample(lag=99.0), 20.0),
    ],
)
def test_the_rate_of_a_source_is_found_from_what_was_computed_of_it(measured: VertexSample, rate: float) -> None:
    """Nothing read, catching up, and neither: then any rate does at which the lag is no backlog (10 s here)."""
    assert source_rate(measured, policy(OPTIONS)) == pytest.approx(rate)


@pytest.mark.slow
@pytest.mark.parametrize("profile", [EMR, APACHE])
def test_a_simulated_run_is_decided_as_it_was(profile: str) -> None:
    """Hours of growing, shrinking and held-back scale-downs come out the same, pass by pass, in both profiles."""
    options = {"job.autoscaler.scale-down.interval": "20 min", "job.autoscaler.yarn.rescale-gap.down": "5 min"}
    load = {"shape": "step", "low": 1_000, "high": 4_000, "up": 30, "down": 90, "noise": 0.1}
    scenario = a_scenario(load=load, hours=4, settings=options)
    sim = SimCluster(scenario, 1, BEGAN)
    time = VirtualTime(BEGAN, sim.advance)
    with closing(open_store("sqlite://", STORE_BYTES, BEGAN).store) as store:
        fleet_on(Edge(sim, scenario.settings), time, store, profile).start(BEGAN)
        time.run(BEGAN + 4 * 3_600_000)
        (key,) = store.keys()
        found = recording(store, key)
    steps = replay(found, policy(dict(scenario.settings), profile), cluster(scenario.settings))
    assert [step for step in steps if step.differs] == []
    assert len(steps) > 100
    assert sum(step.recorded.reason is Reason.SCALE for step in steps) >= 2


def test_another_measurement_shows_as_a_difference(tmp_path: Path) -> None:
    """Had a vertex been idle, the pass that scaled it up differs, and is marked as such."""
    found = recorded("full-queue", tmp_path)
    enrich = next(v.id for v in found.passes[0].topology.vertices if v.name.startswith("enrich"))
    idle = {enrich: VertexSample(load=0.01, accumulated_busy_ms=0.0)}
    calm = [
        replace(one, samples=tuple(structs.replace(s, vertices={**s.vertices, **idle}) for s in one.samples))
        for one in found.passes
    ]
    steps = replay(replace(found, passes=calm), policy(OPTIONS), cluster(OPTIONS))
    assert Reason.SCALE in {step.recorded.reason for step in steps if step.differs}


def test_the_command_prints_both_and_says_whether_they_differ(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the recorded options the status is 0, with others 1 and the pass is marked."""
    file = str(store_of("full-queue", tmp_path))
    assert main(["simulate", "--replay", file, *AS_RECORDED]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0].startswith("clamped/orders: 13 passes")
    assert out.splitlines()[0].endswith(", 0 differ")
    assert "NO_CAPACITY enrich 4→10" in out
    assert main(["simulate", "--replay", file, *AS_RECORDED, "--set", "job.autoscaler.vertex.max-parallelism=6"]) == 1
    assert "SCALE enrich 1→8         SCALE enrich 1→6        differs" in capsys.readouterr().out
    assert main(["simulate", "--replay", file, "--job", "clamped", "--json", *AS_RECORDED]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["passes"] == 13
    assert len(document["changes"]) == 7
    assert not any(change["differs"] for change in document["changes"])


def test_the_command_plays_a_recording_over_rest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Both sequences stand side by side; with other settings the status is 1, and the first difference is marked."""
    file = str(store_of("full-queue", tmp_path))
    settings = [word for key, value in (LOOP | FULL_QUEUE).items() for word in ("--set", f"{key}={value}")]
    command = ["simulate", "--replay", file, "--over-rest"]
    assert main([*command, *settings]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0] == "clamped/orders: 7 changes of mind were recorded, 7 came of it over REST"
    assert out.count("NO_CAPACITY: orders 1, enrich 10, deliver 1") == 2
    assert main([*command, *settings, "--set", "job.autoscaler.vertex.max-parallelism=3", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["differs_from"] == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--job", "payments"], "--job payments: 0 jobs of"),
        (["--policy", "none"], "--policy none: a replay is decided by ours or reference"),
        (["--set", "job.autoscaler.metrics.window=soon"], "soon"),
        (["--compare", "ours,none"], "--compare are for scenarios"),
        (["step"], "name either scenarios or a recording with --replay STORE"),
    ],
)
def test_bad_input_is_named(words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot be replayed is said with the word that asked for it, and the status is 2."""
    assert main(["simulate", "--replay", str(store_of("full-queue", tmp_path)), *words]) == 2
    assert said in capsys.readouterr().err


def test_a_scenario_is_not_played_over_rest(capsys: pytest.CaptureFixture[str]) -> None:
    """It is already."""
    assert main(["simulate", "step", "--over-rest"]) == 2
    assert "--over-rest plays a recording" in capsys.readouterr().err


def test_a_store_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The file is named, and none is created in its place."""
    file = tmp_path / "no.db"
    assert main(["simulate", "--replay", str(file)]) == 1
    assert str(file) in capsys.readouterr().err
    assert not file.exists()
