/*
 * conn.h - the objects of an endpoint: connections, streams, queued events, address tokens.
 *
 * A connection lives   HANDSHAKE -> UP -> LINGER -> freed
 * where LINGER keeps only the ids, the last packet and the LINK_DOWN not pulled yet.
 */
#ifndef QUDAG_SRC_QUIC_CONN_H
#define QUDAG_SRC_QUIC_CONN_H

#include "base/assert.h"
#include "base/heap.h"
#include "base/limiter.h"
#include "base/list.h"
#include "base/map.h"
#include "base/slots.h"
#include "core/load/load.h"
#include "core/resources/resources.h"
#include "quic/gate.h"
#include "quic/quic.h"
#include "quic/retry.h"
#include "quic/shape.h"
#include "quic/silence.h"
#include "quic/stall.h"
#include "sec/session.h"

#include <netinet/in.h>
#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>
#include <ngtcp2/ngtcp2_crypto_ossl.h>
#include <sys/socket.h>

#define CID_LEN 8        /* bytes of the ids we issue */
#define CIDS_PER_CONN 24 /* ids of ours alive at once: at most 8, and retiring ones */
#define CHUNK_BIG 16384  /* bytes of a send chunk on a busy stream */
#define CHUNK_SMALL 512  /* and on a quiet one */
#define CHUNK_YOUNG 8192 /* bytes a stream may have written to get no big one */
#define CHUNKS_SPARE 64  /* big chunks kept for reuse */
#define CHUNK_KEPT_MIN                                                                             \
    2048                /* bytes below which a copy is cheaper than a chunk that refers to them */
#define OUTBOX_MAX 1024 /* stateless answers waiting: more than are asked for in a turn */
#define OUTBOX_DATA_MAX 256    /* bytes of one */
#define LINGER_MAX 256         /* closed connections remembered */
#define TOKEN_MAX 256          /* bytes of an address token we keep */
#define TOKENS_MAX 512         /* servers whose token and key we keep */
#define TOKEN_NAME_LEN 16      /* bytes of our key's hash inside a token we give */
#define SPENT_MAX 16384        /* used tokens remembered in each of two generations */
#define QUIC_CLOSE_LOAD 0x1002 /* libp2p: resource limit exceeded */
#define EV_BLOCK 65536         /* bytes of an event data block */

/* A copy of sockaddr_in or sockaddr_in6, aligned for both. */
struct quic_sockaddr {
    union {
        struct sockaddr sa;
        struct sockaddr_in in4;
        struct sockaddr_in6 in6;
    } u;
    socklen_t len;
};

/* Bytes queued on a stream, kept until acknowledged; they never move. */
struct quic_chunk {
    struct quic_chunk *next;
    uint64_t off; /* stream offset of base[0] */
    uint32_t len, cap;
    const uint8_t *base; /* |data|, or what |kept| keeps */
    struct buf *kept;    /* NULL: the bytes are in |data| */
    uint8_t data[];
};

struct quic_stream {
    struct list node; /* in conn->ready while there is something to write; or quic->zombies */
    struct list sent; /* in quic->sent while |sent_n| is to be reported */
    struct quic_stream *next_in_bucket;
    struct quic_conn *conn;
    int64_t id;
    uint64_t user;
    struct quic_chunk *head, *tail; /* head: oldest not acknowledged */
    struct quic_chunk *cur;         /* holds |sent_off|, or NULL when all is sent */
    uint64_t end_off;               /* bytes ever queued */
    uint64_t sent_off;              /* bytes packetized */
    uint64_t sent_n;                /* bytes packetized and not reported */
    uint64_t unit_off;              /* where units begin */
    uint64_t unconsumed;            /* bytes delivered and not consumed */
    uint64_t acked_off;             /* bytes acknowledged, without gaps */
    uint64_t queued, waiting;       /* bytes of the account: RES_BYTES, RES_RECEIVED */
    uint16_t unit; /* bytes of one, which a packet ends with; 0: a stream of bytes */
    bool fin_queued, fin_sent, stopped; /* stopped: the peer wants no more of our bytes */
    bool rx_done;                       /* its FIN or RESET was reported */
    bool dead;                          /* reset by us or reported reset: silent until it closes */
    bool blocked;                       /* in conn->blocked: out of the peer's stream credit */
    bool closed;                        /* ngtcp2 has forgotten it; in quic->zombies */
};

enum quic_conn_state { QUIC_CONN_HANDSHAKE, QUIC_CONN_UP, QUIC_CONN_LINGER };

struct quic_conn {
    struct quic *q;
    struct ref ref;
    enum quic_conn_state state;
    bool server;
    bool announced;   /* the owner knows this link: it dialled it, or LINK_UP was reported */
    bool down_unread; /* LINK_DOWN waits in quic->downs */
    bool local_fixed; /* the dialler named the local address */
    bool close_wanted, streams_blocked, completed, confirmed, was_reset;
    uint32_t streams_over; /* of the peer, ended and not given back yet */
    uint32_t streams_left; /* the peer may open before it needs more credit */
    bool proven;           /* it came with a token: its address is no forgery */
    bool muted;            /* closed by the owner: no event but LINK_DOWN */
    bool expired;          /* lingered long enough */
    ngtcp2_conn *ng;
    ngtcp2_crypto_ossl_ctx *ossl;
    ngtcp2_crypto_conn_ref conn_ref;
    struct sec_hs hs;
    struct link_info info;
    struct netaddr remote, local;
    struct netaddr seen_local; /* where the last datagram came in */
    struct netaddr first_remote;
    struct res_account account; /* the handshake, if the peer began it; then bytes of the peer's */
    struct list dirty;          /* in quic->dirty while there may be something to send */
    struct list suspect;        /* in quic->suspects: said to be unreachable */
    tstamp suspect_due;
    uint64_t accepted;         /* packets of the peer so far */
    uint64_t suspect_accepted; /* |accepted| when it was said */
    struct list silent;        /* in quic->asked or quic->silent: something waits for an answer */
    struct quic_silence_view silence;
    struct quic_stall_view stall;
    bool probed;            /* for that, or as a witness: until it is heard */
    tstamp outstanding;     /* since when something is, and nothing came; 0: nothing is (quiet.c) */
    bool quiet;             /* LINK_QUIET was told */
    bool celled;            /* it has carried cells */
    uint8_t kept;           /* times in a row that the peer spoke first after a silence */
    tstamp traffic_at;      /* when a packet went or came that counts */
    struct list down;       /* in quic->downs or quic->linger */
    struct list streams_ok; /* in quic->streams_ok */
    struct heap_node timer;
    struct load_account sealed; /* of that, what the peer can be blamed for */
    struct load_account load;   /* what the peer made us do for nothing */
    uint64_t net;               /* netaddr_group() of the peer */
    uint64_t useful; /* bytes of streams that the datagram being read brought or acknowledges */
    uint32_t streams_new; /* and streams that it opens */
    uint32_t unanswered;  /* datagrams read since something was written (ack.c) */
    tstamp hs_deadline, started;
    tstamp paced;    /* when the pace has caught up with what was sent */
    bool held;       /* and until then streams wait */
    tstamp rekey_at; /* when this side asks for new traffic keys, unless the peer did before */
    struct transport_padding padding;
    uint64_t alive;      /* its keep-alive period, ns */
    tstamp quiet_at;     /* when it was drawn last how long nothing is said */
    struct list ready;   /* struct quic_stream with something to write */
    struct list blocked; /* and those that wait for credit */
    struct quic_stream **buckets;
    uint32_t buckets_n, streams_n;
    uint8_t cids[CIDS_PER_CONN][CID_LEN];
    uint32_t cids_n;
    uint8_t resets[CIDS_PER_CONN][16];
    uint32_t resets_n;
    uint8_t odcid[20]; /* the id the client chose, mapped to us while it may still use it */
    uint8_t odcid_len;
    ngtcp2_ccerr close_err;
    qudag_err why;
    const char *why_text;
    uint8_t *last_pkt; /* CONNECTION_CLOSE, repeated while lingering */
    uint16_t last_len;
    uint32_t linger_in; /* datagrams seen while lingering */
    bool last_due;      /* last_pkt is to be sent */
};

struct quic_ev_block {
    struct buf lent; /* ours is one holder; who keeps received bytes is another */
    struct quic_ev_block *next;
    size_t len, cap;
    uint8_t data[];
};

/* Events in order; data in blocks that never move; both reused once everything was pulled. */
struct quic_evq {
    struct link_ev *v;
    size_t n, cap, read;
    struct quic_ev_block *blocks, *last;
};

struct quic_outgram {
    struct list node;
    struct netaddr remote, local;
    uint16_t len;
    uint8_t data[OUTBOX_DATA_MAX];
};

struct quic_token_entry {
    struct list node;       /* oldest first */
    uint8_t key[32];        /* hash of address and peer id */
    struct sec_known known; /* what the server proved when it gave the token */
    uint16_t len;           /* 0: no token came yet */
    uint8_t data[TOKEN_MAX];
};

struct quic {
    struct quic_config cfg;
    struct mem *mem;
    ngtcp2_mem ng_mem;
    tstamp now;
    struct slots conns;
    struct map cids;           /* connection id -> struct quic_conn */
    struct quic_conn *last;    /* what was found last, NULL: nothing that is still there ... */
    uint8_t last_cid[CID_LEN]; /* ... under which id */
    struct map resets;         /* stateless reset token of the peer -> struct quic_conn */
    struct heap timers;
    uint64_t plain_keepalive[2]; /* IPv4, IPv6 */
    struct list asked,
        silent;       /* links that were not heard yet; and those probed for it: silence.c */
    tstamp heard;     /* when a link was heard last */
    uint32_t witness; /* where to look for the next */
    struct list dirty, suspects, downs, linger, streams_ok, sent, zombies;
    uint32_t linger_n;
    struct quic_evq evq;
    struct list outbox;
    uint32_t outbox_n;
    bool answer_next; /* the next to leave is a stateless answer, if there is one */
    struct list tokens;
    uint32_t tokens_n;
    struct map tokens_by_peer;
    struct map
        spent[2]; /* hashes of tokens of ours that were used: this generation, the one before */
    tstamp spent_from;  /* when this one began */
    tstamp spent_floor; /* tokens given before may have been used: not valid any more */
    uint64_t spent_key[2];
    struct rng_stream times; /* draws the times of padding, at each packet: no system call */
    struct limiter reset_limit, vneg_limit, close_limit, out_log, refused_log;
    struct quic_gate gate;
    struct quic_retry_keys retry_keys;
    struct load load;
    struct resources *accounts; /* cfg.accounts, or else */
    struct resources *own;
    struct quic_chunk *spare;
    uint32_t spare_n;
    uint8_t cid_key[16];
    struct quic_stats stats;
};

#endif
