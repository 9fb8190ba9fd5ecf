/*
 * expose.h - services: what listens on this machine, reachable at virtual ports of a dark address.
 *
 *   qudag_expose_start ──▶ an address of this node ──▶ published once circuits can be built, and renewed
 *   a caller's stream  ──▶ virtual port ──▶ a connection to its target (spec/tunnel.md)
 *
 * The streams of services do not reach the program's callbacks.  Callers open such streams with qudag_tunnel_open().
 */
#ifndef QUDAG_EXPOSE_H
#define QUDAG_EXPOSE_H

#include <qudag/dark.h>

#ifdef __cplusplus
extern "C" {
#endif

#define QUDAG_EXPOSE_MAX 64            /* services of a node */
#define QUDAG_EXPOSE_PORTS_MAX 16      /* virtual ports of one */
#define QUDAG_EXPOSE_PORT_TEXT_MAX 144 /* a virtual port with its target as text, with NUL */
#define QUDAG_EXPOSE_CONNECTIONS 1024  /* of one service, unless it says otherwise */
#define QUDAG_EXPOSE_CONNECTIONS_ALL                                                               \
    4096 /* of all services of a node, in equal shares; fewer where RLIMIT_NOFILE is low */
#define QUDAG_EXPOSE_CONNECTIONS_CIRCUIT 60 /* of one caller's circuit */
#define QUDAG_EXPOSE_WHY_MAX 512            /* bytes of a sentence about why, with NUL */

/* What a service is. */
typedef struct qudag_expose_options {
    uint32_t size;    /* set by the caller, see types.h */
    uint32_t ports_n; /* 1 to QUDAG_EXPOSE_PORTS_MAX */
    /*
     * "VIRTUAL[:TARGET]"; TARGET is [tcp:]ADDRESS:PORT with an IP address (IPv6 in brackets), a PORT of 127.0.0.1, or
     * unix:/PATH; without it the virtual port of 127.0.0.1.  Copied.
     */
    const char *const *ports;
    /* The label of its address, not empty: an own address that has it is used again, see |direct|. */
    const char *name;
    uint32_t connections_max; /* at the same time; 0: QUDAG_EXPOSE_CONNECTIONS, which is the most */
    qudag_dark_network network; /* of a new address; in a lab always LAB */
    /*
     * Targets may be on other machines.  Then callers reach, through this one, what its network trusts it with; what
     * they say crosses that network unprotected; and who watches it sees when the service is used.
     */
    bool force;
    bool keep; /* saved, and started again by qudag_expose_resume() after a restart */
    /*
     * A new address is of kind direct: callers stay hidden, but whoever has the address can find out this machine's
     * network address.  Else it is hidden, and nobody learns where the service is.  An address that is used again
     * keeps its kind: a direct one only where this is set, else it is QUDAG_EEXISTS.
     */
    bool direct;
    uint8_t pad[5];
} qudag_expose_options;

/*
 * Checks |o| without a node.  QUDAG_EINVAL, QUDAG_EUNSUPPORTED (options of a newer version), QUDAG_EPOLICY (a target
 * that needs |force|); |why| (may be NULL) gets a sentence, cut to |why_len|, or is empty on success; with
 * QUDAG_EXPOSE_WHY_MAX bytes nothing is cut.
 */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_expose_check(const qudag_expose_options *o, char *why,
                                                      size_t why_len);
/*
 * Starts a service, before or after the node; |addr| gets its address.  Where one of that name runs, its ports and
 * limits become those of |o|; connections to ports that it no longer has are cut.  Errors of qudag_expose_check(),
 * QUDAG_ELIMIT, QUDAG_ENOMEM, QUDAG_EEXISTS (the program serves the tunnel protocol itself; or the own address of that
 * name is direct and |direct| not set, or not of |network|), QUDAG_ESTATE (the node is being freed), what save
 * returned: nothing has changed then, but that a new address may have been made.
 */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_expose_start(qudag_node *n, const qudag_expose_options *o,
                                                      char addr[QUDAG_DARK_TEXT_MAX]);
/*
 * Starts the services again that were saved with |keep|; after the calls of qudag_node_restore() for them, before
 * qudag_node_start().  One whose file is damaged, or whose address is gone, is left out and logged.  QUDAG_EINVAL,
 * QUDAG_ENOMEM, QUDAG_ELIMIT, QUDAG_EEXISTS (as above).
 */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_expose_resume(qudag_node *n);
/*
 * Stops the service |addr|, given by its address or its name: its connections are cut, it is not resumed, and callers
 * hear that it is offline (qudag_dark_unpublish(), unless its address was published by somebody else before).
 * Address and keys stay, for qudag_expose_start() or qudag_dark_forget(), which ends the service too.
 * QUDAG_ENOTFOUND, QUDAG_EINVAL, or what save returned: it runs on then.
 */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_expose_stop(qudag_node *n, const char *addr);

/* A service of this node. */
typedef struct qudag_expose_info {
    uint32_t size; /* set by the caller, see types.h */
    uint32_t ports_n;
    char addr[QUDAG_DARK_TEXT_MAX];
    char name[QUDAG_DARK_LABEL_MAX + 8];
    char port[QUDAG_EXPOSE_PORTS_MAX][QUDAG_EXPOSE_PORT_TEXT_MAX]; /* as given, in full */
    bool published;   /* its record is out and has not expired */
    bool keep, force; /* as given */
    bool direct;      /* kind of its address */
    uint8_t pad[4];
    uint32_t connections, connections_max; /* now; at most, its share counted */
    qudag_err publish_err;                 /* how the last attempt to publish ended */
    uint32_t pad2;
    uint64_t accepted;                          /* connections so far */
    uint64_t no_port, refused, unreached, full; /* streams that were answered so (spec/tunnel.md) */
    uint64_t evicted;                           /* connections that gave way to another caller's */
    uint64_t bytes_in, bytes_out;               /* from callers; to them */
} qudag_expose_info;
/* The services of this node, one after the other; false at the end, or if out->size is not set.  *it starts at 0. */
QUDAG_API bool qudag_expose_next(const qudag_node *n, size_t *it, qudag_expose_info *out);

#ifdef __cplusplus
}
#endif
#endif
