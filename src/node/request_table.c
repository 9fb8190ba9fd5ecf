/* request_table.c - every kind of request: how it begins, how it is canceled, who waits for its end. */
#include "node/request_table.h"
#include "node/internal.h"

const struct node_op_type node_op_types[NODE_OP_KINDS] = {
    /*                        name, begin, cancel, finish (NULL: the program waits), as what of the DHT */
    [NODE_OP_NONE] = {"none", node_begin_nothing, NULL, NULL, NODE_DHT_NONE},
    [NODE_OP_PING] = {"ping", node_begin_ping, NULL, NULL, NODE_DHT_NONE},
    [NODE_OP_CONNECT] = {"connect", node_begin_dial, node_cancel_dial, NULL, NODE_DHT_NONE},
    [NODE_OP_PUT] = {"put", node_begin_put, node_cancel_dht, NULL, NODE_DHT_PUT},
    [NODE_OP_GET] = {"get", node_begin_get, node_cancel_dht, NULL, NODE_DHT_GET},
    [NODE_OP_CLOSEST] = {"closest", node_begin_closest, node_cancel_dht, NULL, NODE_DHT_FIND},
    [NODE_OP_FIND_PEER] = {"find_peer", node_begin_seek, NULL, NULL, NODE_DHT_FIND},
    [NODE_OP_PROVIDE] = {"provide", node_begin_provide, node_cancel_dht, NULL, NODE_DHT_PROVIDE},
    [NODE_OP_PROVIDERS] = {"providers", node_begin_providers, node_cancel_dht, NULL,
                           NODE_DHT_PROVIDERS},
    [NODE_OP_UNPUBLISH] = {"unpublish", node_begin_unpublish, NULL, NULL, NODE_DHT_NONE},
    [NODE_OP_CIRCUIT] = {"circuit", node_begin_circuit, node_cancel_circuit, NULL, NODE_DHT_NONE},
    [NODE_OP_DARK_PUBLISH] = {"dark_publish", node_begin_dark_publish, node_cancel_dark, NULL,
                              NODE_DHT_NONE},
    [NODE_OP_DARK_RESOLVE] = {"dark_resolve", node_begin_dark_resolve, NULL, NULL, NODE_DHT_NONE},
    [NODE_OP_DARK_FORGET] = {"dark_forget", node_begin_dark_forget, node_cancel_dark, NULL,
                             NODE_DHT_NONE},
    [NODE_OP_DARK_UNPUBLISH] = {"dark_unpublish", node_begin_dark_unpublish, NULL, NULL,
                                NODE_DHT_NONE},
    [NODE_OP_ADD_PEER] = {"add_peer", node_begin_add_peer, NULL, node_finish_nobody, NODE_DHT_NONE},
    [NODE_OP_BOOT_DIAL] = {"boot_dial", node_begin_dial, node_cancel_dial, node_finish_boot_dial,
                           NODE_DHT_NONE},
    [NODE_OP_NAME_DIAL] = {"name_dial", node_begin_name_dial, NULL, node_finish_name_dial,
                           NODE_DHT_NONE},
    [NODE_OP_BOOT_LOOKUP] = {"boot_lookup", node_begin_refresh, NULL, node_finish_boot_lookup,
                             NODE_DHT_FIND},
    [NODE_OP_REFRESH] = {"refresh", node_begin_refresh, NULL, node_finish_boot_lookup,
                         NODE_DHT_FIND},
    [NODE_OP_ANNOUNCE] = {"announce", node_begin_announce, NULL, node_finish_announce,
                          NODE_DHT_PUT},
    [NODE_OP_FETCH] = {"fetch", node_begin_fetch, NULL, node_finish_fetch, NODE_DHT_GET},
    [NODE_OP_EXTEND_FETCH] = {"extend_fetch", node_begin_extend_fetch, node_cancel_dht,
                              node_finish_extend_fetch, NODE_DHT_GET},
    [NODE_OP_SURVEY] = {"survey", node_begin_survey, NULL, node_finish_survey, NODE_DHT_FIND},
    [NODE_OP_GUARD_FETCH] = {"guard_fetch", node_begin_lookup, NULL, node_finish_guard_fetch,
                             NODE_DHT_NONE},
    [NODE_OP_GUARD_DIAL] = {"guard_dial", node_begin_connect, NULL, node_finish_guard_dial,
                            NODE_DHT_NONE},
    [NODE_OP_KEEP_FIND] = {"keep_find", node_begin_seek, NULL, node_finish_keep_find,
                           NODE_DHT_FIND},
    [NODE_OP_GUARD_WITNESS] = {"guard_witness", node_begin_survey, NULL, node_finish_guard_witness,
                               NODE_DHT_FIND},
    [NODE_OP_SERVE_GET] = {"serve_get", node_begin_serve_get, NULL, node_finish_serve,
                           NODE_DHT_GET},
    [NODE_OP_SERVE_PUT] = {"serve_put", node_begin_serve_put, NULL, node_finish_serve,
                           NODE_DHT_PUT},
    [NODE_OP_LOOKUP_GET] = {"lookup_get", node_begin_lookup, NULL, node_finish_lookup,
                            NODE_DHT_NONE},
    [NODE_OP_LOOKUP_PUT] = {"lookup_put", node_begin_lookup, NULL, node_finish_lookup,
                            NODE_DHT_NONE},
    [NODE_OP_STREAM_RESOLVE] = {"stream_resolve", node_begin_stream_resolve, NULL,
                                node_finish_stream_resolve, NODE_DHT_NONE},
    [NODE_OP_SEEK_FIND] = {"seek_find", node_begin_find_peer, node_cancel_dht, node_finish_seek,
                           NODE_DHT_NONE},
    [NODE_OP_SEEK_GET] = {"seek_get", node_begin_get, node_cancel_dht, node_finish_seek,
                          NODE_DHT_GET},
    [NODE_OP_PEER_PUT] = {"peer_put", node_begin_put, node_cancel_dht, node_finish_peer_put,
                          NODE_DHT_PUT},
};

/* A kind no program may ask for. */
qudag_err node_begin_nothing(struct node *n, struct node_op *op, tstamp now)
{
    (void)n;
    (void)op;
    (void)now;
    return QUDAG_EINVAL;
}

void node_finish_nobody(struct node *n, struct node_op *op, qudag_err err,
                        const struct node_result *res)
{
    (void)err;
    (void)res;
    node_op_free(n, op);
}
