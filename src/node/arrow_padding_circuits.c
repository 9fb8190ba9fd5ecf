/*
 * arrow_padding_circuits.c - every circuit of ours begins with one exchange, whatever it is for.
 *
 *   built for a lookup ─────────▶ the gateway's request and answer
 *   built for anything else ────▶ padding: messages of the same size, the answer after as long as lookups took lately
 *
 * How long the DHT took is what our lookups' answers took, less the round trip of their circuit, which the first cell
 * of their exchange and its answer show.  (What the build took would not do: relays that dial each other meanwhile make
 * it longer.)  An exchange takes longer than that, as it is many packets: so much longer as padding did lately, of
 * which all else is known.
 */
#include "node/internal.h"

#define FIRST_GUESS_MS 100 /* before the first lookup: so much, up to ten times as much */

/* What |took_ns| on |circuit| was beyond a round trip of it, in ns.  false: that is not known. */
static bool beyond_round_trip(const struct node *n, struct ref circuit, uint64_t took_ns,
                              uint64_t *beyond)
{
    struct onion_info info;

    if (onion_info_get(n->onion, circuit, &info) != QUDAG_OK || info.round_trip_ns == 0) {
        return false;
    }
    *beyond = took_ns > info.round_trip_ns ? took_ns - info.round_trip_ns : 0;
    return true;
}

void node_padding_answered(struct node *n, const struct node_circuit *c, tstamp now)
{
    struct node_padding_state *p = &n->padded;
    uint64_t took;

    if (beyond_round_trip(n, c->onion, now - c->asked_at, &took)) {
        p->lookup[p->lookups++ % NODE_PADDING_LOOKUPS] = took;
    }
}

/* How long a lookup might take. */
static uint64_t draw_lookup(struct node *n)
{
    const struct node_padding_state *p = &n->padded;
    uint64_t kept = p->lookups < NODE_PADDING_LOOKUPS ? p->lookups : NODE_PADDING_LOOKUPS;

    if (kept == 0) {
        return FIRST_GUESS_MS * NS_PER_MS * (1 + rng_below(&n->cfg.rng, 10));
    }
    uint64_t drawn = p->lookup[rng_below(&n->cfg.rng, (uint32_t)kept)];
    uint64_t known = p->extras < NODE_PADDING_LOOKUPS ? p->extras : NODE_PADDING_LOOKUPS;
    uint64_t extra = node_rule_median(p->extra, (size_t)known);
    drawn = drawn > extra ? drawn - extra : 0;
    /* Whole ms are asked for: as long on average. */
    return drawn + rng_below(&n->cfg.rng, NS_PER_MS);
}

static void exchange(struct node *n, const struct node_circuit *c, enum padding_order order)
{
    struct padding_wanted wanted = {.order = order,
                                    .circuit = c->onion,
                                    .delay_ns = draw_lookup(n),
                                    .cookie = ref_to_u64(c->onion)};
    struct acts *out = node_begin(n);
    qudag_err err = padding_exchange(n->padding, &wanted, n->now, out);
    node_end(n, n->ix.padding);
    if (err != QUDAG_OK) { /* the circuit works without */
        log_event(&n->cfg.log, LOG_DEBUG, "circuit.without_padding", LOG_ERR(err));
    }
}

/*
 * What somebody waits for, and begins because |c| is there, leaves before the 13 cells of the exchange: they go at once
 * all the same, as one burst of as many cells.
 */
void node_padding_built(struct node *n, const struct node_circuit *c)
{
    if (n->cfg.padding != NODE_PADDING_NONE && !c->use->exchanges) {
        exchange(n, c, c->use->meets ? PADDING_AROUND : PADDING_BEHIND);
    }
}

void node_padding_more(struct node *n, const struct node_circuit *c)
{
    exchange(n, c, PADDING_FIRST);
}

static void report(struct node *n, const struct act *a, tstamp now)
{
    struct node_padding_state *p = &n->padded;
    uint64_t extra;
    (void)now;

    if (a->kind == PADDING_UP_DONE && beyond_round_trip(n, ref_from_u64(a->cookie), a->n, &extra)) {
        p->extra[p->extras++ % NODE_PADDING_LOOKUPS] = extra;
    }
}

static void release(void *padding)
{
    padding_free(padding);
}

qudag_err node_padding_init(struct node *n)
{
    qudag_err err = padding_new(&n->padding, n->mem, &n->cfg.rng);

    if (err != QUDAG_OK) {
        return err;
    }
    struct node_core core = {.name = "padding",
                             .instance = n->padding,
                             .ops = &padding_ops,
                             .report = report,
                             .free = release};
    return node_core_add(n, &core, PADDING_PROTOCOL, &n->ix.padding);
}
