#!/usr/bin/env bash
# lowrank on this machine's GPU: the adapter, parity with the CPU on the golden cases, steps and generated tokens a second, beside
# PyTorch + PEFT where a Python has them (LOWRANK_BENCH_PYTHON, else python3). Run in a checkout; installs nothing.
#
#   scripts/gpu-check.sh [--pack FOLDER] [--short] [--seconds 450] [--only parity,speed,profile] [--out DIR]
#
# --pack brings the archives of scripts/gpu-pack.sh, for a machine without Node. --short takes two minutes on a GPU in software.
# Ends 20 seconds after --seconds, whatever hangs. Results: DIR/gpu.md and DIR/gpu.json. Exit code 1 if a case is beyond its bound.
set -euo pipefail
cd "$(dirname "$0")/.."

pack='' seconds=450
for ((i = 1; i <= $#; i++)); do
  next=$((i + 1))
  case "${!i}" in
    --pack) pack=${!next:?--pack needs a folder} ;;
    --seconds) seconds=${!next:?--seconds needs a number} ;;
  esac
done
arguments=()
while [ $# -gt 0 ]; do
  if [ "$1" = --pack ]; then shift; else arguments+=("$1"); fi
  shift
done

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
if [ -n "$pack" ]; then
  tar -C "$stage" -xJf "$pack/machine.tar.xz"
  tar -C "$stage" -xJf "$pack/check.tar.xz"
  node=$stage/bin/node
  export LD_LIBRARY_PATH="${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$stage/lib"
else
  npx tsc -p tsconfig.gpu.json --outDir "$stage/app"
  cp package.json "$stage/app"
  cp bench/peft.py "$stage/app/bench"
  ln -s "$PWD/node_modules" "$stage/app/node_modules"
  node=node
fi

# Models and packed bases go with the rest.
export TMPDIR=$stage LOWRANK_CACHE=$stage/cache
status=0
timeout --kill-after=5 $((seconds + 20)) "$node" "$stage/app/bench/gpu/main.js" "${arguments[@]}" || status=$?
exit "$status"
