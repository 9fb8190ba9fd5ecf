/* work.c - see work.h. */
#include "quic/work.h"

bool quic_work_known(const struct quic_conn *c)
{
    return !c->server || c->proven || c->completed;
}

static void charge(struct quic_conn *c, uint64_t ns)
{
    struct quic *q = c->q;
    struct load_account *net;

    if (ns == 0) {
        return;
    }
    load_charge(&c->load, &load_rule_link, ns, q->now);
    net = quic_work_known(c) ? load_net(&q->load, c->net, q->now) : NULL;
    if (net != NULL) {
        load_charge(net, &load_rule_net, ns, q->now);
    }
}

enum load_state quic_work_take(struct quic_conn *c)
{
    struct quic *q = c->q;
    enum load_state state = LOAD_FREE;

    if (c->state != QUIC_CONN_LINGER &&
        load_debt(&c->load, &load_rule_link, q->now) > LOAD_LITTLE) { /* mostly not */
        state = load_verdict(&c->load, load_net(&q->load, c->net, q->now), q->now);
    }
    if (state == LOAD_OUT &&
        (!quic_work_known(c) ||
         load_debt(&c->sealed, &load_rule_link, q->now) < load_rule_link.burst / 2)) {
        state = LOAD_LAST;
    }
    if (state == LOAD_LAST) {
        q->stats.dropped_work++;
        charge(c, LOAD_THROWN);
    }
    return state;
}

bool quic_work_put_out(struct quic_conn *c)
{
    c->q->stats.links_put_out++;
    load_put_out(&c->q->load, netaddr_host(&c->remote), c->q->now);
    return limiter_take(&c->q->out_log, 1, c->q->now);
}

void quic_work_read(struct quic_conn *c, bool sealed)
{
    bool ended = c->state == QUIC_CONN_LINGER; /* what comes for it is not opened */
    uint64_t ns = ended ? LOAD_THROWN : load_cost(1, c->streams_new, c->useful);

    charge(c, ns);
    if (sealed) {
        load_charge(&c->sealed, &load_rule_link, ns, c->q->now);
    }
    c->useful = 0;
    c->streams_new = 0;
}

void quic_work_refused(struct quic_conn *c, qudag_err err)
{
    switch (err) {
    case QUDAG_EUNSUPPORTED:
    case QUDAG_EPROTO:
    case QUDAG_EMALFORMED:
    case QUDAG_ELIMIT:
    case QUDAG_EREFUSED:
    case QUDAG_EPOLICY:
        charge(c, LOAD_REFUSED);
        break;
    default:
        break;
    }
}

void quic_work_begun(struct quic *q, const struct netaddr *a, bool proven)
{
    if (proven) {
        load_begun(&q->load, netaddr_group(a), netaddr_host(a), q->now);
    }
}

bool quic_work_closed(struct quic *q, const struct netaddr *a)
{
    uint64_t host = netaddr_host(a);

    return load_is_out(&q->load, host, q->now) ||
           !load_may_begin(&q->load, netaddr_group(a), host, q->now);
}
