/*
 * sec.h - TLS contexts for links: libp2p certificates, post-quantum certificates, policy.
 *
 * Specs: libp2p tls/tls.md; spec/link.md for the certificate between QuDAG nodes.
 */
#ifndef QUDAG_SRC_SEC_SEC_H
#define QUDAG_SRC_SEC_SEC_H

#include "core/link.h"
#include "crypto/identity.h"

enum pq_policy {
    PQ_REQUIRE, /* hybrid group and ML-DSA certificate on both sides, or no link */
    PQ_PREFER,  /* post-quantum where the peer can, else plain libp2p */
    PQ_OFF,     /* plain libp2p only (interop tests) */
};

enum sec_cipher { SEC_CIPHER_AUTO, SEC_CIPHER_CHACHA20, SEC_CIPHER_AES256 };

struct sec_config {
    struct mem *mem;
    const struct rng *rng;
    const struct identity *identity; /* outlives the sec */
    enum pq_policy pq;
    uint16_t level; /* 768 (default; X25519MLKEM768) or 1024 (SecP384r1MLKEM1024) */
    bool
        channel; /* no links, but channels of programs: the level may also be 512 (X25519MLKEM512) */
    enum sec_cipher cipher;
    struct wallclock clock;
};

/* What the verified certificate of a peer says. */
struct sec_peer {
    struct peer_id id;
    bool has_pq; /* the second extension was there and verified */
    uint8_t pq_hash[32];
    char sig[16]; /* kind of the certificate key */
    walltime valid_until;
};

/* The ML-DSA identity key of a peer, remembered from a link on which it was proven. */
struct sec_known {
    bool has;
    uint8_t pq_pk[MLDSA65_PK_LEN];
};

struct sec;

/*
 * Contexts and certificates for the policy of |cfg|; free them with sec_free().  What |cfg| points to must
 * outlive them.
 */
QUDAG_MUST_USE qudag_err sec_new(struct sec **out, const struct sec_config *cfg);

/* Frees contexts, certificates and their keys (NULL allowed); no handshake may be under way. */
void sec_free(struct sec *s);

/*
 * Makes new certificate keys; to be called at sec_renew_at(), half way through the 24 h life of the
 * old ones.  On failure those stay in use and sec_renew_at() is a minute later.
 */
QUDAG_MUST_USE qudag_err sec_renew(struct sec *s, tstamp now);

/*
 * Certificates from now on are of |identity|, which outlives the sec: the same Ed25519 key with another ML-DSA key.
 * Handshakes under way end with the one that they began with.  On failure nothing has changed.
 */
QUDAG_MUST_USE qudag_err sec_set_identity(struct sec *s, const struct identity *identity,
                                          tstamp now);

/* When sec_renew() is due. */
tstamp sec_renew_at(const struct sec *s);

/* The calendar is another from now on; certificates made before stay as they are: sec_renew(). */
void sec_set_clock(struct sec *s, struct wallclock clock);

/*
 * Checks one DER certificate of either form as tls.md and spec/link.md demand: validity (600 s of skew),
 * extensions, signatures.  QUDAG_EMALFORMED, EAUTH, EEXPIRED, ECLOCK (not valid yet), EPOLICY (require, and no
 * valid second extension), ETOOBIG (with the second extension, and valid for more than 26 hours).
 *
 * The short form is checked with the key in |known| (NULL: there is none), which afterwards holds the key that
 * was proven, or none; untouched on error.  QUDAG_ENOTFOUND for a short form whose key is not the known one.
 *
 * A pure function of its inputs, fuzzed: cert_check(), which handshakes call, and the parser before it.
 */
QUDAG_MUST_USE qudag_err sec_check_cert(struct sec_peer *out, struct slice der, enum pq_policy pq,
                                        walltime now, struct sec_known *known);

/* The hash of our own ML-DSA identity key, 32 bytes; NULL when the policy leaves it unused. */
const uint8_t *sec_own_pq_hash(const struct sec *s);

#endif
