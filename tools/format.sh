#!/bin/sh
# tools/format.sh check|fix [FILE...]     the C files as .clang-format says
#
# The rules are those of clang-format 14 (Debian 12).  Later versions differ in small things, so with one of them the check
# tells what it sees and does not fail.
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
cf=$(command -v clang-format-14 || command -v clang-format) || { echo "format: no clang-format; tools/deps.sh --tools=check"; exit 1; }
version=$("$cf" --version | sed -n 's/.*version \([0-9]*\).*/\1/p')
case $how in
fix) "$cf" -i --style=file "$@" && echo "format: $# files" ;;
check)
    bad=$(for f in "$@"; do "$cf" --style=file "$f" | cmp -s - "$f" || echo "$f"; done)
    if [ -n "$bad" ] && [ "$version" != 14 ]; then
        echo "format: clang-format $version would change $(printf '%s\n' "$bad" | wc -l) files; only 14 counts"
        exit 0
    fi
    if [ -n "$bad" ]; then
        printf 'format: not as .clang-format says (make format mends it):\n%s\n' "$bad"
        exit 1
    fi
    echo "format: $# files as they should be"
    ;;
*) echo "usage: tools/format.sh check|fix [FILE...]" >&2; exit 2 ;;
esac
