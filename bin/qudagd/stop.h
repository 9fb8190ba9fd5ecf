/* stop.h - the command stop. */
#ifndef QUDAG_BIN_STOP_H
#define QUDAG_BIN_STOP_H

#include "control.h"

/* Ends the daemon ("now": at once), says what is waited for, and ends when that is over. */
void stop_run(struct request *rq);
/* Whether |cmd| is refused while the daemon ends: whatever makes something new. */
bool stop_refuses(const struct command *cmd);

#endif
