/*
 * full_net.c - the way of a datagram.
 *
 *   leaves when the uplink is free (a slow node: later) : lost? : half a round trip and its jitter, never
 *   before an earlier one of the same pair : partition, NAT, nobody there any more? : arrives
 *
 * Nothing says that a datagram was dropped; QUIC has to find out.
 */
#include "sim/full_int.h"
#include "sim/links.h"
#include "sim/sim_int.h"

#define IP_UDP 28 /* bytes: IPv4 and UDP headers */
#define NAT_LIFE (120 * NS_PER_S)
#define NAT_PORTS 30000 /* of a symmetric NAT: plus the number of the destination */

void net_full_init(struct full *f)
{
    f->last = sim_alloc((size_t)f->cap * f->cap, sizeof(*f->last));
    f->sent = sim_alloc((size_t)f->cap * f->cap, sizeof(*f->sent));
}

/* Public, each in a /16 of its own, so that rules of diversity ask nothing of a small network. */
struct netaddr net_full_addr(uint32_t node, uint32_t epoch)
{
    return (struct netaddr){.family = 4,
                            .ip = {(uint8_t)(20 + node % 60), (uint8_t)(node / 60), 7, 1},
                            .port = (uint16_t)(1024 + epoch % 20000)};
}

/* Where a datagram to |at| leads; FULL_NONE: nowhere. */
static uint32_t net_full_by_addr(const struct full *f, const struct netaddr *at, uint16_t *mapped)
{
    uint32_t node = at->ip[0] - 20u + 60u * at->ip[1];

    *mapped = at->port >= NAT_PORTS ? (uint16_t)(at->port - NAT_PORTS) : 0;
    if (at->family != 4 || at->ip[0] < 20 || at->ip[0] >= 80 || node >= f->s->n) {
        return FULL_NONE;
    }
    const struct full_node *fn = &f->node[node];
    bool symmetric = fn->nat == NAT_SYMMETRIC;
    return fn->node != NULL && (at->port == fn->addr.port || (symmetric && at->port >= NAT_PORTS))
               ? node
               : FULL_NONE;
}

static bool lets_in(const struct full *f, const struct full_node *to, uint32_t from)
{
    tstamp now = f->s->world.now, sent = 0;

    switch (to->nat) {
    case NAT_NONE:
        return true;
    case NAT_CONE:
        sent = to->sent_at;
        break;
    case NAT_RESTRICTED:
    case NAT_SYMMETRIC:
        sent = f->sent[(size_t)to->ix * f->cap + from];
        break;
    }
    return sent != 0 && now - sent <= NAT_LIFE;
}

void net_full_send(struct full *f, struct full_node *from, const struct netaddr *to,
                   const uint8_t *p, size_t len)
{
    struct sim *s = f->s;
    struct sim_node *nd = &s->node[from->ix];
    tstamp leaves = s->world.now;
    uint16_t mapped;

    f->counts.datagrams++;
    f->counts.bytes += len + IP_UDP;
    if (s->sc->uplink > 0) {
        leaves = nd->uplink_free > leaves ? nd->uplink_free : leaves;
        leaves += (len + IP_UDP) * NS_PER_S / s->sc->uplink;
        nd->uplink_free = leaves;
    }
    from->sent_at = s->world.now;
    uint32_t there = net_full_by_addr(f, to, &mapped);
    if (there == FULL_NONE || there == from->ix) {
        return;
    }
    size_t pair = (size_t)from->ix * f->cap + there;
    f->sent[pair] = s->world.now;
    bool lost = s->net.loss > 0 && dice_hit(&s->dice, DICE_LINKS, s->net.loss);
    if (lost || !net_reaches(s, from->ix, there) || !lets_in(f, &f->node[there], from->ix)) {
        return;
    }
    uint64_t rtt = links_rtt(&s->dice, s->sc, from->ix, there);
    tstamp at = leaves + nd->slow + links_one_way(&s->dice, s->sc, rtt);
    at = at < f->last[pair] ? f->last[pair] : at;
    f->last[pair] = at;
    world_push(&s->world, (struct sim_event){.at = at,
                                             .kind = SIM_DATA,
                                             .node = there,
                                             .epoch = s->node[there].epoch,
                                             .cookie = (uint64_t)from->epoch << 32 | from->ix,
                                             .data = sim_data_new(p, len)});
}
