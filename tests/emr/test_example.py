"""The example cluster is one that works as it stands."""

from __future__ import annotations

import json
from typing import Any

import autoscaler
from autoscaler.loop import VALIDATORS
from autoscaler.options import EMR, Layer, Part, Runtime, check, ownership, parse_flink_conf, profile_layer, resolve
from tests.emr.host import REPOSITORY, Host

FILE = REPOSITORY / "deploy" / "emr" / "example-cluster.json"
EXAMPLE: dict[str, Any] = json.loads(FILE.read_text())
DOCUMENT = (REPOSITORY / "docs" / "EMR.md").read_text()


def properties(classification: str) -> dict[str, str]:
    (found,) = [c["Properties"] for c in EXAMPLE["Configurations"] if c["Classification"] == classification]
    return dict(found)


def test_its_flink_conf_hands_jobs_to_us_and_to_nobody_else() -> None:
    """As EMR renders it, flat: keys are known, values fit, and on EMR's Flink the jobs are ours without a warning."""
    keys = properties("flink-conf")
    parsed = parse_flink_conf("".join(f"{key}: {value}\n" for key, value in keys.items()), "flink-conf.yaml")
    assert parsed.problems == ()
    resolved = resolve([profile_layer(EMR), Layer(name="cluster flink-conf", entries=parsed.entries)], EMR)
    assert check(resolved, VALIDATORS) == ()
    whose = ownership(keys, Runtime(version="1.20.0-amzn-6", submitted=keys, on_emr_host=True))
    assert (whose.part, whose.detail) == (Part.ACT, "")
    assert keys["jobmanager.scheduler"] == "adaptive"
    assert "execution.checkpointing.interval" in keys


def test_its_bootstrap_action_installs_the_bundle_of_this_version(host: Host) -> None:
    """Its arguments are understood, and the bundle is called as `make dist` calls it; so it is in the document."""
    (action,) = EXAMPLE["BootstrapActions"]
    arguments = action["ScriptBootstrapAction"]["Args"]
    name = f"autoscaler-{autoscaler.__version__}-linux-aarch64.tar.gz"
    assert arguments[arguments.index("--bundle") + 1].endswith(f"/{name}")
    assert DOCUMENT.count(f"autoscaler/{name}") == 2
    (host.fake / "s3/my-bucket/autoscaler").mkdir(parents=True)
    address, _ = host.upload(host.bundle())
    (host.fake / "s3" / address.removeprefix("s3://")).rename(host.fake / "s3/my-bucket/autoscaler" / name)
    ended = host.bootstrap(*arguments)
    assert "started autoscaler.service" in ended.text


def test_what_the_document_names_is_what_the_example_has() -> None:
    """The time-out that is explained is the one that is set, and so are the keys."""
    for key in (*properties("flink-conf"), *properties("yarn-site")):
        assert key in DOCUMENT
