/*
 * resources.h - accounts of what links use: everything that is made asks once and gives back once.
 *
 *   node ─┬─ inbound, outbound
 *         ├─ wider network (/16, /32) ── network (/24, /48)
 *         └─ peer ── protocol
 *
 * A link lies in a direction, in the networks of its address and in a peer; each of these scopes counts them.
 * An ask fits all scopes, or is refused with the first that is full, and then nothing has changed.
 *
 * Places for links are shared by class (enum res_class): each class has some that nobody else can take, the rest is
 * common to all.  Only strangers are held to the share of their network: of the common places no network has more than
 * |network_share| percent, no wider one more than twice that, however many identities it makes.  Dials that
 * others caused leave a quarter to those of our own choice, and of all at most a quarter goes to one network.
 */
#ifndef QUDAG_SRC_CORE_RESOURCES_RESOURCES_H
#define QUDAG_SRC_CORE_RESOURCES_RESOURCES_H

#include "base/map.h"

enum res_scope_kind {
    RES_NODE,
    RES_INBOUND,
    RES_OUTBOUND,
    RES_WIDE,    /* netaddr_wide_group() */
    RES_NETWORK, /* netaddr_group() */
    RES_PEER, /* or a link without one, such as a circuit; of a handshake: the host it comes from */
    RES_PROTOCOL, /* streams of one protocol, or of one core, with a peer; dials of one core */
    RES_SCOPES,
};

enum res_what {
    RES_LINKS,       /* that are up */
    RES_STREAMS_IN,  /* the peer opened */
    RES_STREAMS_OUT, /* we opened */
    RES_BYTES,       /* queued to be sent */
    RES_DIALS,       /* under way */
    RES_HALF_OPEN,   /* handshakes that others began, from where their packets say */
    RES_UNPROVEN,    /* and those that may be in anybody's name */
    RES_RECEIVED,    /* bytes read that nobody has consumed yet */
    RES_WHATS,
};

/* Whom a link is with, as places are concerned; the later the more it matters. */
enum res_class {
    RES_STRANGER,  /* it dialled us */
    RES_NAMED,     /* we dialled it because others named it: the DHT, an EXTEND */
    RES_CHOSEN,    /* we dialled it of our own choice */
    RES_NEAR,      /* in our DHT table, among the closest to us */
    RES_BOOTSTRAP, /* one of the configured peers */
    RES_GUARD,     /* an entry guard of ours */
    RES_PROTECTED, /* the program protects its peer */
    RES_CLASSES,
};

#define RES_PROTOS 32 /* numbers of protocols and of cores */
#define RES_LINKS_PER_PEER 4

struct resources_config {
    struct mem *mem;
    uint8_t seed[16];       /* unknown to peers, who choose the keys of the tables */
    uint32_t links_max;     /* at least 8 */
    uint32_t network_share; /* percent of the common places; 100: networks do not matter */
    uint32_t streams_max;   /* both ways, all peers */
    uint32_t dials_max;     /* under way; a quarter of it is for those of our own choice */
    uint32_t half_open_max; /* a third of it for one network, two for a wider one */
    uint32_t unproven_max;
    uint32_t host_half_open; /* of these from one host, and so many of those */
    /*
     * Queued, and so many received, of the node; half of it for one network, a quarter for one peer; 0: no limit.  The
     * last eighth of node and network is for peers that hold at most a 512th.
     */
    uint64_t bytes_max;
};

/* Which scope was full. */
struct res_refusal {
    enum res_scope_kind scope;
    enum res_what what;
    uint64_t used, limit;
};

/* Where a link lies. */
struct res_place {
    bool inbound;
    uint64_t net;      /* netaddr_group(); 0: none, such as a circuit */
    struct slice peer; /* at most 63 bytes; empty: none */
};

struct res_scope;

/* Of one link; embedded in its owner, zero before it is opened. */
struct res_account {
    struct res_scope *dir, *wide, *net, *peer; /* |wide| and |net| NULL: none */
    enum res_class class;
    uint64_t used[RES_WHATS];
};

/* One ask or its return. */
struct res_ask {
    enum res_what what;
    uint32_t n;
    uint8_t
        proto; /* streams: of the protocol (in) or core (out), dials: of the core; < RES_PROTOS */
    uint32_t
        most; /* of these streams with one peer, of these dials with all; 0: no limit of its own */
};

struct resources;

/* An accounting without links, to be freed with resources_free().  ENOMEM. */
QUDAG_MUST_USE qudag_err resources_new(struct resources **out, const struct resources_config *cfg);
/* Frees it, NULL allowed; every account has been ended. */
void resources_free(struct resources *r);

/* Puts |a| into the scopes of |place|; nothing is used yet.  ENOMEM: |a| is as before. */
QUDAG_MUST_USE qudag_err resources_open(struct resources *r, struct res_account *a,
                                        const struct res_place *place);
/*
 * Gives back whatever |a| still has and takes it out of its scopes; one that was never opened is left alone.  Streams
 * are given back one by one before, so that those of each protocol with the peer are right.
 */
void resources_end(struct resources *r, struct res_account *a);

/*
 * All of |ask| in all scopes of |a|, or QUDAG_ELIMIT, |why| saying which is full.  RES_LINKS takes a place of the
 * account's class: one reserved for it, or a common one.
 */
QUDAG_MUST_USE qudag_err resources_ask(struct resources *r, struct res_account *a,
                                       const struct res_ask *ask, struct res_refusal *why);
/* Exactly what was asked for, or a part of it. */
void resources_give(struct resources *r, struct res_account *a, const struct res_ask *ask);
/* The same where another account of the same scopes asks for it at once: there is no more room than before. */
void resources_hand_on(struct resources *r, struct res_account *a, const struct res_ask *ask);

/*
 * |a| is of another class from now on, up where the new one has a place left or |a| takes a common one anyway, else it
 * stays what it is: no more common ones than before.  Down always: there may be more common ones than places for a
 * while, but never more links than links_max.
 */
void resources_class(struct resources *r, struct res_account *a, enum res_class class);
/* Whether links of |class| take common places, so that one less makes room for another class. */
bool resources_in_common(const struct resources *r, enum res_class class);

/* Whether a link of |class| there would be taken now, its peer not looked at; QUDAG_ELIMIT: |why| says what is full. */
QUDAG_MUST_USE qudag_err resources_room(const struct resources *r, bool inbound, uint64_t net,
                                        enum res_class class, struct res_refusal *why);

/* Counts what resources_room() said, when it was acted on. */
void resources_refuse(struct resources *r, const struct res_refusal *why);

/* What |scope| allows of |what| now; 0: it has no limit of its own. */
uint64_t resources_limit(const struct resources *r, enum res_scope_kind scope, enum res_what what);
/* Used of it in the node, or in one direction. */
uint64_t resources_used(const struct resources *r, enum res_scope_kind scope, enum res_what what);
/* Links that take common places, and how many such places there are. */
uint32_t resources_common(const struct resources *r, uint32_t *places);
/*
 * How many more bytes of |what| |a| may ask for before a scope of it has used three quarters of its limit: whoever can
 * wait does so then, and leaves the rest to those who cannot.
 */
uint64_t resources_ease(const struct resources *r, const struct res_account *a, enum res_what what);
/*
 * The most bytes of |what| that it may ask for at all: an eighth of each limit is left, that of node and network not to
 * peers that hold little.  So many resources_ask() grants; an account that is not open has none.
 */
uint64_t resources_left(const struct resources *r, const struct res_account *a, enum res_what what);
/* Bytes to be sent that were given back since the beginning: who waits for some looks again when it has changed. */
uint64_t resources_returned(const struct resources *r);
/* Dials under way of one core. */
uint32_t resources_dials(const struct resources *r, uint8_t core);
/* Links of strangers in the network of |a|; 0: it has none. */
uint64_t resources_crowd(const struct res_account *a);
/* How often that scope refused that since the beginning. */
uint64_t resources_refused(const struct resources *r, enum res_scope_kind scope,
                           enum res_what what);

/* "network", "links": names for people and for counters; static. */
const char *resources_scope_name(enum res_scope_kind scope);
const char *resources_what_name(enum res_what what);
const char *resources_class_name(enum res_class class);
/* In one number, never 0, for events; numbers above 2^24 - 1 are cut. */
uint64_t resources_pack(const struct res_refusal *why);
struct res_refusal resources_unpack(uint64_t word);

#endif
