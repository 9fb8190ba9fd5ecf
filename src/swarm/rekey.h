/* rekey.h - links that were made with the ML-DSA key that this node had before. */
#ifndef QUDAG_SRC_SWARM_REKEY_H
#define QUDAG_SRC_SWARM_REKEY_H

#include "core/link.h"

struct swarm;
struct swarm_link;

/*
 * Our ML-DSA key is another from now on, and so are the certificates of new links: those that stand are made anew, a
 * few in a second, and closed once they are replaced and idle.
 */
void swarm_rekey(struct swarm *s, tstamp now);
/* How many links stand that were made with the key before. */
uint32_t swarm_links_old_key(const struct swarm *s);

/* Inside swarm/. */
/* renew.c: dials anew for such links, a few at a time, and closes those that are replaced; true: some wait. */
bool swarm_rekey_links(struct swarm *s, tstamp now);
/* |l| comes up: whether it is one of them, and how long its peer may need to follow. */
void swarm_rekey_up(const struct swarm *s, struct swarm_link *l, const struct link_info *info,
                    tstamp now);

#endif
