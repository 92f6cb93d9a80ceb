#!/bin/bash
# Installs what is missing, builds, runs every check. The last line is "N passed, N failed".
#   tests/check.sh          about three quarters of an hour on two quiet cores
#   tests/check.sh --full   adds the tests marked `full` and longer fuzzing; before an issue is called done
# Only Debian's packages are used. Everything built lies under build*/, which git ignores.
set -u
cd "$(dirname "$0")/.." || exit 1
export LC_ALL=C.UTF-8

full=no
[ "${1:-}" = --full ] && full=yes
fuzz_seconds=20
[ $full = yes ] && fuzz_seconds=30
jobs=$(nproc)
logs=build/check
passed=0
failed=0

say() { printf '%(%H:%M:%S)T %s\n' -1 "$*"; }

count() { # PASSED FAILED WHAT
    passed=$((passed + $1))
    failed=$((failed + $2))
    say "$3: $1 passed, $2 failed"
}

# Runs a command with its output in a log; shows the log's end when it fails.
logged() { # NAME COMMAND…
    local name=$1
    shift
    "$@" >"$logs/$name.log" 2>&1 && return 0
    tail -n 80 "$logs/$name.log"
    return 1
}

# A check that either passes or fails as a whole.
check() { # NAME COMMAND…
    local began=$SECONDS
    if logged "$@"; then count 1 0 "$1 ($((SECONDS - began)) s)"; else count 0 1 "$1"; fi
}

build() { # DIRECTORY CC CMAKE-OPTION…
    local directory=$1 cc=$2
    shift 2
    CC=$cc cmake -S . -B "$directory" -G Ninja -DCMAKE_BUILD_TYPE=Release "$@" &&
        nice cmake --build "$directory" -j "$jobs" ${target:+--target $target}
}

# The personality bit keeps TSan's shadow memory clear of randomised mappings; children inherit it.
wrapper_of() { case $1 in *tsan) echo "setarch $(uname -m) -R" ;; esac; }

# What cmocka, a sanitizer or an assertion says of a failed test, which ctest's log may have in its middle.
unit_reasons() { # LOG
    grep -E -A 12 '\[ *(ERROR|FAILED) *\]|(ERROR|WARNING): [A-Za-z]+Sanitizer|runtime error:|invariant broken:' "$1" |
        head -n 120
    tail -n 30 "$1"
}

unit() { # BUILD
    local log=$logs/unit-${1##*/}.log total bad
    # shellcheck disable=SC2046
    $(wrapper_of "$1") ctest --test-dir "$1" -j "$jobs" --output-on-failure >"$log" 2>&1
    total=$(sed -nE 's/.*tests failed out of ([0-9]+).*/\1/p' "$log")
    bad=$(sed -nE 's/.*, ([0-9]+) tests? failed out of .*/\1/p' "$log")
    if [ -z "$total" ]; then total=1 bad=1; fi # ctest itself did not run
    [ "$bad" = 0 ] || unit_reasons "$log"
    count $((total - bad)) "$bad" "unit tests, $1"
}

# A tool that shows its own progress and counts: its last line is like ours.
counted() { # WHAT COMMAND…
    local what=$1 output=$logs/$1.out last
    shift
    "$@" 2>&1 | tee "$output"
    last=$(tail -n 1 "$output")
    if [[ $last =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed$ ]]; then
        count "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}" "$what"
    else
        count 0 1 "$what"
    fi
}

fuzz_all() {
    local source names=()
    for source in tests/fuzz/fuzz_*.c; do
        names+=("$(basename "$source" .c)")
    done
    tests/tools/run_fuzz.py --seconds $fuzz_seconds --logs $logs "${names[@]}"
}

our_sources() { find proxy zkproto migrate conf tests -name '*.[ch]' | sort; }
# shellcheck disable=SC2046
formatted() { clang-format-14 --dry-run -Werror $(our_sources); }
# shellcheck disable=SC2046
linted() { # utlist's loops are macros, and what they set is not initialised without them
    cppcheck --quiet --error-exitcode=1 --enable=warning,portability --inline-suppr -I. \
        --include=/usr/include/utlist.h \
        --suppress=missingIncludeSystem --suppress=unknownMacro $(our_sources | grep -v ^tests/)
}

began=$SECONDS
mkdir -p $logs
say "packages"
if ! tests/tools/install.sh; then
    echo "0 passed, 1 failed"
    exit 1
fi

check format formatted
command -v cppcheck >/dev/null && check cppcheck linted

check build-release build build gcc -DPX_TESTS=ON
check build-switches build build-switches gcc -DPX_TEST_SWITCHES=ON
check build-clang build build-clang clang-14
check build-asan build build-asan gcc -DPX_SANITIZE=address -DPX_TEST_SWITCHES=ON
check build-tsan build build-tsan gcc -DPX_SANITIZE=thread -DPX_TEST_SWITCHES=ON
target=fuzz_targets check build-fuzz build build-fuzz clang-14 -DPX_SANITIZE=fuzzer -DPX_TEST_SWITCHES=ON

for directory in build build-switches build-clang build-asan build-tsan; do
    unit $directory
done
counted fuzzing fuzz_all

everything="not full"
[ $full = yes ] && everything="full or not full"
counted integration tests/tools/run_integration.py -j "$jobs" --class-archive $logs/classes.jsa --logs $logs \
    "build-switches:2:$everything"
# One at a time: a daemon under TSan and six servers are enough for two cores.
counted sanitizers tests/tools/run_integration.py -j 1 --class-archive $logs/classes.jsa --logs $logs \
    "build-asan:3:sanitizer and ($everything)" "build-tsan:4:sanitizer and ($everything)"

# Once more, where the end is all that is read.
grep -hE '^([0-9:]+ flaky|FAILED):' $logs/integration.out $logs/sanitizers.out
say "took $((SECONDS - began)) s; logs in $logs/"
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
