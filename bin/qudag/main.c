/*
 * main.c - qudag: one table of subcommands; options may stand before and after the subcommand.
 * qudag(1) describes it.
 */
#include "tool.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const struct sub subs[] = {
    {"up", "[--listen ADDR] [--bootstrap ADDR] [--timeout S] [--no-wait] [--foreground]",
     "start the daemon and wait until it is ready",
     "Makes identity and configuration where there are none, starts qudagd in the background and\n"
     "shows how it finds the network.  Further options: -o SECTION.KEY=VALUE, --lab.\n",
     "qudag up --bootstrap /ip4/192.0.2.7/udp/4433/quic-v1/p2p/12D3Koo...", run_up},
    {"down", "", "stop the daemon", "", "qudag down", run_down},
    {"status", "", "what the node is and how it fares", "", "qudag status --json", run_status},
    {"peers", "[--relays]", "links, their keys and their protection",
     "--relays lists the relays whose descriptors are known.\n", "qudag peers", run_peers},
    {"ping", "PEER|MULTIADDR [-c N]", "round trips to a peer", "", "qudag ping 12D3Koo... -c 5",
     run_ping},
    {"dht", "put|get|forget|find|closest|provide|unprovide|providers|records|published|store|table",
     "the distributed hash table",
     "  put KEY VALUE      keep a value in the network; KEY without / means /app/KEY\n"
     "                     --once: do not publish it again; --quorum N: nodes that must store it\n"
     "  get KEY            read it; --read first|confirmed|quorum|paths: how sure it must be;\n"
     "                     --masked: nodes on the way see little of the key\n"
     "  forget KEY         publish it no more\n"
     "  find PEER          addresses of a peer\n"
     "  closest KEY        the peers nearest to a key\n"
     "  provide CONTENT    say that we have it; unprovide: no more; providers CONTENT: who has\n"
     "  records            what this node stores for others\n"
     "  published          what it publishes itself, and when it does so again\n"
     "  store              what is kept on disk, in numbers\n"
     "  table              the routing table\n",
     "qudag dht put greeting hello", run_dht},
    {"circuit", "build|list|close", "onion circuits",
     "  build [--hops N]   a circuit of randomly chosen relays\n"
     "  list               own ones, and what is known of those we carry\n"
     "  close CIRCUIT\n",
     "qudag circuit build --hops 3", run_circuit},
    {"dark", "new|list|publish|resolve|forget", "dark addresses",
     "  new [LABEL]        keys and an address of our own\n"
     "  publish ADDR       let others find it; ADDR may be the label\n"
     "  resolve ADDR       fetch and check its record through a circuit\n"
     "  forget ADDR        withdraw it and destroy its keys\n",
     "qudag dark new mail", run_dark},
    {"send", "ADDRESS -m TEXT | ADDRESS FILE [--again]", "deliver a message or a file anonymously",
     "Ends well only when the far end has computed the same BLAKE3 hash.  A file that was cut off\n"
     "goes on where it ended when it is sent again; --again sends all of it anew.\n",
     "qudag send abc...xyz.dark photo.jpg", run_send},
    {"inbox", "[--save NAME FILE]", "what was received", "",
     "qudag inbox --save photo.jpg here.jpg", run_inbox},
    {"stats", "", "counters of the node, as JSON", "", "qudag stats", run_stats},
    {"config", "check|show [FILE]", "check or print the configuration", "", "qudag config check",
     run_config},
    {"lab", "up [N]|status|down|exec NODE COMMAND", "a whole network on this machine",
     "N daemons (12) on loopback, in DIR/lab/01, 02, ...: a test network without anonymity.\n",
     "qudag lab up 12", run_lab},
    {"version", "", "which version this is", "", "qudag version", run_version},
    {"help", "[COMMAND]", "this, or more about a command", "", "qudag help send", run_help},
};
const size_t n_subs = sizeof(subs) / sizeof(subs[0]);

bool parse_number(const char *text, int64_t min, int64_t max, int64_t *out)
{
    char *end;
    errno = 0;
    long long n = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != 0 || n < min || n > max) {
        return false;
    }
    *out = n;
    return true;
}

int tool_usage(const struct tool *t, const char *message)
{
    char hint[400];
    (void)snprintf(hint, sizeof(hint), "usage: qudag %s %s   for example: %s", t->sub->name,
                   t->sub->args, t->sub->example);
    return tool_error(t, TOOL_USAGE, "USAGE", message, hint);
}

static const char exits_text[] =
    "Exit codes: 0 ok, 1 failed, 2 usage, 3 daemon not running, 4 not found,\n"
    "5 timed out or unreachable, 6 refused.\n";

int run_help(struct tool *t, int argc, char **argv)
{
    for (size_t ix = 0; argc == 1 && ix < n_subs; ix++) {
        if (strcmp(subs[ix].name, argv[0]) == 0) {
            (void)printf("usage: qudag [--dir DIR] [--json] %s %s\n\n%s.\n%s\nexample: %s\n\n%s",
                         subs[ix].name, subs[ix].args, subs[ix].what, subs[ix].more,
                         subs[ix].example, exits_text);
            return TOOL_OK;
        }
    }
    if (argc > 0) {
        return tool_usage(t, "help: no such command");
    }
    (void)printf("usage: qudag [--dir DIR] [--json] COMMAND ...\n\n");
    for (size_t ix = 0; ix < n_subs; ix++) {
        (void)printf("  %-9s %s\n", subs[ix].name, subs[ix].what);
    }
    (void)printf("\n  -d, --dir DIR   state folder (default $XDG_STATE_HOME/qudag or\n"
                 "                  ~/.local/state/qudag)\n"
                 "      --json      one JSON document, or JSON lines where there is progress\n\n"
                 "qudag help COMMAND tells more, with an example.\n%s",
                 exits_text);
    return TOOL_OK;
}

static void on_alarm(int signum)
{
    static const char text[] = "qudag: not ready in time; the daemon goes on trying (qudag status "
                               "shows how far it is, --timeout waits longer)\n";
    (void)signum;
    ssize_t n = write(STDERR_FILENO, text, sizeof(text) - 1);
    _exit(n < 0 ? TOOL_FAILED : TOOL_UNREACHABLE);
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
        } else if (strcmp(argv[ix], "--dir") == 0 || strcmp(argv[ix], "-d") == 0) {
            if (++ix == argc) {
                return -1;
            }
            *dir = argv[ix];
        } else if (strncmp(argv[ix], "--dir=", 6) == 0) {
            *dir = argv[ix] + 6;
        } else {
            argv[n++] = argv[ix];
        }
    }
    return n;
}

static int no_such(struct tool *t, const char *name)
{
    const char *names[32], *near;
    char message[200];
    for (size_t ix = 0; ix < n_subs; ix++) {
        names[ix] = subs[ix].name;
    }
    near = text_nearest(name, names, n_subs);
    (void)snprintf(message, sizeof(message), "there is no command %.60s%s%s%s", name,
                   near == NULL ? "" : "; did you mean ", near == NULL ? "" : near,
                   near == NULL ? "" : "?");
    return tool_error(t, TOOL_USAGE, "USAGE", message, "qudag help lists them");
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
            if (n == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
                return run_help(t, 1, argv);
            }
            return subs[ix].run(t, n > 0 ? n - 1 : 0, argv + 1);
        }
    }
    return no_such(t, name);
}

int main(int argc, char **argv)
{
    static struct rec rec;
    struct tool t = {.self = argv[0], .rec = &rec};
    (void)signal(SIGALRM, on_alarm);
    (void)signal(SIGPIPE, SIG_DFL);
    int code = run(&t, argc, argv);
    return fflush(stdout) == 0 ? code : TOOL_FAILED;
}
