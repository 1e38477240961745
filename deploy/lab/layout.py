"""Where the lab keeps its things, and the addresses it uses: loopback ones only."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

PROJECT = Path(__file__).resolve().parents[2]

# Each ResourceManager has an address of its own; everything else of which there is one lives on the first.
MASTER_HOSTS = ("127.0.0.1", "127.0.0.4")
MASTER_HOST = MASTER_HOSTS[0]
# One loopback address per NodeManager: the same ports on distinct hosts, and YARN excludes nodes by host.
NODE_HOSTS = ("127.0.0.2", "127.0.0.3")

RESOURCE_MANAGER_PORTS = {"scheduler": 8030, "tracker": 8031, "clients": 8032, "admin": 8033, "web": 8088}
NODE_MANAGER_PORTS = {"localizer": 8040, "containers": 8041, "web": 8042}
PROXY_PORT = 20888
KAFKA_PORTS = {"clients": 9092, "controller": 9093}
ZOOKEEPER_PORT = 2181

RESOURCE_MANAGER_URLS = tuple(f"http://{host}:{RESOURCE_MANAGER_PORTS['web']}" for host in MASTER_HOSTS)
RESOURCE_MANAGER_URL = RESOURCE_MANAGER_URLS[0]
PROXY_URL = f"http://localhost:{PROXY_PORT}"
BROKERS = f"{MASTER_HOST}:{KAFKA_PORTS['clients']}"
ZOOKEEPER = f"{MASTER_HOST}:{ZOOKEEPER_PORT}"

# Partitions per topic. They bound the useful parallelism of a source.
TOPICS = {"orders": 12, "clicks": 12, "views": 6, "payments": 4}


class LabError(Exception):
    """The lab cannot do what was asked; the message is written for the person who asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The lab's folders: `home` is thrown away by the next start, `cache` outlives it."""

    home: Path
    cache: Path

    @classmethod
    def from_environment(cls, home: Path | None = None) -> Self:
        """The folders named by LAB_HOME and LAB_CACHE, else `.lab/` in the project."""
        chosen = home or Path(os.environ.get("LAB_HOME") or PROJECT / ".lab" / "run")
        cache = Path(os.environ.get("LAB_CACHE") or PROJECT / ".lab" / "cache")
        for folder in (chosen, cache):
            # Flink and YARN write these paths unquoted into shell scripts and class paths.
            if any(character in str(folder) for character in " \t,:;'\"$*"):
                raise LabError(f"YARN cannot work in a folder with blanks or special characters: {folder}")
        return cls(home=chosen.absolute(), cache=cache.absolute())

    @property
    def log(self) -> Path:
        """All logs: one file per process, and one folder per NodeManager for its containers."""
        return self.home / "log"

    @property
    def pid(self) -> Path:
        return self.home / "pid"

    @property
    def data(self) -> Path:
        return self.home / "data"

    @property
    def conf(self) -> Path:
        return self.home / "conf"

    @property
    def excluded_nodes(self) -> Path:
        return self.conf / "excluded-nodes"

    @property
    def rates(self) -> Path:
        return self.home / "rates"

    @property
    def options(self) -> Path:
        """What the running lab was started with."""
        return self.home / "lab.json"

    def container_logs(self, node: int) -> Path:
        return self.log / f"node{node}"
