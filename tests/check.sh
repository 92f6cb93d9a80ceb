#!/bin/bash
# Installs what is missing, builds, runs every check. The last line is "N passed, N failed".
#   tests/check.sh          at most 25 minutes on two cores
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
python=/usr/bin/python3 # Debian's: kazoo and pytest are its packages, whatever comes first in PATH
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

unit() { # BUILD
    local log=$logs/unit-${1##*/}.log total bad
    # shellcheck disable=SC2046
    $(wrapper_of "$1") ctest --test-dir "$1" -j "$jobs" --output-on-failure >"$log" 2>&1
    total=$(sed -nE 's/.*tests failed out of ([0-9]+).*/\1/p' "$log")
    bad=$(sed -nE 's/.*, ([0-9]+) tests? failed out of .*/\1/p' "$log")
    if [ -z "$total" ]; then total=1 bad=1; fi # ctest itself did not run
    [ "$bad" = 0 ] || tail -n 120 "$log"
    count $((total - bad)) "$bad" "unit tests, $1"
}

integration() { # BUILD MARKER-EXPRESSION SCALE
    local log=$logs/integration-${1##*/}.log status good bad
    ZKFERRY_BUILD=$1 ZKFERRY_DEADLINE_SCALE=$3 $(wrapper_of "$1") $python -m pytest -q --durations=5 \
        -p no:cacheprovider -m "$2" tests/integration >"$log" 2>&1
    status=$?
    good=$(summary_number passed "$log")
    bad=$(($(summary_number failed "$log") + $(summary_number 'errors?' "$log")))
    if [ $status -ne 0 ] && [ $bad -eq 0 ]; then bad=1; fi # pytest itself did not run
    [ $bad -eq 0 ] || tail -n 400 "$log"
    count "$good" "$bad" "integration tests, $1"
}

summary_number() { # WORD LOG
    local number
    number=$(tail -n 1 "$2" | grep -oE "[0-9]+ $1\b" | grep -oE '^[0-9]+')
    echo "${number:-0}"
}

fuzz_one() { # NAME
    local new=$logs/fuzz/$1 dictionary=tests/fuzz/${1#fuzz_}.dict
    [ -e "$dictionary" ] || dictionary=
    mkdir -p "$new"
    nice build-fuzz/tests/"$1" -max_total_time="$fuzz_seconds" -use_value_profile=1 -print_final_stats=1 \
        -artifact_prefix="$logs/fuzz/$1-" ${dictionary:+-dict=$dictionary} "$new" "tests/fuzz/corpus/${1#fuzz_}"
}

fuzz_all() {
    local source names=()
    for source in tests/fuzz/fuzz_*.c; do
        [ -e "$source" ] && names+=("$(basename "$source" .c)")
    done
    if [ ${#names[@]} -eq 0 ]; then
        count 0 1 "no fuzz target found"
        return
    fi
    while [ ${#names[@]} -gt 0 ]; do # two at a time, whatever the number of cores: times stay comparable
        local pair=("${names[@]:0:2}") pids=() i
        names=("${names[@]:2}")
        for i in "${!pair[@]}"; do
            fuzz_one "${pair[$i]}" >"$logs/${pair[$i]}.log" 2>&1 &
            pids[i]=$!
        done
        for i in "${!pair[@]}"; do
            if wait "${pids[$i]}"; then
                count 1 0 "${pair[$i]}, $fuzz_seconds s"
            else
                tail -n 60 "$logs/${pair[$i]}.log"
                count 0 1 "${pair[$i]}"
            fi
        done
    done
}

our_sources() { find proxy zkproto migrate conf tests -name '*.[ch]' | sort; }
# shellcheck disable=SC2046
formatted() { clang-format-14 --dry-run -Werror $(our_sources); }
# shellcheck disable=SC2046
linted() {
    cppcheck --quiet --error-exitcode=1 --enable=warning,portability --inline-suppr -I. \
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
fuzz_all

everything="not full"
[ $full = yes ] && everything="full or not full"
integration build-switches "$everything" 1
integration build-asan "sanitizer and ($everything)" 3
integration build-tsan "sanitizer and ($everything)" 4

say "took $((SECONDS - began)) s; logs in $logs/"
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
