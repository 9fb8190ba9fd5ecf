# fish completion for qudag(1)

# the words before the cursor that are neither options nor the folder
function __qudag_words
    set -l skip 0
    for word in (commandline -opc)[2..-1]
        if test $skip = 1
            set skip 0
            continue
        end
        switch $word
            case -d --dir
                set skip 1
            case '-*'
            case '*'
                echo $word
        end
    end
end

# whether those words begin with the arguments
function __qudag_at
    set -l words (__qudag_words)
    test (count $words) -ge (count $argv); or return 1
    for ix in (seq (count $argv))
        test $words[$ix] = $argv[$ix]; or return 1
    end
end

# whether as many words are there
function __qudag_n
    test (count (__qudag_words)) = $argv[1]
end

complete -c qudag -f
complete -c qudag -s d -l dir -x -a '(__fish_complete_directories)' -d 'state folder'
complete -c qudag -l json -d 'one JSON document, or JSON lines'
complete -c qudag -l small-network -d 'use a network that is too small to hide anybody'

complete -c qudag -n '__qudag_n 0' -a up -d 'start the daemon and wait until it is ready'
complete -c qudag -n '__qudag_n 0' -a down -d 'stop the daemon'
complete -c qudag -n '__qudag_n 0' -a status -d 'show node identity, state and health'
complete -c qudag -n '__qudag_n 0' -a connect -d 'connect to a peer now, or to a service'
complete -c qudag -n '__qudag_n 0' -a peers -d 'list connected peers and link security'
complete -c qudag -n '__qudag_n 0' -a peer -d 'say which links are to stay'
complete -c qudag -n '__qudag_n 0' -a ping -d 'measure round trips to a peer'
complete -c qudag -n '__qudag_n 0' -a dht -d 'use the distributed hash table'
complete -c qudag -n '__qudag_n 0' -a circuit -d 'onion circuits'
complete -c qudag -n '__qudag_n 0' -a dark -d 'dark addresses'
complete -c qudag -n '__qudag_n 0' -a expose -d 'host what listens here at a dark address'
complete -c qudag -n '__qudag_n 0' -a name -d 'petnames of dark addresses'
complete -c qudag -n '__qudag_n 0' -a proxy -d 'show the proxy for browsers and other programs'
complete -c qudag -n '__qudag_n 0' -a send -d 'deliver a message or a file anonymously'
complete -c qudag -n '__qudag_n 0' -a share -d 'share a file or a folder at an address of its own'
complete -c qudag -n '__qudag_n 0' -a fetch -d 'get what somebody shares, and check it'
complete -c qudag -n '__qudag_n 0' -a inbox -d 'list or save what was received'
complete -c qudag -n '__qudag_n 0' -a stats -d 'show what the node counts and measures'
complete -c qudag -n '__qudag_n 0' -a top -d 'watch the node: links, rates, counters'
complete -c qudag -n '__qudag_n 0' -a report -d 'write a report for somebody who helps you'
complete -c qudag -n '__qudag_n 0' -a log -d 'show or change how much is logged, while the daemon runs'
complete -c qudag -n '__qudag_n 0' -a doctor -d 'check everything this node depends on'
complete -c qudag -n '__qudag_n 0' -a key -d 'look at the keys of this node, encrypt or move them'
complete -c qudag -n '__qudag_n 0' -a config -d 'check or print the configuration'
complete -c qudag -n '__qudag_n 0' -a lab -d 'run a whole test network on this machine'
complete -c qudag -n '__qudag_n 0' -a version -d 'show the version'
complete -c qudag -n '__qudag_n 0' -a help -d 'show help for a command'
complete -c qudag -n '__qudag_at help; and __qudag_n 1' -a up -d 'start the daemon and wait until it is ready'
complete -c qudag -n '__qudag_at help; and __qudag_n 1' -a down -d 'stop the daemon'
complete -c qudag -n '__qudag_at help; and __qudag_n 1' -a status -d 'show node identity, state and health'
complete -c qudag -n '__qudag_at help; and __qudag_n 1' -a connect -d 'connect to a peer now, or to a service'
complete -c qudag -n '__qudag_at help; and __qudag_n 1' -a peers -d 'list connected peers and link security'
complete -c qudag -n '__qudag_at help; and __qudag_n 1' -a peer -d 'say which links are to stay'
complete -c qudag -n '__qudag_at help; and __qudag_n 1' -a ping -d 'measure round trips to a peer'
complete -c qudag -n '__qudag_at help; and __qudag_n 1' -a dht -d 'use the distributed hash table'
complete -c qudag -n '__qudag_at help; and __qudag_n 1' -a circuit -d 'onion circuits'
complete -c qudag -n '__qudag_at help; and __qudag_n 1' -a dark -d 'dark addresses'
complete -c qudag -n '__qudag_at help; and __qudag_n 1' -a expose -d 'host what listens here at a dark address'
complete -c qudag -n '__qudag_at help; and __qudag_n 1' -a name -d 'petnames of dark addresses'
complete -c qudag -n '__qudag_at help; and __qudag_n 1' -a proxy -d 'show the proxy for browsers and other programs'
complete -c qudag -n '__qudag_at help; and __qudag_n 1' -a send -d 'deliver a message or a file anonymously'
complete -c qudag -n '__qudag_at help; and __qudag_n 1' -a share -d 'share a file or a folder at an address of its own'
complete -c qudag -n '__qudag_at help; and __qudag_n 1' -a fetch -d 'get what somebody shares, and check it'
complete -c qudag -n '__qudag_at help; and __qudag_n 1' -a inbox -d 'list or save what was received'
complete -c qudag -n '__qudag_at help; and __qudag_n 1' -a stats -d 'show what the node counts and measures'
complete -c qudag -n '__qudag_at help; and __qudag_n 1' -a top -d 'watch the node: links, rates, counters'
complete -c qudag -n '__qudag_at help; and __qudag_n 1' -a report -d 'write a report for somebody who helps you'
complete -c qudag -n '__qudag_at help; and __qudag_n 1' -a log -d 'show or change how much is logged, while the daemon runs'
complete -c qudag -n '__qudag_at help; and __qudag_n 1' -a doctor -d 'check everything this node depends on'
complete -c qudag -n '__qudag_at help; and __qudag_n 1' -a key -d 'look at the keys of this node, encrypt or move them'
complete -c qudag -n '__qudag_at help; and __qudag_n 1' -a config -d 'check or print the configuration'
complete -c qudag -n '__qudag_at help; and __qudag_n 1' -a lab -d 'run a whole test network on this machine'
complete -c qudag -n '__qudag_at help; and __qudag_n 1' -a version -d 'show the version'
complete -c qudag -n '__qudag_at help; and __qudag_n 1' -a help -d 'show help for a command'

complete -c qudag -n '__qudag_at up' -l listen -x -d 'ADDR'
complete -c qudag -n '__qudag_at up' -l bootstrap -x -d 'ADDR'
complete -c qudag -n '__qudag_at up' -s o -x -d 'SECTION.KEY=VALUE'
complete -c qudag -n '__qudag_at up' -l timeout -x -d 'S'
complete -c qudag -n '__qudag_at up' -l no-wait
complete -c qudag -n '__qudag_at up' -l foreground
complete -c qudag -n '__qudag_at up' -l lab
complete -c qudag -n '__qudag_at up' -l passphrase-fd -x -d 'N'

complete -c qudag -n '__qudag_at connect' -l isolate -x -d 'KEY'

complete -c qudag -n '__qudag_at down' -l now

complete -c qudag -n '__qudag_at peers' -l relays
complete -c qudag -n '__qudag_at peers' -l tries
complete -c qudag -n '__qudag_at peers' -l places
complete -c qudag -n '__qudag_at peers' -l wide
complete -c qudag -n '__qudag_at peers' -l allowed

complete -c qudag -n '__qudag_at peer; and __qudag_n 1' -a keep -d 'a link with it stands at all times'
complete -c qudag -n '__qudag_at peer; and __qudag_n 1' -a release -d 'no longer'
complete -c qudag -n '__qudag_at peer; and __qudag_n 1' -a allow -d 'what it sends goes into the inbox'
complete -c qudag -n '__qudag_at peer; and __qudag_n 1' -a disallow -d 'no longer'
complete -c qudag -n '__qudag_at peer; and __qudag_n 1' -a retry -d 'forget what failed, and dial again'
complete -c qudag -n '__qudag_at peer; and __qudag_n 1' -a reserve -d 'have a place kept at a circuit relay'
complete -c qudag -n '__qudag_at peer; and __qudag_n 1' -a unreserve -d 'no longer'
complete -c qudag -n '__qudag_at peer; and __qudag_n 1' -a protect -d 'its links are never closed for being too many or idle'
complete -c qudag -n '__qudag_at peer; and __qudag_n 1' -a unprotect -d 'it may be closed again'
complete -c qudag -n '__qudag_at peer; and __qudag_n 1' -a tag -d 'add to the value of its links'
complete -c qudag -n '__qudag_at peer; and __qudag_n 1' -a untag -d 'no longer'
complete -c qudag -n '__qudag_at peer protect' -l name -x -d 'NAME'
complete -c qudag -n '__qudag_at peer unprotect' -l name -x -d 'NAME'
complete -c qudag -n '__qudag_at peer tag' -l name -x -d 'NAME'
complete -c qudag -n '__qudag_at peer untag' -l name -x -d 'NAME'

complete -c qudag -n '__qudag_at ping' -s c -x -d 'N'

complete -c qudag -n '__qudag_at dht; and __qudag_n 1' -a put -d 'publish a value until it is forgotten'
complete -c qudag -n '__qudag_at dht; and __qudag_n 1' -a get -d 'read a value'
complete -c qudag -n '__qudag_at dht; and __qudag_n 1' -a forget -d 'stop republishing it'
complete -c qudag -n '__qudag_at dht; and __qudag_n 1' -a find -d 'find the addresses of a peer'
complete -c qudag -n '__qudag_at dht; and __qudag_n 1' -a closest -d 'list the peers closest to a key'
complete -c qudag -n '__qudag_at dht; and __qudag_n 1' -a provide -d 'announce that this node has CONTENT'
complete -c qudag -n '__qudag_at dht; and __qudag_n 1' -a unprovide -d 'stop announcing it'
complete -c qudag -n '__qudag_at dht; and __qudag_n 1' -a providers -d 'list who announces it'
complete -c qudag -n '__qudag_at dht; and __qudag_n 1' -a records -d 'list what this node stores for others'
complete -c qudag -n '__qudag_at dht; and __qudag_n 1' -a published -d 'list what this node publishes'
complete -c qudag -n '__qudag_at dht; and __qudag_n 1' -a store -d 'show what is persisted on disk, in numbers'
complete -c qudag -n '__qudag_at dht; and __qudag_n 1' -a table -d 'list the peers of the routing table'
complete -c qudag -n '__qudag_at dht put' -l once
complete -c qudag -n '__qudag_at dht put' -l quorum -x -d 'N'
complete -c qudag -n '__qudag_at dht get' -l masked
complete -c qudag -n '__qudag_at dht get' -l read -x -a 'first confirmed quorum paths'

complete -c qudag -n '__qudag_at circuit; and __qudag_n 1' -a build -d 'build a circuit of randomly chosen relays'
complete -c qudag -n '__qudag_at circuit; and __qudag_n 1' -a list -d 'list own circuits'
complete -c qudag -n '__qudag_at circuit; and __qudag_n 1' -a close -d 'close an own circuit'
complete -c qudag -n '__qudag_at circuit build' -l hops -x -d 'N'

complete -c qudag -n '__qudag_at dark; and __qudag_n 1' -a new -d 'create keys and an address of this node'
complete -c qudag -n '__qudag_at dark; and __qudag_n 1' -a list -d 'list the addresses of this node'
complete -c qudag -n '__qudag_at dark; and __qudag_n 1' -a show -d 'what is known of one of them'
complete -c qudag -n '__qudag_at dark; and __qudag_n 1' -a publish -d 'let others find it, until it is forgotten'
complete -c qudag -n '__qudag_at dark; and __qudag_n 1' -a resolve -d 'fetch and check its record through a circuit'
complete -c qudag -n '__qudag_at dark; and __qudag_n 1' -a forget -d 'withdraw its record and destroy its keys'
complete -c qudag -n '__qudag_at dark; and __qudag_n 1' -a client -d 'who may call it: add, list, remove'
complete -c qudag -n '__qudag_at dark; and __qudag_n 1' -a authorize -d 'use the key that the owner of an address gave'
complete -c qudag -n '__qudag_at dark new' -l network -x -a 'main test lab'
complete -c qudag -n '__qudag_at dark new' -l direct
complete -c qudag -n '__qudag_at dark forget' -l yes
complete -c qudag -n '__qudag_at dark authorize' -l remove

complete -c qudag -n '__qudag_at expose; and __qudag_n 1' -a list -d 'list the services of this node'
complete -c qudag -n '__qudag_at expose; and __qudag_n 1' -a status -d 'what is known of one'
complete -c qudag -n '__qudag_at expose; and __qudag_n 1' -a remove -d 'end it; its address stays'
complete -c qudag -n '__qudag_at expose' -l name -x -d 'NAME'
complete -c qudag -n '__qudag_at expose' -l force
complete -c qudag -n '__qudag_at expose' -l direct
complete -c qudag -n '__qudag_at expose' -l timeout -x -d 'S'

complete -c qudag -n '__qudag_at name; and __qudag_n 1' -a add -d 'give an address a name'
complete -c qudag -n '__qudag_at name; and __qudag_n 1' -a list -d 'list them'
complete -c qudag -n '__qudag_at name; and __qudag_n 1' -a remove -d 'take one away'

complete -c qudag -n '__qudag_at send' -s m -x -d 'TEXT'
complete -c qudag -n '__qudag_at send' -l again
complete -c qudag -n '__qudag_at send' -l isolate -x -d 'KEY'
complete -c qudag -n '__qudag_at send' -l name -x -d 'NAME'
complete -c qudag -n '__qudag_at send' -l anonymous-name
complete -c qudag -n '__qudag_at send' -F

complete -c qudag -n '__qudag_at share' -l once
complete -c qudag -n '__qudag_at share' -l qr
complete -c qudag -n '__qudag_at share' -l qr-svg -r -F -d 'FILE'
complete -c qudag -n '__qudag_at share' -l name -x -d 'NAME'
complete -c qudag -n '__qudag_at share' -l hidden
complete -c qudag -n '__qudag_at share' -l timeout -x -d 'S'
complete -c qudag -n '__qudag_at share' -F

complete -c qudag -n '__qudag_at fetch' -s o -x -a '(__fish_complete_directories)' -d 'DIR'
complete -c qudag -n '__qudag_at fetch' -l replace

complete -c qudag -n '__qudag_at inbox' -l save
complete -c qudag -n '__qudag_at inbox' -F

complete -c qudag -n '__qudag_at stats' -l prometheus
complete -c qudag -n '__qudag_at doctor' -l speed

complete -c qudag -n '__qudag_at top' -l once
complete -c qudag -n '__qudag_at top' -l interval -x -d 'S'

complete -c qudag -n '__qudag_at report' -F

complete -c qudag -n '__qudag_at log; and __qudag_n 1' -a list -d 'the level of all areas'
complete -c qudag -n '__qudag_at log; and __qudag_n 1' -a level -d 'the level of an area, or of all'
complete -c qudag -n '__qudag_at log level; and __qudag_n 2' -a 'all boot dark kad link log peer quic relay store transfer'
complete -c qudag -n '__qudag_at log level; and __qudag_n 3' -a 'error warn info debug default'

complete -c qudag -n '__qudag_at key; and __qudag_n 1' -a show -d 'names, ages, what is encrypted'
complete -c qudag -n '__qudag_at key; and __qudag_n 1' -a passphrase -d 'encrypt all secret keys, or change the passphrase'
complete -c qudag -n '__qudag_at key; and __qudag_n 1' -a rotate -d 'replace the onion key of the relay, or the ML-DSA key of the node'
complete -c qudag -n '__qudag_at key; and __qudag_n 1' -a export -d 'all that makes this node, in one file'
complete -c qudag -n '__qudag_at key; and __qudag_n 1' -a import -d 'into an empty folder'
complete -c qudag -n '__qudag_at key show' -l passphrase-fd -x -d 'N'
complete -c qudag -n '__qudag_at key passphrase' -l remove
complete -c qudag -n '__qudag_at key passphrase' -l passphrase-fd -x -d 'N'
complete -c qudag -n '__qudag_at key passphrase' -l new-passphrase-fd -x -d 'N'
complete -c qudag -n '__qudag_at key rotate; and __qudag_n 2' -a 'onion identity'
complete -c qudag -n '__qudag_at key rotate' -l force
complete -c qudag -n '__qudag_at key rotate' -l passphrase-fd -x -d 'N'
complete -c qudag -n '__qudag_at key export' -l plain
complete -c qudag -n '__qudag_at key export' -l passphrase-fd -x -d 'N'
complete -c qudag -n '__qudag_at key export' -l export-passphrase-fd -x -d 'N'
complete -c qudag -n '__qudag_at key export' -F
complete -c qudag -n '__qudag_at key import' -l export-passphrase-fd -x -d 'N'
complete -c qudag -n '__qudag_at key import' -F

complete -c qudag -n '__qudag_at config; and __qudag_n 1' -a check -d 'say what is wrong with it'
complete -c qudag -n '__qudag_at config; and __qudag_n 1' -a show -d 'print what is in force'
complete -c qudag -n '__qudag_at config check' -F
complete -c qudag -n '__qudag_at config show' -F

complete -c qudag -n '__qudag_at lab; and __qudag_n 1' -a up -d 'start daemons on loopback'
complete -c qudag -n '__qudag_at lab; and __qudag_n 1' -a status -d 'show all of them'
complete -c qudag -n '__qudag_at lab; and __qudag_n 1' -a down -d 'stop them; their folders stay'
complete -c qudag -n '__qudag_at lab; and __qudag_n 1' -a exec -d 'run a command at one of them'
