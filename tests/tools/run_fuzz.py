#!/usr/bin/python3
"""Runs libFuzzer targets, two at a time whatever the number of cores, so that times stay comparable.

run_fuzz.py [--seconds N] [--programs DIR] [--corpora DIR] --logs DIR NAME…

New inputs go to LOGS/fuzz/NAME. Of a target that fails is printed what it says of the fault, and the input itself in
base64: where only this output is kept, nothing else brings it back. The last line is "N passed, N failed".
"""
import argparse
import base64
import concurrent.futures
import pathlib
import re
import subprocess
import sys
import time

AT_A_TIME = 2
ARTIFACT_BYTES = 12 * 1024  # of one input; most are far smaller
REASON_LINES = 60
FAULT = re.compile(r"ERROR:|runtime error:|invariant broken:")


def command_of(options, name, new, prefix):
    corpus = options.corpora / name.removeprefix("fuzz_")
    dictionary = options.corpora.parent / f"{name.removeprefix('fuzz_')}.dict"
    words = [f"-dict={dictionary}"] if dictionary.exists() else []
    return ["nice", options.programs / name, f"-max_total_time={options.seconds}", "-use_value_profile=1",
            "-print_final_stats=1", f"-artifact_prefix={prefix}", *words, new, corpus]


def fault_of(text):
    """From where the fault is named on; without such a line, the end."""
    lines = text.splitlines()
    first = next((number for number, line in enumerate(lines) if FAULT.search(line)), len(lines) - REASON_LINES)
    return lines[max(first - 2, 0):][:REASON_LINES]


def artifact_lines(path):
    content = path.read_bytes()
    cut = f", its first {ARTIFACT_BYTES}" if len(content) > ARTIFACT_BYTES else ""
    return [f"{path.name}: {len(content)} bytes{cut} in base64 (base64 -d makes the file):",
            base64.b64encode(content[:ARTIFACT_BYTES]).decode("ascii")]


def run(options, name):
    """Whether it passed, and what there is to say about it."""
    new = options.logs / "fuzz" / name
    new.mkdir(parents=True, exist_ok=True)
    for old in new.parent.glob(f"{name}-*"):  # of an earlier run
        old.unlink()
    with open(options.logs / f"{name}.log", "w+", encoding="utf-8", errors="replace") as log:
        code = subprocess.run(command_of(options, name, new, f"{new}-"), stdin=subprocess.DEVNULL, stdout=log,
                              stderr=subprocess.STDOUT, check=False).returncode
        log.seek(0)
        text = log.read()
    if code == 0:
        return True, [f"{name}, {options.seconds} s: passed"]
    lines = [f"{name}: failed, exit code {code}", *fault_of(text)]
    for path in sorted(new.parent.glob(f"{name}-*")):
        lines += artifact_lines(path)
    return False, lines


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--programs", type=pathlib.Path, default=pathlib.Path("build-fuzz/tests"))
    parser.add_argument("--corpora", type=pathlib.Path, default=pathlib.Path("tests/fuzz/corpus"))
    parser.add_argument("--logs", type=pathlib.Path, required=True)
    parser.add_argument("names", nargs="+", metavar="NAME")
    options = parser.parse_args()
    good = 0
    with concurrent.futures.ThreadPoolExecutor(AT_A_TIME) as pool:
        for passed, lines in pool.map(lambda name: run(options, name), options.names):
            good += passed
            print(time.strftime("%H:%M:%S"), "\n".join(lines), flush=True)
    print(f"{good} passed, {len(options.names) - good} failed")
    return 0 if good == len(options.names) else 1


if __name__ == "__main__":
    sys.exit(main())
