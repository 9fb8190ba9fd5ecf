/* cmd_peers.c - peers, peer: links, and which of them are to stay. */
#include "reserve.h"

#include <qudag/qudag.h>

#include <stdlib.h>
#include <string.h>

#define N(a) (sizeof(a) / sizeof((a)[0]))

/* Not links: relays, what is tried, places, who may send; |which| of these. */
static int list_others(struct tool *t, size_t which)
{
    static const struct col relays[] = {{"peer", "RELAY", COL_PEER}, {"guard", "GUARD", COL_YES}};
    static const struct col tries[] = {
        {"peer", "PEER", COL_PEER},          {"network", "NETWORK", COL_TEXT},
        {"kept", "KEPT", COL_YES},           {"state", "STATE", COL_TEXT},
        {"next_try_ns", "NEXT TRY", COL_NS}, {"failures", "FAILURES", COL_INT},
        {"error", "LAST ERROR", COL_TEXT},
    };
    static const struct col places[] = {
        {"relay", "RELAY", COL_PEER},       {"state", "STATE", COL_TEXT},
        {"left_ns", "LEFT", COL_NS},        {"next_try_ns", "NEXT TRY", COL_NS},
        {"limit_bytes", "LIMIT", COL_SIZE}, {"limit_ns", "TIME LIMIT", COL_NS},
        {"failures", "FAILURES", COL_INT},  {"error", "LAST ERROR", COL_TEXT},
        {"why", "WHY", COL_TEXT},           {"address", "REACHED AT", COL_TEXT},
    };
    static const struct col allowed[] = {{"peer", "PEER", COL_PEER},
                                         {"linked", "LINKED", COL_YES},
                                         {"set", "BY QUDAG.CONF", COL_YES}};
    static const struct {
        const char *cmd, *name;
        const struct col *cols;
        size_t n;
        const char *none;
    } lists[] = {
        {"relays", "relays", relays, N(relays), "no relay is known yet"},
        {"peers.tries", "tries", tries, N(tries), "no peer is kept, and nothing waits"},
        {"peers.places", "places", places, N(places), "no relay keeps a place for this node"},
        {"peers.allowed", "allowed", allowed, N(allowed), "no peer may send over links"},
    };
    (void)ask_begin(t, lists[which].cmd);
    return ask_list(t, lists[which].name, lists[which].cols, lists[which].n, lists[which].none);
}

const struct col peers_cols[] = {
    {"peer", "PEER", COL_SHORT},     {"address", "ADDRESS", COL_HOST},
    {"direction", "DIR", COL_TEXT},  {"transport", "VIA", COL_TEXT},
    {"path_kind", "PATH", COL_TEXT}, {"relay", "THROUGH", COL_SHORT},
    {"state", "STATE", COL_TEXT},    {"pq", "PQ", COL_YES},
    {"rtt_ns", "RTT", COL_NS},       {"bytes_in", "IN", COL_SIZE},
    {"bytes_out", "OUT", COL_SIZE},
};
const size_t peers_n_cols = N(peers_cols);

/* With --wide: everything. */
static const struct col wide[] = {
    {"peer", "PEER", COL_PEER},
    {"address", "ADDRESS", COL_TEXT},
    {"direction", "DIR", COL_TEXT},
    {"transport", "VIA", COL_TEXT},
    {"security", "SEC", COL_TEXT},
    {"path_kind", "PATH", COL_TEXT},
    {"relay", "THROUGH", COL_PEER},
    {"limited", "LIMITED", COL_YES},
    {"group", "KEX GROUP", COL_TEXT},
    {"state", "STATE", COL_TEXT},
    {"signature_remote", "PROVEN", COL_TEXT},
    {"pq", "PQ", COL_YES},
    {"pin", "PIN", COL_TEXT},
    {"key_changes", "FOLLOWED", COL_INT},
    {"standing", "STANDING", COL_TEXT},
    {"value", "VALUE", COL_INT},
    {"tags", "TAGS", COL_WORDS},
    {"next_try_ns", "NEXT TRY", COL_NS},
    {"handshake_ns", "SETUP", COL_NS},
    {"rtt_ns", "RTT", COL_NS},
    {"bytes_in", "IN", COL_SIZE},
    {"bytes_out", "OUT", COL_SIZE},
    {"agent", "AGENT", COL_TEXT},
};

int run_peers(struct tool *t, int argc, char **argv)
{
    enum { OTHERS = 4, WIDE = OTHERS };
    static const struct opt opts[] = {{"--relays", NULL},
                                      {"--tries", NULL},
                                      {"--places", NULL},
                                      {"--allowed", NULL},
                                      {"--wide", NULL}};
    struct args a = {
        .t = t, .what = "peers", .argc = argc, .argv = argv, .opts = opts, .n = N(opts)};
    bool of[N(opts)] = {false};
    for (int got; (got = args_next(&a)) != ARGS_END;) {
        if (got < 0 || got > WIDE) {
            return got == ARGS_BAD ? TOOL_USAGE
                                   : tool_usage(t, "peers takes no argument but --wide, --relays, "
                                                   "--tries, --places or --allowed");
        }
        of[got] = true;
    }
    if (of[0] + of[1] + of[2] + of[3] + of[WIDE] > 1) {
        return tool_usage(t, "peers: --wide, --relays, --tries, --places or --allowed, one of "
                             "them");
    }
    for (size_t ix = 0; ix < OTHERS; ix++) {
        if (of[ix]) {
            return list_others(t, ix);
        }
    }
    (void)ask_begin(t, "peers");
    return of[WIDE] ? ask_list(t, "peers", wide, N(wide), "no links")
                    : ask_list(t, "peers", peers_cols, peers_n_cols, "no links");
}

/* What may be said of a peer. */
struct saying {
    const char *name, *cmd;
    bool weighs;          /* a weight follows the peer */
    bool names, may_lack; /* --name may be given; the peer may be left out */
};

static const struct saying sayings[] = {
    {"protect", "peer.protect", false, true, false},
    {"unprotect", "peer.unprotect", false, true, false},
    {"tag", "peer.tag", true, true, false},
    {"untag", "peer.untag", false, true, false},
    {"keep", "peer.keep", false, false, false},
    {"release", "peer.release", false, false, false},
    {"retry", "peer.retry", false, false, true},
    {"reserve", "peer.reserve", false, false, false},
    {"unreserve", "peer.unreserve", false, false, false},
    {"allow", "peer.allow", false, false, false},
    {"disallow", "peer.disallow", false, false, false},
};

static int say(struct tool *t, const struct saying *what, int argc, char **argv)
{
    static const struct col cols[] = {{"peer", "peer", COL_TEXT},
                                      {"protected_by", "protected by", COL_WORDS},
                                      {"tags", "tags", COL_WORDS}};
    static const struct opt opts[] = {{"--name", "NAME"}};
    struct args a = {
        .t = t, .what = "peer", .argc = argc, .argv = argv, .opts = opts, .n = what->names ? 1 : 0};
    const char *word[2] = {NULL, NULL}, *name = NULL;
    size_t n = 0;
    int64_t weight = 0;
    for (int got; (got = args_next(&a)) != ARGS_END;) {
        if (got == ARGS_BAD) {
            return TOOL_USAGE;
        }
        name = got == 0 ? a.value : name;
        if (got == ARGS_WORD && n == (what->weighs ? 2u : 1u)) {
            return tool_usage(t, what->weighs ? "peer tag takes a peer and a weight"
                                              : "this takes one peer");
        }
        if (got == ARGS_WORD) {
            word[n++] = a.value;
        }
    }
    if (word[0] == NULL && !what->may_lack) {
        return tool_usage(t, "which peer?");
    }
    if (what->weighs && (word[1] == NULL || !parse_number(word[1], -QUDAG_TAG_WEIGHT_MAX,
                                                          QUDAG_TAG_WEIGHT_MAX, &weight))) {
        return tool_usage(t, "peer tag takes a weight, -1000 to 1000");
    }
    struct rec *r = ask_begin(t, what->cmd);
    if (word[0] != NULL) {
        rec_str(r, "peer", word[0]);
    }
    if (name != NULL) {
        rec_str(r, "name", name);
    }
    if (what->weighs) {
        rec_int(r, "weight", weight);
    }
    if (word[0] == NULL) {
        return ask_done(t, "retried", "all peers");
    }
    int code = ask_one(t, cols, N(cols));
    bool waits = code == TOOL_OK && strcmp(what->cmd, "peer.reserve") == 0;
    return waits ? reserve_wait(t, word[0]) : code;
}

int run_peer(struct tool *t, int argc, char **argv)
{
    const char *names[N(sayings)];
    char message[240];
    for (size_t ix = 0; ix < N(sayings); ix++) {
        names[ix] = sayings[ix].name;
        if (argc > 0 && strcmp(argv[0], sayings[ix].name) == 0) {
            return say(t, &sayings[ix], argc - 1, argv + 1);
        }
    }
    const char *near = argc > 0 ? text_nearest(argv[0], names, N(names)) : NULL;
    (void)snprintf(message, sizeof(message), "peer: %s%.160s%s%s%s",
                   argc > 0 ? "no command " : "which command? ", argc > 0 ? argv[0] : t->sub->args,
                   near == NULL ? "" : "; did you mean ", near == NULL ? "" : near,
                   near == NULL ? "" : "?");
    return tool_usage(t, message);
}
