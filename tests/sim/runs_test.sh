#!/bin/bash
# TEST: timeout=600
# Every scenario, small: what it asks for is reached and nothing violated.  The same seed twice gives the same report,
# another seed another log; and a run that is cut short and traced says what happened.
set -euo pipefail
cd "$QUDAG_SRC"
sim=$QUDAG_BUILD/bin/qudag-sim
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

one() { # file to write, arguments
    local out=$1
    shift
    timeout 300 "$sim" --quiet --json "$@" >"$out" || { echo "exit $?: $*"; cat "$out"; exit 1; }
    sed -i '/^ "cost"/d' "$out" # what it took is no part of what came of it
}
for file in sim/scenarios/*.scenario; do
    name=$(basename "$file" .scenario)
    case $name in
    eclipse | sybil* | colluders) size='--nodes 2000 --until 40s' ;; # an attack of hundreds needs more than sixty
    partition_heal) size='--nodes 150' ;; # of sixty each side forgets the other whole
    full_stores) size='--nodes 300' ;; # 40 values a node: room for some 600
    million) size='--nodes 20000 --until 20s' ;;
    large) size='--nodes 500 --until 40s' ;;
    relay_loss) size='--host full --nodes 16 --until 120s' ;; # complete nodes: the only ones with circuits
    *) size='--nodes 60' ;;
    esac
    # shellcheck disable=SC2086
    one "$tmp/$name" --scenario "$name" $size --seed 1
    echo "$name: $(grep -o '"events": [0-9]*' "$tmp/$name")"
done

one "$tmp/again" --scenario mixed --nodes 60 --seed 1
cmp "$tmp/mixed" "$tmp/again"
one "$tmp/again" --scenario sybil --nodes 2000 --until 40s
cmp "$tmp/sybil" "$tmp/again"
one "$tmp/other" --scenario mixed --nodes 60 --seed 2
log() { grep -o '"log": "[0-9a-f]*"' "$1"; }
[ "$(log "$tmp/other")" != "$(log "$tmp/mixed")" ]

one "$tmp/short" --scenario steady --nodes 20 --until '5.5 min' --trace node=3 --plot "$tmp/plot.svg" 2>"$tmp/trace"
grep -q 'write .*FIND_NODE' "$tmp/trace"
grep -q 'request [0-9]* done' "$tmp/trace"
grep -q '</svg>' "$tmp/plot.svg"

wrong() { # arguments: refused with exit 2
    local status=0
    "$sim" "$@" >/dev/null 2>&1 || status=$?
    [ $status = 2 ] || { echo "exit $status, not 2: $*"; exit 1; }
}
printf '[run]\nuntil = 10\n' >"$tmp/bad.scenario"
wrong
wrong --scenario none-such
wrong --scenario "$tmp/bad.scenario"
wrong --scenario steady --nodes 1
wrong --scenario steady --seed x
wrong --scenario steady --until 10
wrong --scenario steady --trace 3
wrong --scenario steady surplus
wrong --scenario steady --host half
wrong --scenario misbehaving_peers --host full
wrong --scenario relay_loss --host bare
status=0
sed 's/^share = 50 %/share = 95 %/' sim/scenarios/mass_failure.scenario >"$tmp/hopeless.scenario"
timeout 300 "$sim" --quiet --scenario "$tmp/hopeless.scenario" --nodes 60 --until '9 min' >"$tmp/hopeless" || status=$?
[ $status = 1 ] || { echo "exit $status of a hopeless run, not 1"; cat "$tmp/hopeless"; exit 1; }
grep -q BELOW "$tmp/hopeless"
