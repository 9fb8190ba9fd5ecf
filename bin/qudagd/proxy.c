/* proxy.c - the proxy and the petnames of the daemon. */
#include "proxy.h"
#include "scrape_rules.h"

#include <string.h>

#define LAB_LISTEN "127.0.0.1:0" /* many nodes of a lab are on one machine */

/* ------------------------------------------------------------------ the proxy */

static qudag_err on_petname(void *user, const char *name, char addr[QUDAG_DARK_TEXT_MAX])
{
    const struct daemon *d = user;
    const char *found = names_find(&d->names, name);

    if (found == NULL) {
        return QUDAG_ENOTFOUND;
    }
    (void)snprintf(addr, QUDAG_DARK_TEXT_MAX, "%s", found);
    return QUDAG_OK;
}

bool proxy_check(const struct conf *c, char *why, size_t why_len)
{
    const char *listen = c->v[CONF_PROXY_LISTEN].text;
    struct scrape_place place; /* its rule: loopback, with a port */
    if (strcmp(listen, "auto") == 0 || strcmp(listen, "off") == 0 ||
        c->v[CONF_PROXY_REMOTE].num != 0 ||
        (scrape_place(listen, &place, why, why_len) && !place.local)) {
        return true;
    }
    (void)snprintf(
        why, why_len,
        "[proxy] listen: %.100s is not an address of this machine alone, with a port; give "
        "127.0.0.1:PORT or [::1]:PORT, or let other machines use it: [proxy] remote = yes",
        listen);
    return false;
}

int proxy_begin(struct daemon *d)
{
    const struct conf_value *listen = &d->conf.v[CONF_PROXY_LISTEN];
    bool usual = strcmp(listen->text, "auto") == 0;
    qudag_proxy_options o = {.size = sizeof(o),
                             .listen = !usual                         ? listen->text
                                       : d->conf.v[CONF_LAB].num != 0 ? LAB_LISTEN
                                                                      : QUDAG_PROXY_LISTEN_DEFAULT,
                             .remote = d->conf.v[CONF_PROXY_REMOTE].num != 0,
                             .connections_max = (uint32_t)d->conf.v[CONF_PROXY_CONNECTIONS].num,
                             .petname = on_petname,
                             .user = d};

    if (strcmp(listen->text, "off") == 0) {
        (void)snprintf(d->proxy_why, sizeof(d->proxy_why), "[proxy] listen = off");
        return DAEMON_OK;
    }
    qudag_err err = qudag_proxy_start(d->node, &o, d->proxy_why, sizeof(d->proxy_why));
    if (err == QUDAG_OK) {
        d->proxy_why[0] = 0;
        return DAEMON_OK;
    }
    if (usual && err == QUDAG_ESYSTEM) {
        log_say(&d->log, QUDAG_LOG_WARN, "proxy.off",
                "%s; the daemon runs on without it ([proxy] listen names another port)",
                d->proxy_why);
        return DAEMON_OK;
    }
    (void)snprintf(d->state.why, sizeof(d->state.why), "[proxy] listen: %s", d->proxy_why);
    return err == QUDAG_EINVAL ? DAEMON_USAGE : DAEMON_LISTEN;
}

void proxy_report(struct request *rq)
{
    qudag_proxy_info info = QUDAG_INIT(qudag_proxy_info);
    struct rec *r = request_rec(rq, REC_ROW);
    bool runs = qudag_proxy_status(rq->d->node, &info) == QUDAG_OK;

    rec_bool(r, "running", runs);
    if (runs) {
        rec_str(r, "listen", info.listen);
        rec_strf(r, "socks", "socks5h://%s", info.listen);
        rec_strf(r, "http", "http://%s", info.listen);
        rec_int(r, "connections", info.connections);
        rec_int(r, "opened", (int64_t)info.opened);
        rec_int(r, "refused", (int64_t)info.refused);
        rec_int(r, "failed", (int64_t)info.failed);
        rec_int(r, "bytes_up", (int64_t)info.bytes_up);
        rec_int(r, "bytes_down", (int64_t)info.bytes_down);
    } else {
        rec_str(r, "why", rq->d->proxy_why);
    }
    request_send(rq);
    request_end_err(rq, QUDAG_OK, "");
}

/* ------------------------------------------------------------------ petnames */

static void end_broken(struct request *rq)
{
    request_end(rq, TOOL_FAILED, "QUDAG_ESTATE", rq->d->names.why,
                "then restart: qudag down, qudag up");
}

static void end_no_petname(struct request *rq, const char *text)
{
    char message[200];

    (void)snprintf(message, sizeof(message), "%.100s is no petname", text);
    request_end(rq, TOOL_USAGE, "QUDAG_EINVAL", message,
                "a petname has 1 to 63 letters a-z, digits and '-', as blog or blog.dark");
}

static void end_unknown(struct request *rq, const char *name)
{
    char message[160];

    if (rq->d->names.broken) {
        end_broken(rq);
        return;
    }
    (void)snprintf(message, sizeof(message), "there is no petname %s on this node", name);
    request_end(rq, TOOL_NOT_FOUND, "QUDAG_ENOTFOUND", message, "qudag name list shows them");
}

void proxy_name_add(struct request *rq)
{
    const char *text = rec_get_str(&rq->args, "name"), *addr = rec_get_str(&rq->args, "address");
    char name[QUDAG_PETNAME_MAX + 1], message[300];

    text = text == NULL ? "" : text;
    addr = addr == NULL ? "" : addr;
    if (!names_is(text, true, name) || !qudag_petname_valid(name)) {
        end_no_petname(rq, text);
        return;
    }
    qudag_err err = names_add(&rq->d->names, name, addr);
    if (err == QUDAG_ESTATE) {
        end_broken(rq);
    } else if (err == QUDAG_ESYSTEM) {
        request_end(rq, TOOL_FAILED, qudag_err_name(err), rq->d->names.why,
                    "make room on the disk");
    } else if (err == QUDAG_EEXISTS) {
        (void)snprintf(message, sizeof(message), "%s is the name of %s already", name,
                       names_find(&rq->d->names, name));
        (void)snprintf(rq->d->names.why, sizeof(rq->d->names.why), "qudag name remove %s", name);
        request_end(rq, TOOL_USAGE, qudag_err_name(err), message, rq->d->names.why);
    } else if (err == QUDAG_ELIMIT) {
        request_end(rq, TOOL_USAGE, qudag_err_name(err), "there are 1000 petnames, and no more fit",
                    "qudag name remove takes one away");
    } else if (err == QUDAG_OK) {
        struct rec *r = request_rec(rq, REC_ROW);
        rec_strf(r, "name", "%s.dark", name);
        rec_str(r, "address", addr);
        request_send(rq);
        request_end_err(rq, QUDAG_OK, "");
    } else if (err == QUDAG_EMALFORMED) {
        (void)snprintf(message, sizeof(message), "%.100s is no dark address", addr);
        request_end(rq, TOOL_USAGE, qudag_err_name(err), message,
                    "an address has two parts of 56 and 55 characters before .dark: copy it whole");
    } else {
        request_end_err(rq, err, addr);
    }
}

void proxy_name_remove(struct request *rq)
{
    const char *text = rec_get_str(&rq->args, "name");
    char name[QUDAG_PETNAME_MAX + 1];

    if (!names_is(text, true, name)) {
        end_no_petname(rq, text == NULL ? "" : text);
        return;
    }
    qudag_err err = names_remove(&rq->d->names, name);
    if (err == QUDAG_ENOTFOUND) {
        end_unknown(rq, name);
    } else if (err == QUDAG_ESTATE) {
        end_broken(rq);
    } else if (err == QUDAG_ESYSTEM) {
        request_end(rq, TOOL_FAILED, qudag_err_name(err), rq->d->names.why,
                    "make room on the disk");
    } else {
        request_end_err(rq, err, name);
    }
}

void proxy_name_list(struct request *rq)
{
    const struct names *n = &rq->d->names;

    if (n->broken) {
        end_broken(rq);
        return;
    }
    for (size_t ix = 0; ix < n->n; ix++) {
        struct rec *r = request_rec(rq, REC_ROW);
        rec_strf(r, "name", "%s.dark", n->v[ix].name);
        rec_str(r, "address", n->v[ix].addr);
        request_send(rq);
    }
    request_end_err(rq, QUDAG_OK, "");
}

const char *proxy_address(struct request *rq, const char *text)
{
    char name[QUDAG_PETNAME_MAX + 1];

    if (!names_is(text, false, name)) {
        return text;
    }
    const char *addr = names_find(&rq->d->names, name);
    if (addr == NULL) {
        end_unknown(rq, name);
    }
    return addr;
}
