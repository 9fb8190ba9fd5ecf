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
# The files lie below a root that is not the one they were configured for: --define-prefix says so.
flags() { PKG_CONFIG_PATH=$(dirname "$pc"):${PKG_CONFIG_PATH:-} pkg-config --define-prefix --static "$@" qudag; }
prefix=$(dirname "$(find "$root" -type d -path '*/include/qudag')")/..
libdir=$(dirname "$(find "$root" -name libqudag.a)")
n=0 bad=0
printf '#include <qudag/error.h>\nint main(void) { return qudag_strerror(QUDAG_OK) == 0; }\n' >"$root/least.c"
for f in "$root/least.c" "$src"/examples/*.c; do
    [ -e "$f" ] || continue
    # shellcheck disable=SC2046
    if cc -std=c17 -Wall -Wextra -o "$root/$(basename "$f" .c)" "$f" -D_GNU_SOURCE -I"$prefix/include" -L"$libdir" $(flags --cflags --libs) \
        2>"$root/err"; then
        n=$((n + 1))
    else
        cat "$root/err"
        echo "examples: $(basename "$f") does not compile against the installed library"
        bad=1
    fi
done
[ "$bad" = 1 ] || "$root/least" || { echo "examples: the least program does not run"; bad=1; }
echo "examples: $n compiled against the installed library"
exit $bad
