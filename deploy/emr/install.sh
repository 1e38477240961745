#!/bin/bash
# install.sh [--config FILE] [--act] [--postgresql] [--mysql] [--kerberos]
#
# Installs the autoscaler from the unpacked bundle this script lies in, as a systemd service, on an EMR master or any
# other host that reaches YARN. Run it as often as you like.
#
#   --config FILE  settings instead of those that are there
#   --act          rescale jobs; without it a first installation only advises, and a later one leaves the mode alone
#   --postgresql   the driver for a store on PostgreSQL; later versions have it too
#   --mysql        the driver for a store on MySQL or MariaDB; likewise
#   --kerberos     the binding to Kerberos; likewise. It is built here: needs gcc, krb5-devel and python3.11-devel
#
# Exit status: 0 installed, 1 not installed, 2 wrong usage. The service is started without waiting for it.
set -u
umask 022
PROGRAM=install
BUNDLE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=deploy/emr/common.sh
. "$BUNDLE/common.sh"

config=''
act=no
extras=()

usage() {
    say "usage: install.sh [--config FILE] [--act] [--postgresql] [--mysql] [--kerberos]"
    exit 2
}

parse() {
    while [ $# -gt 0 ]; do
        case $1 in
            --config)
                [ $# -ge 2 ] || usage
                config=$2
                shift
                ;;
            --act) act=yes ;;
            --postgresql | --mysql | --kerberos) extras+=("${1#--}") ;;
            *) usage ;;
        esac
        shift
    done
    [ -z "$config" ] || [ -r "$config" ] || fail "--config $config cannot be read"
}

# Prints the mode that settings ask for. With a mode and a file after them it is checked that they can be used, and they
# are written there with that mode.
readonly SETTINGS_TOOL='
import sys
from pathlib import Path
from autoscaler.settings import SettingsError, load_settings, with_mode, written_mode
source = Path(sys.argv[1])
try:
    if len(sys.argv) == 2:
        print(written_mode(source))
    else:
        load_settings(source)
        Path(sys.argv[3]).write_text(with_mode(source, sys.argv[2]), encoding="utf-8")
except SettingsError as error:
    sys.exit(str(error))
'

# Writes the settings to come into a file; what cannot be used is refused before anything of the service changes.
prepare_settings() {
    local version=$1 file=$2 mode=advise source=$BUNDLE/autoscaler.yaml asked
    local why='as a first installation is without --act'
    if [ -e "$SETTINGS" ]; then
        source=$SETTINGS
        mode=$(settings_tool "$version" "$SETTINGS") || refuse "$SETTINGS"
        why="as in $SETTINGS before"
    fi
    [ $act = no ] || mode=act why='by --act'
    [ -z "$config" ] || source=$config
    asked=$(settings_tool "$version" "$source") || refuse "$source"
    if [ "$asked" = "$mode" ]; then
        cp "$source" "$file" || fail "$source cannot be read"
    else
        settings_tool "$version" "$source" "$mode" "$file" || refuse "$source"
    fi
    "$version/bin/autoscaler" check-config --config "$file" >/dev/null
    [ $? -ne 2 ] || refuse "$source"
    say "mode: $mode, $why"
}

settings_tool() {
    local version=$1
    shift
    "$version/bin/python" -c "$SETTINGS_TOOL" "$@"
}

refuse() {
    fail "the settings in $1 cannot be used; see above. The service was not touched"
}

# Status 0 if the settings changed.
place_settings() {
    local file=$1
    if cmp -s "$file" "$SETTINGS"; then
        return 1
    fi
    if [ -e "$SETTINGS" ]; then
        cp -p "$SETTINGS" "$SETTINGS.before" || fail "$SETTINGS.before cannot be written"
        say "the former settings are kept as $SETTINGS.before"
    fi
    install -D -m 640 "$file" "$SETTINGS" && chown root:autoscaler "$SETTINGS" || fail "$SETTINGS cannot be written"
    say "wrote $SETTINGS"
}

main() {
    parse "$@"
    need_root
    take_turn
    verify_bundle
    local version scratch changed=no running=no
    local -a kept
    version=$(version_folder)
    scratch=$(mktemp -d) || fail "no temporary folder could be made"
    # shellcheck disable=SC2064 # the folder of now
    trap "rm -rf ${scratch@Q}" EXIT
    mapfile -t kept < <(extras_of "$(readlink "$CURRENT")")
    extras+=("${kept[@]}")
    check_extras "$version" "${extras[@]}"
    build_version "$version"
    ! add_extras "$version" "${extras[@]}" || changed=yes
    prepare_settings "$version" "$scratch/autoscaler.yaml"

    [ "$(readlink "$CURRENT")" = "$version" ] || changed=yes
    ! is_running || running=yes
    place_service "$version"
    ! place_settings "$scratch/autoscaler.yaml" || changed=yes
    switch_to "$version"
    systemctl enable --now --no-block "$SERVICE" || fail "$SERVICE could not be started; see: systemctl status $SERVICE"
    if [ $running = no ]; then
        say "started $SERVICE; it waits by itself until YARN answers: systemctl status $SERVICE"
    elif [ $changed = yes ]; then
        systemctl restart --no-block "$SERVICE" || fail "$SERVICE could not be restarted"
        say "restarted $SERVICE with what is new"
    else
        say "all was there already and runs"
    fi
}

main "$@"
exit
