#!/bin/sh
# onnxruntime-node ships its libraries for every platform (290 MB). Leaves only this machine's.
set -eu
case "$(uname -m)" in
  x86_64) arch=x64 ;;
  aarch64) arch=arm64 ;;
  *) echo "onnxruntime-node has no library for $(uname -m)" >&2; exit 1 ;;
esac
for libraries in node_modules/onnxruntime-node/bin/napi-v*; do
  test -d "$libraries/linux/$arch"
  find "$libraries" -mindepth 2 -maxdepth 2 -type d ! -path "*/linux/$arch" -exec rm -rf {} +
done
