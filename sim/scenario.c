/*
 * scenario.c - reads scenario files: sections in brackets, "key = value", '#' begins a comment.
 *
 * Strict: what is not understood is an error with its line, never ignored.
 */
#include "sim/scenario.h"

#include <string.h>

#define LINE_LEN_MAX 200

enum unit { UNIT_COUNT, UNIT_TIME, UNIT_SHARE, UNIT_SIZE, UNIT_FACTOR, UNIT_WORD, UNIT_NAME };

enum section {
    SEC_NONE,
    SEC_NETWORK,
    SEC_NAT,
    SEC_LINKS,
    SEC_WORK,
    SEC_RUN,
    SEC_FAULT,
    SEC_PHASE,
    SECTIONS
};

static const char *const section_name[SECTIONS] = {"",     "network", "nat",   "links",
                                                   "work", "run",     "fault", "phase"};

/* Lists of words; the value of a key is the place of its word.  NULL ends a list. */
static const char *const fault_name[] = {"none",    "kill",    "churn",   "partition", "loss",
                                         "slow",    "collude", "hostile", "storm",     "clock_skew",
                                         "eclipse", "sybil",   NULL};
static const char *const start_name[] = {"join", "warm", NULL};
static const char *const flag_name[] = {"no", "yes", NULL};
static const char *const depends_name[] = {"mixed", "independent", "address", "address_port", NULL};
static const char *const ports_name[] = {"mixed", "preserve", "sequential", "random", NULL};
static const char *const read_name[] = {"default", "first", "confirmed", "quorum", "paths", NULL};

struct key {
    enum section section;
    const char *name;
    enum unit unit;
    size_t offset; /* in the scenario, fault or phase */
    uint64_t min, max;
    const char *const *words; /* UNIT_WORD; |min|: the first that may be said */
};

#define S(field) offsetof(struct scenario, field)
#define F(field) offsetof(struct sim_fault, field)
#define P(field) offsetof(struct sim_phase, field)
#define DAY (24 * 3600 * NS_PER_S)
#define HOUR (3600 * NS_PER_S)

static const struct key keys[] = {
    {SEC_NETWORK, "nodes", UNIT_COUNT, S(nodes), 2, SIM_NODES_MAX, NULL},
    {SEC_NETWORK, "bootstrap", UNIT_COUNT, S(bootstrap), 1, 1000, NULL},
    {SEC_NETWORK, "contacts", UNIT_COUNT, S(contacts), 1, 20, NULL},
    {SEC_NETWORK, "join_over", UNIT_TIME, S(join_over), 0, HOUR, NULL},
    {SEC_NETWORK, "nat", UNIT_SHARE, S(nat), 0, 900000, NULL},
    {SEC_NETWORK, "memory_max", UNIT_SIZE, S(memory_max), 16384, UINT64_C(1) << 30, NULL},
    {SEC_NETWORK, "start", UNIT_WORD, S(start), 0, 0, start_name},
    {SEC_NETWORK, "static", UNIT_WORD, S(fixed), 0, 0, flag_name},
    {SEC_NETWORK, "awake", UNIT_COUNT, S(awake), 100, SIM_NODES_MAX, NULL},
    {SEC_NETWORK, "dead", UNIT_SHARE, S(dead), 0, 900000, NULL},
    {SEC_NETWORK, "records", UNIT_COUNT, S(records), 1, 1000000, NULL},
    {SEC_NAT, "mapping", UNIT_WORD, S(nat_mapping), 0, 0, depends_name},
    {SEC_NAT, "filter", UNIT_WORD, S(nat_filter), 0, 0, depends_name},
    {SEC_NAT, "ports", UNIT_WORD, S(nat_ports), 0, 0, ports_name},
    {SEC_NAT, "step", UNIT_COUNT, S(nat_step), 1, 1000, NULL},
    {SEC_NAT, "timeout", UNIT_TIME, S(nat_timeout), NS_PER_S, DAY, NULL},
    {SEC_NAT, "timeout_new", UNIT_TIME, S(nat_timeout_new), NS_PER_S, DAY, NULL},
    {SEC_NAT, "shared", UNIT_COUNT, S(nat_shared), 1, 200, NULL},
    {SEC_NAT, "per_host", UNIT_COUNT, S(nat_per_host), 1, 65535, NULL},
    {SEC_NAT, "hairpin", UNIT_WORD, S(nat_hairpin), 0, 0, flag_name},
    {SEC_NAT, "rejects", UNIT_WORD, S(nat_rejects), 0, 0, flag_name},
    {SEC_NAT, "carrier", UNIT_WORD, S(nat_carrier), 0, 0, flag_name},
    {SEC_LINKS, "rtt", UNIT_TIME, S(rtt), NS_PER_US, 10 * NS_PER_S, NULL},
    {SEC_LINKS, "spread", UNIT_FACTOR, S(spread), 0, 2000, NULL},
    {SEC_LINKS, "jitter", UNIT_SHARE, S(jitter), 0, SIM_ALL, NULL},
    {SEC_LINKS, "loss", UNIT_SHARE, S(loss), 0, 500000, NULL},
    {SEC_LINKS, "uplink", UNIT_SIZE, S(uplink), 0, UINT64_C(1) << 40, NULL},
    {SEC_LINKS, "idle", UNIT_TIME, S(idle), NS_PER_S, DAY, NULL},
    {SEC_LINKS, "dial_timeout", UNIT_TIME, S(dial_timeout), NS_PER_MS, HOUR, NULL},
    {SEC_LINKS, "dial_trips", UNIT_COUNT, S(dial_trips), 1, SIM_TRIPS_MAX, NULL},
    {SEC_LINKS, "standing", UNIT_WORD, S(standing), 0, 0, flag_name},
    {SEC_WORK, "from", UNIT_TIME, S(work_from), 0, DAY, NULL},
    {SEC_WORK, "put_every", UNIT_TIME, S(put_every), NS_PER_US, DAY, NULL},
    {SEC_WORK, "get_every", UNIT_TIME, S(get_every), NS_PER_US, DAY, NULL},
    {SEC_WORK, "find_every", UNIT_TIME, S(find_every), NS_PER_US, DAY, NULL},
    {SEC_WORK, "circuit_every", UNIT_TIME, S(circuit_every), NS_PER_MS, DAY, NULL},
    {SEC_WORK, "circuit_size", UNIT_SIZE, S(circuit_size), 1024, 1048576, NULL},
    {SEC_WORK, "circuit_last", UNIT_TIME, S(circuit_last), 0, HOUR, NULL},
    {SEC_WORK, "value_size", UNIT_SIZE, S(value_size), 32, KAD_VALUE_MAX, NULL},
    {SEC_WORK, "age_max", UNIT_TIME, S(age_max), NS_PER_S, DAY, NULL},
    {SEC_WORK, "read", UNIT_WORD, S(read), 0, 0, read_name},
    {SEC_WORK, "masked", UNIT_WORD, S(masked), 0, 0, flag_name},
    {SEC_WORK, "attacked", UNIT_SHARE, S(attacked), 0, SIM_ALL, NULL},
    {SEC_WORK, "value_life", UNIT_TIME, S(value_life), NS_PER_S, DAY, NULL},
    {SEC_RUN, "until", UNIT_TIME, S(until), NS_PER_S, 30 * DAY, NULL},
    {SEC_RUN, "quiet_at", UNIT_TIME, S(quiet_at), NS_PER_S, 30 * DAY, NULL},
    {SEC_RUN, "settle", UNIT_TIME, S(settle), 0, DAY, NULL},
    {SEC_FAULT, "kind", UNIT_WORD, F(kind), 1, 0, fault_name},
    {SEC_FAULT, "at", UNIT_TIME, F(at), 0, 30 * DAY, NULL},
    {SEC_FAULT, "for", UNIT_TIME, F(lasts), NS_PER_MS, 30 * DAY, NULL},
    {SEC_FAULT, "share", UNIT_SHARE, F(share), 1, 10 * SIM_ALL, NULL},
    {SEC_FAULT, "chance", UNIT_SHARE, F(chance), 0, SIM_ALL, NULL},
    {SEC_FAULT, "median", UNIT_TIME, F(median), NS_PER_S, DAY, NULL},
    {SEC_FAULT, "away", UNIT_TIME, F(away), NS_PER_MS, DAY, NULL},
    {SEC_FAULT, "delay", UNIT_TIME, F(delay), NS_PER_US, DAY, NULL},
    {SEC_FAULT, "over", UNIT_TIME, F(over), 0, HOUR, NULL},
    {SEC_FAULT, "keys", UNIT_COUNT, F(keys), 1, 1000, NULL},
    {SEC_FAULT, "per_key", UNIT_COUNT, F(per_key), 1, 10000, NULL},
    {SEC_FAULT, "bits", UNIT_COUNT, F(bits), 1, 24, NULL},
    {SEC_FAULT, "spread", UNIT_WORD, F(spread), 0, 0, flag_name},
    {SEC_FAULT, "networks", UNIT_COUNT, F(networks), 1, 65536, NULL},
    {SEC_PHASE, "name", UNIT_NAME, P(name), 0, 0, NULL},
    {SEC_PHASE, "from", UNIT_TIME, P(from), 0, 30 * DAY, NULL},
    {SEC_PHASE, "to", UNIT_TIME, P(to), 1, 30 * DAY, NULL},
    {SEC_PHASE, "put_min", UNIT_SHARE, P(put_min), 0, SIM_ALL, NULL},
    {SEC_PHASE, "get_min", UNIT_SHARE, P(get_min), 0, SIM_ALL, NULL},
    {SEC_PHASE, "find_min", UNIT_SHARE, P(find_min), 0, SIM_ALL, NULL},
    {SEC_PHASE, "circuit_min", UNIT_SHARE, P(circuit_min), 0, SIM_ALL, NULL},
    {SEC_PHASE, "put_attacked_min", UNIT_SHARE, P(put_attacked_min), 0, SIM_ALL, NULL},
    {SEC_PHASE, "get_attacked_min", UNIT_SHARE, P(get_attacked_min), 0, SIM_ALL, NULL},
};
_Static_assert(ARRAY_LEN(keys) <= 128, "a bit of |given| for each");

struct parser {
    struct scenario *sc;
    struct scenario_error *error;
    enum section section;
    unsigned line;
    uint64_t given[2]; /* keys seen in this section; bit: index in |keys| */
    unsigned begun;    /* sections seen that may stand once */
};

static qudag_err fail(const struct parser *p, const char *what)
{
    p->error->line = p->line;
    p->error->what = what;
    return QUDAG_EMALFORMED;
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

/* ---- numbers ---- */

struct scale {
    const char *name;
    enum unit unit;
    uint64_t each; /* of 1 */
};

static const struct scale scales[] = {
    {"", UNIT_COUNT, 1},          {"", UNIT_FACTOR, 1000},
    {"us", UNIT_TIME, NS_PER_US}, {"ms", UNIT_TIME, NS_PER_MS},
    {"s", UNIT_TIME, NS_PER_S},   {"min", UNIT_TIME, 60 * NS_PER_S},
    {"h", UNIT_TIME, HOUR},       {"%", UNIT_SHARE, SIM_ALL / 100},
    {"B", UNIT_SIZE, 1},          {"KiB", UNIT_SIZE, 1024},
    {"MiB", UNIT_SIZE, 1048576},
};

/* "12.5 ms": digits, at most three behind the point, a space or none, a unit of the kind. */
static bool number(const char *t, enum unit unit, uint64_t *out)
{
    uint64_t v = 0, below = 1;
    const char *p = t;

    for (; *p >= '0' && *p <= '9' && p - t < 12; p++) {
        v = v * 10 + (uint64_t)(*p - '0');
    }
    if (p == t) {
        return false;
    }
    if (*p == '.') {
        const char *point = p++;
        for (; *p >= '0' && *p <= '9' && p - point < 4; p++) {
            v = v * 10 + (uint64_t)(*p - '0');
            below *= 10;
        }
        if (p == point + 1) {
            return false;
        }
    }
    if (*p == ' ') {
        p++;
    }
    for (size_t i = 0; i < ARRAY_LEN(scales); i++) {
        const struct scale *s = &scales[i];
        if (s->unit == unit && strcmp(p, s->name) == 0) {
            if (v > UINT64_MAX / s->each || (v * s->each) % below != 0) {
                return false;
            }
            *out = v * s->each / below;
            return true;
        }
    }
    return false;
}

bool scenario_time(const char *text, uint64_t *ns)
{
    return number(text, UNIT_TIME, ns);
}

/* ---- lines ---- */

static uint8_t *target(struct parser *p)
{
    switch (p->section) {
    case SEC_FAULT:
        return (uint8_t *)&p->sc->fault[p->sc->n_faults - 1];
    case SEC_PHASE:
        return (uint8_t *)&p->sc->phase[p->sc->n_phases - 1];
    case SEC_NONE:
    case SEC_NETWORK:
    case SEC_NAT:
    case SEC_LINKS:
    case SEC_WORK:
    case SEC_RUN:
    case SECTIONS:
        break;
    }
    return (uint8_t *)p->sc;
}

static qudag_err set(struct parser *p, const struct key *k, const char *value)
{
    uint64_t v = 0;
    size_t len = strlen(value);

    switch (k->unit) {
    case UNIT_NAME:
        for (size_t i = 0; i < len; i++) {
            if (!is_word(value[i])) {
                return fail(p, "a name is made of a-z, 0-9, '_' and '-'");
            }
        }
        if (len == 0 || len >= SIM_NAME_MAX) {
            return fail(p, "name empty or too long");
        }
        memcpy(target(p) + k->offset, value, len + 1);
        return QUDAG_OK;
    case UNIT_WORD:
        v = k->min;
        while (k->words[v] != NULL && strcmp(k->words[v], value) != 0) {
            v++;
        }
        if (k->words[v] == NULL) {
            return fail(p, "not one of the words allowed here");
        }
        break;
    case UNIT_COUNT:
    case UNIT_TIME:
    case UNIT_SHARE:
    case UNIT_SIZE:
    case UNIT_FACTOR:
        if (!number(value, k->unit, &v)) {
            return fail(p, "not a number with its unit (10 min, 80 ms, 5 %, 64 KiB)");
        }
        if (v < k->min || v > k->max) {
            return fail(p, "number out of range");
        }
        break;
    }
    memcpy(target(p) + k->offset, &v, sizeof(v));
    return QUDAG_OK;
}

static qudag_err assign(struct parser *p, const char *name, const char *value)
{
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        if (keys[i].section != p->section || strcmp(keys[i].name, name) != 0) {
            continue;
        }
        if ((p->given[i / 64] >> (i % 64) & 1u) != 0) {
            return fail(p, "said twice");
        }
        p->given[i / 64] |= UINT64_C(1) << (i % 64);
        return set(p, &keys[i], value);
    }
    return fail(p, "unknown key");
}

static qudag_err begin(struct parser *p, const char *name)
{
    struct scenario *sc = p->sc;

    p->section = SEC_NONE;
    p->given[0] = p->given[1] = 0;
    for (unsigned i = SEC_NONE + 1; i < SECTIONS; i++) {
        if (strcmp(section_name[i], name) == 0) {
            p->section = (enum section)i;
        }
    }
    if (p->section == SEC_NONE) {
        return fail(p, "unknown section");
    }
    if (p->section == SEC_FAULT) {
        if (sc->n_faults == SIM_FAULTS_MAX) {
            return fail(p, "too many faults");
        }
        sc->fault[sc->n_faults++] =
            (struct sim_fault){.chance = SIM_ALL, .away = 60 * NS_PER_S, .over = NS_PER_S};
        return QUDAG_OK;
    }
    if (p->section == SEC_PHASE) {
        if (sc->n_phases == SIM_PHASES_MAX) {
            return fail(p, "too many phases");
        }
        sc->phase[sc->n_phases++] = (struct sim_phase){.from = 0};
        return QUDAG_OK;
    }
    if ((p->begun >> p->section & 1u) != 0) {
        return fail(p, "section appears twice");
    }
    p->begun |= 1u << p->section;
    return QUDAG_OK;
}

/* |s| ends with NUL; blanks at both ends go. */
static char *trimmed(char *s)
{
    size_t n = strlen(s);

    while (n > 0 && (s[n - 1] == ' ' || s[n - 1] == '\t' || s[n - 1] == '\r')) {
        s[--n] = 0;
    }
    while (*s == ' ' || *s == '\t') {
        s++;
    }
    return s;
}

static qudag_err line(struct parser *p, char *text)
{
    char *hash = strchr(text, '#');

    if (hash != NULL) {
        *hash = 0;
    }
    char *s = trimmed(text);
    size_t n = strlen(s);
    if (n == 0) {
        return QUDAG_OK;
    }
    if (s[0] == '[') {
        if (s[n - 1] != ']') {
            return fail(p, "']' is missing");
        }
        s[n - 1] = 0;
        return begin(p, s + 1);
    }
    char *eq = strchr(s, '=');
    if (eq == NULL) {
        return fail(p, "neither [section] nor key = value");
    }
    *eq = 0;
    const char *name = trimmed(s), *value = trimmed(eq + 1);
    return assign(p, name, value);
}

/* ---- the whole ---- */

static qudag_err check_attack(const struct parser *p)
{
    const struct scenario *sc = p->sc;
    size_t attacks = 0;

    for (size_t i = 0; i < sc->n_faults; i++) {
        struct sim_fault *f = &p->sc->fault[i];
        if (!scenario_attacks(f->kind)) {
            continue;
        }
        f->keys = f->keys > 0 ? f->keys : f->kind == FAULT_SYBIL ? 20 : 1;
        f->per_key = f->per_key > 0 ? f->per_key : 45;
        if (f->keys * f->per_key > SIM_SYBILS_MAX) {
            return fail(p, "too many Sybils");
        }
        if (sc->fixed != 0 && f->at > 0) {
            return fail(p, "in a static network Sybils are there from the beginning: at = 0 s");
        }
        attacks++;
    }
    if (attacks > 1 || (attacks == 0 && sc->attacked > 0)) {
        return fail(p, attacks > 1 ? "one eclipse or sybil at most" : "no eclipse or sybil");
    }
    return QUDAG_OK;
}

static qudag_err check_network(const struct parser *p)
{
    const struct scenario *sc = p->sc;

    if (sc->start == START_WARM && sc->dial_trips == 0) {
        p->sc->dial_trips =
            1; /* of a settled network it is asked what lookups do, not what dialling costs */
    }
    if (sc->start != START_WARM && (sc->fixed != 0 || sc->dead > 0)) {
        return fail(p, "'static' and 'dead' need start = warm");
    }
    if (sc->fixed == 0) {
        return QUDAG_OK;
    }
    if (sc->until > SIM_STATIC_UNTIL) {
        return fail(p, "a static network ends before its maintenance begins: until <= 10 min");
    }
    for (size_t i = 0; i < sc->n_faults; i++) {
        uint64_t kind = sc->fault[i].kind;
        if (kind == FAULT_CHURN || kind == FAULT_STORM || kind == FAULT_CLOCK_SKEW) {
            return fail(p, "no node joins or restarts in a static network");
        }
    }
    return QUDAG_OK;
}

static qudag_err check_faults(const struct parser *p)
{
    for (size_t i = 0; i < p->sc->n_faults; i++) {
        const struct sim_fault *f = &p->sc->fault[i];
        if (f->kind == FAULT_NONE) {
            return fail(p, "a fault has no kind");
        }
        if (!scenario_attacks(f->kind) && (f->kind == FAULT_CHURN ? f->median : f->share) == 0) {
            return fail(p, "churn needs 'median', every other fault 'share'");
        }
        if ((f->kind == FAULT_SLOW || f->kind == FAULT_CLOCK_SKEW) && f->delay == 0) {
            return fail(p, "slow and clock_skew need 'delay'");
        }
        if (f->kind != FAULT_STORM && f->share > SIM_ALL) {
            return fail(p, "more than all of them");
        }
    }
    return QUDAG_OK;
}

static qudag_err check(struct parser *p)
{
    const struct scenario *sc = p->sc;

    p->line = 0;
    if (sc->bootstrap >= sc->nodes) {
        return fail(p, "there must be more nodes than bootstrap nodes");
    }
    if (sc->until == 0) {
        return fail(p, "[run] must say 'until'");
    }
    if (sc->quiet_at + sc->settle > sc->until) {
        return fail(p, "the run ends before it has settled");
    }
    for (size_t i = 0; i < sc->n_phases; i++) {
        const struct sim_phase *ph = &sc->phase[i];
        if (ph->name[0] == 0 || ph->from >= ph->to || ph->to > sc->until) {
            return fail(p, "a phase needs a name and lies within the run: from < to <= until");
        }
    }
    qudag_err err = check_faults(p);
    err = err == QUDAG_OK ? check_network(p) : err;
    return err == QUDAG_OK ? check_attack(p) : err;
}

qudag_err scenario_parse(struct scenario *out, struct slice text, struct scenario_error *error)
{
    struct parser p = {.sc = out, .error = error};
    size_t at = 0;

    *out = (struct scenario){.nodes = 100,
                             .bootstrap = 4,
                             .contacts = 3,
                             .join_over = 60 * NS_PER_S,
                             .memory_max = 1048576,
                             .awake = 10000,
                             .rtt = 80 * NS_PER_MS,
                             .spread = 500,
                             .jitter = 50000,
                             .idle = 60 * NS_PER_S,
                             .dial_timeout = 10 * NS_PER_S,
                             .work_from = 120 * NS_PER_S,
                             .circuit_size = 32768,
                             .circuit_last = 10 * NS_PER_S,
                             .value_size = 256,
                             .age_max = 600 * NS_PER_S};
    while (at < text.len) {
        const uint8_t *nl = memchr(text.base + at, '\n', text.len - at);
        size_t n = nl == NULL ? text.len - at : (size_t)(nl - text.base) - at;
        char buf[LINE_LEN_MAX + 1];
        p.line++;
        if (n > LINE_LEN_MAX || memchr(text.base + at, 0, n) != NULL) {
            return fail(&p, "line too long, or a NUL in it");
        }
        memcpy(buf, text.base + at, n);
        buf[n] = 0;
        at += n + 1;
        qudag_err err = line(&p, buf);
        if (err != QUDAG_OK) {
            return err;
        }
    }
    return check(&p);
}
