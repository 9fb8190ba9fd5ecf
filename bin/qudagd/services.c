/* services.c - commands on services: what listens here, reachable at a dark address (qudag/expose.h). */
#include "services.h"

#include "report.h"
#include "rules.h"

#include <stdio.h>
#include <string.h>

static void service_row(struct request *rq, const qudag_expose_info *info)
{
    struct rec *r = request_rec(rq, REC_ROW);
    rec_str(r, "address", info->addr);
    rec_str(r, "name", info->name);
    rec_str(r, "kind", info->direct ? "direct" : "hidden");
    for (size_t ix = 0; ix < info->ports_n && ix < QUDAG_EXPOSE_PORTS_MAX; ix++) {
        rec_str(r, "ports", info->port[ix]);
    }
    rec_bool(r, "published", info->published);
    if (!info->published && info->publish_err != QUDAG_OK) {
        rec_str(r, "problem", qudag_strerror(info->publish_err));
        rec_str(r, "problem_code", qudag_err_name(info->publish_err));
    }
    rec_int(r, "connections", info->connections);
    rec_int(r, "connections_max", info->connections_max);
    rec_int(r, "accepted", (int64_t)info->accepted);
    rec_int(r, "no_port", (int64_t)info->no_port);
    rec_int(r, "refused", (int64_t)info->refused);
    rec_int(r, "unreached", (int64_t)info->unreached);
    rec_int(r, "full", (int64_t)info->full);
    rec_int(r, "evicted", (int64_t)info->evicted);
    rec_int(r, "bytes_in", (int64_t)info->bytes_in);
    rec_int(r, "bytes_out", (int64_t)info->bytes_out);
    request_send(rq);
}

/* The service of that address or name. */
static bool service_find(const struct request *rq, const char *text, qudag_expose_info *info)
{
    for (size_t it = 0; qudag_expose_next(rq->d->node, &it, info);) {
        if (text != NULL && (strcmp(info->addr, text) == 0 || strcmp(info->name, text) == 0)) {
            return true;
        }
    }
    return false;
}

static void no_such(struct request *rq)
{
    request_end(rq, TOOL_NOT_FOUND, "QUDAG_ENOTFOUND",
                "this node has no service of that name or address",
                "qudag expose list shows those it has");
}

void services_list(struct request *rq)
{
    qudag_expose_info info = QUDAG_INIT(qudag_expose_info);
    for (size_t it = 0; qudag_expose_next(rq->d->node, &it, &info);) {
        service_row(rq, &info);
    }
    request_end_err(rq, QUDAG_OK, "");
}

void services_status(struct request *rq)
{
    qudag_expose_info info = QUDAG_INIT(qudag_expose_info);
    if (!service_find(rq, rec_get_str(&rq->args, "service"), &info)) {
        no_such(rq);
        return;
    }
    service_row(rq, &info);
    request_end_err(rq, QUDAG_OK, "");
}

void services_remove(struct request *rq)
{
    const char *text = rec_get_str(&rq->args, "service");
    qudag_err err = qudag_expose_stop(rq->d->node, text != NULL ? text : "");
    if (err == QUDAG_ENOTFOUND) {
        no_such(rq);
        return;
    }
    request_end_err(rq, err, err == QUDAG_OK ? "" : "the service was not removed");
}

/* The ports that were asked for; how many, at most |max|. */
static uint32_t ports_of(const struct request *rq, const char **ports, uint32_t max)
{
    struct rec_field f;
    uint32_t n = 0;
    for (size_t it = 0; rec_next(&rq->args, &it, &f);) {
        if (f.kind == REC_STR && strcmp(f.name, "port") == 0) {
            if (n < max) {
                ports[n] = f.text;
            }
            n++;
        }
    }
    return n;
}

/* An own address has that label and is not to be used for it: see qudag_expose_start(). */
static void label_taken(struct request *rq, const char *name)
{
    qudag_dark_info info = QUDAG_INIT(qudag_dark_info);
    char text[160 + QUDAG_DARK_LABEL_MAX];

    for (size_t it = 0; qudag_dark_next(rq->d->node, &it, &info);) {
        if (strcmp(info.label, name) == 0) {
            (void)snprintf(
                text, sizeof(text),
                "%s is a dark address of this node already, %s: whoever has it %s", name,
                info.kind == QUDAG_DARK_DIRECT ? "of the direct kind" : "of another network",
                info.kind == QUDAG_DARK_DIRECT ? "can find this machine" : "looks for it there");
            request_end(rq, TOOL_REFUSED, "QUDAG_EEXISTS", text,
                        info.kind == QUDAG_DARK_DIRECT
                            ? "choose another --name, or add --direct if that is what you want"
                            : "choose another --name");
            return;
        }
    }
    request_end_err(rq, QUDAG_EEXISTS, "the service was not started");
}

void services_start(struct request *rq)
{
    const char *ports[QUDAG_EXPOSE_PORTS_MAX];
    char addr[QUDAG_DARK_TEXT_MAX], why[QUDAG_EXPOSE_WHY_MAX];
    qudag_expose_info info = QUDAG_INIT(qudag_expose_info);
    qudag_expose_options o = {.size = sizeof(o),
                              .ports = ports,
                              .ports_n = ports_of(rq, ports, QUDAG_EXPOSE_PORTS_MAX),
                              .name = rec_get_str(&rq->args, "name"),
                              .connections_max = 0,
                              .network = rq->d->conf.v[CONF_LAB].num != 0 ? QUDAG_DARK_LAB
                                                                          : QUDAG_DARK_MAIN,
                              .force = rec_get_bool(&rq->args, "force"),
                              .keep = true,
                              .direct = rec_get_bool(&rq->args, "direct")};
    qudag_err err = qudag_expose_check(&o, why, sizeof(why));
    if (err == QUDAG_OK && rules_share_label(o.name)) {
        request_end(rq, TOOL_USAGE, "QUDAG_EINVAL",
                    "that name is one of those of qudag share, whose keys are destroyed",
                    "choose another --name");
        return;
    }
    if (err != QUDAG_OK) {
        request_end(rq, err == QUDAG_EPOLICY ? TOOL_REFUSED : TOOL_USAGE, qudag_err_name(err), why,
                    err == QUDAG_EPOLICY ? "if that is what you want, add --force"
                                         : "qudag help expose shows an example");
        return;
    }
    err = qudag_expose_start(rq->d->node, &o, addr);
    if (err == QUDAG_ELIMIT) {
        request_end(rq, TOOL_FAILED, qudag_err_name(err),
                    "this node has as many services as it can",
                    "qudag expose remove NAME ends one");
        return;
    }
    if (err == QUDAG_EEXISTS) {
        label_taken(rq, o.name);
        return;
    }
    if (err == QUDAG_OK && service_find(rq, addr, &info)) {
        service_row(rq, &info);
    }
    request_end_err(rq, err, err == QUDAG_OK ? "" : "the service was not started");
}
