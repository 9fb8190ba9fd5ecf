/* hidden.h - what records of the kind hidden say: relays that introduce callers to a service (spec/dark.md 3, 4). */
#ifndef QUDAG_SRC_CORE_DARK_HIDDEN_H
#define QUDAG_SRC_CORE_DARK_HIDDEN_H

#include "core/core.h"
#include "crypto/kex.h"
#include "wire/onion_hop.h"

#define DARK_INTROS_MAX 3 /* introduction points that a record names */

/* A relay that introduces callers to a hidden service. */
struct dark_intro {
    struct peer_id relay;
    uint8_t pq_hash[32]; /* of its ML-DSA identity key */
    uint8_t key_id[8];   /* of its onion keys, which follow: onion_key_id() */
    uint8_t x[X25519_LEN];
    uint8_t k[MLKEM768_EK_LEN];
    uint8_t key[32]; /* introduction key: what the relay knows the service by */
};

/* The work that a hidden service asks of callers. */
struct dark_pow {
    uint32_t effort; /* 0: none is asked for, and the rest is zero */
    uint8_t seed[32];
    walltime expires; /* of the seed */
};

/* How a hidden service is reached. */
struct dark_hidden {
    uint8_t
        key_id[8]; /* of the service's handshake keys, which follow; those of this record only */
    uint8_t x[X25519_LEN];
    uint8_t k[MLKEM768_EK_LEN];
    struct dark_pow pow;
    uint8_t n_intros; /* 1 .. DARK_INTROS_MAX */
    struct dark_intro intro[DARK_INTROS_MAX];
};

/* --- clients ----------------------------------------------------------------------------------- */

#define DARK_LABEL_MAX 32
#define DARK_CLIENTS_MAX 48 /* of one address; each record has an entry for so many */
#define DARK_CLIENT_SECRET_LEN 32
#define DARK_CLIENT_TEXT_MAX 57 /* a secret and a checksum in base32, NUL */

/* Somebody who may call; secret. */
struct dark_client {
    char name[DARK_LABEL_MAX + 1]; /* for the owner only */
    uint8_t secret[DARK_CLIENT_SECRET_LEN];
};

/* Who may call an address of kind hidden. */
struct dark_clients {
    bool only; /* these clients; else anybody who has the address, and there are none */
    uint32_t n;
    struct dark_client client[DARK_CLIENTS_MAX];
};

/* --- publishing -------------------------------------------------------------------------------- */

#define DARK_KEYS_MAX                                                                              \
    4 /* periods whose handshake keys there may be: the one before, this one, the next */
#define DARK_OLD_MAX 16 /* points that only records made before name */

/* The handshake keys that records of one period name. */
struct dark_period_keys {
    uint64_t period;
    uint8_t x[X25519_LEN];
    uint8_t k[MLKEM768_EK_LEN];
};

/*
 * What the records of a hidden service are to say from now on.  All name the same points; each the keys of the period
 * that it is made for, and none is made for a period whose keys are missing: that round fails with ENOTFOUND, and is
 * repeated.
 */
struct dark_service {
    struct dark_intro intro[DARK_INTROS_MAX]; /* key_id does not count */
    uint32_t n_intros;                        /* 1 .. DARK_INTROS_MAX */
    struct dark_period_keys keys[DARK_KEYS_MAX];
    uint32_t n_keys; /* 1 .. DARK_KEYS_MAX */
    struct dark_pow pow;
    uint8_t old[DARK_OLD_MAX]
               [32]; /* introduction keys not in |intro| that still stand: replaced in their time */
    uint32_t n_old;
};

#endif
