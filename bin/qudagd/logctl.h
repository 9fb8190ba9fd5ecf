/* logctl.h - levels of the log, while the daemon runs. */
#ifndef QUDAG_BIN_LOGCTL_H
#define QUDAG_BIN_LOGCTL_H

#include "control.h"

void logctl_list(struct request *rq); /* a row for each area with a level of its own, "all" first */
void logctl_level(struct request *rq); /* sets one, or "all"; level "default": none of its own */

#endif
