#!/usr/bin/python3
"""What there is to build, found by looking at the tree: meson.build asks here, so adding a file needs no edit.

    tools/sources.py            one row per thing to build, fields split by '|', lists by ','
    tools/sources.py --mark     a fingerprint of these rows; when it changes the build is configured anew

Where a file lies and how its name ends says what it is:

    src/F/X.c                   library source of folder F (F has a DEPS file); sim/X.c likewise
    src/F/X_x86.c               the same with AES/SSE instructions allowed; x86-64 only
    src/F/X_x86_avx2.c          ... and AVX2, VAES, VPCLMULQDQ; X_x86_avx512.c: and AVX-512
    src/F/X_awslc.c             the same over AWS-LC, whose headers stand in the place of OpenSSL's; with fastcrypto only
    src/F/X_fast.c              with fastcrypto only
    src/F/X_test.c              unit test (own main, cmocka), linked with F and what F's DEPS reach
    src/F/X_fuzz.c              fuzz target X: LLVMFuzzerTestOneInput; seeds in tests/corpus/X
    bin/P/*.c                   program P, with bin/common/*.c; sees the public library only
    bin/P/X_test.c, X_fuzz.c    its unit test and fuzz target, linked with all of P but main.c
    bench/X_bench.c             benchmark; other bench/*.c are linked into each
    tests/D/X_test.c            test of the whole library, linked with the other *.c of D; tests/api sees the public one,
                                tests/netlab the simulator's, too
    tests/D/X_main.c            program that scripts there use, linked with the same: tests/D_X in the build folder
    tests/D/X_test.{sh,py}      script; gets QUDAG_SRC and QUDAG_BUILD; exit 77 means skipped
    examples/X.c                compiled against the installed library

A test may say in its first 40 lines: "TEST: timeout=SECONDS WORD" (either one; WORD is waits: it sleeps more than it
computes, so that many can run beside each other, or serial: never beside another test).
"""
import hashlib
import os
import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent
NOTE = re.compile(r'TEST:\s*((?:(?:timeout=\d+|waits|serial)\b\s*)+)')


def rel(path):
    return path.relative_to(TOP).as_posix()


def files(folder, pattern):
    return sorted(p for p in (TOP / folder).glob(pattern) if p.is_file() and not p.name.startswith('.'))


def names(paths, root=''):
    """as seen from root, the folder whose meson.build uses them"""
    return ','.join(os.path.relpath(p, TOP / root) for p in paths)


def note(path, timeout):
    """timeout, and 'waits', 'serial' or '', as the head of a test file asks"""
    head = '\n'.join(path.read_text(errors='replace').splitlines()[:40])
    kind = ''
    for m in NOTE.finditer(head):
        for word in m.group(1).split():
            if word.startswith('timeout='):
                timeout = int(word.split('=')[1])
            else:
                kind = word
    return f'{timeout}|{kind}'


def deps_of_folders():
    """{folder: direct folder deps}; src folders by their path below src, the simulator as 'sim'"""
    graph = {}
    for root in ('src', 'sim'):
        for path in (TOP / root).rglob('DEPS'):
            folder = path.parent.relative_to(TOP / 'src' if root == 'src' else TOP).as_posix()
            lines = (line.split('#')[0].strip() for line in path.read_text().splitlines())
            graph[folder] = [line for line in lines if line and not line.startswith('<')]
    known = list(graph)
    for path in (TOP / 'src').rglob('*.c'):
        folder = path.parent.relative_to(TOP / 'src').as_posix()
        if folder not in graph:  # no DEPS: let it build; check_layers.py complains
            graph[folder] = known
    return graph


def in_order(graph):
    """folders, each after all it depends on; [(folder, everything it reaches)]"""
    reach, order, busy = {}, [], set()

    def visit(folder):
        if folder in reach or folder in busy:
            return
        busy.add(folder)
        below = []
        for dep in graph.get(folder, ()):
            visit(dep)
            below += [dep] + reach.get(dep, [])
        reach[folder] = list(dict.fromkeys(d for d in below if d in graph and d != folder))
        order.append(folder)

    for folder in sorted(graph):
        visit(folder)
    return [(folder, reach[folder]) for folder in order]


def library_rows():
    for folder, below in in_order(deps_of_folders()):
        where = folder if folder == 'sim' else f'src/{folder}'
        all_c = files(where, '*.c')
        tests = [p for p in all_c if p.name.endswith('_test.c')]
        fuzz = [p for p in all_c if p.name.endswith('_fuzz.c')]
        code = [p for p in all_c if p not in tests and p not in fuzz]
        avx512 = [p for p in code if p.name.endswith('_x86_avx512.c')]
        avx2 = [p for p in code if p.name.endswith('_x86_avx2.c')]
        x86 = [p for p in code if p.name.endswith('_x86.c')]
        awslc = [p for p in code if p.name.endswith('_awslc.c')]
        fast = [p for p in code if p.name.endswith('_fast.c')]
        plain = [p for p in code if p not in avx512 + avx2 + x86 + awslc + fast]
        kinds = '|'.join(names(kind, 'src') for kind in (plain, x86, avx2, avx512, awslc, fast))
        yield f'lib|{folder}|{",".join(below)}|{kinds}'
        for p in tests:
            yield f'unit|{folder}|{p.stem.removesuffix("_test")}|{names([p], "src")}|{note(p, 60)}'
        for p in fuzz:
            yield f'fuzz|{folder}|{p.stem.removesuffix("_fuzz")}|{names([p], "src")}|{note(p, 120)}'


def program_rows():
    common = [p for p in files('bin/common', '*.c') if not p.name.endswith(('_test.c', '_fuzz.c'))]
    for p in files('bin/common', '*_test.c'):
        yield f'bintest|common|{p.stem.removesuffix("_test")}|{names([p] + common, "bin")}|{note(p, 60)}'
    for p in files('bin/common', '*_fuzz.c'):
        yield f'binfuzz|common|{p.stem.removesuffix("_fuzz")}|{names([p] + common, "bin")}|{note(p, 120)}'
    for folder in sorted(p for p in (TOP / 'bin').glob('*') if p.is_dir() and p.name != 'common'):
        tests = files(rel(folder), '*_test.c')
        fuzz = files(rel(folder), '*_fuzz.c')
        code = [p for p in files(rel(folder), '*.c') if p not in tests and p not in fuzz]
        if any(p.name == 'main.c' for p in code) or len(code) == 1:
            yield f'bin|{folder.name}|{names(code + common, "bin")}'
        rest = [p for p in code if p.name != 'main.c']
        for p in tests:
            name = p.stem.removesuffix('_test')
            yield f'bintest|{folder.name}|{name}|{names([p] + rest + common, "bin")}|{note(p, 60)}'
        for p in fuzz:
            name = p.stem.removesuffix('_fuzz')
            yield f'binfuzz|{folder.name}|{name}|{names([p] + rest + common, "bin")}|{note(p, 120)}'


def test_rows():
    for p in sorted((TOP / 'tests').rglob('*_test.*')):
        where = p.parent.relative_to(TOP / 'tests').as_posix()
        name = ('' if where == '.' else where + '/') + p.stem.removesuffix('_test')
        if p.suffix == '.c':
            help_c = [q for q in files(rel(p.parent), '*.c') if not q.name.endswith(('_test.c', '_main.c'))] if where != '.' else []
            sees = {'api': 'public', 'netlab': 'sim'}.get(where.split('/')[0], '')
            yield f'ctest|{name}|{sees}|{names([p] + help_c, "tests")}|{note(p, 120)}'
        elif p.suffix in ('.sh', '.py'):
            yield f'script|{name}|{p.suffix[1:]}|{names([p], "tests")}|{note(p, 300)}'


def helper_rows():
    for p in sorted((TOP / 'tests').rglob('*_main.c')):
        where = p.parent.relative_to(TOP / 'tests').as_posix()
        rest = [q for q in files(rel(p.parent), '*.c') if not q.name.endswith(('_test.c', '_main.c'))]
        yield f'helper|{where}/{p.stem.removesuffix("_main")}|{names([p] + rest, "tests")}'


def rows():
    yield from library_rows()
    yield f'header|{names(files("include/qudag", "*.h"), "include/qudag")}'
    yield from program_rows()
    bench = [p for p in files('bench', '*.c')]
    rest = [p for p in bench if not p.name.endswith('_bench.c')]
    for p in bench:
        if p.name.endswith('_bench.c'):
            yield f'bench|{p.stem}|{names([p] + rest, "bench")}'
    yield from helper_rows()
    yield from test_rows()
    yield f'example|{names(files("examples", "*.c"))}'
    yield f'man|{names(p for n in range(1, 9) for p in files("doc", f"*.{n}"))}'


def main():
    text = '\n'.join(rows())
    print(hashlib.sha256(text.encode()).hexdigest() if '--mark' in sys.argv else text)


main()
