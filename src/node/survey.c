/*
 * survey.c - whether our view of the network has settled: lookups of random keys, until it has.
 *
 *   joined ─ look for a random key ─▶ DHT ─ ended: anybody new? ─ relays_view_settled ─▶ relays_settled
 *              ▲                                    └ no: another ┘
 *
 * Whoever answers our first lookups decides whom we meet first.  A random key begins at other contacts each time and
 * leads elsewhere, so that no few nodes can answer all.  Until then no guards are drawn, and joining is not over: no
 * anonymity yet.  With guards of an earlier run there are paths, and joining is over, once the lookups that are the
 * least have ended (relays_view_usable): to keep a view from settling keeps nobody from the guards that he has.
 */
#include "node/request_table.h"

#define KEY_LEN 32
#define PAUSE_MIN (250 * NS_PER_MS) /* after the first RELAYS_VIEW_LOOKUPS, doubling */
#define PAUSE_MAX NS_PER_S
#define PAUSE_MAX_LAB PAUSE_MIN /* all join within a second, and nobody is hostile */
#define PAUSE_LATER                                                                                \
    (10 * NS_PER_S) /* where nodes join all the time, or what was met is not found */
#define LATER 64    /* lookups */
#define LAST 30     /* more of them, and the pause doubles, as often as LAST_DOUBLINGS */
#define LAST_DOUBLINGS 3
#define LATER_LAB (LATER * PAUSE_MAX / PAUSE_MAX_LAB)
#define ALONE (NS_PER_S)

static bool alone(const struct node *n)
{
    struct kad_stats st;

    kad_stats_get(n->kad, &st);
    return st.table == 0;
}

static void look(struct node *n)
{
    struct node_survey *s = &n->survey;
    uint8_t key[KEY_LEN];
    struct node_request r = {.kind = NODE_OP_SURVEY, .key = {key, sizeof(key)}};

    s->next_at = tstamp_after(n->now, ALONE);
    if (alone(n)) {
        return;
    }
    rng_fill(&n->cfg.rng, key, sizeof(key));
    s->brought = false;
    if (node_op_new(n, &r) != NULL) {
        s->running = true;
        s->next_at = TSTAMP_NEVER;
    }
}

qudag_err node_begin_survey(struct node *n, struct node_op *op, tstamp now)
{
    struct acts *out = node_begin(n);
    qudag_err err = kad_find(n->kad, node_op_cookie(op), op->req.key, now, out);

    node_end(n, n->ix.dht);
    return err;
}

/* Somebody new, though perhaps met some lookups ago: the quiet ones are those after it. */
static void note_new(struct node *n)
{
    struct node_survey *s = &n->survey;
    uint64_t met = relays_met(n->relays);

    if (met != s->met) {
        s->met = met;
        s->brought = true;
        s->quiet = 0;
    }
}

static void usable(struct node *n)
{
    relays_usable(n->relays);
    log_event(&n->cfg.log, LOG_INFO, "relays.view_usable", LOG_NUM("lookups", n->survey.lookups));
}

void node_survey_check(struct node *n)
{
    struct node_survey *s = &n->survey;
    struct relays_view v;

    note_new(n);
    if (relays_is_settled(n->relays) || s->lookups < RELAYS_VIEW_LOOKUPS ||
        relays_count(n->relays) < n->cfg.relays_min) {
        return;
    }
    relays_view_get(n->relays, &v);
    v.lookups = s->lookups;
    v.quiet = s->quiet;
    v.age_s = (uint32_t)((n->now - s->first_at) / NS_PER_S);
    if (!relays_is_usable(n->relays) && relays_view_usable(&v)) {
        usable(n);
    }
    if (!relays_view_settled(&v)) {
        return;
    }
    relays_settled(n->relays, node_wall(n, n->now));
    s->next_at = TSTAMP_NEVER;
    node_saved_guards(n, false);
    log_event(&n->cfg.log, LOG_INFO, "relays.view_settled", LOG_NUM("relays", v.known.relays),
              LOG_NUM("networks", v.known.networks), LOG_NUM("lookups", v.lookups),
              LOG_NUM("waiting", v.waiting));
}

uint64_t node_survey_pause(uint32_t lookups, bool lab)
{
    uint32_t more = lookups < RELAYS_VIEW_LOOKUPS ? 0 : lookups - RELAYS_VIEW_LOOKUPS + 1;
    uint64_t pause = more == 0 ? 0 : PAUSE_MIN << (more < 8 ? more : 8);
    uint64_t most = lab ? PAUSE_MAX_LAB : PAUSE_MAX;
    uint32_t later = lab ? LATER_LAB : LATER;

    if (lookups < later) {
        return pause < most ? pause : most;
    }
    uint32_t last = (lookups - later) / LAST;
    return PAUSE_LATER << (last < LAST_DOUBLINGS ? last : LAST_DOUBLINGS);
}

void node_finish_survey(struct node *n, struct node_op *op, qudag_err err,
                        const struct node_result *res)
{
    struct node_survey *s = &n->survey;

    for (size_t i = 0; i < res->n_peers; i++) { /* the table has room for few of them */
        relays_candidate(n->relays, &res->peers[i].id);
    }
    node_op_free(n, op);
    s->running = false;
    if (err != QUDAG_OK && !alone(n)) { /* nobody answered */
        s->next_at = tstamp_after(n->now, ALONE);
        return;
    }
    s->first_at = s->lookups == 0 ? n->now : s->first_at;
    s->lookups++;
    note_new(n);
    s->quiet += s->brought ? 0 : 1;
    s->next_at = tstamp_after(n->now, node_survey_pause(s->lookups, n->cfg.lab));
    n->news |= NODE_NEWS_RELAYS;
}

void node_survey_begin(struct node *n)
{
    if (!n->survey.begun) {
        n->survey.begun = true;
        n->survey.next_at = n->now;
    }
}

static void tick(void *node, tstamp now, struct acts *out)
{
    struct node *n = node;
    (void)out;

    if (n->survey.next_at <= now && !n->survey.running) {
        n->survey.next_at = TSTAMP_NEVER;
        if (!relays_is_settled(n->relays)) {
            look(n);
        }
    }
}

static tstamp deadline(const void *node)
{
    return ((const struct node *)node)->survey.next_at;
}

qudag_err node_survey_init(struct node *n)
{
    static const struct core_ops ops = {.tick = tick, .deadline = deadline};
    struct node_core core = {.name = "survey", .instance = n, .ops = &ops};
    unsigned ix;

    n->survey.next_at = TSTAMP_NEVER;
    return node_core_add(n, &core, NULL, &ix);
}
