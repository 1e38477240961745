"""Gets the lab's jars from Maven and compiles its own Java, once: both are kept in the cache folder."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from lab.layout import LabError
from lab.processes import last_lines

HADOOP = "3.4.1"
KAFKA = "3.9.1"
SOURCES = Path(__file__).parent / "src" / "main" / "java" / "lab"
COPY_GOAL = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"
PROGRESS_SECONDS = 2.0

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class FlinkVersion:
    """A Flink release whose thin jars are on Maven Central, and the Kafka connector made for it."""

    number: str
    connector: str

    @property
    def major(self) -> int:
        return int(self.number.split(".")[0])

    @property
    def minor(self) -> tuple[int, int]:
        return self.major, int(self.number.split(".")[1])

    @classmethod
    def named(cls, name: str) -> FlinkVersion:
        """Find a version by `1.20`, `1.20.1`, `2.x`, `2`."""
        for version in FLINK_VERSIONS:
            if version.number == name or version.number.startswith(f"{name.removesuffix('.x')}."):
                return version
        known = ", ".join(version.number for version in FLINK_VERSIONS)
        raise LabError(f"FLINK={name}: the lab knows {known}")


# The default comes first. No other 1.x release of these lines has flink-yarn on Maven Central.
FLINK_VERSIONS = (
    FlinkVersion(number="1.20.1", connector="3.4.0-1.20"),
    FlinkVersion(number="1.19.1", connector="3.3.0-1.19"),
    FlinkVersion(number="1.18.1", connector="3.2.0-1.18"),
    FlinkVersion(number="2.2.0", connector="5.0.0-2.2"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class JarSet:
    """Jars that live together in one folder: these artifacts and all they need."""

    name: str
    coordinates: tuple[str, ...]
    megabytes: int
    excluded_groups: tuple[str, ...] = ()

    def folder(self, cache: Path) -> Path:
        """Where the jars are once they are fetched."""
        return cache / self.name / "jars"

    @property
    def pom(self) -> str:
        """The project file that makes Maven resolve this set."""
        exclusions = "".join(
            f"<exclusion><groupId>{group}</groupId><artifactId>*</artifactId></exclusion>"
            for group in self.excluded_groups
        )
        dependencies = "".join(
            "    <dependency><groupId>{}</groupId><artifactId>{}</artifactId><version>{}</version>"
            "<exclusions>{}</exclusions></dependency>\n".format(*coordinate.split(":"), exclusions)
            for coordinate in self.coordinates
        )
        return (
            '<project xmlns="http://maven.apache.org/POM/4.0.0">\n  <modelVersion>4.0.0</modelVersion>\n'
            f"  <groupId>lab</groupId><artifactId>{self.name}</artifactId><version>1</version>\n"
            f"  <packaging>pom</packaging>\n  <dependencies>\n{dependencies}  </dependencies>\n</project>\n"
        )


def _of(group: str, version: str, *artifacts: str) -> tuple[str, ...]:
    return tuple(f"{group}:{artifact}:{version}" for artifact in artifacts)


HADOOP_JARS = JarSet(
    name=f"hadoop-{HADOOP}",
    coordinates=_of(
        "org.apache.hadoop",
        HADOOP,
        "hadoop-common",
        "hadoop-auth",
        "hadoop-yarn-server-resourcemanager",
        "hadoop-yarn-server-nodemanager",
        "hadoop-yarn-server-web-proxy",
        "hadoop-yarn-server-timelineservice",  # the ResourceManager needs it without declaring so
        "hadoop-yarn-client",
    ),
    megabytes=84,
)
KAFKA_JARS = JarSet(
    name=f"kafka-{KAFKA}",
    coordinates=(f"org.apache.kafka:kafka_2.13:{KAFKA}", "org.slf4j:slf4j-reload4j:1.7.36"),
    megabytes=48,
)


def flink_jars(version: FlinkVersion) -> JarSet:
    """Return the jars of one Flink version, its Kafka connector included."""
    flink = (
        "flink-yarn",
        "flink-clients",
        "flink-streaming-java",
        "flink-runtime-web",
        "flink-connector-base",
    )
    log4j = ("log4j-slf4j-impl", "log4j-core", "log4j-1.2-api")
    return JarSet(
        name=f"flink-{version.number}",
        coordinates=(
            *_of("org.apache.flink", version.number, *flink),
            *_of("org.apache.flink", version.connector, "flink-connector-kafka"),
            *_of("org.apache.logging.log4j", "2.24.3", *log4j),
        ),
        megabytes=90,
        # flink-yarn would bring an old Hadoop, the connector a guava that it does not use at run time.
        excluded_groups=("org.apache.hadoop", "com.google.guava", "javax.servlet"),
    )


def fetch(jars: JarSet, cache: Path, say: Say) -> None:
    """Ask Maven for these jars if this very set is not in the cache yet."""
    folder = cache / jars.name
    pom = folder / "pom.xml"
    if pom.is_file() and pom.read_text(encoding="utf-8") == jars.pom:
        return
    # Maven fills a folder of its own, which takes its place only when complete.
    partial = cache / f"{jars.name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    (partial / "pom.xml").write_text(jars.pom, encoding="utf-8")
    _run_maven(jars, partial, cache / f"{jars.name}.log", say)
    for jar in partial.glob("jars/flink-yarn-*.jar"):
        # Flink insists on a "dist" jar to put on YARN, and recognises it by its name alone.
        jar.rename(jar.with_name(jar.name.replace("flink-yarn", "flink-dist")))
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)


def _run_maven(jars: JarSet, folder: Path, log: Path, say: Say) -> None:
    if shutil.which("mvn") is None:
        raise LabError("Maven (mvn) is not installed; run deploy/preflight.sh lab")
    command = ["mvn", "-B", "-f", str(folder / "pom.xml"), COPY_GOAL]
    command += ["-DincludeScope=runtime", f"-DoutputDirectory={folder}/jars"]
    environment = {**os.environ, "JAVA_HOME": str(java_home())}
    started = told = time.monotonic()
    with (
        log.open("w", encoding="utf-8") as output,
        subprocess.Popen(command, stdout=output, stderr=output, env=environment) as maven,
    ):
        try:
            while maven.poll() is None:
                time.sleep(0.1)
                if time.monotonic() - told >= PROGRESS_SECONDS:
                    told = time.monotonic()
                    done = downloaded_megabytes(log.read_text(encoding="utf-8", errors="replace").splitlines())
                    say(f"{jars.name}: {min(done, jars.megabytes):.0f} of about {jars.megabytes} MB")
        finally:
            maven.terminate()  # if it has not ended, who waits for it was interrupted
    if maven.returncode:
        raise LabError(f"Maven could not get {jars.name}; the end of {log}:\n{last_lines(log)}")
    size = sum(jar.stat().st_size for jar in folder.glob("jars/*.jar")) / 1e6
    say(f"{jars.name}: {size:.0f} MB in {time.monotonic() - started:.0f} s")


def downloaded_megabytes(maven_log: Iterable[str]) -> float:
    """Add up the sizes that Maven's log says it has downloaded."""
    units = {"B": 1e-6, "kB": 1e-3, "MB": 1.0, "GB": 1e3}
    total = 0.0
    for line in maven_log:
        if found := re.search(r"Downloaded from .*\(([\d.]+) ([kMG]?B)(?: at |\))", line):
            total += float(found[1]) * units[found[2]]
    return total


def compiled_jar(package: str, label: str, cache: Path) -> Path:
    """Return where the jar of one package of the lab's Java belongs; another source means another file."""
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in _sources(package))).hexdigest()[:12]
    return cache / "build" / f"lab-{package}-{label}-{digest}.jar"


def compile_jar(package: str, libraries: Path, jar: Path) -> None:
    """Compile one package of the lab's Java against these jars, unless it is there already."""
    if jar.is_file():
        return
    classes = jar.with_suffix(".classes")
    shutil.rmtree(classes, ignore_errors=True)
    classes.mkdir(parents=True)
    tools = java_home() / "bin"
    flags = ["--release", "11", "-nowarn", "-Xlint:-options", "-d", str(classes), "-cp", f"{libraries}/*"]
    _run_tool([str(tools / "javac"), *flags, *map(str, _sources(package))])
    partial = jar.with_suffix(".partial")
    _run_tool([str(tools / "jar"), "--create", "--file", str(partial), "-C", str(classes), "."])
    shutil.rmtree(classes)
    partial.rename(jar)


def _sources(package: str) -> list[Path]:
    return sorted((SOURCES / package).glob("*.java"))


def _run_tool(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LabError(f"{Path(command[0]).name} failed:\n{done.stdout}{done.stderr}")


def java_home() -> Path:
    """Return the JDK to use: JAVA_HOME, else the one on the PATH, else one in the usual places."""
    candidates = [Path(home) for home in [os.environ.get("JAVA_HOME", "")] if home]
    if compiler := shutil.which("javac"):
        candidates.append(Path(compiler).resolve().parents[1])
    candidates += sorted(Path("/usr/lib/jvm").glob("*17*"))
    for home in candidates:
        if (home / "bin" / "javac").is_file() and _major_version(home) == "17":
            return home
    raise LabError("no JDK 17 found (JAVA_HOME, PATH, /usr/lib/jvm); run deploy/preflight.sh lab")


def _major_version(home: Path) -> str:
    try:
        release = (home / "release").read_text(encoding="utf-8")
    except OSError:
        return ""
    found = re.search(r'^JAVA_VERSION="(\d+)', release, re.MULTILINE)
    return found[1] if found else ""
