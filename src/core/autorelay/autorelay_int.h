/* autorelay_int.h - what the files of the core share: autorelay.c what is known, choice.c what follows. */
#ifndef QUDAG_SRC_CORE_AUTORELAY_AUTORELAY_INT_H
#define QUDAG_SRC_CORE_AUTORELAY_AUTORELAY_INT_H

#include "core/autorelay/autorelay.h"

/* The entry of |peer|, or NULL. */
struct autorelay_relay *autorelay_find(struct autorelay *a, const struct peer_id *peer);
/* |r| is in |state| from now on. */
void autorelay_enter(struct autorelay_relay *r, enum autorelay_state state, tstamp now);
/* It is not asked again before a pause, which failures make longer. */
void autorelay_pause(struct autorelay *a, struct autorelay_relay *r, bool was_steady, tstamp now);
/* A place at |r| is wanted no more. */
void autorelay_drop(struct autorelay_relay *r, tstamp now, struct acts *out);
/* Places that are held, or asked for. */
uint32_t autorelay_count(const struct autorelay *a);

#endif
