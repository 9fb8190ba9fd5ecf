#!/bin/sh
# Install into a folder of its own, then compile every examples/*.c against it with nothing but what pkg-config says.
set -eu
src=${QUDAG_SRC:-$(cd "$(dirname "$0")/.." && pwd)}
build=${QUDAG_BUILD:-$src/build/out}
root=$build/install-test
rm -rf "$root"
meson install -C "$build" --no-rebuild --destdir "$root" >"$build/install-test.log" 2>&1 || {
    tail -n 20 "$build/install-test.log"
    exit 1
}
pc=$(find "$root" -name qudag.pc)
[ -n "$pc" ] || { echo "examples: no qudag.pc installed"; exit 1; }
# Installed below a root of its own, the files are not where they were configured to be: say so in a copy of qudag.pc.
prefix=$(sed -n 's/^prefix=//p' "$pc")
mkdir -p "$root/pc"
sed "s|^prefix=.*|prefix=$root$prefix|" "$pc" >"$root/pc/qudag.pc"
flags() { PKG_CONFIG_PATH=$root/pc pkg-config --static "$@" qudag; }
n=0 bad=0
printf '#include <qudag/error.h>\nint main(void) { return qudag_strerror(QUDAG_OK) == 0; }\n' >"$root/least.c"
for f in "$root/least.c" "$src"/examples/*.c; do
    [ -e "$f" ] || continue
    # shellcheck disable=SC2046
    if cc -std=c17 -O2 -Wall -Wextra -Werror -o "$root/$(basename "$f" .c)" "$f" -D_GNU_SOURCE $(flags --cflags --libs) \
        2>"$root/err"; then
        n=$((n + 1))
    else
        cat "$root/err"
        echo "examples: $(basename "$f") does not compile against the installed library"
        bad=1
    fi
done
[ "$bad" = 1 ] || LD_LIBRARY_PATH=$(dirname "$(dirname "$pc")") "$root/least" || { echo "examples: the least program does not run"; bad=1; }
# The same from CMake, if there is one.
if [ "$bad" = 0 ] && command -v cmake >/dev/null; then
    mkdir -p "$root/cmake"
    printf '%s\n' 'cmake_minimum_required(VERSION 3.16)' 'project(least C)' 'find_package(qudag 0.1 REQUIRED)' \
        'add_executable(least ../least.c)' 'target_link_libraries(least qudag::qudag)' >"$root/cmake/CMakeLists.txt"
    cmake -S "$root/cmake" -B "$root/cmake/build" -Dqudag_DIR="$(dirname "$(dirname "$pc")")/cmake/qudag" >"$root/err" 2>&1 &&
        cmake --build "$root/cmake/build" >>"$root/err" 2>&1 && "$root/cmake/build/least" || {
        tail -n 20 "$root/err"
        echo "examples: find_package(qudag) of CMake does not work"
        bad=1
    }
fi
echo "examples: $n compiled against the installed library"
exit $bad
