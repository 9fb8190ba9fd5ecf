/* services.h - hidden services of ours: dark addresses of the hidden kind that are published. */
#ifndef QUDAG_SRC_NODE_SERVICES_H
#define QUDAG_SRC_NODE_SERVICES_H

#include "base/list.h"
#include "core/hidden/service.h"
#include "core/onion/onion.h"
#include "node/clean.h"
#include "node/requests.h"

/* A service that is to be reached, from the first wish to publish its address on. */
struct node_service {
    struct list node; /* in node.serving */
    struct dark_addr addr;
    uint64_t name;     /* node_keys_tag() of the address; to core/hidden, and of carried circuits */
    uint32_t carried;  /* circuits by which callers came */
    bool has_target;   /* |target| is what records are to say */
    bool unsaved;      /* ... but the keys in it are not on disk yet */
    tstamp save_at;    /* unsaved: the next try */
    tstamp give_up_at; /* whoever waits for introduction points is told that there are none */
    struct node_clean clean; /* of those that wait for its meetings (clean_meetings.c) */
    struct dark_service target;
};

/* The handshake keys of a service, as an earlier life saved them. */
struct node_service_keys {
    struct list node; /* in node.serving_keys */
    uint8_t bytes[HIDDEN_SAVED_LEN];
};

/* The service of that name; NULL. */
struct node_service *node_service_get(const struct node *n, uint64_t name);
/*
 * Publishes the address of |op|, an own one of the hidden kind: at once, or when introduction points are established.
 * The service begins with it.  |op| ends with DARK_UP_PUBLISHED, or here.  ESMALLNET, ELIMIT, ENOMEM; what core/dark
 * says.
 */
QUDAG_MUST_USE qudag_err node_service_publish(struct node *n, struct node_op *op, tstamp now);
/* Nobody is introduced to |a| any more, and who is under way meets nobody; circuits that callers came by stay. */
void node_service_end(struct node *n, const struct dark_addr *a, tstamp now);
/*
 * The service at |a| begins anew, with other introduction points and handshake keys, also where it is not begun yet.
 * ENOMEM, and what the disk says: it is over, until it is published again.
 */
QUDAG_MUST_USE qudag_err node_service_renew(struct node *n, const struct dark_addr *a, tstamp now);
/* Ends all circuits of the service |name| to relays where callers are, or were to be, met. */
void node_service_cut(struct node *n, uint64_t name, tstamp now);
/* HIDDEN_SERVE_SAVE: the keys go to disk; no record names them before. */
void node_service_save(struct node *n, struct node_service *s);
/* HIDDEN_SERVE_TARGET: what records say from now on. */
void node_service_target(struct node *n, struct node_service *s, const struct hidden_target *t,
                         tstamp now);
/*
 * Whether the circuit of a caller |c| rather than |than| (NULL: none) ends when a service has no room for a newcomer
 * (SPEC: rendezvous R-24): one without streams, else one whose streams were silent, of either the one that was quiet
 * longest.  One over which a cell passed lately stays; whoever was just met has time to begin a stream.
 */
#define NODE_SERVICE_UNUSED (5 * NS_PER_S)
#define NODE_SERVICE_SILENT (60 * NS_PER_S)
bool node_service_gives_way(const struct onion_info *c, const struct onion_info *than, tstamp now);
/* Whether a caller came by |c| to the own address of that |tag| (node_keys_tag()), hidden or not. */
bool node_service_brought(const struct onion_info *c, uint64_t tag);
/* Its clean circuits are looked at again at |at|, at the latest. */
void node_service_look_again(struct node *n, struct node_clean *clean, tstamp at);
/* Circuits that wait for the meetings of services. */
QUDAG_MUST_USE qudag_err node_meetings_init(struct node *n);
/* Registers what services need beside core/hidden; frees them with the node. */
QUDAG_MUST_USE qudag_err node_services_init(struct node *n);

#endif
