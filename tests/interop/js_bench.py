#!/usr/bin/python3
"""js-libp2p's kad-dht at the work of bench/dht_bench.c; that program starts this one.

    tests/interop/js_bench.py [--nodes N] [--finds N] [--seconds N]

Only where tests/interop/peers.py has brought the packages before (build/interop): a benchmark installs nothing.
Prints one line, see js/kadbench.js; ends with 77 and says why when there is nothing to compare with.
"""

import argparse
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
KEEP = os.path.join(os.path.dirname(os.path.dirname(HERE)), "build", "interop")
NODES = (shutil.which("node") or "", os.path.join(KEEP, "node", "node_modules", "node", "bin", "node"))
NODE_WANTED = 22


def skip(why):
    print(f"dht_bench: no js-libp2p beside it: {why}", file=sys.stderr)
    sys.exit(77)


def version_of(node):
    try:
        text = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
        return int(text.lstrip("v").split(".")[0])
    except (OSError, subprocess.CalledProcessError, ValueError):
        return 0


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--nodes", type=int, default=50)
    p.add_argument("--finds", type=int, default=8)
    p.add_argument("--seconds", type=int, default=100, help="of lookups; what is not done by then is left out")
    a = p.parse_args()
    folder = os.path.join(KEEP, "js")
    node = next((n for n in NODES if version_of(n) >= NODE_WANTED), None)
    if not os.path.exists(os.path.join(KEEP, "js.made")) or node is None:
        skip("its packages are not installed; `make test T=interop` does it")
    shutil.copy(os.path.join(HERE, "js", "kadbench.js"), folder)
    command = [node, os.path.join(folder, "kadbench.js"), str(a.nodes), str(a.finds), str(a.seconds * 1000)]
    try:
        run = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=a.seconds + 120)
    except subprocess.TimeoutExpired:
        skip(f"{a.nodes} nodes were not connected in time")
    if run.returncode != 0:
        skip(f"kadbench.js ended with {run.returncode}")
    print(run.stdout, end="")


main()
