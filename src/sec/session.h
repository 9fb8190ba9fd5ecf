/*
 * session.h - one TLS 1.3 handshake of a link, and what it proved.
 *
 *   sec_hs_start ... handshake runs in the transport ... peer certificate -> verdict -> sec_hs_stop
 */
#ifndef QUDAG_SRC_SEC_SESSION_H
#define QUDAG_SRC_SEC_SESSION_H

#include "base/list.h"
#include "sec/sec.h"

#include <openssl/ssl.h>

/* What this side insists on, beside the policy of the sec. */
struct sec_expect {
    bool has_peer, has_pq_hash;
    bool lax; /* another ML-DSA key is no reason to refuse: whoever asked for the link judges it */
    uint8_t need; /* LINK_PQ_KEX, LINK_PQ_AUTH: refuse a handshake without, even under PQ_PREFER */
    struct peer_id peer;
    uint8_t pq_hash[32];
};

struct sec_hs {
    struct list link; /* in struct sec while the handshake runs */
    struct sec *sec;
    SSL *ssl; /* owned until sec_hs_stop */
    struct sec_expect expect;
    /* ALPN: names one behind another in our order, each with its NUL, an empty one at the end; NULL: SEC_ALPN only. */
    const char *protos;
    bool proto_optional;  /* with |protos|: a peer that negotiates none is let in */
    tstamp now;           /* the transport keeps it current */
    bool knows_profile;   /* the peer knows the certificates of spec/link.md (profile.c) */
    bool verified;        /* |peer| is what the certificate proved */
    bool other_peer;      /* refused, for |peer| proved itself, but is not the one expected */
    qudag_err err;        /* why the peer was refused by us, or QUDAG_OK */
    const char *err_text; /* static */
    struct sec_peer peer;
    /* Dialling only, else NULL: before the handshake a remembered key, after it the proven one. */
    struct sec_known *known;
};

/* QUDAG_ENOMEM; then there is nothing to stop. */
QUDAG_MUST_USE qudag_err sec_hs_start(struct sec_hs *hs, struct sec *sec, bool server,
                                      const struct sec_expect *expect);

/*
 * Before the handshake, on the accepting side: the peer knows our ML-DSA identity key, so the
 * certificate need only name it (spec/link.md 2.6).  Without effect when we present no such one.
 */
void sec_hs_present_short(struct sec_hs *hs);

/* After the handshake: each side has proven an ML-DSA identity key to the other. */
bool sec_hs_pq_both(const struct sec_hs *hs);

/* After the handshake, on the accepting side: the client offered early data, of which nothing was taken. */
bool sec_hs_early_refused(const struct sec_hs *hs);

/* After the handshake: which of |protos| was agreed on, or NULL. */
const char *sec_hs_proto(const struct sec_hs *hs);

/* Frees the SSL object; harmless when there is none. */
void sec_hs_stop(struct sec_hs *hs);

/* Fills group, cipher, signatures, post-quantum hash, peer, props and until of |out|; after the handshake. */
void sec_hs_report(const struct sec_hs *hs, struct link_info *out);

/* Why a handshake failed: what we refused, else what the alert |alert| (ours or theirs) means. */
qudag_err sec_hs_why(const struct sec_hs *hs, uint8_t alert, bool by_peer, const char **text);

#endif
