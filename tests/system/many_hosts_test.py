#!/usr/bin/python3
"""24 hosts far from each other, with the settings that `qudag up` has: all that `make demo NET=yes` shows, smaller files.

TEST: timeout=240 waits

Skipped, and said so, where namespaces cannot be made.
"""
import os
import pathlib
import sys

SRC = pathlib.Path(os.environ.get('QUDAG_SRC') or pathlib.Path(__file__).resolve().parents[2])
os.execv(sys.executable, [sys.executable, str(SRC / 'tools/demo.py'), '--net', '--size', '24'])
