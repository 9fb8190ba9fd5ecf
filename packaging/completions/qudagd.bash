# bash completion for qudagd(8)

_qudagd() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}
    case $prev in
    -d | --dir) mapfile -t COMPREPLY < <(compgen -d -- "$cur") ;;
    -c | --config) mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
    -o | --passphrase-fd | --notify-fd) COMPREPLY=() ;;
    *) mapfile -t COMPREPLY < <(compgen -W '-d --dir -c --config -o --check-config --print-config --print-reference --foreground --passphrase-fd --notify-fd -V --version -h --help' -- "$cur") ;;
    esac
}
complete -o filenames -F _qudagd qudagd
