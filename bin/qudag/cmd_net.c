/* cmd_net.c - ping, dht, circuit, dark. */
#include "tool.h"

#include <qudag/qudag.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define N(a) (sizeof(a) / sizeof((a)[0]))

#define PAUSE_NS 1000000000 /* between two pings over a relay, while a direct path may be found */
#define PAUSES_MAX 10       /* then none is to be expected soon */

struct pings {
    const char *to;
    int64_t sent, answered, sum, min, max;
    char path[CELL_LEN], why[CELL_LEN];                /* as they were shown last */
    bool relayed;                                      /* the last one went over a relay */
    char lost[sizeof(((struct outcome *)0)->message)]; /* why the last one was, unless answered */
    unsigned pauses;
};

/* Whether the way to the peer is another one than at the ping before, and why it is as it is. */
static void show_way(struct pings *p, const struct rec_view *v)
{
    static const struct col relay = {"through", "", COL_PEER};
    char now[CELL_LEN], who[CELL_LEN], took[16];
    const char *why = rec_get_str(v, "path_why"), *word = rec_get_str(v, "path_kind");
    int64_t met_ns = rec_get_int(v, "met_ns", 0);
    bool meets = word != NULL && strcmp(word, "relayed, meeting") == 0;
    if (word == NULL) {
        return;
    }
    p->relayed = strncmp(word, "relayed", 7) == 0;
    cell_text(who, &relay, v);
    (void)snprintf(now, sizeof(now), "%s%.100s", p->relayed ? "over relay " : "direct",
                   p->relayed ? who : "");
    if (strcmp(now, p->path) != 0) {
        text_ns(took, (uint64_t)met_ns);
        bool found = !p->relayed && met_ns > 0;
        (void)printf("%s%s%s%s\n", p->path[0] == 0 ? "path: " : "now ", now,
                     found ? ", found in " : "", found ? took : "");
        memcpy(p->path, now, sizeof(now));
    }
    why = !p->relayed ? "" : meets ? "a direct path is being looked for" : why == NULL ? "" : why;
    if (strcmp(why, p->why) != 0) {
        (void)snprintf(p->why, sizeof(p->why), "%s", why);
        (void)printf("%s%s%s", why[0] == 0 ? "" : "  relayed still: ", p->why,
                     why[0] == 0 ? "" : "\n");
    }
}

static void on_ping(struct tool *t, const struct rec_view *v, void *user)
{
    struct pings *p = user;
    int64_t rtt = rec_get_int(v, "rtt_ns", 0);
    char text[16], peer[16] = "";
    p->sum += rtt;
    p->min = p->answered == 0 || rtt < p->min ? rtt : p->min;
    p->max = rtt > p->max ? rtt : p->max;
    p->answered++;
    p->lost[0] = 0;
    if (t->json) {
        const char *path = rec_get_str(v, "path_kind");
        p->relayed = path != NULL && strncmp(path, "relayed", 7) == 0;
        json_line(t, "ping", v);
        return;
    }
    const char *id = rec_get_str(v, "peer");
    show_way(p, v);
    short_peer(peer, id == NULL ? "?" : id);
    text_ns(text, (uint64_t)rtt);
    (void)printf("%s answers: %s\n", peer, text);
}

/* A ping without an answer is a loss, and the next one may be answered. */
static bool is_loss(const struct outcome *out)
{
    return out->code == TOOL_UNREACHABLE || strcmp(out->error, "QUDAG_EREFUSED") == 0;
}

static void show_loss(const struct tool *t, struct pings *p, const struct outcome *out)
{
    if (t->json) {
        (void)fputs("{\"lost\":{\"name\":", stdout);
        json_text(stdout, out->error);
        (void)fputs(",\"message\":", stdout);
        json_text(stdout, out->message);
        (void)fputs(",\"hint\":", stdout);
        json_text(stdout, out->hint);
        (void)fputs("}}\n", stdout);
    } else if (strcmp(p->lost, out->message) == 0) {
        (void)puts("not answered, as before");
    } else {
        memcpy(p->lost, out->message, sizeof(p->lost));
        (void)printf("%s [%s]\n", out->message, out->error);
    }
}

static void ping_summary(const struct tool *t, const struct pings *p)
{
    char min[16], mean[16], max[16];
    if (t->json) {
        (void)printf("{\"summary\":{\"sent\":%lld,\"answered\":%lld}}\n", (long long)p->sent,
                     (long long)p->answered);
        return;
    }
    (void)printf("%lld sent, %lld answered", (long long)p->sent, (long long)p->answered);
    if (p->answered > 0) {
        text_ns(min, (uint64_t)p->min);
        text_ns(mean, (uint64_t)(p->sum / p->answered));
        text_ns(max, (uint64_t)p->max);
        (void)printf("; min %s, mean %s, max %s", min, mean, max);
    }
    (void)putchar('\n');
}

static int ping_options(struct tool *t, struct pings *p, int64_t *count, int argc, char **argv)
{
    static const struct opt opts[] = {{"-c", "N"}};
    struct args a = {.t = t, .what = "ping", .argc = argc, .argv = argv, .opts = opts, .n = 1};
    for (int got; (got = args_next(&a)) != ARGS_END;) {
        if (got == ARGS_BAD) {
            return TOOL_USAGE;
        }
        if (got == 0 && !parse_number(a.value, 1, 10000, count)) {
            return tool_usage(t, "ping -c takes a number, 1 to 10000");
        }
        if (got == ARGS_WORD && p->to != NULL) {
            return tool_usage(t, "ping takes one peer");
        }
        p->to = got == ARGS_WORD ? a.value : p->to;
    }
    return p->to == NULL ? tool_usage(t, "ping: which peer?") : TOOL_OK;
}

int run_ping(struct tool *t, int argc, char **argv)
{
    int64_t count = 3;
    struct pings p = {0};
    struct outcome out = {0};
    int code = ping_options(t, &p, &count, argc, argv);
    if (code != TOOL_OK) {
        return code;
    }
    while (p.sent < count) {
        if (p.relayed && p.pauses < PAUSES_MAX) {
            p.pauses++;
            (void)fflush(stdout);
            (void)nanosleep(&(struct timespec){PAUSE_NS / 1000000000, PAUSE_NS % 1000000000}, NULL);
        }
        rec_str(ask_begin(t, "ping"), "to", p.to);
        ask_dir(t, t->dir, -1, on_ping, &p, &out);
        p.sent++;
        if (out.code != TOOL_OK && (count == 1 || !is_loss(&out))) {
            return tool_error(t, (enum tool_exit)out.code, out.error, out.message, out.hint);
        }
        if (out.code != TOOL_OK) {
            show_loss(t, &p, &out);
        }
        if (p.answered == 0 && p.sent == 3 && count > 3) {
            break; /* nobody is there; each try takes seconds */
        }
    }
    if (count > 1) {
        ping_summary(t, &p);
    }
    if (count > 1 && p.answered == 0 && !t->json && out.hint[0] != 0) {
        (void)fprintf(stderr, "       %s\n", out.hint);
    }
    return p.answered > 0 ? TOOL_OK : TOOL_UNREACHABLE;
}

/* ------------------------------------------------------------------ groups of commands */

struct verb {
    const char *name, *cmd; /* of the daemon */
    const char *arg;        /* field of its one argument; NULL: none */
    const char *list;       /* the answer is a list of this name; NULL: one row, or none */
    const struct col *cols;
    size_t n_cols;
    const char *empty; /* without columns: the word for "done" */
};

static int run_verb(struct tool *t, const struct verb *v, int argc, char **argv)
{
    char message[160], what[40];
    const char *word = NULL;
    (void)snprintf(what, sizeof(what), "%s %s", t->sub->name, v->name);
    struct args a = {.t = t, .what = what, .argc = argc, .argv = argv};
    int most = v->arg == NULL ? 0 : 1, n = args_words(&a, &word, 1);
    if (n != most) {
        (void)snprintf(message, sizeof(message), "%s takes %s", what,
                       most == 0 ? "no argument" : "one argument");
        return n < 0 ? TOOL_USAGE : tool_usage(t, message);
    }
    struct rec *r = ask_begin(t, v->cmd);
    if (n == 1) {
        rec_str(r, v->arg, word);
    }
    return v->list != NULL   ? ask_list(t, v->list, v->cols, v->n_cols, v->empty)
           : v->cols == NULL ? ask_done(t, v->empty, word)
                             : ask_one(t, v->cols, v->n_cols);
}

static int dispatch(struct tool *t, const struct verb *verbs, size_t n, int argc, char **argv)
{
    const char *names[16];
    char message[240];
    for (size_t ix = 0; argc > 0 && ix < n; ix++) {
        if (strcmp(verbs[ix].name, argv[0]) == 0) {
            return run_verb(t, &verbs[ix], argc - 1, argv + 1);
        }
        names[ix] = verbs[ix].name;
    }
    const char *near = argc > 0 ? text_nearest(argv[0], names, n) : NULL;
    (void)snprintf(message, sizeof(message), "%s: %s%.140s%s%s%s", t->sub->name,
                   argc > 0 ? "no command " : "which command? ", argc > 0 ? argv[0] : t->sub->args,
                   near == NULL ? "" : "; did you mean ", near == NULL ? "" : near,
                   near == NULL ? "" : "?");
    return tool_usage(t, message);
}

static int dht_put(struct tool *t, int argc, char **argv)
{
    static const struct col cols[] = {{"key", "key", COL_TEXT},
                                      {"nodes", "stored by", COL_INT},
                                      {"rpcs", "requests", COL_INT},
                                      {"took_ns", "took", COL_NS}};
    enum { ONCE, QUORUM };
    static const struct opt opts[] = {[ONCE] = {"--once", NULL}, [QUORUM] = {"--quorum", "N"}};
    struct args a = {
        .t = t, .what = "dht put", .argc = argc, .argv = argv, .opts = opts, .n = N(opts)};
    int64_t quorum = 0;
    bool once = false;
    const char *text[2] = {NULL, NULL};
    int n = 0;
    for (int got; (got = args_next(&a)) != ARGS_END;) {
        if (got == ARGS_BAD) {
            return TOOL_USAGE;
        }
        if (got == QUORUM && !parse_number(a.value, 1, 20, &quorum)) {
            return tool_usage(t, "dht put --quorum: 1 to 20");
        }
        once = once || got == ONCE;
        if (got == ARGS_WORD && n < 2) {
            text[n] = a.value;
        }
        n += got == ARGS_WORD;
    }
    if (n != 2) {
        return tool_usage(t, "dht put takes a key and a value");
    }
    struct rec *r = ask_begin(t, "dht.put");
    rec_str(r, "key", text[0]);
    rec_bytes(r, "value", text[1], strlen(text[1]));
    rec_bool(r, "once", once);
    rec_int(r, "quorum", quorum);
    return ask_one(t, cols, N(cols));
}

static int dht_get(struct tool *t, int argc, char **argv)
{
    static const struct col cols[] = {{"value", "value", COL_TEXT},
                                      {"nodes", "confirmed by", COL_INT},
                                      {"rpcs", "requests", COL_INT},
                                      {"took_ns", "took", COL_NS}};
    enum { MASKED, READ };
    static const struct opt opts[] = {
        [MASKED] = {"--masked", NULL}, [READ] = {"--read", "first|confirmed|quorum|paths"}};
    struct args a = {
        .t = t, .what = "dht get", .argc = argc, .argv = argv, .opts = opts, .n = N(opts)};
    const char *key = NULL, *how = NULL;
    bool masked = false;
    for (int got; (got = args_next(&a)) != ARGS_END;) {
        if (got == ARGS_BAD) {
            return TOOL_USAGE;
        }
        if (got == ARGS_WORD && key != NULL) {
            return tool_usage(t, "dht get takes one key");
        }
        masked = masked || got == MASKED;
        how = got == READ ? a.value : how;
        key = got == ARGS_WORD ? a.value : key;
    }
    if (key == NULL) {
        return tool_usage(t, "dht get: which key?");
    }
    struct rec *r = ask_begin(t, "dht.get");
    rec_str(r, "key", key);
    if (how != NULL) {
        rec_str(r, "read", how);
    }
    rec_bool(r, "masked", masked);
    return ask_one(t, cols, N(cols));
}

int run_dht(struct tool *t, int argc, char **argv)
{
    static const struct col found[] = {{"peer", "peer", COL_PEER},
                                       {"addresses", "address", COL_TEXT},
                                       {"took_ns", "took", COL_NS}},
                            peer[] = {{"peer", "PEER", COL_PEER}},
                            provided[] = {{"nodes", "stored by", COL_INT},
                                          {"took_ns", "took", COL_NS}},
                            records[] = {{"key", "KEY", COL_TEXT},
                                         {"size", "SIZE", COL_SIZE},
                                         {"expires", "EXPIRES", COL_DAY}},
                            published[] = {{"key", "KEY", COL_TEXT},
                                           {"provides", "PROVIDES", COL_YES},
                                           {"due", "NEXT", COL_DAY}},
                            store[] = {{"folder", "folder", COL_TEXT},
                                       {"kad_records", "records", COL_INT},
                                       {"kad_record_bytes", "record bytes", COL_SIZE},
                                       {"kad_providers", "providers", COL_INT},
                                       {"kad_published", "published by us", COL_INT},
                                       {"store_bytes", "file", COL_SIZE},
                                       {"store_room", "takes writes", COL_INT},
                                       {"store_restored", "loaded at start", COL_INT},
                                       {"store_dropped", "dropped at start", COL_INT},
                                       {"store_damaged_values", "damaged", COL_INT},
                                       {"store_failures", "failed writes", COL_INT}};
    static const struct verb verbs[] = {
        {"forget", "dht.forget", "key", NULL, NULL, 0, "forgotten"},
        {"unprovide", "dht.unprovide", "key", NULL, NULL, 0, "unprovided"},
        {"published", "dht.published", NULL, "published", published, N(published),
         "this node publishes nothing"},
        {"store", "dht.store", NULL, NULL, store, N(store), ""},
        {"find", "dht.find", "peer", NULL, found, N(found), ""},
        {"closest", "dht.closest", "key", "peers", peer, N(peer), "nobody"},
        {"provide", "dht.provide", "key", NULL, provided, N(provided), ""},
        {"providers", "dht.providers", "key", "peers", peer, N(peer), "nobody provides it"},
        {"records", "dht.records", NULL, "records", records, N(records),
         "this node holds no records"},
        {"table", "dht.table", NULL, "peers", peer, N(peer), "the routing table is empty"},
        {"put", "", "", NULL, NULL, 0, ""}, /* for the suggestions */
        {"get", "", "", NULL, NULL, 0, ""},
    };
    if (argc > 0 && strcmp(argv[0], "get") == 0) {
        return dht_get(t, argc - 1, argv + 1);
    }
    if (argc > 0 && strcmp(argv[0], "put") == 0) {
        return dht_put(t, argc - 1, argv + 1);
    }
    return dispatch(t, verbs, N(verbs), argc, argv);
}

static int circuit_build(struct tool *t, int argc, char **argv)
{
    static const struct col cols[] = {{"circuit", "circuit", COL_TEXT},
                                      {"path", "path", COL_PATH},
                                      {"drawn", "drawn", COL_TEXT},
                                      {"build_ns", "took", COL_NS}};
    static const struct opt opts[] = {{"--hops", "N"}};
    struct args a = {
        .t = t, .what = "circuit build", .argc = argc, .argv = argv, .opts = opts, .n = 1};
    int64_t hops = 0;
    for (int got; (got = args_next(&a)) != ARGS_END;) {
        if (got == ARGS_BAD) {
            return TOOL_USAGE;
        }
        if (got == ARGS_WORD || !parse_number(a.value, 1, 7, &hops)) {
            return tool_usage(t, "circuit build takes no argument but --hops N, 1 to 7");
        }
    }
    rec_int(ask_begin(t, "circuit.build"), "hops", hops);
    return ask_one(t, cols, N(cols));
}

int run_circuit(struct tool *t, int argc, char **argv)
{
    static const struct col cols[] = {
        {"circuit", "CIRCUIT", COL_TEXT},
        {"role", "ROLE", COL_TEXT},
        {"state", "STATE", COL_TEXT},
        {"purpose", "FOR", COL_TEXT},
        {"path", "PATH", COL_PATH},
        {"prev", "PREV", COL_SHORT},
        {"next", "NEXT", COL_SHORT},
        {"streams", "STREAMS", COL_INT},
        {"cells_forward", "CELLS OUT", COL_INT},
        {"cells_backward", "CELLS IN", COL_INT},
        {"age_ns", "AGE", COL_NS},
    };
    static const struct verb verbs[] = {
        {"list", "circuit.list", NULL, "circuits", cols, N(cols), "no circuits"},
        {"close", "circuit.close", "circuit", NULL, NULL, 0, "closed"},
        {"build", "", "", NULL, NULL, 0, ""},
    };
    if (argc > 0 && strcmp(argv[0], "build") == 0) {
        return circuit_build(t, argc - 1, argv + 1);
    }
    return dispatch(t, verbs, N(verbs), argc, argv);
}

/* The keys of an address cannot be had again: at a terminal the user is asked. */
static bool confirmed(const struct tool *t, const char *addr)
{
    char answer[8] = "";
    if (!t->tty || t->json || isatty(STDIN_FILENO) != 1) {
        return false;
    }
    (void)printf("The keys of %s are destroyed; nobody can restore the address.  Forget it? [y/N] ",
                 addr);
    (void)fflush(stdout);
    return fgets(answer, sizeof(answer), stdin) != NULL && (answer[0] == 'y' || answer[0] == 'Y');
}

static int dark_forget(struct tool *t, int argc, char **argv)
{
    static const struct col withdrawn[] = {{"nodes", "withdrawn", COL_INT},
                                           {"took_ns", "took", COL_NS}};
    static const struct opt opts[] = {{"--yes", NULL}};
    struct args a = {
        .t = t, .what = "dark forget", .argc = argc, .argv = argv, .opts = opts, .n = 1};
    const char *addr = NULL;
    bool yes = false, more = false;
    for (int got; (got = args_next(&a)) != ARGS_END;) {
        if (got == ARGS_BAD) {
            return TOOL_USAGE;
        }
        yes = yes || got == 0;
        more = more || (got == ARGS_WORD && addr != NULL);
        addr = got == ARGS_WORD ? a.value : addr;
    }
    if (addr == NULL || more) {
        return tool_usage(t, "dark forget takes one argument");
    }
    if (!yes && !confirmed(t, addr)) {
        return tool_error(t, TOOL_USAGE, "NOT_CONFIRMED",
                          "dark forget destroys the keys of the address for good",
                          "add --yes if that is what you want");
    }
    rec_str(ask_begin(t, "dark.forget"), "address", addr);
    return ask_one(t, withdrawn, N(withdrawn));
}

static int dark_new(struct tool *t, int argc, char **argv)
{
    static const struct col made[] = {
        {"address", "address", COL_TEXT}, {"label", "label", COL_TEXT}, {"kind", "kind", COL_TEXT}};
    static const struct opt opts[] = {{"--network", "main|test|lab"}, {"--direct", NULL}};
    struct args a = {.t = t, .what = "dark new", .argc = argc, .argv = argv, .opts = opts, .n = 2};
    const char *label = NULL, *network = NULL;
    bool direct = false;
    for (int got; (got = args_next(&a)) != ARGS_END;) {
        if (got == ARGS_BAD) {
            return TOOL_USAGE;
        }
        if (got == ARGS_WORD && label != NULL) {
            return tool_usage(t, "dark new takes one label");
        }
        network = got == 0 ? a.value : network;
        direct = direct || got == 1;
        label = got == ARGS_WORD ? a.value : label;
    }
    struct rec *r = ask_begin(t, "dark.new");
    if (label != NULL) {
        rec_str(r, "label", label);
    }
    if (network != NULL) {
        rec_str(r, "network", network);
    }
    rec_bool(r, "direct", direct);
    return ask_one(t, made, N(made));
}

int run_dark(struct tool *t, int argc, char **argv)
{
    static const struct col list[] = {{"address", "ADDRESS", COL_TEXT},
                                      {"label", "LABEL", COL_TEXT},
                                      {"kind", "KIND", COL_TEXT},
                                      {"published", "PUBLISHED", COL_YES},
                                      {"until", "UNTIL", COL_DAY}},
                            one[] = {{"address", "address", COL_TEXT},
                                     {"label", "label", COL_TEXT},
                                     {"kind", "kind", COL_TEXT},
                                     {"network", "network", COL_TEXT},
                                     {"clients_only", "clients only", COL_YES},
                                     {"published", "published", COL_YES},
                                     {"until", "until", COL_DAY},
                                     {"created", "created", COL_DAY},
                                     {"last_used", "last used", COL_DAY},
                                     {"callers", "callers", COL_INT},
                                     {"resolutions", "resolutions", COL_INT}},
                            stored[] = {{"nodes", "copies", COL_INT}, {"took_ns", "took", COL_NS}},
                            found[] = {{"address", "address", COL_TEXT},
                                       {"kind", "kind", COL_TEXT},
                                       {"service", "service", COL_PEER},
                                       {"cached", "cached", COL_YES},
                                       {"took_ns", "took", COL_NS}};
    static const struct verb verbs[] = {
        {"new", "", "", NULL, NULL, 0, ""},
        {"list", "dark.list", NULL, "addresses", list, N(list), "no dark addresses"},
        {"show", "dark.show", "address", NULL, one, N(one), ""},
        {"publish", "dark.publish", "address", NULL, stored, N(stored), ""},
        {"resolve", "dark.resolve", "address", NULL, found, N(found), ""},
        {"forget", "", "", NULL, NULL, 0, ""}, /* for the suggestions */
        {"client", "", "", NULL, NULL, 0, ""},
        {"authorize", "", "", NULL, NULL, 0, ""},
    };
    if (argc > 0 && strcmp(argv[0], "new") == 0) {
        return dark_new(t, argc - 1, argv + 1);
    }
    if (argc > 0 && strcmp(argv[0], "forget") == 0) {
        return dark_forget(t, argc - 1, argv + 1);
    }
    if (argc > 0 && strcmp(argv[0], "client") == 0) {
        return run_client(t, argc - 1, argv + 1);
    }
    if (argc > 0 && strcmp(argv[0], "authorize") == 0) {
        return run_authorize(t, argc - 1, argv + 1);
    }
    return dispatch(t, verbs, N(verbs), argc, argv);
}
