#!/usr/bin/env python3
"""Files of one folder that call each other in a circle, by the symbols of their objects.

  tools/check_cycles.py DIR      DIR: a build folder

LIMITS has the most files a circle may have, for each folder below src; 1 is none.  They only go down.
"""
import pathlib
import subprocess
import sys

LIMITS = {"node": 1, "core/kad": 3, "swarm": 6, "quic": 4, "sec": 3, "core/dark": 3}
OTHERS = 2
DEFINED, UNDEFINED = "TDBRVWC", "U"


def symbols(obj):
    defined, wanted = set(), set()
    text = subprocess.run(["nm", "-g", str(obj)], check=True, capture_output=True, text=True).stdout
    for line in text.splitlines():
        *_, kind, name = line.split()
        if kind in DEFINED:
            defined.add(name)
        elif kind in UNDEFINED:
            wanted.add(name)
    return defined, wanted


def folders(build):
    """{folder: {file: object}} of the library's objects; meson writes '/' of a source's path as '_'"""
    top = pathlib.Path(__file__).resolve().parent.parent / "src"
    found = {}
    objects = {obj.name: obj for obj in build.glob("src/libqudag_*.a.p/*.o")}
    for source in sorted(top.rglob("*.c")):
        path = source.relative_to(top)
        obj = objects.get(str(path).replace("/", "_") + ".o")
        if obj is not None:
            found.setdefault(str(path.parent), {})[path.name] = obj
    return found


def circles(calls):
    """strongly connected sets, by Tarjan's algorithm without recursion"""
    index, low, stack, on_stack, out = {}, {}, [], set(), []
    for root in calls:
        if root in index:
            continue
        work = [(root, iter(calls[root]))]
        index[root] = low[root] = len(index)
        stack.append(root)
        on_stack.add(root)
        while work:
            node, rest = work[-1]
            for there in rest:
                if there not in index:
                    index[there] = low[there] = len(index)
                    stack.append(there)
                    on_stack.add(there)
                    work.append((there, iter(calls[there])))
                    break
                if there in on_stack:
                    low[node] = min(low[node], index[there])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    at = stack.index(node)
                    out.append(sorted(stack[at:]))
                    on_stack.difference_update(stack[at:])
                    del stack[at:]
    return out


def main():
    build = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "build/out")
    bad = n = 0
    for folder, files in folders(build).items():
        seen = {name: symbols(obj) for name, obj in files.items()}
        owner = {symbol: name for name, (defined, _) in seen.items() for symbol in defined}
        calls = {name: {owner[s] for s in wanted if s in owner and owner[s] != name} for name, (_, wanted) in seen.items()}
        limit = LIMITS.get(folder, OTHERS)
        n += len(files)
        for circle in circles(calls):
            if len(circle) > limit:
                print(f"src/{folder}: a circle of {len(circle)} files, at most {limit}: {' '.join(circle)}")
                bad += 1
    if n == 0:
        return 77
    print(f"cycles: {n} files, {bad} circles over the limit")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
