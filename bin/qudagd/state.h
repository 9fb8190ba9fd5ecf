/*
 * state.h - the folder of one node: DIR
 *
 *   DIR/lock           held while a daemon lives; its pid
 *   DIR/keyring        the data key under a passphrase; there where the secret files are encrypted (common/vault.h)
 *   DIR/identity       the keys, 0600; made on the first start, never overwritten
 *   DIR/origin         of which machine and file the identity is, keyed: distinguishes a copied folder from the first
 *   DIR/network        "lab" or "normal": the kind of network the folder was made for
 *   DIR/state/NAME     what the node persists (dark addresses, ...)
 *   DIR/control.sock   where the tool asks (control.h)
 *   DIR/inbox/         what was received (inbox.h)
 *   DIR/qudag.conf     the configuration, if there is one
 */
#ifndef QUDAG_BIN_STATE_H
#define QUDAG_BIN_STATE_H

#include "common/exits.h"
#include "common/fileio.h"
#include "common/passphrase.h"
#include "common/vault.h"
#include "log.h"

#include <qudag/qudag.h>

#define STATE_WHY_LEN 4200
#define STATE_ITEM_MAX VAULT_ITEM_MAX

struct state {
    char dir[PATH_LEN];
    int lock_fd;
    struct vault vault;      /* its secret files */
    bool created;            /* the identity was made by this start */
    bool copied;             /* the folder is not where it was at the last start */
    uint8_t secret[32];      /* derived from the identity, for the programs' own use */
    char why[STATE_WHY_LEN]; /* after a failure: cause and what to do */
    size_t unsaved; /* bytes of the largest item that could not be written since one was; 0: none */
};

/*
 * Takes the lock on |dir|, which is made with mode 0700 if there is none.  The mode of an existing folder is never
 * changed: one that others can write to, or that another user owns, is refused (rules_state_folder).
 */
enum daemon_exit state_open(struct state *s, const char *dir);

/*
 * Opens the secret files with |passphrase| (of length 0: none); a plain folder that one is given for is encrypted.
 * DAEMON_STATE: they are encrypted and it is missing or another one.
 */
enum daemon_exit state_unlock(struct state *s, const struct passphrase *passphrase);

/* Lets go of the lock and wipes the secrets. */
void state_close(struct state *s);

/*
 * Loads the identity or makes one; *out is freed by qudag_identity_free.  DAEMON_STATE: it is open to others, no plain
 * file or damaged; or it is missing where other state of a node is, or the folder |store| ("": there is none) with
 * what one published, which a new identity would be linked to.
 */
enum daemon_exit state_identity(struct state *s, const char *store, qudag_identity **out);
/* s->why: |store| is another identity's. */
void state_foreign_store(struct state *s, const char *store);
/*
 * Whether the folder was copied, moved to another file system or restored since the last start; s->copied says so from
 * then on, which is logged once.  If the first one is still in use, two nodes have one identity, and peers reach
 * only one of them.  After state_identity.
 */
void state_origin(struct state *s, struct logsink *log);
/*
 * Hands the node what it persisted; items that are not ours are skipped and logged.  DAEMON_USAGE: the
 * folder belongs to the other kind of network than |lab| says.
 */
enum daemon_exit state_restore(struct state *s, qudag_node *n, bool lab, struct logsink *log);
/* qudag_callbacks.save; QUDAG_ESYSTEM: s->why says the cause. */
qudag_err state_save(struct state *s, const char *name, qudag_slice bytes);
/*
 * Whether items can be written.  True while none has failed; after one has, it is tried with a file as large as that
 * one, which does not stay.  False: s->why says the cause.
 */
bool state_saves(struct state *s);

#endif
