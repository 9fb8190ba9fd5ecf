/*
 * upnp.h - UPnP IGD, by libminiupnpc, whose calls wait: on a thread of its own, one thing after the other.
 *
 * Spoken to is the default gateway and nobody else: a description, or the address of a service in one, that leads
 * elsewhere is not followed, so that no host in the network makes this one send requests to others.  The search is a
 * multicast at the interface of the address that is to be mapped.
 */
#ifndef QUDAG_SRC_IO_UPNP_H
#define QUDAG_SRC_IO_UPNP_H

#include "io/io.h"

#define UPNP_JOBS_MAX 16
#define UPNP_END_MS 2000 /* that upnp_free() waits for what is to be removed */

struct upnp;

/*
 * Called on the loop's thread of |io|: what came of the job |id|; not of one that removes.  False: the router is to
 * have nothing open for us any more, and what the job opened is closed again.
 */
typedef bool (*upnp_done)(void *ctx, uint64_t id, const struct portmap_upnp_answer *a);

/* |io| is borrowed.  ENOMEM, ESYSTEM: the thread. */
QUDAG_MUST_USE qudag_err upnp_new(struct upnp **out, struct io *io, upnp_done done, void *ctx);
/*
 * After io_shutdown(), before io_free().  What is to be removed at the router is, and what is being opened there right
 * now is closed again, if that takes no longer than UPNP_END_MS; a thread that hangs is left alone, and does it, and
 * ends, by itself.  Nothing is called any more; NULL is allowed.
 */
void upnp_free(struct upnp *u);
/* Does |what|, which is copied.  ELIMIT, ENOMEM. */
QUDAG_MUST_USE qudag_err upnp_add(struct upnp *u, const struct portmap_upnp *what);

/*
 * Whether |url| ("http://HOST:PORT/...") is the gateway's: HOST is its address, no name; of IPv6, where the gateway is
 * known by its link-local address, any address of that link: link-local, or in the /64 of |own|.  At most 256 printable
 * bytes; no query but "?content=uuid:..." and "?control=uuid:...": whoever answers a search chooses what is fetched.
 */
bool upnp_rule_url(const char *url, const struct netaddr *gateway, const struct netaddr *own);

#endif
