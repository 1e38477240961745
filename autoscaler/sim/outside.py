"""Another program decides: it is given one decision case a line and answers one line.

Sampling, requests and what is remembered are as simple as can be: a case once per decision interval while the job runs
and no rescale is under way; scalings, restarts and held-back scale-downs are kept from its answers.
"""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace

import msgspec
from msgspec.structs import asdict

from autoscaler.case import Case, write_case
from autoscaler.case.document import DelayedDocument, NeedDocument, Number
from autoscaler.cluster import ClusterError, FlinkRest, JobDetails
from autoscaler.loop.action import bounds_to_send, runs
from autoscaler.loop.observe import Observer
from autoscaler.model import (
    Cluster,
    DelayedRequest,
    DelayedScaleDown,
    History,
    Millis,
    Need,
    Restart,
    Sample,
    Scaling,
    Vertex,
    VertexId,
    Window,
    frozen,
)
from autoscaler.options import APACHE, cluster, policy
from autoscaler.sim.edge import DirectHttp, Edge
from autoscaler.sim.flink_documents import configuration, job_id
from autoscaler.sim.policies import PolicyError
from autoscaler.sim.virtual import VirtualTime
from autoscaler.sim.yarn_documents import application_id

POKE_TO_READ: Millis = 2_000


class Rates(msgspec.Struct, frozen=True):
    """What an answer says of one vertex, as far as it is remembered; records per second."""

    tpr: Number = None
    expected_rate: Number = None


class Answer(msgspec.Struct, frozen=True):
    """An answer to a decision case, as far as it is followed and remembered."""

    rescale: bool
    parallelism: Mapping[VertexId, int] | None = None
    vertices: Mapping[VertexId, Rates] | None = None
    delayed_scale_down: Mapping[VertexId, DelayedDocument] | None = None
    needs: Mapping[VertexId, list[NeedDocument]] | None = None


_DECODER = msgspec.json.Decoder(Answer, strict=False)
_NO_RATES = Rates()


class Outside:
    """Runs COMMAND for the length of a run."""

    def __init__(self, command: str, edge: Edge, time: VirtualTime, settings: Mapping[str, str]) -> None:
        self._command = command
        self._edge, self._time = edge, time
        self._config = {entry["key"]: entry["value"] for entry in configuration(edge.cluster.job, settings)}
        self._policy = policy(self._config, APACHE)
        self._shape: Cluster = cluster(self._config)
        self._flink = FlinkRest(DirectHttp(edge), "outside", f"{edge.proxy}/proxy/{application_id(edge.cluster)}/")
        self._observer: Observer | None = None
        self._samples: tuple[Sample, ...] = ()
        self._history = History()
        self._asked: tuple[Millis, Mapping[VertexId, int]] | None = None
        try:
            self._program = subprocess.Popen(  # noqa: S603 - the user names the program
                shlex.split(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
        except (OSError, ValueError) as error:
            raise PolicyError(f"exec:{command} cannot be started: {error}") from error
        time.at(time.now, self._poke, name="outside")

    def close(self) -> None:
        for stream in (self._program.stdin, self._program.stdout):
            if stream is not None:
                with suppress(BrokenPipeError):  # what a program that ended did not read is not written again
                    stream.close()
        self._program.terminate()
        self._program.wait(10)

    def _poke(self) -> None:
        now = self._time.now
        with suppress(ClusterError):  # the read that follows will say what is the matter
            self._flink.poke()
        self._time.at(now + POKE_TO_READ, lambda: self._read(now), name="outside")

    def _read(self, at: Millis) -> None:
        try:
            own = job_id(self._edge.cluster.job)
            seen = next((job for job in self._flink.jobs() if job.id == own), None)
            if seen is not None and runs(seen):
                details = self._flink.job(own)
                if details.running_since is not None:
                    self._consider(own, details, details.running_since, at)
        except ClusterError:
            pass  # the next pass may see more
        self._time.at(at + self._policy.decision_interval, self._poke, name="outside")

    def _consider(self, own: str, details: JobDetails, running_since: Millis, at: Millis) -> None:
        present = {v.id: v.parallelism for v in details.topology.vertices}
        self._note_restart(running_since)
        self._observer = self._observer or Observer(self._flink, own)
        observed = self._observer.observe(details, self._policy, at, self._samples)
        reach = self._policy.metrics_window + self._policy.stabilization_interval + 2 * self._policy.decision_interval
        self._samples = (*(s for s in self._samples if s.at > at - reach), observed.sample)
        if self._is_under_way(present, at):
            return
        window = Window(topology=observed.topology, running_since=running_since, samples=self._samples)
        answer = self._answer(
            Case(window=window, history=self._history, policy=self._policy, cluster=self._shape, now=at, name=None)
        )
        self._history = replace(
            self._history,
            delayed=_delayed(answer),
            needs=_needs(answer),
        )
        if answer.rescale:
            target = {v: (answer.parallelism or {}).get(v, p) for v, p in present.items()}
            bounds = bounds_to_send(self._flink.requirements(own), present, target)
            self._flink.put_requirements(own, bounds)
            self._asked = (at, target)
            self._history = _with_scalings(self._history, answer, present, target, at)

    def _is_under_way(self, present: Mapping[VertexId, int], now: Millis) -> bool:
        """Whether what was asked for last may still come."""
        if self._asked is not None:
            asked_at, target = self._asked
            if dict(target) == present or now - asked_at >= self._policy.rescale_timeout:
                self._asked = None
        return self._asked is not None

    def _note_restart(self, running_since: Millis) -> None:
        """The newest restart took from its decision until the job ran again."""
        restarts = self._history.restarts
        if restarts and restarts[-1].duration_s is None and running_since > restarts[-1].at:
            done = replace(restarts[-1], duration_s=round((self._time.now - restarts[-1].at) / 1000))
            self._history = replace(self._history, restarts=(*restarts[:-1], done))

    def _answer(self, case: Case) -> Answer:
        assert self._program.stdin is not None
        assert self._program.stdout is not None
        line = ""
        try:
            self._program.stdin.write(json.dumps(write_case(case, APACHE, self._config)) + "\n")
            self._program.stdin.flush()
            line = self._program.stdout.readline()
            return _parsed(line, case.window.topology.vertices)
        except (OSError, ValueError) as error:
            said = f"answered {line.strip()!r:.200}" if line else "ended without an answer"
            raise PolicyError(f"exec:{self._command} {said}: {error}") from error


def _parsed(line: str, vertices: Iterable[Vertex]) -> Answer:
    """Read an answer about a job of these vertices. Raises ``ValueError`` for one that cannot be followed."""
    answer = _DECODER.decode(line)
    if answer.rescale and answer.parallelism is None:
        raise ValueError("a rescale without `parallelism`")
    for vertex in vertices:
        wanted = (answer.parallelism or {}).get(vertex.id, vertex.parallelism)
        if not 1 <= wanted <= vertex.max_parallelism:
            raise ValueError(f"vertex {vertex.name} at {wanted}, which can have 1 to {vertex.max_parallelism} subtasks")
    return answer


def _delayed(answer: Answer) -> Mapping[VertexId, DelayedScaleDown]:
    return frozen(
        {
            vertex: DelayedScaleDown(
                first=state.first,
                requests=tuple(
                    DelayedRequest(at=each.at, parallelism=each.parallelism, outside_bounds=each.outside_bounds is True)
                    for each in state.requests or ()
                ),
            )
            for vertex, state in (answer.delayed_scale_down or {}).items()
        }
    )


def _needs(answer: Answer) -> Mapping[VertexId, tuple[Need, ...]]:
    return frozen(
        {vertex: tuple(Need(**asdict(each)) for each in needs) for vertex, needs in (answer.needs or {}).items()}
    )


def _with_scalings(
    history: History,
    answer: Answer,
    present: Mapping[VertexId, int],
    target: Mapping[VertexId, int],
    at: Millis,
) -> History:
    scalings = dict(history.scalings)
    for vertex, parallelism in target.items():
        if parallelism != present[vertex]:
            said = (answer.vertices or {}).get(vertex, _NO_RATES)
            scaling = Scaling(
                at=at,
                from_parallelism=present[vertex],
                to_parallelism=parallelism,
                tpr=said.tpr,
                expected_rate=said.expected_rate,
            )
            scalings[vertex] = (*scalings.get(vertex, ()), scaling)
    return replace(history, scalings=frozen(scalings), restarts=(*history.restarts, Restart(at=at)), delayed={})
