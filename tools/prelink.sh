#!/bin/sh
# Make the installable static library: one object in which every name but qudag_* is local.
#
#   tools/prelink.sh OUT.a LD OBJCOPY AR ours.a... -- [linker words for archives to include]
#
# Our short internal names cannot clash with a program's, and neither can those of the archives put inside (OpenSSL, ngtcp2,
# ... where they were unpacked privately), so a program may use another OpenSSL beside this library.
set -eu
out=$1 ld=$2 objcopy=$3 ar=$4
shift 4
ours=
while [ $# -gt 0 ] && [ "$1" != -- ]; do
    ours="$ours $1"
    shift
done
[ $# -eq 0 ] || shift
# shellcheck disable=SC2086
"$ld" -r -d -Bstatic -o "$out.all.o" --whole-archive $ours --no-whole-archive --start-group "$@" --end-group
"$objcopy" --localize-hidden "$out.all.o" "$out.vis.o"
"$objcopy" --wildcard --keep-global-symbol='qudag_*' "$out.vis.o" "$out.o"
rm -f "$out"
"$ar" rcsD "$out" "$out.o"
rm -f "$out.all.o" "$out.vis.o" "$out.o"
