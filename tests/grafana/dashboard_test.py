#!/usr/bin/python3
"""The dashboard is one as Grafana's own types have it: the library that Grafana generates from its schemas
(grafana-foundation-sdk, Apache-2.0) reads it strictly, panels and queries included; and what is not one it refuses.

TEST: timeout=300 waits

Skipped, and said so, where there is no Go, or its module cannot be had.
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
SRC = pathlib.Path(os.environ.get('QUDAG_SRC') or HERE.parents[1])
DASHBOARD = SRC / 'packaging/grafana/qudag.json'
SKIP = 77
GET_S, RUN_S = 100, 150


def skip(why):
    print(f'SKIP: {why}')
    sys.exit(SKIP)


def spoiled(folder):
    """dashboards that are none, each with what is said of it"""
    def another(name, change):
        board = json.loads(DASHBOARD.read_text())
        change(board)
        file = folder / f'{name}.json'
        file.write_text(json.dumps(board))
        return file

    def filled(board):
        return next(p for p in board['panels'] if p.get('targets'))

    yield another('field', lambda b: b.update(unheard_of=1)), 'unexpected field'
    yield another('type', lambda b: b['panels'][1]['gridPos'].update(w='wide')), 'gridPos.w'
    yield another('query', lambda b: filled(b)['targets'][0].update(exprr='up')), "unexpected field 'exprr'"
    yield another('option', lambda b: filled(b)['options'].pop('reduceOptions')), 'reduceOptions'


def main():
    go = shutil.which('go')
    if go is None:
        skip('there is no go')
    with tempfile.TemporaryDirectory(prefix='qudag-grafana-') as top:
        folder = pathlib.Path(top)
        for name in ('main.go', 'go.mod', 'go.sum'):
            shutil.copy(HERE / name, folder)
        env = {**os.environ, 'GOFLAGS': '-mod=readonly', 'GOTOOLCHAIN': 'local'}
        try:
            got = subprocess.run([go, 'mod', 'download'], cwd=folder, env=env, capture_output=True, text=True, timeout=GET_S)
        except subprocess.TimeoutExpired:
            skip(f'the module of Grafana did not come within {GET_S} s')
        if got.returncode != 0:
            skip(f'the module of Grafana cannot be had: {(got.stderr.strip().splitlines() or ["?"])[-1][:200]}')
        bad = list(spoiled(folder))
        out = []
        for file in [DASHBOARD, *(file for file, _ in bad)]:
            ran = subprocess.run([go, 'run', '.', str(file)], cwd=folder, env=env, capture_output=True, text=True, timeout=RUN_S)
            if ran.returncode != 0:
                sys.exit(f'FAILED: the reader: {ran.stderr}')
            out.append(ran.stdout)
        if out[0] != 'ok\n':
            sys.exit(f'FAILED: {DASHBOARD}: {out[0]}')
        for (file, words), said in zip(bad, out[1:]):
            if words not in said:
                sys.exit(f'FAILED: {file.name} is refused by: {said}')
    print(f'ok: the dashboard is one to Grafana\'s own types, and {len(bad)} others are not', flush=True)


main()
