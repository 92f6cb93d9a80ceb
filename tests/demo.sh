#!/bin/bash
# Shows a whole migration on this machine: installs what is missing, builds, starts three real ZooKeeper
# servers, zkferry, 20 live clients and three more servers, migrates, and prints what the clients saw.
#   tests/demo.sh [--clients N]
set -eu
cd "$(dirname "$0")/.."
export LC_ALL=C.UTF-8

tests/tools/install.sh demo
echo "building (log: build/demo.log)"
mkdir -p build
if ! { cmake -S . -B build -G Ninja -DPX_TESTS=OFF && cmake --build build; } >build/demo.log 2>&1; then
    tail -n 40 build/demo.log
    exit 1
fi
cd tests
ZKFERRY_BUILD=../build exec /usr/bin/python3 -m lib.demo "$@"
