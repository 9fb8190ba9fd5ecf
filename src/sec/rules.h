/*
 * rules.h - decisions about certificates on which safety rests, as pure functions.
 *
 * Nothing here has state or a clock; rules_test.c holds the tables of what is accepted and what is refused.
 */
#ifndef QUDAG_SRC_SEC_RULES_H
#define QUDAG_SRC_SEC_RULES_H

#include "base/types.h"

#define SEC_CERT_LIFE_MAX_S                                                                        \
    (26 * 3600)             /* between the two dates of a certificate, spec/link.md 3.9 */
#define SEC_CERT_SKEW_S 600 /* seconds clocks may differ */

/* The two dates of a certificate, seconds. */
struct sec_validity {
    walltime begin, end;
};

/*
 * Whether a certificate with these dates may be taken at |now|.  QUDAG_ECLOCK: not valid yet, so one of two clocks is
 * wrong.  QUDAG_EEXPIRED.  QUDAG_ETOOBIG: |identity|, that is, an ML-DSA identity key has signed it, and it is
 * valid for so long that one use of that key would stand for it for good.
 */
QUDAG_MUST_USE qudag_err sec_rule_validity(const struct sec_validity *v, bool identity,
                                           walltime now);

/*
 * How many seconds from |now| a link may live that was made with our certificate, which is valid until |own_end|, and
 * one of the peer, until |peer_end|: to the end of the one that ends first.  The peer's clock may be ahead of ours,
 * so that its certificate gets the tolerance it was accepted with; never below 0.
 */
int64_t sec_rule_link_life(walltime own_end, walltime peer_end, walltime now);

/*
 * Whether a TLS group, by the TLS library's name, is post-quantum: a hybrid one, whose secret stays one while either
 * half does.  ML-KEM alone does not count; NULL is no group.
 */
bool sec_rule_group(const char *name);

#endif
