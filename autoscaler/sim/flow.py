"""Records through a job's graph, as a fluid with bounded buffers: who can process what, and who waits for whom.

One step is three walks over the graph: forwards, what each vertex could do if nothing behind it held it back;
backwards, how much each lets its inputs send, which is how back-pressure travels; forwards again, what really moves.
Nothing is lost: what arrived is read or is lag, what was read is processed downstream or lies in a buffer.
"""

from __future__ import annotations

from collections.abc import Sequence

from autoscaler.sim.subtasks import Plant

_NEARLY = 1.0 - 1e-9


class Stage:
    """One vertex in one attempt. Counters begin at 0 with the attempt; seconds and records, floats."""

    __slots__ = (
        "blocked_s",
        "buffer",
        "capacity",
        "inputs",
        "lag",
        "plant",
        "records_in",
        "records_out",
        "room",
        "selectivity",
        "share",
        "use_s",
        "waiting_share_s",
    )

    def __init__(self, plant: Plant, inputs: Sequence[tuple[int, float]], selectivity: float, room: float) -> None:
        self.plant = plant
        self.inputs = tuple(inputs)  # index of the input, records sent here per record it processes
        self.selectivity = selectivity  # records out per record in, over all outputs
        self.room = room
        self.capacity, self.share = plant.capacity, plant.share
        self.buffer = 0.0
        self.lag = [0.0] * len(plant.share)  # of a source, per class
        self.use_s = [0.0] * len(plant.share)
        self.records_in = 0.0
        self.records_out = 0.0
        self.blocked_s = 0.0
        self.waiting_share_s = 0.0

    @property
    def is_source(self) -> bool:
        return not self.inputs

    def take_lag(self, lag: float) -> None:
        """Begin with so many records to read, dealt as the partitions are."""
        self.lag = [lag * share for share in self.share]


class Flow:
    """All stages of one attempt, every input before the vertex it feeds."""

    def __init__(self, stages: Sequence[Stage]) -> None:
        self.stages = tuple(stages)
        self._sources = [(i, stage) for i, stage in enumerate(stages) if stage.is_source]
        self._inner = [(i, stage) for i, stage in enumerate(stages) if not stage.is_source]
        self._could = [0.0] * len(stages)
        self._incoming = [0.0] * len(stages)
        self._does = [0.0] * len(stages)
        self._reads: list[list[float]] = [[] for _ in stages]

    def step(self, seconds: float, arriving: Sequence[float], speed: float) -> None:
        """Let records flow; ``arriving`` are records per second at each stage, ``speed`` is 1 when warmed up."""
        somebody_waits = self._look_forward(seconds, arriving, speed)
        may = self._looked_back(seconds) if somebody_waits else self._could
        self._read(seconds, arriving, speed, may)
        self._process(seconds, speed, may)
        if somebody_waits:
            self._note_waiting(seconds, speed, may)

    def wait(self, seconds: float, arriving: Sequence[float]) -> None:
        """Nothing runs: what arrives is lag."""
        for stage, rate in zip(self.stages, arriving, strict=True):
            if rate:
                for k, share in enumerate(stage.share):
                    stage.lag[k] += rate * share * seconds

    def _look_forward(self, seconds: float, arriving: Sequence[float], speed: float) -> bool:
        """Return whether anybody might have to wait."""
        could, incoming = self._could, self._incoming
        full = False
        for i, stage in self._sources:
            rate = arriving[i]
            reads = self._reads[i] = [
                min(capacity * speed, rate * share + lag / seconds)
                for capacity, share, lag in zip(stage.capacity, stage.share, stage.lag, strict=True)
            ]
            could[i] = sum(reads)
        for i, stage in self._inner:
            inflow = 0.0
            for u, sent in stage.inputs:
                inflow += could[u] * sent
            incoming[i] = inflow
            offered, capacity = inflow + stage.buffer / seconds, stage.capacity[0] * speed
            if offered > capacity:
                full, offered = True, capacity
            could[i] = offered
        return full

    def _looked_back(self, seconds: float) -> list[float]:
        """What each may do, given what those behind it accept."""
        could, incoming = self._could, self._incoming
        may = could.copy()
        for i, stage in reversed(self._inner):
            accepts = may[i] + (stage.room - stage.buffer) / seconds
            if incoming[i] > accepts:
                part = accepts / incoming[i]
                for u, _ in stage.inputs:
                    may[u] = min(may[u], could[u] * part)
        return may

    def _read(self, seconds: float, arriving: Sequence[float], speed: float, may: Sequence[float]) -> None:
        """Sources take from what arrives and from their lag."""
        for i, stage in self._sources:
            could, rate, done = self._could[i], arriving[i], 0.0
            part = may[i] / could if could > 0 else 0.0
            lag, use_s, share, capacity = stage.lag, stage.use_s, stage.share, stage.capacity
            for k, read in enumerate(self._reads[i]):
                read *= part
                done += read
                lag[k] = max(0.0, lag[k] + (rate * share[k] - read) * seconds)
                use_s[k] += read / (capacity[k] * speed) * seconds
            self._does[i] = done
            stage.records_in += done * seconds
            stage.records_out += done * stage.selectivity * seconds

    def _process(self, seconds: float, speed: float, may: Sequence[float]) -> None:
        """All others take what comes and what lies in their buffers."""
        does = self._does
        for i, stage in self._inner:
            inflow = 0.0
            for u, sent in stage.inputs:
                inflow += does[u] * sent
            done = min(may[i], inflow + stage.buffer / seconds)
            stage.buffer = max(0.0, stage.buffer + (inflow - done) * seconds)
            stage.use_s[0] += done / (stage.capacity[0] * speed) * seconds
            does[i] = done
            stage.records_in += done * seconds
            stage.records_out += done * stage.selectivity * seconds

    def _note_waiting(self, seconds: float, speed: float, may: Sequence[float]) -> None:
        """Who may do less than it could waits for its outputs."""
        for stage, could, allowed, done in zip(self.stages, self._could, may, self._does, strict=True):
            if allowed < could * _NEARLY:
                stage.blocked_s += seconds
                stage.waiting_share_s += seconds * max(0.0, 1.0 - self._mean_use(stage, done, speed))

    def _mean_use(self, stage: Stage, done: float, speed: float) -> float:
        plant = stage.plant
        total = sum(plant.capacity)
        return sum(plant.cost_of) / plant.parallelism * done / (total * speed) if total else 0.0
