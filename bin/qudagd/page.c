/* page.c - see page.h: what is shown, the snapshot, and JSON. */
#include "page.h"

#include "common/json.h"
#include "daemon.h"
#include "peers.h"
#include "report.h"

#include <inttypes.h>
#include <string.h>

/* ---- what is shown ---- */

static bool among(const char *name, const char *const *list, size_t n)
{
    for (size_t ix = 0; ix < n; ix++) {
        if (strcmp(list[ix], name) == 0) {
            return true;
        }
    }
    return false;
}
#define AMONG(name, list) among(name, list, sizeof(list) / sizeof((list)[0]))

/* Not "reason" and "disk": they name addresses and folders. */
bool page_shows_status(const char *name)
{
    static const char *const shown[] = {
        "version",
        "phase",
        "health",
        "retry_ns",
        "note",
        "uptime_ns",
        "lab",
        "copied",
        "relay",
        "anonymity",
        "drawn",
        "relays_drawn",
        "small_network",
        "networks_drawn",
        "bootstrap_peers",
        "small_network_accepted",
    };
    return AMONG(name, shown);
}

bool page_is_refusal(const char *metric)
{
    static const char *const refusals[] = {
        "links_refused",     "streams_refused",   "streams_refused_by_scope",
        "creates_refused",   "dgrams_dropped",    "links_trimmed",
        "links_put_out",     "security_events",   "negotiate_failed",
        "negotiate_timeout", "handshakes_failed", "handshakes_timeout",
        "dials_failed",      "kad_timeouts",      "memory_refused",
        "udp_send_errors",   "udp_refused",       "store_failures",
        "dials_refused",     "dials_held",        "half_open_refused",
        "bytes_refused",
    };
    return AMONG(metric, refusals);
}

/*
 * Nothing by protocol or protection (streams of services have their own), nothing of introductions, nor how much this
 * node publishes: it would say that this node has a service, or visits one.
 */
bool page_shows_stat(const char *metric, const char *labels)
{
    static const char *const shown[] = {
        "links",
        "links_opened",
        "links_closed",
        "peers_known",
        "streams",
        "dials",
        "dgrams",
        "bytes",
        "handshakes",
        "half_open",
        "kad_table",
        "kad_records",
        "kad_providers",
        "kad_requests",
        "kad_rpcs",
        "store_room",
        "store_bytes",
        "relays",
        "descriptor_stored",
        "circuits",
        "creates_answered",
        "cells_relayed",
        "loop_turns",
        "memory_bytes",
        "memory_peak_bytes",
        "resource_used",
        "resource_limit",
    };
    return (AMONG(metric, shown) || page_is_refusal(metric)) &&
           strstr(labels, "introduction") == NULL;
}

bool page_shows_histogram(const char *metric)
{
    static const char *const shown[] = {"link_setup",    "link_rtt", "link_duration", "ping_rtt",
                                        "dht_operation", "loop_lag", "loop_work"};
    return AMONG(metric, shown);
}

/* ---- the snapshot ---- */

static void take_link(struct page_link *to, const qudag_link_info *from)
{
    *to = (struct page_link){.state = peers_state_name(from->state),
                             .direction = from->inbound ? "in" : "out",
                             .standing = qudag_standing_name(from->standing),
                             .pq = from->pq_kex && from->pq_auth,
                             .age = from->since,
                             .rtt = from->rtt,
                             .handshake = from->handshake,
                             .bytes_in = from->bytes_in,
                             .bytes_out = from->bytes_out,
                             .streams = from->streams};
    (void)snprintf(to->transport, sizeof(to->transport), "%s", from->transport);
    (void)snprintf(to->group, sizeof(to->group), "%s", from->group);
}

static void take_links(struct page *p, const qudag_node *n)
{
    qudag_link_info info = QUDAG_INIT(qudag_link_info);
    size_t it = 0;

    p->n_links = 0;
    bool more = qudag_link_next(n, &it, &info);
    while (more && p->n_links < PAGE_ROWS_MAX) {
        take_link(&p->link[p->n_links++], &info);
        more = qudag_link_next(n, &it, &info);
    }
    p->all_links = !more;
}

static void take_circuits(struct page *p, const qudag_node *n)
{
    qudag_circuit_info info = QUDAG_INIT(qudag_circuit_info);
    size_t it = 0, seen = 0;

    p->n_circuits = 0;
    bool more = qudag_circuit_next(n, &it, &info);
    while (more && p->n_circuits < PAGE_ROWS_MAX && seen++ < PAGE_WALK_MAX) {
        if (info.role == QUDAG_CIRCUIT_CLIENT) {
            p->circuit[p->n_circuits++] =
                (struct page_circuit){.state = info.state,
                                      .age = info.age - info.age % QUDAG_S,
                                      .build = info.build_time - info.build_time % (QUDAG_S / 1000),
                                      .streams = info.streams,
                                      .hops = info.hops,
                                      .hops_wanted = info.hops_wanted};
        }
        more = qudag_circuit_next(n, &it, &info);
    }
    p->all_circuits = !more;
}

bool page_take(struct page *p, struct daemon *d, const struct history *history)
{
    bool all = metrics_take(&p->metrics, d->node);

    rec_begin(&p->status, REC_ROW);
    report_state(&p->status, d);
    take_links(p, d->node);
    take_circuits(p, d->node);
    p->history = *history;
    return all && !p->status.failed;
}

/* ---- JSON ---- */

static void key(FILE *to, const char *before, const char *name)
{
    (void)fputs(before, to);
    json_text(to, name);
    (void)fputc(':', to);
}

static void status_json(FILE *to, const struct page *p)
{
    struct rec_view v;
    struct rec_field f;
    bool any = false;

    (void)fputs("{\"status\":{", to);
    bool good = rec_parse(&v, p->status.buf + REC_FRAME_HEAD, p->status.len - REC_FRAME_HEAD);
    for (size_t it = 0; good && rec_next(&v, &it, &f);) {
        if (!page_shows_status(f.name) || f.kind == REC_BYTES) {
            continue;
        }
        key(to, any ? "," : "", f.name);
        any = true;
        if (f.kind == REC_STR) {
            json_text(to, f.text);
        } else if (f.kind == REC_BOOL) {
            (void)fputs(f.num != 0 ? "true" : "false", to);
        } else {
            (void)fprintf(to, "%" PRId64, f.num);
        }
    }
}

static void stats_json(FILE *to, const struct metrics *m)
{
    bool any = false;

    (void)fputs("},\"stats\":{", to);
    for (size_t ix = 0; ix < m->n_stats; ix++) {
        const qudag_stat *s = &m->stat[ix];
        if (page_shows_stat(s->metric, s->labels)) {
            key(to, any ? "," : "", s->name);
            (void)fprintf(to, "%" PRIu64, s->value);
            any = true;
        }
    }
    (void)fputs("},\"times\":[", to);
    any = false;
    for (size_t ix = 0; ix < m->n_histograms; ix++) {
        const qudag_histogram *h = &m->histogram[ix];
        if (h->total > 0 && page_shows_histogram(h->metric)) {
            (void)fputs(any ? ",{\"metric\":" : "{\"metric\":", to);
            any = true;
            json_text(to, h->metric);
            key(to, ",", "labels");
            json_text(to, h->labels);
            (void)fprintf(to,
                          ",\"value\":%" PRIu64 ",\"p50_ns\":%" PRIu64 ",\"p95_ns\":%" PRIu64 "}",
                          h->total, h->p50, h->p95);
        }
    }
}

static void link_json(FILE *to, const struct page_link *l)
{
    const char *const text[][2] = {{"direction", l->direction},
                                   {"transport", l->transport},
                                   {"group", l->group},
                                   {"standing", l->standing}};

    key(to, "{", "state");
    json_text(to, l->state);
    for (size_t ix = 0; ix < sizeof(text) / sizeof(text[0]); ix++) {
        key(to, ",", text[ix][0]);
        json_text(to, text[ix][1]);
    }
    (void)fprintf(to,
                  ",\"pq\":%s,\"age_ns\":%" PRIu64 ",\"rtt_ns\":%" PRIu64
                  ",\"handshake_ns\":%" PRIu64 ",\"bytes_in\":%" PRIu64 ",\"bytes_out\":%" PRIu64
                  ",\"streams\":%u}",
                  l->pq ? "true" : "false", l->age, l->rtt, l->handshake, l->bytes_in, l->bytes_out,
                  (unsigned)l->streams);
}

static void rows_json(FILE *to, const struct page *p)
{
    (void)fputs("],\"links\":[", to);
    for (size_t ix = 0; ix < p->n_links; ix++) {
        (void)fputs(ix == 0 ? "" : ",", to);
        link_json(to, &p->link[ix]);
    }
    (void)fprintf(to, "],\"all_links\":%s,\"circuits\":[", p->all_links ? "true" : "false");
    for (size_t ix = 0; ix < p->n_circuits; ix++) {
        const struct page_circuit *c = &p->circuit[ix];
        key(to, ix == 0 ? "{" : ",{", "state");
        json_text(to, c->state);
        (void)fprintf(to,
                      ",\"hops\":%u,\"hops_wanted\":%u,\"age_ns\":%" PRIu64 ",\"build_ns\":%" PRIu64
                      ",\"streams\":%u}",
                      c->hops, c->hops_wanted, c->age, c->build, (unsigned)c->streams);
    }
    (void)fprintf(to, "],\"all_circuits\":%s", p->all_circuits ? "true" : "false");
}

static void history_json(FILE *to, const struct history *h)
{
    (void)fprintf(to, ",\"history\":{\"interval_ns\":%" PRIu64 ",\"series\":[", HISTORY_EVERY_NS);
    for (size_t series = 0; series < HISTORY_SERIES; series++) {
        key(to, series == 0 ? "{" : ",{", "name");
        json_text(to, history_series[series].name);
        (void)fprintf(to, ",\"kind\":\"%s\",\"values\":[",
                      history_series[series].counter ? "counter" : "gauge");
        for (size_t ix = 0; ix < h->n; ix++) {
            uint64_t value = history_value(h, series, ix);
            (void)fputs(ix == 0 ? "" : ",", to);
            if (value == HISTORY_NONE) {
                (void)fputs("null", to);
            } else {
                (void)fprintf(to, "%" PRIu64, value);
            }
        }
        (void)fputs("]}", to);
    }
    (void)fputs("]}}\n", to);
}

void page_print_json(FILE *to, const struct page *p)
{
    status_json(to, p);
    stats_json(to, &p->metrics);
    rows_json(to, p);
    history_json(to, &p->history);
}
