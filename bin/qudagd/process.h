/* process.h - [process]: when the daemon becomes whom, locks its memory, and gives up what it does not need. */
#ifndef QUDAG_BIN_PROCESS_H
#define QUDAG_BIN_PROCESS_H

#include "daemon.h"

/* Before any key is read: locked memory, the user.  False: d->state.why. */
bool process_begin(struct daemon *d, const char *dir);

/*
 * Before threads are begun and libuv's loop is made, which would keep a way around the filter (io_uring), when the
 * folder |d->state.dir| is open: files and system calls.  False: d->state.why.
 */
bool process_confine(struct daemon *d);

/* What to add to the error |err| of a file that was to be written: the sandbox, if it may be the cause, or "". */
const char *process_denied(const struct daemon *d, int err);

/* When all sockets are bound: what is left of root goes.  Logs what was given up.  False: d->state.why. */
bool process_ready(struct daemon *d);

#endif
