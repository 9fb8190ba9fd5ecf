/* peer.h - peers: ids, addresses, links, ping. */
#ifndef QUDAG_PEER_H
#define QUDAG_PEER_H

#include <qudag/identity.h>
#include <qudag/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How long the text of a peer id is, for messages. */
#define QUDAG_PEER_ID_FORM                                                                         \
    "a peer id has 52 characters (12D3Koo...), 53 (16Uiu2...) or 46 (Qm...), or is a CID"
/* Parses a peer id as base58 or CID text.  QUDAG_EMALFORMED (also: no key can have that id), QUDAG_EINVAL. */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_peer_id_parse(qudag_peer_id *out, const char *text);
/* Writes |id| as base58 text; "" if it is none. */
QUDAG_API void qudag_peer_id_text(const qudag_peer_id *id, char dst[QUDAG_PEER_ID_TEXT_MAX]);

/* What a multiaddr is to be used for. */
typedef enum qudag_addr_use {
    QUDAG_ADDR_DIAL,      /* /p2p/ID and #HASH may be absent */
    QUDAG_ADDR_LISTEN,    /* port 0 takes any free one; no #HASH */
    QUDAG_ADDR_BOOTSTRAP, /* with /p2p/ID */
} qudag_addr_use;

/* A multiaddr taken apart. */
typedef struct qudag_multiaddr {
    uint32_t size; /* set by the caller, see types.h */
    uint16_t port;
    uint8_t family; /* 4 or 6: IP version */
    bool pinned;    /* #HASH was there: |pq_hash| */
    uint8_t ip[16]; /* family 4: the first 4 bytes; network order */
    qudag_peer_id peer;
    uint8_t pq_hash[QUDAG_PQ_HASH_LEN];
    bool tcp; /* /tcp/PORT, else /udp/PORT/quic-v1 */
    uint8_t pad[2];
} qudag_multiaddr;

/*
 * Parses "/ip4/1.2.3.4/udp/4001/quic-v1[/p2p/ID[#HEX64]]", or with "tcp/4001", and checks it for |use|; needs no
 * node.  |out| may be NULL.  On failure |why| (may be NULL) gets a sentence that begins with the address:
 * QUDAG_EMALFORMED, QUDAG_EUNSUPPORTED (a transport or name this version cannot use), QUDAG_EINVAL (not fit
 * for |use|; or out->size).
 */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_multiaddr_parse(qudag_multiaddr *out, const char *text,
                                                         qudag_addr_use use, char *why,
                                                         size_t why_len);

/* Adds an address at which |peer| may be reached.  QUDAG_EMALFORMED, QUDAG_EUNSUPPORTED, QUDAG_EINVAL. */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_peer_add_addr(qudag_node *n, const qudag_peer_id *peer,
                                                       const char *multiaddr);

/*
 * Dials a multiaddr (with or without /p2p/ID and #HASH); names in it (/dns4, /dns6, /dns, /dnsaddr) are asked for, and
 * what they lead to is dialled in turn until somebody answers.  At once: QUDAG_EINVAL, QUDAG_EMALFORMED,
 * QUDAG_EUNSUPPORTED, QUDAG_ELIMIT.  op_done: QUDAG_EUNREACHABLE, QUDAG_ETIMEOUT, QUDAG_EAUTH (another peer
 * answered, which result.peers names; or the right one proved another key: result.text says which of them differs),
 * QUDAG_EPOLICY, QUDAG_ELIMIT, QUDAG_ENOTFOUND (a name: result.text says what of it).  #HASH counts for this dial:
 * nothing is pinned before the peer has proven that key.
 */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_connect(qudag_node *n, const char *multiaddr,
                                                 qudag_op *op);

/*
 * Closes the links with |peer|, and with them their streams (QUDAG_ECANCELED); peer_changed follows.
 * QUDAG_OK without a link too.  Whatever needs the peer later dials it again.
 */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_disconnect(qudag_node *n, const qudag_peer_id *peer);

/* One round trip of the libp2p ping protocol, dialling if needed; result: rtt. */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_ping(qudag_node *n, const qudag_peer_id *peer,
                                              qudag_op *op);
/*
 * A pointer of the program for a pending request; op_done finds it in result.user.  op_done never comes before
 * the call that made the request has returned.  QUDAG_ESTALE, QUDAG_EINVAL.
 */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_op_set_user(qudag_node *n, qudag_op op, void *user);
/* Cancels a request; op_done follows with QUDAG_ECANCELED.  Nothing happens if it ended before. */
QUDAG_API void qudag_op_cancel(qudag_node *n, qudag_op op);

/* Whether the peer's ML-DSA key is pinned: not, on first use, or known from a signed record or by the program. */
typedef enum qudag_pin { QUDAG_PIN_NONE, QUDAG_PIN_FIRST_USE, QUDAG_PIN_KNOWN } qudag_pin;

/*
 * What a link goes through:
 *
 *   dial ─▶ CONNECTING ─ an answer ─▶ HANDSHAKING ─▶ UP ─▶ CLOSING ─▶ DOWN
 *               └──────────────────────────┴─ it failed ───────────────▲
 *   the peer dialled ─▶ UP
 *
 * CLOSING: it carries nothing any more, and its streams end.  HANDSHAKING is left out where it takes no time.
 */
typedef enum qudag_link_state {
    QUDAG_LINK_CONNECTING = 1,
    QUDAG_LINK_HANDSHAKING,
    QUDAG_LINK_UP,
    QUDAG_LINK_CLOSING,
    QUDAG_LINK_DOWN,
} qudag_link_state;

/* Why a link ended, and by whom. */
typedef enum qudag_link_why {
    QUDAG_WHY_NONE,
    QUDAG_WHY_OUR_LIMIT,
    QUDAG_WHY_THEIR_LIMIT,
    QUDAG_WHY_TIMEOUT,  /* nothing came for too long, or the handshake took too long */
    QUDAG_WHY_AUTH,     /* another peer, another key, or a certificate that is not valid */
    QUDAG_WHY_POLICY,   /* not post-quantum enough for one of the two */
    QUDAG_WHY_NETWORK,  /* the address cannot be reached */
    QUDAG_WHY_PROTOCOL, /* the two do not understand each other */
    QUDAG_WHY_HERE,     /* this node wanted it no more */
    QUDAG_WHY_PEER,     /* the peer wanted it no more */
    QUDAG_WHY_RESET,    /* the peer does not know it any more: it was restarted */
} qudag_link_why;
/* A word for it: "our-limit", "timeout"; never NULL, static. */
QUDAG_API const char *qudag_link_why_name(qudag_link_why why);

/* A step of one link. */
typedef struct qudag_link_event {
    uint32_t size; /* of this structure in the library */
    qudag_link_state state;
    uint64_t link;         /* a number of its own, never used again */
    qudag_link_why why;    /* CLOSING, DOWN */
    qudag_err err;         /* likewise */
    const char *transport; /* "quic", "tcp" */
    const char *text;      /* "", or more about its end, for people */
    const char *remote;    /* "1.2.3.4:5"; "": not known */
    bool inbound;          /* the peer dialled */
    qudag_peer_id peer;    /* len 0: a dial to whoever answers */
    uint8_t pad[2];
} qudag_link_event;

/* What the peer of a link is to this node, or who dialled: it decides which places for links are its. */
typedef enum qudag_standing {
    QUDAG_STANDING_STRANGER,  /* it dialled us */
    QUDAG_STANDING_NAMED,     /* we dialled it, because others named it: the DHT, a circuit */
    QUDAG_STANDING_CHOSEN,    /* we dialled it of our own choice */
    QUDAG_STANDING_NEAR,      /* in our DHT table, among the closest to us */
    QUDAG_STANDING_BOOTSTRAP, /* one of the bootstrap peers */
    QUDAG_STANDING_GUARD,     /* the entry guard in use */
    QUDAG_STANDING_PROTECTED, /* the program protects it */
} qudag_standing;
/* "stranger", "near": for people; static; "" for none of them. */
QUDAG_API const char *qudag_standing_name(qudag_standing standing);

/* One link. */
typedef struct qudag_link_info {
    uint32_t size; /* set by the caller, see types.h */
    qudag_pin pin;
    qudag_ns since;     /* its age */
    qudag_ns rtt;       /* smoothed round-trip time */
    qudag_ns handshake; /* duration of the handshake */
    uint64_t bytes_in, bytes_out;
    uint32_t streams;
    char remote[72];      /* "1.2.3.4:5" */
    char group[28];       /* key exchange that was negotiated: "X25519MLKEM768" */
    char cipher[32];      /* "TLS_AES_256_GCM_SHA384" */
    char sig_local[16];   /* what we proved our identity with: "mldsa65" */
    char sig_remote[16];  /* what the peer proved its identity with */
    bool inbound;         /* the peer dialled */
    bool pq_kex, pq_auth; /* post-quantum key exchange; authentication */
    qudag_peer_id peer;
    qudag_link_state state; /* CONNECTING and HANDSHAKING: a dial, of which little else is known */
    char transport[12];     /* "quic", "tcp" */
    int32_t
        value; /* to this node, in points; above links_high the lowest go first, see qudag_peer_protect() */
    qudag_standing standing;
    char security
        [32]; /* protocol that secures it: "tls", over byte streams also "noise"; "": a dial */
    uint32_t
        key_changes; /* number of the last statement by which its pin followed it to another key; 0: none */
    bool relayed;        /* a circuit relay passes it on; |remote| is then the relay's address */
    bool limited;        /* ... and ends it after some bytes or time */
    qudag_peer_id relay; /* that relay; len 0: none */
    uint8_t pad[5];
} qudag_link_info;
/* The links of this node and its dials, one after the other in no order; false at the end.  *it starts at 0. */
QUDAG_API bool qudag_link_next(const qudag_node *n, size_t *it, qudag_link_info *out);

/*
 * Which links go first.  Above the setting links_high, links are closed down to links_low, those of the lowest value
 * first; and when all places for strangers are taken, one of little value is closed for a newcomer.  Never one whose
 * peer is protected, nor one with a request under way, nor (above links_high) one that is younger than links_grace.
 * The value is a sum: what the peer is to this node (qudag_standing), cells of circuits that it carries, the weights of
 * its tags, how much it was used, its age.  A peer that is closed so hears that a limit was reached.
 *
 * Tags and protections are names of 1 to 31 printable ASCII characters without spaces, and last until they are taken
 * away or the node ends.  A peer need not be linked or known.  The protection "keep" is that of qudag_peer_keep().
 * QUDAG_EINVAL; QUDAG_ELIMIT: 16 names of a peer, 1024 peers; QUDAG_ENOMEM.
 */
/* No link with |peer| is trimmed, nor closed for being idle, until every protection of it is taken away. */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_peer_protect(qudag_node *n, const qudag_peer_id *peer,
                                                      const char *tag);
/* QUDAG_ENOTFOUND: there is no such protection. */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_peer_unprotect(qudag_node *n, const qudag_peer_id *peer,
                                                        const char *tag);
#define QUDAG_TAG_WEIGHT_MAX 1000
/* Adds |weight|, -1000 to 1000, to the value of links with |peer|, instead of what |tag| added before. */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_peer_tag(qudag_node *n, const qudag_peer_id *peer,
                                                  const char *tag, int32_t weight);
/* QUDAG_ENOTFOUND: there is no such tag. */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_peer_untag(qudag_node *n, const qudag_peer_id *peer,
                                                    const char *tag);
/* One name that the program gave |peer|. */
typedef struct qudag_peer_tag_info {
    uint32_t size;  /* set by the caller, see types.h */
    int32_t weight; /* 0 without a tag */
    char name[32];
    bool weighs, protects; /* it is a tag; a protection; or both */
    uint8_t pad[2];
} qudag_peer_tag_info;
/* The names of |peer|; *it starts at 0; false at the end. */
QUDAG_API bool qudag_peer_tag_next(const qudag_node *n, const qudag_peer_id *peer, size_t *it,
                                   qudag_peer_tag_info *out);

/*
 * What |peer| said about itself through identify: its agent string and its protocols, separated by spaces, cut
 * to the room given.  QUDAG_ENOTFOUND before it did.
 */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_peer_agent(const qudag_node *n, const qudag_peer_id *peer,
                                                    char *agent, size_t agent_len, char *protocols,
                                                    size_t protocols_len);

#ifdef __cplusplus
}
#endif
#endif
