#!/bin/sh
# Every installed header compiles alone, as C99, C17 and C++11, without a warning.
set -eu
src=${QUDAG_SRC:-$(cd "$(dirname "$0")/.." && pwd)}
build=${QUDAG_BUILD:-$src/build/out}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
warn="-Wall -Wextra -Wpedantic -Werror -Wno-unused-macros"
bad=0 n=0
cxx=$(command -v g++ || command -v clang++ || true)
[ -n "$cxx" ] || echo "headers: no C++ compiler, C only"
for h in "$src"/include/qudag/*.h "$build"/include/qudag/version.h; do
    name=$(basename "$h")
    printf '#include <qudag/%s>\n#include <qudag/%s>\ntypedef int something;\n' "$name" "$name" >"$tmp/t.c"
    cp "$tmp/t.c" "$tmp/t.cc"
    for std in c99 c17; do
        # shellcheck disable=SC2086
        cc -std=$std $warn -I"$src/include" -I"$build/include" -fsyntax-only "$tmp/t.c" || { echo "headers: $name, $std"; bad=1; }
    done
    if [ -n "$cxx" ]; then
        # shellcheck disable=SC2086
        "$cxx" -std=c++11 $warn -I"$src/include" -I"$build/include" -fsyntax-only "$tmp/t.cc" || { echo "headers: $name, C++"; bad=1; }
    fi
    n=$((n + 1))
done
echo "headers: $n compiled alone"
exit $bad
