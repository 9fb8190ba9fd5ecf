/* meter.c - see meter.h; only adds up. */
#include "swarm/meter_int.h"

_Static_assert(SWARM_METER_CORES == SWARM_CORES_MAX, "each core has its traffic");

static enum swarm_direction direction_of(const struct swarm_link *l)
{
    return (l->props & LINK_INBOUND) != 0 ? SWARM_IN : SWARM_OUT;
}

static uint64_t since(tstamp then, tstamp now)
{
    return now > then ? now - then : 0;
}

static struct histogram *setup_of(struct swarm *s, const struct swarm_link *l,
                                  enum swarm_direction dir, qudag_err err)
{
    uint32_t ix = l->tp->ix < SWARM_METER_TRANSPORTS ? l->tp->ix : SWARM_METER_TRANSPORTS - 1;

    return &s->meters.setup[ix][dir][outcome_in(SWARM_SETUP_OUTCOMES, err)];
}

void swarm_meter_link_up(struct swarm *s, struct swarm_link *l, const struct link_info *info,
                         tstamp now)
{
    enum swarm_direction dir = direction_of(l);
    uint64_t took = dir == SWARM_IN ? info->handshake_ns : since(l->since, now);

    histogram_add(setup_of(s, l, dir, QUDAG_OK), HISTOGRAM_SETUP, took);
    if (info->rtt_ns != 0) {
        histogram_add(&s->meters.rtt, HISTOGRAM_RTT, info->rtt_ns);
    }
    s->meters.opened[dir]++;
    l->since = now;
}

void swarm_meter_link_refused(struct swarm *s, struct swarm_link *l, const struct link_info *info,
                              qudag_err err)
{
    if ((info->props & LINK_INBOUND) != 0) {
        l->metered = true;
        histogram_add(setup_of(s, l, SWARM_IN, err), HISTOGRAM_SETUP, info->handshake_ns);
    }
}

void swarm_meter_link_gone(struct swarm *s, const struct swarm_link *l, tstamp now)
{
    if ((l->props & LINK_ANON) != 0 || l->metered) {
        return;
    }
    if (!l->up) {
        histogram_add(setup_of(s, l, SWARM_OUT, l->down_err), HISTOGRAM_SETUP,
                      since(l->since, now));
        return;
    }
    histogram_add(&s->meters.life[direction_of(l)], HISTOGRAM_LIFE, since(l->since, now));
    s->meters.closed[outcome_of(l->down_err)]++;
}

void swarm_meter_open(struct swarm *s, const struct swarm_open *o, qudag_err err, tstamp now)
{
    histogram_add(&s->meters.open[outcome_in(SWARM_STREAM_OUTCOMES, err)], HISTOGRAM_SETUP,
                  since(o->since, now));
}

enum swarm_protection swarm_protection_of(uint8_t props, bool carried)
{
    if ((props & LINK_ANON) != 0) {
        return carried ? SWARM_HIDDEN : SWARM_CIRCUIT;
    }
    return (props & SWARM_PROVEN_PROPS) == SWARM_PROVEN_PROPS ? SWARM_POST_QUANTUM
                                                              : SWARM_CLASSICAL;
}

void swarm_meter_traffic(struct swarm *s, const struct swarm_stream *st, enum swarm_direction dir,
                         size_t len)
{
    const struct core_ops *ops = s->core[st->core].ops;
    enum swarm_protection how = swarm_protection_of(st->link->props, st->link->carried);
    struct swarm_traffic *t = &s->meters.traffic[st->core][how];

    uint64_t before = t->bytes[dir];

    t->bytes[dir] = before + len;
    t->messages[dir] += ops->unit != 0 ? t->bytes[dir] / ops->unit - before / ops->unit : 1;
}

const struct swarm_meters *swarm_meters(const struct swarm *s)
{
    return &s->meters;
}

const char *swarm_transport_dials(const struct swarm *s, unsigned transport)
{
    if (transport >= s->n_transports || s->transport[transport].t->on_demand) {
        return NULL;
    }
    return s->transport[transport].t->name;
}
