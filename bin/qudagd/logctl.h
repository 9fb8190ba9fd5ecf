/* logctl.h - levels of the log, while the daemon runs. */
#ifndef QUDAG_BIN_LOGCTL_H
#define QUDAG_BIN_LOGCTL_H

#include "control.h"

/* Sets level and levels of |l| as the configuration has them. */
void logctl_configured(struct logsink *l, const struct conf *c);

void logctl_list(struct request *rq); /* a row for each area with a level of its own, "all" first */
void logctl_level(
    struct request *rq); /* sets one, or "all"; level "default": as the configuration has it */

#endif
