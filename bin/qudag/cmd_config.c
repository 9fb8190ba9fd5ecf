/* cmd_config.c - config check and config show. */
#include "tool.h"

#include <stdlib.h>
#include <string.h>

/* One line of a printed configuration as JSON; |section| is the one it stands in.  False: it is no
 * setting. */
static bool setting_line(char *line, char section[64], size_t nth)
{
    size_t len = strlen(line);
    if (line[0] == '[' && len > 2 && len < 64) {
        (void)snprintf(section, 64, "%.*s", (int)(len - 2), line + 1);
        return false;
    }
    char *equal = line[0] == '#' ? NULL : strstr(line, " =");
    if (equal == NULL) {
        return false;
    }
    *equal = 0;
    const char *value = equal + 2 + (equal[2] == ' ');
    (void)printf("%s{\"section\":", nth == 0 ? "" : ",");
    json_text(stdout, section);
    (void)fputs(",\"key\":", stdout);
    json_text(stdout, line);
    (void)fputs(",\"value\":", stdout);
    json_text(stdout, value);
    (void)fputc('}', stdout);
    return true;
}

static void show(const struct tool *t, char *text, long pid)
{
    char section[64] = "", *save = NULL;
    size_t n = 0;
    if (!t->json) {
        (void)(pid != 0 ? printf("# In force in qudagd, pid %ld.\n%s", pid, text)
                        : printf("%s", text));
        return;
    }
    (void)printf("{\"config\":{\"pid\":%ld,\"settings\":[", pid);
    for (char *line = strtok_r(text, "\n", &save); line != NULL;
         line = strtok_r(NULL, "\n", &save)) {
        n += setting_line(line, section, n);
    }
    (void)fputs("]}}\n", stdout);
}

static void on_text(struct tool *t, const struct rec_view *v, void *user)
{
    char **text = user;
    const char *got = rec_get_str(v, "text");
    (void)t;
    if (v->type == REC_ROW && got != NULL && *text == NULL) {
        *text = strdup(got);
    }
}

/* What the running daemon uses; without one, or for a file, what it would use. */
static int config_show(struct tool *t, const char *file)
{
    const char *args[] = {"--print-config", file == NULL ? NULL : "-c", file, NULL};
    long pid = file == NULL ? daemon_pid(t->dir) : 0;
    char *text = NULL;
    int code;
    if (pid != 0) {
        (void)ask_begin(t, "config");
        code = ask(t, -1, on_text, &text);
    } else {
        code = nodeconf_ask(t, t->dir, args, NULL, &text);
    }
    if (code == TOOL_OK && text != NULL) {
        show(t, text, pid);
    }
    free(text);
    return code;
}

static int config_check(struct tool *t, const char *file)
{
    const char *args[] = {"--check-config", file == NULL ? NULL : "-c", file, NULL};
    char *text = NULL;
    int code = nodeconf_ask(t, t->dir, args, NULL, &text);
    if (code == TOOL_OK) {
        (void)puts(t->json ? "{\"config\":{\"ok\":true}}" : "configuration OK");
    }
    free(text);
    return code;
}

int run_config(struct tool *t, int argc, char **argv)
{
    struct args a = {.t = t, .what = "config", .argc = argc, .argv = argv};
    const char *word[2] = {NULL, NULL};
    int n = args_words(&a, word, 2);
    if (n >= 1 && n <= 2 && strcmp(word[0], "check") == 0) {
        return config_check(t, word[1]);
    }
    if (n >= 1 && n <= 2 && strcmp(word[0], "show") == 0) {
        return config_show(t, word[1]);
    }
    return n < 0 ? TOOL_USAGE : tool_usage(t, "config: check [FILE] or show [FILE]");
}
