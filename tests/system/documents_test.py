#!/usr/bin/python3
"""Manual pages and completion tell what the programs know, no less."""
import json
import pathlib
import re
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from programs import QUDAG, QUDAGD, SRC, TOP, check, run  # noqa: E402


def completes(*words):
    """what the completion offers behind these words"""
    line = ' '.join(f"'{w}'" for w in ('qudag', *words, ''))
    done = subprocess.run(['bash', '-c', f'. "$1"; PATH=/nowhere; COMP_WORDS=({line}); COMP_CWORD={len(words) + 1}; _qudag; '
                           'printf "%s\\n" "${COMPREPLY[@]}"', 'x', SRC / 'packaging/completions/qudag.bash'],
                          capture_output=True, text=True, timeout=30, cwd=TOP)
    return done.stdout.split()


def completes_nothing_of_an_error():
    """a daemon that is not running is no petname"""
    for words in ('fetch', 'connect', 'send', 'name remove', 'expose status', 'dark show', 'dark client list'):
        line = f'qudag --dir {TOP}/none {words} ""'
        done = subprocess.run(['bash', '-c', f'. "$1"; PATH="$2:$PATH"; COMP_WORDS=({line}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _qudag; '
                               'printf "%s\\n" "${COMPREPLY[@]}"', 'x', SRC / 'packaging/completions/qudag.bash', QUDAG.parent],
                              capture_output=True, text=True, timeout=30, cwd=TOP)
        check(all(w.startswith('--') or w == '-o' for w in done.stdout.split()), f'{words}: {done.stdout} {done.stderr}')


def shells(name, *words):
    """zsh and fish offer what bash does; where they are installed, they read their files, too"""
    text = {shell: (SRC / 'packaging/completions' / file).read_text() for shell, file in (('zsh', '_qudag'), ('fish', 'qudag.fish'))}
    for word in words:
        long = word[2:] if word.startswith('--') else word
        kind = rf"-l {long}\b" if word.startswith('--') else rf"-s {word[1:]}\b" if word[0] == '-' else rf"-a {word}\b"
        place = "'" + (f'__qudag_n 0' if not name else f'__qudag_at {name}')
        check(re.search(rf"-n {place}\b.* {kind}", text['fish']) or re.search(rf'^complete -c qudag (-s . )?{kind}', text['fish'], re.M),
              f'qudag.fish lacks {name} {word}')
        last = name.split()[-1] if name and name != 'expose' else ''
        zsh = rf"^ +'{word}:" if word[0] != '-' else rf"^ +{last}\) .*'{word}[:']" if last else rf"[',{{]{word}[\[:'}},]"
        check(re.search(zsh, text['zsh'], re.M), f'_qudag lacks {name} {word}')


def shells_read():
    """each shell that is here takes its files"""
    folder = SRC / 'packaging/completions'
    for shell, files in (('bash', ('qudag.bash', 'qudagd.bash')), ('zsh', ('_qudag', '_qudagd')), ('fish', ('qudag.fish', 'qudagd.fish'))):
        for file in files if shutil.which(shell) else ():
            done = subprocess.run([shell, '-n', folder / file], capture_output=True, text=True, timeout=60)
            check(done.returncode == 0 and not done.stderr, f'{shell} -n {file}: {done.stderr}')
    if shutil.which('fish'):
        done = subprocess.run(['fish', '--no-config', '-c', 'source $argv[1]; complete -C "qudag --dir /tmp dht "', folder / 'qudag.fish'],
                              capture_output=True, text=True, timeout=60)
        check({'put', 'get', 'table'} <= {w.split('\t')[0] for w in done.stdout.splitlines()}, f'fish: {done.stdout}{done.stderr}')
    code, text = run(QUDAGD, '--help')
    for option in re.findall(r'--([a-z-]+)', text.split('\n\n', 1)[1]):
        for file in ('qudagd.bash', '_qudagd', 'qudagd.fish'):
            check(re.search(rf'(--|-l ){option}\b', (folder / file).read_text()), f'{file} lacks --{option}')


def options_of(*command):
    """the options of a command as the program lists them, each with the value that it takes, or ''"""
    code, text = run(QUDAG, '--dir', TOP / 'none', *command, '--no-such-option')
    found = re.search(r'has no option --no-such-option; it has (.*) \[USAGE\]', text)
    check(code == 2 and found, f'{command} takes an option that nobody knows: {code} {text}')
    return {o.partition(' ')[0]: o.partition(' ')[2] for o in found[1].split(', ') if o != 'none'}


def offers(name, words, options, text, page):
    """help, completion and page of a command have its options; and what they have besides is one of every command"""
    offered = completes(*words)
    for option, value in options.items():
        pattern = rf'(?<![\w-]){option}(?![\w-])'
        check(re.search(pattern, text), f'help of {name} lacks {option}')
        check(re.search(rf'^\.Fl {option[1:]}\b|[ (]Fl {option[1:]}\b', page, re.M), f'qudag.1 lacks {option} of {name}')
        check(option in offered, f'qudag.bash lacks {option} of {name}: {offered}')
        if value:
            for after in ((), ('--json',), ('--no-such-option',)):
                code, said = run(QUDAG, '--dir', TOP / 'none', *words, option, *(() if option == '-m' else after))
                check(code == 2 and f'{option} lacks its value: {value}' in said, f'{name} {option}: {code} {said}')
    for option in offered:
        check(option[0] != '-' or option in options or option == '--small-network', f'qudag.bash offers {option} of {name}')
    shells(name, *options)
    return len(options)


def commands_and_options():
    """every command and option of the program is in its help, the manual page and the completion"""
    page = (SRC / 'doc/qudag.1').read_text()
    items = page.split('\n.It Ic ')[1:]
    n, names = 0, []
    for c in json.loads(run(QUDAG, '--json', 'help')[1])['commands']:
        names.append(c['name'])
        text = f'{c["arguments"]}\n{c["text"]}'
        verbs = re.match(r'[a-z]+(\|[a-z]+)+(?= |$)', re.sub(r' \[N\]| NODE COMMAND', '', c['arguments']))
        shells('', c['name'])
        check(c['name'] in completes() and c['name'] in completes('help'), f'qudag.bash lacks {c["name"]}')
        for verb in verbs[0].split('|') if verbs else [None]:
            words = [c['name']] + ([verb] if verb else [])
            own = [i for i in items if re.match(rf'{c["name"]}\b', i) and (not verb or re.search(rf'\b{verb}\b', i.split('\n')[0]))]
            check(own, f'qudag.1 lacks {" ".join(words)}')
            check(not verb or verb in completes(c['name']), f'qudag.bash lacks {" ".join(words)}')
            shells(c['name'], *words[1:])
            if words not in (['help'], ['lab', 'status'], ['lab', 'down'], ['lab', 'exec']):  # they take what is no option
                behind = words + ['x'] if words == ['send'] else words
                n += offers(' '.join(words), behind, options_of(*words), text, '\n'.join(own))
    for option in re.findall(r'^ +(?:(-d), )?(--[a-z-]+)', run(QUDAG, 'help')[1], re.M):
        for o in filter(None, option):
            shells('', o)
            check(o in completes() and re.search(rf'(Fl|\|) {o[1:]}\b', page), f'qudag.bash or qudag.1 lacks {o}')
    check(n >= 18, f'only {n} options were seen')
    return names, n


def areas_of_the_log():
    """the list in logrules.c is what events in the sources begin with"""
    table = re.search(r'areas\[\] = \{(.*?)\};', (SRC / 'bin/qudagd/logrules.c').read_text(), re.S)[1]
    known, found, words = set(re.findall(r'"(\w+)"', table)), set(), set()
    for file in [*(SRC / 'src').rglob('*.c'), *(SRC / 'bin/qudagd').glob('*.c')]:
        if file.stem.endswith(('_test', '_fuzz')) or file.stem == 'logrules':
            continue
        text = file.read_text()
        for call in re.findall(r'\blog_(?:event|plain|emit|say)\s*\(([^;]*);', text):
            events = re.findall(r'"([a-z_]+(?:\.[a-z_]+)+)"', call) or re.findall(r'LOG_\w+,\s*"([a-z_]+)"', call)
            found |= {e.split('.')[0] for e in events}
        words |= {e.split('.')[0] for e in re.findall(r'"([a-z_]+(?:\.[a-z_]+)+)"', text)}
    check(len(found) > 20 and found <= known, f'logrules.c lacks areas: {found - known}')
    words |= found  # some events have no dot
    check(known <= words, f'logrules.c has areas that nothing logs: {known - words}')


def main():
    areas_of_the_log()
    completes_nothing_of_an_error()
    shells_read()
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
    code, text = run(QUDAGD, '--print-reference')
    check(code == 0 and text == (SRC / 'doc/settings.md').read_text(), 'doc/settings.md is not what qudagd --print-reference prints')
    commands, options = commands_and_options()
    check(len(commands) > 12, str(commands))
    for c in commands:
        code, text = run(QUDAG, 'help', c)
        check(code == 0 and 'example: qudag' in text and 'Exit codes' in text, f'help {c}: {text}')
    code, text = run(QUDAGD, '--help')
    page = (SRC / 'doc/qudagd.8').read_text()
    for option in re.findall(r'--([a-z-]+)', text):
        check(f'-{option}' in page, f'qudagd.8 lacks --{option}')
    print(f'ok: {len(keys)} keys, {len(commands)} commands, {options} options', flush=True)


main()
