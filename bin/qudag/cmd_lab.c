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
        (void)printf("\"running\":true,");
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

/* Starts what does not run; |boot| is empty for the first. */
static int start_one(struct tool *t, unsigned nth, char boot[512])
{
    char dir[PATH_LEN], option[560];
    static char why[4400];
    const char *options[] = {"lab.lab=yes", "node.listen=/ip4/127.0.0.1/udp/0/quic-v1",
                             boot[0] == 0 ? NULL : option, NULL};
    struct status s = {0};
    (void)snprintf(option, sizeof(option), "node.bootstrap=%s", boot);
    if (!node_dir(t, nth, dir)) {
        return tool_error(t, TOOL_USAGE, "PATH_TOO_LONG", "the folder's path is too long", "");
    }
    bool ran = daemon_pid(dir) != 0;
    if (!ran && spawn_daemon(dir, options, why, sizeof(why)) != 0) {
        return tool_error(t, TOOL_FAILED, "START", why, "qudag lab down, then once more");
    }
    int code = ask_status(t, nth, &s);
    if (code != TOOL_OK) {
        return tool_error(t, (enum tool_exit)code, "START", "a daemon started but does not answer",
                          "its log is in the folder lab");
    }
    if (boot[0] == 0) {
        memcpy(boot, s.bootstrap, sizeof(s.bootstrap));
    }
    char detail[160], peer[16];
    short_peer(peer, s.peer);
    (void)snprintf(detail, sizeof(detail), "pid %ld, peer %s%s", daemon_pid(dir), peer,
                   ran        ? ", ran already"
                   : nth == 1 ? ", bootstrap of the others"
                              : "");
    tell(t, nth, "started", detail);
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

static int lab_up(struct tool *t, int argc, char **argv)
{
    int64_t count = 12;
    char boot[512] = "", dir[PATH_LEN];
    if (argc > 1 || (argc == 1 && !parse_number(argv[0], 1, LAB_MAX, &count))) {
        return tool_usage(t, "lab up [1..99]");
    }
    uint64_t since = mono_ns();
    for (unsigned nth = 1; nth <= (unsigned)count; nth++) {
        int code = start_one(t, nth, boot);
        if (code != TOOL_OK) {
            return code;
        }
    }
    (void)alarm(READY_S);
    for (unsigned nth = 2; nth <= (unsigned)count && count > 4; nth++) {
        struct waiting w = {.nth = nth};
        struct outcome out;
        (void)ask_begin(t, "watch");
        if (!node_dir(t, nth, dir)) {
            return TOOL_USAGE;
        }
        ask_dir(t, dir, -1, on_phase, &w, &out);
        if (out.code != TOOL_OK) {
            return tool_error(t, (enum tool_exit)out.code, out.error, out.message, out.hint);
        }
    }
    (void)alarm(0);
    char took[16];
    text_ns(took, mono_ns() - since);
    if (!t->json) {
        (void)printf("ready      %d daemons in %s; for example: %s --dir %s/lab/02 peers\n",
                     (int)count, took, "qudag", t->dir);
    } else {
        (void)printf("{\"ready\":{\"nodes\":%d,\"took_ns\":%llu}}\n", (int)count,
                     (unsigned long long)(mono_ns() - since));
    }
    return TOOL_OK;
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
    unsigned down = 0, n = 0;
    if (t->json) {
        (void)fputs("{\"nodes\":[", stdout);
    }
    for (unsigned nth = 1; nth <= LAB_MAX && exists(t, nth); nth++) {
        struct status s = {.table = &table, .json = t->json, .nth = nth};
        if (t->json) {
            (void)printf("%s{\"node\":\"%02u\",", n == 0 ? "" : ",", nth);
        }
        bool up = ask_status(t, nth, &s) == TOOL_OK;
        down += !up;
        if (t->json) {
            (void)printf("%s}", up ? "" : "\"running\":false");
        }
        n++;
    }
    if (t->json) {
        (void)fputs("]}\n", stdout);
        free(table.cells);
    } else {
        table_print(t, &table, n == 0 ? "there is no lab: qudag lab up" : "no daemon runs");
        if (down > 0 && n > 0) {
            (void)printf("%u of %u do not run\n", down, n);
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
        (void)ask_begin(t, "stop");
        if (node_dir(t, nth, dir) && daemon_pid(dir) != 0) {
            ask_dir(t, dir, -1, NULL, NULL, &out);
            stopped++;
        }
    }
    for (unsigned nth = 1; nth <= LAB_MAX && exists(t, nth); nth++) {
        stuck += node_dir(t, nth, dir) && !wait_gone(dir, 10);
    }
    if (stuck > 0) {
        return tool_error(t, TOOL_FAILED, "STILL_RUNNING", "some daemons were told but still run",
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
    char dir[PATH_LEN], self[PATH_LEN];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (argc < 2 || n <= 0 || !parse_number(argv[0], 1, LAB_MAX, &nth) ||
        !node_dir(t, (unsigned)nth, dir)) {
        return tool_usage(t, "lab exec NODE COMMAND ...");
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
