#!/bin/sh
# All checks that need no running: format, layers, style, lists of tests, and of what is built in DIR the exported names and the interface.
#
#   tools/check.sh [DIR]
set -eu
cd "$(dirname "$0")/.."
dir=${1:-build/out}
bad=
run() { # name, command
    name=$1
    shift
    "$@" && return 0
    [ $? != 77 ] || return 0
    bad="$bad $name"
}
run format tools/format.sh check
run layers tools/check_layers.py
run style tools/check_style.py
run mutants tools/mutants.py --check
run acceptance tools/check_acceptance.py
run cycles tools/check_cycles.py "$dir"
for lib in "$dir"/src/libqudag.a "$dir"/src/libqudag.so; do
    [ ! -e "$lib" ] || run symbols tools/check_symbols.sh "$lib"
done
run abi tools/check_abi.sh "$dir"
if [ -n "$bad" ]; then
    echo "check: failed:$bad"
    exit 1
fi
echo "check: all well"
