/* rules.c - decisions about certificates on which safety rests; see rules.h. */
#include "sec/rules.h"

#include <string.h>

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

/* draft-ietf-tls-ecdhe-mlkem; the first is of our own (spec/channel.md), and offered in channels only. */
bool sec_rule_group(const char *name)
{
    static const char *const hybrid[] = {"X25519MLKEM512", "X25519MLKEM768", "SecP256r1MLKEM768",
                                         "SecP384r1MLKEM1024"};

    for (size_t i = 0; name != NULL && i < ARRAY_LEN(hybrid); i++) {
        if (strcmp(name, hybrid[i]) == 0) {
            return true;
        }
    }
    return false;
}
