/* peers.h - links as the tool shows them, and what the user says of peers: protections and tags. */
#ifndef QUDAG_BIN_QUDAGD_PEERS_H
#define QUDAG_BIN_QUDAGD_PEERS_H

#include <qudag/peer.h>

struct request;

/* "connecting", "handshaking", "up", "closing" or "down"; static. */
const char *peers_state_name(qudag_link_state state);

/*
 * What may be wrong where |err| came of reaching |to|, an address or NULL: relay or peer.  NULL: it is no address
 * through a circuit relay, or the relay has nothing to do with it.  Static.
 */
const char *peers_relayed_hint(const qudag_node *n, const char *to, qudag_err err);

/* peers: a row for each link. */
void peers_report(struct request *rq);
/* peer.protect, peer.unprotect: "peer", a peer id or multiaddr, and "name"; a row with what its names are then. */
void peers_protect(struct request *rq);
void peers_unprotect(struct request *rq);
/* peer.tag, with "weight" besides; peer.untag. */
void peers_tag(struct request *rq);
void peers_untag(struct request *rq);

/* Keeps a link with a peer; lets it go; forgets what failed; lists kept peers and what waits for its next try. */
void peers_keep(struct request *rq);
void peers_release(struct request *rq);
void peers_retry(struct request *rq);
void peers_tries(struct request *rq);
/* Has a place kept at a circuit relay; not any more; lists those places. */
void peers_reserve(struct request *rq);
void peers_unreserve(struct request *rq);
void peers_places(struct request *rq);
/* Lets a peer send over links, over restarts too; not any more; lists those that may. */
void peers_allow(struct request *rq);
void peers_disallow(struct request *rq);
void peers_allowed(struct request *rq);

#endif
