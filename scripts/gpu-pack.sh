#!/usr/bin/env bash
# Packs what scripts/gpu-check.sh needs on a machine that has neither Node nor a registry: scripts/gpu-pack.sh FOLDER [LIBRARY...]
#
# FOLDER/machine.tar.xz: this Node, the dependencies with the Linux x64 runtime alone, and the given shared libraries (Vulkan's
# loader where the machine has none). It takes minutes, and is left as it is if it is there. FOLDER/check.tar.xz: the compiled
# check. Golden cases are in neither: the check runs in a checkout.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$(realpath -m "${1:?usage: scripts/gpu-pack.sh FOLDER [LIBRARY...]}")
shift
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
mkdir -p "$out" "$stage"/check/app "$stage"/machine/{app,bin,lib}

npx tsc -p tsconfig.gpu.json --outDir "$stage/check/app"
cp package.json "$stage/check/app"
cp bench/peft.py "$stage/check/app/bench"
tar -C "$stage/check" -cJf "$out/check.tar.xz" .

if [ ! -e "$out/machine.tar.xz" ]; then
  app=$stage/machine/app
  # What a user would get, less what a check on a GPU does not load.
  node --input-type=module -e '
    import { readFileSync } from "node:fs"
    const { packages } = JSON.parse(readFileSync("package-lock.json", "utf8"))
    const left = /^node_modules\/(onnxruntime-web|koffi|@koromix\/|@types\/|uplot)/
    for (const [path, { dev, devOptional }] of Object.entries(packages))
      if (path !== "" && !dev && !devOptional && !left.test(path)) console.log(path)
  ' | while read -r path; do
    [ -d "$path" ] || continue
    mkdir -p "$app/$(dirname "$path")"
    cp -r "$path" "$app/$path"
  done
  runtime=$app/node_modules/onnxruntime-node/bin/napi-v6
  find "$runtime" -mindepth 1 -maxdepth 1 ! -name linux -exec rm -r {} +
  find "$runtime/linux" -mindepth 1 -maxdepth 1 ! -name x64 -exec rm -r {} +
  find "$app/node_modules" -name '*.map' -delete
  cp "$(node -p process.execPath)" "$stage/machine/bin/node"
  ! command -v strip >/dev/null || strip "$stage/machine/bin/node"
  [ $# -eq 0 ] || cp -L "$@" "$stage/machine/lib"
  tar -C "$stage/machine" -cJf "$stage/machine.tar.xz" .
  mv "$stage/machine.tar.xz" "$out"
fi
ls -l "$out"
