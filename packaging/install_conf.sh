#!/bin/sh
# install_conf.sh EXAMPLE DIR     the example as DIR/qudag.conf, unless there is one: an operator's file is never replaced
set -eu
dir=${DESTDIR:-}$2
[ ! -e "$dir/qudag.conf" ] || exit 0
mkdir -p "$dir"
cp "$1" "$dir/qudag.conf"
chmod 644 "$dir/qudag.conf"
