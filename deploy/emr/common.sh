# shellcheck shell=bash disable=SC2034
# What install.sh, upgrade.sh and uninstall.sh share. AUTOSCALER_ROOT is the folder that counts as /, for tests.

readonly ROOT=${AUTOSCALER_ROOT:-}
readonly HOME_FOLDER=$ROOT/opt/autoscaler
readonly VERSIONS=$HOME_FOLDER/versions
readonly CURRENT=$HOME_FOLDER/current
# not /usr/local/bin, which sudo on Red Hat's descendants does not search
readonly COMMAND=$ROOT/usr/bin/autoscaler
readonly SETTINGS=$ROOT/etc/autoscaler/autoscaler.yaml
readonly STATE=$ROOT/var/lib/autoscaler
readonly LOGS=$ROOT/var/log/autoscaler
readonly UNIT=$ROOT/etc/systemd/system/autoscaler.service
readonly DROP_INS=$UNIT.d
readonly SYSUSERS=$ROOT/usr/lib/sysusers.d/autoscaler.conf
readonly LOGROTATE=$ROOT/etc/logrotate.d/autoscaler
readonly LOGPUSHER=$ROOT/etc/logpusher/autoscaler.config
readonly SERVICE=autoscaler.service
# What a bundle has beside what every installation needs: the drivers of database servers, and the sources of the
# binding to Kerberos.
readonly EXTRAS='postgresql mysql kerberos'
readonly LOCK_WAIT_S=300
readonly DNF_LIMIT_S=300

say() {
    printf '%s %s: %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "${PROGRAM:-autoscaler}" "$*"
}

fail() {
    say "FAILED: $*"
    exit 1
}

need_root() {
    [ "$(id -u)" = 0 ] || fail "root is needed; run it with sudo"
    command -v systemctl >/dev/null || fail "systemctl is not here: the autoscaler is a systemd service"
}

# One installation, upgrade or removal at a time; a second one waits for the first.
take_turn() {
    mkdir -p "$ROOT/run" && exec 9>"$ROOT/run/autoscaler-install.lock" ||
        fail "$ROOT/run/autoscaler-install.lock cannot be written"
    flock --wait "$LOCK_WAIT_S" 9 || fail "another installation has been at work for $LOCK_WAIT_S s; try again later"
}

on_emr() {
    [ -e "$ROOT/mnt/var/lib/info/instance.json" ] ||
        [ -e "$ROOT/emr/instance-controller/lib/info/extraInstanceData.json" ]
}

# --- a version: a virtual environment of its own, named after the bundle's content

verify_bundle() {
    [ -r "$BUNDLE/SHA256SUMS" ] || fail "$BUNDLE is no unpacked bundle: it has no SHA256SUMS"
    (cd "$BUNDLE" && sha256sum --check --quiet --strict SHA256SUMS) ||
        fail "the bundle in $BUNDLE is damaged: the files named above are not those of SHA256SUMS"
    local wanted here
    wanted=$(cat "$BUNDLE/ARCHITECTURE") here=$(uname -m)
    [ "$wanted" = "$here" ] || fail "this bundle is for $wanted, this host is $here; take the one for linux-$here"
}

version_folder() {
    printf '%s/%s-%s\n' "$VERSIONS" "$(cat "$BUNDLE/VERSION")" "$(sha256sum <"$BUNDLE/SHA256SUMS" | cut -c1-12)"
}

has_python() {
    python3.11 -c 'import ensurepip, venv' 2>/dev/null
}

# The wheels are for this version alone.
need_python() {
    has_python && return
    command -v dnf >/dev/null || fail "Python 3.11 with venv is missing, and there is no dnf to install it with"
    say "Python 3.11 is missing; dnf install -y python3.11"
    timeout --kill-after=10 "$DNF_LIMIT_S" dnf install -y -q python3.11 || true
    has_python || fail "Python 3.11 is missing and could not be installed; is a package repository reachable?" \
        "Install it with: dnf install python3.11"
}

# What Kerberos' binding is built with comes from the system; asked for before anything is changed.
need_build_tools() {
    local dnf='' apt='' headers='import pathlib, sysconfig, sys
sys.exit(not pathlib.Path(sysconfig.get_path("include"), "Python.h").exists())'
    gcc --version >/dev/null 2>&1 || dnf+=' gcc' apt+=' gcc libc6-dev'
    krb5-config --version >/dev/null 2>&1 || dnf+=' krb5-devel' apt+=' libkrb5-dev'
    python3.11 -c "$headers" 2>/dev/null || dnf+=' python3.11-devel' apt+=' python3.11-dev'
    [ -n "$dnf" ] || return 0
    if command -v apt-get >/dev/null && ! command -v dnf >/dev/null; then
        fail "the binding to Kerberos is built here, and this is missing:$apt. Nothing was changed." \
            "Install it with: apt-get install$apt"
    fi
    fail "the binding to Kerberos is built here, and this is missing:$dnf. Nothing was changed." \
        "Install it with: dnf install$dnf"
}

# Installs what a requirements file names; pip builds what is there as sources, in a folder of its own, with what the
# bundle has for that.
add_packages() {
    local version=$1 requirements=$2
    "$version/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --no-cache-dir --no-index \
        --find-links "$BUNDLE/wheels" --require-hashes --requirement "$BUNDLE/$requirements" ||
        fail "what the bundle's $requirements names could not be installed into $version; see above"
}

# The extras of a version, which the one that replaces it has too.
extras_of() {
    local extra
    for extra in $EXTRAS; do
        [ ! -e "$1/extra-$extra" ] || echo "$extra"
    done
}

# Refuses extras that cannot be added here.
check_extras() {
    local version=$1
    shift
    case " $* " in
        *' kerberos '*) [ -e "$version/extra-kerberos" ] || need_build_tools ;;
    esac
}

# Status 1 if a version has all of these extras already.
add_extras() {
    local version=$1 extra added=1
    shift
    for extra in "$@"; do
        [ ! -e "$version/extra-$extra" ] || continue
        [ "$extra" != kerberos ] || say "building the binding to Kerberos; that takes some minutes"
        add_packages "$version" "requirements-$extra.txt"
        touch "$version/extra-$extra" || fail "$version cannot be written"
        say "installed what $extra needs"
        added=0
    done
    return $added
}

# Leaves a version that is complete as it is; one that was begun and not finished is made anew.
build_version() {
    local version=$1
    if [ -e "$version/complete" ]; then
        say "$version is there already"
        return
    fi
    need_python
    rm -rf "$version"
    (make_version "$version") || {
        # it may be what fills the disk
        rm -rf "$version"
        exit 1
    }
    say "installed $version"
}

make_version() {
    local version=$1
    mkdir -p "$VERSIONS" || fail "$VERSIONS cannot be created"
    python3.11 -m venv "$version" || fail "no virtual environment could be made in $version"
    add_packages "$version" requirements.txt
    mkdir -p "$version/share/systemd" &&
        cp "$BUNDLE"/systemd/* "$version/share/systemd/" &&
        cp "$BUNDLE"/*.sh "$BUNDLE/EMR.md" "$version/share/" &&
        touch "$version/complete" || fail "$version cannot be written"
}

# Atomic: whoever starts the command finds the old version or the new one.
switch_to() {
    local version=$1
    mkdir -p "$(dirname "$COMMAND")" &&
        ln -sfn "$version" "$CURRENT.new" && mv -T "$CURRENT.new" "$CURRENT" &&
        ln -sfn "$CURRENT/bin/autoscaler" "$COMMAND" || fail "$CURRENT cannot be pointed at $version"
}

# --- the service

place() {
    install -D -m 644 "$1" "$2" || fail "$2 cannot be written"
}

place_service() {
    local from=$1/share/systemd
    place "$from/autoscaler.sysusers" "$SYSUSERS"
    systemd-sysusers "$SYSUSERS" || fail "the system user autoscaler could not be created"
    place "$from/autoscaler.service" "$UNIT"
    if on_emr; then
        mkdir -p "$LOGS" || fail "$LOGS cannot be created"
        # systemd would make it readable for root alone
        [ -e "$LOGS/autoscaler.log" ] || place /dev/null "$LOGS/autoscaler.log"
        place "$from/emr.conf" "$DROP_INS/emr.conf"
        place "$from/autoscaler.logrotate" "$LOGROTATE"
        place "$from/logpusher.config" "$LOGPUSHER"
    fi
    systemctl daemon-reload || fail "systemctl daemon-reload failed"
}

is_running() {
    systemctl is-active --quiet "$SERVICE"
}
