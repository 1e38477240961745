"""The story without Java: the daemon as a process, and the simulated cluster as another, which it asks over HTTP."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.request import urlopen

from lab.signals import end_as_by_ctrl_c, end_undisturbed
from lab.story import Phase

from demo.daemon import Daemon
from demo.run import AUTOSCALER, DaemonEnded, Story, told
from demo.verdict import Promise

SCENARIO = Path(__file__).with_name("simulated.yaml")
SPEED = 12
PHASES = (
    Phase(name="low", seconds=100, rates={"orders": 2_500 * SPEED}),
    Phase(name="peak", seconds=250, rates={"orders": 10_000 * SPEED}),
    Phase(name="low again", seconds=250, rates={"orders": 2_500 * SPEED}),
)


class SimulatedStage:
    """``autoscaler simulate --serve`` as a process; the scenario makes its own load."""

    phases: Sequence[Phase] = PHASES

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [str(AUTOSCALER), "simulate", str(SCENARIO), "--serve", "0", "--speed", str(SPEED)],
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def wait_until_up(self) -> str:
        """Return its address; apart from the start, so that whoever is interrupted meanwhile can end it."""
        assert self._process.stdout is not None
        said = self._process.stdout.readline()
        found = re.search(r"http://\S+\d", said)
        if found is None:
            raise RuntimeError(f"the simulated cluster did not start: {said.strip()}")
        self.url = found[0]
        return self.url

    def set_rates(self, rates: Mapping[str, float]) -> None:
        """The scenario has them."""

    def task_managers(self) -> dict[str, int]:
        with urlopen(f"{self.url}/ws/v1/cluster/apps", timeout=5) as answer:
            listed = json.load(answer)["apps"]["app"]
        return {each["id"]: max(0, each["runningContainers"] - 1) for each in listed}

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


def main() -> int:
    """Play the story once; 0 only if every promise was kept."""
    end_as_by_ctrl_c()
    stage = SimulatedStage()
    try:
        with tempfile.TemporaryDirectory(prefix="autoscaler-demo-") as folder:
            return told(_play(Path(folder), stage))
    except KeyboardInterrupt:
        print("interrupted; cleaning up ...", file=sys.stderr)
        return 130
    except DaemonEnded as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    finally:
        end_undisturbed()
        stage.stop()


def _play(home: Path, stage: SimulatedStage) -> list[Promise]:
    settings = {"cluster": "simulated", "resource_managers": f"[{stage.wait_until_up()}]", "discovery_interval": "5 s"}
    settings |= {"flink_conf": "null", "http": "{port: 0}"}
    daemon = Daemon(home, AUTOSCALER, home / "autoscaler.log", settings)
    try:
        daemon.start()
        return Story(stage, daemon).play(sys.stdout)
    finally:
        end_undisturbed()
        daemon.stop()


if __name__ == "__main__":
    sys.exit(main())
