/* cmd_up.c - up, down, status, connect, stats, version. */
#include "key.h"

#include <qudag/qudag.h>

#include <errno.h>
#include <string.h>

#define DYING_S 3 /* a process that was killed is gone by then */

struct up {
    const char *options[72];
    char text[64][512];
    size_t n;
    const char *passphrase_fd;
    bool foreground, no_wait;
    int64_t timeout;
};

static bool add_option(struct up *u, const char *key, const char *value)
{
    if (u->n == 64) {
        return false;
    }
    int len = snprintf(u->text[u->n], sizeof(u->text[0]), "%s%s", key, value);
    u->options[u->n] = u->text[u->n];
    u->n++;
    return len < (int)sizeof(u->text[0]);
}

/* The first option of a list replaces what the file says; the daemon sees to that. */
static int up_options(struct tool *t, struct up *u, int argc, char **argv)
{
    enum { LISTEN, BOOTSTRAP, SETTING, TIMEOUT, NO_WAIT, FOREGROUND, LAB, PASSPHRASE };
    static const struct opt opts[] = {
        [LISTEN] = {"--listen", "ADDR"},
        [BOOTSTRAP] = {"--bootstrap", "ADDR"},
        [SETTING] = {"-o", "SECTION.KEY=VALUE"},
        [TIMEOUT] = {"--timeout", "S"},
        [NO_WAIT] = {"--no-wait", NULL},
        [FOREGROUND] = {"--foreground", NULL},
        [LAB] = {"--lab", NULL},
        [PASSPHRASE] = {"--passphrase-fd", "N"},
    };
    static const char *const keys[] = {
        [LISTEN] = "node.listen=", [BOOTSTRAP] = "node.bootstrap=", [SETTING] = ""};
    struct args a = {t, "up", argc, argv, opts, sizeof(opts) / sizeof(opts[0]), 0, false, NULL};
    int got;
    bool fits = true;
    u->timeout = 60;
    while ((got = args_next(&a)) != ARGS_END) {
        switch (got) {
        case LISTEN:
        case BOOTSTRAP:
        case SETTING:
            fits = fits && add_option(u, keys[got], a.value);
            break;
        case LAB:
            fits = fits && add_option(u, "lab.lab=", "yes");
            break;
        case TIMEOUT:
            if (!parse_number(a.value, 1, 3600, &u->timeout)) {
                return tool_usage(t, "up --timeout takes a number of seconds, 1 to 3600");
            }
            break;
        case PASSPHRASE:
            u->passphrase_fd = a.value;
            break;
        case NO_WAIT:
            u->no_wait = true;
            break;
        case FOREGROUND:
            u->foreground = true;
            break;
        case ARGS_WORD:
            return tool_usage(t, "up takes options only");
        default:
            return TOOL_USAGE;
        }
    }
    return fits ? TOOL_OK
                : tool_usage(t, "up: a value is too long, or there are more than 64 options");
}

/* ------------------------------------------------------------------ status */

static const struct col status_cols[] = {
    {"peer", "peer", COL_PEER},
    {"addresses", "listens", COL_TEXT},
    {"announced", "announced", COL_TEXT},
    {"bootstrap", "bootstrap", COL_TEXT},
    {"phase", "phase", COL_TEXT},
    {"health", "health", COL_TEXT},
    {"reason", "reason", COL_TEXT},
    {"disk", "disk", COL_TEXT},
    {"retry_ns", "next try", COL_NS},
    {"note", "note", COL_TEXT},
    {"reachability", "reached", COL_TEXT},
    {"nat", "nat", COL_TEXT},
    {"ports", "ports", COL_TEXT},
    {"places", "places", COL_INT},
    {"evidence", "evidence", COL_TEXT},
    {"uptime_ns", "up", COL_NS},
    {"links", "links", COL_INT},
    {"links_pq", "links pq", COL_INT},
    {"table", "table", COL_INT},
    {"relay", "relay", COL_TEXT},
    {"relays", "relays", COL_INT},
    {"anonymity", "anonymity", COL_TEXT},
    {"drawn", "paths", COL_TEXT},
    {"circuits", "circuits", COL_INT},
    {"records", "records", COL_INT},
    {"pid", "pid", COL_INT},
    {"dir", "folder", COL_TEXT},
};

struct status {
    size_t n_cols; /* shown, of status_cols */
    bool lab;
    char health[16], bootstrap[512], note[400];
};

static void on_status(struct tool *t, const struct rec_view *v, void *user)
{
    struct status *s = user;
    const char *health = rec_get_str(v, "health"), *boot = rec_get_str(v, "bootstrap"),
               *note = rec_get_str(v, "note");
    if (v->type != REC_ROW) {
        return;
    }
    s->lab = rec_get_bool(v, "lab");
    (void)snprintf(s->health, sizeof(s->health), "%s", health == NULL ? "" : health);
    (void)snprintf(s->bootstrap, sizeof(s->bootstrap), "%s", boot == NULL ? "" : boot);
    (void)snprintf(s->note, sizeof(s->note), "%s", note == NULL ? "" : note);
    row_print(t, v, status_cols, s->n_cols);
}

int run_status(struct tool *t, int argc, char **argv)
{
    struct status s = {.n_cols = sizeof(status_cols) / sizeof(status_cols[0])};
    if (!args_none(t, argc, argv)) {
        return TOOL_USAGE;
    }
    (void)ask_begin(t, "status");
    int code = ask(t, -1, on_status, &s);
    bool well = strcmp(s.health, "failed") != 0 && strcmp(s.health, "isolated") != 0 &&
                strcmp(s.health, "unsaved") != 0 && strcmp(s.health, "no-udp") != 0;
    return code == TOOL_OK && !well ? TOOL_UNREACHABLE : code;
}

/* ------------------------------------------------------------------ waiting until it is ready */

struct watch {
    const struct status *status; /* as it was before */
    char phase[16], error[64],
        reason[600]; /* an address with its hash, and what is wrong with it */
    long long have, of;
};

static const char *phase_words(const char *phase)
{
    static const char *const words[][2] = {
        {"start", "listening"},     {"dial", "peers to join through answered"},
        {"lookup", "peers known"},  {"announce", "nodes hold our relay descriptor"},
        {"relays", "relays known"}, {"ready", "circuits can be built"},
    };
    for (size_t ix = 0; ix < sizeof(words) / sizeof(words[0]); ix++) {
        if (strcmp(words[ix][0], phase) == 0) {
            return words[ix][1];
        }
    }
    return phase;
}

static void show_failure(const struct watch *w, const struct rec_view *v)
{
    char wait[16];
    uint64_t retry = (uint64_t)rec_get_int(v, "retry_ns", 0);
    text_ns(wait, retry);
    (void)printf("retrying   attempt %lld: %s%s%s\n", (long long)rec_get_int(v, "have", 0),
                 w->reason, retry == 0 ? "" : "; next attempt in ", retry == 0 ? "" : wait);
}

static void show_alone(const struct status *s)
{
    (void)puts(
        "ready      but alone: no bootstrap peers are configured and no other node has joined "
        "yet");
    if (s->bootstrap[0] != 0) {
        (void)printf("           other nodes join with: qudag up %s--bootstrap '%s'\n",
                     s->lab ? "--lab " : "", s->bootstrap);
    }
}

static void on_phase(struct tool *t, const struct rec_view *v, void *user)
{
    struct watch *w = user;
    const char *phase = rec_get_str(v, "phase"), *error = rec_get_str(v, "error"),
               *reason = rec_get_str(v, "reason");
    char took[16], count[48] = "";
    if (v->type != REC_PROGRESS || phase == NULL) {
        return;
    }
    (void)snprintf(w->phase, sizeof(w->phase), "%s", phase);
    w->have = rec_get_int(v, "have", 0);
    w->of = rec_get_int(v, "of", 0);
    if (error != NULL || strcmp(phase, "dial") !=
                             0) { /* what kept the last attempt holds while the next one dials */
        (void)snprintf(w->error, sizeof(w->error), "%s", error == NULL ? "" : error);
        (void)snprintf(w->reason, sizeof(w->reason), "%s", reason == NULL ? "" : reason);
    }
    if (t->json) {
        json_line(t, "progress", v);
        return;
    }
    text_ns(took, (uint64_t)rec_get_int(v, "at_ns", 0));
    if (strcmp(phase, "failed") == 0) {
        show_failure(w, v);
    } else if (strcmp(phase, "ready") == 0 && w->have == 0 &&
               strcmp(w->status->health, "alone") ==
                   0) { /* contacts of the last run may have answered since */
        show_alone(w->status);
    } else if (rec_get_bool(v, "udp_blocked")) {
        (void)printf("%-10s over TCP only: no UDP comes through, and circuits need it  (%s)\n",
                     phase, took);
    } else {
        bool needs = strcmp(phase, "dial") == 0 || strcmp(phase, "relays") == 0;
        if (needs && w->have <= w->of) { /* a node that has run for long knows more than it needs */
            (void)snprintf(count, sizeof(count), "%lld of %lld ", w->have, w->of);
        } else if (strcmp(phase, "ready") != 0 && strcmp(phase, "start") != 0) {
            (void)snprintf(count, sizeof(count), "%lld ", w->have);
        }
        (void)printf("%-10s %s%s  (%s)\n", phase, count, phase_words(phase), took);
    }
    (void)fflush(stdout);
}

static int wait_ready(struct tool *t, int64_t seconds, const struct status *status)
{
    struct watch w = {.status = status};
    struct outcome out;
    char message[sizeof(w.reason) + 160];
    t->deadline_ns = mono_ns() + (uint64_t)seconds * UINT64_C(1000000000);
    rec_bool(ask_begin(t, "watch"), "until_ready", true);
    ask_dir(t, t->dir, -1, on_phase, &w, &out);
    t->deadline_ns = 0;
    if (out.code != TOOL_UNREACHABLE || strcmp(out.error, "TIMEOUT") != 0) {
        return out.code == TOOL_OK
                   ? TOOL_OK
                   : tool_error(t, (enum tool_exit)out.code, out.error, out.message, out.hint);
    }
    if (w.reason[0] == 0 && strcmp(w.phase, "relays") == 0) {
        (void)snprintf(w.reason, sizeof(w.reason),
                       "circuits need %lld known relays%s, and %lld are known; more nodes must "
                       "join",
                       w.of, w.have >= w.of ? " of different networks" : "", w.have);
    }
    (void)snprintf(message, sizeof(message), "not ready after %lld s%s%s; the daemon keeps trying",
                   (long long)seconds, w.reason[0] == 0 ? ": phase " : ": ",
                   w.reason[0] == 0 ? w.phase : w.reason);
    return tool_error(
        t, TOOL_UNREACHABLE, w.error[0] == 0 ? "TIMEOUT" : w.error, message,
        strcmp(w.error, "QUDAG_EAUTH") == 0
            ? "compare it with the line \"bootstrap\" of that node's status"
            : "qudag status shows how far it is, qudag connect MULTIADDR dials at once, "
              "qudag down stops the daemon");
}

/* ------------------------------------------------------------------ up */

static int failure_of(struct tool *t, int code, const char *why)
{
    static const enum tool_exit as[] = {TOOL_OK,     TOOL_FAILED, TOOL_USAGE,
                                        TOOL_FAILED, TOOL_FAILED, TOOL_FAILED};
    static const char *const names[] = {"", "START", "CONFIG", "START", "STATE", "LISTEN"};
    char hint[PATH_LEN + 80];
    bool known = code >= 0 && code < 6;
    (void)snprintf(hint, sizeof(hint), "log: %.900s/qudagd.log", t->dir);
    if (code == DAEMON_LISTEN && why[0] == '[') { /* of the proxy or the metrics: not of the node */
        (void)snprintf(hint, sizeof(hint), "that setting chooses another: qudag.conf(5)");
    } else if (code == DAEMON_LISTEN) {
        (void)snprintf(hint, sizeof(hint),
                       "choose another with --listen /ip4/ADDRESS/udp/PORT/quic-v1");
    } else if (code == DAEMON_USAGE) {
        (void)snprintf(hint, sizeof(hint), "qudag help up shows the options");
    } else if (code == DAEMON_STATE) {
        hint[0] = 0; /* the sentence says what to do */
    }
    return tool_error(t, known ? as[code] : TOOL_FAILED, known ? names[code] : "START", why, hint);
}

static void note(const struct tool *t, const char *text)
{
    if (t->json) {
        (void)fputs("{\"note\":", stdout);
        json_text(stdout, text);
        (void)fputs("}\n", stdout);
    } else {
        (void)printf("note       %s\n", text);
    }
}

static int foreground(struct tool *t, const struct up *u, struct nodeconf *made)
{
    int err = nodeconf_write(made, t->dir);
    if (err != 0) {
        return tool_error(t, TOOL_FAILED, "CONFIG", strerror(err),
                          "make room, or choose --dir DIR");
    }
    const char *const before[] = {"--passphrase-fd", u->passphrase_fd, NULL};
    (void)exec_qudagd(t->dir, u->passphrase_fd == NULL ? NULL : before, u->options);
    return tool_error(t, TOOL_FAILED, "START", "qudagd cannot be run", strerror(errno));
}

/* The configuration is written once the daemon runs with it: what is refused is not kept. */
static int start(struct tool *t, const struct up *u)
{
    static char why[4400];
    struct nodeconf made;
    char message[PATH_LEN + 64];
    int err = dir_make(t->dir, 0700), code;
    if (err != 0) {
        (void)snprintf(message, sizeof(message), "%.900s: %s", t->dir, strerror(err));
        return tool_error(t, TOOL_FAILED, "FOLDER", message, "choose another: --dir DIR");
    }
    code = nodeconf_make(t, t->dir, u->options, &made);
    if (code != TOOL_OK) {
        nodeconf_drop(&made);
        return code;
    }
    bool fresh = made.text != NULL;
    if (u->foreground) {
        return foreground(t, u, &made);
    }
    struct passphrase p;
    code = key_passphrase(t, u->passphrase_fd, &p);
    if (code != TOOL_OK) {
        nodeconf_drop(&made);
        return code;
    }
    code = spawn_daemon(t->dir, u->options, &p, why, sizeof(why));
    passphrase_wipe(&p);
    if (code != DAEMON_OK) {
        nodeconf_drop(&made);
        return failure_of(t, code, why);
    }
    err = nodeconf_write(&made, t->dir);
    if (!t->json) {
        (void)printf("started    qudagd, pid %ld; log %s/qudagd.log\n", daemon_pid(t->dir), t->dir);
        if (fresh && err == 0) {
            (void)printf("config     %s/qudag.conf (new)\n", t->dir);
        }
    }
    if (err != 0) {
        (void)snprintf(message, sizeof(message), "qudag.conf was not written: %s", strerror(err));
        note(t, message);
    } else if (!fresh && u->n > 0) {
        note(t, "qudag.conf exists and stays as it is: the options count for this start only");
    }
    return TOOL_OK;
}

/* What the daemon says of its configuration: empty when the answer is remembered there. */
static void on_accepted(struct tool *t, const struct rec_view *v, void *user)
{
    const char *lost = rec_get_str(v, "not_remembered");
    (void)t;
    (void)snprintf(user, PATH_LEN, "%s", lost == NULL ? "" : lost);
}

int accept_small_network(struct tool *t)
{
    char message[PATH_LEN + 160], lost[PATH_LEN] = "";
    (void)ask_begin(t, "small-network");
    int code = ask(t, -1, on_accepted, lost);
    if (lost[0] != 0) {
        (void)snprintf(message, sizeof(message),
                       "the small network is accepted until the daemon stops (%.1000s); "
                       "small_network = yes under [onion] keeps it",
                       lost);
        note(t, message);
    }
    return code;
}

int run_up(struct tool *t, int argc, char **argv)
{
    static struct up u;
    int code = up_options(t, &u, argc, argv);
    if (code != TOOL_OK) {
        return code;
    }
    long pid = daemon_pid(t->dir);
    bool answers = pid != 0 && daemon_answers(t->dir);
    if (pid != 0 && !answers && wait_gone(t->dir, DYING_S)) {
        pid = 0; /* it was killed a moment ago and held its lock to the last */
    }
    if (pid == 0) {
        code = start(t, &u);
    } else if (answers) {
        if (!t->json) {
            (void)printf("running    qudagd is already running, pid %ld\n", pid);
        }
        if (u.n > 0) {
            note(t, "the running daemon does not take the options: qudag down first, or, to reach "
                    "one peer now, qudag connect MULTIADDR");
        }
    }
    if (code == TOOL_OK && t->small_network) {
        code = accept_small_network(t);
    }
    struct status s = {.n_cols = t->json ? 0 : 2};
    if (code == TOOL_OK) {
        (void)ask_begin(t, "status");
        code = ask(t, -1, on_status, &s);
    }
    if (code == TOOL_OK && s.note[0] != 0 && !t->json) {
        note(t, s.note);
    }
    if (code == TOOL_OK && s.lab && !t->json) {
        note(t, "a test network (lab): it hides nobody");
    }
    return code != TOOL_OK || u.no_wait ? code : wait_ready(t, u.timeout, &s);
}

int run_connect(struct tool *t, int argc, char **argv)
{
    static const struct col cols[] = {{"peer", "connected", COL_PEER},
                                      {"path_kind", "path", COL_TEXT},
                                      {"through", "over", COL_PEER},
                                      {"took_ns", "took", COL_NS}};
    qudag_peer_id peer;
    static const struct opt opts[] = {{"--isolate", "KEY"}};
    struct args a = {.t = t, .what = "connect", .argc = argc, .argv = argv, .opts = opts, .n = 1};
    const char *word[2] = {NULL, NULL}, *key = NULL;
    int n = 0;
    for (int got; (got = args_next(&a)) != ARGS_END;) {
        if (got == ARGS_BAD) {
            return TOOL_USAGE;
        }
        key = got == 0 ? a.value : key;
        if (got == ARGS_WORD && n < 2) {
            word[n] = a.value;
        }
        n += got == ARGS_WORD;
    }
    if (n == 2) {
        return connect_dark(t, word[0], word[1], key);
    }
    if (n == 1 && word[0][0] != '/' && qudag_peer_id_parse(&peer, word[0]) != QUDAG_OK) {
        size_t len = strlen(word[0]);
        bool dark = len > 5 && strcmp(word[0] + len - 5, ".dark") == 0;
        return tool_usage(t, dark ? "connect: to which port of it?  ADDRESS PORT"
                                  : "connect: that is neither a multiaddr nor a whole peer id (52 "
                                    "characters, 12D3Koo...); to a dark address: ADDRESS PORT");
    }
    if (n != 1 || key != NULL) {
        return tool_usage(t, "connect takes one multiaddr or peer id, or a dark address and a "
                             "port");
    }
    rec_str(ask_begin(t, "connect"), "to", word[0]);
    return ask_one(t, cols, sizeof(cols) / sizeof(cols[0]));
}

int run_version(struct tool *t, int argc, char **argv)
{
    if (!args_none(t, argc, argv)) {
        return TOOL_USAGE;
    }
    if (t->json) {
        (void)printf("{\"version\":\"%s\",\"crypto\":\"%s\"}\n", QUDAG_VERSION,
                     qudag_version_crypto());
    } else {
        (void)printf("qudag %s (%s)\n", QUDAG_VERSION, qudag_version_crypto());
    }
    return TOOL_OK;
}
