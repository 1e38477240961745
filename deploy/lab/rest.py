"""The little of YARN's and Flink's REST that the lab itself needs: who runs, and is it running well."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import requests

from lab.layout import RESOURCE_MANAGER_URL, LabError

TIMEOUT_SECONDS = 5.0
LIVE_STATES = ("NEW", "NEW_SAVING", "SUBMITTED", "ACCEPTED", "RUNNING")


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """A YARN application. Without `tracking_url` it has no ApplicationMaster yet."""

    id: str
    name: str
    state: str
    final_status: str
    tracking_url: str | None
    megabytes: int
    containers: int

    @classmethod
    def parse(cls, app: Mapping[str, Any]) -> Self:
        return cls(
            id=app["id"],
            name=app["name"],
            state=app["state"],
            final_status=app["finalStatus"],
            tracking_url=app.get("trackingUrl"),
            megabytes=max(0, app.get("allocatedMB", 0)),
            containers=max(0, app.get("runningContainers", 0)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A Flink job with the parallelism of each vertex, by vertex name."""

    id: str
    name: str
    state: str
    tasks: int
    running_tasks: int
    parallelism: Mapping[str, int]

    @property
    def is_running(self) -> bool:
        """True if not only the job but every task of it runs."""
        return self.state == "RUNNING" and 0 < self.tasks == self.running_tasks


class Rest:
    """A JSON client for loopback addresses: no proxy settings, no redirects, short time-outs."""

    def __init__(self) -> None:
        self._session = requests.Session()
        self._session.trust_env = False

    def get(self, url: str) -> dict[str, Any] | None:
        """Return the JSON object at this address; None if there is none, whatever the reason."""
        try:
            answer = self._session.get(url, timeout=TIMEOUT_SECONDS, allow_redirects=False)
            body = answer.json() if answer.status_code == 200 else None
        except requests.RequestException:
            return None
        return body if isinstance(body, dict) else None

    def put(self, url: str, body: Mapping[str, Any]) -> requests.Response:
        return self._session.put(url, json=body, timeout=TIMEOUT_SECONDS, allow_redirects=False)

    def close(self) -> None:
        self._session.close()


class Yarn:
    """The ResourceManager's view."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest
        self._url = f"{RESOURCE_MANAGER_URL}/ws/v1/cluster"

    def is_up(self) -> bool:
        info = self._rest.get(f"{self._url}/info")
        return info is not None and info["clusterInfo"]["state"] == "STARTED"

    def node_states(self) -> dict[str, str]:
        """Return the state of each NodeManager, by host."""
        answer = self._rest.get(f"{self._url}/nodes") or {}
        nodes = (answer.get("nodes") or {}).get("node") or []
        return {node["nodeHostName"]: node["state"] for node in nodes}

    def applications(self, *states: str) -> list[Application]:
        """Return the applications in these states (all, if none is given), oldest first."""
        query = f"?states={','.join(states)}" if states else ""
        answer = self._rest.get(f"{self._url}/apps{query}") or {}
        found = (answer.get("apps") or {}).get("app") or []
        return sorted((Application.parse(app) for app in found), key=lambda application: application.id)

    def application(self, application_id: str) -> Application | None:
        answer = self._rest.get(f"{self._url}/apps/{application_id}")
        return Application.parse(answer["app"]) if answer else None

    def kill(self, application_id: str) -> None:
        answer = self._rest.put(f"{self._url}/apps/{application_id}/state", {"state": "KILLED"})
        if answer.status_code not in (200, 202):
            raise LabError(f"YARN does not kill {application_id}: {answer.status_code} {answer.text[:200]}")


def jobs_of(application: Application, rest: Rest) -> list[Job]:
    """Return the jobs of an application, read through the web application proxy."""
    if application.state != "RUNNING" or not application.tracking_url:
        return []
    url = application.tracking_url.rstrip("/")
    overview = rest.get(f"{url}/jobs/overview") or {}
    return [_job(entry, rest.get(f"{url}/jobs/{entry['jid']}") or {}) for entry in overview.get("jobs", [])]


def _job(entry: Mapping[str, Any], details: Mapping[str, Any]) -> Job:
    return Job(
        id=entry["jid"],
        name=entry["name"],
        state=entry["state"],
        tasks=entry["tasks"]["total"],
        running_tasks=entry["tasks"]["running"],
        parallelism={vertex["name"]: vertex["parallelism"] for vertex in details.get("vertices", [])},
    )
