"""Build what is published into a folder: ``python -m bundle [FOLDER]``, ``dist`` if none is named.

Two builds of the same commit give the same bytes. SOURCE_DATE_EPOCH sets the one time stamp in them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import autoscaler
from bundle.archive import checksums, digest, pack
from bundle.wheels import BuildError, Target, download, needed

ROOT = Path(__file__).resolve().parents[2]
PROJECT = "flink-yarn-autoscaler"
ARCHITECTURES = ("x86_64", "aarch64")
EPOCH = "1580601600"  # 2 February 2020, hatchling's own where SOURCE_DATE_EPOCH is not set
EXTRAS = ("postgresql", "mysql")
SCRIPTS = ("bootstrap.sh", "common.sh", "install.sh", "uninstall.sh", "upgrade.sh")


def main(folder: Path) -> None:
    """Build everything anew. Raises BuildError."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    epoch = int(os.environ.get("SOURCE_DATE_EPOCH", EPOCH))
    build = [sys.executable, "-m", "hatchling", "build", "--directory", str(folder)]
    subprocess.run(build, check=True, cwd=ROOT, env=os.environ | {"SOURCE_DATE_EPOCH": str(epoch)}, stdout=sys.stderr)
    (wheel,) = folder.glob("*.whl")
    for architecture in ARCHITECTURES:
        bundle(wheel, Target(architecture=architecture), folder, epoch)
    # what EMR fetches by itself, before there is a bundle
    shutil.copy(ROOT / "deploy" / "emr" / "bootstrap.sh", folder)
    (folder / "SHA256SUMS").write_text(checksums(folder.iterdir(), folder), encoding="utf-8")
    print("".join(f"{file}\n" for file in sorted(folder.iterdir())), end="")


def bundle(wheel: Path, target: Target, folder: Path, epoch: int) -> Path:
    """One offline bundle: all wheels, those of the extras too, the installer, the service and the default settings."""
    name = f"autoscaler-{autoscaler.__version__}-linux-{target.architecture}"
    with tempfile.TemporaryDirectory() as scratch:
        base = Path(scratch) / name
        wheels = base / "wheels"
        wheels.mkdir(parents=True)
        lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
        names = needed(PROJECT, target)
        download(names, lock, target, wheels)
        shutil.copy(wheel, wheels)
        (base / "requirements.txt").write_text(pinned(wheels), encoding="utf-8")
        for extra in EXTRAS:
            beside = Path(scratch) / extra
            beside.mkdir()
            download(sorted({*needed(f"{PROJECT}[{extra}]", target)} - {*names}), lock, target, beside)
            (base / f"requirements-{extra}.txt").write_text(pinned(beside), encoding="utf-8")
            shutil.copytree(beside, wheels, dirs_exist_ok=True)
        (base / "VERSION").write_text(f"{autoscaler.__version__}\n", encoding="utf-8")
        (base / "ARCHITECTURE").write_text(f"{target.architecture}\n", encoding="utf-8")
        for script in SCRIPTS:
            shutil.copy(ROOT / "deploy" / "emr" / script, base)
        shutil.copytree(ROOT / "systemd", base / "systemd")
        shutil.copy(ROOT / "conf" / "autoscaler.yaml", base)
        shutil.copy(ROOT / "docs" / "EMR.md", base)
        shutil.copy(ROOT / "LICENSE", base)
        files = [file for file in base.rglob("*") if file.is_file()]
        (base / "SHA256SUMS").write_text(checksums(files, base), encoding="utf-8")
        archive = folder / f"{name}.tar.gz"
        pack(base, archive, epoch)
    return archive


def pinned(wheels: Path) -> str:
    """A requirements file that admits these wheels and no others."""
    lines = []
    for wheel in sorted(wheels.glob("*.whl")):
        name, version, *_ = wheel.name.split("-")
        lines.append(f"{name}=={version} --hash=sha256:{digest(wheel)}\n")
    return "".join(lines)


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "dist"))
    except BuildError as error:
        sys.exit(f"make dist: {error}")
