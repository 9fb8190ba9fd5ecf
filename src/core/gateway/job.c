/*
 * job.c - jobs of the gateway, ours and others', and the messages of both sides.
 *
 * A job holds at most one message, and is in the heap of timers as long as it lives.
 */
#include "core/gateway/job.h"

#include "base/assert.h"
#include "base/rd.h"
#include "wire/dht_keys.h"
#include "wire/exchange.h"

#include <string.h>

_Static_assert(2 * KAD_KEY_MAX + KAD_VALUE_MAX + 64 <= EXCHANGE_LEN, "every message fits");
_Static_assert(EXCHANGE_LEN + KAD_KEY_MAX < ACTS_BYTES_ROOM / 4, "room");

/* --- jobs ----------------------------------------------------------------------------------- */

struct gateway_job *gateway_job_named(const struct gateway *g, uint64_t name)
{
    return slots_get(&g->jobs, ref_from_u64(name));
}

static bool job_asks(const struct gateway_job *j)
{
    return j->state == GATEWAY_JOB_OPENING || j->state == GATEWAY_JOB_REPLY;
}

void gateway_job_due(struct gateway *g, struct gateway_job *j, uint64_t life)
{
    /* It is in the heap since it was made, so that setting it again needs no memory. */
    qudag_err err = heap_set(&g->timers, &j->timer, tstamp_after(g->now, life));
    ASSERT(err == QUDAG_OK);
}

qudag_err gateway_job_new(struct gateway *g, enum gateway_state state, uint64_t life,
                          struct gateway_job **out)
{
    struct gateway_job *j = mem_alloc(g->cfg.mem, sizeof *j);

    if (j == NULL) {
        return QUDAG_ENOMEM;
    }
    qudag_err err = slots_add(&g->jobs, j, &j->self);
    if (err == QUDAG_OK) {
        err = heap_set(&g->timers, &j->timer, tstamp_after(g->now, life));
        if (err != QUDAG_OK) {
            slots_del(&g->jobs, j->self);
        }
    }
    if (err != QUDAG_OK) {
        mem_free(g->cfg.mem, j);
        return err;
    }
    j->state = state;
    j->since = g->now;
    g->asking += job_asks(j);
    dyn_init(&j->buf, g->cfg.mem, EXCHANGE_LEN);
    *out = j;
    return QUDAG_OK;
}

qudag_err gateway_job_stream(struct gateway *g, struct gateway_job *j, struct ref strm)
{
    qudag_err err = map_u64_put(&g->by_strm, ref_to_u64(strm), j);

    if (err == QUDAG_OK) {
        j->strm = strm;
    }
    return err;
}

void gateway_job_unstream(struct gateway *g, struct gateway_job *j)
{
    if (!ref_none(j->strm)) {
        (void)map_u64_del(&g->by_strm, ref_to_u64(j->strm));
        j->strm = (struct ref){0, 0};
    }
}

void gateway_job_free(struct gateway *g, struct gateway_job *j)
{
    gateway_job_unstream(g, j);
    g->asking -= job_asks(j);
    g->stuck = false;
    fair_del(&g->others, &j->place, g->now);
    heap_del(&g->timers, &j->timer);
    slots_del(&g->jobs, j->self);
    dyn_fini(&j->buf);
    mem_free_wiped(g->cfg.mem, j);
}

void gateway_job_fail(struct gateway *g, struct gateway_job *j, qudag_err err, struct acts *out)
{
    if (!ref_none(j->strm)) {
        acts_reset(out, j->strm, err);
    }
    if (job_asks(j)) {
        struct act *up = acts_up(out, GATEWAY_UP_DONE);
        up->cookie = j->cookie;
        up->err = err;
    }
    gateway_job_free(g, j);
}

/* --- messages ------------------------------------------------------------------------------- */

/* The one message in |buf|, without its prefix and the zeros behind it; EMALFORMED for anything else. */
static qudag_err frame_read(struct slice *msg, struct slice buf)
{
    struct rd r = rd_init(buf);

    *msg = rd_lp(&r, KAD_MSG_MAX);
    struct slice zeros = rd_rest(&r);
    bool clean = rd_ok(&r) && buf.len == EXCHANGE_LEN;

    for (size_t i = 0; clean && i < zeros.len; i++) {
        clean = zeros.base[i] == 0;
    }
    return clean ? QUDAG_OK : QUDAG_EMALFORMED;
}

qudag_err gateway_msg_read(struct gateway *g, struct slice buf, struct kad_msg *m,
                           struct kad_peer_info **peers)
{
    struct slice bytes;
    size_t dropped = 0;

    *peers = NULL;
    qudag_err err = frame_read(&bytes, buf);
    if (err != QUDAG_OK) {
        return err;
    }
    *peers = mem_alloc_n(g->cfg.mem, 2 * (size_t)KAD_PEERS_MAX, sizeof **peers);
    if (*peers == NULL) {
        return QUDAG_ENOMEM;
    }
    *m = (struct kad_msg){.closer = *peers, .providers = *peers + KAD_PEERS_MAX};
    return kad_msg_decode(m, &dropped, bytes);
}

qudag_err gateway_msg_write(const struct gateway_job *j, bool has_record, struct slice value,
                            struct acts *out)
{
    uint8_t buf[EXCHANGE_LEN] = {0};
    struct slice key = {j->key, j->key_len};
    struct kad_msg m = {.type = j->type, .key = key, .has_record = has_record};
    size_t len = 0;

    if (has_record) {
        m.rec_key = key;
        m.rec_value = value;
    }
    qudag_err err = kad_msg_encode(buf, sizeof buf, &len, &m);
    if (err == QUDAG_OK) {
        acts_write(out, j->strm, buf, sizeof buf); /* every message has this size */
        acts_fin(out, j->strm);
    }
    return err;
}

bool gateway_key_is_ours(struct slice key)
{
    return key.len <= KAD_KEY_MAX &&
           (dht_key_under(key, DHT_DARK_PREFIX, NULL) ||
            dht_key_under(key, DHT_RELAY_PREFIX, NULL) || dht_key_is_sample(key));
}
