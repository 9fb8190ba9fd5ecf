/* peer.h - peers: ids, addresses, links, ping. */
#ifndef QUDAG_PEER_H
#define QUDAG_PEER_H

#include <qudag/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* base58 or CID text.  QUDAG_EMALFORMED. */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_peer_id_parse(qudag_peer_id *out, const char *text);
QUDAG_API void qudag_peer_id_text(const qudag_peer_id *id, char dst[QUDAG_PEER_ID_TEXT_MAX]);

/* Where |peer| may be reached.  QUDAG_EMALFORMED, QUDAG_EUNSUPPORTED. */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_peer_add_addr(qudag_node *n, const qudag_peer_id *peer,
                                                       const char *multiaddr);

/* Dials a multiaddr (with or without /p2p/ID and #HASH).  Ends in op_done. */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_connect(qudag_node *n, const char *multiaddr,
                                                 qudag_op *op);

/* Closes the links with |peer|, and with them their streams (QUDAG_ECANCELED); peer_changed follows.
 * QUDAG_OK without a link too.  What needs the peer later dials it anew. */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_disconnect(qudag_node *n, const qudag_peer_id *peer);

/* One round trip of the libp2p ping protocol, dialling if needed; result: rtt. */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_ping(qudag_node *n, const qudag_peer_id *peer,
                                              qudag_op *op);
QUDAG_API void qudag_op_cancel(qudag_node *n, qudag_op op); /* op_done follows: QUDAG_ECANCELED */

typedef enum qudag_pin { QUDAG_PIN_NONE, QUDAG_PIN_FIRST_USE, QUDAG_PIN_KNOWN } qudag_pin;

/* One link. */
typedef struct qudag_link_info {
    qudag_peer_id peer;
    char remote[72]; /* "1.2.3.4:5" */
    char group[28];  /* key exchange that was negotiated: "X25519MLKEM768" */
    char cipher[32];
    char sig_local[16];  /* what we proved ourselves with: "mldsa65" */
    char sig_remote[16]; /* what the peer proved itself with */
    bool inbound;
    bool pq_kex, pq_auth; /* post-quantum key exchange; authentication */
    qudag_pin pin; /* whether the peer's ML-DSA key was known before, or pinned on first use */
    qudag_ns since, rtt, handshake;
    uint64_t bytes_in, bytes_out;
    uint32_t streams;
} qudag_link_info;
QUDAG_API bool qudag_link_next(const qudag_node *n, size_t *it, qudag_link_info *out);

/* What identify told about a peer: agent and protocols; QUDAG_ENOTFOUND before it did. */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_peer_agent(const qudag_node *n, const qudag_peer_id *peer,
                                                    char *agent, size_t agent_len, char *protocols,
                                                    size_t protocols_len);

#ifdef __cplusplus
}
#endif
#endif
