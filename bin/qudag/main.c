/*
 * main.c - qudag: one table of subcommands; options may stand before and after the subcommand.
 * qudag(1) describes it.
 */
#include "operate.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const struct sub subs[] = {
    {"up",
     "[--listen ADDR] [--bootstrap ADDR] [-o SECTION.KEY=VALUE] [--lab] [--timeout S] [--no-wait] "
     "[--foreground] [--small-network] [--passphrase-fd N]",
     "start the daemon and wait until it is ready",
     "Creates identity and configuration if the folder has none, starts qudagd in the background "
     "and\n"
     "shows how it joins the network.  There is no public network: --bootstrap names a node to "
     "join\n"
     "(the line \"bootstrap\" of its status); without one the node is alone until others join it.\n"
     "Options go into a new qudag.conf; with an existing one they count for this start only.\n"
     "--timeout: seconds to wait (60); the daemon runs on.  Further options: -o "
     "SECTION.KEY=VALUE,\n"
     "--lab (a test network without anonymity).  --small-network: circuits although the network "
     "is\n"
     "too small to hide anybody; remembered.  --passphrase-fd N: read the passphrase of encrypted "
     "keys\n"
     "from that descriptor; without it the terminal is asked.\n",
     "qudag up --bootstrap /ip4/192.0.2.7/udp/4433/quic-v1/p2p/12D3Koo...", run_up},
    {"down", "[--now]", "stop the daemon",
     "Nothing new is taken, and what runs (transfers, connections, requests) gets the time that\n"
     "[node] shutdown_s says, 10 s; it ends as soon as nothing runs.  --now waits for nothing.\n",
     "qudag down", run_down},
    {"status", "", "show node identity, state and health",
     "Health: ok, starting, alone (no bootstrap peers configured, no links), isolated (it has "
     "lost\n"
     "all links), unsaved (the disk is full or fails), no-udp (the network lets no UDP through: "
     "no\n"
     "circuits), failed (no bootstrap peer answered).  The last four exit with 5.\n",
     "qudag status --json", run_status},
    {"connect", "MULTIADDR | PEER | ADDRESS PORT [--isolate KEY]",
     "connect to a peer now, or to a service",
     "MULTIADDR: also when earlier attempts failed and the daemon waits before the next one.\n"
     "PEER, a peer id: it is looked for, and connected to over a relay where it must be.\n"
     "ADDRESS PORT: standard input and output go to that port of a dark address, or of a petname\n"
     "as blog.dark, until the service ends; half of the connection may end first.  For ssh:\n"
     "  ssh -o ProxyCommand='qudag connect %h %p' user@blog.dark\n"
     "--isolate KEY: no circuit is shared with connections that have another key, or none.\n",
     "qudag connect /ip4/192.0.2.7/udp/4433/quic-v1/p2p/12D3Koo...", run_connect},
    {"peers", "[--wide | --relays | --tries | --places | --allowed]",
     "list connected peers and link security",
     "--wide shows all that is known of each link, whole peer ids and addresses: what was "
     "negotiated\n"
     "and proven; STANDING says which places for links it takes, VALUE what it is worth: the "
     "lowest go\n"
     "first where there are too many (qudag help peer).  --json has all of it in either case.\n"
     "--relays lists the relays whose descriptors are known.\n"
     "--tries lists kept peers, and peers and networks that are not dialled for a while because\n"
     "dials failed, with when the next try is made.\n"
     "--places lists the circuit relays at which places are kept for this node, and where others\n"
     "reach it through them.  THROUGH names the relay of a relayed link, LIMITED (--wide) that "
     "the\n"
     "relay ends it after some bytes or time.\n"
     "--allowed lists the peers that may send to this node's peer id (qudag peer allow).\n",
     "qudag peers", run_peers},
    {"peer",
     "keep|release PEER | allow|disallow PEER | retry [PEER] | reserve|unreserve RELAY | "
     "protect|unprotect|untag PEER "
     "[--name NAME] | tag PEER WEIGHT [--name NAME]",
     "say which links are to stay",
     "PEER is a peer id or a multiaddr; it need not be linked.  What keep keeps is kept after a\n"
     "restart, too, until release.\n"
     "  keep PEER          a link with it stands at all times: it is dialled again after each "
     "loss;\n"
     "                     release PEER: no longer\n"
     "  allow PEER         what it sends to this node's peer id (qudag send) goes into the inbox, "
     "over\n"
     "                     restarts, too; disallow PEER: no longer.  The node can be looked for "
     "then\n"
     "  retry [PEER]       forget what failed: it, or everybody, may be dialled now\n"
     "  reserve RELAY      have a place kept at a circuit relay, so that peers who cannot dial "
     "this\n"
     "                     node reach it there; unreserve RELAY: no longer\n"
     "  protect PEER       no link with it is closed because there are too many, or for being "
     "idle;\n"
     "                     unprotect PEER: it may be again\n"
     "  tag PEER WEIGHT    add -1000 to 1000 to the value of its links; untag PEER: no longer\n"
     "Above links_high those of the lowest value are closed, never one with a request under way.\n"
     "--name NAME (user): several programs can each say something; a peer is protected as long as\n"
     "one name protects it.  Protection and weights are forgotten when the daemon stops.\n",
     "qudag peer protect 12D3Koo... --name backup", run_peer},
    {"ping", "PEER|MULTIADDR [-c N]", "measure round trips to a peer",
     "Sends N pings (3), one after the other, and counts those that were not answered.  Says over\n"
     "which path: directly, or over which circuit relay and why still; while it is a relay, one "
     "ping\n"
     "a second, so that the change to a direct path is seen.\n",
     "qudag ping 12D3Koo... -c 5", run_ping},
    {"dht", "put|get|forget|find|closest|provide|unprovide|providers|records|published|store|table",
     "use the distributed hash table",
     "  put KEY VALUE      publish a value until it is forgotten; KEY without / means /app/KEY\n"
     "                     --once: do not republish it; --quorum N: nodes that must store it\n"
     "  get KEY            read a value; --read first|confirmed|quorum|paths: read consistency;\n"
     "                     --masked: nodes on the way see only a prefix of the key\n"
     "  forget KEY         stop republishing it\n"
     "  find PEER          find the addresses of a peer, given by its peer id (12D3Koo...)\n"
     "  closest KEY        list the peers closest to a key\n"
     "  provide CONTENT    announce that this node has CONTENT; unprovide CONTENT: stop\n"
     "  providers CONTENT  list the peers that have it\n"
     "  records            list what this node stores for others\n"
     "  published          list what this node publishes, and when it is republished\n"
     "  store              show what is persisted on disk, in numbers\n"
     "  table              list the peers of the routing table\n",
     "qudag dht put greeting hello", run_dht},
    {"circuit", "build|list|close [--small-network]", "onion circuits",
     "  build [--hops N]   build a circuit of randomly chosen relays\n"
     "  list               list own circuits, and what is known of those this node relays\n"
     "  close CIRCUIT      close an own circuit; CIRCUIT as in the list\n"
     "Where fewer than 60 relays in 20 networks are known, circuits hide nobody, and are refused\n"
     "unless --small-network is given once.\n",
     "qudag circuit build --hops 3", run_circuit},
    {"dark", "new|list|show|publish|resolve|forget|client|authorize [--small-network]",
     "dark addresses",
     "ADDR is a dark address; for those of this node, its label will do.\n"
     "  new [LABEL]        create keys and an address of this node, of the hidden kind: nobody "
     "learns\n"
     "                     where it leads to; [--network main|test|lab]\n"
     "                     [--direct]: quicker, but whoever has it can find out this machine's\n"
     "                     network address\n"
     "  list               list the addresses of this node\n"
     "  show ADDR          what is known of one of them: created, last used, callers\n"
     "  publish ADDR       let others find it, until it is forgotten\n"
     "  resolve ADDR       fetch and check its record through a circuit\n"
     "  forget ADDR        withdraw its record and destroy its keys; asks first, or --yes\n"
     "  client add ADDR NAME      only clients may call it from now on, NAME too; shows his key,\n"
     "                            once: give it to him with the address\n"
     "  client list ADDR          list them\n"
     "  client remove ADDR NAME   he may call no longer, and all callers are cut off; --all\n"
     "                            instead of NAME: anybody who has the address may call\n"
     "  authorize ADDR KEY        use the key that the owner of ADDR gave; -: read it from\n"
     "                            standard input; --remove instead of KEY: forget it\n",
     "qudag dark new mailbox", run_dark},
    {"expose",
     "VIRTUAL[:TARGET]... [--name NAME] [--direct] [--force] [--timeout S] | list|status|remove "
     "[--small-network]",
     "host what listens here at a dark address",
     "Makes a dark address, publishes it, and passes its callers on to TARGET: ADDRESS:PORT, a "
     "PORT "
     "of\n"
     "127.0.0.1, or unix:/PATH; without TARGET to the same port of 127.0.0.1.  It lasts over "
     "restarts.\n"
     "  --name NAME        its name here (service-PORT); given again, that service is changed\n"
     "  --direct           a new address hides callers but not this machine: whoever has it can "
     "find "
     "out\n"
     "                     this machine's network address.  Without it nobody learns where the "
     "service is\n"
     "  --force            targets on other machines, which their network sees and callers reach\n"
     "  --timeout S        how long to wait until the address is published (60)\n"
     "  list               list the services of this node\n"
     "  status NAME        what is known of one: callers, bytes, problems\n"
     "  remove NAME        end it; its address stays: qudag dark forget NAME destroys the keys\n",
     "qudag expose 80:127.0.0.1:8080 --name blog", run_expose},
    {"name", "add|list|remove", "petnames of dark addresses",
     "  add NAME ADDRESS   give an address a name: letters a-z, digits and '-'\n"
     "  list               list them\n"
     "  remove NAME        take one away\n"
     "NAME.dark stands for the address in the proxy and in every command that takes one.  Names "
     "are\n"
     "kept in the state folder and mean nothing on other machines.\n",
     "qudag name add blog uq6c...l5dq.4yza...smqd.dark", run_name},
    {"proxy", "", "show the proxy for browsers and other programs",
     "SOCKS5 and HTTP on one port of this machine (127.0.0.1:9350; in a lab any free one): set it "
     "as\n"
     "SOCKS5 proxy of a browser, with names looked up by the proxy, and open a .dark address.\n"
     "  curl --proxy socks5h://127.0.0.1:9350 http://blog.dark/\n"
     "Only .dark addresses and petnames are served.  Every user of this machine can use the port.\n"
     "Connections with different user names or passwords share no circuit.\n",
     "qudag proxy", run_proxy},
    {"send",
     "ADDRESS|PEER (-m TEXT | FILE [--again] [--name NAME | --anonymous-name]) "
     "[--isolate KEY] [--small-network]",
     "deliver a message or a file, to a dark address anonymously",
     "To a PEER, given by its peer id (12D3Koo...), it is not anonymous: it goes over links, at "
     "first\n"
     "through a circuit relay where the peer is behind a router, then directly; the peer must "
     "allow\n"
     "it: there, qudag peer allow, with the peer id of this node.\n"
     "Succeeds only if the recipient has computed the same BLAKE3 hash.  A transfer that was cut "
     "off\n"
     "resumes when the same file is sent again within a day; with --again all of it is sent.  -m - "
     "reads the message\n"
     "from standard input (at most 32768 bytes); files cannot come from standard input.\n"
     "The recipient sees the name of the file, without its folder, unless --name gives another "
     "one\n"
     "or --anonymous-name none: then it is called file, with what its name ends in.\n"
     "Each delivery has a circuit of its own, so that the recipient cannot tell that two come "
     "from\n"
     "the same sender; those with the same KEY share one for ten minutes.\n"
     "--small-network: although the network is too small to hide anybody; remembered.\n",
     "qudag send abc...xyz.dark photo.jpg", run_send},
    {"share",
     "PATH [--once] [--name NAME] [--hidden] [--qr] [--qr-svg FILE] [--timeout S] "
     "[--small-network]",
     "share a file or a folder at an address of its own",
     "Serves it as a web page with a list, until Ctrl-C; the address ends with that.  Whoever has "
     "the\n"
     "address opens it in a browser (through the proxy), or gets all of it with qudag fetch.\n"
     "--once: ends when each file was taken.  --name: what it is called; else as PATH is.\n"
     "Links, devices and what begins with a dot are left out; --hidden: the latter is not.\n"
     "--qr shows the URL as a QR code, --qr-svg writes one as a picture.  --timeout: seconds to "
     "wait\n"
     "until the address is published (60).\n",
     "qudag share photos --once", run_share},
    {"fetch", "ADDRESS[/PATH] [-o DIR] [--replace] [--small-network]",
     "get what somebody shares, and check it",
     "Fetches the share at ADDRESS (or a petname as photos.dark), or the file or folder PATH of "
     "it, "
     "to\n"
     "DIR (here), and compares each file with its hash.  What was cut off, or stopped, goes on "
     "where it was when the same command is given "
     "again.\n"
     "A file that is there with another content is left, unless you say yes or --replace.\n",
     "qudag fetch abc...xyz.dark -o downloads", run_fetch},
    {"inbox", "[--save NAME FILE]", "list or save what was received",
     "--save copies the content of one item into FILE, which must not exist yet; -: to standard\n"
     "output.\n",
     "qudag inbox --save photo.jpg here.jpg", run_inbox},
    {"stats", "[--prometheus]", "show what the node counts and measures",
     "--prometheus: as text that Prometheus reads, for the text file collector of its node "
     "exporter.\n"
     "Nothing in it names a peer, an address or a user.\n",
     "qudag stats --prometheus", run_stats},
    {"top", "[--once] [--interval S]", "watch the node: links, rates, counters",
     "Shows state, links by what passes over them and the counters that grow fastest, every 2 "
     "seconds\n"
     "(--interval S) until Ctrl-C.  --once: once, over one second.  --json: one line each time.\n",
     "qudag top", run_top},
    {"report", "[FILE]", "write a report for somebody who helps you",
     "Versions, what doctor finds, status, configuration, counters and the end of the log, in "
     "FILE\n"
     "(qudag-report.txt, which must not exist yet; -: to standard output).  Addresses, names of\n"
     "peers, keys and paths are taken out, and names of files and hosts where a field holds them;\n"
     "read it before you give it to others.\n",
     "qudag report", run_report},
    {"log", "list|level [AREA LEVEL]", "show or change how much is logged, while the daemon runs",
     "  list               the level of all areas, and those with one of their own\n"
     "  level AREA LEVEL   AREA: what lines begin with, up to the dot (kad, link, quic, ...), or "
     "all;\n"
     "                     LEVEL: error, warn, info, debug, or default: as all others, or as "
     "qudag.conf says\n"
     "It lasts until the daemon ends, or reads qudag.conf again (SIGHUP).\n",
     "qudag log level kad debug", run_log},
    {"doctor", "[--speed]", "check everything this node depends on",
     "Clock, random numbers, buffers of sockets, disk, permissions, configuration, daemon, "
     "version,\n"
     "bootstrap, reachability, descriptor, store, and limits against what is used: a verdict each\n"
     "(ok, note, bad) and, where it is not ok, the command that mends it.  Exits with 5 where\n"
     "something is bad.\n"
     "  --speed            measure instead how long key exchange, signatures and cells take here\n",
     "qudag doctor", run_doctor},
    {"key", "show|passphrase|rotate|export|import",
     "look at the keys of this node, encrypt or move them",
     "  show               names, ages, what is encrypted; without a daemon, --passphrase-fd N "
     "opens them\n"
     "  passphrase         encrypt all secret keys, or change the passphrase; it is asked for.\n"
     "                     --remove: in the clear again.  --passphrase-fd N, --new-passphrase-fd "
     "N\n"
     "  rotate onion       replace the onion key of the relay before its week is over; --force: "
     "and\n"
     "                     the one before it at once, when somebody may have seen them\n"
     "  rotate identity    another ML-DSA key under the same peer id, also while the daemon runs; "
     "peers\n"
     "                     follow.  Also --passphrase-fd N\n"
     "  export FILE        all that makes this node, in one encrypted file; --plain: in the "
     "clear.\n"
     "                     --passphrase-fd N, --export-passphrase-fd N\n"
     "  import FILE        into an empty folder, encrypted with the passphrase of the export\n"
     "A passphrase is never an argument, nor in the environment.  passphrase, export and import "
     "need\n"
     "the daemon stopped.  An export holds keys, dark addresses with their "
     "clients, services,\n"
     "petnames, guards and configuration; inbox/ and store/ are copied beside it.\n",
     "qudag key passphrase", run_key},
    {"config", "check|show [FILE]", "check or print the configuration",
     "show prints what the running daemon uses; if none runs, or with FILE, what it would use.\n",
     "qudag config check", run_config},
    {"lab", "up [N]|status|down|exec NODE COMMAND", "run a whole test network on this machine",
     "  up [N]             start N daemons (12) on loopback, in DIR/lab/01, 02, ...; circuits need "
     "5\n"
     "  status             show all of them\n"
     "  down               stop them; their folders stay\n"
     "  exec NODE COMMAND  run a command on node NODE (1, 2, ...): qudag lab exec 2 peers\n"
     "A lab is a test network without anonymity.\n",
     "qudag lab up 12", run_lab},
    {"version", "", "show the version", "", "qudag version", run_version},
    {"help", "[COMMAND]", "show help for a command", "", "qudag help send", run_help},
};
const size_t n_subs = sizeof(subs) / sizeof(subs[0]);

static int no_such(struct tool *t, const char *name)
{
    const char *names[32], *near;
    char message[200];
    for (size_t ix = 0; ix < n_subs; ix++) {
        names[ix] = subs[ix].name;
    }
    near = text_nearest(name, names, n_subs);
    if (name[0] == '-') {
        (void)snprintf(
            message, sizeof(message),
            "there is no option %.60s in front of a command; those of a command follow it", name);
        return tool_error(t, TOOL_USAGE, "USAGE", message, "qudag help lists both");
    }
    (void)snprintf(message, sizeof(message), "there is no command %.60s%s%s%s", name,
                   near == NULL ? "" : "; did you mean ", near == NULL ? "" : near,
                   near == NULL ? "" : "?");
    return tool_error(t, TOOL_USAGE, "USAGE", message, "qudag help lists them");
}

static const char exits_text[] =
    "Exit codes: 0 ok, 1 failed, 2 usage, 3 daemon not running, 4 not found,\n"
    "5 timed out, unreachable or not healthy, 6 refused.\n";

static void help_json(const struct sub *s)
{
    const char *const names[] = {"name", "arguments", "what", "text", "example"};
    const char *const texts[] = {s->name, s->args, s->what, s->more, s->example};
    for (size_t ix = 0; ix < 5; ix++) {
        (void)printf("%s\"%s\":", ix == 0 ? "{" : ",", names[ix]);
        json_text(stdout, texts[ix]);
    }
    (void)fputc('}', stdout);
}

static int help_one(const struct tool *t, const struct sub *s)
{
    if (t->json) {
        (void)fputs("{\"help\":", stdout);
        help_json(s);
        (void)fputs("}\n", stdout);
    } else {
        (void)printf(
            "usage: qudag [--dir DIR] [--json] %s%s%s\n\nqudag %s: %s.\n%s\nexample: %s\n\n%s",
            s->name, *s->args == '\0' ? "" : " ", s->args, s->name, s->what, s->more, s->example,
            exits_text);
    }
    return TOOL_OK;
}

static int help_all(const struct tool *t)
{
    if (t->json) {
        (void)fputs("{\"commands\":[", stdout);
        for (size_t ix = 0; ix < n_subs; ix++) {
            (void)fputs(ix == 0 ? "" : ",", stdout);
            help_json(&subs[ix]);
        }
        (void)fputs("]}\n", stdout);
        return TOOL_OK;
    }
    (void)printf("usage: qudag [--dir DIR] [--json] COMMAND ...\n\n");
    for (size_t ix = 0; ix < n_subs; ix++) {
        (void)printf("  %-9s %s\n", subs[ix].name, subs[ix].what);
    }
    (void)printf("\n  -d, --dir DIR   state folder (default $XDG_STATE_HOME/qudag or\n"
                 "                  ~/.local/state/qudag)\n"
                 "      --json      one JSON document, or JSON lines where there is progress\n"
                 "      --small-network   with up, expose, connect, share, fetch, send, "
                 "circuit, dark: use\n"
                 "                  a network that is too small to hide anybody; remembered\n\n"
                 "qudag help COMMAND says more, with an example.\n%s",
                 exits_text);
    return TOOL_OK;
}

int run_help(struct tool *t, int argc, char **argv)
{
    for (size_t ix = 0; argc > 0 && ix < n_subs; ix++) { /* "dht put" is described with dht */
        if (strcmp(subs[ix].name, argv[0]) == 0) {
            return help_one(t, &subs[ix]);
        }
    }
    return argc > 0 ? no_such(t, argv[0]) : help_all(t);
}

/* Takes the options that every command knows out of argv; what follows "--" or -m is not looked
 * at, nor is anything behind `lab exec`.  The rest, or -1. */
static int take_options(struct tool *t, int argc, char **argv, const char **dir)
{
    int n = 0;
    bool rest = false;
    for (int ix = 1; ix < argc; ix++) {
        rest = rest || strcmp(argv[ix], "--") == 0 ||
               (n == 2 && strcmp(argv[0], "lab") == 0 && strcmp(argv[1], "exec") == 0);
        if (rest || (ix > 1 && strcmp(argv[ix - 1], "-m") == 0)) {
            argv[n++] = argv[ix];
        } else if (strcmp(argv[ix], "--json") == 0) {
            t->json = true;
        } else if (strcmp(argv[ix], "--small-network") == 0) {
            t->small_network = true;
        } else if (strcmp(argv[ix], "--dir") == 0 || strcmp(argv[ix], "-d") == 0) {
            if (args_lacks_value("--dir", ix + 1 < argc ? argv[ix + 1] : NULL)) {
                return -1;
            }
            *dir = argv[++ix];
        } else if (strncmp(argv[ix], "--dir=", 6) == 0) {
            *dir = argv[ix] + 6;
        } else {
            argv[n++] = argv[ix];
        }
    }
    return n;
}

/* "send --help", and "dht put --help", which is no value; "lab exec 2 status --help" is for another qudag. */
static bool asks_for_help(int n, char **argv)
{
    int at = n - 1;
    return (n == 2 || n == 3) && (strcmp(argv[at], "--help") == 0 || strcmp(argv[at], "-h") == 0) &&
           strcmp(argv[at - 1], "-m") != 0 && strcmp(argv[at - 1], "exec") != 0 &&
           strcmp(argv[at - 1], "--") != 0;
}

/* What --small-network does before the command; up does it itself, once the daemon runs. */
static int small_network(struct tool *t)
{
    static const char *const with[] = {"expose", "connect", "share", "fetch",
                                       "send",   "circuit", "dark"};
    if (!t->small_network || strcmp(t->sub->name, "up") == 0) {
        return TOOL_OK;
    }
    for (size_t ix = 0; ix < sizeof(with) / sizeof(with[0]); ix++) {
        if (strcmp(t->sub->name, with[ix]) == 0) {
            return accept_small_network(t);
        }
    }
    return tool_usage(
        t, "--small-network belongs to up, expose, connect, share, fetch, send, circuit and dark");
}

static int run(struct tool *t, int argc, char **argv)
{
    const char *dir = NULL, *name;
    int n = take_options(t, argc, argv, &dir);
    t->tty = isatty(STDOUT_FILENO) == 1;
    t->colour = t->tty && !t->json && getenv("NO_COLOR") == NULL;
    if (n < 0 || !path_state_dir(t->dir, dir)) {
        return tool_error(t, TOOL_USAGE, "USAGE", "--dir: which folder?",
                          "without it, XDG_STATE_HOME or HOME must be set");
    }
    name = n == 0 ? "help" : argv[0];
    name = strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0      ? "help"
           : strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0 ? "version"
                                                                       : name;
    for (size_t ix = 0; ix < n_subs; ix++) {
        if (strcmp(subs[ix].name, name) == 0) {
            t->sub = &subs[ix];
            if (asks_for_help(n, argv)) {
                return run_help(t, 1, argv);
            }
            int code = small_network(t);
            return code == TOOL_OK ? subs[ix].run(t, n > 0 ? n - 1 : 0, argv + 1) : code;
        }
    }
    return no_such(t, name);
}

int main(int argc, char **argv)
{
    static struct rec rec;
    struct tool t = {.self = argv[0], .rec = &rec};
    if (!fd_fill_standard()) {
        return TOOL_FAILED; /* and nowhere to say so */
    }
    (void)signal(SIGPIPE, SIG_DFL);
    int code = run(&t, argc, argv);
    rec_wipe(&rec);
    return fflush(stdout) == 0 ? code : TOOL_FAILED;
}
