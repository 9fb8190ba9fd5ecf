/* logctl.c - levels of the log, while the daemon runs. */
#include "logctl.h"

#include <string.h>

static void row(struct request *rq, const char *area, qudag_log_level level)
{
    struct rec *r = request_rec(rq, REC_ROW);
    rec_str(r, "area", area);
    rec_str(r, "level", log_level_name(level));
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

void logctl_configured(struct logsink *l, const struct conf *c)
{
    const struct conf_value *v = &c->v[CONF_LOG_LEVELS];
    char area[LOG_AREA_LEN], why[64];
    qudag_log_level level;

    l->level = (qudag_log_level)c->v[CONF_LOG_LEVEL].num;
    l->areas.n = 0;
    for (size_t ix = 0; ix < v->n; ix++) { /* the configuration was checked when it was read */
        if (log_area_parse(v->list[ix], area, &level, why, sizeof(why))) {
            (void)log_areas_set(&l->areas, area, level);
        }
    }
}

/* |area|, or all, as the configuration has it. */
static void as_configured(struct request *rq, const char *area)
{
    struct logsink *l = &rq->d->log, fresh = {.fd = -1};

    logctl_configured(&fresh, &rq->d->conf);
    if (strcmp(area, "all") == 0) {
        l->level = fresh.level;
        return;
    }
    log_areas_clear(&l->areas, area);
    for (size_t ix = 0; ix < fresh.areas.n; ix++) {
        if (strcmp(fresh.areas.area[ix].name, area) == 0) {
            (void)log_areas_set(&l->areas, area, fresh.areas.area[ix].level);
        }
    }
}

void logctl_level(struct request *rq)
{
    const char *area = rec_get_str(&rq->args, "area"), *text = rec_get_str(&rq->args, "level");
    struct logsink *l = &rq->d->log;
    qudag_log_level level = QUDAG_LOG_INFO;
    char why[LOG_WHY_LEN];

    bool configured = text != NULL && strcmp(text, "default") == 0;
    if (area == NULL || text == NULL || (!configured && !log_level_parse(text, &level))) {
        request_end(rq, TOOL_USAGE, "QUDAG_EINVAL",
                    "a level is one of error, warn, info, debug, default", "qudag help log");
        return;
    }
    bool all = strcmp(area, "all") == 0;
    if (!all && !log_area_known(area)) {
        log_area_unknown(area, why, sizeof(why));
        request_end(rq, TOOL_USAGE, "QUDAG_EINVAL", why, "\"all\" is the level of all others");
        return;
    }
    if (configured) {
        as_configured(rq, area);
    } else if (all) {
        l->level = level;
    } else {
        (void)log_areas_set(&l->areas, area, level);
    }
    log_say(l, QUDAG_LOG_INFO, "log.level", "%s: %s", area, text);
    request_end_err(rq, QUDAG_OK, "");
}
