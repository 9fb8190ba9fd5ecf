/* cmd_down.c - down: stops the daemon, and says what it waits for. */
#include "tool.h"

#include <stdlib.h>

/* What the daemon said last. */
struct waiting {
    bool said;
    int64_t requests, streams, waited_ns;
};

static void on_stop(struct tool *t, const struct rec_view *v, void *user)
{
    struct waiting *w = user;
    w->requests = rec_get_int(v, "requests", 0);
    w->streams = rec_get_int(v, "streams", 0);
    w->waited_ns = rec_get_int(v, "waited_ns", 0);
    if (v->type != REC_PROGRESS || t->json) {
        return;
    }
    w->said = true;
    (void)printf("waiting    for %lld stream%s and %lld request%s, at most %lld s more\n",
                 (long long)w->streams, w->streams == 1 ? "" : "s", (long long)w->requests,
                 w->requests == 1 ? "" : "s",
                 (long long)(rec_get_int(v, "left_ns", 0) / 1000000000 + 1));
    (void)fflush(stdout);
}

static void say(const struct tool *t, const struct waiting *w, long pid)
{
    if (t->json) {
        (void)printf("{\"stopped\":true,\"pid\":%ld,\"waited_ns\":%lld,\"cut_requests\":%lld,"
                     "\"cut_streams\":%lld}\n",
                     pid, (long long)w->waited_ns, (long long)w->requests, (long long)w->streams);
        return;
    }
    if (w->requests + w->streams > 0) {
        (void)printf("cut off    %lld stream%s, %lld request%s\n", (long long)w->streams,
                     w->streams == 1 ? "" : "s", (long long)w->requests,
                     w->requests == 1 ? "" : "s");
    }
    (void)printf("stopped    qudagd, pid %ld\n", pid);
}

int run_down(struct tool *t, int argc, char **argv)
{
    static const struct opt opts[] = {{"--now", NULL}};
    struct args a = {.t = t, .what = "down", .argc = argc, .argv = argv, .opts = opts, .n = 1};
    struct waiting w = {.said = false};
    bool now = false;
    for (int got; (got = args_next(&a)) != ARGS_END;) {
        if (got != 0) {
            return got == ARGS_BAD ? TOOL_USAGE : tool_usage(t, "down takes no argument but --now");
        }
        now = true;
    }
    long pid = daemon_pid(t->dir);
    rec_bool(ask_begin(t, "stop"), "now", now);
    int code = ask(t, -1, on_stop, &w);
    if (code != TOOL_OK) {
        return code;
    }
    if (!wait_gone(t->dir, 20)) {
        return tool_error(t, TOOL_FAILED, "STILL_RUNNING",
                          "the daemon was asked to stop but still runs",
                          "its log says what it waits for; qudag down --now waits for nothing");
    }
    say(t, &w, pid);
    return TOOL_OK;
}
