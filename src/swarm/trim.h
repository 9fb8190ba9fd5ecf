/* trim.h - places for links, and which of them give way; included by swarm/ only. */
#ifndef QUDAG_SRC_SWARM_TRIM_H
#define QUDAG_SRC_SWARM_TRIM_H

#include "swarm/internal.h"

/* places.c */
/* What |peer| is to us: protected, or what the node says. */
enum res_class swarm_peer_standing(const struct swarm *s, const struct peer_id *peer);
/* What a link counts as that is dialled for |core|, or |inbound|, whoever its peer is. */
enum res_class swarm_class_of(const struct swarm *s, bool inbound, unsigned core);
/* What a dial for |core| to |peer| counts as; NULL: to whoever answers. */
enum res_class swarm_class_for(const struct swarm *s, const struct peer_id *peer, unsigned core);
/* What |l| counts as, which is up or dialled. */
enum res_class swarm_link_standing(const struct swarm *s, const struct swarm_link *l);
/* What the program, the DHT and the guards say of the peers of links is looked at again. */
void swarm_links_stand(struct swarm *s);
void swarm_link_stand(struct swarm *s, struct swarm_link *l);
/* What is known of |l|, which is up. */
struct swarm_worth swarm_link_worth(const struct swarm *s, const struct swarm_link *l, tstamp now);
/* Not a circuit, nor one that is just coming up. */
bool swarm_link_placed(const struct swarm_link *l);
/*
 * The link that may be closed in favour of one of |class| that |why| keeps out: that of the least value; NULL: none, or
 * enough of them lately (s->newcomers).
 */
struct swarm_link *swarm_trim_victim(const struct swarm *s, enum res_class class,
                                     const struct res_refusal *why, tstamp now);
/* A link that is to be. */
struct swarm_ask {
    bool inbound;
    uint64_t net;               /* inbound */
    const struct peer_id *peer; /* NULL: whoever answers */
    unsigned core;              /* that it is dialled for */
};
/* The class in which there is a place for it, maybe once another link gives way; RES_CLASSES: none, |why| says why. */
enum res_class swarm_place(const struct swarm *s, const struct swarm_ask *ask,
                           struct res_refusal *why, tstamp now);

/* links.c */
/* Closes |l| for that reason: logged, counted, and told to the peer. */
void swarm_trim_link(struct swarm *s, struct swarm_link *l, enum swarm_trim why, tstamp now);

/* trim.c */
/* Above the high mark, down to the low one, some at once; true: it is to be called again soon. */
bool swarm_trim_surplus(struct swarm *s, tstamp now);

#endif
