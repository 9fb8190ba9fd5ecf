/* op.h - requests: their kinds, what is asked, what comes back.  Included by node.h. */
#ifndef QUDAG_SRC_NODE_OP_H
#define QUDAG_SRC_NODE_OP_H

#include "core/dark/dark.h"
#include "core/kad/kad.h"
#include "core/names/names.h"
#include "node/auth.h"
#include "node/isolation.h"

/* Kinds of requests. */
enum node_op_kind {
    NODE_OP_NONE,
    /* of the program; each ends in one hooks.op_done */
    NODE_OP_PING,
    NODE_OP_CONNECT,
    NODE_OP_PUT,
    NODE_OP_GET,
    NODE_OP_CLOSEST,
    NODE_OP_FIND_PEER,
    NODE_OP_PROVIDE,
    NODE_OP_PROVIDERS,
    NODE_OP_UNPUBLISH,
    NODE_OP_CIRCUIT,
    NODE_OP_DARK_PUBLISH,
    NODE_OP_DARK_RESOLVE,
    NODE_OP_DARK_FORGET,
    NODE_OP_DARK_UNPUBLISH,
    /* the node's own */
    NODE_OP_ADD_PEER,
    NODE_OP_BOOT_DIAL,
    NODE_OP_NAME_DIAL, /* one of the addresses behind a name */
    NODE_OP_BOOT_LOOKUP,
    NODE_OP_REFRESH,
    NODE_OP_ANNOUNCE,     /* our relay descriptor */
    NODE_OP_FETCH,        /* somebody else's */
    NODE_OP_EXTEND_FETCH, /* the same, because a circuit of others is to be extended */
    NODE_OP_SURVEY,       /* the nodes closest to a random key, while the view settles */
    NODE_OP_GUARD_FETCH,  /* a guard's descriptor, through a circuit */
    NODE_OP_GUARD_DIAL, /* a guard that did not answer, or whose link is made before it is needed */
    NODE_OP_KEEP_FIND,  /* addresses of a kept peer */
    NODE_OP_GUARD_WITNESS, /* the nodes closest to a random key: whether others answer while it does not */
    NODE_OP_SERVE_GET,
    NODE_OP_SERVE_PUT, /* for the far end of a circuit */
    NODE_OP_LOOKUP_GET,
    NODE_OP_LOOKUP_PUT,     /* through a circuit, for the dark core */
    NODE_OP_STREAM_RESOLVE, /* for a stream to a dark address */
    NODE_OP_SEEK_FIND,      /* addresses of a peer, of the nodes closest to its id ... */
    NODE_OP_SEEK_GET,       /* ... and by its record */
    NODE_OP_PEER_PUT,       /* our record */
    NODE_OP_KINDS,
};

/* What a dark address is made as; that it stays. */
struct node_dark_of {
    enum dark_kind kind; /* DARK_HIDDEN or DARK_DIRECT */
    enum dark_network network;
};

/* Parameters of a request; borrowed for the call. */
struct node_request {
    enum node_op_kind kind;
    struct peer_id peer;     /* PING, FIND_PEER; LOOKUP_*: relay to keep away from */
    struct slice key, value; /* DHT */
    struct multiaddr addr;   /* CONNECT */
    bool has_pq;
    uint8_t pq_hash[32];
    enum node_auth auth;             /* CONNECT that ended with QUDAG_EAUTH: why */
    enum names_why name_why;         /* CONNECT that ended before anything was dialled: why */
    uint64_t refused;                /* CONNECT that ended with QUDAG_ELIMIT: as in struct ev */
    uint8_t hops;                    /* CIRCUIT */
    struct dark_addr dark;           /* DARK_*, STREAM_RESOLVE */
    struct node_isolation isolation; /* STREAM_RESOLVE */
    uint64_t dark_user;     /* DARK_RESOLVE, STREAM_RESOLVE: for whom; 0: nobody in particular */
    bool sample;            /* SERVE_GET: of what is found the index is the answer, not the value */
    bool over_budget;       /* STREAM_RESOLVE: no circuit is built, whatever it finds */
    struct kad_options opt; /* PUT, GET */
    void *user;             /* the program's, see node_op_set_user() */
    void *owner;            /* the host's, see node_op_set_owner() */
};
/* What a request ended with; borrowed.  Unused fields are zero. */
struct node_result {
    struct slice value;
    const struct kad_peer_info *peers;
    size_t n_peers;
    uint64_t took, rtt;
    uint32_t count, rpcs, hops;
    struct ref circuit;
    bool cached;
    const struct dark_target *target;
    const struct node_request *req; /* what was asked for; set when hooks.op_done is called */
};

#endif
