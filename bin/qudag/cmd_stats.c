/* cmd_stats.c - the counters of the node, as a table or as Prometheus reads them. */
#include "tool.h"

#include "common/metrics.h"

#include <stdlib.h>
#include <string.h>

#define N(a) (sizeof(a) / sizeof((a)[0]))

/* Rows as they came; their texts belong to the list. */
struct stats {
    struct metric m[METRICS_MAX];
    char *text[METRICS_MAX][4]; /* metric, labels, unit, help of each */
    size_t n;
    bool failed; /* no memory, or too many */
};

static char *copy_of(const struct rec_view *v, const char *name)
{
    const char *text = rec_get_str(v, name);

    return strdup(text == NULL ? "" : text);
}

static void on_stat(struct tool *t, const struct rec_view *v, void *user)
{
    struct stats *s = user;
    const char *kind = rec_get_str(v, "kind");
    (void)t;

    if (s->n == METRICS_MAX) {
        s->failed = true;
        return;
    }
    static const char *const names[4] = {"metric", "labels", "unit", "help"};
    char **text = s->text[s->n];
    for (size_t ix = 0; ix < N(names); ix++) {
        text[ix] = copy_of(v, names[ix]);
        s->failed |= text[ix] == NULL;
    }
    s->m[s->n++] = (struct metric){.metric = text[0],
                                   .labels = text[1],
                                   .unit = text[2],
                                   .help = text[3],
                                   .counter = kind != NULL && strcmp(kind, "counter") == 0,
                                   .value = (uint64_t)rec_get_int(v, "value", 0)};
}

static int prometheus(struct tool *t)
{
    struct stats *s = calloc(1, sizeof(*s));
    int code = TOOL_OK;

    if (s != NULL) {
        (void)ask_begin(t, "stats");
        code = ask(t, -1, on_stat, s);
    }
    if (s == NULL || s->failed) {
        code = tool_error(t, TOOL_FAILED, "QUDAG_ENOMEM", "out of memory", "");
    } else if (code == TOOL_OK) {
        metrics_print(stdout, s->m, s->n);
    }
    for (size_t ix = 0; s != NULL && ix < s->n * N(s->text[0]); ix++) {
        free(s->text[ix / N(s->text[0])][ix % N(s->text[0])]);
    }
    free(s);
    return code;
}

int run_stats(struct tool *t, int argc, char **argv)
{
    static const struct col cols[] = {{"name", "NAME", COL_TEXT},
                                      {"value", "VALUE", COL_INT},
                                      {"unit", "UNIT", COL_TEXT},
                                      {"kind", "KIND", COL_TEXT},
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
        return prometheus(t);
    }
    (void)ask_begin(t, "stats");
    return ask_list(t, "stats", cols, N(cols), "there are no counters");
}
