/*
 * full_net.c - the way of a datagram.
 *
 *   leaves when the uplink is free (a slow node: later), through its routers : lost, partition? : half a round trip
 *   and its jitter, never before an earlier one of the same pair : routers, nobody there any more? : arrives
 *
 * Nothing says that a datagram was dropped; QUIC has to find out.
 */
#include "sim/full_int.h"
#include "sim/links.h"
#include "sim/sim_int.h"

#include <string.h>

#define IP_UDP 28               /* bytes: IPv4 and UDP headers */
#define LAN_RTT (2 * NS_PER_MS) /* of two behind one router */
#define HEAD                                                                                       \
    sizeof(struct full_way) /* before the bytes of one whose way is not said by its event */

void net_full_init(struct full *f)
{
    f->last = sim_alloc((size_t)f->cap * f->cap, sizeof(*f->last));
}

/* Public, each in a /16 of its own, so that rules of diversity ask nothing of a small network. */
struct netaddr net_full_addr(uint32_t node, uint32_t epoch)
{
    return (struct netaddr){.family = 4,
                            .ip = {(uint8_t)(20 + node % 60), (uint8_t)(node / 60), 7, 1},
                            .port = (uint16_t)(1024 + epoch % 20000)};
}

/* What the Internet does to one that leaves |from| for whoever has the address of |there|.  False: it is lost. */
static bool passes(struct full *f, const struct full_node *from, uint32_t there)
{
    struct sim *s = f->s;
    bool lost = s->net.loss > 0 && dice_hit(&s->dice, DICE_LINKS, s->net.loss);

    return !lost && net_reaches(s, from->ix, there);
}

/* From a first socket on the Internet to such a one: the event says all of it. */
static bool is_plain(const struct full *f, const struct full_node *from, const struct full_way *way,
                     uint32_t there)
{
    return from->router == FULL_NONE && f->node[there].router == FULL_NONE &&
           way->from.port == from->addr.port && way->to.port == f->node[there].addr.port;
}

static void push(struct full *f, const struct full_node *from, uint32_t there,
                 const struct full_way *way, tstamp at, struct slice data)
{
    struct sim *s = f->s;
    struct sim_event ev = {.at = at,
                           .kind = SIM_DATA,
                           .node = there,
                           .epoch = s->node[there].epoch,
                           .cookie = (uint64_t)from->epoch << 32 | from->ix};

    if (is_plain(f, from, way, there)) {
        ev.data = sim_data_new(data.base, data.len);
    } else {
        memcpy(f->routed, way, HEAD);
        memcpy(f->routed + HEAD, data.base, data.len);
        ev.kind = SIM_WORK; /* of no node yet */
        ev.cookie = FULL_ROUTED;
        ev.data = sim_data_new(f->routed, HEAD + data.len);
    }
    world_push(&s->world, ev);
}

uint32_t net_full_routed(struct full *f, const struct sim_event *ev, struct full_way *way,
                         struct slice *data)
{
    memcpy(way, ev->data->b, HEAD);
    *data = (struct slice){ev->data->b + HEAD, ev->data->len - HEAD};
    if (!full_is_inside(&way->to)) {
        return full_arrives(f, way);
    }
    const struct full_node *fn =
        &f->node[ev->node]; /* it did not leave the network that both are in */
    return fn->node != NULL && full_has_socket(fn, way->to.port) ? ev->node : FULL_NONE;
}

void net_full_send(struct full *f, struct full_node *from, const struct full_way *asked,
                   const uint8_t *p, size_t len)
{
    struct sim *s = f->s;
    struct sim_node *nd = &s->node[from->ix];
    struct full_way way = *asked;
    tstamp leaves = s->world.now;
    uint32_t there = FULL_NONE;

    f->counts.datagrams++;
    f->counts.bytes += len + IP_UDP;
    if (s->sc->uplink > 0) {
        leaves = nd->uplink_free > leaves ? nd->uplink_free : leaves;
        leaves += (len + IP_UDP) * NS_PER_S / s->sc->uplink;
        nd->uplink_free = leaves;
    }
    enum full_outcome o = full_outwards(f, from->ix, &way, &there);
    if (o == FULL_OUT) {
        there = full_owner(f, &way.to);
    }
    if (o == FULL_DROPPED || there == FULL_NONE || there == from->ix) {
        return;
    }
    bool nobody = o == FULL_OUT && f->node[there].router == FULL_NONE &&
                  (f->node[there].node == NULL || !full_has_socket(&f->node[there], way.to.port));
    if (nobody || !passes(f, from, there)) {
        return;
    }
    size_t pair = (size_t)from->ix * f->cap + there;
    uint64_t rtt = o == FULL_INSIDE ? LAN_RTT : links_rtt(&s->dice, s->sc, from->ix, there);
    tstamp at = leaves + nd->slow + links_one_way(&s->dice, s->sc, rtt);
    at = at < f->last[pair] ? f->last[pair] : at;
    f->last[pair] = at;
    push(f, from, there, &way, at, (struct slice){p, len});
}
