/*
 * load.h - accounts of the work that others make us do for nothing.
 *
 *   a link, a network ─ charged what something cost, less what it brought ─▶ debt, which time pays off
 *
 *   debt below the burst ....... FREE   served as it comes
 *   above it ................... LAST   only as fast as the debt is paid off; the rest is thrown away unread
 *   above it, patience too ..... OUT    it goes on all the same: ended, and its host kept out for a while
 *
 * Costs are nanoseconds of a processor, measured (doc/performance.md); bytes that a stream carries pay for the packets
 * they came in, so that whoever uses a link for what it is there for owes nothing, however much he sends.
 */
#ifndef QUDAG_SRC_CORE_LOAD_LOAD_H
#define QUDAG_SRC_CORE_LOAD_LOAD_H

#include "base/map.h"

/* Costs, in ns. */
#define LOAD_PACKET 2000       /* read, opened, acknowledged */
#define LOAD_BYTE 6            /* that every byte of a stream pays, either way */
#define LOAD_STREAM 8000       /* made and freed */
#define LOAD_REFUSED 5000      /* a stream that we had to reset, beyond that */
#define LOAD_THROWN 300        /* a packet that is not read */
#define LOAD_CREATE 250000     /* a circuit's handshake */
#define LOAD_HANDSHAKE 1500000 /* a link's, as server */

#define LOAD_LITTLE                                                                                \
    (5 * NS_PER_MS) /* owed by links and hosts that are not to blame for what their network owes */
#define LOAD_NETS_MAX 1024
#define LOAD_HOSTS_MAX 1024
#define LOAD_OUT_FIRST (30 * NS_PER_S)
#define LOAD_OUT_MOST (600 * NS_PER_S)
#define LOAD_OUT_FORGET                                                                            \
    (3600 * NS_PER_S) /* free for so long, a host begins anew: addresses change hands */

struct load_account {
    tstamp at; /* when |debt| was so */
    uint64_t debt;
};

struct load_rule {
    uint32_t share;    /* thousandths of a processor, for ever */
    uint64_t burst;    /* ns owed at which it is served last */
    uint64_t patience; /* ns beyond that at which it is put out */
};

/* spare: of a network that owes too much, for handshakes with its hosts that owe little. */
extern const struct load_rule load_rule_link, load_rule_net, load_rule_host, load_rule_spare;

enum load_state { LOAD_FREE, LOAD_LAST, LOAD_OUT };

/* What |packets| and |streams| cost that brought |bytes|; never negative. */
uint64_t load_cost(uint64_t packets, uint64_t streams, uint64_t bytes);

/* What |a| owes at |now|; at the most burst and patience and a second's share are remembered. */
uint64_t load_debt(const struct load_account *a, const struct load_rule *r, tstamp now);
/* Adds |ns| to what it owes. */
void load_charge(struct load_account *a, const struct load_rule *r, uint64_t ns, tstamp now);
/* Where that puts it. */
enum load_state load_state(const struct load_account *a, const struct load_rule *r, tstamp now);

/*
 * What becomes of a link whose account is |link| in a network whose account is |net| (NULL: none).  A network
 * that owes too much is served last, but for those of its links that owe next to nothing; nobody is put out for others.
 */
enum load_state load_verdict(const struct load_account *link, const struct load_account *net,
                             tstamp now);

/* What a network owes, and what of it for hosts that owed little when it owed too much. */
struct load_net {
    struct load_account owes; /* first: load_net() leads to it */
    struct load_account spare;
};

/*
 * Whether a handshake may begin with a host whose account is |host| (NULL: none) in a network whose account is |net|.
 * Where the network owes too much only hosts that owe little may, and those only as fast as its spare account allows:
 * no host keeps its neighbours out.
 */
bool load_admits(const struct load_net *net, const struct load_account *host, tstamp now);

/* How long a host is kept out that was put out |times| times before. */
uint64_t load_out_for(uint32_t times);

/* Networks that owe something, hosts that are kept out, and hosts that owe for handshakes. */
struct load {
    struct map nets, hosts, callers;
};

/* |seed| must be unpredictable to peers.  To be freed with load_fini(). */
void load_init(struct load *w, struct mem *mem, const uint8_t seed[16]);
/* Frees the tables. */
void load_fini(struct load *w);

/*
 * The account of network |net| (netaddr_group()), made if there is none; valid until the next call.  NULL: no memory,
 * or |net| is 0.  Of LOAD_NETS_MAX the one that owes least gives way.
 */
struct load_account *load_net(struct load *w, uint64_t net, tstamp now);

/* Whether a handshake may begin with |host| of |net|, as load_admits(). */
bool load_may_begin(const struct load *w, uint64_t net, uint64_t host, tstamp now);
/* One begins: all that have to pay for it are charged.  Without memory they are not. */
void load_begun(struct load *w, uint64_t net, uint64_t host, tstamp now);

/*
 * |host| is kept out from now on.  Without memory it is not; of LOAD_HOSTS_MAX the one that is free soonest gives
 * way.
 */
void load_put_out(struct load *w, uint64_t host, tstamp now);
/* Whether it is. */
bool load_is_out(const struct load *w, uint64_t host, tstamp now);

#endif
