#!/bin/sh
# Compare the public interface with tests/abi/qudag.abi: what a compiled program relies on must not change unnoticed.
#
#   tools/check_abi.sh [DIR]             fail and say what changed (77: nothing built, no gcc, or no abidiff)
#   tools/check_abi.sh --accept [DIR]    take what is there as the new interface; commit the file and say why
#
# Looked at is an object made of the public headers alone: one pointer for each function that libqudag.a of DIR shows.  So
# the dump holds what a program sees, and not what happens to be inside, with any compiler that built the library.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
accept=
[ "${1:-}" != --accept ] || { accept=1 && shift; }
dir=${1:-${QUDAG_BUILD:-$top/build/out}}
file=$top/tests/abi/qudag.abi
[ -e "$dir/src/libqudag.a" ] || { echo "abi: no library built, not compared"; exit 77; }
for t in gcc abidw abidiff; do
    command -v $t >/dev/null || { echo "abi: no $t (tools/deps.sh --tools=check), not compared"; exit 77; }
done
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
{
    echo '#include <qudag/qudag.h>'
    nm -g --defined-only "$dir/src/libqudag.a" | awk 'NF == 3 && $3 ~ /^qudag_/ { print $3 }' | LC_ALL=C sort |
        sed 's/.*/extern __typeof__(\&&) const abi_&; __typeof__(\&&) const abi_& = \&&;/'
} >"$tmp/abi.c"
(cd "$tmp" && gcc -std=c17 -g -O0 -fPIC -shared -I"$top/include" -I"$(cd "$OLDPWD" && cd "$dir" && pwd)/include" -o libabi.so abi.c \
    -Wl,--unresolved-symbols=ignore-all)
dump() {
    abidw --no-corpus-path --no-comp-dir-path --no-show-locs --no-elf-needed --out-file "$1" "$tmp/libabi.so"
}
if [ -n "$accept" ]; then
    mkdir -p "$(dirname "$file")"
    dump "$file"
    echo "abi: $(grep -c '<elf-symbol' "$file") functions, $(wc -l <"$file") lines written to tests/abi/qudag.abi"
    exit 0
fi
[ -e "$file" ] || { echo "abi: tests/abi/qudag.abi is missing; tools/check_abi.sh --accept makes it"; exit 1; }
dump "$tmp/now.abi"
if abidiff --no-show-locs "$file" "$tmp/now.abi"; then
    echo "abi: $(grep -c '<elf-symbol' "$file") functions as committed"
else
    echo "abi: the interface changed; if it was meant to, run tools/check_abi.sh --accept and commit tests/abi/qudag.abi"
    exit 1
fi
