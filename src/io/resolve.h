/*
 * resolve.h - questions to name servers, by c-ares: hosts(5) and resolv.conf(5) as for other programs.
 *
 * Names are asked for as they are, no domain is searched.  Nothing is remembered between questions; the configuration
 * is read again whenever there was nothing to ask for a while, as networks change.
 */
#ifndef QUDAG_SRC_IO_RESOLVE_H
#define QUDAG_SRC_IO_RESOLVE_H

#include "core/names/names.h"
#include "io/io.h"

#define RESOLVE_QUESTIONS_MAX 256 /* under way */
#define RESOLVE_TRY_MS 1500       /* until a server is asked again, or the next one */
#define RESOLVE_TRIES 2           /* of each server; c-ares takes longer for each */
#define RESOLVE_RECORD_MAX 1024   /* bytes of a record; longer ones are left out */

struct resolve;

/*
 * Called on the loop's thread of |io|, never from within resolve_add(): as node_resolved().  Not for a question that
 * was dropped.
 */
typedef void (*resolve_done)(void *ctx, uint64_t id, qudag_err err, const struct slice *records,
                             size_t n);

/* |io| is borrowed.  ENOMEM, ESYSTEM. */
QUDAG_MUST_USE qudag_err resolve_new(struct resolve **out, struct io *io, resolve_done done,
                                     void *ctx);
/* After io_shutdown(), before io_free(), which closes its handles.  Nothing is called any more; NULL is allowed. */
void resolve_free(struct resolve *r);

/* Asks; |id| is that of no other question under way.  ELIMIT, ENOMEM, ESYSTEM. */
QUDAG_MUST_USE qudag_err resolve_add(struct resolve *r, uint64_t id, enum names_kind kind,
                                     const char *name);
/* Its answer is not needed any more; nothing for one that there is not.  NULL is allowed. */
void resolve_drop(struct resolve *r, uint64_t id);

/* For tests: these servers, "ADDRESS:PORT,..." (borrowed), are asked from the next question on. */
void resolve_servers(struct resolve *r, const char *csv);

#endif
