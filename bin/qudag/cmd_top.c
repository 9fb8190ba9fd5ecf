/* cmd_top.c - top: the node at a glance, again and again. */
#include "operate.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define LINKS_MAX 512
#define STATS_MAX 256
#define NAME_LEN 40
#define LINES_USUAL 24

struct link {
    char peer[80], address[72], direction[4], state[12];
    int64_t in, out, rtt;
    uint64_t per_s; /* bytes both ways */
};
struct stat_value {
    char name[NAME_LEN];
    int64_t value, per_s;
    bool counter;
};
/* What was seen at one moment. */
struct sample {
    uint64_t at_ns;
    struct link link[LINKS_MAX];
    struct stat_value stat[STATS_MAX];
    size_t n_links, n_stats;
    char phase[16], health[16];
    int64_t uptime, links, table, relays, circuits, records;
};

static void copy(char *to, size_t cap, const struct rec_view *v, const char *name)
{
    const char *text = rec_get_str(v, name);

    (void)snprintf(to, cap, "%s", text == NULL ? "?" : text);
}

static void on_status(struct tool *t, const struct rec_view *v, void *user)
{
    struct sample *s = user;
    (void)t;

    copy(s->phase, sizeof(s->phase), v, "phase");
    copy(s->health, sizeof(s->health), v, "health");
    s->uptime = rec_get_int(v, "uptime_ns", 0);
    s->links = rec_get_int(v, "links", 0);
    s->table = rec_get_int(v, "table", 0);
    s->relays = rec_get_int(v, "relays", 0);
    s->circuits = rec_get_int(v, "circuits", 0);
    s->records = rec_get_int(v, "records", 0);
}

static void on_peer(struct tool *t, const struct rec_view *v, void *user)
{
    struct sample *s = user;
    (void)t;

    if (s->n_links == LINKS_MAX) {
        return;
    }
    struct link *l = &s->link[s->n_links++];
    copy(l->peer, sizeof(l->peer), v, "peer");
    copy(l->address, sizeof(l->address), v, "address");
    copy(l->direction, sizeof(l->direction), v, "direction");
    copy(l->state, sizeof(l->state), v, "state");
    l->in = rec_get_int(v, "bytes_in", 0);
    l->out = rec_get_int(v, "bytes_out", 0);
    l->rtt = rec_get_int(v, "rtt_ns", 0);
}

static void on_stat(struct tool *t, const struct rec_view *v, void *user)
{
    struct sample *s = user;
    const char *kind = rec_get_str(v, "kind");
    (void)t;

    if (s->n_stats == STATS_MAX) {
        return;
    }
    struct stat_value *c = &s->stat[s->n_stats++];
    copy(c->name, sizeof(c->name), v, "name");
    c->value = rec_get_int(v, "value", 0);
    c->counter = kind != NULL && strcmp(kind, "counter") == 0;
}

static int take(struct tool *t, struct sample *s)
{
    static const struct {
        const char *cmd;
        answer_fn fn;
    } parts[] = {{"status", on_status}, {"peers", on_peer}, {"stats", on_stat}};
    int code = TOOL_OK;

    memset(s, 0, sizeof(*s));
    s->at_ns = mono_ns();
    for (size_t ix = 0; code == TOOL_OK && ix < sizeof(parts) / sizeof(parts[0]); ix++) {
        (void)ask_begin(t, parts[ix].cmd);
        code = ask(t, -1, parts[ix].fn, s);
    }
    return code;
}

/* |more| than before within |ns|, by the second; 0 where a node was restarted. */
static int64_t rate(int64_t more, uint64_t ns)
{
    return more <= 0 || ns < 1000000 ? 0 : more * 1000 / (int64_t)(ns / 1000000);
}

static int64_t value_of(const struct sample *s, const char *name)
{
    for (size_t ix = 0; ix < s->n_stats; ix++) {
        if (strcmp(s->stat[ix].name, name) == 0) {
            return s->stat[ix].value;
        }
    }
    return 0;
}

static int64_t bytes_before(const struct sample *old, const struct link *l)
{
    for (size_t ix = 0; ix < old->n_links; ix++) {
        const struct link *m = &old->link[ix];
        if (strcmp(m->peer, l->peer) == 0 && strcmp(m->address, l->address) == 0) {
            return m->in + m->out;
        }
    }
    return 0;
}

static int by_rate(const void *a, const void *b)
{
    const struct link *x = a, *y = b;

    return (x->per_s < y->per_s) - (x->per_s > y->per_s);
}

static int by_stat_rate(const void *a, const void *b)
{
    const struct stat_value *x = a, *y = b;

    return (x->per_s < y->per_s) - (x->per_s > y->per_s);
}

static void compare(struct sample *s, const struct sample *old)
{
    uint64_t ns = s->at_ns - old->at_ns;

    for (size_t ix = 0; ix < s->n_links; ix++) {
        struct link *l = &s->link[ix];
        l->per_s = (uint64_t)rate(l->in + l->out - bytes_before(old, l), ns);
    }
    for (size_t ix = 0; ix < s->n_stats; ix++) {
        struct stat_value *c = &s->stat[ix];
        c->per_s = c->counter ? rate(c->value - value_of(old, c->name), ns) : 0;
    }
    qsort(s->link, s->n_links, sizeof(s->link[0]), by_rate);
}

static void show_links(const struct sample *s, size_t lines)
{
    char peer[16], rtt[16], per_s[16];

    (void)printf("\n%-12s %-28s %-4s %-12s %9s %9s\n", "PEER", "ADDRESS", "DIR", "STATE", "RTT",
                 "BYTES/S");
    for (size_t ix = 0; ix < s->n_links && ix < lines; ix++) {
        const struct link *l = &s->link[ix];
        short_peer(peer, l->peer);
        text_ns(rtt, (uint64_t)l->rtt);
        text_bytes(per_s, l->per_s);
        (void)printf("%-12s %-28.28s %-4s %-12s %9s %9s\n", peer, l->address, l->direction,
                     l->state, rtt, per_s);
    }
}

static void show_stats(struct sample *s, size_t lines)
{
    qsort(s->stat, s->n_stats, sizeof(s->stat[0]), by_stat_rate);
    (void)printf("\n%-40s %14s %10s\n", "COUNTER", "VALUE", "PER S");
    for (size_t ix = 0; ix < s->n_stats && ix < lines && s->stat[ix].per_s > 0; ix++) {
        const struct stat_value *c = &s->stat[ix];
        (void)printf("%-40s %14lld %10lld\n", c->name, (long long)c->value, (long long)c->per_s);
    }
}

static void show(const struct tool *t, struct sample *s, const struct sample *old, bool clear)
{
    char up[16], in[16], out[16];
    struct winsize w = {0};
    size_t lines = LINES_USUAL;
    uint64_t ns = s->at_ns - old->at_ns;
    int64_t in_s = rate(value_of(s, "bytes_in") - value_of(old, "bytes_in"), ns),
            out_s = rate(value_of(s, "bytes_out") - value_of(old, "bytes_out"), ns);

    if (t->json) {
        (void)printf("{\"top\":{\"phase\":\"%s\",\"health\":\"%s\",\"links\":%lld,"
                     "\"circuits\":%lld,\"relays\":%lld,\"table\":%lld,\"records\":%lld,"
                     "\"bytes_in_per_s\":%lld,\"bytes_out_per_s\":%lld}}\n",
                     s->phase, s->health, (long long)s->links, (long long)s->circuits,
                     (long long)s->relays, (long long)s->table, (long long)s->records,
                     (long long)in_s, (long long)out_s);
        return;
    }
    if (clear && ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_row > 12) {
        lines = w.ws_row;
    }
    text_ns(up, (uint64_t)s->uptime);
    text_bytes(in, (uint64_t)in_s);
    text_bytes(out, (uint64_t)out_s);
    (void)printf("%sphase %s, health %s, up %s\n", clear ? "\033[H\033[2J" : "", s->phase,
                 s->health, up);
    (void)printf("links %lld  table %lld  relays %lld  circuits %lld  records %lld  in %s/s  out "
                 "%s/s\n",
                 (long long)s->links, (long long)s->table, (long long)s->relays,
                 (long long)s->circuits, (long long)s->records, in, out);
    show_links(s, (lines - 8) / 2);
    show_stats(s, (lines - 8) / 2);
}

int run_top(struct tool *t, int argc, char **argv)
{
    enum { ONCE, INTERVAL };
    static const struct opt opts[] = {[ONCE] = {"--once", NULL}, [INTERVAL] = {"--interval", "S"}};
    static struct sample samples[2];
    struct args a = {.t = t, .what = "top", .argc = argc, .argv = argv, .opts = opts, .n = 2};
    int64_t interval = 0;
    bool once = false;

    for (int got; (got = args_next(&a)) != ARGS_END;) {
        if (got == ARGS_BAD) {
            return TOOL_USAGE;
        }
        if (got == ARGS_WORD || (got == INTERVAL && !parse_number(a.value, 1, 3600, &interval))) {
            return tool_usage(t, "top takes --once and --interval with 1 to 3600 seconds");
        }
        once = once || got == ONCE;
    }
    struct timespec pause = {.tv_sec = interval != 0 ? (time_t)interval : once ? 1 : 2};
    int code = take(t, &samples[0]);
    for (size_t ix = 1; code == TOOL_OK; ix ^= 1) {
        (void)nanosleep(&pause, NULL);
        code = take(t, &samples[ix]);
        if (code != TOOL_OK) {
            break;
        }
        compare(&samples[ix], &samples[ix ^ 1]);
        show(t, &samples[ix], &samples[ix ^ 1], t->tty && !once);
        if (fflush(stdout) != 0 || once) {
            break;
        }
    }
    return code;
}
