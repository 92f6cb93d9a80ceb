#!/bin/bash
# Installs what is missing (Debian packages), builds a release into build-bench/, measures, prints one table.
#   tests/bench/run.sh                   everything: a quarter of an hour on two quiet cores
#   tests/bench/run.sh --quick           one short round of everything
#   tests/bench/run.sh --rows stub,moves some rows; run.py --help lists them
set -eu
cd "$(dirname "$0")/../.."
export LC_ALL=C.UTF-8

tests/tools/install.sh bench
log=build-bench/build.log
mkdir -p build-bench
{ cmake -S . -B build-bench -G Ninja -DCMAKE_BUILD_TYPE=Release &&
    nice cmake --build build-bench --target zkferryd zkferry bench_load bench_stub bench_forward; } >$log ||
    { tail -n 50 $log; exit 1; }

export ZKFERRY_BUILD="$PWD/build-bench"
cd tests
exec /usr/bin/python3 -m bench.run "$@"
