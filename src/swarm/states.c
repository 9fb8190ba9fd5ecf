/* states.c - states of links: the table, and telling it. */
#include "swarm/states.h"

#include "base/assert.h"
#include "swarm/internal.h"

#define BIT(state) (1u << (state))

bool swarm_rule_state(enum swarm_link_state from, enum swarm_link_state to)
{
    static const unsigned next[SWARM_LINK_STATES] = {
        [SWARM_LINK_NONE] = BIT(SWARM_LINK_CONNECTING) | BIT(SWARM_LINK_UP),
        [SWARM_LINK_CONNECTING] =
            BIT(SWARM_LINK_HANDSHAKING) | BIT(SWARM_LINK_UP) | BIT(SWARM_LINK_DOWN),
        [SWARM_LINK_HANDSHAKING] = BIT(SWARM_LINK_UP) | BIT(SWARM_LINK_DOWN),
        [SWARM_LINK_UP] = BIT(SWARM_LINK_CLOSING),
        [SWARM_LINK_CLOSING] = BIT(SWARM_LINK_DOWN),
    };

    return (next[from] & BIT(to)) != 0;
}

enum swarm_link_why swarm_rule_why(qudag_err err, bool here)
{
    switch (err) {
    case QUDAG_ELIMIT:
        return here ? SWARM_WHY_OUR_LIMIT : SWARM_WHY_THEIR_LIMIT;
    case QUDAG_ENOMEM:
        return SWARM_WHY_OUR_LIMIT;
    case QUDAG_ETIMEOUT:
        return SWARM_WHY_TIMEOUT;
    case QUDAG_EAUTH:
    case QUDAG_EEXPIRED:
    case QUDAG_ECLOCK:
        return SWARM_WHY_AUTH;
    case QUDAG_EPOLICY:
        return SWARM_WHY_POLICY;
    case QUDAG_EUNREACHABLE:
        return SWARM_WHY_NETWORK;
    case QUDAG_EPROTO:
    case QUDAG_EMALFORMED:
    case QUDAG_EUNSUPPORTED:
        return SWARM_WHY_PROTOCOL;
    case QUDAG_ERESET:
        return here ? SWARM_WHY_HERE : SWARM_WHY_RESET;
    default:
        return here || err == QUDAG_ECANCELED ? SWARM_WHY_HERE : SWARM_WHY_PEER;
    }
}

const struct peer_id *swarm_link_peer_id(const struct swarm_link *l)
{
    static const struct peer_id nobody = {.len = 0};

    return l->peer != NULL ? &l->peer->id : &nobody;
}

void swarm_link_enter(struct swarm *s, struct swarm_link *l, enum swarm_link_state to)
{
    if ((l->props & LINK_ANON) != 0 || !swarm_rule_state(l->state, to)) {
        return; /* a circuit; or what was said already */
    }
    l->state = to;
    if (l->id == 0) {
        l->id = ++s->n_link_ids;
    }
    if (s->cfg.link_changed == NULL) {
        return;
    }
    bool ends = to == SWARM_LINK_CLOSING || to == SWARM_LINK_DOWN;
    struct swarm_link_change c = {.state = to,
                                  .id = l->id,
                                  .peer = *swarm_link_peer_id(l),
                                  .remote = l->remote,
                                  .inbound = (l->props & LINK_INBOUND) != 0,
                                  .transport = l->tp->t->name};
    if (ends) {
        c.err = l->down_err;
        c.why = swarm_rule_why(l->down_err, l->closed_here);
        c.text = l->down_text;
    }
    s->cfg.link_changed(s->cfg.sink_ctx, &c);
}
