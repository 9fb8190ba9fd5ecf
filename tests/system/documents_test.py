#!/usr/bin/python3
"""Manual pages and completion tell what the programs know, no less."""
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from programs import QUDAG, QUDAGD, SRC, TOP, check, run  # noqa: E402


def main():
    code, text = run(QUDAGD, '--dir', TOP / 'x', '--print-config')
    check(code == 0, text)
    page = (SRC / 'doc/qudag.conf.5').read_text()
    keys = re.findall(r'^(\w+) =', text, re.M)
    check(len(keys) > 15, f'{len(keys)} keys')
    for part in [f'.It Cm {k}' for k in keys] + [f'.Ss Section {s}' for s in re.findall(r'^\[\w+\]', text, re.M)]:
        check(part in page, f'qudag.conf.5 lacks: {part}')
    for sentence in re.findall(r'^# (.*)$', text, re.M):
        check(sentence in page, f'qudag.conf.5 lacks: {sentence}')
    for key in re.findall(r'^\.It Cm (\w+)', page, re.M):
        check(key in keys, f'qudag.conf.5 tells of {key}, which is unknown')
    code, text = run(QUDAG, 'help')
    commands = re.findall(r'^  ([a-z]+) ', text, re.M)
    check(code == 0 and len(commands) > 12, text)
    page, completion = (SRC / 'doc/qudag.1').read_text(), (SRC / 'packaging/completions/qudag.bash').read_text()
    for c in commands:
        check(re.search(rf'\.It Ic {c}\b', page) or f'Ic {c} ' in page, f'qudag.1 lacks {c}')
        check(re.search(rf'\b{c}\b', completion), f'qudag.bash lacks {c}')
        code, text = run(QUDAG, 'help', c)
        check(code == 0 and 'example: qudag' in text and 'Exit codes' in text, f'help {c}: {text}')
    code, text = run(QUDAGD, '--help')
    page = (SRC / 'doc/qudagd.8').read_text()
    for option in re.findall(r'--([a-z-]+)', text):
        check(f'-{option}' in page, f'qudagd.8 lacks --{option}')
    print(f'ok: {len(keys)} keys, {len(commands)} commands', flush=True)


main()
