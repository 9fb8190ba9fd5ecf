/* rules.c - decisions about certificates on which safety rests; see rules.h. */
#include "sec/rules.h"

qudag_err sec_rule_validity(const struct sec_validity *v, bool identity, walltime now)
{
    if (v->begin > now + SEC_CERT_SKEW_S) {
        return QUDAG_ECLOCK;
    }
    if (v->end <= now - SEC_CERT_SKEW_S) {
        return QUDAG_EEXPIRED;
    }
    return identity && v->end - v->begin > SEC_CERT_LIFE_MAX_S ? QUDAG_ETOOBIG : QUDAG_OK;
}

int64_t sec_rule_link_life(walltime own_end, walltime peer_end, walltime now)
{
    int64_t own = own_end - now, peers = peer_end + SEC_CERT_SKEW_S - now;
    int64_t life = own < peers ? own : peers;

    return life > 0 ? life : 0;
}
