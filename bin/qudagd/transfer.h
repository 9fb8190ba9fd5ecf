/* transfer.h - the commands send and inbox, over the library's (<qudag/send.h>, <qudag/inbox.h>). */
#ifndef QUDAG_BIN_TRANSFER_H
#define QUDAG_BIN_TRANSFER_H

#include "control.h"

/* Receives into the folder of the configuration; a daemon_exit, d->state.why. */
int transfer_begin(struct daemon *d);

/* Begins a delivery for |rq|, which it ends, also when its client is gone. */
void transfer_send(struct request *rq);

/* The command that lists the inbox: a row for each entry; ends |rq|. */
void transfer_inbox(struct request *rq);

#endif
