/* cmd_expose.c - expose: services of this node. */
#include "tool.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define N(a) (sizeof(a) / sizeof((a)[0]))
#define PORTS_MAX 16
#define POLL_MS 300

static const struct col cols[] = {{"address", "address", COL_TEXT},
                                  {"name", "name", COL_TEXT},
                                  {"kind", "kind", COL_TEXT},
                                  {"ports", "ports", COL_TEXT},
                                  {"published", "published", COL_YES},
                                  {"problem", "problem", COL_TEXT},
                                  {"connections", "connections", COL_INT},
                                  {"accepted", "accepted", COL_INT},
                                  {"bytes_in", "from callers", COL_SIZE},
                                  {"bytes_out", "to callers", COL_SIZE}};

static const char direct_text[] =
    "This is an address of the direct kind: callers stay hidden, this machine does not.  Whoever "
    "has the address "
    "can find out this machine's network address, so share it with people who may know that.\n";

/* What the daemon said of the service, of which the last is looked at. */
struct seen {
    bool any, published, direct;
    char problem[160], code[40];
    struct rec_view view;
    uint8_t bytes[8192];
};

static void keep(struct tool *t, const struct rec_view *v, void *user)
{
    struct seen *s = user;
    const char *problem = rec_get_str(v, "problem"), *code = rec_get_str(v, "problem_code");
    (void)t;
    s->any = true;
    s->published = rec_get_bool(v, "published");
    const char *kind = rec_get_str(v, "kind");
    s->direct = kind != NULL && strcmp(kind, "direct") == 0;
    (void)snprintf(s->problem, sizeof(s->problem), "%s", problem != NULL ? problem : "");
    (void)snprintf(s->code, sizeof(s->code), "%s", code != NULL ? code : "");
    s->view = (struct rec_view){.type = v->type, .base = s->bytes};
    if (v->len <= sizeof(s->bytes)) {
        memcpy(s->bytes, v->base, v->len);
        s->view.len = v->len;
    }
}

/* Waits until the record is out, or it is clear why not: 0, or the exit code, with the user told. */
static int wait_published(struct tool *t, const char *name, int64_t seconds, struct seen *s)
{
    uint64_t until = mono_ns() + (uint64_t)seconds * 1000000000u;
    const struct timespec pause = {.tv_nsec = POLL_MS * 1000000};
    int code = TOOL_OK;
    while (code == TOOL_OK && !s->published && strcmp(s->code, "QUDAG_ESMALLNET") != 0 &&
           mono_ns() < until) {
        (void)nanosleep(&pause, NULL);
        rec_str(ask_begin(t, "expose.status"), "service", name);
        code = ask(t, -1, keep, s);
    }
    return code;
}

static int not_yet(const struct tool *t, const struct seen *s)
{
    char message[320];
    bool small = strcmp(s->code, "QUDAG_ESMALLNET") == 0;
    (void)snprintf(message, sizeof(message),
                   "the service runs, but its address is not published yet%s%s",
                   s->problem[0] != 0 ? ": " : "", s->problem);
    return tool_error(
        t, small ? TOOL_REFUSED : TOOL_UNREACHABLE, s->code[0] != 0 ? s->code : "QUDAG_ETIMEOUT",
        message,
        small ? "--small-network accepts that the network hides nobody"
              : "the daemon goes on trying; qudag expose status NAME shows how far it is");
}

static int start(struct tool *t, int argc, char **argv)
{
    enum { NAME, FORCE, DIRECT, WAIT };
    static const struct opt opts[] = {[NAME] = {"--name", "NAME"},
                                      [FORCE] = {"--force", NULL},
                                      [DIRECT] = {"--direct", NULL},
                                      [WAIT] = {"--timeout", "S"}};
    struct args a = {
        .t = t, .what = "expose", .argc = argc, .argv = argv, .opts = opts, .n = N(opts)};
    const char *port[PORTS_MAX], *name = NULL;
    char usual[40];
    struct seen seen = {.any = false};
    bool force = false, direct = false;
    int64_t seconds = 60;
    size_t n = 0;
    for (int got; (got = args_next(&a)) != ARGS_END;) {
        if (got == ARGS_BAD) {
            return TOOL_USAGE;
        }
        if (got == ARGS_WORD) {
            if (n == PORTS_MAX) {
                return tool_usage(t, "a service has at most 16 ports");
            }
            port[n++] = a.value;
        } else if (got == WAIT && !parse_number(a.value, 0, 3600, &seconds)) {
            return tool_usage(t, "--timeout takes seconds, 0 to 3600");
        }
        name = got == NAME ? a.value : name;
        force = force || got == FORCE;
        direct = direct || got == DIRECT;
    }
    if (n == 0) {
        return tool_usage(t, "expose: which port? VIRTUAL[:TARGET], or list, status, remove");
    }
    (void)snprintf(usual, sizeof(usual), "service-%.*s", (int)strcspn(port[0], ":"), port[0]);
    name = name != NULL ? name : usual;
    struct rec *r = ask_begin(t, "expose.start");
    for (size_t ix = 0; ix < n; ix++) {
        rec_str(r, "port", port[ix]);
    }
    rec_str(r, "name", name);
    rec_bool(r, "force", force);
    rec_bool(r, "direct", direct);
    int code = ask(t, -1, keep, &seen);
    if (code != TOOL_OK || !seen.any) {
        return code;
    }
    if (seen.direct && !t->json) {
        (void)fputs(direct_text, stderr);
    }
    code = wait_published(t, name, seconds, &seen);
    if (code == TOOL_OK) {
        row_print(t, &seen.view, cols, N(cols));
    }
    return code == TOOL_OK && !seen.published && seconds > 0 ? not_yet(t, &seen) : code;
}

static const struct {
    const char *name, *cmd, *takes;
} verbs[] = {{"list", "expose.list", NULL},
             {"status", "expose.status", "one service, by its name or address"},
             {"remove", "expose.remove", "one service, by its name or address"}};

static int run_one(struct tool *t, size_t ix, int argc, char **argv)
{
    static const struct col list[] = {{"address", "ADDRESS", COL_TEXT},
                                      {"name", "NAME", COL_TEXT},
                                      {"ports", "PORTS", COL_TEXT},
                                      {"published", "PUBLISHED", COL_YES},
                                      {"connections", "CONNECTIONS", COL_INT}};
    char what[40], message[120];
    const char *word = NULL;
    (void)snprintf(what, sizeof(what), "expose %s", verbs[ix].name);
    struct args a = {.t = t, .what = what, .argc = argc, .argv = argv};
    int want = verbs[ix].takes != NULL ? 1 : 0, n = args_words(&a, &word, 1);
    if (n < 0) {
        return TOOL_USAGE;
    }
    if (n != want) {
        (void)snprintf(message, sizeof(message), "%s takes %s", what,
                       want == 0 ? "no argument" : verbs[ix].takes);
        return tool_usage(t, message);
    }
    struct rec *r = ask_begin(t, verbs[ix].cmd);
    if (want == 0) {
        return ask_list(t, "services", list, N(list), "no services");
    }
    rec_str(r, "service", word);
    return strcmp(verbs[ix].name, "status") == 0 ? ask_one(t, cols, N(cols))
                                                 : ask_done(t, "removed", word);
}

int run_expose(struct tool *t, int argc, char **argv)
{
    for (size_t ix = 0; argc > 0 && ix < N(verbs); ix++) {
        if (strcmp(argv[0], verbs[ix].name) == 0) {
            return run_one(t, ix, argc - 1, argv + 1);
        }
    }
    if (argc > 0 && argv[0][0] >= 'a' && argv[0][0] <= 'z') {
        const char *const names[] = {verbs[0].name, verbs[1].name, verbs[2].name};
        char message[160];
        const char *near = text_nearest(argv[0], names, N(names));
        (void)snprintf(message, sizeof(message),
                       "expose: %.60s is neither a port nor a command%s%s%s", argv[0],
                       near == NULL ? "" : "; did you mean ", near == NULL ? "" : near,
                       near == NULL ? "" : "?");
        return tool_usage(t, message);
    }
    return start(t, argc, argv);
}
