/*
 * ct.h - what is run under valgrind to see that time does not depend on secrets.
 *
 * A secret is marked undefined; memcheck then reports each branch and each address that depends on it (the method of
 * A. Langley's ctgrind, and of TIMECOP).  What may be known of a secret is stated in declassified.supp, each with its
 * reason, or marked defined again by ct_public().
 */
#ifndef QUDAG_TESTS_CT_CT_H
#define QUDAG_TESTS_CT_CT_H

#include "crypto/kex.h"

struct ct_case {
    const char *name;
    void (*run)(void);
    bool leaks; /* it is there to be caught */
};

/* The |n| bytes at |p| are secret from now on; or anybody may know them. */
void ct_secret(void *p, size_t n);
void ct_public(void *p, size_t n);

/* A fixed stream of bytes, each of them secret. */
extern const struct rng ct_secret_rng;
/* The same, known to all. */
extern const struct rng ct_public_rng;

/*
 * Secret but for seeds of ML-KEM keys, of 64 bytes: rho, which is public, comes from the same seed, and is sampled from
 * by rejection.  What is drawn for encapsulations and X25519 is secret.
 */
extern const struct rng ct_mixed_rng;
/* Marks s and z of a decapsulation key that AWS-LC loaded secret. */
void ct_mlkem_secret(struct mlkem_key *k);

/* Ends the program with a message when |ok| is false: a case that does not do its work finds nothing. */
void ct_must(bool ok, const char *what);

/* Both end with a name of NULL. */
extern const struct ct_case ct_cases_crypto[];
extern const struct ct_case ct_cases_wire[];

#endif
