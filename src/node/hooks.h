/* hooks.h - what a node calls in the program or the host that it is part of. */
#ifndef QUDAG_SRC_NODE_HOOKS_H
#define QUDAG_SRC_NODE_HOOKS_H

#include "core/kad/kad.h"
#include "core/names/names.h"
#include "core/portmap/portmap.h"
#include "node/buffers.h"
#include "node/op.h"
#include "swarm/rules.h"
#include "swarm/swarm.h"
#include "wire/rend_work.h"
#include "wire/succession.h"

/* How far joining the network is; what each means: enum qudag_phase. */
enum node_phase {
    NODE_START,
    NODE_DIAL,
    NODE_LOOKUP,
    NODE_ANNOUNCE,
    NODE_RELAYS,
    NODE_READY,
    NODE_FAILED,
};

/* Calls into the embedding program, from the drain. */
struct node_hooks {
    void *ctx;
    void (*stream_in)(void *ctx, struct ref s, const struct peer_id *from, const char *dark,
                      const char *proto);
    void (*stream_data)(void *ctx, struct ref s, struct slice data, bool fin);
    void (*stream_opened)(void *ctx, struct ref s);
    void (*stream_writable)(void *ctx, struct ref s);
    void (*stream_closed)(void *ctx, struct ref s, qudag_err why);
    /* Nobody needs |b| any more, which node_stream_write_owned() took; exactly once. */
    void (*released)(void *ctx, const struct node_owned *b);
    /* The circuit of |s|, which we opened, is closed in |left_ns| for its age. */
    void (*stream_old)(void *ctx, struct ref s, uint64_t left_ns);
    void (*peer_changed)(void *ctx, const struct peer_id *peer, bool up);
    void (*link_changed)(void *ctx, const struct swarm_link_change *change);
    /* What node_reach() and node_reach_addr_next() say is another than before. */
    void (*reach_changed)(void *ctx);
    /* A peer said, by a statement that was checked, that its ML-DSA key has a successor; what came of it. */
    void (*pin_changed)(void *ctx, const struct succession *what, enum swarm_follow verdict);
    void (*op_done)(void *ctx, struct ref op, qudag_err err, const struct node_result *res);
    void (*phase)(void *ctx, enum node_phase p, uint32_t a, uint32_t b, qudag_err err);
    void (*circuit_closed)(void *ctx, struct ref circuit, qudag_err why);
    qudag_err (*save)(void *ctx, const char *name, struct slice bytes);
    /* A call needs |task| solved, elsewhere; then node_solved(), unless |unsolve| came.  Not OK: it does without. */
    qudag_err (*solve)(void *ctx, uint64_t id, const struct rend_work_task *task);
    void (*unsolve)(void *ctx, uint64_t id);
    /* Asks a name server; then node_resolved(), unless |unresolve| came.  NULL, not OK: no answer comes. */
    qudag_err (*resolve)(void *ctx, uint64_t id, enum names_kind kind, const char *name);
    void (*unresolve)(void *ctx, uint64_t id);
    /* Asks the gateway by UPnP, elsewhere; then node_upnp_done(), unless it removes.  NULL, not OK: it cannot. */
    qudag_err (*upnp)(void *ctx, const struct portmap_upnp *what);
    /*
     * One more UDP socket of that IP version, on a port of the host's choice that no other socket of the node has;
     * *local is what datagrams name it by.  QUDAG_ELIMIT, QUDAG_EUNSUPPORTED, QUDAG_ESYSTEM.  NULL: there are no more.
     */
    qudag_err (*socket_open)(void *ctx, uint8_t family, struct netaddr *local);
    void (*socket_close)(void *ctx, const struct netaddr *local);
    /*
     * With node_config.persist: a thing of the DHT as it is now, |bytes| empty when it is gone.  To be on
     * disk before the next node_send().  Not OK: there is no room; nothing new is taken for others
     * until node_persist_room().
     */
    qudag_err (*persist)(void *ctx, enum kad_persist_kind kind, const uint8_t *hash,
                         struct slice bytes);
};

#endif
