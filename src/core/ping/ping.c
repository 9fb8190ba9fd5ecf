/*
 * ping.c - /ipfs/ping/1.0.0, both sides.
 *
 *   dialer    -> 32 random bytes
 *   listener  -> the same 32 bytes
 *
 *   probe   FREE --start--> OPENING --stream open--> WAITING --echo--> IDLE --linger--> CLOSING --FIN--> FREE
 *                              |                      |  ^             | |                |
 *                              `-- fail, due: FREE    |  `--- start ---' `- FIN: FIN,     `- data, due:
 *                                                     |                     FREE             reset, FREE
 *                                                     `-- wrong echo, FIN, due: reset, FREE
 *
 * A probe soon after another to the same peer goes over the same stream, until the caller has it left
 * for a better link: a stream each would leave the peer with streams whose end is still on its way, and
 * it would refuse one more.  What peers send us is
 * echoed as it comes, in any split; a peer that does not read its echoes loses the stream.
 */
#include "core/ping/ping.h"

#include "base/assert.h"

#include <string.h>

/* ------------------------------------------------------------------ dialer */

static struct ping_probe *probe_by_cookie(struct ping *p, uint64_t cookie)
{
    for (size_t i = 0; i < PING_MAX; i++) {
        if (p->probe[i].state == PING_OPENING && p->probe[i].cookie == cookie) {
            return &p->probe[i];
        }
    }
    return NULL;
}

static struct ping_probe *probe_by_strm(struct ping *p, struct ref s)
{
    for (size_t i = 0; i < PING_MAX; i++) {
        struct ping_probe *pr = &p->probe[i];
        if (pr->state != PING_FREE && pr->state != PING_OPENING && ref_eq(pr->strm, s)) {
            return pr;
        }
    }
    return NULL;
}

/* A place for a new probe: a free one, or that of the stream idle longest, which is given up. */
static struct ping_probe *probe_place(struct ping *p, struct acts *out)
{
    struct ping_probe *pick = NULL;

    for (size_t i = 0; i < PING_MAX; i++) {
        struct ping_probe *pr = &p->probe[i];
        if (pr->state == PING_FREE) {
            return pr;
        }
        if (pr->state == PING_IDLE && (pick == NULL || pr->due < pick->due)) {
            pick = pr;
        }
    }
    if (pick != NULL) {
        acts_reset(out, pick->strm, QUDAG_ECANCELED);
        pick->state = PING_FREE;
    }
    return pick;
}

static bool is_probed(const struct ping *p, const struct peer_id *peer)
{
    for (size_t i = 0; i < PING_MAX; i++) {
        const struct ping_probe *pr = &p->probe[i];
        if ((pr->state == PING_OPENING || pr->state == PING_WAITING) &&
            peer_id_eq(&pr->peer, peer)) {
            return true;
        }
    }
    return false;
}

static void probe_report(const struct ping_probe *pr, qudag_err err, uint64_t rtt_ns,
                         struct acts *out)
{
    struct act *up = acts_up(out, PING_UP_DONE);

    up->peer = pr->peer;
    up->cookie = pr->user_cookie;
    up->err = err;
    up->n = rtt_ns;
}

/* Ends |pr| without an answer; the stream, if there is one, is gone already or goes with it. */
static void probe_fail(struct ping_probe *pr, qudag_err err, struct acts *out)
{
    ASSERT(pr->state == PING_OPENING || pr->state == PING_WAITING);

    probe_report(pr, err, 0, out);
    pr->state = PING_FREE;
}

static void probe_send(struct ping *p, struct ping_probe *pr, tstamp now, struct acts *out)
{
    pr->state = PING_WAITING;
    pr->sent = now;
    pr->got = 0;
    rng_fill(&p->rng, pr->want, sizeof(pr->want));
    acts_write(out, pr->strm, pr->want, sizeof(pr->want));
}

/* No probe goes over its stream any more, and the peer is given time to end its side. */
static void probe_close(struct ping_probe *pr, tstamp now, struct acts *out)
{
    acts_fin(out, pr->strm);
    pr->state = PING_CLOSING;
    pr->due = tstamp_after(now, PING_LINGER);
}

static void probe_opened(struct ping *p, const struct ev *ev, tstamp now, struct acts *out)
{
    struct ping_probe *pr = probe_by_cookie(p, ev->cookie);

    if (pr == NULL) {
        /* It opened after its probe had timed out. */
        acts_reset(out, ev->strm, QUDAG_ECANCELED);
        return;
    }
    pr->strm = ev->strm;
    probe_send(p, pr, now, out);
}

static void probe_data(struct ping_probe *pr, struct slice in, tstamp now, struct acts *out)
{
    if (pr->state != PING_WAITING || in.len > PING_LEN - pr->got ||
        (in.len > 0 && memcmp(pr->want + pr->got, in.base, in.len) != 0)) {
        acts_reset(out, pr->strm, QUDAG_EPROTO);
        if (pr->state == PING_WAITING) {
            probe_fail(pr, QUDAG_EPROTO, out);
        }
        pr->state = PING_FREE;
        return;
    }
    pr->got += in.len;
    if (pr->got == PING_LEN) {
        probe_report(pr, QUDAG_OK, now - pr->sent, out);
        pr->state = PING_IDLE;
        pr->due = tstamp_after(now, PING_LINGER);
    }
}

/*
 * A stream of an earlier probe went with its link: a new one, as for a new probe.  A link that was closed under a new
 * stream may have been one of two: once over the other, without dialling whoever is gone.  False: neither.
 */
static bool probe_again(struct ping *p, struct ping_probe *pr, qudag_err err, struct acts *out)
{
    if (!pr->reused && (err != QUDAG_ECLOSED || pr->again)) {
        return false;
    }
    pr->state = PING_OPENING;
    pr->strm = (struct ref){0};
    pr->cookie = p->next_cookie++;
    if (pr->reused) {
        pr->reused = false;
        acts_open(out, &pr->peer, pr->cookie, 0);
    } else {
        pr->again = true;
        acts_open_again(out, &pr->peer, pr->cookie, 0);
    }
    return true;
}

static void probe_end(struct ping *p, struct ping_probe *pr, const struct ev *ev, struct acts *out)
{
    if (pr->state == PING_IDLE && ev->type == EV_FIN) {
        acts_fin(out, pr->strm);
    }
    if (pr->state != PING_WAITING) {
        pr->state = PING_FREE;
        return;
    }
    if (ev->type == EV_FIN) {
        acts_reset(out, pr->strm, QUDAG_ECLOSED);
        probe_fail(pr, QUDAG_ECLOSED, out);
    } else if (!probe_again(p, pr, ev->err, out)) {
        probe_fail(pr, ev->err == QUDAG_OK ? QUDAG_ERESET : ev->err, out);
    }
}

/* ------------------------------------------------------------------ listener */

static struct ping_serve *serve_by_strm(struct ping *p, struct ref s)
{
    for (size_t i = 0; i < PING_SERVE_MAX; i++) {
        if (!ref_none(p->serve[i].strm) && ref_eq(p->serve[i].strm, s)) {
            return &p->serve[i];
        }
    }
    return NULL;
}

static void serve_opened(struct ping *p, struct ref strm, tstamp now, struct acts *out)
{
    struct ping_serve *pick = &p->serve[0];

    for (size_t i = 0; i < PING_SERVE_MAX; i++) {
        struct ping_serve *sv = &p->serve[i];
        if (ref_none(sv->strm)) {
            pick = sv;
            break;
        }
        if (sv->last < pick->last) {
            pick = sv;
        }
    }
    if (!ref_none(pick->strm)) {
        acts_reset(out, pick->strm, QUDAG_ELIMIT);
    }
    *pick = (struct ping_serve){.strm = strm, .last = now};
}

static void serve_data(struct ping_serve *sv, struct slice in, tstamp now, struct acts *out)
{
    sv->last = now;
    if (in.len > PING_ECHO_MAX - sv->queued) {
        acts_reset(out, sv->strm, QUDAG_ELIMIT);
        sv->strm = (struct ref){0};
        return;
    }
    sv->queued += in.len;
    acts_write(out, sv->strm, in.base, in.len);
}

static void serve_end(struct ping_serve *sv, const struct ev *ev, struct acts *out)
{
    if (ev->type == EV_FIN) {
        acts_fin(out, sv->strm);
    }
    sv->strm = (struct ref){0};
}

/* ------------------------------------------------------------------ core */

static void ping_stream_event(struct ping *p, const struct ev *ev, tstamp now, struct acts *out)
{
    struct ping_probe *pr = probe_by_strm(p, ev->strm);
    struct ping_serve *sv = pr == NULL ? serve_by_strm(p, ev->strm) : NULL;

    if (ev->type == EV_DATA && pr != NULL) {
        probe_data(pr, ev->data, now, out);
    } else if (ev->type == EV_DATA && sv != NULL) {
        serve_data(sv, ev->data, now, out);
    } else if (ev->type == EV_WRITABLE && sv != NULL) {
        sv->queued -= ev->n < sv->queued ? ev->n : sv->queued;
    } else if (ev->type != EV_DATA && ev->type != EV_WRITABLE && pr != NULL) {
        probe_end(p, pr, ev, out);
    } else if (ev->type != EV_DATA && ev->type != EV_WRITABLE && sv != NULL) {
        serve_end(sv, ev, out);
    }
}

static void ping_event(void *core, const struct ev *ev, tstamp now, struct acts *out)
{
    struct ping *p = core;
    struct ping_probe *pr;

    switch (ev->type) {
    case EV_STREAM_OPEN:
        if (ev->inbound) {
            serve_opened(p, ev->strm, now, out);
        } else {
            probe_opened(p, ev, now, out);
        }
        break;
    case EV_STREAM_FAIL:
        pr = probe_by_cookie(p, ev->cookie);
        if (pr != NULL) {
            probe_fail(pr, ev->err == QUDAG_OK ? QUDAG_EUNREACHABLE : ev->err, out);
        }
        break;
    case EV_DATA:
    case EV_WRITABLE:
    case EV_FIN:
    case EV_RESET:
        ping_stream_event(p, ev, now, out);
        break;
    case EV_PEER_UP:
    case EV_PEER_DOWN:
        break; /* streams of a lost peer are reset one by one before this */
    }
}

static void ping_tick(void *core, tstamp now, struct acts *out)
{
    struct ping *p = core;

    for (size_t i = 0; i < PING_MAX; i++) {
        struct ping_probe *pr = &p->probe[i];
        if (pr->state == PING_FREE || pr->due > now) {
            continue;
        }
        if (pr->state == PING_IDLE) {
            probe_close(pr, now, out);
            continue;
        }
        if (pr->state != PING_OPENING) {
            acts_reset(out, pr->strm, QUDAG_ETIMEOUT);
        }
        if (pr->state != PING_CLOSING) {
            probe_fail(pr, QUDAG_ETIMEOUT, out);
        }
        pr->state = PING_FREE;
    }
}

static tstamp ping_deadline(const void *core)
{
    const struct ping *p = core;
    tstamp min = TSTAMP_NEVER;

    for (size_t i = 0; i < PING_MAX; i++) {
        if (p->probe[i].state != PING_FREE) {
            min = tstamp_min(min, p->probe[i].due);
        }
    }
    return min;
}

const struct core_ops ping_ops = {
    .protocol = "/ipfs/ping/1.0.0",
    .inbound_max = 2,
    .limited_ok = true,
    .early = true,
    .asks_again = true,
    .event = ping_event,
    .tick = ping_tick,
    .deadline = ping_deadline,
};

void ping_init(struct ping *p, const struct rng *rng)
{
    *p = (struct ping){.rng = *rng, .next_cookie = 1};
}

qudag_err ping_start(struct ping *p, const struct peer_id *peer, uint64_t cookie, tstamp now,
                     struct acts *out)
{
    if (peer->len == 0) {
        return QUDAG_EINVAL;
    }
    if (is_probed(p, peer)) {
        return QUDAG_EEXISTS;
    }
    struct ref idle = ping_idle(p, peer);
    struct ping_probe *pr = ref_none(idle) ? NULL : probe_by_strm(p, idle);
    if (pr != NULL) {
        pr->user_cookie = cookie;
        pr->reused = true;
        pr->again = false;
        pr->due = tstamp_after(now, PING_TIMEOUT);
        probe_send(p, pr, now, out);
        return QUDAG_OK;
    }
    pr = probe_place(p, out);
    if (pr == NULL) {
        return QUDAG_ELIMIT;
    }
    *pr = (struct ping_probe){
        .state = PING_OPENING,
        .peer = *peer,
        .user_cookie = cookie,
        .cookie = p->next_cookie++,
        .due = tstamp_after(now, PING_TIMEOUT),
    };
    acts_open(out, peer, pr->cookie, 0);
    return QUDAG_OK;
}

struct ref ping_idle(const struct ping *p, const struct peer_id *peer)
{
    for (size_t i = 0; i < PING_MAX; i++) {
        const struct ping_probe *pr = &p->probe[i];
        if (pr->state == PING_IDLE && peer_id_eq(&pr->peer, peer)) {
            return pr->strm;
        }
    }
    return (struct ref){0};
}

void ping_leave(struct ping *p, struct ref strm, tstamp now, struct acts *out)
{
    struct ping_probe *pr = probe_by_strm(p, strm);

    if (pr != NULL && pr->state == PING_IDLE) {
        probe_close(pr, now, out);
    }
}
