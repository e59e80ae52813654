#!/usr/bin/env bash
# Compares a gateway with the floor: rounds of each in turn, then medians and their ratio.
#
#   compare.sh TARGET_URL KEY FLOOR_URL [ROUNDS] [SECONDS]
#
# Both servers must be running. URLs have no path, as in http://127.0.0.1:8080.
# Variables: THREADS (1) and CONNECTIONS (256) of wrk, PAUSE_SECONDS (1) between rounds.
set -euo pipefail

if [ $# -lt 3 ] || [ $# -gt 5 ]; then
    echo "usage: $0 TARGET_URL KEY FLOOR_URL [ROUNDS=5] [SECONDS=10]" >&2
    exit 2
fi
target=${1%/}/v1/reports
export SPAMGATE_KEY=$2
floor=${3%/}/v1/reports
rounds=${4:-5}
round_seconds=${5:-10}
threads=${THREADS:-1}
connections=${CONNECTIONS:-256}
pause_seconds=${PAUSE_SECONDS:-1}
diagnosis_seconds=1

script=$(cd "$(dirname "$0")" && pwd)/wrk/reports.lua
results=$(mktemp)
trap 'rm -f "$results"' EXIT

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# One run of wrk: seconds, url.
run_wrk() {
    wrk -t"$threads" -c"$connections" -d"$1s" -s "$script" "$2"
}

# The value of a name on the RESULT line of a run.
value() {
    sed -n "s/^RESULT .*\\b$1=\\([0-9.]*\\).*/\\1/p"
}

# One measured round: name, url, number. Answers are not counted by status here, which would slow wrk down; when some
# were refused, a short run shows which.
measure() {
    local name=$1 url=$2 round=$3 output speed p99_ms refused broken
    output=$(SPAMGATE_COUNT_STATUS=0 run_wrk "$round_seconds" "$url" 2>&1) || fail "wrk on $name: $output"
    speed=$(value requests_per_s <<<"$output")
    p99_ms=$(value p99_ms <<<"$output")
    refused=$(value refused <<<"$output")
    broken=$(value broken <<<"$output")
    [ -n "$speed" ] || fail "no result of wrk on $name: $output"
    printf '%5s  %-8s %12s %10s\n' "$round" "$name" "$speed" "$p99_ms"
    if [ "$refused" != 0 ]; then
        run_wrk "$diagnosis_seconds" "$url" | grep -E '^(status|REFUSED)' >&2 || true
        fail "$name refused $refused reports in round $round"
    fi
    [ "$broken" = 0 ] || fail "$broken requests to $name broke in round $round: $output"
    [ "$speed" != 0 ] || fail "$name answered nothing in round $round"
    echo "$name $speed $p99_ms" >>"$results"
}

# The median of a column of the results: name, column.
median() {
    awk -v name="$1" -v column="$2" '$1 == name { print $column }' "$results" | sort -n | awk '
        { values[NR] = $1 }
        END { print NR % 2 ? values[(NR + 1) / 2] : (values[NR / 2] + values[NR / 2 + 1]) / 2 }'
}

echo "wrk -t$threads -c$connections, $rounds rounds of $round_seconds s each, in turn"
printf '%5s  %-8s %12s %10s\n' round server requests/s "p99 ms"
for round in $(seq 1 "$rounds"); do
    measure floor "$floor" "$round"
    sleep "$pause_seconds"
    measure gateway "$target" "$round"
    sleep "$pause_seconds"
done

floor_speed=$(median floor 2)
gateway_speed=$(median gateway 2)
echo "median floor:   $floor_speed requests/s, p99 $(median floor 3) ms"
echo "median gateway: $gateway_speed requests/s, p99 $(median gateway 3) ms"
awk -v gateway="$gateway_speed" -v floor="$floor_speed" 'BEGIN { printf "gateway / floor: %.3f\n", gateway / floor }'
