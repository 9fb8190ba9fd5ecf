/* share.c - shares: services that last as long as a connection to the daemon. */
#include "share.h"

#include "rules.h"

#include "common/share.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SWEEP_S 60 /* an address that could not be forgotten is tried again */

struct share {
    char addr[QUDAG_DARK_TEXT_MAX], label[RULES_SHARE_LABEL_LEN + 1], socket[PATH_LEN];
    bool shown;
    qudag_err told; /* the problem that the client knows of */
};

/* The service at |addr|; false: it is gone. */
static bool service_of(const qudag_node *n, const char *addr, qudag_expose_info *info)
{
    for (size_t it = 0; qudag_expose_next(n, &it, info);) {
        if (strcmp(info->addr, addr) == 0) {
            return true;
        }
    }
    return false;
}

static size_t running(const qudag_node *n)
{
    qudag_expose_info info = QUDAG_INIT(qudag_expose_info);
    size_t count = 0;
    for (size_t it = 0; qudag_expose_next(n, &it, &info);) {
        count += rules_share_label(info.name);
    }
    return count;
}

/* ------------------------------------------------------------------ the end */

/* Nobody is let in from now on; share_tick() sees to the keys. */
static void share_stop(struct daemon *d, struct share *s)
{
    qudag_err err = qudag_expose_stop(d->node, s->addr);
    if (err != QUDAG_OK && err != QUDAG_ENOTFOUND) { /* the latter: the user was quicker */
        log_say(&d->log, QUDAG_LOG_WARN, "share.stop", "a share that has ended was not stopped: %s",
                qudag_strerror(err));
    }
    (void)unlink(s->socket);
    d->share_sweep_ns = 0;
    free(s);
}

static void on_gone(struct request *rq)
{
    share_stop(rq->d, rq->job);
    request_end(rq, TOOL_OK, "", "", "");
}

static void on_tick(struct request *rq)
{
    struct share *s = rq->job;
    qudag_expose_info info = QUDAG_INIT(qudag_expose_info);
    if (rq->d->stopping) { /* its record is to be withdrawn before the node ends */
        share_stop(rq->d, s);
        request_end(rq, TOOL_FAILED, "STOPPING", "the daemon is stopping", "");
        return;
    }
    if (!service_of(rq->d->node, s->addr, &info)) {
        share_stop(rq->d, s);
        request_end(rq, TOOL_FAILED, "REMOVED", "the service of this share was removed",
                    "share it again: at a new address");
        return;
    }
    if (!s->shown && info.published) {
        s->shown = true;
        rec_str(request_rec(rq, REC_ROW), "address", s->addr);
        request_send(rq);
    } else if (!s->shown && info.publish_err == QUDAG_ESMALLNET) {
        share_stop(rq->d, s);
        request_end_err(rq, QUDAG_ESMALLNET, "the share");
    } else if (!s->shown && info.publish_err != s->told) {
        struct rec *r = request_rec(rq, REC_PROGRESS);
        s->told = info.publish_err;
        rec_str(r, "state", "publishing");
        rec_str(r, "problem", s->told == QUDAG_OK ? "" : qudag_strerror(s->told));
        request_send(rq);
    }
}

/* Own addresses of shares of which none runs; at most SHARE_SWEEP_MAX. */
static size_t left_over(const qudag_node *n, char addr[SHARE_SWEEP_MAX][QUDAG_DARK_TEXT_MAX])
{
    qudag_dark_info info = QUDAG_INIT(qudag_dark_info);
    qudag_expose_info service = QUDAG_INIT(qudag_expose_info);
    size_t count = 0;
    for (size_t it = 0; count < SHARE_SWEEP_MAX && qudag_dark_next(n, &it, &info);) {
        if (rules_share_over(info.label, service_of(n, info.addr, &service))) {
            memcpy(addr[count++], info.addr, QUDAG_DARK_TEXT_MAX);
        }
    }
    return count;
}

static bool is_ready(const struct daemon *d)
{
    return d->n_phases > 0 && d->phases[d->n_phases - 1].phase == QUDAG_PHASE_READY;
}

/* Withdraws the records of shares that have ended and destroys their keys. */
static void sweep(struct daemon *d)
{
    char addr[SHARE_SWEEP_MAX][QUDAG_DARK_TEXT_MAX];
    size_t n = left_over(d->node, addr);
    for (size_t ix = 0; ix < n; ix++) {
        d->share_forget[ix].id = 0;
        qudag_err err = qudag_dark_forget(d->node, addr[ix], &d->share_forget[ix]);
        if (err != QUDAG_OK && err != QUDAG_ENOTFOUND) {
            log_say(&d->log, QUDAG_LOG_WARN, "share.forget",
                    "an address of a share that has ended was not forgotten yet: %s",
                    qudag_strerror(err));
        }
    }
}

void share_tick(struct daemon *d, uint64_t now_ns)
{
    if (!is_ready(d) || now_ns < d->share_sweep_ns) {
        return;
    }
    sweep(d);
    d->share_sweep_ns = now_ns + SWEEP_S * UINT64_C(1000000000);
}

void share_op_done(struct daemon *d, qudag_op op)
{
    for (size_t ix = 0; ix < SHARE_SWEEP_MAX; ix++) {
        if (d->share_forget[ix].id == op.id) {
            d->share_forget[ix].id = 0;
        }
    }
}

static bool withdrawing(const struct daemon *d)
{
    for (size_t ix = 0; ix < SHARE_SWEEP_MAX; ix++) {
        if (d->share_forget[ix].id != 0) {
            return true;
        }
    }
    return false;
}

void share_ending(struct daemon *d)
{
    if (is_ready(d) && !withdrawing(d)) {
        sweep(d); /* and again, as there may be more than one sweep takes */
    }
}

void share_begin(struct daemon *d)
{
    char path[PATH_LEN];
    struct stat st;
    const struct dirent *e;
    DIR *list = opendir(d->state.dir);
    while (list != NULL && (e = readdir(list)) != NULL) {
        if (rules_share_socket(e->d_name) && path_join(path, d->state.dir, e->d_name) &&
            lstat(path, &st) == 0 && S_ISSOCK(st.st_mode)) {
            (void)unlink(path);
        }
    }
    if (list != NULL) {
        (void)closedir(list);
    }
}

/* ------------------------------------------------------------------ the beginning */

static qudag_err make_label(char out[RULES_SHARE_LABEL_LEN + 1])
{
    uint8_t random[12];
    if (uv_random(NULL, NULL, random, sizeof(random), 0, NULL) != 0) {
        return QUDAG_ESYSTEM;
    }
    int at = snprintf(out, RULES_SHARE_LABEL_LEN + 1, "share-");
    for (size_t ix = 0; ix < sizeof(random); ix++) {
        at += snprintf(out + at, 3, "%02x", random[ix]);
    }
    return QUDAG_OK;
}

static qudag_err expose(const struct daemon *d, struct share *s)
{
    char port[QUDAG_EXPOSE_PORT_TEXT_MAX];
    const char *ports[1] = {port};
    qudag_expose_options o = {.size = sizeof(o),
                              .ports = ports,
                              .ports_n = 1,
                              .name = s->label,
                              .connections_max = SHARE_PLACES,
                              .network =
                                  d->conf.v[CONF_LAB].num != 0 ? QUDAG_DARK_LAB : QUDAG_DARK_MAIN};
    int n = snprintf(port, sizeof(port), "80:unix:%s", s->socket);
    qudag_err err = n > 0 && n < (int)sizeof(port) ? make_label(s->label) : QUDAG_EINVAL;
    return err == QUDAG_OK ? qudag_expose_start(d->node, &o, s->addr) : err;
}

void share_start(struct request *rq)
{
    struct daemon *d = rq->d;
    const char *name = rec_get_str(&rq->args, "socket");
    if (!rules_share_fits(running(d->node), control_places(d->control))) {
        request_end(rq, TOOL_FAILED, "QUDAG_ELIMIT", "this node has as many shares as it can",
                    "end one of them: qudag expose list shows them as share-...");
        return;
    }
    struct share *s = calloc(1, sizeof(*s));
    if (s == NULL) {
        request_end_err(rq, QUDAG_ENOMEM, "share");
        return;
    }
    qudag_err err = QUDAG_EINVAL;
    if (name != NULL && rules_share_socket(name) && path_join(s->socket, d->state.dir, name)) {
        err = expose(d, s);
    }
    if (err != QUDAG_OK) {
        free(s);
        request_end_err(rq, err, "the share was not started");
        return;
    }
    rq->job = s;
    rq->abandon = on_gone;
    rq->tick = on_tick;
}
