/*
 * birthday.c - one router gives each destination another port, the other does not: many sockets of ours against many
 * ports of theirs (spec/meet.md 7).
 *
 *   hard side: 256 sockets, one request from each to the one address of the easy side      opens 256 ports
 *   easy side: requests to 1024 ports of the hard side's host, all different                hits one in 63 of 64 cases
 */
#include "base/map.h"
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

static struct meet_born *born_at(struct meet *m, struct slice what)
{
    return &m->born[siphash24(m->born_key[0], m->born_key[1], what) % MEET_BORN];
}

struct meet_born *meet_born_peer(struct meet *m, const struct peer_id *peer)
{
    return born_at(m, peer_id_slice(peer));
}

struct meet_born *meet_born_host(struct meet *m, const struct netaddr *host)
{
    uint64_t name = netaddr_host(host);

    return born_at(m, (struct slice){(const uint8_t *)&name, sizeof(name)});
}

static tstamp last_of(const struct meet_born *b, bool named)
{
    return named ? b->named : b->any;
}

static void had(struct meet_born *b, bool named, tstamp now)
{
    b->any = now;
    b->named = named ? now : b->named;
}

/* Whether another meeting has the one birthday, and keeps it. */
static bool is_kept(const struct meeting *mt, tstamp now)
{
    const struct meet *m = mt->m;
    struct meet_place holds = {.since = m->birthday_at};

    if (m->birthday == NULL || m->birthday == mt) {
        return false;
    }
    holds.named = m->birthday->own.named;
    return meet_rule_birthday_keeps(&holds, mt->own.named, now);
}

void meet_birthday_claim(struct meeting *mt, tstamp now)
{
    struct meet *m = mt->m;

    if (m->birthday == mt || is_kept(mt, now)) {
        return;
    }
    if (m->birthday != NULL) {
        m->birthday->guess.on = false; /* one at a time */
    }
    m->birthday = mt;
    m->birthday_at = now;
}

/* False: there is nowhere to send to. */
static bool asks(const struct meeting *mt, struct meet_birthday_asks *b, tstamp now)
{
    struct netaddr to;
    bool named = mt->own.named;

    if (!meet_birthday_target(mt, &to)) {
        return false;
    }
    *b = (struct meet_birthday_asks){.named = named,
                                     .busy = is_kept(mt, now),
                                     .few_ports = mt->own.few_ports,
                                     .last_peer = last_of(meet_born_peer(mt->m, &mt->peer), named),
                                     .last_host = last_of(meet_born_host(mt->m, &to), named)};
    for (size_t i = 0; i < mt->n_hosts; i++) {
        b->attested =
            b->attested || (netaddr_same_ip(&mt->hosts[i].ip, &to) && mt->hosts[i].attested);
    }
    return true;
}

bool meet_birthday_may(const struct meeting *mt, tstamp now)
{
    struct meet_birthday_asks b;

    return asks(mt, &b, now) && meet_rule_birthday(&b, now);
}

uint32_t meet_birthday_packets(const struct meeting *mt, tstamp now)
{
    struct meet_birthday_asks b;

    return asks(mt, &b, now) ? meet_rule_probes(&b, meet_rule_hard(&mt->sides)) : 0;
}

void meet_birthday_begin(struct meeting *mt, tstamp now)
{
    struct meet *m = mt->m;
    struct netaddr to;

    if (!meet_birthday_may(mt, now) || !meet_birthday_target(mt, &to)) {
        return;
    }
    bool hard = meet_rule_hard(&mt->sides);
    mt->guess =
        (struct meet_guess){.on = true,
                            .hard = hard,
                            .to = to,
                            .start = (uint16_t)rng_u32(&m->rng),
                            .stride = (uint16_t)rng_u32(&m->rng),
                            .n = hard ? (uint32_t)mt->n_socks : meet_birthday_packets(mt, now),
                            .due = mt->start_at[0]};
    meet_birthday_claim(mt, now);
    had(meet_born_peer(m, &mt->peer), mt->own.named, now);
    had(meet_born_host(m, &to), mt->own.named, now);
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
