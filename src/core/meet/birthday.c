/*
 * birthday.c - one router gives each destination another port, the other does not: many sockets of ours against many
 * ports of theirs (spec/meet.md 7).
 *
 *   hard side: 256 sockets, one request from each to the one address of the easy side      opens 256 ports
 *   easy side: requests to 1024 ports of the hard side's host, all different                hits one in 63 of 64 cases
 */
#include "core/meet/meet_int.h"

bool meet_birthday_target(const struct meeting *mt, struct netaddr *to)
{
    for (size_t i = 0; i < mt->n_cand; i++) {
        const struct meet_candidate *c = &mt->cand[i];
        bool outside = c->kind == MEET_MAPPED || c->kind == MEET_OBSERVED;
        if (outside && c->set == 0 && meet_rule_address(&c->addr, &mt->own)) {
            *to = c->addr;
            return true;
        }
    }
    return false;
}

static tstamp past_host(const struct meet *m, const struct netaddr *to)
{
    tstamp last = 0;

    for (size_t i = 0; i < MEET_PEERS_MAX; i++) {
        if (m->past[i].host == netaddr_host(to) && m->past[i].at > last) {
            last = m->past[i].at;
        }
    }
    return last;
}

/* False: there is nowhere to send to. */
static bool asks(const struct meeting *mt, struct meet_birthday_asks *b)
{
    struct netaddr to;

    if (!meet_birthday_target(mt, &to)) {
        return false;
    }
    *b = (struct meet_birthday_asks){.named = mt->own.named,
                                     .busy = mt->m->birthday != NULL && mt->m->birthday != mt,
                                     .few_ports = mt->own.few_ports,
                                     .last_peer = mt->mem->birthday,
                                     .last_host = past_host(mt->m, &to)};
    for (size_t i = 0; i < mt->n_hosts; i++) {
        b->attested =
            b->attested || (netaddr_same_ip(&mt->hosts[i].ip, &to) && mt->hosts[i].attested);
    }
    return true;
}

bool meet_birthday_may(const struct meeting *mt, tstamp now)
{
    struct meet_birthday_asks b;

    return asks(mt, &b) && meet_rule_birthday(&b, now);
}

uint32_t meet_birthday_packets(const struct meeting *mt)
{
    struct meet_birthday_asks b;

    return asks(mt, &b) ? meet_rule_probes(&b, meet_rule_hard(&mt->sides)) : 0;
}

void meet_birthday_begin(struct meeting *mt, tstamp now)
{
    struct meet *m = mt->m;
    struct netaddr to;

    if (!meet_birthday_may(mt, now) || !meet_birthday_target(mt, &to)) {
        return;
    }
    bool hard = meet_rule_hard(&mt->sides);
    mt->guess = (struct meet_guess){.on = true,
                                    .hard = hard,
                                    .to = to,
                                    .start = (uint16_t)rng_u32(&m->rng),
                                    .stride = (uint16_t)rng_u32(&m->rng),
                                    .n = hard ? (uint32_t)mt->n_socks : meet_birthday_packets(mt),
                                    .due = mt->start_at[0]};
    m->birthday = mt;
    mt->mem->birthday = now;
    m->past[m->past_next] = (struct meet_past_host){.host = netaddr_host(&to), .at = now};
    m->past_next = (m->past_next + 1) % MEET_PEERS_MAX;
}

void meet_birthday_send(struct meeting *mt, tstamp now, struct acts *out)
{
    struct meet_guess *g = &mt->guess;

    for (unsigned i = 0; i < MEET_BURST && g->on && g->due <= now; i++) {
        if (g->hard && mt->socks[g->next].local.family != 0) {
            meet_request_out(mt, (uint16_t)(g->next + 1), &g->to, MEET_ID_SOCKET | g->next, out);
        } else if (!g->hard) {
            struct netaddr to = g->to;
            to.port = meet_rule_probe(g->start, g->stride, g->next);
            meet_request_out(mt, 0, &to, MEET_ID_PROBE | g->next, out);
        }
        g->due = tstamp_after(g->due, MEET_PROBE_GAP);
        g->next++;
        g->on = g->next < g->n && mt->state == MEET_CHECKING;
    }
    if (g->on && g->due < now) {
        g->due = now; /* what was missed by a late wake is not made up for at once */
    }
}
