#!/bin/sh
# preflight.sh python|lab: finds what this machine lacks before anything starts.
#
#   python  Python 3.11 or newer; prints the path of the one to use
#   lab     what the lab needs: the same Python, JDK 17, Maven, free memory, free ports
#
# As root a missing JDK or Maven is installed, after the command is printed and unless something else is in the way;
# NO_INSTALL=1 refuses.
# Exit codes: 0 all is there, 1 a problem (said on stderr), 2 wrong usage,
#             3 no JDK or Maven and it may not be installed: the caller can leave the lab out.
set -u

NEEDED_MIB=6144
# Ports of YARN, the web application proxy and Kafka. `LAB_ZK=1` and `LAB_MASTERS=2` add ZooKeeper's.
PORTS="8088 8030 8031 8032 8033 8040 8041 8042 20888 9092 9093"
if [ "${LAB_ZK:-}" = 1 ] || [ "${LAB_MASTERS:-1}" != 1 ]; then
    PORTS="$PORTS 2181"
fi

project=$(cd "$(dirname "$0")/.." && pwd)
lab_home=${LAB_HOME:-$project/.lab/run}

complain() {
    printf '%s\n' "preflight: $*" >&2
}

# --- Python

# Prints the interpreter's real path (not that of a shim) if it is new enough and can make a virtual environment.
usable_python() {
    "$1" -c '
import sys
assert sys.version_info >= (3, 11)
import ensurepip, venv
print(sys.executable)' 2>/dev/null
}

check_python() {
    for candidate in "${PYTHON:-}" python3.13 python3.12 python3.11 python3; do
        [ -n "$candidate" ] || continue
        usable_python "$candidate" && return 0
        [ "$candidate" = "${PYTHON:-}" ] && complain "PYTHON=$PYTHON is no Python 3.11 or newer with venv"
    done
    complain "no Python 3.11 or newer with venv (looked for \$PYTHON, python3.13, python3.12, python3.11, python3)"
    complain "  Debian 12, Ubuntu 24.04:  apt-get install -y python3 python3-venv"
    complain "  Amazon Linux 2023:        dnf install -y python3.11"
    return 1
}

# --- JDK and Maven

is_jdk_17() {
    [ -x "$1/bin/java" ] && [ -x "$1/bin/javac" ] && grep -q '^JAVA_VERSION="17' "$1/release" 2>/dev/null
}

jdk_home() {
    compiler=$(command -v javac) && compiler=$(readlink -f "$compiler")
    for home in "${JAVA_HOME:-}" "${compiler%/bin/javac}" /usr/lib/jvm/*17*; do
        if [ -n "$home" ] && is_jdk_17 "$home"; then
            printf '%s\n' "$home"
            return 0
        fi
    done
    return 1
}

has_java_and_maven() {
    jdk_home >/dev/null && command -v mvn >/dev/null
}

install_with() {
    printf '%s\n' "preflight: no JDK 17 or no Maven; installing them: $*"
    sh -c "$*" >&2 || return 1
}

install_java_and_maven() {
    if command -v apt-get >/dev/null; then
        install_with "apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y openjdk-17-jdk-headless maven"
    elif command -v dnf >/dev/null; then
        install_with "dnf install -y java-17-amazon-corretto-devel maven"
    else
        complain "neither apt-get nor dnf is here to install a JDK 17 and Maven"
        return 3
    fi
}

say_how_to_install() {
    complain "the lab needs a JDK 17 (java and javac) and Maven; install them with"
    complain "  Debian, Ubuntu:     apt-get update && apt-get install -y openjdk-17-jdk-headless maven"
    complain "  Amazon Linux 2023:  dnf install -y java-17-amazon-corretto-devel maven"
}

# Argument: 1 if there are other problems; then nothing is installed.
check_java() {
    if ! has_java_and_maven; then
        if [ "${NO_INSTALL:-}" = 1 ] || [ "$(id -u)" != 0 ]; then
            say_how_to_install
            return 3
        fi
        if [ "$1" != 0 ]; then
            complain "no JDK 17 or no Maven: they are installed once nothing else is in the way"
            return 1
        fi
        if ! install_java_and_maven || ! has_java_and_maven; then
            complain "the installation did not bring a JDK 17 and Maven"
            say_how_to_install
            return 3
        fi
    fi
    printf '%s\n' "JDK: $(jdk_home)" "Maven: $(command -v mvn)"
}

# --- memory and ports

lab_is_running() {
    for file in "$lab_home"/pid/*; do
        pid=$(sed -n 's/.*"pid": \([0-9]*\).*/\1/p' "$file" 2>/dev/null)
        if [ -n "$pid" ] && grep -q -F "$lab_home/" "/proc/$pid/cmdline" 2>/dev/null; then
            return 0
        fi
    done
    return 1
}

check_memory() {
    free_mib=$(awk '$1 == "MemAvailable:" { print int($2 / 1024) }' /proc/meminfo)
    if [ "$free_mib" -lt "$NEEDED_MIB" ]; then
        complain "the lab needs $NEEDED_MIB MiB of free memory, $free_mib MiB are free"
        return 1
    fi
    printf '%s\n' "free memory: $free_mib MiB"
}

# Prints the inodes of the sockets that listen on this port, on a loopback address or on all addresses.
listening_sockets() {
    cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | awk -v port="$(printf '%04X' "$1")" '
        $4 == "0A" {
            split($2, local, ":")
            if (local[2] == port && (local[1] ~ /^0+$/ || local[1] ~ /7F$/ || local[1] ~ /^0+1000000$/)) print $10
        }'
}

holder() {
    # shellcheck disable=SC2012 # names here are numbers, and ls prints what each descriptor leads to
    pid=$(ls -l /proc/[0-9]*/fd 2>/dev/null | awk -v socket="socket:[$1]" -F '[ /]' '
        /^\/proc\// { pid = $3 }
        index($0, socket) { print pid; exit }')
    if [ -n "$pid" ]; then
        printf 'pid %s: %s\n' "$pid" "$(tr '\0\n' '  ' <"/proc/$pid/cmdline" | cut -c1-100)"
    else
        printf 'a process that this user may not see\n'
    fi
}

check_ports() {
    busy=0
    for port in $PORTS; do
        for inode in $(listening_sockets "$port"); do
            complain "port $port is taken by $(holder "$inode")"
            busy=1
        done
    done
    return "$busy"
}

# All that is wrong is said at once. Without Python nothing works; without a JDK the caller may go on without the lab.
check_lab() {
    python=0
    check_python >/dev/null || python=1
    problems=$python
    if lab_is_running; then
        printf '%s\n' "the lab in $lab_home runs already"
    else
        check_memory || problems=1
        check_ports || problems=1
    fi
    check_java "$problems"
    java=$?
    [ "$python" = 0 ] || return 1
    [ "$java" = 0 ] || return "$java"
    return "$problems"
}

case "${1:-}" in
    python) check_python ;;
    lab) check_lab ;;
    *)
        complain "usage: preflight.sh python|lab"
        exit 2
        ;;
esac
