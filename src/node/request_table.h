/*
 * request_table.h - how each kind of request begins, is canceled and ends; read by request_table.c only.
 *
 * Each function is described where struct node_op_type is (requests.h) and lies in the file of its arrow.
 */
#ifndef QUDAG_SRC_NODE_REQUEST_TABLE_H
#define QUDAG_SRC_NODE_REQUEST_TABLE_H

#include "node/internal.h"

/* Begin: QUDAG_OK, or why it ends at once. */
#define NODE_BEGIN(name)                                                                           \
    QUDAG_MUST_USE qudag_err name(struct node *n, struct node_op *op, tstamp now)
/* A kind that nobody may ask for: EINVAL. */
NODE_BEGIN(node_begin_nothing);
/* Pings req.peer; result: rtt. */
NODE_BEGIN(node_begin_ping);
/* Dials req.addr, with its hash when has_pq. */
NODE_BEGIN(node_begin_connect);
/* Stores key and value in the DHT; result: count, peers. */
NODE_BEGIN(node_begin_put);
/* Reads key; result: value, peers. */
NODE_BEGIN(node_begin_get);
/* The closest nodes to key; result: peers. */
NODE_BEGIN(node_begin_closest);
/* Addresses of req.peer, noted for dialling; result: peers. */
NODE_BEGIN(node_begin_find_peer);
NODE_BEGIN(node_begin_seek);
/* Says that we provide key. */
NODE_BEGIN(node_begin_provide);
/* Who provides key; result: peers. */
NODE_BEGIN(node_begin_providers);
/* Fills the routing table, joining and later. */
NODE_BEGIN(node_begin_refresh);
/* No longer republishes key; ENOTFOUND: it did not. */
NODE_BEGIN(node_begin_unpublish);
/* Offers req.peer at req.addr to the routing table. */
NODE_BEGIN(node_begin_add_peer);
/* Stores our own relay descriptor (value) under key. */
NODE_BEGIN(node_begin_announce);
/* Reads the relay descriptor of req.peer under key. */
NODE_BEGIN(node_begin_fetch);
/* The same for a circuit of others. */
NODE_BEGIN(node_begin_extend_fetch);
/* Looks for the nodes closest to the random key. */
NODE_BEGIN(node_begin_survey);
/* Reads key for the far end of a circuit, masked as the rules say. */
NODE_BEGIN(node_begin_serve_get);
/* The same for storing. */
NODE_BEGIN(node_begin_serve_put);
/* Builds a circuit of req.hops relays; result: circuit, hops. */
NODE_BEGIN(node_begin_circuit);
/* Builds the circuit through which a dark record, or the descriptor of a guard, is read or stored. */
NODE_BEGIN(node_begin_lookup);
/* Publishes req.dark from now on; result: count. */
NODE_BEGIN(node_begin_dark_publish);
/* Where req.dark leads; result: target, cached. */
NODE_BEGIN(node_begin_dark_resolve);
/* Withdraws req.dark, lets nobody in by it, forgets its keys. */
NODE_BEGIN(node_begin_dark_forget);
NODE_BEGIN(node_begin_dark_unpublish);
/* As dark_resolve, for streams that wait. */
NODE_BEGIN(node_begin_stream_resolve);

/* Dials req.addr, which may begin with a name: connect, or all that it leads to. */
NODE_BEGIN(node_begin_dial);
/* One of these. */
NODE_BEGIN(node_begin_name_dial);

/* Cancel: |op| ends now, or by the report this brings about. */
#define NODE_CANCEL(name) void name(struct node *n, struct node_op *op, tstamp now)
/* Ends by the report that it was canceled. */
NODE_CANCEL(node_cancel_dht);
/* What its name led to is not dialled any more; else a late report finds no request. */
NODE_CANCEL(node_cancel_dial);
/* Closes what was built so far and ends. */
NODE_CANCEL(node_cancel_circuit);
/* The program hears of the end; publishing or forgetting goes on. */
NODE_CANCEL(node_cancel_dark);

/* Finish: tells who waits; |op| is freed, or queued again. |res| is never NULL. */
#define NODE_FINISH(name)                                                                          \
    void name(struct node *n, struct node_op *op, qudag_err err, const struct node_result *res)
/* Nobody waits. */
NODE_FINISH(node_finish_nobody);
/* The request that it was for ends, or dials the next. */
NODE_FINISH(node_finish_name_dial);
/* Joining, or rejoining, goes on. */
NODE_FINISH(node_finish_boot_dial);
/* Joining goes on, or the table was refreshed. */
NODE_FINISH(node_finish_boot_lookup);
/* How many hold our descriptor; when it is announced next. */
NODE_FINISH(node_finish_announce);
/* The descriptor goes to the relays, its key to the pins. */
NODE_FINISH(node_finish_fetch);
/* Circuits of others go on, or not. */
NODE_FINISH(node_finish_extend_fetch);
/* Whether the view has settled; another lookup otherwise. */
NODE_FINISH(node_finish_survey);
/* The descriptor goes to the relays. */
NODE_FINISH(node_finish_guard_fetch);
/* The relays learn whether the guard is there. */
NODE_FINISH(node_finish_guard_dial);
/* Whoever waits for addresses of that peer has them. */
NODE_FINISH(node_finish_seek);
/* Our record is with others for a time. */
NODE_FINISH(node_finish_peer_put);
/* The kept peer is tried at them. */
NODE_FINISH(node_finish_keep_find);
/* Who answered was noted by arrow_program_dht.c: the guards that do not are to blame. */
NODE_FINISH(node_finish_guard_witness);
/* The gateway answers the circuit. */
NODE_FINISH(node_finish_serve);
/* The dark core hears, or another circuit is tried. */
NODE_FINISH(node_finish_lookup);
/* A circuit is built for the streams, or they fail. */
NODE_FINISH(node_finish_stream_resolve);

#endif
