#!/bin/bash
# Installs the Debian 12 packages that are missing. Says nothing and needs no root when none is.
#   tests/tools/install.sh        all that tests/check.sh needs
#   tests/tools/install.sh demo   without the compilers and tools only the checks use
#   tests/tools/install.sh bench  what tests/bench/run.sh compares with and measures with; no service is started
set -u

build="gcc libc6-dev cmake ninja-build pkg-config libevent-dev libssl-dev libzookeeper-st-dev libprotobuf-c-dev
    protobuf-c-compiler libyaml-dev libjansson-dev libcurl4-openssl-dev uthash-dev"
servers="libzookeeper-java default-jre-headless libslf4j-java python3 python3-kazoo"
checks="libcmocka-dev python3-pytest clang-14 libclang-rt-14-dev llvm-14 clang-format-14 cppcheck git"

bench="libcmocka-dev haproxy nginx libnginx-mod-stream strace valgrind"

case ${1:-} in
demo) wanted="$build $servers" ;;
bench) wanted="$build $servers $bench" ;;
*) wanted="$build $servers $checks" ;;
esac

missing=""
for package in $wanted; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q '^install ok installed$' || missing="$missing $package"
done
[ -z "$missing" ] && exit 0

if [ "$(id -u)" -ne 0 ]; then
    echo "missing packages:$missing" >&2
    echo "run this script as root, or: apt-get install --no-install-recommends$missing" >&2
    exit 1
fi
echo "installing:$missing"
export DEBIAN_FRONTEND=noninteractive
policy=/usr/sbin/policy-rc.d # Debian's way to keep packages from starting their services
if [ "${1:-}" = bench ] && [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' >$policy && chmod 755 $policy
    trap 'rm -f $policy' EXIT
fi
apt-get -q update >/dev/null && apt-get -qq -y --no-install-recommends install $missing >/dev/null
