#!/bin/sh
# What policies are worth on this machine, and how well simulation predicts it. Measures a profile, trains a policy on it,
# runs every policy, closed and open loop, then sets each run's trace against simulations of that run.
#
#   experiments/fidelity.sh FOLDER
#
# Processors are two cores as two processors; PROCESSORS and WORKLOAD say others. Every policy runs SECONDS_EACH (30)
# closed and as long open, in SLICES (of 4 s) that take turns with those of the other policies: a machine that others use
# changes its speed within seconds, and only slices as short as that let it hit all policies alike. The profile that
# policies run by and are trained on comes first; up to five more between the turns tell how fast it was meanwhile,
# and predictions are made on the mean of all. About 40 minutes with the default of some 20 policies: PROFILE_S (60),
# training (60), policies * 2 * SECONDS_EACH, a second to begin each slice, and a fifth of PROFILE_S, but never less than
# some 30 s, for each profile in between; QUICK=1 takes 5 policies and 2 slices of 1 s, about a minute. Let nothing else
# run meanwhile.
#
# Tables go to FOLDER/measured.txt and FOLDER/fidelity.txt, numbers to FOLDER/fidelity.json, and FOLDER keeps the profile,
# the policy, every run's JSON and its trace.
set -eu
folder=$1
cosrel=${COSREL:-build/cosrel}
workload=${WORKLOAD:-experiments/workloads/machine/mix.json}
processors=${PROCESSORS:-cpu0=xnnpack:cores=0 cpu1=xnnpack:cores=1}
load=${LOAD:-0.8}
if [ -n "${QUICK:-}" ]; then
  each=${SECONDS_EACH:-2} slices=${SLICES:-2} profile_s=${PROFILE_S:-5} decisions=${DECISIONS:-20000}
  policies=${POLICIES:-all-cpu0 fcfs eft lp-price}
else
  each=${SECONDS_EACH:-30} profile_s=${PROFILE_S:-60} decisions=${DECISIONS:-300000}
  slices=${SLICES:-$(awk "BEGIN { n = int($each / 4); print (n > 1) ? n : 1 }")}
  shipped=
  if [ -f agent/cosrel.safetensors ]; then shipped=cosrel; fi
  policies=${POLICIES:-$shipped all-cpu0 all-cpu1 best-static static-order round-robin fcfs random sel eft heft least-slack
    edf dream dmda pf srpt lp-price lp-price-yield rollout anneal}
fi
slice_s=$(awk "BEGIN { print $each / $slices }")
mkdir -p "$folder"
rm -f "$folder"/run-*.json "$folder"/trace-*.json "$folder"/profile-*.json

say() { printf '\n== %s\n' "$*"; }

# measure FILE SECONDS
measure() {
  # shellcheck disable=SC2086
  "$cosrel" profile --workload "$workload" -o "$1" --time "$2" --rounds 10000 --processor $processors \
    2> "$folder/profile.log"
}

say "profile: $processors"
measure "$folder/profile.json" "$profile_s"

say "training on it: $decisions decisions"
"$cosrel" train --profile "$folder/profile.json" --workload "$workload" --decisions "$decisions" --mixes 0 --quiet \
  -o "$folder/trained.safetensors" 2> "$folder/train.log"
policies="$folder/trained.safetensors $policies"

# run LOOP SLICE POLICY OPTIONS...: the result in run-*.json, the trace in trace-*.json.
run() {
  loop=$1 seed=$2 policy=$3
  name=$loop-$(basename "$policy" .safetensors)-$seed
  shift 3
  "$cosrel" run --profile "$folder/profile.json" --workload "$workload" --policy "$policy" --duration "$slice_s" \
    --seed "$seed" --timing --json --trace "$folder/trace-$name.json" "$@" > "$folder/run-$name.json" 2> "$folder/run.log" ||
    { cat "$folder/run.log" >&2; exit 1; }
  if [ -t 2 ]; then printf '\r%-70s' "slice $seed: $policy, $loop loop" >&2; fi
}

say "runs: $(echo "$policies" | wc -w) policies, $slices slices of $slice_s s, closed loop and open loop at load $load"
start=$(date +%s)
for slice in $(seq "$slices"); do
  if [ $(((slice - 1) % ((slices + 4) / 5))) -eq 0 ]; then
    measure "$folder/profile-$slice.json" "$(awk "BEGIN { print $profile_s / 5 }")" > /dev/null
  fi
  turn=$policies # forwards and backwards in turns, since what runs first may find the machine otherwise
  if [ $((slice % 2)) -eq 0 ]; then turn=$(echo "$policies" | awk '{ for (i = NF; i > 0; i--) print $i }'); fi
  for policy in $turn; do
    run closed "$slice" "$policy" --arrivals closed
    run open "$slice" "$policy" --load "$load"
  done
  echo "slice $slice done after $(($(date +%s) - start)) s"
done
if [ -t 2 ]; then printf '\r%-70s\r' "" >&2; fi

say "measured"
# Means over the slices of a policy, from the runs' JSON; the longest p99 of a decision. Overhead is what was neither
# kernels nor moving tensors, as a share of the time in segments, mean over the processors.
for loop in closed open; do
  printf '%s loop\n%-24s %8s %8s %8s %8s %8s %10s %10s %9s\n' $loop policy U ANTT 'p95 NTT' STP G 'decide us' 'p99 us' \
    'rest %'
  for policy in $policies; do
    awk -v policy="$(basename "$policy" .safetensors)" '
      function number() { sub(/.*: /, ""); sub(/,.*/, ""); return $0 + 0 }
      /^  "(u|antt|p95_ntt|stp|g)":/ { key = $1; sub(/^"/, "", key); sub(/".*/, "", key); sum[key] += number(); next }
      /"policy":/ { runs++ }
      /^  "decision_ns"/ { timed = 1 }
      timed && /"p50":/ { p50 += number() }
      timed && /"p99":/ { p = number(); if (p > p99) p99 = p; timed = 0 }
      /"overhead_share":/ { rest += number(); parts++ }
      END {
        printf "%-24s %8.3f %8.2f %8.2f %8.3f %8.3f %10.1f %10.1f %9.2f\n", policy, sum["u"] / runs, sum["antt"] / runs,
          sum["p95_ntt"] / runs, sum["stp"] / runs, sum["g"] / runs, p50 / runs / 1e3, p99 / 1e3, 100 * rest / parts
      }' "$folder/run-$loop-$(basename "$policy" .safetensors)"-*.json
  done
done | tee "$folder/measured.txt"

# outcome LOOP POLICY SLICE: G or U of a run, and how much longer than expected its segments took.
outcome() {
  key=u
  if [ "$1" = closed ]; then key=g; fi
  awk -v key="\"$key\":" '
    FNR == NR { if (/^  "/ && $1 == key) value = $2 + 0; next }
    /^{"event":"segment"/ {
      n = split($0, fields, /[",{}:]+/)
      for (i = 2; i < n; i += 2) field[fields[i]] = fields[i + 1]
      took += field["t_ns"] - field["started_ns"]
      expected += field["expected_ns"]
    }
    END { printf "%s %s ", value, took / expected }' "$folder/run-$1-$2-$3.json" "$folder/trace-$1-$2-$3.json"
}

# What the trained policy has more than each other one, turn by turn of the slices: mean with its standard error, in how
# many turns it was ahead, and the same where the machine was as fast for both, by regression on how much longer than
# expected the segments of either took (analysis of covariance).
{
  printf '\ntrained less\n'
  for policy in $policies; do
    name=$(basename "$policy" .safetensors)
    if [ "$name" = trained ]; then continue; fi
    for loop in closed open; do
      for slice in $(seq "$slices"); do
        echo "$(outcome $loop trained "$slice") $(outcome $loop "$name" "$slice")"
      done | awk -v name="$name" -v what="$([ $loop = closed ] && echo G, closed || echo U, open)" '
        {
          d[NR] = $1 - $3; x[NR] = $2 - $4; ahead += d[NR] > 0
          mean += d[NR]; mean_x += x[NR]
        }
        END {
          mean /= NR; mean_x /= NR
          for (i = 1; i <= NR; i++) {
            dd += (d[i] - mean) ^ 2; dx += (d[i] - mean) * (x[i] - mean_x); xx += (x[i] - mean_x) ^ 2
          }
          error = NR > 1 ? sqrt(dd / (NR - 1) / NR) : 0
          printf "%-20s %-10s %+.4f +- %.4f, ahead in %d of %d", name, what, mean, error, ahead, NR
          if (NR > 2 && xx > 0)
            printf "; as fast for both %+.4f +- %.4f", mean - dx / xx * mean_x,
              sqrt((dd - dx * dx / xx) / (NR - 2) * (1 / NR + mean_x ^ 2 / xx))
          print ""
        }'
    done
  done
} | tee -a "$folder/measured.txt"

say "predicted, by the mean of all profiles"
"$cosrel" profile --mean "$folder"/profile.json "$folder"/profile-*.json -o "$folder/profile-mean.json"
"$cosrel" compare --profile "$folder/profile-mean.json" --workload "$workload" --out "$folder/fidelity.json" \
  --trace "$folder"/trace-*.json > "$folder/fidelity.txt"
sed -n '/^closed loop/,$p' "$folder/fidelity.txt"
echo
echo "every figure is in $folder/fidelity.txt, every number in $folder/fidelity.json"
