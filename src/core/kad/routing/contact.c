/* contact.c - a contact: its addresses, measured round trip, conduct. */
#include "core/kad/routing/contact.h"

#include "base/assert.h"
#include "base/rd.h"
#include "base/wr.h"

#include <string.h>

#define RTT_MAX_US 60000000u

void kad_contact_set_addrs(struct kad_contact *p, const struct kad_peer_info *info, bool lab)
{
    struct kad_addrinfo *old = p->info,
                        *w = kad_addrinfo_new(mem_owner(old), old->pool, info, old->hash, lab);

    if (w == NULL) {
        return;
    }
    if (w->n_addrs == 0) {
        kad_addrinfo_unref(w);
        return;
    }
    p->info = w;
    p->hash = w->hash;
    kad_addrinfo_unref(old);
}

struct kad_contact *kad_contact_of(struct mem *mem, struct kad_addrinfo *info)
{
    struct kad_contact *p = info == NULL ? NULL : mem_alloc(mem, sizeof(*p));

    if (p == NULL) {
        if (info != NULL) {
            kad_addrinfo_unref(info);
        }
        return NULL;
    }
    p->refs = 1;
    p->info = info;
    p->hash = info->hash;
    return p;
}

struct kad_contact *kad_contact_new(struct mem *mem, const struct kad_peer_info *info,
                                    const uint8_t hash[SHA256_LEN], bool lab)
{
    return kad_contact_of(mem, kad_addrinfo_new(mem, NULL, info, hash, lab));
}

struct kad_contact *kad_contact_ref(struct kad_contact *p)
{
    ASSERT(p->refs < UINT16_MAX); /* lookups and requests are bounded, and hold a few each */
    p->refs++;
    return p;
}

void kad_contact_unref(struct kad_contact *p)
{
    if (p == NULL) {
        return;
    }
    ASSERT(p->refs > 0);
    if (--p->refs == 0) {
        kad_addrinfo_unref(p->info);
        mem_free(mem_owner(p), p);
    }
}

void kad_contact_decode(struct kad_peer_info *out, const struct kad_contact *p)
{
    kad_addrinfo_decode(out, p->info);
}

size_t kad_contact_hints(uint8_t dst[KAD_HINTS_MAX], const struct kad_contact *p)
{
    size_t from = 2 + kad_contact_id(p).len;
    struct rd r = rd_init((struct slice){p->info->raw + from, p->info->raw_len - from});
    struct wr w = wr_init(dst, KAD_HINTS_MAX);

    while (r.left > 0) {
        (void)rd_u8(&r); /* the tag */
        wr_lp(&w, rd_lp(&r, MULTIADDR_MAX));
    }
    ASSERT(rd_ok(&r) && wr_ok(&w));
    return w.len;
}

/* RFC 6298, in microseconds. */
void kad_contact_rtt(struct kad_contact *p, tstamp rtt)
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

int16_t kad_score_after(int16_t score, enum kad_conduct conduct)
{
    switch (conduct) {
    case KAD_CONDUCT_ANSWERED:
        return score_bound(score + 4 * SCORE_ONE);
    case KAD_CONDUCT_SILENT:
        if (score <= SILENT_LEAST * SCORE_ONE) {
            return score;
        }
        score = score_bound(score - 10 * SCORE_ONE);
        return score < SILENT_LEAST * SCORE_ONE ? SILENT_LEAST * SCORE_ONE : score;
    case KAD_CONDUCT_MISBEHAVED:
        return score_bound((score < 0 ? score : 0) -
                           40 * SCORE_ONE); /* no credit to misbehave upon */
    }
    return score;
}

static int16_t score_now(const struct kad_contact *p, tstamp now)
{
    uint64_t s = now / NS_PER_S;

    return kad_score_later(p->score, s > p->scored_s ? s - p->scored_s : 0);
}

void kad_contact_report(struct kad_contact *p, enum kad_conduct conduct, tstamp now)
{
    uint64_t s = now / NS_PER_S;

    p->score = kad_score_after(score_now(p, now), conduct);
    p->scored_s = s > UINT32_MAX ? UINT32_MAX : (uint32_t)s;
}

int kad_contact_score(const struct kad_contact *p, tstamp now)
{
    return score_now(p, now) / SCORE_ONE;
}

uint32_t kad_contact_weight(const struct kad_contact *p, tstamp now)
{
    uint32_t ms = p->srtt_us == 0 ? RTT_HALF_MS : p->srtt_us / 1000;
    uint32_t score = (uint32_t)(SCORE_MAX + kad_contact_score(p, now));

    return score * 1000 * RTT_HALF_MS / (RTT_HALF_MS + ms);
}
