/* auth.h - whose ML-DSA key is demanded of a peer, and which of two did not match. */
#ifndef QUDAG_SRC_NODE_AUTH_H
#define QUDAG_SRC_NODE_AUTH_H

#include <stdbool.h>
#include <stdint.h>

#define NODE_AUTH_HASH_LEN 32

/* Where the hash of a peer's ML-DSA key was learnt. */
enum node_pin_source {
    NODE_PIN_OPERATOR,   /* the configuration */
    NODE_PIN_DESCRIPTOR, /* a relay descriptor that node_rule_fetched() accepted */
    NODE_PIN_HEARSAY,    /* what other peers say: identify, DHT answers, contacts of the last run */
};
/* What a hash is worth. */
enum node_pin {
    NODE_PIN_IGNORED,
    NODE_PIN_TOLD, /* demanded while nothing proves it, but neither saved nor against what the operator writes next */
    NODE_PIN_HOLDS, /* demanded of the peer from now on, and saved */
};
/* What a hash from |source| is worth: the operator may have mistyped it, others may lie. */
enum node_pin node_rule_pin(enum node_pin_source source);

/* Which of two keys it was that did not match. */
enum node_auth {
    NODE_AUTH_PEER,         /* another peer answered than the address names */
    NODE_AUTH_NAMED,        /* the key of the peer is not the one that #HASH in the address names */
    NODE_AUTH_NAMED_PROVEN, /* #HASH is not the key that the peer proved before, or its record named */
    NODE_AUTH_PROVEN, /* the key of the peer is not the one that it proved before, or its record named */
    NODE_AUTH_EXPECTED, /* it is not one that another #HASH of the operator named; or none was proven at all */
};

struct node_auth_view {
    bool other;            /* somebody else answered */
    const uint8_t *named;  /* #HASH of the address; NULL: none */
    const uint8_t *proven; /* the hash known by then; NULL: none */
};
/* Why a dial ended with QUDAG_EAUTH. */
enum node_auth node_rule_auth(const struct node_auth_view *v);

#endif
