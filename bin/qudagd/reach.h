/* reach.h - how this node and its peers are reached, as rows; ping, which shows the path. */
#ifndef QUDAG_BIN_QUDAGD_REACH_H
#define QUDAG_BIN_QUDAGD_REACH_H

#include "control.h"

/* Adds to a row of status what is known of this node. */
void reach_status(struct rec *r, const qudag_node *n);
/* Adds to a row how |peer| is reached now, or over |link|, if not NULL; nothing where that is unknown. */
void reach_path(struct rec *r, const qudag_node *n, const qudag_peer_id *peer,
                const qudag_link_info *link);

/* What makes a peer be found by its id. */
#define REACH_FOUND_HINT                                                                           \
    "by its id a peer is found only while it is up and is to be reached: there, qudag peer allow " \
    "lets somebody send, or [nat] reachable = yes; where it just began, within a minute; or "      \
    "connect to its multiaddr"

/* ping: "to", a peer id or a multiaddr; a row with the round trip and the path. */
void reach_ping(struct request *rq);
void reach_ping_done(struct request *rq, qudag_err err, const qudag_result *res);
/* connect: "to" as for ping; dials a multiaddr, or looks for the peer of an id, whatever failed before. */
void reach_connect(struct request *rq);
void reach_connect_done(struct request *rq, qudag_err err, const qudag_result *res);

#endif
