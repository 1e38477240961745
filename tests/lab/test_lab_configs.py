"""The configuration files of the lab."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import yaml
from lab import configs
from lab.artifacts import FLINK_VERSIONS, FlinkVersion
from lab.layout import MASTER_HOSTS, NODE_HOSTS, Layout
from lab.story import Story

HOME = Layout(home=Path("/lab/run"), cache=Path("/lab/cache"))
STORY = Story(
    daemon={}, flink={"job.autoscaler.enabled": "true"}, yarn={"yarn.some.key": "7"}, masters={"soon": "1"}, phases=()
)


@pytest.fixture
def jars(tmp_path: Path) -> Path:
    """Return a folder with a jar that Flink would take for its distribution."""
    (tmp_path / "flink-dist-1.0.jar").touch()
    return tmp_path


def read_xml(text: str) -> dict[str, str]:
    return {each.findtext("name", ""): each.findtext("value", "") for each in ET.fromstring(text)}


def test_hadoop_files_say_what_was_meant() -> None:
    """A value comes out of the XML as it went in, signs and booleans included."""
    text = configs.xml({"a": "x < y & z", "b": True, "c": 7})
    assert read_xml(text) == {"a": "x < y & z", "b": "true", "c": "7"}


def test_nodes_have_hosts_of_their_own_and_loopback_only() -> None:
    """Two nodes can be told apart, and nobody outside this machine can reach them."""
    sites = [configs.node_site(HOME, node, 1024 * (node + 1)) for node in range(2)]
    assert [site["yarn.nodemanager.hostname"] for site in sites] == list(NODE_HOSTS)
    assert [site["yarn.nodemanager.resource.memory-mb"] for site in sites] == [1024, 2048]
    for site in sites:
        assert str(site["yarn.nodemanager.bind-host"]).startswith("127.")


def test_yarn_counts_memory_only_and_has_a_separate_proxy() -> None:
    """As on EMR: the queue counts memory alone, and tracking URLs point to port 20888."""
    scheduler = configs.capacity_scheduler()
    assert str(scheduler["yarn.scheduler.capacity.resource-calculator"]).endswith(".DefaultResourceCalculator")
    site = configs.yarn_site(HOME, Path("/jars"), STORY, 2048)
    assert site["yarn.web-proxy.address"] == "localhost:20888"
    assert site["yarn.some.key"] == "7"
    assert site["yarn.scheduler.maximum-allocation-mb"] == 2048


def test_two_masters_share_their_state_and_know_who_they_are(tmp_path: Path) -> None:
    """With two masters each ResourceManager has a name and an address of its own, and all keep state in ZooKeeper."""
    layout = Layout(home=tmp_path / "run", cache=tmp_path / "cache")
    configs.write_daemons(layout, Path("/jars"), STORY, (4096, 2048), masters=2)
    folders = ("master0", "master1", "node0", "hadoop")
    first, second, *others = (
        read_xml((layout.conf / folder / "yarn-site.xml").read_text(encoding="utf-8")) for folder in folders
    )
    manager = "yarn.resourcemanager."
    assert [site[manager + "ha.id"] for site in (first, second)] == ["rm0", "rm1"]
    assert [site[manager + "bind-host"] for site in (first, second)] == list(MASTER_HOSTS)
    for site in (first, second, *others):
        assert [site[manager + "hostname." + name] for name in ("rm0", "rm1")] == list(MASTER_HOSTS)
        assert site[manager + "store.class"].endswith(".ZKRMStateStore")
        assert site["soon"] == "1"
    alone = configs.yarn_site(HOME, Path("/jars"), STORY, 2048)
    assert not {key for key in alone if ".ha." in key or key == "soon"}


@pytest.mark.parametrize("version", FLINK_VERSIONS, ids=lambda version: version.number)
def test_every_flink_version_gets_the_storys_keys(version: FlinkVersion, jars: Path) -> None:
    """The keys of story.yaml reach the flink-conf of each version, and each is on the adaptive scheduler."""
    settings = configs.flink(HOME, version, jars, STORY)
    assert settings["job.autoscaler.enabled"] == "true"
    assert settings["jobmanager.scheduler"] == "adaptive"
    assert settings["yarn.flink-dist-jar"] == str(jars / "flink-dist-1.0.jar")


@pytest.mark.parametrize(
    ("version", "checkpoints", "restarts", "file"),
    [
        ("1.18", "state.checkpoints.dir", "restart-strategy", "flink-conf.yaml"),
        ("1.19", "state.checkpoints.dir", "restart-strategy.type", "config.yaml"),
        ("1.20", "execution.checkpointing.dir", "restart-strategy.type", "config.yaml"),
        ("2.x", "execution.checkpointing.dir", "restart-strategy.type", "config.yaml"),
    ],
)
def test_renamed_keys_have_the_name_of_the_version(
    version: str, checkpoints: str, restarts: str, file: str, jars: Path
) -> None:
    """Each Flink version gets the file and the key names that it reads."""
    settings = configs.flink(HOME, FlinkVersion.named(version), jars, STORY)
    assert settings[checkpoints] == "file:///lab/run/data/flink/checkpoints"
    assert settings[restarts] == "exponential-delay"
    assert configs.flink_file(FlinkVersion.named(version)) == file


def test_the_new_flink_file_is_yaml_whatever_the_values() -> None:
    """From 1.19 on values are quoted, so a colon or a bracket in one does not break the file."""
    settings: configs.Settings = {"a.b": "x: y", "c": "[1", "d": True, "e": 5}
    text = configs.flink_text(FlinkVersion.named("1.20"), settings)
    assert yaml.safe_load(text) == {"a.b": "x: y", "c": "[1", "d": "true", "e": "5"}


def test_the_old_flink_file_has_no_quotes() -> None:
    """1.18 would take quotes for a part of the value."""
    text = configs.flink_text(FlinkVersion.named("1.18"), {"a.b": "10 s", "d": True})
    assert text == "a.b: 10 s\nd: true\n"


def test_all_files_are_written_below_the_labs_folder(tmp_path: Path) -> None:
    """Each daemon finds its own configuration folder, and the excluded nodes start empty."""
    layout = Layout(home=tmp_path / "run", cache=tmp_path / "cache")
    configs.write_daemons(layout, Path("/jars"), STORY, (4096, 2048))
    written = sorted(str(file.relative_to(layout.conf)) for file in layout.conf.rglob("*") if file.is_file())
    assert "master0/capacity-scheduler.xml" in written
    assert "node1/yarn-site.xml" in written
    assert "kafka/server.properties" in written
    assert layout.excluded_nodes.read_text(encoding="utf-8") == ""
    site = read_xml((layout.conf / "node1" / "yarn-site.xml").read_text(encoding="utf-8"))
    assert site["yarn.scheduler.maximum-allocation-mb"] == "4096"
    assert site["yarn.nodemanager.resource.memory-mb"] == "2048"
