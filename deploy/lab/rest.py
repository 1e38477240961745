"""The little of YARN's and Flink's REST that the lab itself needs: who runs, and is it running well."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import requests

from lab.layout import RESOURCE_MANAGER_URLS, LabError

PATH = "/ws/v1/cluster"
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
    """The active ResourceManager's view. A standby answers most questions with a redirect, which is no answer."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest

    def is_up(self, master: int) -> bool:
        return self._info(master).get("state") == "STARTED"

    def active_master(self) -> int | None:
        """Return the master whose ResourceManager says it is the active one."""
        masters = range(len(RESOURCE_MANAGER_URLS))
        return next((master for master in masters if self._info(master).get("haState") == "ACTIVE"), None)

    def _info(self, master: int) -> dict[str, Any]:
        answer = self._rest.get(f"{RESOURCE_MANAGER_URLS[master]}{PATH}/info") or {}
        return answer.get("clusterInfo") or {}

    def _get(self, path: str) -> dict[str, Any]:
        answers = (self._rest.get(f"{url}{PATH}{path}") for url in RESOURCE_MANAGER_URLS)
        return next((answer for answer in answers if answer is not None), {})

    def node_states(self) -> dict[str, str]:
        """Return the state of each NodeManager, by host."""
        answer = self._get("/nodes")
        nodes = (answer.get("nodes") or {}).get("node") or []
        return {node["nodeHostName"]: node["state"] for node in nodes}

    def applications(self, *states: str) -> list[Application]:
        """Return the applications in these states (all, if none is given), oldest first."""
        query = f"?states={','.join(states)}" if states else ""
        answer = self._get(f"/apps{query}")
        found = (answer.get("apps") or {}).get("app") or []
        return sorted((Application.parse(app) for app in found), key=lambda application: application.id)

    def application(self, application_id: str) -> Application | None:
        answer = self._get(f"/apps/{application_id}")
        return Application.parse(answer["app"]) if answer else None

    def kill(self, application_id: str) -> None:
        url = RESOURCE_MANAGER_URLS[self.active_master() or 0]
        answer = self._rest.put(f"{url}{PATH}/apps/{application_id}/state", {"state": "KILLED"})
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
