#!/bin/sh
# Every scenario at the size it names (or NODES), for each of SEEDS seeds: a line each, reports and plots in build/sim.
#
#   tools/sim.sh BUILD_DIR
#   SEEDS=5 NODES=300 SCENARIOS="churn steady" LIMIT=1200 tools/sim.sh BUILD_DIR
#
# A run may take LIMIT seconds (900).  With one seed the whole takes some fifteen minutes on a machine of two cores, half an
# hour when it is busy, and 6 GiB of memory for 'large'; never more than LIMIT times the number of runs.  A failure is named by scenario, seed and number of nodes, and happens again.
set -eu
cd "$(dirname "$0")/.."
program=$1/bin/qudag-sim
out=build/sim
limit=${LIMIT:-900}
failed=0
mkdir -p "$out"
for scenario in ${SCENARIOS:-$(cd sim/scenarios && ls | sed -n 's/\.scenario$//p')}; do
    seed=1
    while [ "$seed" -le "${SEEDS:-1}" ]; do
        name=$scenario-$seed
        host=
        ! grep -q '^circuit_every' "sim/scenarios/$scenario.scenario" || host='--host full' # only complete nodes build circuits
        status=0
        begin=$(date +%s)
        # shellcheck disable=SC2086
        timeout "$limit" "$program" --quiet --json $host --scenario "$scenario" --seed "$seed" ${NODES:+--nodes $NODES} \
            --plot "$out/$name.svg" >"$out/$name.json" || status=$?
        case $status in
        0) word=passed ;;
        1) word="below a minimum" ;;
        3) word="VIOLATED" ;;
        124) word="took longer than $limit s" ;;
        *) word="exit $status" ;;
        esac
        [ $status = 0 ] || failed=$((failed + 1))
        printf '%-16s seed %-3s %4d s  %s\n' "$scenario" "$seed" $(($(date +%s) - begin)) "$word"
        seed=$((seed + 1))
    done
done
echo "reports and plots: $out; $failed failed"
[ "$failed" = 0 ]
