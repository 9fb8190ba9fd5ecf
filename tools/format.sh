#!/bin/sh
# tools/format.sh check|fix [FILE...]     the C files as .clang-format says
set -eu
cd "$(dirname "$0")/.."
how=${1:-check}
[ $# -eq 0 ] || shift
if [ $# -eq 0 ]; then
    for d in src include bin sim tests bench examples tools; do
        [ -d "$d" ] && dirs="${dirs:-} $d"
    done
    # shellcheck disable=SC2086,SC2046
    set -- $(find $dirs -name '*.[ch]' | sort)
fi
[ $# -gt 0 ] || { echo "format: no C files"; exit 0; }
case $how in
fix) clang-format -i --style=file "$@" && echo "format: $# files" ;;
check)
    bad=$(for f in "$@"; do clang-format --style=file "$f" | cmp -s - "$f" || echo "$f"; done)
    if [ -n "$bad" ]; then
        printf 'format: not as .clang-format says (make format mends it):\n%s\n' "$bad"
        exit 1
    fi
    echo "format: $# files as they should be"
    ;;
*) echo "usage: tools/format.sh check|fix [FILE...]" >&2; exit 2 ;;
esac
