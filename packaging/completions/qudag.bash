# bash completion for qudag(1)

# the values of a field in what a command answers: nothing where it fails, for errors have a "name", too
_qudag_says() {
    qudag "${dir[@]}" --json "${@:2}" 2>/dev/null | grep -v '^{"error"' | grep -o "\"$1\":\"[^\"]\+\"" | cut -d'"' -f4
}

_qudag() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} word cmd='' sub='' third='' ix dir=()
    for ((ix = 1; ix < COMP_CWORD; ix++)); do
        word=${COMP_WORDS[ix]}
        case $word in
        -d | --dir) ix=$((ix + 1)); dir=(--dir "${COMP_WORDS[ix]}") ;;
        -*) ;;
        *) if [ -z "$cmd" ]; then cmd=$word; elif [ -z "$sub" ]; then sub=$word; elif [ -z "$third" ]; then third=$word; fi ;;
        esac
    done
    case $prev in
    -d | --dir) mapfile -t COMPREPLY < <(compgen -d -- "$cur"); return ;;
    esac
    local words=''
    case $cmd in
    '') words='up down status connect peers peer ping dht circuit dark expose name proxy send share fetch inbox stats top report log doctor key config lab version help -d --dir --json --small-network' ;;
    up) words='--listen --bootstrap --timeout --no-wait --foreground --lab --small-network --passphrase-fd -o' ;;
    key) case $sub in
        '') words='show passphrase rotate export import' ;;
        show) words='--passphrase-fd' ;;
        passphrase) words='--remove --passphrase-fd --new-passphrase-fd' ;;
        rotate) words='onion identity --force --passphrase-fd' ;;
        export) mapfile -t COMPREPLY < <(compgen -f -W '--plain --passphrase-fd --export-passphrase-fd' -- "$cur")
            return ;;
        import) mapfile -t COMPREPLY < <(compgen -f -W '--export-passphrase-fd' -- "$cur")
            return ;;
        esac ;;
    down) words='--now' ;;
    peers) words='--wide --relays --tries --places --allowed' ;;
    peer) case $sub in
        '') words='keep release allow disallow retry reserve unreserve protect unprotect tag untag' ;;
        keep|release|allow|disallow|retry|reserve|unreserve) [ -n "$third" ] || words=$(_qudag_says peer peers) ;;
        *) words="--name $([ -n "$third" ] || _qudag_says peer peers)" ;;
        esac ;;
    stats) words='--prometheus' ;;
    doctor) words='--speed' ;;
    dht) case $sub in
        '') words='put get forget find closest provide unprovide providers records published store table' ;;
        put) words='--once --quorum' ;;
        get) words='--read --masked'; [ "$prev" = --read ] && words='first confirmed quorum paths' ;;
        esac ;;
    circuit) case $sub in
        '') words='build list close --small-network' ;;
        build) words='--hops --small-network' ;;
        esac ;;
    dark) case $sub in
        '') words='new list show publish resolve forget client authorize --small-network' ;;
        new) words='--network --direct'; [ "$prev" = --network ] && words='main test lab' ;;
        client) case $prev in
            client) words='add list remove' ;;
            add | list | remove) words=$(_qudag_says label dark list) ;;
            *) [ "$third" = remove ] && words="--all $(_qudag_says name dark client list "$prev")" ;;
            esac ;;
        authorize) words='--remove' ;;
        show | publish | resolve | forget) words=$(_qudag_says label dark list)
            [ "$sub" = forget ] && words="$words --yes"
            [ "$sub" = show ] || words="$words --small-network" ;;
        esac ;;
    expose) case $sub in
        '') words='list status remove --name --direct --force --timeout --small-network' ;;
        list) ;;
        status | remove) words=$(_qudag_says name expose list) ;;
        *) words='--name --direct --force --timeout --small-network' ;;
        esac ;;
    name) case $sub in
        '') words='add list remove' ;;
        remove) words=$(_qudag_says name name list) ;;
        esac ;;
    connect) words="--isolate $([ -n "$sub" ] || _qudag_says name name list)" ;;
    lab) [ -n "$sub" ] || words='up status down exec' ;;
    config) [ -n "$sub" ] || words='check show' ;;
    top) words='--once --interval' ;;
    report) mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        return ;;
    log) case $sub in
        '') words='list level' ;;
        level) words='all boot dark kad link log peer quic relay store transfer error warn info debug default' ;;
        esac ;;
    inbox) words='--save'; [ "$prev" = --save ] && words=$(_qudag_says name inbox) ;;
    ping) words="-c $(_qudag_says peer peers)" ;;
    send) if [ -n "$sub" ]; then
            mapfile -t COMPREPLY < <(compgen -f -W '-m --again --isolate --name --anonymous-name --small-network' -- "$cur")
            return
        fi
        words=$(_qudag_says name name list) ;;
    share) if [ "$prev" != --name ] && [ "$prev" != --timeout ]; then
            mapfile -t COMPREPLY < <(compgen -f -W '--once --name --hidden --qr --qr-svg --timeout --small-network' -- "$cur")
        fi
        return ;;
    fetch) if [ "$prev" = -o ]; then
            mapfile -t COMPREPLY < <(compgen -d -- "$cur")
            return
        fi
        words="-o --replace --small-network $(_qudag_says name name list)" ;;
    help) words='up down status connect peers peer ping dht circuit dark expose name proxy send share fetch inbox stats top report log doctor key config lab version help' ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}
complete -o filenames -o bashdefault -F _qudag qudag
