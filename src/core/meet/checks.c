/*
 * checks.c - pairs of addresses, and the checks on them; see meet_int.h.
 *
 *   request   USERNAME, MESSAGE-INTEGRITY-SHA256 under the sender's key; transaction id: tag:4 | proof:4 | pair:4
 *   success   XOR-MAPPED-ADDRESS, MESSAGE-INTEGRITY-SHA256 under its sender's key
 *
 * The address that a packet with right integrity came from becomes a pair of its own, wherever that is.
 */
#include "core/meet/meet_int.h"

#include "base/assert.h"
#include "base/map.h"
#include "base/wipe.h"
#include "base/wr.h"
#include "crypto/hash.h"
#include "wire/stun.h"

#include <string.h>

/* ---- keys ---- */

static void one_way(uint8_t key[32], uint8_t user[MEET_USER_LEN], const uint8_t prk[32],
                    const struct peer_id *ends[2], char from)
{
    static const char digits[] = "0123456789abcdef";
    uint8_t info[16 + 2 * (PEER_ID_MAX + 1)], okm[32 + MEET_USER_LEN / 2];
    struct wr w = wr_init(info, sizeof(info));

    wr_bytes(&w, "from ", 5);
    wr_u8(&w, (uint8_t)from);
    wr_lp(&w, peer_id_slice(ends[0]));
    wr_lp(&w, peer_id_slice(ends[1]));
    ASSERT(wr_ok(&w));
    hkdf_sha256_expand(okm, sizeof(okm), prk, wr_done(&w));
    memcpy(key, okm, 32);
    for (size_t i = 0; i < MEET_USER_LEN / 2; i++) {
        user[2 * i] = (uint8_t)digits[okm[32 + i] >> 4];
        user[2 * i + 1] = (uint8_t)digits[okm[32 + i] & 15];
    }
    wipe(okm, sizeof(okm));
}

void meet_keys(struct meeting *mt)
{
    static const char salt[] = "qudag meet 1";
    uint8_t both[2 * MEET_SECRET], prk[32];
    const uint8_t *a = mt->initiator ? mt->ours : mt->theirs;
    const uint8_t *b = mt->initiator ? mt->theirs : mt->ours;
    const struct peer_id *ends[2] = {mt->initiator ? &mt->m->self : &mt->peer,
                                     mt->initiator ? &mt->peer : &mt->m->self};

    memcpy(both, a, MEET_SECRET);
    memcpy(both + MEET_SECRET, b, MEET_SECRET);
    hkdf_sha256_extract(prk, (struct slice){(const uint8_t *)salt, sizeof(salt) - 1},
                        (struct slice){both, sizeof(both)});
    one_way(mt->key_out, mt->user_out, prk, ends, mt->initiator ? 'A' : 'B');
    one_way(mt->key_in, mt->user_in, prk, ends, mt->initiator ? 'B' : 'A');
    rng_fill(&mt->m->rng, mt->tag, sizeof(mt->tag));
    mt->proof[0] = rng_u64(&mt->m->rng);
    mt->proof[1] = rng_u64(&mt->m->rng);
    mt->keyed = true;
    wipe(both, sizeof(both));
    wipe(prk, sizeof(prk));
    wipe(mt->ours, sizeof(mt->ours));
    wipe(mt->theirs, sizeof(mt->theirs));
}

/* ---- hosts ---- */

struct meet_host *meet_host_of(struct meeting *mt, const struct netaddr *ip)
{
    for (size_t i = 0; i < mt->n_hosts; i++) {
        if (netaddr_same_ip(&mt->hosts[i].ip, ip)) {
            return &mt->hosts[i];
        }
    }
    if (mt->n_hosts == MEET_HOSTS_MAX) {
        return NULL;
    }
    struct meet_host *h = &mt->hosts[mt->n_hosts++];
    *h = (struct meet_host){.ip = *ip};
    return h;
}

/* The counter of what went to |ip| without an answer. */
static uint16_t *silent_of(struct meet *m, const struct netaddr *ip)
{
    uint64_t host = netaddr_host(ip);
    const struct slice key = {(const uint8_t *)&host, sizeof(host)};

    return &m->silent[siphash24(m->silent_key[0], m->silent_key[1], key) % MEET_SILENT];
}

/* Whether one more packet may go there; it counts as sent then. */
static bool may_send(struct meeting *mt, const struct meet_check *c, tstamp now)
{
    struct meet_host *h = meet_host_of(mt, &c->to.addr);
    struct meet *m = mt->m;

    if (h == NULL) {
        return false;
    }
    if (h->attested) {
        return true;
    }
    if (m->silent_at == 0 || now - m->silent_at >= MEET_BIRTHDAY_PAUSE) {
        memset(m->silent, 0, sizeof(m->silent));
        m->silent_key[0] = rng_u64(&m->rng);
        m->silent_key[1] = rng_u64(&m->rng);
        m->silent_at = now;
    }
    uint16_t *silent = silent_of(m, &c->to.addr);
    struct meet_sent sent = {.host_round = h->sent,
                             .all = mt->unanswered,
                             .silent = *silent,
                             .triggered = mt->triggered,
                             .heard = c->heard,
                             .named = mt->own.named};
    if (!meet_rule_unanswered(&sent)) {
        return false;
    }
    *(meet_rule_triggered(&sent) ? &mt->triggered : &mt->unanswered) += 1;
    h->sent++;
    h->sent_all++;
    *silent = (uint16_t)(*silent + 1);
    return true;
}

/* ---- pairs ---- */

static struct meet_check *pair_find(struct meeting *mt, uint16_t sock, const struct netaddr *to)
{
    for (size_t i = 0; i < mt->n_pairs; i++) {
        if (mt->pairs[i].sock == sock && netaddr_eq(&mt->pairs[i].to.addr, to)) {
            return &mt->pairs[i];
        }
    }
    return NULL;
}

static struct meet_check *pair_new(struct meeting *mt, uint16_t sock,
                                   const struct meet_candidate *to, tstamp due)
{
    if (mt->n_pairs == MEET_PAIRS_MAX) {
        return NULL;
    }
    struct meet_check *c = &mt->pairs[mt->n_pairs++];
    *c = (struct meet_check){.to = *to, .sock = sock, .due = due};
    return c;
}

/* The first of theirs of that kind of use: what a socket of ours sends to when they tell nothing for it. */
static bool is_outside(const struct meet_candidate *c)
{
    return c->set == 0 && (c->kind == MEET_MAPPED || c->kind == MEET_OBSERVED);
}

static void pairs_of_new(struct meeting *mt)
{
    for (; mt->n_cand_paired < mt->n_cand; mt->n_cand_paired++) {
        const struct meet_candidate *c = &mt->cand[mt->n_cand_paired];
        bool of_set = mt->round == MEET_FRESH_PORT && c->set > 0 && c->set <= mt->n_socks &&
                      mt->socks[c->set - 1].local.family == c->addr.family;
        uint16_t sock = of_set ? c->set : 0;
        if (meet_rule_address(&c->addr, &mt->own) && pair_find(mt, sock, &c->addr) == NULL) {
            (void)pair_new(mt, sock, c, mt->start_at[c->set]);
        }
    }
}

/* The socket number |sock| of ours, towards where they are seen. */
static void pairs_of_sock(struct meeting *mt, uint16_t sock)
{
    for (size_t i = 0; i < mt->n_pairs; i++) {
        if (mt->pairs[i].sock == sock) {
            return;
        }
    }
    for (size_t i = 0; i < mt->n_cand; i++) {
        const struct meet_candidate *c = &mt->cand[i];
        if (is_outside(c) && c->addr.family == mt->socks[sock - 1].local.family &&
            meet_rule_address(&c->addr, &mt->own) && pair_find(mt, sock, &c->addr) == NULL) {
            (void)pair_new(mt, sock, c, mt->start_at[sock < 3 ? sock : 0]);
        }
    }
}

void meet_pairs_add(struct meeting *mt)
{
    pairs_of_new(mt);
    for (size_t s = 1; mt->round != MEET_BIRTHDAY && s <= mt->n_socks; s++) {
        if (mt->socks[s - 1].local.family != 0) {
            pairs_of_sock(mt, (uint16_t)s);
        }
    }
}

void meet_round_begin(struct meeting *mt)
{
    for (size_t i = 0; i < mt->n_pairs; i++) {
        struct meet_check *c = &mt->pairs[i];
        c->sent = c->heard && !c->dead ? 0 : MEET_CHECKS;
    }
    for (size_t i = 0; i < mt->n_hosts; i++) {
        mt->hosts[i].sent = 0;
    }
}

/* ---- out ---- */

static const struct netaddr *sock_local(const struct meeting *mt, uint16_t sock)
{
    static const struct netaddr listened = {.family = 0};

    return sock == 0 ? &listened : &mt->socks[sock - 1].local;
}

static void packet_out(struct meeting *mt, uint16_t sock, const struct netaddr *to,
                       const struct stun_msg *msg, struct acts *out)
{
    struct meet_packet p = {.local = *sock_local(mt, sock), .to = *to};

    p.len = stun_write(p.bytes, sizeof(p.bytes), msg, (struct slice){mt->key_out, 32});
    ASSERT(p.len > 0);
    struct act *a = acts_up_copy(out, MEET_UP_SEND, &p, sizeof(p));
    if (a != NULL) {
        a->peer = mt->peer;
        mt->mem->look.sent++;
        mt->m->stats.sent++;
    }
}

/* What a request to |to| has in its transaction id, that no request to another address has. */
static void proof_of(const struct meeting *mt, const struct netaddr *to,
                     uint8_t proof[MEET_PROOF_LEN])
{
    uint8_t bytes[1 + sizeof(to->ip) + 2] = {to->family};
    size_t len = to->family == 4 ? 4 : sizeof(to->ip);

    memcpy(bytes + 1, to->ip, len);
    bytes[1 + sizeof(to->ip)] = (uint8_t)(to->port >> 8);
    bytes[2 + sizeof(to->ip)] = (uint8_t)to->port;
    uint64_t mac = siphash24(mt->proof[0], mt->proof[1], (struct slice){bytes, sizeof(bytes)});
    memcpy(proof, &mac, MEET_PROOF_LEN);
}

void meet_request_out(struct meeting *mt, uint16_t sock, const struct netaddr *to, uint32_t number,
                      struct acts *out)
{
    struct stun_msg msg = {.class = STUN_REQUEST,
                           .username = {mt->user_out, sizeof(mt->user_out)},
                           .integrity = STUN_SHA256};
    struct wr w = wr_init(msg.id, sizeof(msg.id));
    uint8_t proof[MEET_PROOF_LEN];

    proof_of(mt, to, proof);
    wr_bytes(&w, mt->tag, sizeof(mt->tag));
    wr_bytes(&w, proof, sizeof(proof));
    wr_u32(&w, number);
    packet_out(mt, sock, to, &msg, out);
}

static bool is_live(const struct meeting *mt, const struct meet_check *c)
{
    unsigned most = c->heard ? MEET_CHECKS_ALL : MEET_CHECKS;

    return !c->dead && c->sent < most && c->sent_all < MEET_CHECKS_ALL &&
           (c->sock == 0 || mt->socks[c->sock - 1].local.family != 0);
}

/* The next to be sent; NULL: none is due. */
static struct meet_check *pair_due(struct meeting *mt, tstamp now)
{
    struct meet_check *best = NULL;
    unsigned best_order = 0;

    for (size_t i = 0; i < mt->n_pairs; i++) {
        struct meet_check *c = &mt->pairs[i];
        if (c->due > now || !is_live(mt, c)) {
            continue;
        }
        unsigned order = c->sent * 32u + meet_rule_order(&c->to) + (c->pressing ? 0 : 4096);
        if (best == NULL || order < best_order) {
            best = c;
            best_order = order;
        }
    }
    return best;
}

static void pair_send(struct meeting *mt, struct meet_check *c, tstamp now, struct acts *out)
{
    uint64_t gap = c->valid ? MEET_KEEP_GAP : meet_rule_gap(c->sent);

    c->pressing = false;
    c->sent++;
    c->due = tstamp_after(now, gap);
    if (!may_send(mt, c, now)) {
        c->sent = MEET_CHECKS; /* its host has had its share in this round */
        return;
    }
    c->sent_all++;
    meet_request_out(mt, c->sock, &c->to.addr, (uint32_t)(c - mt->pairs), out);
}

static bool checks(const struct meeting *mt)
{
    return mt->keyed && (mt->state == MEET_CHECKING || mt->state == MEET_DIALLING ||
                         mt->state == MEET_GATHERING || mt->state == MEET_WAITING);
}

void meet_checks_send(struct meeting *mt, tstamp now, struct acts *out)
{
    struct meet_check *c;

    if (!checks(mt)) {
        return;
    }
    while (mt->pace <= now && (c = pair_due(mt, now)) != NULL) {
        uint64_t saved = (MEET_AT_ONCE - 1) * MEET_TA;
        mt->pace = (now > saved && mt->pace < now - saved ? now - saved : mt->pace) + MEET_TA;
        pair_send(mt, c, now, out);
    }
}

tstamp meet_checks_due(const struct meeting *mt)
{
    tstamp at = TSTAMP_NEVER;

    for (size_t i = 0; checks(mt) && i < mt->n_pairs; i++) {
        if (is_live(mt, &mt->pairs[i])) {
            at = tstamp_min(at, mt->pairs[i].due);
        }
    }
    return at == TSTAMP_NEVER || at > mt->pace ? at : mt->pace;
}

/* ---- in ---- */

/* The number of our socket, 0: listened on; false: not one of this meeting. */
static bool sock_of(const struct meeting *mt, const struct netaddr *local, uint16_t *sock)
{
    *sock = 0;
    if (local->family == 0) {
        return true;
    }
    for (size_t i = 0; i < mt->n_socks; i++) {
        if (mt->socks[i].local.family == local->family && mt->socks[i].local.port == local->port) {
            *sock = (uint16_t)(i + 1);
            return true;
        }
    }
    return false;
}

/* A right answer came from |from|: what went there before is no longer counted. */
static void attest(struct meeting *mt, const struct netaddr *from)
{
    struct meet_host *h = meet_host_of(mt, from);

    if (h != NULL && !h->attested) {
        uint16_t *silent = silent_of(mt->m, from);
        *silent = *silent > h->sent_all ? (uint16_t)(*silent - h->sent_all) : 0;
        h->attested = true;
    }
}

static void answer_out(struct meeting *mt, uint16_t sock, const struct netaddr *to,
                       const uint8_t *id, struct acts *out)
{
    struct stun_msg msg = {.class = STUN_SUCCESS, .mapped = *to, .integrity = STUN_SHA256};

    if (mt->answers < MEET_ANSWERS_MAX) {
        mt->answers++;
        memcpy(msg.id, id, sizeof(msg.id));
        packet_out(mt, sock, to, &msg, out);
    }
}

/* B: the peer may come by that pair, once it has found it. */
static void expect(struct meeting *mt, const struct meet_check *c, struct acts *out)
{
    if (!mt->initiator && c->sock > 0) {
        struct meet_pair pair = {.local = *sock_local(mt, c->sock), .remote = c->to.addr};
        struct act *a = acts_up_copy(out, MEET_UP_EXPECT, &pair, sizeof(pair));
        if (a != NULL) {
            a->peer = mt->peer;
        }
    }
}

/* The pair of what came, made if it is none yet. */
static struct meet_check *pair_heard(struct meeting *mt, uint16_t sock, const struct netaddr *from,
                                     tstamp now, struct acts *out)
{
    struct meet_check *c = pair_find(mt, sock, from);

    if (c == NULL && mt->n_reflexive < MEET_REFLEXIVE_MAX) {
        struct meet_candidate to = {.addr = *from, .kind = MEET_PEER_REFLEXIVE};
        c = pair_new(mt, sock, &to, now);
        mt->n_reflexive += c != NULL ? 1 : 0;
    }
    if (c != NULL) {
        if (!c->heard) {
            expect(mt, c, out);
        }
        c->heard = true;
    }
    return c;
}

void meet_request_in(struct meeting *mt, const struct meet_pair *at, const uint8_t *id, tstamp now,
                     struct acts *out)
{
    uint16_t sock;

    if (!sock_of(mt, &at->local, &sock) || mt->state == MEET_ASKING) {
        return;
    }
    mt->mem->look.received++;
    mt->m->stats.received++;
    struct meet_check *c = pair_heard(mt, sock, &at->remote, now, out);
    answer_out(mt, sock, &at->remote, id, out);
    if (c != NULL && !c->valid && !c->pressing && c->sent_all < MEET_CHECKS_ALL) {
        c->pressing = true; /* a triggered check: RFC 8445 7.3.1.4 */
        c->due = now;
        mt->pace = tstamp_min(mt->pace, now);
    }
}

bool meet_answer_in(struct meeting *mt, const struct meet_pair *at, const uint8_t *id, tstamp now,
                    size_t *ix, struct acts *out)
{
    uint32_t number =
        (uint32_t)id[8] << 24 | (uint32_t)id[9] << 16 | (uint32_t)id[10] << 8 | id[11];
    struct meet_check *c = NULL;
    uint8_t proof[MEET_PROOF_LEN];
    uint16_t sock;

    proof_of(mt, &at->remote, proof);
    if (!sock_of(mt, &at->local, &sock) || memcmp(id + MEET_TAG_LEN, proof, sizeof(proof)) != 0) {
        return false; /* RFC 8445 7.2.5.2.1: from elsewhere than it went to */
    }
    mt->mem->look.received++;
    mt->m->stats.received++;
    if (number < mt->n_pairs) {
        c = &mt->pairs[number];
        if (c->sock != sock || !netaddr_eq(&c->to.addr, &at->remote)) {
            return false; /* by another of our sockets */
        }
        c->heard = true;
    } else if (mt->guess.n > 0 && netaddr_same_ip(&mt->guess.to, &at->remote)) {
        c = pair_heard(mt, sock, &at->remote, now, out); /* a guess was right */
    }
    if (c != NULL) {
        attest(mt, &at->remote);
    }
    if (c != NULL && !c->dead) {
        if (!c->valid) {
            expect(mt, c, out);
        }
        c->valid = true;
        c->due = tstamp_after(now, MEET_KEEP_GAP);
        *ix = (size_t)(c - mt->pairs);
        return true;
    }
    return false;
}
