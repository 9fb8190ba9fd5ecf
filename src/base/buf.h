/*
 * buf.h - bytes with several holders: nobody copies them, and who lets go last gives them back.
 *
 *   buf_init: 1 ─ buf_ref ─▶ 2 ... ─ buf_drop ─▶ 0: gone()
 *
 * The bytes are not in here: whoever passes a slice along with a struct buf says that they stay where they are, and
 * as they are, while somebody holds it.
 */
#ifndef QUDAG_SRC_BASE_BUF_H
#define QUDAG_SRC_BASE_BUF_H

#include "base/assert.h"
#include "base/types.h"

struct buf {
    void (*gone)(struct buf *b); /* nobody holds it any more; it may be used for something else */
    struct buf *next;            /* in the one list that has it, such as that of an action list */
    size_t size; /* bytes of memory that stay because of it, as far as that is known; else 0 */
    uint32_t refs;
    bool listed;
};

/* One holder, who calls buf_drop(). */
static inline void buf_init(struct buf *b, void (*gone)(struct buf *b))
{
    *b = (struct buf){.gone = gone, .refs = 1};
}

/* One more holder. */
static inline struct buf *buf_ref(struct buf *b)
{
    ASSERT(b->refs > 0 && b->refs < UINT32_MAX);
    b->refs++;
    return b;
}

/* One holder less (NULL allowed).  May call gone(), after which |b| is not to be used. */
static inline void buf_drop(struct buf *b)
{
    if (b != NULL) {
        ASSERT(b->refs > 0);
        if (--b->refs == 0) {
            b->gone(b);
        }
    }
}

#endif
