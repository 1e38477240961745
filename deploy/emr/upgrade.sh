#!/bin/bash
# upgrade.sh
#
# Replaces the installed version by that of the unpacked bundle this script lies in. Settings and store stay. If the new
# version is not ready within 60 s, the old one comes back, with the store as it was. A store on a database server is not
# copied.
#
# Exit status: 0 the new version is in place, 1 the old one is.
set -u
umask 022
PROGRAM=upgrade
BUNDLE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=deploy/emr/common.sh
. "$BUNDLE/common.sh"

readonly READY_WITHIN_S=60
# Prints the store's file, nothing if it is in none, and refuses settings the new version cannot use.
readonly FIND_STORE='
import sys
from pathlib import Path
from autoscaler.settings import SettingsError, load_settings
from autoscaler.store import StoreError, file_of
try:
    settings = Path(sys.argv[1])
    print(file_of(load_settings(settings if settings.exists() else None).store.url) or "")
except (SettingsError, StoreError) as error:
    sys.exit(str(error))
'

store=''
kept=''
verdict="was not ready within $READY_WITHIN_S s"

# Status 0 once the service says that it is ready; ends early if systemd has given it up.
becomes_ready() {
    local second
    for ((second = 0; second < READY_WITHIN_S; second++)); do
        case $(systemctl is-active "$SERVICE") in
            active) return 0 ;;
            failed)
                verdict='ended with an error'
                return 1
                ;;
        esac
        sleep 1
    done
    return 1
}

find_store() {
    local path
    path=$("$1/bin/python" -c "$FIND_STORE" "$SETTINGS") ||
        fail "the new version cannot use the settings in $SETTINGS; see above. Nothing was changed"
    if [ -z "$path" ]; then
        say "the store is in no file and is not copied: if the new version changes its tables, only a backup of the" \
            "database leads back"
        return
    fi
    store=$ROOT$path
    kept=$(dirname "$store")/before-upgrade
}

# A new version may change the store in ways the old one does not read, and SQLite keeps what is newest in a log beside
# the file. Nobody writes to either now.
keep_store() {
    [ -n "$store" ] || return 0
    rm -rf "$kept" && mkdir -p "$kept" || return
    local end
    for end in '' -wal -shm; do
        [ ! -e "$store$end" ] || cp -p --reflink=auto "$store$end" "$kept/store$end" || return
    done
}

restore_store() {
    [ -n "$store" ] || return 0
    local end
    for end in '' -wal -shm; do
        rm -f "$store$end"
        [ ! -e "$kept/store$end" ] || mv "$kept/store$end" "$store$end"
    done
    forget_copy
}

forget_copy() {
    [ -z "$kept" ] || rm -rf "$kept"
}

# While the old version is stopped and in place.
call_off() {
    trap '' INT TERM HUP
    forget_copy
    systemctl start --no-block "$SERVICE"
    fail "$1 Nothing was changed, the old version runs again"
}

go_back() {
    trap '' INT TERM HUP
    [ -z "${2:-}" ] || verdict=$2
    say "the new version $verdict; going back to $1"
    systemctl stop "$SERVICE"
    restore_store
    switch_to "$1"
    place_service "$1"
    systemctl reset-failed "$SERVICE"
    systemctl start --no-block "$SERVICE"
    local found=$verdict
    becomes_ready || fail "the new version $found; the old one is back in place but not ready: journalctl -u $SERVICE"
    fail "the new version $found; $1 runs again." \
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
    local -a extras
    old=$(readlink "$CURRENT") || fail "nothing is installed that could be upgraded; run install.sh"
    verify_bundle
    version=$(version_folder)
    if [ "$old" = "$version" ]; then
        say "$version is installed already"
        return
    fi
    mapfile -t extras < <(extras_of "$old")
    check_extras "$version" "${extras[@]}"
    build_version "$version"
    add_extras "$version" "${extras[@]}" || true
    find_store "$version"
    if ! is_running; then
        place_service "$version"
        switch_to "$version"
        say "$version is in place; the service was not running and was not started"
        return
    fi
    trap 'call_off "interrupted."' INT TERM HUP
    systemctl stop "$SERVICE" || fail "$SERVICE could not be stopped; nothing was changed"
    keep_store || call_off "the store could not be copied to $kept, is the disk full?"
    # shellcheck disable=SC2064 # the version of now
    trap "go_back ${old@Q} 'was not waited for, as this was interrupted'" INT TERM HUP
    (place_service "$version" && switch_to "$version") || go_back "$old" 'could not be put in place'
    systemctl start --no-block "$SERVICE"
    becomes_ready || go_back "$old"
    trap - INT TERM HUP
    forget_copy
    remove_old_versions "$version" "$old"
    say "$version runs"
}

main "$@"
exit
