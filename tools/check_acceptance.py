#!/usr/bin/env python3
"""Whether the tests that doc/acceptance.md names are there, and in the files it says.

A file is named by its path, or by its name alone when a row before had the path.  A long name behind a file of C, in the same
row, is a function of it; without a file before it, of some test.
"""
import pathlib
import re
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent
PAGE = TOP / "doc/acceptance.md"
FILE = re.compile(r"[a-z0-9_/]+\.(c|py|json|md|scenario)")
FOLDER = re.compile(r"(tests|src|bin)/[a-z_/]+")
FUNCTION = re.compile(r"(?!qudag_)[a-z0-9]+(_[a-z0-9]+){2,}")


def tracked():
    text = subprocess.run(["git", "ls-files"], cwd=TOP, check=True, capture_output=True, text=True).stdout
    return [TOP / f for f in text.split() if (TOP / f).is_file()]


def row_faults(row, by_name, has):
    """What |row| names that is not there; |has|(paths, function)."""
    at = None
    for name in re.findall(r"`([^`]+)`", row):
        if FILE.fullmatch(name):
            at = [p for p in (TOP / name, TOP / "doc" / name) if "/" in name and p.exists()]
            at = at or ([] if "/" in name else by_name.get(name, []))
            if not at:
                yield f"no file {name}"
        elif FOLDER.fullmatch(name):
            at = None
        elif FUNCTION.fullmatch(name) and not has(at if at and at[0].suffix == ".c" else None, name):
            yield f"{name} is not in {at[0].name if at else 'any test'}"


def main():
    by_name, tests, texts = {}, [], {}
    for path in tracked():
        by_name.setdefault(path.name, []).append(path)
        if path.name.endswith(("_test.c", "_test.py")) or "testkit" in path.name:
            tests.append(path)

    def has(paths, name):
        for path in paths or tests:
            if path not in texts:
                texts[path] = set(re.findall(r"\w+", path.read_text(errors="replace")))
            if name in texts[path]:
                return True
        return False

    faults = []
    for n, row in enumerate(PAGE.read_text().splitlines(), 1):
        faults += [f"doc/acceptance.md:{n}: {fault}" for fault in row_faults(row, by_name, has)]
    for fault in faults:
        print(fault)
    print(f"acceptance: {len(faults)} complaints" if faults else "acceptance: each test it names is there")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
