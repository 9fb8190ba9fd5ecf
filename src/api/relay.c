/* relay.c - places at circuit relays. */
#include "api/internal.h"

#include <string.h>

API_NO_TAIL(qudag_place, bytes_out);
API_NO_TAIL(qudag_relay_circuit, tail);
_Static_assert(QUDAG_RESERVE_MAX == RELAYED_RELAYS_MAX, "one limit");

qudag_err qudag_relay_reserve(qudag_node *n, const char *relay)
{
    struct node_keep_wish w;

    if (n == NULL || relay == NULL) {
        return QUDAG_EINVAL;
    }
    qudag_err err = api_keep_read(&w, relay, NULL, 0);
    return err != QUDAG_OK ? err : node_reserve(n->node, &w);
}

qudag_err qudag_relay_release(qudag_node *n, const qudag_peer_id *relay)
{
    struct peer_id p;

    return n == NULL || !api_peer_in(&p, relay) ? QUDAG_EINVAL : node_unreserve(n->node, &p);
}

/* Where we are through the relay of |p|. */
static void addr_text(const qudag_node *n, char text[QUDAG_ADDR_TEXT_MAX],
                      const struct relayed_place *p)
{
    struct multiaddr a;
    struct peer_id self;
    qudag_peer_id id;

    qudag_node_peer_id(n, &id);
    if (!p->held || p->n_addrs == 0 || !api_peer_in(&self, &id) ||
        !multiaddr_circuit(&a, &p->addr[0]) || !multiaddr_add_peer(&a, &self) ||
        multiaddr_text(text, QUDAG_ADDR_TEXT_MAX, &a) == 0) {
        text[0] = '\0';
    }
}

bool qudag_place_next(const qudag_node *n, size_t *it, qudag_place *out)
{
    qudag_place full = {.size = sizeof(full)};
    const struct relayed_place *p;

    if (n == NULL || it == NULL || out == NULL || (p = node_place_next(n->node, it)) == NULL) {
        return false;
    }
    tstamp now = io_now();
    full.failures = p->failures;
    full.left = p->held && p->until > now ? p->until - now : 0;
    full.next_try = p->due > now ? p->due - now : 0;
    full.limit_bytes = p->limit.data;
    full.limit_time = p->limit.duration_s * QUDAG_S;
    full.err = p->err;
    addr_text(n, full.addr, p);
    api_peer_out(&full.relay, &p->relay);
    const struct autorelay_relay *r = autorelay_get(node_autorelay(n->node), &p->relay);
    full.chosen = r != NULL && !r->fixed && r->state != AUTORELAY_IDLE;
    full.rtt = r != NULL ? r->rtt_ns : 0;
    full.circuits = p->circuits;
    full.broken = p->broken;
    full.bytes_in = p->bytes_in;
    full.bytes_out = p->bytes_out;
    return api_sized_out(out, &full, sizeof(full));
}

bool qudag_relay_circuit_next(const qudag_node *n, size_t *it, qudag_relay_circuit *out)
{
    qudag_relay_circuit full = {.size = sizeof(full)};
    struct hop_circuit_look c;
    tstamp now = io_now();

    if (n == NULL || it == NULL || out == NULL || !node_relay_circuit_next(n->node, it, &c)) {
        return false;
    }
    full.paced = c.paced;
    full.age = now > c.since ? now - c.since : 0;
    full.sent = c.sent;
    full.got = c.got;
    full.limit_bytes = c.limit.data;
    full.limit_time = c.limit.duration_s * QUDAG_S;
    api_peer_out(&full.from, &c.from);
    api_peer_out(&full.to, &c.to);
    return api_sized_out(out, &full, sizeof(full));
}

qudag_err qudag_protocol_allow_limited(qudag_node *n, const char *proto)
{
    return n == NULL || proto == NULL ? QUDAG_EINVAL
                                      : swarm_proto_allow_limited(node_swarm(n->node), proto);
}
