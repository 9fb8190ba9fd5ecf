#!/bin/sh
# make demo: see tools/demo.py; with NAT=yes: tools/demo_nat.py
case ${NAT:-} in
yes | 1) exec /usr/bin/python3 "$(dirname "$0")/demo_nat.py" "$@" ;;
esac
exec /usr/bin/python3 "$(dirname "$0")/demo.py" "$@"
