#!/usr/bin/python3
"""tools/check_style.py accepts a small tree that keeps every rule, and refuses it with one violation of each kind."""
import pathlib
import subprocess
import sys
import tempfile

CHECK = pathlib.Path(__file__).resolve().parents[2] / 'tools/check_style.py'

HEADER = '''/* heap.h - a heap. */
struct heap {
    int n;
};

/* Makes it empty. */
void heap_init(struct heap *h);
/* Takes |f| from its six inputs. */
int heap_six(int a, int b, int c, int d, int e, int (*f)(int x, int y));
int heap_len(const struct heap *h); /* nodes */
'''
SOURCE = '''#include "base/heap.h"

int heap_len(const struct heap *h)
{
    return h->n;
}
'''
GOOD = {'src/base/heap.h': HEADER, 'src/base/heap.c': SOURCE, 'include/qudag/x.h': '/* What is there. */\nint qudag_x(void);\n'}

SEVEN = 'int a, int b, int c, int d, int e, int f, int g'
# What is added to a file of the tree (a new file begins empty), and what the complaint must say; None: it is accepted.
CASES = [
    ('src/base/heap.c', f'static int seven({SEVEN})\n{{\n    return a + b + c + d + e + f + g;\n}}\n', 'seven has 7 parameters'),
    ('src/base/heap.h', f'/* Too much. */\nint heap_seven({SEVEN});\n', 'heap_seven has 7 parameters'),
    ('sim/x.c', f'int seven({SEVEN})\n{{\n    return a;\n}}\n', 'seven has 7 parameters'),
    ('src/quic/x.c', f'static int on_data(ngtcp2_conn *ng, {SEVEN})\n{{\n    return a;\n}}\n', None),
    ('src/quic/x.c', f'static int on_data(struct quic *ng, {SEVEN})\n{{\n    return a;\n}}\n', 'on_data has 8 parameters'),
    ('src/base/heap.h', '/* Not of this folder. */\nvoid pile_init(struct heap *h);\n', 'pile_init begins with no prefix of src/base'),
    ('src/base/heap.h', '/* Nor is this: a prefix ends where a word does. */\nvoid heaps(struct heap *h);\n', 'heaps begins with no prefix'),
    ('src/base/heap.h', '/* A whole name. */\nint siphash24(int x);\n', None),
    ('src/base/deeper/x.h', '/* Its row is that of the folder above. */\nint heap_x(void);\n', None),
    ('src/elsewhere/x.h', '/* No row. */\nint elsewhere_x(void);\n', 'begins with no prefix of src/elsewhere'),
    ('src/base/map.c', 'struct heap {\n    long n;\n};\n', 'struct heap is defined differently'),
    ('src/base/map.c', 'struct heap {\n    int n; /* the same */\n};\n', None),
    ('src/base/heap_test.c', 'struct heap {\n    long n;\n};\n', None),
    ('src/base/map.c', 'enum heap { HEAP };\n', None),
    ('src/base/heap.h', 'void heap_a(void);\nvoid heap_b(void);\n', 'src/base: 3 of 5 prototypes are documented'),
    ('src/base/heap.h', '/* heap.c */\nvoid heap_a(void);\n', 'src/base: 3 of 4 prototypes are documented'),
    ('src/base/heap_bed.h', 'void heap_a(void);\nvoid heap_b(void);\n', None),
    ('src/base/heap.h', 'static inline void f(void)\n{\n}\n', None),
    ('include/qudag/x.h', 'int qudag_y(void);\n', 'include: 1 of 2 prototypes are documented'),
    ('src/base/heap.c', 'static void f(void)\n{\n' + '    g();\n' * 71 + '}\n', 'f has 71 lines'),
    ('src/base/heap.c', '\n' * 1200, '1206 lines, at most 1200'),
    ('src/base/heap.c', '/* ' + 'x' * 120 + ' */\n', '126 columns'),
    ('src/base/heap.c', 'static char *p = 0;\t/* tab */\n', 'tab'),
    ('src/base/heap.c', 'static int x; \n', 'space or CR at the end'),
    ('src/base/heap.c', 'static void f(void)\n{\n    str' + 'cpy(a, b);\n}\n', 'strcpy is not used here'),
    ('src/base/heap.c', 'static long f(void)\n{\n    return time(0);\n}\n', 'time is not used here'),
    ('src/base/heap.c', '/* TO' + 'DO: more */\n', 'unfinished work'),
    ('src/base/heap.c', 'static int x;', 'no newline at the end'),
]


def refused(files):
    """what the check says of a tree of these files, None when it accepts it"""
    with tempfile.TemporaryDirectory() as top:
        for name, text in files.items():
            path = pathlib.Path(top) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        run = subprocess.run([sys.executable, CHECK, top], capture_output=True, text=True)
        if run.returncode not in (0, 1) or run.stderr:
            sys.exit(f'check_style.py broke: {run.stderr}')
        return run.stdout if run.returncode else None


def main():
    said = refused(GOOD)
    if said is not None:
        sys.exit(f'the good tree is refused: {said}')
    for name, more, complaint in CASES:
        said = refused({**GOOD, name: GOOD.get(name, '') + more})
        if (said is None) != (complaint is None) or (complaint is not None and complaint not in said):
            sys.exit(f'{name} with {more!r}: expected {complaint!r}, got {said!r}')
        if said is not None and len(said.splitlines()) != 1:
            sys.exit(f'{name} with {more!r}: more than one complaint: {said}')
    print(f'ok: {len(CASES)} cases')


main()
