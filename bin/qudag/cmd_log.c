/* cmd_log.c - log: levels by area, while the daemon runs. */
#include "operate.h"

#include <string.h>

int run_log(struct tool *t, int argc, char **argv)
{
    static const struct col cols[] = {{"area", "AREA", COL_TEXT}, {"level", "LEVEL", COL_TEXT}};
    struct args a = {.t = t, .what = "log", .argc = argc, .argv = argv};
    const char *word[3] = {NULL, NULL, NULL};
    int n = args_words(&a, word, 3);
    if (n == 0 || (n == 1 && strcmp(word[0], "list") == 0)) {
        (void)ask_begin(t, "log");
        return ask_list(t, "areas", cols, 2, "there are no areas");
    }
    if (n == 3 && strcmp(word[0], "level") == 0) {
        struct rec *r = ask_begin(t, "log.level");
        rec_str(r, "area", word[1]);
        rec_str(r, "level", word[2]);
        char shown[160];
        (void)snprintf(shown, sizeof(shown), "%.100s: %.40s", word[1], word[2]);
        return ask_done(t, "level", t->json ? word[1] : shown);
    }
    return n < 0 ? TOOL_USAGE : tool_usage(t, "log: list, or level AREA LEVEL");
}
