/*
 * arrow_padding_circuits.c - every circuit of ours begins with one exchange, whatever it is for.
 *
 *   built for a lookup ─────────▶ the gateway's request and answer
 *   built for anything else ────▶ padding: messages of the same size, the answer after as long as lookups took lately
 *
 * How long the DHT took is what our lookups' answers took, less the round trip of their circuit, which its build shows:
 * n hops are added in 1 + 2 + .. + n round trips of a link, and a message to the last and back takes n.  An exchange
 * takes longer than that, as it is many packets: so much longer as padding did lately, of which all else is known.
 */
#include "node/internal.h"

#define FIRST_GUESS_MS 100 /* before the first lookup: so much, up to ten times as much */

static uint64_t round_trip(const struct node_circuit *c)
{
    return 2 * c->build_ns / (c->n_hops + 1u);
}

void node_padding_answered(struct node *n, const struct node_circuit *c, tstamp now)
{
    struct node_padding_state *p = &n->padded;
    size_t kept = p->extras < NODE_PADDING_LOOKUPS ? p->extras : NODE_PADDING_LOOKUPS;
    uint64_t took = now - c->asked_at, rtt = round_trip(c) + node_rule_median(p->extra, kept);

    p->lookup[p->lookups++ % NODE_PADDING_LOOKUPS] = took > rtt ? took - rtt : 0;
}

/* How long a lookup might take. */
static uint64_t draw_lookup(struct node *n)
{
    const struct node_padding_state *p = &n->padded;
    uint64_t kept = p->lookups < NODE_PADDING_LOOKUPS ? p->lookups : NODE_PADDING_LOOKUPS;

    if (kept == 0) {
        return FIRST_GUESS_MS * NS_PER_MS * (1 + rng_below(&n->cfg.rng, 10));
    }
    return p->lookup[rng_below(&n->cfg.rng, (uint32_t)kept)];
}

static void exchange(struct node *n, const struct node_circuit *c, enum padding_order order)
{
    struct padding_wanted wanted = {
        .order = order, .circuit = c->onion, .delay_ns = draw_lookup(n), .cookie = round_trip(c)};
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
    uint64_t rtt = a->cookie;
    (void)now;

    if (a->kind == PADDING_UP_DONE) {
        p->extra[p->extras++ % NODE_PADDING_LOOKUPS] = a->n > rtt ? a->n - rtt : 0;
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
