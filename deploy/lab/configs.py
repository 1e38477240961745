"""The configuration files of YARN, Kafka, ZooKeeper and Flink, as text; short times from story.yaml."""

from __future__ import annotations

import getpass
import json
from collections.abc import Mapping
from pathlib import Path
from xml.sax.saxutils import escape

from lab import layout as places
from lab.artifacts import FlinkVersion
from lab.layout import Layout
from lab.story import Story

Value = str | int | bool
Settings = dict[str, Value]

# Serial GC and the first compiler only: the lab lives on two cores, and starts in half the time.
LIGHT_JVM = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xss512k", "-XX:-UsePerfData")
# What Hadoop's dependency injection and Flink's client reach into on Java 17.
DAEMON_OPENS = (
    "--add-opens=java.base/java.lang=ALL-UNNAMED",
    "--add-opens=java.base/java.util=ALL-UNNAMED",
    "--add-opens=java.base/java.net=ALL-UNNAMED",
    "--add-exports=java.base/sun.net.util=ALL-UNNAMED",
)
FLINK_EXPORTED = (
    "java.base/sun.net.util",
    "java.rmi/sun.rmi.registry",
    "java.security.jgss/sun.security.krb5",
)
FLINK_OPENED = (
    *(
        "java.lang",
        "java.lang.reflect",
        "java.net",
        "java.io",
        "java.nio",
        "sun.nio.ch",
        "java.text",
        "java.time",
    ),
    *("java.util", "java.util.concurrent", "java.util.concurrent.atomic", "java.util.concurrent.locks"),
)
CLASSES = "org.apache.hadoop.yarn.server.resourcemanager"
# The smallest containers YARN hands out; EMR's value.
ALLOCATION_STEP_MB = 32


def xml(settings: Mapping[str, Value]) -> str:
    """Render a Hadoop configuration file."""
    properties = "".join(
        f"  <property><name>{key}</name><value>{escape(plain(value))}</value></property>\n"
        for key, value in settings.items()
    )
    return f"<configuration>\n{properties}</configuration>\n"


def properties(settings: Mapping[str, Value]) -> str:
    """Render a Java properties file."""
    return "".join(f"{key}={plain(value)}\n" for key, value in settings.items())


def plain(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def core_site(tmp: Path) -> Settings:
    """No HDFS: one host, so its own file system is shared by all."""
    return {
        "fs.defaultFS": "file:///",
        "hadoop.tmp.dir": str(tmp),
        "hadoop.http.staticuser.user": getpass.getuser(),
    }


def yarn_site(layout: Layout, hadoop: Path, story: Story, largest_container_mb: int, masters: int = 1) -> Settings:
    """Return what every YARN daemon and Flink container reads."""
    manager = "yarn.resourcemanager."
    return {
        **(_one_manager(layout) if masters == 1 else _several_managers(story, masters)),
        manager + "scheduler.class": f"{CLASSES}.scheduler.capacity.CapacityScheduler",
        manager + "nodes.exclude-path": str(layout.excluded_nodes),
        manager + "nodemanager-graceful-decommission-timeout-secs": 3600,
        manager + "am.max-attempts": 2,
        # Applications survive a restart of the ResourceManager, as they do on a cluster that keeps its state.
        manager + "recovery.enabled": True,
        manager + "work-preserving-recovery.scheduling-wait-ms": 1000,
        "yarn.node-attribute.fs-store.root-dir": f"file://{layout.data}/node-attributes",
        # Set, as on EMR: the ResourceManager then runs no proxy of its own.
        "yarn.web-proxy.address": places.PROXY_URL.removeprefix("http://"),
        "yarn.scheduler.minimum-allocation-mb": ALLOCATION_STEP_MB,
        "yarn.scheduler.maximum-allocation-mb": largest_container_mb,
        "yarn.scheduler.maximum-allocation-vcores": 128,
        # Unexpanded on purpose: each container has its node's configuration folder in its environment.
        "yarn.application.classpath": f"$HADOOP_CONF_DIR,{hadoop}/*",
        **story.yarn,
    }


def _one_manager(layout: Layout) -> Settings:
    manager = "yarn.resourcemanager."
    return {
        manager + "hostname": places.MASTER_HOST,
        manager + "webapp.address": places.RESOURCE_MANAGER_URL.removeprefix("http://"),
        manager + "store.class": f"{CLASSES}.recovery.FileSystemRMStateStore",
        manager + "fs.state-store.uri": f"file://{layout.data}/resourcemanager",
    }


def _several_managers(story: Story, masters: int) -> Settings:
    """ResourceManagers of which one is active: they elect it, and keep their state, in ZooKeeper; as on EMR."""
    manager = "yarn.resourcemanager."
    settings: Settings = {
        manager + "ha.enabled": True,
        manager + "ha.rm-ids": ",".join(manager_id(master) for master in range(masters)),
        manager + "cluster-id": "lab",
        manager + "store.class": f"{CLASSES}.recovery.ZKRMStateStore",
        "hadoop.zk.address": places.ZOOKEEPER,
        **story.masters,
    }
    for master in range(masters):
        settings[f"{manager}hostname.{manager_id(master)}"] = places.MASTER_HOSTS[master]
        web = places.RESOURCE_MANAGER_URLS[master].removeprefix("http://")
        settings[f"{manager}webapp.address.{manager_id(master)}"] = web
    return settings


def manager_id(master: int) -> str:
    return f"rm{master}"


def master_site(master: int, masters: int) -> Settings:
    """Return what one ResourceManager has besides the common yarn-site."""
    own: Settings = {"yarn.resourcemanager.ha.id": manager_id(master)} if masters > 1 else {}
    return {"yarn.resourcemanager.bind-host": places.MASTER_HOSTS[master], **own}


def capacity_scheduler() -> Settings:
    """One queue, and memory as the only thing that counts, as on EMR."""
    prefix = "yarn.scheduler.capacity."
    return {
        prefix + "root.queues": "default",
        prefix + "root.default.capacity": 100,
        prefix + "maximum-am-resource-percent": "0.5",
        prefix + "resource-calculator": "org.apache.hadoop.yarn.util.resource.DefaultResourceCalculator",
        prefix + "node-locality-delay": -1,
    }


def node_site(layout: Layout, node: int, memory_mb: int) -> Settings:
    """Return what one NodeManager has besides the common yarn-site."""
    host, ports, prefix = places.NODE_HOSTS[node], places.NODE_MANAGER_PORTS, "yarn.nodemanager."
    return {
        prefix + "hostname": host,
        prefix + "bind-host": host,
        prefix + "address": f"{host}:{ports['containers']}",
        prefix + "localizer.address": f"{host}:{ports['localizer']}",
        prefix + "webapp.address": f"{host}:{ports['web']}",
        prefix + "local-dirs": str(layout.data / f"node{node}"),
        prefix + "log-dirs": str(layout.container_logs(node)),
        prefix + "resource.memory-mb": memory_mb,
        prefix + "resource.cpu-vcores": 32,
        prefix + "vmem-check-enabled": False,
        prefix + "pmem-check-enabled": False,
        # A developer's disk may be fuller than a server's.
        prefix + "disk-health-checker.max-disk-utilization-per-disk-percentage": 99,
    }


def kafka(layout: Layout) -> Settings:
    """One broker that is its own controller; small segments, so that hours of load stay small on disk."""
    clients, controller = places.BROKERS, f"{places.MASTER_HOST}:{places.KAFKA_PORTS['controller']}"
    return {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@{controller}",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "listeners": f"PLAINTEXT://{clients},CONTROLLER://{controller}",
        "advertised.listeners": f"PLAINTEXT://{clients}",
        "log.dirs": str(layout.data / "kafka"),
        "auto.create.topics.enable": False,
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 1,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "transaction.state.log.num.partitions": 1,
        "group.initial.rebalance.delay.ms": 0,
        "num.network.threads": 2,
        "num.io.threads": 2,
        "log.cleaner.enable": False,
        "log.segment.bytes": 16 * 2**20,
        "log.retention.bytes": 64 * 2**20,
        "log.retention.check.interval.ms": 30000,
    }


def zookeeper(layout: Layout) -> Settings:
    return {
        "dataDir": str(layout.data / "zookeeper"),
        "clientPort": places.ZOOKEEPER_PORT,
        "clientPortAddress": places.MASTER_HOST,
        "admin.enableServer": False,
        # Sessions last at least two of these.
        "tickTime": 1000,
    }


def flink(layout: Layout, version: FlinkVersion, jars: Path, story: Story) -> Settings:
    """Return the flink-conf that all the lab's applications start from."""
    settings: Settings = {
        "jobmanager.scheduler": "adaptive",
        **_flink_memory(),
        "slotmanager.number-of-slots.max": 64,
        "execution.checkpointing.dir": f"file://{layout.data}/flink/checkpoints",
        "execution.checkpointing.savepoint-dir": f"file://{layout.data}/flink/savepoints",
        "state.backend.type": "hashmap",
        "restart-strategy.type": "exponential-delay",
        "restart-strategy.exponential-delay.initial-backoff": "1 s",
        "yarn.flink-dist-jar": str(next(jars.glob("flink-dist-*.jar"))),
        "yarn.staging-directory": f"file://{layout.data}/flink/staging",
        "yarn.application-attempts": 2,
        "env.java.opts.all": " ".join((*flink_opens(), *LIGHT_JVM, f"-Djava.io.tmpdir={layout.data}/tmp")),
        **story.flink,
    }
    return {_name_in(version, key): value for key, value in settings.items()}


def _flink_memory() -> Settings:
    """A JobManager of 700 and TaskManagers of 768 MB with two slots; about 300 MB of each is ever touched."""
    return {
        "jobmanager.memory.process.size": "700m",
        "jobmanager.memory.jvm-metaspace.size": "128m",
        "jobmanager.memory.jvm-overhead.min": "128m",
        "taskmanager.memory.process.size": "768m",
        "taskmanager.memory.managed.size": "0m",
        "taskmanager.memory.network.min": "32m",
        "taskmanager.memory.network.max": "32m",
        # The lab's records are tiny and slow: full-size buffers would hold half a minute of them, and a checkpoint's
        # barrier would have to wait behind all that.
        "taskmanager.memory.segment-size": "4kb",
        "taskmanager.memory.framework.off-heap.size": "64m",
        "taskmanager.memory.jvm-metaspace.size": "128m",
        "taskmanager.memory.jvm-overhead.min": "128m",
        "taskmanager.numberOfTaskSlots": 2,
    }


def _name_in(version: FlinkVersion, key: str) -> str:
    """Return the name of a key in this version, for those that were renamed in 1.19 and 1.20."""
    if version.minor < (1, 20):
        before_1_20 = {
            "execution.checkpointing.dir": "state.checkpoints.dir",
            "execution.checkpointing.savepoint-dir": "state.savepoints.dir",
        }
        key = before_1_20.get(key, key)
    if version.minor < (1, 19):
        key = {"restart-strategy.type": "restart-strategy"}.get(key, key)
    return key


def high_availability(layout: Layout) -> Settings:
    """Keys for an application whose job shall survive the end of its ApplicationMaster."""
    return {
        "high-availability.type": "zookeeper",
        "high-availability.zookeeper.quorum": places.ZOOKEEPER,
        "high-availability.storageDir": f"file://{layout.data}/flink/ha",
    }


def flink_file(version: FlinkVersion) -> str:
    return "config.yaml" if version.minor >= (1, 19) else "flink-conf.yaml"


def flink_text(version: FlinkVersion, settings: Mapping[str, Value]) -> str:
    """Render a Flink configuration: real YAML from 1.19 on, before that a format that knows no quotes."""
    quote = json.dumps if flink_file(version) == "config.yaml" else str
    return "".join(f"{key}: {quote(plain(value))}\n" for key, value in settings.items())


def flink_opens() -> list[str]:
    exports = [f"--add-exports={name}=ALL-UNNAMED" for name in FLINK_EXPORTED]
    return exports + [f"--add-opens=java.base/{name}=ALL-UNNAMED" for name in FLINK_OPENED]


def log4j1(level: str = "INFO") -> Settings:
    """Hadoop's and Kafka's logging: to the standard error output, which is the process's log file."""
    return {
        "log4j.rootLogger": f"{level},out",
        "log4j.appender.out": "org.apache.log4j.ConsoleAppender",
        "log4j.appender.out.target": "System.err",
        "log4j.appender.out.layout": "org.apache.log4j.PatternLayout",
        "log4j.appender.out.layout.ConversionPattern": "%d{ISO8601} %p %c{1}: %m%n",
    }


def log4j2(appender: Settings) -> Settings:
    """Flink's logging."""
    return {
        "rootLogger.level": "INFO",
        "rootLogger.appenderRef.out.ref": "out",
        "appender.out.name": "out",
        **{f"appender.out.{key}": value for key, value in appender.items()},
        "appender.out.layout.type": "PatternLayout",
        "appender.out.layout.pattern": "%d{HH:mm:ss,SSS} %-5p %c{1} - %m%n",
    }


def flink_container_log() -> Settings:
    return log4j2(
        {
            "type": "RollingFile",
            "fileName": "${sys:log.file}",
            "filePattern": "${sys:log.file}.%i",
            "policies.type": "Policies",
            "policies.size.type": "SizeBasedTriggeringPolicy",
            "policies.size.size": "20MB",
        }
    )


def flink_client_log() -> Settings:
    return log4j2({"type": "CONSOLE", "target": "SYSTEM_ERR"})


def write_daemons(
    layout: Layout, hadoop: Path, story: Story, node_memory_mb: tuple[int, int], masters: int = 1
) -> None:
    """Write the configuration of all daemons below the lab's `conf` folder."""
    common = yarn_site(layout, hadoop, story, max(node_memory_mb), masters)
    files = {
        "hadoop/core-site.xml": xml(core_site(layout.data / "tmp" / "clients")),
        "hadoop/yarn-site.xml": xml(common),
        "hadoop/log4j.properties": properties(log4j1()),
        "kafka/server.properties": properties(kafka(layout)),
        "kafka/zookeeper.properties": properties(zookeeper(layout)),
        "kafka/log4j.properties": properties(log4j1("WARN")),
        layout.excluded_nodes.name: "",
    }
    for master in range(masters):
        files[f"master{master}/core-site.xml"] = xml(core_site(layout.data / "tmp" / f"master{master}"))
        files[f"master{master}/yarn-site.xml"] = xml({**common, **master_site(master, masters)})
        files[f"master{master}/capacity-scheduler.xml"] = xml(capacity_scheduler())
        files[f"master{master}/log4j.properties"] = properties(log4j1())
    for node, memory_mb in enumerate(node_memory_mb):
        files[f"node{node}/core-site.xml"] = xml(core_site(layout.data / "tmp" / f"node{node}"))
        files[f"node{node}/yarn-site.xml"] = xml({**common, **node_site(layout, node, memory_mb)})
        files[f"node{node}/log4j.properties"] = properties(log4j1())
    for name, text in files.items():
        write(layout.conf / name, text)
    (layout.data / "tmp").mkdir(parents=True, exist_ok=True)


def write_flink(folder: Path, version: FlinkVersion, settings: Mapping[str, Value]) -> Path:
    """Write the configuration folder of one Flink application."""
    write(folder / flink_file(version), flink_text(version, settings))
    write(folder / "log4j.properties", properties(flink_container_log()))
    write(folder / "log4j-cli.properties", properties(flink_client_log()))
    return folder


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
