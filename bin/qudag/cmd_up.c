/* cmd_up.c - up, down, status, config, version. */
#include "tool.h"

#include <qudag/qudag.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DYING_S 3 /* a process that was killed is gone by then */

struct up {
    const char *options[72];
    char text[64][512];
    size_t n;
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
    u->timeout = 60;
    for (int ix = 0; ix < argc; ix++) {
        const char *arg = argv[ix], *value = ix + 1 < argc ? argv[ix + 1] : NULL;
        bool ok = true;
        if (strcmp(arg, "--foreground") == 0) {
            u->foreground = true;
            continue;
        }
        if (strcmp(arg, "--no-wait") == 0) {
            u->no_wait = true;
            continue;
        }
        if (strcmp(arg, "--lab") == 0) {
            ok = add_option(u, "lab.lab=", "yes");
            continue;
        }
        if (value == NULL) {
            return tool_usage(t, "up: an option is unknown or lacks its value");
        }
        if (strcmp(arg, "--listen") == 0) {
            ok = add_option(u, "node.listen=", value);
        } else if (strcmp(arg, "--bootstrap") == 0) {
            ok = add_option(u, "node.bootstrap=", value);
        } else if (strcmp(arg, "-o") == 0) {
            ok = add_option(u, "", value);
        } else if (strcmp(arg, "--timeout") == 0) {
            ok = parse_number(value, 1, 3600, &u->timeout);
        } else {
            return tool_usage(t, "up: unknown option");
        }
        if (!ok) {
            return tool_usage(t, "up: a value is too long or not a number");
        }
        ix++;
    }
    return TOOL_OK;
}

/* A configuration to look at and change, with what was asked for now written down. */
static int make_config(struct tool *t, const struct up *u)
{
    char path[PATH_LEN], program[PATH_LEN], command[PATH_LEN * 2];
    if (!path_join(path, t->dir, "qudag.conf") || access(path, F_OK) == 0 ||
        !find_qudagd(program)) {
        return TOOL_OK;
    }
    int err = dir_make(t->dir, 0700);
    if (err != 0) {
        (void)snprintf(command, sizeof(command), "%.400s: %s", t->dir, strerror(err));
        return tool_error(t, TOOL_FAILED, "FOLDER", command, "choose another: --dir DIR");
    }
    char *text = NULL;
    size_t len = 0, cap = 0;
    int pipes[2];
    if (pipe(pipes) != 0) {
        return TOOL_OK;
    }
    pid_t pid = fork();
    if (pid == 0) {
        const char *argv[150] = {program, "--dir", t->dir, "--print-config"};
        size_t n = 4;
        for (size_t ix = 0; ix < u->n; ix++) {
            argv[n++] = "-o";
            argv[n++] = u->options[ix];
        }
        (void)dup2(pipes[1], 1);
        (void)close(2); /* what is wrong will be said when the daemon starts */
        union {
            const char *const *from;
            char *const *to;
        } plain = {.from = argv};
        (void)execv(program, plain.to);
        _exit(127);
    }
    close(pipes[1]);
    ssize_t n;
    do {
        if (len + 4096 > cap) {
            cap = cap == 0 ? 16384 : cap * 2;
            char *more = realloc(text, cap);
            if (more == NULL) {
                break;
            }
            text = more;
        }
        n = read(pipes[0], text + len, cap - len);
        len += n > 0 ? (size_t)n : 0;
    } while (n > 0);
    close(pipes[0]);
    if (len > 0) {
        err = file_write_atomic(path, text, len, 0600);
        if (err == 0 && !t->json) {
            (void)printf("config     %s (new)\n", path);
        }
    }
    free(text);
    return TOOL_OK;
}

struct watch {
    uint64_t since_ns;
    const char *log;
};

static void on_phase(struct tool *t, const struct rec_view *v, void *user)
{
    static const char *const words[][2] = {
        {"start", "listening"},        {"dial", "bootstrap peers answered"},
        {"lookup", "peers known"},     {"announce", "nodes hold our relay descriptor"},
        {"relays", "relays known"},    {"ready", "ready"},
        {"failed", "attempts failed"},
    };
    const struct watch *w = user;
    const char *phase = rec_get_str(v, "phase");
    char took[16];
    (void)w;
    if (v->type != REC_PROGRESS || phase == NULL) {
        return;
    }
    if (t->json) {
        json_line(t, "progress", v);
        return;
    }
    const char *what = phase;
    for (size_t ix = 0; ix < sizeof(words) / sizeof(words[0]); ix++) {
        what = strcmp(words[ix][0], phase) == 0 ? words[ix][1] : what;
    }
    text_ns(took, (uint64_t)rec_get_int(v, "at_ns", 0));
    int64_t have = rec_get_int(v, "have", 0), of = rec_get_int(v, "of", 0);
    char count[40] = "";
    if (strcmp(phase, "dial") == 0 || strcmp(phase, "relays") == 0) {
        (void)snprintf(count, sizeof(count), "%lld of %lld ", (long long)have, (long long)of);
    } else if (strcmp(phase, "ready") != 0 && strcmp(phase, "start") != 0) {
        (void)snprintf(count, sizeof(count), "%lld ", (long long)have);
    }
    (void)printf("%-10s %s%s  (%s)\n", phase, count, what, took);
    (void)fflush(stdout);
}

static const struct col status_cols[] = {
    {"peer", "peer", COL_PEER},           {"addresses", "listens", COL_TEXT},
    {"bootstrap", "bootstrap", COL_TEXT}, {"phase", "phase", COL_TEXT},
    {"uptime_ns", "up", COL_NS},          {"links", "links", COL_INT},
    {"links_pq", "links pq", COL_INT},    {"table", "table", COL_INT},
    {"relays", "relays", COL_INT},        {"circuits", "circuits", COL_INT},
    {"records", "records", COL_INT},      {"pid", "pid", COL_INT},
    {"dir", "folder", COL_TEXT},
};

static int announce(struct tool *t)
{
    (void)ask_begin(t, "status");
    return ask_one(t, status_cols, t->json ? 0 : 2);
}

static int failure_of(struct tool *t, int code, const char *why)
{
    static const enum tool_exit as[] = {TOOL_OK,     TOOL_FAILED, TOOL_USAGE,
                                        TOOL_FAILED, TOOL_FAILED, TOOL_FAILED};
    char hint[PATH_LEN + 32];
    (void)snprintf(hint, sizeof(hint), "log: %.900s/qudagd.log", t->dir);
    return tool_error(t, code >= 0 && code < 6 ? as[code] : TOOL_FAILED,
                      code == DAEMON_STATE    ? "STATE"
                      : code == DAEMON_LISTEN ? "LISTEN"
                      : code == DAEMON_USAGE  ? "CONFIG"
                                              : "START",
                      why, hint);
}

static int foreground(struct tool *t, const struct up *u)
{
    char program[PATH_LEN];
    const char *argv[150] = {program, "--dir", t->dir};
    size_t n = 3;
    for (size_t ix = 0; ix < u->n; ix++) {
        argv[n++] = "-o";
        argv[n++] = u->options[ix];
    }
    union {
        const char *const *from;
        char *const *to;
    } plain = {.from = argv};
    if (find_qudagd(program)) {
        (void)execv(program, plain.to);
    }
    return tool_error(t, TOOL_FAILED, "START", "qudagd cannot be run", strerror(errno));
}

int run_up(struct tool *t, int argc, char **argv)
{
    static struct up u;
    static char why[4400];
    int code = up_options(t, &u, argc, argv);
    if (code != TOOL_OK) {
        return code;
    }
    long pid = daemon_pid(t->dir);
    if (pid != 0 && !daemon_answers(t->dir) && wait_gone(t->dir, DYING_S)) {
        pid = 0; /* it was killed a moment ago and held its lock to the last */
    }
    if (pid == 0) {
        code = make_config(t, &u);
        if (code != TOOL_OK) {
            return code;
        }
        if (u.foreground) {
            return foreground(t, &u);
        }
        int err = spawn_daemon(t->dir, u.options, why, sizeof(why));
        if (err != 0) {
            return failure_of(t, err, why);
        }
        if (!t->json) {
            (void)printf("started    qudagd, pid %ld; log %s/qudagd.log\n", daemon_pid(t->dir),
                         t->dir);
        }
    } else if (!t->json) {
        (void)printf("running    qudagd runs already, pid %ld\n", pid);
    }
    code = announce(t);
    if (code != TOOL_OK || u.no_wait) {
        return code;
    }
    struct watch w = {.since_ns = mono_ns()};
    (void)alarm((unsigned)u.timeout); /* the daemon goes on trying */
    (void)ask_begin(t, "watch");
    return ask(t, -1, on_phase, &w);
}

int run_down(struct tool *t, int argc, char **argv)
{
    (void)argv;
    if (argc > 0) {
        return tool_usage(t, "down takes no argument");
    }
    long pid = daemon_pid(t->dir);
    (void)ask_begin(t, "stop");
    int code = ask(t, -1, NULL, NULL);
    if (code != TOOL_OK) {
        return code;
    }
    if (!wait_gone(t->dir, 10)) {
        return tool_error(t, TOOL_FAILED, "STILL_RUNNING", "the daemon was told but still runs",
                          "its log tells what it waits for");
    }
    if (t->json) {
        (void)printf("{\"stopped\":true,\"pid\":%ld}\n", pid);
    } else {
        (void)printf("stopped    qudagd, pid %ld\n", pid);
    }
    return TOOL_OK;
}

int run_status(struct tool *t, int argc, char **argv)
{
    (void)argv;
    if (argc > 0) {
        return tool_usage(t, "status takes no argument");
    }
    (void)ask_begin(t, "status");
    return ask_one(t, status_cols, sizeof(status_cols) / sizeof(status_cols[0]));
}

int run_stats(struct tool *t, int argc, char **argv)
{
    (void)argv;
    if (argc > 0) {
        return tool_usage(t, "stats takes no argument");
    }
    t->json = true; /* names and numbers; there is no better form for them */
    (void)ask_begin(t, "stats");
    return ask_one(t, NULL, 0);
}

int run_config(struct tool *t, int argc, char **argv)
{
    char program[PATH_LEN];
    bool check = argc >= 1 && strcmp(argv[0], "check") == 0;
    bool show = argc >= 1 && strcmp(argv[0], "show") == 0;
    if ((!check && !show) || argc > 2) {
        return tool_usage(t, "config: check [FILE] or show [FILE]");
    }
    if (!find_qudagd(program)) {
        return tool_error(t, TOOL_FAILED, "START", "qudagd is not to be found",
                          "it belongs beside qudag");
    }
    (void)execl(program, program, "--dir", t->dir, check ? "--check-config" : "--print-config",
                argc == 2 ? "-c" : NULL, argc == 2 ? argv[1] : NULL, (char *)NULL);
    return tool_error(t, TOOL_FAILED, "START", "qudagd cannot be run", strerror(errno));
}

int run_version(struct tool *t, int argc, char **argv)
{
    (void)argc;
    (void)argv;
    if (t->json) {
        (void)printf("{\"version\":\"%s\",\"crypto\":\"%s\"}\n", QUDAG_VERSION,
                     qudag_version_crypto());
    } else {
        (void)printf("qudag %s (%s)\n", QUDAG_VERSION, qudag_version_crypto());
    }
    return TOOL_OK;
}
