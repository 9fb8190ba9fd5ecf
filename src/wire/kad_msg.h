/*
 * kad_msg.h - the Kademlia message of libp2p (specs: kad-dht/README.md), bounded.
 *
 * A decoded message borrows key, value and peers from the input buffer.
 */
#ifndef QUDAG_SRC_WIRE_KAD_MSG_H
#define QUDAG_SRC_WIRE_KAD_MSG_H

#include "wire/dht_keys.h"
#include "wire/multiaddr.h"

#define KAD_MSG_MAX 16384                 /* bytes of a message; rust-libp2p refuses longer ones */
#define KAD_MSG_IN_MAX 65536              /* bytes we accept */
#define KAD_PEERS_MAX 40                  /* closer or provider peers kept of one message: 2 k */
#define KAD_ADDRS_MAX 4                   /* addresses kept of one peer */
#define KAD_KEY_MAX 128                   /* bytes */
#define KAD_VALUE_MAX DHT_DARK_RECORD_LEN /* bytes: no value is longer */
#define KAD_TIME_MAX 64                   /* bytes of the time a record was received */
#define KAD_DIGEST_LEN 32                 /* bytes: SHA-256 of a value */

enum kad_type {
    KAD_PUT_VALUE = 0,
    KAD_GET_VALUE = 1,
    KAD_ADD_PROVIDER = 2,
    KAD_GET_PROVIDERS = 3,
    KAD_FIND_NODE = 4,
    KAD_PING = 5,
};

struct kad_peer_info {
    struct peer_id id;
    uint8_t n_addrs;
    struct multiaddr addr[KAD_ADDRS_MAX];
};

/* Bytes of the longest Peer message made of a kad_peer_info. */
#define KAD_PEER_RAW_MAX (2 + PEER_ID_MAX + KAD_ADDRS_MAX * (3 + MULTIADDR_MAX))

/* A Peer message of sound form; what it says is not checked. */
struct kad_peer_raw {
    struct slice id, body; /* id lies in body */
};

struct kad_msg {
    enum kad_type type;
    struct slice key;
    bool has_record;
    struct slice rec_key, rec_value, rec_time; /* time: RFC 3339 text, may be empty */
    size_t n_closer, n_providers;
    struct kad_peer_info *closer; /* caller's array of KAD_PEERS_MAX, may be NULL when encoding 0 */
    struct kad_peer_info *providers; /* likewise */
    size_t n_raw;
    struct kad_peer_raw *raw; /* NULL, or an array of KAD_PEERS_MAX for closer peers as they are */
    /*
     * Our own field, which others skip: in a request present and empty ("I have a copy, tell me the digest
     * of yours"), in the answer KAD_DIGEST_LEN bytes instead of the record.
     */
    bool want_digest, has_digest;
    const uint8_t *digest; /* KAD_DIGEST_LEN bytes if has_digest */
};

/*
 * |in| is one message without its length prefix.  A missing type means PUT_VALUE (proto3 peers).
 * |m|->closer and ->providers point to arrays of KAD_PEERS_MAX before the call; peers beyond, with a
 * bad id, and addresses that cannot be used are dropped and counted in *dropped.  With |m|->raw closer
 * peers go there and n_closer stays 0.
 * QUDAG_EMALFORMED (also a digest of another length), QUDAG_EUNSUPPORTED (unknown type), QUDAG_ETOOBIG
 * (key, value, time or the whole over its limit).
 */
QUDAG_MUST_USE qudag_err kad_msg_decode(struct kad_msg *m, size_t *dropped, struct slice in);

/*
 * Length-prefixed encoding of at most |cap| bytes: keeps fewer addresses of each peer, then fewer
 * peers (the last ones go first), until it fits.  Raw peers follow the closer ones and are kept in any
 * case.  QUDAG_ETOOBIG when it cannot, QUDAG_EINVAL for
 * what kad_msg_decode() would refuse.
 */
QUDAG_MUST_USE qudag_err kad_msg_encode(uint8_t *dst, size_t cap, size_t *len,
                                        const struct kad_msg *m);

/* The form of one Peer message: false if malformed; id is empty if there is none. */
bool kad_peer_form(struct kad_peer_raw *out, struct slice in);
/* Into |out|; false for a bad id.  Addresses that cannot be used are left out and counted. */
bool kad_peer_read(struct kad_peer_info *out, size_t *dropped, const struct kad_peer_raw *raw);
/* The Peer message of |p| (id.len > 0); its length. */
size_t kad_peer_write(uint8_t dst[KAD_PEER_RAW_MAX], const struct kad_peer_info *p);

#endif
