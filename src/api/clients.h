/*
 * clients.h - clients: parts of the library that use a node as a program does, beside the program (src/app).
 *
 *   api_client_new ─▶ serves protocols; takes streams and requests it began as its own ─▶ their events reach its
 *   callbacks, not the program's ─▶ |end|, once, when the node is freed
 *
 * A client calls the functions of <qudag/...> like any program, and what here is beside them.  Phases, and
 * peers that come and go, reach all clients and the program; what belongs to nobody is the program's.
 */
#ifndef QUDAG_SRC_API_CLIENTS_H
#define QUDAG_SRC_API_CLIENTS_H

#include <qudag/qudag.h>

#include "base/logrec.h"
#include "base/mem.h"

struct api_client;
struct uv_loop_s;

#define API_CLIENTS_MAX 8        /* of one node, and one of each kind */
#define API_PROTOCOLS_MAX 4      /* served by one client */
#define API_KEPT_PREFIX "app-"   /* names of what clients keep on disk */
#define API_KEPT_MAX 256         /* things restored at a start */
#define API_KEPT_BYTES_MAX 65536 /* in one of them */
#define API_KEPT_NAME_MAX 100    /* bytes of its name */

/*
 * A client of |n| whose events go to |cb| with |user| as their last argument; |cb| must outlive the node, and its
 * |save| is not used.  |end| (not NULL) is called when the node begins to be freed, while every function still
 * works: there the client closes its uv handles and frees |user|; nothing is called after it.
 * QUDAG_EEXISTS (a client with these callbacks), QUDAG_ELIMIT, QUDAG_ENOMEM, QUDAG_ESTATE (the node is being freed).
 */
QUDAG_MUST_USE qudag_err api_client_new(struct api_client **out, qudag_node *n,
                                        const qudag_callbacks *cb, void (*end)(void *user),
                                        void *user);
/* The |user| of the client of |n| with the callbacks |cb|; NULL: there is none. */
void *api_client_user(const qudag_node *n, const qudag_callbacks *cb);
/*
 * qudag_protocol_serve_dark() for the client; |proto| is borrowed until the node is freed.  Errors of that function,
 * and QUDAG_ELIMIT for more than API_PROTOCOLS_MAX.
 */
QUDAG_MUST_USE qudag_err api_client_serve_dark(struct api_client *c, const char *proto);
/*
 * The same for streams that come over links, also limited ones, of a protocol that only allowed peers may use
 * (api_allows(), which the client asks).  Once more: nothing.
 */
QUDAG_MUST_USE qudag_err api_client_serve_allowed(struct api_client *c, const char *proto);
/* Peers that may use those protocols.  QUDAG_EINVAL: nobody, or this node; QUDAG_ELIMIT: QUDAG_INBOX_ALLOWED_MAX. */
QUDAG_MUST_USE qudag_err api_allow(qudag_node *n, const qudag_peer_id *peer);
/* QUDAG_ENOTFOUND. */
QUDAG_MUST_USE qudag_err api_disallow(qudag_node *n, const qudag_peer_id *peer);
/* Whether |peer| is one of them. */
bool api_allows(const qudag_node *n, const qudag_peer_id *peer);
/* One after the other, *it from 0; false at the end. */
bool api_allowed_next(const qudag_node *n, size_t *it, qudag_peer_id *out);
/* Whether another stream to the peer of |s| would run over a link of another kind: node_stream_moves(). */
bool api_stream_moves(const qudag_node *n, qudag_stream s);
/* The stream |s|, just opened by the client, is its own.  QUDAG_ESTALE. */
QUDAG_MUST_USE qudag_err api_client_stream(struct api_client *c, qudag_stream s);
/* The stream |s| of the client is the program's from now on. */
void api_client_release(struct api_client *c, qudag_stream s);
/* The request |op|, just made by the client, is its own: op_done reaches it.  QUDAG_ESTALE. */
QUDAG_MUST_USE qudag_err api_client_op(struct api_client *c, qudag_op op);

/* The program's callbacks, and their last argument. */
const qudag_callbacks *api_program(const qudag_node *n, void **user);

/* The loop on which |n| lives; handles on it are closed in |end| at the latest. */
struct uv_loop_s *api_loop(const qudag_node *n);
/*
 * The allocator of |n|, for what is freed in |end| at the latest.  What a uv handle needs until its close callback
 * is not: with a loop of the program that callback comes after the node is gone.
 */
struct mem *api_mem(qudag_node *n);
/* Where |n| logs. */
const struct logger *api_logger(const qudag_node *n);
/* Monotonic time of the node's loop, ns. */
qudag_ns api_now(void);
/* Milliseconds since 1970, as this machine's clock shows. */
int64_t api_wall_ms(void);
/* Random bytes of the kernel's. */
void api_random(void *out, size_t len);

/*
 * Keeps |bytes| on disk under |name|, which begins with API_KEPT_PREFIX, by the program's callback save; length 0:
 * removes it.  What save returns; QUDAG_OK where the program has none.  QUDAG_EINVAL: name or size.
 */
QUDAG_MUST_USE qudag_err api_save(qudag_node *n, const char *name, qudag_slice bytes);
/*
 * The things under names that begin with |prefix|, as the program gave them to qudag_node_restore(), one for each call
 * with *it from 0; false: no more.  *name and *bytes are borrowed until the node is freed.
 */
bool api_kept_next(const qudag_node *n, const char *prefix, size_t *it, const char **name,
                   qudag_slice *bytes);

#endif
