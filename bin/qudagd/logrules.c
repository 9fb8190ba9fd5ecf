/* logrules.c - which records reach the log. */
#include "logrules.h"

#include "common/fileio.h"

#include <stdio.h>
#include <string.h>

/* What stands before the first dot of an event, in the library and in the daemon; tests/system/documents compares. */
static const char *const areas[] = {
    "autonat", "boot",  "bytes",   "circuit", "clock",   "control",   "daemon", "dark",
    "dcutr",   "dial",  "expose",  "guard",   "guards",  "handshake", "io",     "kad",
    "keep",    "lab",   "link",    "log",     "metrics", "names",     "nat",    "node",
    "peer",    "pin",   "process", "proxy",   "quic",    "relay",     "relays", "rendezvous",
    "service", "share", "state",   "store",   "stream",  "stun",      "tcp",    "transfer",
};
#define AREAS (sizeof(areas) / sizeof(areas[0]))
_Static_assert(AREAS <= LOG_AREAS_MAX, "each may have a level");

static const char *const levels[] = {"error", "warn", "info", "debug"};
#define LEVELS (sizeof(levels) / sizeof(levels[0]))

const char *log_level_name(qudag_log_level level)
{
    return levels[(unsigned)level < LEVELS ? level : 0];
}

bool log_level_parse(const char *text, qudag_log_level *out)
{
    for (size_t ix = 0; ix < LEVELS; ix++) {
        if (strcmp(levels[ix], text) == 0) {
            *out = (qudag_log_level)ix;
            return true;
        }
    }
    return false;
}

bool log_area_known(const char *area)
{
    for (size_t ix = 0; ix < AREAS; ix++) {
        if (strcmp(areas[ix], area) == 0) {
            return true;
        }
    }
    return false;
}

void log_area_unknown(const char *area, char *why, size_t cap)
{
    const char *near = text_nearest(area, areas, AREAS);
    size_t at = 0;
    int n = snprintf(why, cap, "%.40s is no area of the log%s%s%s; there are", area,
                     near == NULL ? "" : ", did you mean ", near == NULL ? "" : near,
                     near == NULL ? "" : "?");

    for (size_t ix = 0; ix < AREAS && n >= 0 && (size_t)n < cap - at; ix++) {
        at += (size_t)n;
        n = snprintf(why + at, cap - at, "%s %s", ix == 0 ? "" : ",", areas[ix]);
    }
}

bool log_area_parse(const char *text, char area[LOG_AREA_LEN], qudag_log_level *level, char *why,
                    size_t cap)
{
    const char *equal = strchr(text, '=');
    size_t len = equal == NULL ? 0 : (size_t)(equal - text);

    if (len == 0 || len >= LOG_AREA_LEN || !log_level_parse(equal + 1, level)) {
        (void)snprintf(why, cap, "%.40s is not AREA=error, =warn, =info or =debug, as kad=debug",
                       text);
        return false;
    }
    memcpy(area, text, len);
    area[len] = 0;
    if (!log_area_known(area)) {
        log_area_unknown(area, why, cap);
        return false;
    }
    return true;
}

static size_t area_len(const char *event)
{
    return strcspn(event, ".");
}

qudag_log_level log_areas_level(const struct log_areas *a, const char *event,
                                qudag_log_level otherwise)
{
    size_t len = area_len(event);

    for (size_t ix = 0; ix < a->n; ix++) {
        if (strlen(a->area[ix].name) == len && memcmp(a->area[ix].name, event, len) == 0) {
            return a->area[ix].level;
        }
    }
    return otherwise;
}

static size_t find_area(const struct log_areas *a, const char *area)
{
    size_t ix = 0;

    while (ix < a->n && strcmp(a->area[ix].name, area) != 0) {
        ix++;
    }
    return ix;
}

bool log_areas_set(struct log_areas *a, const char *area, qudag_log_level level)
{
    size_t ix = find_area(a, area);

    if (!log_area_known(area) || ix == LOG_AREAS_MAX) {
        return false;
    }
    (void)snprintf(a->area[ix].name, LOG_AREA_LEN, "%s", area);
    a->area[ix].level = level;
    a->n = ix == a->n ? a->n + 1 : a->n;
    return true;
}

void log_areas_clear(struct log_areas *a, const char *area)
{
    size_t ix = find_area(a, area);

    if (ix < a->n) {
        a->n--;
        memmove(&a->area[ix], &a->area[ix + 1], (a->n - ix) * sizeof(a->area[0]));
    }
}

static bool is_over(const struct log_repeat *at, uint64_t now_ns)
{
    return now_ns - at->since_ns >= LOG_REPEATS_NS;
}

/* That of |event|, or a free one, or the oldest of which nothing has to be said; NULL: there is none. */
static struct log_repeat *place(struct log_repeats *r, const char *event)
{
    struct log_repeat *best = NULL;

    for (size_t ix = 0; ix < LOG_REPEATS_MAX; ix++) {
        struct log_repeat *at = &r->at[ix];
        if (strncmp(at->event, event, sizeof(at->event) - 1) == 0) {
            return at;
        }
        if (at->held == 0 && (best == NULL || at->since_ns < best->since_ns)) {
            best = at;
        }
    }
    return best;
}

bool log_repeats_admit(struct log_repeats *r, const char *event, uint64_t now_ns)
{
    struct log_repeat *at = place(r, event);

    if (at == NULL) {
        return true; /* others are held back already; this one is new */
    }
    bool same = strncmp(at->event, event, sizeof(at->event) - 1) == 0;
    if (!same || (is_over(at, now_ns) && at->held == 0)) {
        *at = (struct log_repeat){.since_ns = now_ns};
        (void)snprintf(at->event, sizeof(at->event), "%s", event);
    }
    if (at->lines < LOG_REPEATS_LINES) {
        at->lines++;
        return true;
    }
    at->held++;
    return false;
}

bool log_repeats_next(struct log_repeats *r, uint64_t now_ns, char event[48], uint32_t *held)
{
    for (size_t ix = 0; ix < LOG_REPEATS_MAX; ix++) {
        struct log_repeat *at = &r->at[ix];
        if (at->held > 0 && is_over(at, now_ns)) {
            memcpy(event, at->event, sizeof(at->event));
            *held = at->held;
            *at = (struct log_repeat){0};
            return true;
        }
    }
    return false;
}
