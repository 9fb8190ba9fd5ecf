/*
 * birthday.c - one router gives each destination another port, the other does not: many sockets of ours against many
 * ports of theirs (spec/meet.md 7).
 *
 *   hard side: 384 sockets, requests from each to the one address of the easy side     opens 384 ports; the second one
 *              finds the way in where a probe that would have hit was lost
 *   easy side: requests to 1024 ports of the hard side's host, all different           hits one in 399 of 400 cases
 *
 * A carrier's router may have few ports for a home.  After each 48 of them one more socket is asked about: no answer,
 * and no more are used, nor is a birthday begun again until the network changes, or for an hour.
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

/* Until the first birthday all places are free, whatever the key: a node that meets nobody draws none. */
static void key_once(struct meet *m)
{
    if (m->born_key[0] == 0) {
        m->born_key[0] = rng_u64(&m->rng) | 1;
        m->born_key[1] = rng_u64(&m->rng);
    }
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
                                     .few_ports = now < mt->m->few_until,
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

static uint32_t packets(const struct meeting *mt, tstamp now)
{
    struct meet_birthday_asks b;

    return asks(mt, &b, now) ? meet_rule_probes(&b, meet_rule_hard(&mt->sides)) : 0;
}

size_t meet_birthday_sockets(const struct meeting *mt, tstamp now)
{
    uint32_t n = packets(mt, now);

    return n < MEET_SOCKETS ? n : MEET_SOCKETS;
}

void meet_birthday_begin(struct meeting *mt, tstamp now)
{
    struct meet *m = mt->m;
    struct netaddr to;

    if (!meet_birthday_may(mt, now) || !meet_birthday_target(mt, &to)) {
        return;
    }
    struct meet_guess *g = &mt->guess;
    uint32_t first = g->first, socks = (uint32_t)mt->n_socks - first, n = packets(mt, now);
    bool hard = meet_rule_hard(&mt->sides);

    *g = (struct meet_guess){.on = true,
                             .hard = hard,
                             .to = to,
                             .start = (uint16_t)rng_u32(&m->rng),
                             .stride = (uint16_t)rng_u32(&m->rng),
                             .n = hard && n > 2 * socks ? 2 * socks : n,
                             .due = mt->start_at[0],
                             .first = first,
                             .socks = socks};
    meet_birthday_claim(mt, now);
    key_once(m);
    had(meet_born_peer(m, &mt->peer), mt->own.named, now);
    had(meet_born_host(m, &to), mt->own.named, now);
}

/* ---- whether there are ports ---- */

/* One more socket, and a question where others see it. */
static void port_ask(struct meeting *mt, tstamp now, struct acts *out)
{
    struct meet_guess *g = &mt->guess;

    if (mt->n_socks == MEET_SOCKETS_MAX) {
        return;
    }
    mt->socks[mt->n_socks] = (struct meet_sock){.asked = true};
    struct act *a = acts_up(out, MEET_UP_SOCKET);
    a->peer = mt->peer;
    a->cookie = mt->cookie << 16 | mt->n_socks++;
    a->n = 1;
    g->test = (uint32_t)mt->n_socks;
    g->test_n = g->next;
    g->test_limit = tstamp_after(now, MEET_PORTS_WAIT);
}

/* Nothing more is sent: what was may still be found. */
static void ports_few(struct meeting *mt, tstamp now)
{
    struct meet_guess *g = &mt->guess;

    g->few = true;
    g->test = 0;
    g->n = g->next;
    mt->m->few_until = tstamp_after(now, MEET_LONG_WHILE);
}

bool meet_birthday_port(struct meeting *mt, size_t ix, qudag_err err, const struct meet_pair *at,
                        tstamp now, struct acts *out)
{
    struct meet_guess *g = &mt->guess;

    if (g->test == 0 || g->test != ix + 1) {
        return false;
    }
    mt->socks[ix].asked = false;
    g->test = 0;
    if (err == QUDAG_ETIMEOUT) {
        ports_few(mt, now);
    } else if (err == QUDAG_OK && at->remote.family != 0) {
        g->proven = g->test_n;
    } else {
        g->proven = g->socks; /* nothing can be asked here */
    }
    g->due = tstamp_min(g->due, now);
    if (err == QUDAG_OK || err == QUDAG_ETIMEOUT) {
        struct act *a = acts_up_copy(out, MEET_UP_CLOSE, &at->local, sizeof(at->local));
        if (a != NULL) {
            a->peer = mt->peer;
        }
    }
    return true;
}

/* Whether the next socket of the first turn has to wait for an answer. */
static bool is_held(struct meeting *mt, tstamp now, struct acts *out)
{
    struct meet_guess *g = &mt->guess;

    if (g->test != 0 && now >= g->test_limit) {
        ports_few(mt, now);
    }
    if (g->few || g->next >= g->socks) {
        return false;
    }
    if (g->test == 0 && g->proven < g->socks && g->next >= g->test_n + MEET_PORTS_STEP) {
        port_ask(mt, now, out);
    }
    if (g->test != 0 && g->next >= meet_rule_ports(g->proven)) {
        g->due = g->test_limit;
        return true;
    }
    return false;
}

/* ---- packets ---- */

static void hard_send(struct meeting *mt, struct acts *out)
{
    struct meet_guess *g = &mt->guess;
    uint32_t ix = g->first + g->next % g->socks;

    if (mt->socks[ix].local.family != 0) {
        meet_request_out(mt, (uint16_t)(ix + 1), &g->to, MEET_ID_SOCKET | g->next, out);
    }
}

static void easy_send(struct meeting *mt, struct acts *out)
{
    struct meet_guess *g = &mt->guess;
    struct netaddr to = g->to;

    to.port = meet_rule_probe(g->start, g->stride, g->next);
    meet_request_out(mt, 0, &to, MEET_ID_PROBE | g->next, out);
}

void meet_birthday_send(struct meeting *mt, tstamp now, struct acts *out)
{
    struct meet_guess *g = &mt->guess;

    for (unsigned i = 0; i < MEET_BURST && g->on && g->due <= now; i++) {
        if (g->hard && is_held(mt, now, out)) {
            return;
        }
        g->on = g->next < g->n && mt->state == MEET_CHECKING;
        if (!g->on) {
            return;
        }
        bool again =
            g->hard && g->next >= g->socks; /* slower: to the end of the easy side's probes */
        if (g->hard) {
            hard_send(mt, out);
        } else {
            easy_send(mt, out);
        }
        g->due = tstamp_after(g->due, again ? 2 * MEET_PROBE_GAP : MEET_PROBE_GAP);
        g->next++;
    }
    if (g->on && g->due < now) {
        g->due = now; /* what was missed by a late wake is not made up for at once */
    }
}
