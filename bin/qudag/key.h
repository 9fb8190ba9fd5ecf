/* key.h - the folder's keys while no daemon runs (keys.c), and the parts of "key" (cmd_key_move.c). */
#ifndef QUDAG_BIN_KEY_H
#define QUDAG_BIN_KEY_H

#include "common/passphrase.h"
#include "common/vault.h"
#include "tool.h"

/*
 * The passphrase of t->dir from the descriptor |fd| (text; NULL: none was named), else systemd's credential, else,
 * where the keys are encrypted, the terminal.  p->len 0: none is needed.  Not TOOL_OK: the user has been told.
 */
int key_passphrase(struct tool *t, const char *fd, struct passphrase *p);
/* t->dir is ours until the descriptor is closed; -1: a daemon runs, or it cannot be, and the user has been told. */
int key_lock(struct tool *t);
/* Opens the secret files of t->dir; not TOOL_OK: the user has been told. */
int key_open(struct tool *t, struct vault *v, const struct passphrase *p);

/* All that makes the node, in one file, and back. */
int key_export(struct tool *t, int argc, char **argv);
int key_import(struct tool *t, int argc, char **argv);

#endif
