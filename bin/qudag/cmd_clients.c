/* cmd_clients.c - dark client, dark authorize: addresses that only those call whom their owner named. */
#include "tool.h"

#include <string.h>

#define N(a) (sizeof(a) / sizeof((a)[0]))
#define KEY_LINE 128

static int client_add(struct tool *t, int argc, char **argv)
{
    static const struct col made[] = {
        {"address", "address", COL_TEXT}, {"name", "name", COL_TEXT}, {"key", "key", COL_TEXT}};
    const char *word[2] = {NULL, NULL};
    struct args a = {.t = t, .what = "dark client add", .argc = argc, .argv = argv};
    int n = args_words(&a, word, 2);
    if (n != 2) {
        return n < 0 ? TOOL_USAGE
                     : tool_usage(t, "dark client add takes an address and the name of a client");
    }
    struct rec *r = ask_begin(t, "dark.client.add");
    rec_str(r, "address", word[0]);
    rec_str(r, "name", word[1]);
    int code = ask_one(t, made, N(made));
    if (code == TOOL_OK && !t->json) {
        (void)printf(
            "Give the key to %s with the address, on a way that nobody reads; it is not shown "
            "again.  There:\n  qudag dark authorize ADDRESS KEY\nIt works within a minute, or two "
            "where another "
            "client was named just before; after the first one the service is offline until "
            "then.\n",
            word[1]);
    }
    return code;
}

static int client_list(struct tool *t, int argc, char **argv)
{
    static const struct col list[] = {{"name", "NAME", COL_TEXT}};
    const char *addr = NULL;
    struct args a = {.t = t, .what = "dark client list", .argc = argc, .argv = argv};
    int n = args_words(&a, &addr, 1);
    if (n != 1) {
        return n < 0 ? TOOL_USAGE : tool_usage(t, "dark client list takes an address");
    }
    rec_str(ask_begin(t, "dark.client.list"), "address", addr);
    return ask_list(t, "clients", list, N(list), "no clients; qudag dark show says who may call");
}

static int client_remove(struct tool *t, int argc, char **argv)
{
    static const struct col now[] = {{"address", "address", COL_TEXT},
                                     {"who", "may be called by", COL_TEXT}};
    static const struct opt opts[] = {{"--all", NULL}};
    struct args a = {
        .t = t, .what = "dark client remove", .argc = argc, .argv = argv, .opts = opts, .n = 1};
    const char *word[2] = {NULL, NULL};
    bool all = false;
    int n = 0;
    for (int got; (got = args_next(&a)) != ARGS_END;) {
        if (got == ARGS_BAD) {
            return TOOL_USAGE;
        }
        all = all || got == 0;
        if (got == ARGS_WORD && n < 2) {
            word[n] = a.value;
        }
        n += got == ARGS_WORD;
    }
    if (n != (all ? 1 : 2)) {
        return tool_usage(t,
                          "dark client remove takes an address, and the name of a client or --all");
    }
    struct rec *r = ask_begin(t, "dark.client.remove");
    rec_str(r, "address", word[0]);
    if (!all) {
        rec_str(r, "name", word[1]);
    }
    rec_bool(r, "all", all);
    return ask_one(t, now, N(now));
}

int run_client(struct tool *t, int argc, char **argv)
{
    const char *verb = argc > 0 ? argv[0] : "";
    if (strcmp(verb, "add") == 0) {
        return client_add(t, argc - 1, argv + 1);
    }
    if (strcmp(verb, "list") == 0) {
        return client_list(t, argc - 1, argv + 1);
    }
    if (strcmp(verb, "remove") == 0) {
        return client_remove(t, argc - 1, argv + 1);
    }
    struct args a = {.t = t, .what = "dark client", .argc = argc, .argv = argv};
    return args_words(&a, NULL, 0) < 0 ? TOOL_USAGE
                                       : tool_usage(t, "dark client: add, list or remove");
}

int run_authorize(struct tool *t, int argc, char **argv)
{
    static const struct opt opts[] = {{"--remove", NULL}};
    struct args a = {
        .t = t, .what = "dark authorize", .argc = argc, .argv = argv, .opts = opts, .n = 1};
    const char *word[2] = {NULL, NULL};
    char line[KEY_LINE] = "";
    bool forget = false;
    int n = 0;
    for (int got; (got = args_next(&a)) != ARGS_END;) {
        if (got == ARGS_BAD) {
            return TOOL_USAGE;
        }
        forget = forget || got == 0;
        if (got == ARGS_WORD && n < 2) {
            word[n] = a.value;
        }
        n += got == ARGS_WORD;
    }
    if (n != (forget ? 1 : 2)) {
        return tool_usage(t, "dark authorize takes an address, and a key, - or --remove");
    }
    if (!forget && strcmp(word[1], "-") == 0) { /* words of a command can be read by others */
        if (fgets(line, sizeof(line), stdin) == NULL) {
            return tool_usage(t, "dark authorize: standard input has no key");
        }
        line[strcspn(line, "\r\n")] = 0;
        word[1] = line;
    }
    struct rec *r = ask_begin(t, "dark.authorize");
    rec_str(r, "address", word[0]);
    if (!forget) {
        rec_str(r, "key", word[1]);
    }
    rec_bool(r, "remove", forget);
    explicit_bzero(line, sizeof(line));
    const char *done = forget ? "forgotten: the key for" : "authorized for";
    if (t->json) {
        done = forget ? "forgotten" : "authorized";
    }
    int code = ask_done(t, done, word[0]);
    rec_wipe(r);
    return code;
}
