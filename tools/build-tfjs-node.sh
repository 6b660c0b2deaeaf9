#!/bin/sh
# Builds the native addon of @tensorflow/tfjs-node where its installer cannot download it (docs/tfjs.md):
#
#     npm install --ignore-scripts @tensorflow/tfjs-node@4.22.0
#     sh build-tfjs-node.sh [node_modules/@tensorflow/tfjs-node]
#
# For Linux on x86-64 with g++, python3 with pip, and npm. TensorFlow's libraries and headers come from its Python package,
# Node's from npm; the addon's source is in tfjs-node itself. Ends with a matrix product on the new addon.
set -eu

TENSORFLOW=tensorflow-cpu==2.21.0
NODE_HEADERS=node-api-headers@1.5.0
# The folder that tfjs-node 4.22.0 looks in, whatever newer Node-API the Node offers.
ADDON=lib/napi-v8

package=$(cd "${1:-node_modules/@tensorflow/tfjs-node}" && pwd)
test -f "$package/binding/tfjs_binding.cc" || {
  echo "no tfjs-node at $package" >&2
  exit 2
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The wheel is a zip archive for a Python that need not be this one: nothing of it runs.
python3 -m pip download --quiet --no-deps --only-binary=:all: --python-version 3.12 --platform manylinux_2_27_x86_64 \
  --dest "$work" "$TENSORFLOW"
python3 - "$work" <<'UNPACK'
import glob, sys, zipfile

folder = sys.argv[1]
archive = zipfile.ZipFile(glob.glob(f"{folder}/*.whl")[0])
libraries = ("tensorflow/libtensorflow_cc.so.2", "tensorflow/libtensorflow_framework.so.2")
archive.extractall(folder, [n for n in archive.namelist() if n in libraries or n.startswith("tensorflow/include/")])
UNPACK
(cd "$work" && npm pack --silent "$NODE_HEADERS" >/dev/null && tar -xzf node-api-headers-*.tgz)

mkdir -p "$package/deps/lib" "$package/$ADDON"
mv "$work"/tensorflow/libtensorflow_*.so.2 "$package/deps/lib"
g++ -O2 -std=c++17 -shared -fPIC -DNAPI_VERSION=8 \
  -I"$package" -I"$work/tensorflow/include" -I"$work/package/include" \
  "$package/binding/tfjs_backend.cc" "$package/binding/tfjs_binding.cc" \
  -L"$package/deps/lib" -l:libtensorflow_cc.so.2 -l:libtensorflow_framework.so.2 -Wl,-rpath,'$ORIGIN/../../deps/lib' \
  -o "$package/$ADDON/tfjs_binding.node"

TF_CPP_MIN_LOG_LEVEL=2 node - "$package" <<'TRY'
// Node 23 removed a function that tfjs-node calls; the engine of @scorer/train puts it back in the same way.
require('node:util').isNullOrUndefined ??= (value) => value == null;
const tf = require(process.argv[2]);
const [product] = tf.matMul(tf.ones([1, 3]), tf.ones([3, 1])).dataSync();
if (product !== 3) throw new Error(`1·1 + 1·1 + 1·1 = ${product}`);
console.log(`tfjs-node ${tf.version['tfjs-node']} works on Node ${process.version}`);
TRY
