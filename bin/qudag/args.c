/* args.c - the arguments of a command: options from its table, and words.  What is neither is refused. */
#include "tool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool parse_number(const char *text, int64_t min, int64_t max, int64_t *out)
{
    char *end;
    errno = 0;
    long long n = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != 0 || n < min || n > max) {
        return false;
    }
    *out = n;
    return true;
}

int tool_usage(const struct tool *t, const char *message)
{
    char hint[400];
    (void)snprintf(hint, sizeof(hint), "usage: qudag %s %s   for example: %s", t->sub->name,
                   t->sub->args, t->sub->example);
    return tool_error(t, TOOL_USAGE, "USAGE", message, hint);
}

/* "-" is a word (standard input), and so is a number below zero. */
static bool looks_like_option(const char *arg)
{
    return arg[0] == '-' &&
           (arg[1] == '-' || (arg[1] >= 'a' && arg[1] <= 'z') || (arg[1] >= 'A' && arg[1] <= 'Z'));
}

bool args_lacks_value(const char *option, const char *next)
{
    if (next == NULL) {
        return true;
    }
    return strncmp(next, "--", 2) == 0 && strcmp(option, "-m") != 0;
}

/* |arg| is no option of the command: says so, and which it has. */
static int unknown(const struct args *a, const char *arg)
{
    char message[300];
    int len = snprintf(message, sizeof(message), "%s has no option %.60s; it has %s", a->what, arg,
                       a->n == 0 ? "none" : "");
    for (size_t ix = 0; ix < a->n && len < (int)sizeof(message); ix++) {
        const struct opt *o = &a->opts[ix];
        len +=
            snprintf(message + len, sizeof(message) - (size_t)len, "%s%s%s%s", ix == 0 ? "" : ", ",
                     o->name, o->takes == NULL ? "" : " ", o->takes == NULL ? "" : o->takes);
    }
    (void)tool_usage(a->t, message);
    return ARGS_BAD;
}

int args_next(struct args *a)
{
    char message[160];
    if (a->at < a->argc && !a->words && strcmp(a->argv[a->at], "--") == 0) {
        a->words = true;
        a->at++;
    }
    if (a->at >= a->argc) {
        return ARGS_END;
    }
    const char *arg = a->argv[a->at++];
    if (a->words || !looks_like_option(arg)) {
        a->value = arg;
        return ARGS_WORD;
    }
    for (size_t ix = 0; ix < a->n; ix++) {
        if (strcmp(a->opts[ix].name, arg) != 0) {
            continue;
        }
        if (a->opts[ix].takes == NULL) {
            return (int)ix;
        }
        if (args_lacks_value(arg, a->at < a->argc ? a->argv[a->at] : NULL)) {
            (void)snprintf(message, sizeof(message), "%s %s lacks its value: %s", a->what, arg,
                           a->opts[ix].takes);
            (void)tool_usage(a->t, message);
            return ARGS_BAD;
        }
        a->value = a->argv[a->at++];
        return (int)ix;
    }
    return unknown(a, arg);
}

int args_words(struct args *a, const char *word[], int most)
{
    int n = 0, got;
    while ((got = args_next(a)) == ARGS_WORD) {
        if (n < most) {
            word[n] = a->value;
        }
        n++;
    }
    return got == ARGS_END ? n : -1;
}

bool args_none(const struct tool *t, int argc, char **argv)
{
    struct args a = {.t = t, .what = t->sub->name, .argc = argc, .argv = argv};
    char message[80];
    int n = args_words(&a, NULL, 0);
    if (n > 0) {
        (void)snprintf(message, sizeof(message), "%s takes no argument", a.what);
        (void)tool_usage(t, message);
    }
    return n == 0;
}
