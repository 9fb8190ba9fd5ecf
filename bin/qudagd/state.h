/*
 * state.h - the folder of one node: DIR
 *
 *   DIR/lock           held while a daemon lives; its pid
 *   DIR/identity       the keys, 0600; made on the first start, never overwritten
 *   DIR/state/NAME     what the node asked to keep (dark addresses, ...)
 *   DIR/control.sock   where the tool asks (control.h)
 *   DIR/inbox/         what was received (inbox.h)
 *   DIR/qudag.conf     the configuration, if there is one
 */
#ifndef QUDAG_BIN_STATE_H
#define QUDAG_BIN_STATE_H

#include "common/exits.h"
#include "common/fileio.h"

#include <qudag/qudag.h>

#define STATE_WHY_LEN 4200
#define STATE_ITEM_MAX 65536

struct state {
    char dir[PATH_LEN];
    int lock_fd;
    bool created;            /* the identity was made by this start */
    uint8_t secret[32];      /* derived from the identity, for the programs' own use */
    char why[STATE_WHY_LEN]; /* after a failure: cause and what to do */
};

/* Makes the folder, takes the lock. */
enum daemon_exit state_open(struct state *s, const char *dir);
void state_close(struct state *s);
/* Loads the identity or makes one; *out is freed by qudag_identity_free. */
enum daemon_exit state_identity(struct state *s, qudag_identity **out);
/* Gives the node back what it had asked to keep. */
enum daemon_exit state_restore(struct state *s, qudag_node *n);
/* qudag_callbacks.save; QUDAG_ESYSTEM: s->why says the cause. */
qudag_err state_save(struct state *s, const char *name, qudag_slice bytes);

#endif
