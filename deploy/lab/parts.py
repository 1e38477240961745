"""The daemons that make up the lab: the command line of each, its ports, and when it counts as up."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lab import layout as places
from lab.configs import DAEMON_OPENS, LIGHT_JVM
from lab.layout import Layout
from lab.rest import Yarn

YARN_SERVER = "org.apache.hadoop.yarn.server"
MANAGER = "resourcemanager"
NODE = "node"
KAFKA_CLUSTER_ID = "AAAAAAAAAAAAAAAAAAAAAQ"

Address = tuple[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What is needed to write a command line: the JDK, and the folders and jars in the cache."""

    java_home: Path
    hadoop: Path
    kafka: Path
    flink: Path
    load_jar: Path
    jobs_jar: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One daemon; ``after`` is another one that has to be up before this one is started."""

    name: str
    title: str
    command: tuple[str, ...]
    is_ready: Callable[[], bool]
    addresses: tuple[Address, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    after: Part | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a running lab cannot change any more."""

    node_memory_mb: tuple[int, int]
    zookeeper: bool
    masters: int


def java(tools: Tools, heap_mb: int, class_path: str, tmp: Path, main: str, *arguments: str) -> tuple[str, ...]:
    """Return the command line of one of the lab's own JVMs."""
    flags = (f"-Xmx{heap_mb}m", *LIGHT_JVM, *DAEMON_OPENS, f"-Djava.io.tmpdir={tmp}")
    return (str(tools.java_home / "bin" / "java"), *flags, "-cp", class_path, main, *arguments)


def environment(tools: Tools, extra: Mapping[str, str]) -> dict[str, str]:
    """Return a small environment: settings of an installed Hadoop or Flink must not leak in."""
    kept = {key: os.environ[key] for key in ("PATH", "HOME", "USER", "LOGNAME", "LANG") if key in os.environ}
    return {**kept, "JAVA_HOME": str(tools.java_home), **extra}


def all_parts(layout: Layout, tools: Tools, yarn: Yarn, options: Options) -> list[Part]:
    """List the daemons in the order of their start."""
    parts = [_zookeeper(layout, tools)] if options.zookeeper else []
    parts += [resource_manager(layout, tools, yarn, master, options) for master in range(options.masters)]
    parts += [node_manager(layout, tools, yarn, node) for node in range(len(options.node_memory_mb))]
    return [*parts, proxy(layout, tools), kafka(layout, tools), load(layout, tools)]


def resource_manager(layout: Layout, tools: Tools, yarn: Yarn, master: int, options: Options) -> Part:
    host = places.MASTER_HOSTS[master]
    return Part(
        name=manager_name(master),
        title=f"YARN ResourceManager {host}",
        command=_hadoop(layout, tools, 256, f"master{master}", f"{YARN_SERVER}.resourcemanager.ResourceManager"),
        is_ready=lambda: yarn.is_up(master),
        addresses=tuple((host, port) for port in places.RESOURCE_MANAGER_PORTS.values()),
        after=_zookeeper(layout, tools) if options.masters > 1 else None,
    )


def manager_name(master: int) -> str:
    return f"{MANAGER}{master}"


def node_manager(layout: Layout, tools: Tools, yarn: Yarn, node: int) -> Part:
    host = places.NODE_HOSTS[node]
    web = (host, places.NODE_MANAGER_PORTS["web"])
    return Part(
        name=node_name(node),
        title=f"YARN NodeManager {host}",
        command=_hadoop(layout, tools, 192, node_name(node), f"{YARN_SERVER}.nodemanager.NodeManager"),
        # The port too: for a while the ResourceManager goes on calling a dead node running.
        is_ready=lambda: accepts(web) and yarn.node_states().get(host) == "RUNNING",
        addresses=tuple((host, port) for port in places.NODE_MANAGER_PORTS.values()),
        # Containers inherit it: without it a TaskManager finds no YARN classes.
        environment={"HADOOP_CONF_DIR": str(layout.conf / node_name(node))},
    )


def node_name(node: int) -> str:
    return f"{NODE}{node}"


def proxy(layout: Layout, tools: Tools) -> Part:
    address = (places.MASTER_HOST, places.PROXY_PORT)
    return Part(
        name="proxy",
        title="YARN web application proxy",
        command=_hadoop(layout, tools, 128, "hadoop", f"{YARN_SERVER}.webproxy.WebAppProxyServer"),
        is_ready=lambda: accepts(address),
        addresses=(address,),
    )


def kafka(layout: Layout, tools: Tools) -> Part:
    settings = str(layout.conf / "kafka" / "server.properties")
    return Part(
        name="kafka",
        title="Kafka broker",
        command=_kafka(layout, tools, 256, "kafka.Kafka", settings),
        is_ready=lambda: accepts((places.MASTER_HOST, places.KAFKA_PORTS["clients"])),
        addresses=tuple((places.MASTER_HOST, port) for port in places.KAFKA_PORTS.values()),
    )


def kafka_format(layout: Layout, tools: Tools) -> tuple[str, ...]:
    """Return the command that prepares the broker's data folder, once."""
    settings = str(layout.conf / "kafka" / "server.properties")
    return _kafka(layout, tools, 96, "kafka.tools.StorageTool", "format", "-t", KAFKA_CLUSTER_ID, "-c", settings)


def _zookeeper(layout: Layout, tools: Tools) -> Part:
    address = (places.MASTER_HOST, places.ZOOKEEPER_PORT)
    settings = str(layout.conf / "kafka" / "zookeeper.properties")
    return Part(
        name="zookeeper",
        title="ZooKeeper",
        command=_kafka(layout, tools, 96, "org.apache.zookeeper.server.ZooKeeperServerMain", settings),
        is_ready=lambda: accepts(address),
        addresses=(address,),
    )


def load(layout: Layout, tools: Tools) -> Part:
    log = layout.log / "load.log"
    topics = [f"{topic}:{partitions}" for topic, partitions in places.TOPICS.items()]
    return Part(
        name="load",
        title="load generator",
        command=_kafka(layout, tools, 96, "lab.load.LoadGen", places.BROKERS, str(layout.rates), *topics),
        is_ready=lambda: log.is_file() and "topics are ready" in log.read_text(encoding="utf-8", errors="replace"),
        after=kafka(layout, tools),
    )


def refresh_nodes(layout: Layout, tools: Tools, grace_seconds: int) -> tuple[str, ...]:
    """Return the command that makes the ResourceManager read the excluded nodes again."""
    words = ("-refreshNodes", "-g", str(grace_seconds), "-server")
    return _hadoop(layout, tools, 128, "hadoop", "org.apache.hadoop.yarn.client.cli.RMAdminCLI", *words)


def accepts(address: Address) -> bool:
    """True if something accepts connections there."""
    try:
        socket.create_connection(address, timeout=1).close()
    except OSError:
        return False
    return True


def _hadoop(layout: Layout, tools: Tools, heap_mb: int, conf: str, main: str, *arguments: str) -> tuple[str, ...]:
    class_path = f"{layout.conf / conf}:{tools.hadoop}/*"
    return java(tools, heap_mb, class_path, layout.data / "tmp", main, *arguments)


def _kafka(layout: Layout, tools: Tools, heap_mb: int, main: str, *arguments: str) -> tuple[str, ...]:
    class_path = f"{layout.conf / 'kafka'}:{tools.load_jar}:{tools.kafka}/*"
    return java(tools, heap_mb, class_path, layout.data / "tmp", main, *arguments)
