#!/bin/sh
# What the shipped policy is worth, on what it was not trained on: mixes and a model (googlenet) that no training saw on
# the device it was trained for, and the same on a device that training never saw. Against every other policy, at four
# loads, under four kinds of arrivals, with ten seeds each. About twelve minutes on two cores.
#
#   experiments/proof.sh FOLDER [test|watts|parts|cost|seeds ...]     without names: all but seeds
#
#   test    the whole test split. SEEDS (10) and DURATION (4 s) bound the time; QUICK=1 takes 2 seeds
#   watts   the watts that nobody published, halved and doubled
#   parts   what is left when planning, and then training, is taken from the policy
#   cost    how long a decision takes
#   seeds   trains SEED_RUNS (5) policies that differ in their seed alone, DECISIONS (600000) each, a minute or two,
#           and prints how far apart they end
#
# COSREL_POLICY=FILE proves another policy than agent/cosrel.safetensors. Tables go to FOLDER/*.txt, every number to
# FOLDER/*.json and every run to FOLDER/test.csv.
set -eu
folder=$1
shift
[ $# -gt 0 ] || set -- test watts parts cost
cosrel=${COSREL:-build/cosrel}
scale_power=${SCALE_POWER:-$(dirname "$cosrel")/traces/tools/scale_power}
trained_on=traces/profiles/snapdragon865.json
unseen=traces/profiles/rk3399pro.json
mixes=experiments/workloads
if [ -n "${QUICK:-}" ]; then
  seeds=${SEEDS:-2} decisions=${DECISIONS:-50000}
else
  seeds=${SEEDS:-10} decisions=${DECISIONS:-600000}
fi
duration=${DURATION:-4}
mkdir -p "$folder"

say() { printf '\n== %s\n' "$*"; }

# compare NAME OPTIONS...: tables on the terminal and in NAME.txt, numbers in NAME.json.
compare() {
  name=$1
  shift
  "$cosrel" compare --duration "$duration" --offline-seeds 2 --out "$folder/$name.json" "$@" > "$folder/$name.txt"
  cat "$folder/$name.txt"
}

# Profiles are optional arguments: a device that is not there is left out, and that is said.
devices=$trained_on
if [ -f $unseen ]; then devices="$devices $unseen"; else say "no $unseen: without the unseen device"; fi

for part in "$@"; do
  start=$(date +%s)
  case $part in
    test)
      say "the test split: unseen mixes, an unseen model, an unseen device"
      # shellcheck disable=SC2086
      compare test --profile $devices --workload $mixes/test/*.json --policies all \
        --arrivals poisson,bursty,periodic,closed --load 0.5,0.7,0.9,1.1 --seeds "$seeds" --csv "$folder/test.csv"
      ;;
    watts)
      say "GPU and DSP watts halved and doubled"
      for factor in 0.5 2; do
        "$scale_power" $trained_on "$folder/watts-$factor.profile.json" $factor gpu dsp
        compare "watts-$factor" --profile "$folder/watts-$factor.profile.json" --workload $mixes/test/*.json \
          --policies all --arrivals poisson --load 0.7,0.9 --seeds "$seeds"
      done
      ;;
    parts)
      # One batch of decisions moves a network hardly away from its start, which plays the heuristic base.
      "$cosrel" train --profile $trained_on --workload $mixes/train/*.json --decisions 1 --mixes 0 --quiet \
        -o "$folder/untrained.safetensors"
      for budget in 0 75; do
        say "the policy and its untrained start, $budget simulated decisions of planning"
        # shellcheck disable=SC2086
        compare "parts-$budget" --profile $devices --workload $mixes/test/*.json --plan-budget $budget --subject cosrel \
          --policies "cosrel,$folder/untrained.safetensors,lp-price-yield,lp-price,eft,srpt,edf,pf,dream,least-slack,dmda,sel" \
          --arrivals poisson,bursty,periodic --load 0.5,0.7,0.9,1.1 --seeds "$seeds"
      done
      ;;
    cost)
      say "what a decision costs, on a mix of eight streams at load 0.9"
      for policy in cosrel rollout lp-price-yield lp-price heft srpt eft fcfs; do
        printf '%-12s ' "$policy"
        "$cosrel" replay --profile $trained_on --workload $mixes/test/car-cockpit.json --policy "$policy" \
          --arrivals poisson --load 0.9 --duration "$duration" --timing 2>&1 | grep -E '^decisions|^cosrel:'
      done | tee "$folder/cost.txt"
      ;;
    seeds)
      say "${SEED_RUNS:-5} trainings of $decisions decisions, different seeds"
      policies=
      for seed in $(seq "${SEED_RUNS:-5}"); do
        "$cosrel" train --profile traces/profiles/snapdragon*.json --workload $mixes/train/*.json --seed "$seed" \
          --decisions "$decisions" -o "$folder/seed-$seed.safetensors"
        policies="$policies,$folder/seed-$seed.safetensors"
      done
      # shellcheck disable=SC2086
      compare seeds --profile $devices --workload $mixes/test/*.json --policies "lp-price-yield,lp-price,srpt,pf,eft,edf$policies" \
        --arrivals poisson,bursty,periodic,closed --load 0.7,0.9 --seeds "$seeds"
      ;;
    *)
      echo "proof: expected test, watts, parts, cost or seeds, got '$part'" >&2
      exit 2
      ;;
  esac
  say "$part took $(($(date +%s) - start)) s; tables and numbers are in $folder"
done
