/* cmd_stats.c - what the node counts and measures, as a table or as Prometheus reads it. */
#include "tool.h"

#include <stdlib.h>

#define N(a) (sizeof(a) / sizeof((a)[0]))

static void on_text(struct tool *t, const struct rec_view *v, void *user)
{
    struct rec_field f;
    (void)t;
    (void)user;

    if (rec_find(v, "text", REC_BYTES, &f)) {
        (void)fwrite(f.bytes, 1, f.len, stdout);
    }
}

int run_stats(struct tool *t, int argc, char **argv)
{
    static const struct col cols[] = {{"name", "NAME", COL_TEXT}, {"value", "VALUE", COL_INT},
                                      {"unit", "UNIT", COL_TEXT}, {"kind", "KIND", COL_TEXT},
                                      {"p50_ns", "P50", COL_NS},  {"p95_ns", "P95", COL_NS},
                                      {"help", "WHAT", COL_TEXT}};
    static const struct opt opts[] = {{"--prometheus", NULL}};
    struct args a = {.t = t, .what = "stats", .argc = argc, .argv = argv, .opts = opts, .n = 1};
    bool text = false;

    for (int got; (got = args_next(&a)) != ARGS_END;) {
        if (got != 0) {
            return got == ARGS_BAD ? TOOL_USAGE
                                   : tool_usage(t, "stats takes no argument but --prometheus");
        }
        text = true;
    }
    if (text && t->json) {
        return tool_usage(t, "stats: --prometheus is a form of its own; leave out --json");
    }
    if (text) {
        (void)ask_begin(t, "metrics");
        return ask(t, -1, on_text, NULL);
    }
    (void)ask_begin(t, "stats");
    return ask_list(t, "stats", cols, N(cols), "there are no counters");
}
