"""Build what is published into a folder: ``python -m bundle [FOLDER]``, ``dist`` if none is named.

Two builds of the same commit give the same bytes. SOURCE_DATE_EPOCH sets the one time stamp in them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import autoscaler
from bundle.archive import checksums, digest, pack
from bundle.wheels import BuildError, Target, download, download_sources, locked, needed

ROOT = Path(__file__).resolve().parents[2]
PROJECT = "flink-yarn-autoscaler"
ARCHITECTURES = ("x86_64", "aarch64")
EPOCH = "1580601600"  # 2 February 2020, hatchling's own where SOURCE_DATE_EPOCH is not set
LOCK = ROOT / "requirements.lock"
EXTRAS = ("postgresql", "mysql")
KERBEROS_LOCK = ROOT / "requirements-kerberos.lock"
SOURCES = ("gssapi",)  # has no wheels for Linux: the target builds it
BUILT_WITH = ("cython", "setuptools")
SCRIPTS = ("bootstrap.sh", "common.sh", "install.sh", "uninstall.sh", "upgrade.sh")


def main(folder: Path) -> None:
    """Build everything anew. Raises BuildError."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    epoch = int(os.environ.get("SOURCE_DATE_EPOCH", EPOCH))
    build = [sys.executable, "-m", "hatchling", "build", "--directory", str(folder)]
    subprocess.run(build, check=True, cwd=ROOT, env=os.environ | {"SOURCE_DATE_EPOCH": str(epoch)}, stdout=sys.stderr)
    (wheel,) = folder.glob("*.whl")
    with tempfile.TemporaryDirectory() as sources:
        download_sources(SOURCES, KERBEROS_LOCK, Path(sources))
        for architecture in ARCHITECTURES:
            bundle(wheel, Path(sources), Target(architecture=architecture), folder, epoch)
    # what EMR fetches by itself, before there is a bundle
    shutil.copy(ROOT / "deploy" / "emr" / "bootstrap.sh", folder)
    (folder / "SHA256SUMS").write_text(checksums(folder.iterdir(), folder), encoding="utf-8")
    print("".join(f"{file}\n" for file in sorted(folder.iterdir())), end="")


def bundle(wheel: Path, sources: Path, target: Target, folder: Path, epoch: int) -> Path:
    """One offline bundle: all packages, those of the extras too, installer, service and default settings."""
    name = f"autoscaler-{autoscaler.__version__}-linux-{target.architecture}"
    with tempfile.TemporaryDirectory() as scratch:
        base = Path(scratch) / name
        collect(wheel, sources, target, base)
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


def collect(wheel: Path, sources: Path, target: Target, base: Path) -> None:
    """All that pip installs, into ``wheels``, and a requirements file for the project and one for each extra."""
    (base / "wheels").mkdir(parents=True)
    names = needed(PROJECT, target)
    with part(base, "requirements.txt") as folder:
        download(names, LOCK, target, folder)
        shutil.copy(wheel, folder)
    for extra in EXTRAS:
        with part(base, f"requirements-{extra}.txt") as folder:
            download(sorted({*needed(f"{PROJECT}[{extra}]", target)} - {*names}), LOCK, target, folder)
    with part(base, "requirements-kerberos.txt") as folder:
        shutil.copytree(sources, folder, dirs_exist_ok=True)
        others = locked(KERBEROS_LOCK.read_text(encoding="utf-8")).keys() - {*SOURCES, *BUILT_WITH}
        download(sorted(others), KERBEROS_LOCK, target, folder)
    download(BUILT_WITH, KERBEROS_LOCK, target, base / "wheels")


@contextmanager
def part(base: Path, requirements: str) -> Iterator[Path]:
    """A folder for what one requirements file is to admit, all of which is then among the bundle's wheels."""
    with tempfile.TemporaryDirectory() as scratch:
        yield Path(scratch)
        (base / requirements).write_text(pinned(Path(scratch)), encoding="utf-8")
        shutil.copytree(scratch, base / "wheels", dirs_exist_ok=True)


def pinned(packages: Path) -> str:
    """A requirements file that admits these wheels and source distributions and no others."""
    lines = []
    for package in sorted(packages.iterdir()):
        name, version, *_ = package.name.removesuffix(".tar.gz").split("-")
        lines.append(f"{name}=={version} --hash=sha256:{digest(package)}\n")
    return "".join(lines)


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "dist"))
    except BuildError as error:
        sys.exit(f"make dist: {error}")
