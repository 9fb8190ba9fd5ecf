/* contact.c - a peer: its addresses, measured round trip, reputation; distances between hashes. */
#include "core/kad/kad_int.h"

#include "base/assert.h"
#include "base/rd.h"
#include "base/wr.h"

#include <string.h>

#define RTT_MAX_US 60000000u

unsigned kad_cpl(const uint8_t a[SHA256_LEN], const uint8_t b[SHA256_LEN])
{
    for (unsigned i = 0; i < SHA256_LEN; i++) {
        unsigned x = (unsigned)(a[i] ^ b[i]), bit = 0;
        if (x == 0) {
            continue;
        }
        while ((x & 0x80u) == 0) {
            x <<= 1;
            bit++;
        }
        return i * 8 + bit;
    }
    return SHA256_LEN * 8;
}

int kad_dist_cmp(const uint8_t t[SHA256_LEN], const uint8_t a[SHA256_LEN],
                 const uint8_t b[SHA256_LEN])
{
    for (size_t i = 0; i < SHA256_LEN; i++) {
        if (a[i] != b[i]) {
            return (a[i] ^ t[i]) < (b[i] ^ t[i]) ? -1 : 1;
        }
    }
    return 0;
}

bool kad_addr_usable(const struct multiaddr *a, bool lab)
{
    struct netaddr n;

    if (a->len == 0) {
        return false;
    }
    if (lab || !multiaddr_to_netaddr(a, &n)) {
        return true;
    }
    return n.port != 0 && !netaddr_is_loopback(&n) && !netaddr_is_private(&n) &&
           !netaddr_is_unspecified(&n);
}

uint64_t kad_addr_group(const struct multiaddr *a)
{
    struct netaddr n;

    return multiaddr_to_netaddr(a, &n) ? netaddr_group(&n) : 0;
}

void kad_peer_set_addrs(struct kad_peer *p, const struct kad_peer_info *info, bool lab)
{
    struct kad_who *old = p->who, *w = kad_who_new(mem_owner(old), old->all, info, old->hash, lab);

    if (w == NULL) {
        return;
    }
    if (w->n_addrs == 0) {
        kad_who_unref(w);
        return;
    }
    p->who = w;
    p->hash = w->hash;
    kad_who_unref(old);
}

struct kad_peer *kad_peer_about(struct mem *mem, struct kad_who *who)
{
    struct kad_peer *p = who == NULL ? NULL : mem_alloc(mem, sizeof(*p));

    if (p == NULL) {
        if (who != NULL) {
            kad_who_unref(who);
        }
        return NULL;
    }
    p->refs = 1;
    p->who = who;
    p->hash = who->hash;
    return p;
}

struct kad_peer *kad_peer_new(struct mem *mem, const struct kad_peer_info *info,
                              const uint8_t hash[SHA256_LEN], bool lab)
{
    return kad_peer_about(mem, kad_who_new(mem, NULL, info, hash, lab));
}

struct kad_peer *kad_peer_ref(struct kad_peer *p)
{
    ASSERT(p->refs < UINT16_MAX); /* lookups and requests are bounded, and hold a few each */
    p->refs++;
    return p;
}

void kad_peer_unref(struct kad_peer *p)
{
    if (p == NULL) {
        return;
    }
    ASSERT(p->refs > 0);
    if (--p->refs == 0) {
        kad_who_unref(p->who);
        mem_free(mem_owner(p), p);
    }
}

void kad_peer_fill(struct kad_peer_info *out, const struct kad_peer *p)
{
    kad_who_fill(out, p->who);
}

size_t kad_peer_hints(uint8_t dst[KAD_HINTS_MAX], const struct kad_peer *p)
{
    size_t from = 2 + kad_peer_id(p).len;
    struct rd r = rd_init((struct slice){p->who->raw + from, p->who->raw_len - from});
    struct wr w = wr_init(dst, KAD_HINTS_MAX);

    while (r.left > 0) {
        (void)rd_u8(&r); /* the tag */
        wr_lp(&w, rd_lp(&r, MULTIADDR_MAX));
    }
    ASSERT(rd_ok(&r) && wr_ok(&w));
    return w.len;
}

/* RFC 6298, in microseconds. */
void kad_peer_rtt(struct kad_peer *p, tstamp rtt)
{
    uint64_t us = rtt / NS_PER_US;
    uint32_t r = us == 0 ? 1 : us > RTT_MAX_US ? RTT_MAX_US : (uint32_t)us;

    if (p->srtt_us == 0) {
        p->srtt_us = r;
        p->rttvar_us = r / 2;
        return;
    }
    uint32_t d = p->srtt_us > r ? p->srtt_us - r : r - p->srtt_us;
    p->rttvar_us = (3 * p->rttvar_us + d) / 4;
    p->srtt_us = (7 * p->srtt_us + r) / 8;
    if (p->srtt_us == 0) {
        p->srtt_us = 1;
    }
}

/* ---- reputation ---- */

#define SCORE_ONE 256
#define SCORE_MAX 100
#define SILENT_LEAST (-40)
#define RTT_HALF_MS 200 /* with it a peer weighs half of one without any delay */

static int16_t score_bound(int32_t v)
{
    int32_t most = SCORE_MAX * SCORE_ONE;

    return (int16_t)(v > most ? most : v < -most ? -most : v);
}

int16_t kad_score_later(int16_t score, uint64_t seconds)
{
    uint64_t halves = seconds / KAD_SCORE_HALF;
    int32_t rest = (int32_t)(seconds % KAD_SCORE_HALF), v = score;

    if (halves > 15) {
        return 0;
    }
    v /= INT32_C(1) << halves;
    return score_bound(v -
                       v * rest / (2 * KAD_SCORE_HALF)); /* straight from one half to the next */
}

int16_t kad_score_after(int16_t score, enum kad_deed deed)
{
    switch (deed) {
    case KAD_DEED_ANSWERED:
        return score_bound(score + 4 * SCORE_ONE);
    case KAD_DEED_SILENT:
        if (score <= SILENT_LEAST * SCORE_ONE) {
            return score;
        }
        score = score_bound(score - 10 * SCORE_ONE);
        return score < SILENT_LEAST * SCORE_ONE ? SILENT_LEAST * SCORE_ONE : score;
    case KAD_DEED_LIED:
        return score_bound((score < 0 ? score : 0) - 40 * SCORE_ONE); /* no credit to lie upon */
    }
    return score;
}

static int16_t score_now(const struct kad_peer *p, tstamp now)
{
    uint64_t s = now / NS_PER_S;

    return kad_score_later(p->score, s > p->scored_s ? s - p->scored_s : 0);
}

void kad_peer_deed(struct kad_peer *p, enum kad_deed deed, tstamp now)
{
    uint64_t s = now / NS_PER_S;

    p->score = kad_score_after(score_now(p, now), deed);
    p->scored_s = s > UINT32_MAX ? UINT32_MAX : (uint32_t)s;
}

int kad_peer_score(const struct kad_peer *p, tstamp now)
{
    return score_now(p, now) / SCORE_ONE;
}

bool kad_peer_refused(const struct kad_peer *p, tstamp now)
{
    return kad_peer_score(p, now) <= KAD_SCORE_REFUSED;
}

uint32_t kad_peer_weight(const struct kad_peer *p, tstamp now)
{
    uint32_t ms = p->srtt_us == 0 ? RTT_HALF_MS : p->srtt_us / 1000;
    uint32_t score = (uint32_t)(SCORE_MAX + kad_peer_score(p, now));

    return score * 1000 * RTT_HALF_MS / (RTT_HALF_MS + ms);
}
