/* identify_msg.h - the Identify message (specs: identify/README.md), bounded. */
#ifndef QUDAG_SRC_WIRE_IDENTIFY_MSG_H
#define QUDAG_SRC_WIRE_IDENTIFY_MSG_H

#include "wire/peer_record.h"

#define IDENTIFY_MSG_MAX 4096 /* bytes we send in one message */
#define IDENTIFY_IN_MAX 8192  /* bytes we accept in one message */
#define IDENTIFY_PROTOS_MAX 32
#define IDENTIFY_ADDRS_MAX 16
#define IDENTIFY_TEXT_MAX 96

struct identify_msg {
    uint8_t
        key_proto[64]; /* encoded PublicKey when it fits, else key_len is 0 and peer holds its id */
    uint8_t key_len;
    bool has_peer;
    struct peer_id peer;        /* of the public key in the message */
    bool has_addrs, has_protos; /* a list was given, though perhaps none of it can be used */
    uint8_t n_addrs, n_protos;
    struct multiaddr addr[IDENTIFY_ADDRS_MAX];
    char proto[IDENTIFY_PROTOS_MAX][IDENTIFY_TEXT_MAX];
    bool has_observed;
    struct multiaddr observed;
    char protocol_version[IDENTIFY_TEXT_MAX]; /* empty: not given, as below */
    char agent_version[IDENTIFY_TEXT_MAX];
    uint16_t record_len; /* of the signed peer record; 0: none, or over PEER_RECORD_MAX */
    uint8_t record[PEER_RECORD_MAX];
};

/*
 * Merges |in|, one message without its length prefix, into |m| (start from a zeroed one): lists grow,
 * single fields are replaced.  Addresses we cannot use, texts that are too long or not printable,
 * and what exceeds a count are dropped.  |m| is unchanged on error: QUDAG_EMALFORMED, QUDAG_ETOOBIG,
 * QUDAG_EUNSUPPORTED (key type).
 */
QUDAG_MUST_USE qudag_err identify_msg_merge(struct identify_msg *m, struct slice in);

/* Length-prefixed encoding of at most |cap| bytes.  QUDAG_ETOOBIG. */
QUDAG_MUST_USE qudag_err identify_msg_encode(uint8_t *dst, size_t cap, size_t *len,
                                             const struct identify_msg *m);

#endif
