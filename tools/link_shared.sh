#!/bin/sh
# Make the shared library from the object inside the prelinked archive, where the protocol libraries are private static ones.
#
#   tools/link_shared.sh OUT.so SONAME LIBQUDAG.a SHIM.c OBJCOPY AR CC...
#
# The archives inside are not position-independent in three references to variables of libc; SHIM.c has these.  -z text
# makes the link fail, rather than the program slow and less safe, should there ever be a fourth.
set -eu
out=$1 soname=$2 archive=$3 shim=$4 objcopy=$5 ar=$6
shift 6
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
archive=$(realpath "$archive")
(cd "$tmp" && "$ar" x "$archive")
set -- "$@" -O2 -fPIC
"$@" -c "$shim" -o "$tmp/shim.o"
rename=
for v in stderr environ in6addr_any; do
    rename="$rename --redefine-sym $v=libc_data_$v"
done
# shellcheck disable=SC2086
"$objcopy" $rename "$tmp"/libqudag*.o "$tmp/all.o"
"$@" -shared -o "$out" "$tmp/all.o" "$tmp/shim.o" -pthread -lm -Wl,-soname,"$soname" -Wl,-z,text -Wl,-z,defs -Wl,-z,relro \
    -Wl,-z,now -Wl,-z,noexecstack -Wl,-Bsymbolic
