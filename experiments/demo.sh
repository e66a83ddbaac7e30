#!/bin/sh
# The demo: trains a policy on the Snapdragon 865 profile and the training mixes, compares it with every other policy on mixes
# that it has not seen, and writes what it made into a folder.
#
#   experiments/demo.sh FOLDER     DEMO_DECISIONS and DEMO_SEEDS change how long it takes
set -eu
folder=$1
cosrel=${COSREL:-build/cosrel}
mkdir -p "$folder"

say() { printf '\n== %s\n' "$*"; }

# One profile: an 8 Gen 2 answers thousands of requests a second, and to validate on it takes many times as long.
say "training on experiments/workloads/train"
"$cosrel" train --profile traces/profiles/snapdragon865.json --workload experiments/workloads/train/*.json \
  --decisions "${DEMO_DECISIONS:-400000}" --logdir "$folder/train" -o "$folder/policy.safetensors"

say "comparing on experiments/workloads/test, which it has not seen"
"$cosrel" compare --profile traces/profiles/snapdragon865.json --workload experiments/workloads/test/*.json \
  --policies "all,$folder/policy.safetensors" --subject "$folder/policy.safetensors" --load 0.6,0.9 \
  --seeds "${DEMO_SEEDS:-3}" --offline-seeds 1 --duration 5 \
  --csv "$folder/compare.csv" > "$folder/compare.txt"
cat "$folder/compare.txt"

say "a timeline of one run"
"$cosrel" replay --profile traces/profiles/snapdragon865.json --workload experiments/workloads/test/drone.json \
  --policy "$folder/policy.safetensors" --arrivals poisson --load 0.9 --duration 5 --perfetto "$folder/timeline.json"

say "written"
echo "$folder/policy.safetensors   the policy: give it to cosrel replay --policy or compare --policies"
echo "$folder/train                its training curves: CSV, and a TensorBoard event file"
echo "$folder/compare.txt          the tables above; compare.csv has a line per run"
echo "$folder/timeline.json        open it in https://ui.perfetto.dev"
