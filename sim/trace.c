/* trace.c - everything that happens to one node, a line each. */
#include "sim/sim_int.h"

#include "base/rd.h"

#include <inttypes.h>

static const char *const kind_name[] = {"open",    "opened", "fail",  "data",  "fin",   "reset",
                                        "written", "meet",   "tick",  "join",  "leave", "work",
                                        "fault",   "check",  "phase", "verify"};

static void head(const struct sim *s, const char *dir, const char *what)
{
    tstamp t = s->world.now - SIM_BEGIN;

    (void)fprintf(s->opt.trace, "%6" PRIu64 ".%06" PRIu64 " %s %-8s", t / NS_PER_S,
                  t % NS_PER_S / NS_PER_US, dir, what);
}

/* The type of a framed message and how much it names. */
static void message(struct sim *s, struct slice data)
{
    static const char *const type_name[] = {"PUT_VALUE",     "GET_VALUE", "ADD_PROVIDER",
                                            "GET_PROVIDERS", "FIND_NODE", "PING"};
    struct kad_msg m = {.closer = s->closer, .providers = s->providers};
    FILE *f = s->opt.trace;
    struct rd r = rd_init(data);
    size_t dropped = 0;

    (void)rd_uvarint(&r);
    if (kad_msg_decode(&m, &dropped, rd_rest(&r)) != QUDAG_OK) {
        (void)fprintf(f, " %zu bytes, not one whole message", data.len);
        return;
    }
    (void)fprintf(f, " %s key ", type_name[m.type]);
    for (size_t i = 0; i < m.key.len && i < 24; i++) {
        uint8_t c = m.key.base[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '/';
        (void)fprintf(f, plain ? "%c" : "%02x", c);
    }
    (void)fprintf(f, ", %zu closer, value %zu bytes", m.n_closer, m.rec_value.len);
}

static void stream(struct sim *s, struct ref strm)
{
    unsigned side;
    const struct sim_stream *st = net_stream(s, strm, &side);

    (void)fprintf(s->opt.trace, " stream %" PRIu32 ".%" PRIu32, strm.slot / 2, strm.gen);
    if (st != NULL) {
        (void)fprintf(s->opt.trace, " %s node %" PRIu32, side == 0 ? "to" : "of",
                      st->end[side ^ 1u].node);
    }
}

void trace_event(struct sim *s, const struct sim_event *ev)
{
    FILE *f = s->opt.trace;

    if (f == NULL || ev->node != s->opt.trace_node || ev->kind >= SIM_WORK) {
        return;
    }
    head(s, "<", kind_name[ev->kind]);
    if (!ref_none(ev->strm)) {
        stream(s, ev->strm);
    }
    if (ev->kind == SIM_MEET) {
        (void)fprintf(f, " node %" PRIu32, (uint32_t)ev->cookie);
    }
    if (ev->data != NULL) {
        message(s, (struct slice){ev->data->b, ev->data->len});
    }
    (void)fputc('\n', f);
}

void trace_act(struct sim *s, uint32_t node, const struct act *a)
{
    static const char *const act_name[] = {"open", "write", "consume", "fin", "reset", "up"};
    FILE *f = s->opt.trace;
    uint32_t to;

    if (f == NULL || node != s->opt.trace_node) {
        return;
    }
    head(s, ">", act_name[a->type]);
    if (a->type == ACT_OPEN && host_by_id(s, &a->peer, &to)) {
        (void)fprintf(f, " to node %" PRIu32, to);
    } else if (a->type == ACT_UP && a->kind == KAD_UP_DONE) {
        (void)fprintf(f, " request %" PRIu64 " done: %s", a->cookie, qudag_strerror(a->err));
    } else if (a->type == ACT_UP) {
        (void)fprintf(f, " new peer%s%" PRIu32, host_by_id(s, &a->peer, &to) ? " node " : " ?", to);
    } else if (!ref_none(a->strm)) {
        stream(s, a->strm);
    }
    if (a->type == ACT_WRITE) {
        message(s, a->data);
    }
    (void)fputc('\n', f);
}
