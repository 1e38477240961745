"""What is simulated: a job, its load, the cluster around it and what goes wrong. Short YAML, checked on reading."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from functools import cached_property, lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from autoscaler.model import VertexId
from autoscaler.sim.load import DURATIONS, NEEDS

SHORTEST_HOURS = 1 / 60  # curves and scores are of minutes
Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]


class ScenarioError(ValueError):
    """A scenario cannot be used; the message names the file, the key, the value and what is wanted."""


@lru_cache(maxsize=1024)
def vertex_id(name: str) -> VertexId:
    """The id of the vertex with a name, in Flink's form."""
    return hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Load(BaseModel):
    """A shape of load.py with its numbers; ``noise`` is the deviation of a slow wobble, as a share."""

    model_config = ConfigDict(frozen=True, extra="allow")
    shape: str

    @model_validator(mode="after")
    def _complete(self) -> Load:
        if self.shape not in NEEDS:
            raise ValueError(f"shape {self.shape!r} is none of {', '.join(NEEDS)}")
        given = self.model_extra or {}
        missing = [name for name in NEEDS[self.shape] if name not in given]
        unknown = [name for name in given if name not in (*NEEDS[self.shape], "noise", "noise_tau_s")]
        if missing or unknown:
            raise ValueError(f"shape {self.shape} needs {', '.join(NEEDS[self.shape])}; got {', '.join(given)}")
        for name, value in given.items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise ValueError(f"{name} is {value!r}, a number is needed")
            if name in DURATIONS and value <= 0:
                raise ValueError(f"{name} is {value!r}, more than 0 is needed")
        return self

    @property
    def numbers(self) -> Mapping[str, float]:
        return {name: float(value) for name, value in (self.model_extra or {}).items()}


class VertexSpec(_Model):
    """One vertex. ``speed`` times the job's ``records_per_slot`` is what one subtask can do alone; ``contention`` and
    ``coherence`` are a and b of the capacity law. ``inputs`` says how many records each input sends here per record
    it processes, ``ship`` how. ``hot_key`` is the share of records that one key has."""

    name: str
    speed: Positive = 1.0
    contention: Share = 0.0
    coherence: Share = 0.0
    inputs: Mapping[str, Positive] = Field(default_factory=dict)
    ship: Literal["HASH", "REBALANCE", "FORWARD"] = "REBALANCE"
    hot_key: Share = 0.0
    partitions: int = Field(default=0, ge=0)
    max_parallelism: int = Field(default=720, ge=1, le=32_768)
    group: str = "default"
    load: Load | None = None

    @cached_property
    def id(self) -> VertexId:
        return vertex_id(self.name)

    @property
    def is_source(self) -> bool:
        return not self.inputs


class JobSpec(_Model):
    """The job. ``downtime_s`` is the median without restoring state; ``noise`` the deviation of busy gauges among
    subtasks. ``high_availability``: requirements and job id survive the ApplicationMaster. ``ends`` is the minute at
    which the job has finished, if it does."""

    name: str = "orders"
    ends: Positive | None = None
    records_per_slot: Positive
    vertices: tuple[VertexSpec, ...] = Field(min_length=1)
    start_parallelism: int | None = Field(default=None, ge=1)
    checkpoint_interval_s: Positive = 60.0
    checkpoint_duration_s: Positive = 3.0
    downtime_s: Positive = 20.0
    state_gb: float = Field(default=2.0, ge=0)
    restore_gb_per_s: Positive = 0.5
    noise: Share = 0.05
    high_availability: bool = True

    @model_validator(mode="after")
    def _a_graph(self) -> JobSpec:
        known: set[str] = set()
        for vertex in self.vertices:
            strange = [name for name in vertex.inputs if name not in known]
            if strange:
                raise ValueError(f"vertex {vertex.name!r}: no vertex {strange[0]!r} stands above it")
            if vertex.name in known:
                raise ValueError(f"two vertices are called {vertex.name!r}")
            if vertex.is_source and (vertex.load is None or not vertex.partitions):
                raise ValueError(f"vertex {vertex.name!r} has no inputs, so it needs a load and partitions")
            if not vertex.is_source and vertex.load is not None:
                raise ValueError(f"vertex {vertex.name!r} has inputs and a load; only sources have a load")
            known.add(vertex.name)
        return self

    def sends(self, vertex: VertexSpec) -> float:
        """Records a vertex sends per record it processes, over all outputs."""
        return sum(other.inputs.get(vertex.name, 0.0) for other in self.vertices)


class ClusterSpec(_Model):
    """The cluster: ``nodes`` at first, up to ``max_nodes`` when containers wait (EMR managed scaling)."""

    nodes: int = Field(default=4, ge=1)
    max_nodes: int = Field(default=4, ge=1)
    node_gb: Positive = 56.0
    queue_gb: Positive | None = None
    master_gb: Positive = 2.0
    task_manager_gb: Positive = 8.0
    slots_per_task_manager: int = Field(default=4, ge=1)
    new_node_median_s: Positive = 300.0
    packs: bool | None = None
    speed_spread: Share = 0.05
    straggler: Share = 0.0

    @model_validator(mode="after")
    def _fits(self) -> ClusterSpec:
        if self.max_nodes < self.nodes:
            raise ValueError(f"max_nodes is {self.max_nodes}, less than nodes ({self.nodes})")
        if self.task_manager_gb > self.node_gb:
            raise ValueError(f"task_manager_gb {self.task_manager_gb:g} does not fit a node of {self.node_gb:g} GB")
        return self


FaultKind = Literal[
    "metric-gap",
    "nan-busy",
    "stale-metrics",
    "job-restart",
    "task-manager-lost",
    "selectivity",
    "hot-key",
    "checkpoints-fail",
    "node-lost",
    "node-drains",
    "rm-down",
    "am-restart",
]


class Fault(_Model):
    """Something that goes wrong ``at`` a minute, for ``minutes`` where that makes sense.

    ``vertex`` names the vertex of selectivity, hot-key and nan-busy; ``value`` is the factor or the share.
    """

    kind: FaultKind
    at: float = Field(ge=0)
    minutes: Positive = 1.0
    vertex: str | None = None
    value: float | None = None


class Scenario(_Model):
    """One simulation, but for the seed. ``changes`` are the minutes after which convergence is measured.

    ``beside`` are further jobs: with any the application is a session cluster, whose TaskManagers they share. Faults of
    a job are those of ``job``.
    """

    name: str
    about: str
    hours: float = Field(ge=SHORTEST_HOURS)
    flink: str = "1.20.1"
    settings: Mapping[str, str] = Field(default_factory=dict)
    job: JobSpec
    beside: tuple[JobSpec, ...] = ()
    cluster: ClusterSpec = Field(default_factory=ClusterSpec)
    faults: tuple[Fault, ...] = ()
    changes: tuple[float, ...] = ()

    @field_validator("flink")
    @classmethod
    def _a_version(cls, value: str) -> str:
        if not re.match(r"\d+\.\d+", value):
            raise ValueError(f"{value!r} is no version of Flink, such as 1.20.1")
        return value

    @field_validator("settings", mode="before")
    @classmethod
    def _texts(cls, value: Any) -> Any:
        """Values as flink-conf has them: ``true`` and ``0.7`` without quotes are texts too."""
        if not isinstance(value, Mapping):
            return value
        return {str(k): str(v).lower() if isinstance(v, bool) else str(v) for k, v in value.items()}

    @model_validator(mode="after")
    def _vertices_of_faults(self) -> Scenario:
        names = {vertex.name for vertex in self.job.vertices}
        for fault in self.faults:
            if fault.vertex is not None and fault.vertex not in names:
                raise ValueError(f"fault {fault.kind}: no vertex {fault.vertex!r}")
            if fault.kind in ("selectivity", "hot-key") and (fault.vertex is None or fault.value is None):
                raise ValueError(f"fault {fault.kind} needs a vertex and a value")
            if fault.kind == "selectivity" and (fault.value or 0.0) <= 0:
                raise ValueError(f"fault selectivity: value is {fault.value!r}, a factor above 0 is needed")
            if fault.kind == "hot-key" and not 0 <= (fault.value or 0.0) <= 1:
                raise ValueError(f"fault hot-key: value is {fault.value!r}, a share from 0 to 1 is needed")
        return self

    @model_validator(mode="after")
    def _names_of_jobs(self) -> Scenario:
        names = [job.name for job in self.jobs]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise ValueError(f"two jobs are called {twice[0]!r}")
        return self

    @property
    def jobs(self) -> tuple[JobSpec, ...]:
        return (self.job, *self.beside)

    @property
    def is_session(self) -> bool:
        return bool(self.beside)

    @property
    def version(self) -> tuple[int, int]:
        major, minor = self.flink.split(".")[:2]
        return int(major), int(re.sub(r"\D.*", "", minor))


def shipped() -> tuple[str, ...]:
    """The names of the scenarios that come with the package."""
    folder = files("autoscaler.sim") / "scenarios"
    return tuple(sorted(file.name.removesuffix(".yaml") for file in folder.iterdir() if file.name.endswith(".yaml")))


def load_scenario(name: str) -> Scenario:
    """Read a shipped scenario by name, or a file. Raises ScenarioError."""
    if name in shipped():
        text = (files("autoscaler.sim") / "scenarios" / f"{name}.yaml").read_text(encoding="utf-8")
        return parse_scenario(text, f"{name}.yaml")
    path = Path(name)
    if not path.is_file():
        raise ScenarioError(f"{name}: neither a file nor a scenario; there are {', '.join(shipped())}")
    try:
        return parse_scenario(path.read_text(encoding="utf-8"), name)
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError(f"{name}: cannot be read: {error}") from error


def parse_scenario(text: str, source: str) -> Scenario:
    """Read a scenario. Raises ScenarioError."""
    try:
        document = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a date that no calendar has
        raise ScenarioError(f"{source}: no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(document, dict):
        raise ScenarioError(f"{source}: a scenario is a mapping with name, about, hours and job")
    return checked_scenario(document, source)


def checked_scenario(document: Mapping[str, Any], source: str) -> Scenario:
    """Return the scenario of a document. Raises ScenarioError."""
    try:
        return Scenario.model_validate(document)
    except ValidationError as error:
        said = [
            f"{'.'.join(str(part) for part in each['loc']) or 'scenario'}: {each['msg'].removeprefix('Value error, ')}"
            for each in error.errors()
        ]
        raise ScenarioError(f"{source}: {'; '.join(said)}") from error
