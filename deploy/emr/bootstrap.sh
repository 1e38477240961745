#!/bin/bash
# bootstrap.sh --bundle s3://...|https://...|PATH [--sha256 HEX] [--config ADDRESS] [--act] [--postgresql] [--mysql]
#              [--kerberos] [--strict]
#
# EMR bootstrap action: installs the autoscaler on a master and starts it as a service, which waits by itself until YARN
# is there. On core and task nodes it ends at once. Needs nothing but the bundle: no Hadoop, no Flink, no network.
#
#   --bundle  address of autoscaler-<version>-linux-<architecture>.tar.gz
#   --sha256  what the bundle must be, from the SHA256SUMS beside it
#   --config  address of settings instead of the default ones
#   --act     rescale jobs; without it a first installation only advises
#   --postgresql, --mysql  the driver for a store on such a server
#   --kerberos  the binding to Kerberos, built here: needs gcc, krb5-devel and python3.11-devel
#   --strict  end with the status of the installation: if it fails, EMR terminates the node
#
# Without --strict the exit status is 0 whatever happens, so that the cluster starts; what happened is on stdout, which
# EMR keeps in /mnt/var/log/bootstrap-actions and in the cluster's log folder on S3.
umask 022
# nobody may be reading any more
trap '' PIPE

ROOT=${AUTOSCALER_ROOT:-}
LIMIT_S=600

say() {
    printf '%s bootstrap: %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$*"
}

fail() {
    say "FAILED: $*"
    exit 1
}

# master or worker; nothing if no file of EMR's tells.
node_role() {
    local file
    for file in "$ROOT"/mnt/var/lib/info/instance.json "$ROOT"/emr/instance-controller/lib/info/instance.json; do
        case $(grep -Eo '"isMaster"[[:space:]]*:[[:space:]]*(true|false)' "$file" 2>/dev/null) in
            *true) echo master && return ;;
            *false) echo worker && return ;;
        esac
    done
    file=$ROOT/emr/instance-controller/lib/info/extraInstanceData.json
    case $(grep -Eio '"instanceRole"[[:space:]]*:[[:space:]]*"[a-z]+"' "$file" 2>/dev/null | tr '[:upper:]' '[:lower:]') in
        *'"master"') echo master ;;
        *'"core"' | *'"task"') echo worker ;;
    esac
}

# Puts what is at an address into a file.
fetch() {
    local from=$1 into=$2
    case $from in
        s3://*) aws s3 cp --only-show-errors "$from" "$into" ;;
        https://*) curl --fail --silent --show-error --location --retry 3 --max-time 300 --output "$into" "$from" ;;
        *://*) fail "$from: expected s3://..., https://... or a path" ;;
        *) cp "$from" "$into" ;;
    esac || fail "$from could not be fetched"
}

# The work itself, as root.
install_bundle() {
    set -u
    local bundle='' sha256='' config='' scratch found folder
    local -a passed=()
    while [ $# -gt 0 ]; do
        case $1 in
            --bundle | --sha256 | --config)
                [ $# -ge 2 ] || fail "$1 needs a value"
                printf -v "${1#--}" %s "$2"
                shift
                ;;
            --act | --postgresql | --mysql | --kerberos) passed+=("$1") ;;
            --strict) ;;
            *)
                fail "unknown option $1; there are --bundle, --sha256, --config, --act, --postgresql, --mysql," \
                    "--kerberos and --strict"
                ;;
        esac
        shift
    done
    [ -n "$bundle" ] || fail "--bundle is missing: where autoscaler-<version>-linux-$(uname -m).tar.gz lies"
    scratch=$(mktemp -d) || fail "no temporary folder could be made"
    # shellcheck disable=SC2064 # the folder of now
    trap "rm -rf ${scratch@Q}" EXIT

    fetch "$bundle" "$scratch/bundle.tar.gz"
    found=$(sha256sum <"$scratch/bundle.tar.gz" | cut -d ' ' -f 1)
    [ -z "$sha256" ] || [ "${sha256,,}" = "$found" ] || fail "$bundle has SHA-256 $found, --sha256 says $sha256"
    say "bundle $bundle, SHA-256 $found"
    tar -xzf "$scratch/bundle.tar.gz" -C "$scratch" --no-same-owner || fail "$bundle is no readable .tar.gz"
    folder=$(printf '%s\n' "$scratch"/*/install.sh)
    [ -r "$folder" ] || fail "$bundle holds no install.sh: it is none of the autoscaler's bundles"
    if [ -n "$config" ]; then
        fetch "$config" "$scratch/autoscaler.yaml"
        say "settings $config are in $scratch/autoscaler.yaml"
        passed+=(--config "$scratch/autoscaler.yaml")
    fi
    bash "$folder" "${passed[@]}"
}

attempt() {
    local role
    role=$(node_role)
    if [ "$role" = worker ]; then
        say "a core or task node: nothing to do here"
        return 0
    fi
    [ "$role" = master ] || fail "neither instance.json nor extraInstanceData.json tells whether this is a master"
    local -a as_root=()
    [ "$(id -u)" = 0 ] || as_root=(sudo -n)
    # A hanging download or installation must not hold up the cluster either.
    "${as_root[@]}" timeout --kill-after=10 "$LIMIT_S" bash "${BASH_SOURCE[0]}" --as-root "$@"
    local status=$?
    [ $status -ne 124 ] && [ $status -ne 137 ] || say "given up after $LIMIT_S s"
    return $status
}

if [ "${1:-}" = --as-root ]; then
    shift
    install_bundle "$@"
    exit
fi
(attempt "$@")
status=$?
[ $status -eq 0 ] || say "the installation FAILED (status $status); the cluster is not touched by that"
case " $* " in
    *' --strict '*) exit $status ;;
esac
exit 0
