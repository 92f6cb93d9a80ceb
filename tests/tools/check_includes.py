#!/usr/bin/python3
"""Checks the direction of includes: zkproto <- conf <- migrate <- proxy.

check_includes.py ROOT      prints each wrong include as file:line: problem; exit 1 when there is one
check_includes.py --self-test   shows on small bad trees that every rule does fail
"""
import fnmatch
import pathlib
import re
import sys
import tempfile

FOLDERS = ("zkproto", "conf", "migrate", "proxy", "tests")

# The pure engine and its rules: the library mig_core (migrate/CMakeLists.txt). They see nothing of mig_io.
MIG_CORE_ROOMS = ("engine", "plan", "preflight", "verify")
MIG_CORE = (*(f"migrate/{room}/" for room in MIG_CORE_ROOMS), "migrate/facts.h", "migrate/text.h")

# The first row whose pattern fits a file says which of our folders it may include.
MAY_INCLUDE = (
    ("zkproto/*", ("zkproto/",)),
    ("conf/*", ("zkproto/", "conf/")),
    *((f"migrate/{room}/*", ("zkproto/", "conf/", *MIG_CORE)) for room in MIG_CORE_ROOMS),
    ("migrate/*", ("zkproto/", "conf/", "migrate/")),
    ("proxy/session/*", ("zkproto/", "proxy/session/")),
    ("proxy/*", ("zkproto/", "conf/", "migrate/", "proxy/")),
    ("tests/*", ("zkproto/", "conf/", "migrate/", "proxy/", "tests/")),
)

# The files of the library mig_io.
MIG_IO = tuple(f"migrate/{name}*" for name in ("journal/", "zkclient/", "probe/", "failpoint", "helper", "resolve",
                                           "sockets"))
SCHEMA = ("migrate/journal/journal_codec*", "proxy/admin/*",
          "proxy/control/report/*", "proxy/control/ops/*", "tests/*")
# The rooms of proxy/control know what they are given; the whole control thread is seen by these only.
WHOLE_CONTROL = (*(f"proxy/control/{name}.*" for name in ("control", "clients", "drive", "picture", "reload")),
                 "proxy/control/ops/*")
SHELL = ("proxy/net/*", "proxy/control/*", "proxy/admin/*", "tests/*")

# Headers that only the named files may see. Of other people: they are where such a library is wrapped.
ONLY_IN = (
    ("*.pb-c.h", SCHEMA),
    ("protobuf-c/*", SCHEMA),
    ("zookeeper.h", ("migrate/zkclient/*",)),
    ("zookeeper/*", ("migrate/zkclient/*",)),
    ("yaml.h", ("conf/*",)),
    ("curl/*", ("proxy/cli/*",)),
    ("jansson.h", (*MIG_IO, *SHELL, "proxy/cli/*")),
    ("event2/*", (*MIG_IO, *SHELL, "proxy/*.c", "proxy/*.h")),
    ("pthread.h", (*MIG_IO, "proxy/*", "tests/*")),
    ("proxy/control/control_int.h", WHOLE_CONTROL),
)
# … and the pure cores see none of them, whatever a wider pattern above says.
PURE = ("zkproto/*", "proxy/session/*")

INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]')


def fits(path, patterns):
    return any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns)


def problem_of(root, file, quote, header):
    """What is wrong with one include, or None."""
    for pattern, allowed in ONLY_IN:
        if fnmatch.fnmatchcase(header, pattern):
            if fits(file, PURE):
                return f"a pure core may not include {header}"
            if not fits(file, allowed):
                return f"{header} may only be included by {', '.join(allowed)}"
            return None
    if quote == "<":
        return None
    if "/" not in header or header.startswith((".", "/")):
        return f'"{header}" is not root-relative'
    if not (root / header).is_file():
        return f'"{header}" does not exist'
    allowed = next(prefixes for pattern, prefixes in MAY_INCLUDE if fnmatch.fnmatchcase(file, pattern))
    if not header.startswith(allowed):
        return f'"{header}" is outside of {", ".join(allowed)}'
    return None


def check(root):
    """All problems of the tree; and the number of files seen, so that an empty tree is noticed."""
    problems, count = [], 0
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*.[ch]")):
            file = path.relative_to(root).as_posix()
            count += 1
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                found = INCLUDE.match(line)
                problem = problem_of(root, file, *found.groups()) if found else None
                if problem:
                    problems.append(f"{file}:{number}: {problem}")
    return problems, count


# (file, its include line, is it allowed)
SELF_TEST = (
    ("zkproto/a.c", '#include "zkproto/x.h"', True),
    ("zkproto/a.c", '#include "conf/x.h"', False),
    ("zkproto/a.c", "#include <event2/event.h>", False),
    ("conf/a.c", '#include "zkproto/x.h"', True),
    ("conf/a.c", "#include <yaml.h>", True),
    ("conf/a.c", '#include "migrate/x.h"', False),
    ("migrate/a.c", '#include "conf/x.h"', True),
    ("migrate/a.c", '#include "proxy/session/x.h"', False),
    ("migrate/a.c", '#include "plan.pb-c.h"', False),
    ("migrate/journal/journal_codec.c", '#include "plan.pb-c.h"', True),
    ("migrate/a.c", "#include <zookeeper/zookeeper.h>", False),
    ("migrate/zkclient/zkclient_read.c", "#include <zookeeper/zookeeper.h>", True),
    ("migrate/engine/engine.c", "#include <event2/event.h>", False),
    ("migrate/probe/probe.c", "#include <event2/event.h>", True),
    ("migrate/engine/a.c", '#include "migrate/plan/x.h"', True),
    ("migrate/engine/a.c", '#include "migrate/text.h"', True),
    ("migrate/engine/a.c", '#include "migrate/journal/x.h"', False),
    ("migrate/journal/a.c", '#include "migrate/engine/x.h"', True),
    ("migrate/a.c", '#  include "x.h"', False),
    ("migrate/a.c", '#include "../conf/x.h"', False),
    ("migrate/a.c", '#include "migrate/missing.h"', False),
    ("proxy/session/a.c", '#include "proxy/session/x.h"', True),
    ("proxy/session/a.c", '#include "proxy/net/x.h"', False),
    ("proxy/session/a.c", '#include "conf/x.h"', False),
    ("proxy/session/a.c", "#include <event2/event.h>", False),
    ("proxy/net/a.c", '#include "migrate/x.h"', True),
    ("proxy/net/a.c", '#include "tests/lib/x.h"', False),
    ("proxy/net/a.c", "#include <curl/curl.h>", False),
    ("proxy/admin/a.c", '#include "plan.pb-c.h"', True),
    ("proxy/control/drive.c", '#include "proxy/control/control_int.h"', True),
    ("proxy/control/ops/a.c", '#include "proxy/control/control_int.h"', True),
    ("proxy/control/report/a.c", '#include "proxy/control/control_int.h"', False),
    ("tests/unit/a.c", '#include "proxy/net/x.h"', True),
)
HEADERS = ("zkproto/x.h", "conf/x.h", "migrate/x.h", "migrate/text.h", "migrate/plan/x.h", "migrate/engine/x.h",
           "migrate/journal/x.h", "proxy/net/x.h", "proxy/session/x.h", "tests/lib/x.h")


def self_test():
    wrong = 0
    for file, line, allowed in SELF_TEST:
        with tempfile.TemporaryDirectory() as directory:
            root = pathlib.Path(directory)
            for name in (*HEADERS, file):
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_text("")
            (root / file).write_text(line + "\n")
            if (not check(root)[0]) != allowed:
                wrong += 1
                print(f"self-test: {file}: {line}: should be {'allowed' if allowed else 'refused'}")
    return wrong


def main(argument):
    if argument == "--self-test":
        return 1 if self_test() else 0
    problems, count = check(pathlib.Path(argument))
    print("\n".join(problems) if problems else f"{count} files, every include points the right way")
    return 1 if problems or count == 0 else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
