/*
 * arrow_autorelay.c - circuit relays that keep places for this node, found and chosen by itself.
 *
 *   identify: who serves the hop protocol; links: where, how far ─▶ autorelay
 *   wants.places, nobody can dial us ─▶ autorelay ─ TAKE, DROP ─▶ node_place_take, _drop (arrow_relay_links.c)
 *   autorelay ─ SEEK ─▶ some contacts of the DHT are dialled, so that identify asks them what they serve
 *
 * What becomes of places arrow_relay_links.c tells the core.
 */
#include "node/internal.h"

#include <string.h>

#define LOOK (20 * NS_PER_S) /* between two measurements of round trips */
#define SEEK_DIALS 4         /* contacts that are dialled at once */

bool node_relay_found(const struct node *n, const struct peer_id *peer, struct autorelay_found *out)
{
    struct link_info info;
    struct netaddr a;

    *out = (struct autorelay_found){.peer = *peer};
    for (size_t it = 0; swarm_peer_link_next(n->swarm, peer, &it, &info);) {
        if ((info.props & (LINK_RELAYED | LINK_ANON)) != 0 ||
            !multiaddr_endpoint(&info.remote, &a)) {
            continue;
        }
        out->net = netaddr_wide_group(netaddr_group(&a));
        out->rtt_ns = info.rtt_ns;
        if ((info.props & LINK_INBOUND) == 0) {
            out->addr = info.remote; /* it listens there */
            return true;
        }
    }
    return out->net != 0;
}

void node_autorelay_identified(struct node *n, const struct peer_id *peer, bool says, bool serves)
{
    struct autorelay_found f;

    if (says && serves && node_relay_found(n, peer, &f)) {
        autorelay_heard(&n->autorelay, &f, n->now);
    } else if (says && !serves) {
        autorelay_unheard(&n->autorelay, peer);
    }
}

void node_autorelay_review(struct node *n)
{
    bool wanted = n->cfg.circuit_relay.finds && n->wants.places && n->reach.view.needs_places &&
                  n->boot.started && !n->closing && n->ending.state == NODE_RUNS;

    if (wanted != n->autorelay.wanted) {
        log_plain(&n->cfg.log, LOG_INFO,
                  wanted ? "relay.places_wanted" : "relay.places_not_wanted");
        autorelay_want(&n->autorelay, wanted, n->now, node_begin(n));
        node_end(n, n->through.auto_ix);
    }
}

/* ---- more candidates ---- */

static bool is_worth_asking(const struct node *n, const struct kad_peer_info *p)
{
    uint8_t props;

    return p->n_addrs > 0 && !swarm_connected(n->swarm, &p->id, &props) &&
           autorelay_get(&n->autorelay, &p->id) == NULL;
}

/* Some contacts of the DHT, drawn at random, are dialled. */
static void seek(struct node *n)
{
    struct kad_peer_info info, drawn[SEEK_DIALS];
    uint64_t seen = 0;

    for (size_t it = 0; kad_table_next(n->kad, &it, &info);) {
        if (!is_worth_asking(n, &info)) {
            continue;
        }
        uint64_t at = seen < SEEK_DIALS ? seen : rng_u64(&n->cfg.rng) % (seen + 1);
        if (at < SEEK_DIALS) {
            drawn[at] = info;
        }
        seen++;
    }
    struct acts *out = node_begin(n);
    for (size_t i = 0; i < seen && i < SEEK_DIALS; i++) {
        for (size_t k = 0; k < drawn[i].n_addrs; k++) {
            if (node_rule_addr(&drawn[i].addr[k], n->cfg.lab)) {
                swarm_addr_add(n->swarm, &drawn[i].id, &drawn[i].addr[k]);
            }
        }
        (void)acts_open(out, &drawn[i].id, ++n->through.asked, 0);
    }
    node_end(n, n->through.auto_ix);
}

/* ---- the core ---- */

static void take(struct node *n, const struct peer_id *relay, tstamp now)
{
    const struct autorelay_relay *r = autorelay_get(&n->autorelay, relay);
    struct node_keep_wish w = {.peer = *relay};

    if (r != NULL) {
        w.addr = r->addr;
    }
    qudag_err err = node_place_take(n, &w);
    if (err != QUDAG_OK) {
        autorelay_refused(&n->autorelay, relay, false, now, node_begin(n));
        node_end(n, n->through.auto_ix);
    }
}

static void report(struct node *n, const struct act *a, tstamp now)
{
    struct peer_id relay = a->peer; /* |a| may move */

    switch ((enum autorelay_up)a->kind) {
    case AUTORELAY_UP_TAKE:
        take(n, &relay, now);
        break;
    case AUTORELAY_UP_DROP:
        node_place_drop(n, &relay);
        break;
    case AUTORELAY_UP_SEEK:
        seek(n);
        break;
    }
}

/* A stream only served to have a link. */
static void event(void *node, const struct ev *ev, tstamp now, struct acts *out)
{
    (void)node;
    (void)now;
    if (ev->type == EV_STREAM_OPEN) {
        acts_reset(out, ev->strm, QUDAG_ECANCELED);
    }
}

/* Round trips as the links measured them. */
static void look(struct node *n, tstamp now)
{
    const struct autorelay_relay *r;
    struct autorelay_found f;

    for (size_t it = 0; (r = autorelay_next(&n->autorelay, &it)) != NULL;) {
        if (node_relay_found(n, &r->peer, &f)) {
            autorelay_heard(&n->autorelay, &f, now);
        }
    }
    n->through.look_at = tstamp_after(now, LOOK);
}

static void tick(void *node, tstamp now, struct acts *out)
{
    struct node *n = node;

    if (n->autorelay.wanted && n->through.look_at <= now) {
        look(n, now);
    }
    autorelay_ops.tick(&n->autorelay, now, out);
}

static tstamp deadline(const void *node)
{
    const struct node *n = node;

    return n->autorelay.wanted
               ? tstamp_min(n->through.look_at, autorelay_ops.deadline(&n->autorelay))
               : TSTAMP_NEVER;
}

static const char *open_proto(struct node *n, const struct act *open)
{
    (void)n;
    (void)open;
    return ping_ops.protocol;
}

qudag_err node_autorelay_init(struct node *n)
{
    static const struct core_ops ops = {
        .outbound_max = 1, .event = event, .tick = tick, .deadline = deadline};
    struct node_core core = {.name = "autorelay",
                             .instance = n,
                             .ops = &ops,
                             .report = report,
                             .open_proto = open_proto};

    autorelay_init(&n->autorelay, &n->cfg.rng, n->cfg.lab, n->now);
    return node_core_add(n, &core, NULL, &n->through.auto_ix);
}

const struct autorelay *node_autorelay(const struct node *n)
{
    return &n->autorelay;
}
