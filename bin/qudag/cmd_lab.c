/*
 * cmd_lab.c - a network on this machine: N daemons on loopback, each with its own process, port,
 * identity and folder, DIR/lab/01, 02, ...  The first is the others' bootstrap.
 */
#include "tool.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LAB_MAX 99
#define READY_S 60
#define ANSWER_S 3                /* within which a daemon should say how it is */
#define LAB_HOPS 3                /* of circuits, by default */
#define LAB_RELAYS (LAB_HOPS + 1) /* to choose them from, other than the node itself */

static bool node_dir(const struct tool *t, unsigned nth, char out[PATH_LEN])
{
    int n = snprintf(out, PATH_LEN, "%.900s/lab/%02u", t->dir, nth);
    return n > 0 && n < PATH_LEN;
}

static bool exists(const struct tool *t, unsigned nth)
{
    char dir[PATH_LEN];
    return node_dir(t, nth, dir) && access(dir, F_OK) == 0;
}

/* The nodes of the lab: folders 01, 02, ... without a gap. */
static unsigned count_nodes(const struct tool *t)
{
    unsigned n = 0;
    while (n < LAB_MAX && exists(t, n + 1)) {
        n++;
    }
    return n;
}

static unsigned count_running(const struct tool *t)
{
    unsigned n = 0;
    char dir[PATH_LEN];
    for (unsigned nth = 1; nth <= LAB_MAX && exists(t, nth); nth++) {
        n += node_dir(t, nth, dir) && daemon_pid(dir) != 0;
    }
    return n;
}

unsigned lab_of(const char *dir, char top[PATH_LEN])
{
    static const char middle[] = "/lab/";
    size_t len = strlen(dir);
    int64_t nth;
    if (len < sizeof(middle) + 2 || len >= PATH_LEN ||
        memcmp(dir + len - 2 - (sizeof(middle) - 1), middle, sizeof(middle) - 1) != 0 ||
        !parse_number(dir + len - 2, 1, LAB_MAX, &nth)) {
        return 0;
    }
    struct tool lab = {0};
    memcpy(lab.dir, dir, len - 2 - (sizeof(middle) - 1));
    memcpy(top, lab.dir, PATH_LEN);
    return count_nodes(&lab);
}

struct status {
    char bootstrap[512], phase[16], peer[64];
    struct table *table;
    unsigned nth;
    bool json;
};

static void on_status(struct tool *t, const struct rec_view *v, void *user)
{
    struct status *s = user;
    const char *boot = rec_get_str(v, "bootstrap"), *phase = rec_get_str(v, "phase"),
               *peer = rec_get_str(v, "peer");
    (void)t;
    if (v->type != REC_ROW) {
        return;
    }
    (void)snprintf(s->bootstrap, sizeof(s->bootstrap), "%s", boot == NULL ? "" : boot);
    (void)snprintf(s->phase, sizeof(s->phase), "%s", phase == NULL ? "" : phase);
    (void)snprintf(s->peer, sizeof(s->peer), "%s", peer == NULL ? "" : peer);
    if (s->json) {
        (void)printf("\"running\":true,\"answers\":true,");
        json_fields(stdout, v);
    } else if (s->table != NULL) {
        table_add(s->table, v);
    }
}

static int ask_status(struct tool *t, unsigned nth, struct status *s)
{
    char dir[PATH_LEN];
    struct outcome out;
    if (!node_dir(t, nth, dir)) {
        return TOOL_USAGE;
    }
    (void)ask_begin(t, "status");
    ask_dir(t, dir, -1, on_status, s, &out);
    return out.code;
}

static void tell(const struct tool *t, unsigned nth, const char *what, const char *detail)
{
    if (t->json) {
        (void)printf("{\"progress\":{\"node\":\"%02u\",\"state\":\"%s\",\"detail\":", nth, what);
        json_text(stdout, detail);
        (void)fputs("}}\n", stdout);
    } else {
        (void)printf("node %02u    %-9s %s\n", nth, what, detail);
    }
    (void)fflush(stdout);
}

/* Starts the daemon of |dir|, and writes its configuration: a later qudag up in that folder, without
 * the lab command, starts the same node of the same test network. */
static int spawn_one(struct tool *t, const char *dir, const char *const *options)
{
    static char why[4400];
    struct nodeconf made;
    int err = dir_make(dir, 0700);
    if (err != 0) {
        return tool_error(t, TOOL_FAILED, "FOLDER", strerror(err), "choose another: --dir DIR");
    }
    int code = nodeconf_make(t, dir, options, &made);
    if (code != TOOL_OK) {
        nodeconf_drop(&made);
        return code;
    }
    if (spawn_daemon(dir, options, NULL, why, sizeof(why)) != DAEMON_OK) {
        nodeconf_drop(&made);
        return tool_error(t, TOOL_FAILED, "START", why, "qudag lab down, then once more");
    }
    err = nodeconf_write(&made, dir);
    return err == 0 ? TOOL_OK
                    : tool_error(t, TOOL_FAILED, "CONFIG", strerror(err), "make room on the disk");
}

/* Starts what does not run; |boot| is empty for the first. */
static int start_one(struct tool *t, unsigned nth, char boot[512])
{
    char dir[PATH_LEN], option[560];
    const char *options[] = {"lab.lab=yes", "node.listen=/ip4/127.0.0.1/udp/0/quic-v1",
                             boot[0] == 0 ? NULL : option, NULL};
    struct status s = {0};
    (void)snprintf(option, sizeof(option), "node.bootstrap=%s", boot);
    if (!node_dir(t, nth, dir)) {
        return tool_error(t, TOOL_USAGE, "PATH_TOO_LONG", "the folder's path is too long",
                          "choose a shorter --dir");
    }
    bool ran = daemon_pid(dir) != 0;
    int code = ran ? TOOL_OK : spawn_one(t, dir, options);
    if (code != TOOL_OK) {
        return code;
    }
    code = ask_status(t, nth, &s);
    if (code != TOOL_OK) {
        return tool_error(t, (enum tool_exit)code, "START", "a daemon started but does not answer",
                          "its log is qudagd.log in its folder below lab/");
    }
    if (boot[0] == 0) {
        memcpy(boot, s.bootstrap, sizeof(s.bootstrap));
    }
    char detail[160], peer[16];
    short_peer(peer, s.peer);
    (void)snprintf(detail, sizeof(detail), "pid %ld, peer %s%s", daemon_pid(dir), peer,
                   nth == 1 ? ", bootstrap peer of the others" : "");
    tell(t, nth, ran ? "running" : "started", detail);
    return TOOL_OK;
}

struct waiting {
    unsigned nth;
    char last[16], line[200]; /* the phases so far, with their times */
};

static void on_phase(struct tool *t, const struct rec_view *v, void *user)
{
    struct waiting *w = user;
    const char *phase = rec_get_str(v, "phase");
    char at[16];
    if (v->type != REC_PROGRESS || phase == NULL || strcmp(phase, w->last) == 0) {
        return;
    }
    text_ns(at, (uint64_t)rec_get_int(v, "at_ns", 0));
    size_t len = strlen(w->line);
    bool ready = strcmp(phase, "ready") == 0;
    if (ready) {
        (void)snprintf(w->line + len, sizeof(w->line) - len, "%s  (%lld relays known)", at,
                       (long long)rec_get_int(v, "have", 0));
        tell(t, w->nth, phase, w->line);
    } else {
        (void)snprintf(w->line + len, sizeof(w->line) - len, "%s %s > ", phase, at);
    }
    (void)snprintf(w->last, sizeof(w->last), "%s", phase);
}

static int wait_all(struct tool *t, unsigned count)
{
    char dir[PATH_LEN], message[120];
    t->deadline_ns = mono_ns() + READY_S * UINT64_C(1000000000);
    for (unsigned nth = 2; nth <= count; nth++) {
        struct waiting w = {.nth = nth};
        struct outcome out;
        if (!node_dir(t, nth, dir)) {
            return TOOL_USAGE;
        }
        rec_bool(ask_begin(t, "watch"), "until_ready", true);
        ask_dir(t, dir, -1, on_phase, &w, &out);
        if (out.code == TOOL_UNREACHABLE && strcmp(out.error, "TIMEOUT") == 0) {
            (void)snprintf(message, sizeof(message),
                           "node %02u is not ready after %d s (phase %s); the daemons go on trying",
                           nth, READY_S, w.last);
            return tool_error(t, TOOL_UNREACHABLE, "TIMEOUT", message,
                              "qudag lab status shows how far they are");
        }
        if (out.code != TOOL_OK) {
            return tool_error(t, (enum tool_exit)out.code, out.error, out.message, out.hint);
        }
    }
    t->deadline_ns = 0;
    return TOOL_OK;
}

static void lab_ready(const struct tool *t, unsigned count, uint64_t took_ns)
{
    bool circuits = count > LAB_RELAYS;
    char took[16];
    text_ns(took, took_ns);
    if (t->json) {
        (void)printf("{\"ready\":{\"nodes\":%u,\"circuits\":%s,\"took_ns\":%llu}}\n", count,
                     circuits ? "true" : "false", (unsigned long long)took_ns);
        return;
    }
    if (circuits) {
        (void)printf("ready      %u daemons in %s; for example: qudag --dir %s lab exec 2 peers\n",
                     count, took, t->dir);
        return;
    }
    (void)printf(
        "started    %u daemons in %s, too few for circuits: those have %d relays, chosen from "
        "%d other\n           nodes at least, so dark addresses and send need qudag lab up "
        "%d\n",
        count, took, LAB_HOPS, LAB_RELAYS, LAB_RELAYS + 1);
}

static int lab_up(struct tool *t, int argc, char **argv)
{
    int64_t count = 12;
    char boot[512] = "", message[120];
    struct args a = {.t = t, .what = "lab up", .argc = argc, .argv = argv};
    const char *word;
    int n = args_words(&a, &word, 1);
    if (n < 0) {
        return TOOL_USAGE;
    }
    if (n > 1 || (n == 1 && !parse_number(word, 1, LAB_MAX, &count))) {
        return tool_usage(t, "lab up: N is a number, 1 to 99");
    }
    unsigned running = count_running(t);
    if (running > (unsigned)count) {
        (void)snprintf(message, sizeof(message), "%u nodes run already; lab up %d would be fewer",
                       running, (int)count);
        return tool_error(t, TOOL_USAGE, "LAB_RUNNING", message,
                          "qudag lab down stops them; then lab up again");
    }
    uint64_t since = mono_ns();
    for (unsigned nth = 1; nth <= (unsigned)count; nth++) {
        int code = start_one(t, nth, boot);
        if (code != TOOL_OK) {
            return code;
        }
    }
    int code = count > LAB_RELAYS ? wait_all(t, (unsigned)count) : TOOL_OK;
    if (code == TOOL_OK) {
        lab_ready(t, (unsigned)count, mono_ns() - since);
    }
    return code;
}

/* One node of lab status; true: it answered. */
static bool status_one(struct tool *t, unsigned nth, struct table *table)
{
    struct status s = {.table = table, .json = t->json, .nth = nth};
    char dir[PATH_LEN];
    if (t->json) {
        (void)printf("%s{\"node\":\"%02u\",", nth == 1 ? "" : ",", nth);
    }
    t->deadline_ns = mono_ns() + ANSWER_S * UINT64_C(1000000000);
    bool answers = ask_status(t, nth, &s) == TOOL_OK;
    t->deadline_ns = 0;
    bool runs = answers || (node_dir(t, nth, dir) && daemon_pid(dir) != 0);
    if (t->json) {
        (void)printf("%s}", answers ? ""
                            : runs  ? "\"running\":true,\"answers\":false"
                                    : "\"running\":false,\"answers\":false");
    } else if (!answers) {
        tell(t, nth, runs ? "busy" : "down",
             runs ? "it runs but does not answer; its log may say why" : "it does not run");
    }
    return answers;
}

static int lab_status(struct tool *t)
{
    static const struct col cols[] = {
        {"dir", "FOLDER", COL_TEXT},       {"pid", "PID", COL_INT},
        {"peer", "PEER", COL_SHORT},       {"phase", "PHASE", COL_TEXT},
        {"links", "LINKS", COL_INT},       {"links_pq", "PQ", COL_INT},
        {"table", "TABLE", COL_INT},       {"relays", "RELAYS", COL_INT},
        {"circuits", "CIRCUITS", COL_INT}, {"records", "RECORDS", COL_INT},
        {"uptime_ns", "UP", COL_NS},
    };
    struct table table = {.cols = cols, .n_cols = sizeof(cols) / sizeof(cols[0])};
    unsigned silent = 0, n = count_nodes(t);
    if (t->json) {
        (void)fputs("{\"nodes\":[", stdout);
    }
    for (unsigned nth = 1; nth <= n; nth++) {
        silent += !status_one(t, nth, &table);
    }
    if (t->json) {
        (void)fputs("]}\n", stdout);
        free(table.cells);
    } else {
        table_print(t, &table,
                    n == 0 ? "there is no lab; qudag lab up makes one" : "no node answers");
        if (silent > 0) {
            (void)printf("%u of %u do not answer\n", silent, n);
        }
    }
    return TOOL_OK;
}

static int lab_down(struct tool *t)
{
    unsigned stopped = 0, stuck = 0;
    char dir[PATH_LEN];
    for (unsigned nth = 1; nth <= LAB_MAX && exists(t, nth); nth++) {
        struct outcome out;
        rec_bool(ask_begin(t, "stop"), "now", true);
        if (node_dir(t, nth, dir) && daemon_pid(dir) != 0) {
            ask_dir(t, dir, -1, NULL, NULL, &out);
            stopped++;
        }
    }
    for (unsigned nth = 1; nth <= LAB_MAX && exists(t, nth); nth++) {
        stuck += node_dir(t, nth, dir) && !wait_gone(dir, 10);
    }
    if (stuck > 0) {
        return tool_error(t, TOOL_FAILED, "STILL_RUNNING",
                          "some daemons were asked to stop but still run",
                          "qudag lab status shows which");
    }
    if (t->json) {
        (void)printf("{\"stopped\":%u}\n", stopped);
    } else {
        (void)printf("stopped    %u daemons\n", stopped);
    }
    return TOOL_OK;
}

static int lab_exec(struct tool *t, int argc, char **argv)
{
    int64_t nth;
    char dir[PATH_LEN], self[PATH_LEN], message[80];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    unsigned nodes = count_nodes(t);
    if (nodes == 0) {
        return tool_error(t, TOOL_NOT_FOUND, "NO_LAB", "there is no lab in this folder",
                          "qudag lab up 5 makes one; --dir names another folder");
    }
    if (argc < 2) {
        return tool_usage(t, "lab exec takes a node and a command");
    }
    if (!parse_number(argv[0], 1, nodes, &nth) || n <= 0 || !node_dir(t, (unsigned)nth, dir)) {
        (void)snprintf(message, sizeof(message),
                       "lab exec: NODE is a number; this lab has nodes 1 to %u", nodes);
        return tool_usage(t, message);
    }
    self[n] = 0;
    char **with = calloc((size_t)argc + 5, sizeof(*with));
    if (with == NULL) {
        return TOOL_FAILED;
    }
    char option[] = "--dir", json[] = "--json";
    int at = 0, first = strcmp(argv[1], "--") == 0 ? 2 : 1;
    with[at++] = self;
    with[at++] = option;
    with[at++] = dir;
    if (t->json) {
        with[at++] = json;
    }
    for (int ix = first; ix < argc; ix++) {
        with[at++] = argv[ix];
    }
    (void)execv(self, with);
    free(with);
    return TOOL_FAILED;
}

int run_lab(struct tool *t, int argc, char **argv)
{
    static const char *const names[] = {"up", "down", "status", "exec"};
    char message[160];
    const char *what = argc > 0 ? argv[0] : "";
    if (strcmp(what, "up") == 0) {
        return lab_up(t, argc - 1, argv + 1);
    }
    if (strcmp(what, "down") == 0 && argc == 1) {
        return lab_down(t);
    }
    if (strcmp(what, "status") == 0 && argc == 1) {
        return lab_status(t);
    }
    if (strcmp(what, "exec") == 0) {
        return lab_exec(t, argc - 1, argv + 1);
    }
    const char *near = text_nearest(what, names, 4);
    (void)snprintf(message, sizeof(message), "lab: up, down, status or exec%s%s%s",
                   near == NULL ? "" : "; did you mean ", near == NULL ? "" : near,
                   near == NULL ? "" : "?");
    return tool_usage(t, message);
}
