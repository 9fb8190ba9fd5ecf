/*
 * share_once.h - which bytes of a share have been taken, and whether a share that ends once it was taken has ended.
 *
 *   SHARING ── every byte of every file was taken ──▶ WHOLE ── confirmed, or nothing is asked for a while ──▶ over
 *
 * That bytes were handed over does not mean that they arrived: who was cut off asks again, and until then it is waited.
 */
#ifndef QUDAG_BIN_SHARE_ONCE_H
#define QUDAG_BIN_SHARE_ONCE_H

#include "share_tree.h"

#define SHARE_PARTS_MAX                                                                            \
    64 /* separate parts of one file that are remembered; one that joins none is forgotten then */
#define SHARE_QUIET_NS UINT64_C(30000000000) /* without a request, once all was handed over */

struct share_once;

/* What is to be taken: |files|, as they are now.  NULL: out of memory. */
struct share_once *share_once_new(const struct share_files *files);
void share_once_free(struct share_once *o);

/* Bytes |from| to |to| of the file |path|, which has |size| now, were handed over; |from| == |to|: an empty file. */
void share_once_given(struct share_once *o, const char *path, uint64_t size, uint64_t from,
                      uint64_t to);

/* Whether each file was handed over whole. */
bool share_once_whole(const struct share_once *o);

/*
 * Whether the share is over: no file is being given to anybody (|giving|: to how many), and either the taker
 * |confirmed| it or the last request ended |quiet_ns| ago.  Who reads a page or the list slowly does not hold it open.
 */
bool share_once_over(const struct share_once *o, bool confirmed, unsigned giving,
                     uint64_t quiet_ns);

#endif
