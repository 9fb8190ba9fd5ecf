#!/bin/sh
# Run every fuzz target of build/fuzz for some seconds, from the seeds and from what earlier runs found.
#
#   tools/fuzz.sh SECONDS [TARGET...]
#
# New inputs go to build/fuzz-corpus/TARGET, failing ones to build/fuzz-found/TARGET-*.  Those worth keeping are moved to
# tests/corpus/TARGET by hand and are replayed by `make test` from then on.
set -eu
cd "$(dirname "$0")/.."
seconds=${1:-60}
[ $# -eq 0 ] || shift
jobs=$(nproc)
if [ $# -eq 0 ]; then
    # shellcheck disable=SC2046
    set -- $(find build/fuzz/tests build/fuzz/bin -maxdepth 1 -name '*_fuzz' -type f -perm -u+x -printf '%f\n' 2>/dev/null | sed 's/_fuzz$//' | sort)
fi
[ $# -gt 0 ] || { echo "fuzz: no targets"; exit 0; }
mkdir -p build/fuzz-found build/fuzz-log
one() {
    t=$1
    bin=build/fuzz/tests
    [ -e "$bin/${t}_fuzz" ] || bin=build/fuzz/bin # programs
    mkdir -p "build/fuzz-corpus/$t"
    seeds=
    [ ! -d "tests/corpus/$t" ] || seeds=tests/corpus/$t
    dict=
    [ ! -e "tests/corpus/$t.dict" ] || dict=-dict=tests/corpus/$t.dict
    # shellcheck disable=SC2086
    if "$bin/${t}_fuzz" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 $dict \
        -artifact_prefix="build/fuzz-found/$t-" "build/fuzz-corpus/$t" $seeds >"build/fuzz-log/$t" 2>&1; then
        echo "fuzz: $t: $(sed -n 's/^stat::number_of_executed_units: *//p' "build/fuzz-log/$t") inputs"
    else
        touch "build/fuzz-log/$t.failed"
        echo "fuzz: $t FAILED"
        grep -E 'ERROR|SUMMARY|runtime error|Test unit written|ASSERT' "build/fuzz-log/$t" | head -n 10
    fi
}
rm -f build/fuzz-log/*.failed
busy=0
for t in "$@"; do
    one "$t" &
    busy=$((busy + 1))
    if [ $busy -ge "$jobs" ]; then
        wait
        busy=0
    fi
done
wait
failed=$(find build/fuzz-log -name '*.failed' | wc -l)
echo "fuzz: $# targets, $seconds s each, $failed failed"
[ "$failed" = 0 ]
