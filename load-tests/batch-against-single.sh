#!/usr/bin/env bash
# Compares reports in batches with reports one by one: the gateway's processor time a report, and its memory.
#
#   batch-against-single.sh TARGET_URL KEY OPS_URL PID [ROUNDS=3]
#
# URLs have no path, as in http://127.0.0.1:8080; PID is the gateway's. The carrier's and the reporters' limits must be
# raised, and `fast.seen_max` be at most 100000, so that what is remembered does not grow meanwhile. In each round single
# reports come from wrk for SECONDS_SINGLE (4), then BATCHES (10) batches of 10,000 lines from curl, AT_ONCE (4) at a time; in the
# end the medians, and how much the peak of memory has grown after the first round, in which all that is kept was made.
set -euo pipefail

if [ $# -lt 4 ] || [ $# -gt 5 ]; then
    echo "usage: $0 TARGET_URL KEY OPS_URL PID [ROUNDS=3]" >&2
    exit 2
fi
target=${1%/}/v1/reports
export SPAMGATE_KEY=$2
ops=${3%/}
pid=$4
rounds=${5:-3}
batches=${BATCHES:-10}
seconds=${SECONDS_SINGLE:-4}
at_once=${AT_ONCE:-4}
lines=10000

script=$(cd "$(dirname "$0")" && pwd)/wrk/reports.lua
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

metric() {
    curl -sS "$ops/metrics" | awk -v name="$1" '$1 == name { print $2 }'
}

# Waits until the builder has built everything: its time is part of what a report costs.
until_built() {
    local tries
    for tries in $(seq 600); do
        [ "$(metric spamgate_builder_lag_rows)" = 0 ] && [ "$(metric spamgate_queue_length)" = 0 ] && return
        sleep 0.1
    done
    fail "the builder does not come to the end ($tries looks)"
}

# Clock ticks of the whole process, and of its builder thread.
ticks() {
    sed 's/.*) //' "/proc/$pid/stat" | awk '{ print $12 + $13 }'
}
builder_ticks() {
    local task
    for task in /proc/"$pid"/task/*; do
        if [ "$(cat "$task/comm")" = builder ]; then sed 's/.*) //' "$task/stat"; fi
    done | awk '{ sum += $12 + $13 } END { print sum + 0 }'
}
peak_kib() {
    awk '/^VmHWM/ { print $2 }' "/proc/$pid/status"
}

# Runs "$@" and prints what a report cost in it: name first.
measure() {
    local name=$1 all building accepted
    shift
    until_built
    all=$(ticks) building=$(builder_ticks) accepted=$(metric spamgate_reports_accepted_total)
    "$@"
    until_built
    all=$(($(ticks) - all)) building=$(($(builder_ticks) - building))
    accepted=$(($(metric spamgate_reports_accepted_total) - accepted))
    [ "$accepted" -gt 0 ] || fail "nothing was accepted"
    awk -v name="$name" -v all="$all" -v building="$building" -v accepted="$accepted" -v hz="$(getconf CLK_TCK)" \
        -v peak="$(peak_kib)" 'BEGIN {
            taking = (all - building) / hz * 1e6 / accepted
            printf "%-7s %8d reports: %.1f us a report taken, %.1f with the builder; peak %d MiB\n",
                name, accepted, taking, all / hz * 1e6 / accepted, peak / 1024
            printf "%s %.3f %.3f\n", name, taking, all / hz * 1e6 / accepted >>"'"$work"'/results"
        }'
}

single() {
    SPAMGATE_COUNT_STATUS=0 wrk -t1 -c256 -d"${seconds}s" -s "$script" "$target" >"$work/wrk"
    grep -q 'refused=0 broken=0' "$work/wrk" || fail "wrk: $(cat "$work/wrk")"
}

# Each line a report and a reporter that no other is like, of a thousand senders with a text each, as wrk's are.
make_batches() {
    local round=$1 run batch now
    run=$(date +%s)
    now=$(date -u +%Y-%m-%dT%H:%M:%SZ)
    for batch in $(seq "$batches"); do
        awk -v run="$run" -v round="$round" -v batch="$batch" -v batches="$batches" -v lines="$lines" -v now="$now" 'BEGIN {
            for (n = 1; n <= lines; n++) {
                place = ((round - 1) * batches + batch - 1) * lines + n
                printf "{\"report_id\":\"%s-%d\",\"reporter\":\"+8498%07d\",\"sender\":\"+8491%07d\"," \
                    "\"channel\":\"sms\",\"category\":\"spam\",\"occurred_at\":\"%s\",\"content\":\"%d " \
                    "Cong ty chung toi cho vay nhanh lai suat thap, khong can the chap, giai ngan trong ngay. Lien he ngay " \
                    "hotline de duoc tu van mien phi va nhan uu dai trong thang nay\"}\n",
                    run, place, place % 10000000, place % 1000, now, place % 1000
            }
        }' >"$work/batch-$batch"
    done
}

send_batch() {
    curl -sS -X POST "$target/batch" -H "Authorization: Bearer $SPAMGATE_KEY" -H 'Content-Type: application/x-ndjson' \
        -H 'Expect:' --data-binary @"$work/batch-$1" -o "$work/answer-$1"
}

batch() {
    local number
    for number in $(seq "$batches"); do
        send_batch "$number" &
        [ $((number % at_once)) -ne 0 ] || wait
    done
    wait
    for number in $(seq "$batches"); do
        [ "$(grep -c '"status":201' "$work/answer-$number")" = "$lines" ] ||
            fail "batch $number: $(grep -v '"status":201' "$work/answer-$number" | head -1)"
    done
}

median() {
    sort -n | awk '{ value[NR] = $1 } END { print value[int((NR + 1) / 2)] }'
}
column() {
    awk -v name="$1" -v column="$2" '$1 == name { print $column }' "$work/results"
}

for round in $(seq "$rounds"); do
    make_batches "$round"
    measure single single
    measure batch batch
    [ "$round" -ne 1 ] || first=$(peak_kib)
done
awk -v single="$(column single 2 | median)" -v batch="$(column batch 2 | median)" \
    -v single_all="$(column single 3 | median)" -v batch_all="$(column batch 3 | median)" \
    -v grown="$((($(peak_kib) - first) / 1024))" 'BEGIN {
        printf "single / batch, medians: %.1f / %.1f us = %.2f taken, %.1f / %.1f us = %.2f with the builder; peak %+d MiB since the first round\n",
            single, batch, single / batch, single_all, batch_all, single_all / batch_all, grown
    }'
