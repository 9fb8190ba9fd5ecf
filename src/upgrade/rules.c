/* rules.c - see rules.h. */
#include "upgrade/rules.h"

static const struct {
    const char *id;
    uint8_t props; /* what it proves whoever speaks it; TLS says itself what it proved */
    bool off;      /* spoken under PQ_OFF */
} protos[UPGRADE_PROTOS] = {
    [UPGRADE_TLS] = {"/tls/1.0.0", LINK_PQ_KEX | LINK_PQ_AUTH, true},
    [UPGRADE_NOISE_HYBRID] = {"/noise-mlkem768-hfs/0.1.0", LINK_PQ_KEX, false},
    [UPGRADE_NOISE] = {"/noise", 0, true},
};

const char *upgrade_proto_id(enum upgrade_proto p)
{
    return protos[p].id;
}

static bool fulfils(const struct upgrade_wish *w, enum upgrade_proto p)
{
    if (p == UPGRADE_TLS) {
        return true;
    }
    if (w->pq == PQ_REQUIRE || w->pinned || (w->pq == PQ_OFF && !protos[p].off)) {
        return false;
    }
    return (w->need & (LINK_PQ_KEX | LINK_PQ_AUTH) & ~protos[p].props) == 0;
}

size_t upgrade_rule_protos(const struct upgrade_wish *w, enum upgrade_proto out[UPGRADE_PROTOS])
{
    size_t n = 0;

    for (enum upgrade_proto p = 0; p < UPGRADE_PROTOS; p++) {
        if (fulfils(w, p)) {
            out[n++] = p;
        }
    }
    return n;
}

qudag_err upgrade_rule_admit(const struct upgrade_wish *w, uint8_t props, bool has_hash,
                             const char **text)
{
    uint8_t need = w->need & (LINK_PQ_KEX | LINK_PQ_AUTH);

    if (w->pq == PQ_REQUIRE) {
        need = LINK_PQ_KEX | LINK_PQ_AUTH;
    }
    if ((need & ~props & LINK_PQ_KEX) != 0) {
        *text = "key exchange is not post-quantum";
        return QUDAG_EPOLICY;
    }
    if ((need & ~props) != 0) {
        *text = "peer proved no ML-DSA key";
        return QUDAG_EPOLICY;
    }
    if (w->pinned && !has_hash) {
        *text = "peer did not prove the expected ML-DSA key";
        return QUDAG_EAUTH;
    }
    *text = NULL;
    return QUDAG_OK;
}

bool upgrade_rule_gives_way(const struct upgrade_rivals *r)
{
    bool most =
        r->holders > r->newcomers + 1; /* with one more they would take it from each other */
    bool slow = r->holders >= r->newcomers && r->age_ns >= UPGRADE_PATIENCE;

    return most || slow || (r->silent && r->age_ns >= UPGRADE_SILENCE);
}

enum upgrade_quiet upgrade_rule_quiet(tstamp asked, uint64_t bytes, tstamp now)
{
    if (asked == 0 || bytes > UPGRADE_QUIET_BYTES ||
        now < tstamp_after(asked, UPGRADE_QUIET_PING)) {
        return UPGRADE_QUIET_WAIT;
    }
    return now < tstamp_after(asked, UPGRADE_QUIET_AFTER) ? UPGRADE_QUIET_ASK : UPGRADE_QUIET_TELL;
}
