"""Submits the lab's Flink jobs to YARN, with Flink's own command line client."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from lab import configs
from lab.artifacts import FlinkVersion
from lab.configs import Value
from lab.layout import LabError, Layout
from lab.parts import Tools, environment, java
from lab.processes import Processes
from lab.story import Story

SUBMISSION = "submit-"
CLIENT_HEAP_MB = 256
PATIENCE_SECONDS = 120.0
JOB_CLASSES = {
    "orders": "lab.jobs.OrdersJob",
    "joined": "lab.jobs.JoinedJob",
    "payments": "lab.jobs.PaymentsJob",
    "numbers": "lab.jobs.NumbersJob",
}
# The generator of the session's `numbers` job is never idle, so its barriers must be able to overtake what is
# buffered; and its appetite must not eat the lab.
SESSION_CONF: Mapping[str, Value] = {
    "execution.checkpointing.unaligned": True,
    "job.autoscaler.vertex.max-parallelism": 3,
}

Conf = Mapping[str, "Value | None"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitter:
    """Submits jobs for one Flink version; every application gets a configuration folder of its own."""

    layout: Layout
    tools: Tools
    version: FlinkVersion
    story: Story
    processes: Processes

    def application(self, job: str, name: str, conf: Conf, arguments: Mapping[str, Value]) -> str:
        """Start a job as a YARN application of its own; return the application id."""
        action = "run" if self.version.major >= 2 else "run-application"
        words = (
            action,
            "-t",
            "yarn-application",
            f"-Dyarn.application.name={name}",
            *self._job(job, arguments),
        )
        return self._application_id(name, self._run(name, conf, "org.apache.flink.client.cli.CliFrontend", words))

    def session(self, name: str, conf: Conf) -> str:
        """Start a session cluster; return its application id."""
        words = ("-d", "-nm", name)
        main = "org.apache.flink.yarn.cli.FlinkYarnSessionCli"
        return self._application_id(name, self._run(name, {**SESSION_CONF, **conf}, main, words))

    def into_session(self, application_id: str, job: str, conf: Conf, arguments: Mapping[str, Value]) -> str:
        """Start a job in a session cluster; return the job id.

        A session's jobs take their checkpointing and their like from the client's configuration, not the cluster's.
        """
        target = ("run", "-t", "yarn-session", f"-Dyarn.application.id={application_id}")
        words = (*target, *self._job(job, arguments))
        output = self._run(job, {**SESSION_CONF, **conf}, "org.apache.flink.client.cli.CliFrontend", words)
        return _find(r"JobID ([0-9a-f]{32})", job, output)

    def _job(self, job: str, arguments: Mapping[str, Value]) -> tuple[str, ...]:
        if job not in JOB_CLASSES:
            raise LabError(f"no job is called {job}; there are {', '.join(JOB_CLASSES)}")
        return ("-d", "-c", JOB_CLASSES[job], str(self.tools.jobs_jar), *job_arguments(job, arguments))

    def _run(self, name: str, conf: Conf, main: str, words: tuple[str, ...]) -> str:
        own = configs.flink(self.layout, self.version, self.tools.flink, self.story)
        folder = self.layout.conf / f"flink-{name}"
        configs.write_flink(folder, self.version, merged(own, conf))
        plugins = self.layout.data / "plugins"
        plugins.mkdir(parents=True, exist_ok=True)
        hadoop = self.layout.conf / "hadoop"
        class_path = f"{self.tools.flink}/*:{hadoop}:{self.tools.hadoop}/*"
        command = java(self.tools, CLIENT_HEAP_MB, class_path, self.layout.data / "tmp", main, *words)
        logging = f"-Dlog4j.configurationFile={folder}/log4j-cli.properties"
        variables = {
            "FLINK_CONF_DIR": str(folder),
            "HADOOP_CONF_DIR": str(hadoop),
            "FLINK_LIB_DIR": str(self.tools.flink),
            "FLINK_PLUGINS_DIR": str(plugins),
        }
        return self.processes.run(
            f"{SUBMISSION}{name}",
            (command[0], logging, *command[1:]),
            environment(self.tools, variables),
            PATIENCE_SECONDS,
        )

    def _application_id(self, name: str, output: str) -> str:
        return _find(r"Submitted application (application_\d+_\d+)", name, output)


def merged(settings: Mapping[str, Value], overrides: Conf) -> dict[str, Value]:
    """Return the settings with overrides; None takes a key away."""
    both = {**settings, **overrides}
    return {key: value for key, value in both.items() if value is not None}


def job_arguments(job: str, arguments: Mapping[str, Value]) -> list[str]:
    """Return `enrich_us=3000` as `--enrich-us 3000`.

    Without a `group` of its own the job gets a new one, and so reads only what comes from now on.
    """
    given = {"group": f"{job}-{secrets.token_hex(4)}", **arguments}
    return [word for key, value in given.items() for word in (f"--{key.replace('_', '-')}", configs.plain(value))]


def _find(pattern: str, name: str, output: str) -> str:
    found = re.search(pattern, output)
    if found is None:
        raise LabError(f"submitting {name} gave no id; the client said:\n{output[-1500:]}")
    return found[1]
