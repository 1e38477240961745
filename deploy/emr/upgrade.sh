#!/bin/bash
# upgrade.sh
#
# Replaces the installed version by that of the unpacked bundle this script lies in. Settings and store stay. If the new
# version is not ready within 60 s, the old one comes back, with the store as it was.
#
# Exit status: 0 the new version is in place, 1 the old one is.
set -u
umask 022
PROGRAM=upgrade
BUNDLE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=deploy/emr/common.sh
. "$BUNDLE/common.sh"

readonly READY_WITHIN_S=60
readonly KEPT=$STATE/before-upgrade
readonly STORE_FILES='autoscaler.db autoscaler.db-wal autoscaler.db-shm'

# Status 0 once the service says that it is ready; ends early if systemd has given it up.
becomes_ready() {
    local second
    for ((second = 0; second < READY_WITHIN_S; second++)); do
        case $(systemctl is-active "$SERVICE") in
            active) return 0 ;;
            failed) return 1 ;;
        esac
        sleep 1
    done
    return 1
}

# A new version may change the store in ways the old one does not read. Nobody writes to it now.
keep_store() {
    rm -rf "$KEPT" && mkdir -p "$KEPT" || return
    local name
    for name in $STORE_FILES; do
        [ ! -e "$STATE/$name" ] || cp -p --reflink=auto "$STATE/$name" "$KEPT/" || return
    done
}

restore_store() {
    local name
    for name in $STORE_FILES; do
        rm -f "${STATE:?}/$name"
        [ ! -e "$KEPT/$name" ] || mv "$KEPT/$name" "$STATE/$name"
    done
    rm -rf "$KEPT"
}

go_back() {
    trap '' INT TERM HUP
    say "going back to $1"
    systemctl stop "$SERVICE"
    restore_store
    switch_to "$1"
    place_service "$1"
    systemctl reset-failed "$SERVICE"
    systemctl start --no-block "$SERVICE"
    becomes_ready || fail "the old version is back in place but not ready: journalctl -u $SERVICE"
    fail "the new version was not ready within $READY_WITHIN_S s; $1 runs again." \
        "Why: journalctl -u $SERVICE, on EMR $LOGS/autoscaler.log"
}

# Whatever is neither the new version nor the one before it.
remove_old_versions() {
    local version
    for version in "$VERSIONS"/*; do
        [ "$version" = "$1" ] || [ "$version" = "$2" ] || rm -rf "$version"
    done
}

main() {
    [ $# -eq 0 ] || {
        say "usage: upgrade.sh"
        exit 2
    }
    need_root
    take_turn
    local old version
    old=$(readlink "$CURRENT") || fail "nothing is installed that could be upgraded; run install.sh"
    verify_bundle
    version=$(version_folder)
    if [ "$old" = "$version" ]; then
        say "$version is installed already"
        return
    fi
    build_version "$version"
    if ! is_running; then
        place_service "$version"
        switch_to "$version"
        say "$version is in place; the service was not running and was not started"
        return
    fi
    systemctl stop "$SERVICE" || fail "$SERVICE could not be stopped; nothing was changed"
    if ! keep_store; then
        rm -rf "$KEPT"
        systemctl start --no-block "$SERVICE"
        fail "the store could not be copied to $KEPT, is the disk full? Nothing was changed, $old runs again"
    fi
    # shellcheck disable=SC2064 # the version of now
    trap "go_back '$old'" INT TERM HUP
    (place_service "$version" && switch_to "$version") || go_back "$old"
    systemctl start --no-block "$SERVICE"
    becomes_ready || go_back "$old"
    trap - INT TERM HUP
    rm -rf "$KEPT"
    remove_old_versions "$version" "$old"
    say "$version runs"
}

main "$@"
exit
