#!/bin/sh
# Fail if a library shows a name that does not begin with qudag_.
#
#   tools/check_symbols.sh LIBRARY...        default: $QUDAG_BUILD/src/libqudag.{a,so}
set -eu
[ $# -gt 0 ] || set -- "${QUDAG_BUILD:-build/out}"/src/libqudag.a "${QUDAG_BUILD:-build/out}"/src/libqudag.so
bad=0 seen=0
for lib in "$@"; do
    [ -e "$lib" ] || continue
    seen=$((seen + 1))
    case $lib in
    *.so*) how=-D ;;
    *) how= ;;
    esac
    # shellcheck disable=SC2086
    names=$(nm $how -g --defined-only "$lib" | awk 'NF == 3 { print $3 }')
    alien=$(printf '%s\n' "$names" | grep -v '^qudag_' | grep -v '^$' || true)
    if [ -n "$alien" ]; then
        printf '%s shows:\n%s\n' "$lib" "$alien" | head -n 40
        bad=1
    fi
    n=$(printf '%s\n' "$names" | grep -c '^qudag_' || true)
    [ "$n" -gt 0 ] || bad=1
    printf 'symbols: %s shows %s names\n' "$(basename "$lib")" "$n"
done
[ $seen -gt 0 ] || { echo "symbols: no library built yet"; exit 77; }
exit $bad
