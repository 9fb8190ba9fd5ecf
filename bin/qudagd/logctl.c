/* logctl.c - levels of the log, while the daemon runs. */
#include "logctl.h"

#include <string.h>

static const char *const levels[] = {"error", "warn", "info", "debug"};
#define LEVELS (sizeof(levels) / sizeof(levels[0]))

static void row(struct request *rq, const char *area, qudag_log_level level)
{
    struct rec *r = request_rec(rq, REC_ROW);
    rec_str(r, "area", area);
    rec_str(r, "level", levels[(unsigned)level & 3]);
    request_send(rq);
}

void logctl_list(struct request *rq)
{
    const struct logsink *l = &rq->d->log;
    row(rq, "all", l->level);
    for (size_t ix = 0; ix < l->areas.n; ix++) {
        row(rq, l->areas.area[ix].name, l->areas.area[ix].level);
    }
    request_end_err(rq, QUDAG_OK, "");
}

void logctl_level(struct request *rq)
{
    const char *area = rec_get_str(&rq->args, "area"), *level = rec_get_str(&rq->args, "level");
    struct logsink *l = &rq->d->log;
    size_t ix = 0;
    bool clear = level != NULL && strcmp(level, "default") == 0;
    while (level != NULL && ix < LEVELS && strcmp(levels[ix], level) != 0) {
        ix++;
    }
    if (area == NULL || level == NULL || (ix == LEVELS && !clear)) {
        request_end(rq, TOOL_USAGE, "QUDAG_EINVAL",
                    "a level is one of error, warn, info, debug, default", "qudag help log");
        return;
    }
    bool all = strcmp(area, "all") == 0, ok = true;
    if (all) {
        l->level = clear ? (qudag_log_level)rq->d->conf.v[CONF_LOG_LEVEL].num : (qudag_log_level)ix;
    } else if (clear) {
        log_areas_clear(&l->areas, area);
    } else {
        ok = log_areas_set(&l->areas, area, (qudag_log_level)ix);
    }
    if (!ok) {
        request_end(rq, TOOL_USAGE, "QUDAG_EINVAL",
                    "an area is what log lines begin with, up to the dot, as kad or link; at most "
                    "16 have a level of their own",
                    "qudag log lists them; level default takes one away");
        return;
    }
    log_say(l, QUDAG_LOG_INFO, "log.level", "%s: %s", area, level);
    request_end_err(rq, QUDAG_OK, "");
}
