"""The operators' commands as the store last had them, for the whole fleet."""

from __future__ import annotations

from autoscaler.loop.ports import Environment
from autoscaler.loop.storing import tolerated
from autoscaler.model import Command, JobKey, Millis
from autoscaler.options.commands import in_force


class Commanded:
    """While the store cannot be read the commands known hold on; each ends at its own time all the same."""

    def __init__(self, env: Environment) -> None:
        self._env = env
        self._known: tuple[Command, ...] = ()
        self._epoch = env.memory.epoch

    def refresh(self, cluster: str, now: Millis) -> None:
        """Read what was set and taken back since."""
        with tolerated(self._env):
            found = self._env.memory.commands(cluster, now)
            if self._env.memory.epoch != self._epoch:
                found += self._restored(found, now)
                self._epoch = self._env.memory.epoch
            self._known = found

    def of(self, key: JobKey) -> tuple[Command, ...]:
        """What is in force for a job now."""
        return in_force(self._known, key, self._env.clock())

    def newest(self, key: JobKey) -> tuple[Command, ...]:
        """What is in force for a job now, a command given since the last discovery included."""
        self.refresh(key.cluster, self._env.clock())
        return self.of(key)

    def _restored(self, found: tuple[Command, ...], now: Millis) -> tuple[Command, ...]:
        """Give a store that began anew what it lost: a paused job must not go on because a file was damaged."""
        present = {(command.cluster, command.target, command.option) for command in found}
        lost = tuple(
            command
            for command in self._known
            if command.is_in_force(now) and (command.cluster, command.target, command.option) not in present
        )
        for command in lost:
            self._env.memory.set_command(command)
        return lost
