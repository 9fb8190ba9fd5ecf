#!/bin/sh
# Configure what is not configured, configure again when files came or went, compile.
#
#   tools/build.sh [--configure-only] [--cc=COMPILER] DIR [meson options, used when DIR is made]
#   TARGETS="a b" tools/build.sh DIR        only these
#
# Several may call it at once on one DIR; they take turns.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
only=no
while :; do
    case ${1:-} in
    --configure-only) only=yes ;;
    --cc=*) CC=${1#*=} && export CC ;;
    *) break ;;
    esac
    shift
done
dir=$1
shift
cd "$top"
mkdir -p "$dir"
exec 9>"build/.lock.$(printf %s "$dir" | tr / _)" # not inside: meson may wipe that
flock 9
mark=$(tools/sources.py --mark)
libraries=$(cat build/deps/deps.ini build/deps/info | cksum)
log=$dir/.setup.log
if [ ! -e "$dir/build.ninja" ]; then
    echo "configure $dir"
    if [ -d "$dir/meson-private" ]; then # a first attempt that failed left half of it
        rm -rf "$dir/meson-private" "$dir/meson-info"
    fi
    # meson asks dpkg-dev for Debian's library folder; without it, it guesses one where nobody looks
    multi=$(gcc -print-multiarch 2>/dev/null || true)
    [ -z "$multi" ] || set -- -Dlibdir="lib/$multi" "$@"
    meson setup "$dir" --native-file build/deps/deps.ini "$@" >"$log" 2>&1 || { tail -n 25 "$log" >&2; exit 1; }
    printf '%s' "$mark" >"$dir/.mark"
    printf '%s' "$libraries" >"$dir/.libraries"
elif [ "$libraries" != "$(cat "$dir/.libraries" 2>/dev/null)" ]; then
    echo "configure $dir from the start: other libraries than before"
    meson setup --wipe "$dir" >"$log" 2>&1 || { tail -n 25 "$log" >&2; exit 1; }
    mkdir -p "$dir"
    printf '%s' "$mark" >"$dir/.mark"
    printf '%s' "$libraries" >"$dir/.libraries"
elif [ "$mark" != "$(cat "$dir/.mark" 2>/dev/null)" ]; then
    echo "configure $dir again: files came or went"
    meson setup --reconfigure "$dir" >"$log" 2>&1 || { tail -n 25 "$log" >&2; exit 1; }
    printf '%s' "$mark" >"$dir/.mark"
fi
[ $only = no ] || exit 0
# -k 0: one broken file does not keep the others from being built
# shellcheck disable=SC2086
ninja -C "$dir" -k 0 ${JOBS:+-j "$JOBS"} ${TARGETS:-}
