/* client.c - asks servers, sends them the bytes they want, and waits for the nonce. */
#include "core/autonat/client.h"

#include <string.h>

enum { FREE, OPENING, ASKING, LATE };

void autonat_client_init(struct autonat_client *c, const struct rng *rng)
{
    memset(c, 0, sizeof(*c));
    c->rng = *rng;
}

bool autonat_rule_back(const struct multiaddr *addr, const struct multiaddr *server,
                       const struct link_info *link)
{
    struct netaddr at, from, own;
    bool tcp = multiaddr_to_tcp(addr, &at);

    return (link->props & (LINK_INBOUND | LINK_RELAYED | LINK_ANON)) == LINK_INBOUND &&
           multiaddr_direct(addr, &at) && multiaddr_direct(server, &own) &&
           multiaddr_direct(&link->remote, &from) &&
           tcp == multiaddr_to_tcp(&link->remote, &from) && at.family == from.family &&
           !netaddr_eq(&from, &own);
}

/* ---- questions ---- */

static struct autonat_try *by_strm(struct autonat_client *c, struct ref strm)
{
    for (size_t i = 0; i < AUTONAT_TRIES_MAX; i++) {
        if (c->try[i].state > OPENING && ref_eq(c->try[i].strm, strm)) {
            return &c->try[i];
        }
    }
    return NULL;
}

static struct autonat_try *by_cookie(struct autonat_client *c, uint64_t cookie)
{
    for (size_t i = 0; i < AUTONAT_TRIES_MAX; i++) {
        if (c->try[i].state == OPENING && c->try[i].cookie == cookie) {
            return &c->try[i];
        }
    }
    return NULL;
}

qudag_err autonat_ask(struct autonat_client *c, const struct autonat_answer *about, tstamp now,
                      struct acts *out)
{
    struct autonat_try *t = NULL;

    for (size_t i = 0; i < AUTONAT_TRIES_MAX; i++) {
        if (c->try[i].state != FREE && peer_id_eq(&c->try[i].about.peer, &about->peer)) {
            return QUDAG_EEXISTS;
        }
        t = c->try[i].state == FREE ? &c->try[i] : t;
    }
    if (t == NULL) {
        return QUDAG_ELIMIT;
    }
    *t = (struct autonat_try){.state = OPENING,
                              .nonce = rng_u64(&c->rng),
                              .cookie = ++c->cookies,
                              .about = *about,
                              .due = tstamp_after(now, AUTONAT_TIMEOUT)};
    t->about.word = AUTONAT_NOTHING;
    t->frame = (struct autonat_frame){.buf = t->buf, .max = sizeof(t->buf)};
    acts_open(out, &about->peer, t->cookie, 0)->no_dial = true;
    c->stats.asked++;
    return QUDAG_OK;
}

/* Reports |t|, whose stream is gone or goes with it. */
static void done(struct autonat_client *c, struct autonat_try *t, enum autonat_word word,
                 qudag_err err, struct acts *out)
{
    t->about.word = word;
    c->stats.yes += word == AUTONAT_YES ? 1 : 0;
    c->stats.no += word == AUTONAT_NO ? 1 : 0;
    c->stats.nothing += word == AUTONAT_NOTHING ? 1 : 0;
    c->stats.lies += err == QUDAG_EAUTH ? 1 : 0;
    struct act *up = acts_up_copy(out, AUTONAT_UP_ANSWER, &t->about, sizeof(t->about));
    if (up != NULL) {
        up->peer = t->about.peer;
        up->err = err;
    }
    t->state = FREE;
}

/* The nonce proves the dial, whatever else went wrong. */
static void failed(struct autonat_client *c, struct autonat_try *t, qudag_err err, struct acts *out)
{
    done(c, t, t->came ? AUTONAT_YES : AUTONAT_NOTHING, t->came ? QUDAG_OK : err, out);
}

static void broken(struct autonat_client *c, struct autonat_try *t, struct acts *out)
{
    acts_reset(out, t->strm, QUDAG_EPROTO);
    failed(c, t, QUDAG_EPROTO, out);
}

static void opened(struct autonat_client *c, const struct ev *ev, struct acts *out)
{
    struct autonat_try *t = by_cookie(c, ev->cookie);
    uint8_t bytes[MULTIADDR_MAX + 32];
    struct wr w = wr_init(bytes, sizeof(bytes));

    if (t == NULL) { /* it took too long */
        acts_reset(out, ev->strm, QUDAG_ECANCELED);
        return;
    }
    struct autonat_msg m = {.type = AUTONAT_REQUEST, .n_addrs = 1, .nonce = t->nonce};
    m.addr[0] = t->about.addr;
    t->strm = ev->strm;
    t->state = ASKING;
    if (autonat_msg_write(&w, &m) != QUDAG_OK) {
        broken(c, t, out);
        return;
    }
    acts_write(out, t->strm, bytes, w.len);
}

/* The server's price for dialling another host than it sees us at, once, and not above what the specification has. */
static bool pay(struct autonat_client *c, struct autonat_try *t, const struct autonat_msg *m,
                struct acts *out)
{
    static const uint8_t zeros[AUTONAT_DATA_PIECE];
    uint8_t bytes[AUTONAT_DATA_PIECE + 16];

    if (t->paid || m->addr_ix != 0 || m->num_bytes > AUTONAT_DATA_MAX) {
        return false;
    }
    t->paid = true;
    for (uint64_t left = m->num_bytes; left > 0;) {
        size_t n = left < sizeof(zeros) ? (size_t)left : sizeof(zeros);
        struct autonat_msg piece = {.type = AUTONAT_DATA, .data = {zeros, n}};
        struct wr w = wr_init(bytes, sizeof(bytes));
        if (autonat_msg_write(&w, &piece) != QUDAG_OK) {
            return false;
        }
        acts_write(out, t->strm, bytes, w.len);
        left -= n;
    }
    c->stats.bytes += m->num_bytes;
    return true;
}

static void answered(struct autonat_client *c, struct autonat_try *t, const struct autonat_msg *m,
                     tstamp now, struct acts *out)
{
    acts_fin(out, t->strm);
    if (t->came) {
        done(c, t, AUTONAT_YES, QUDAG_OK, out);
    } else if (m->status == AUTONAT_REQUEST_REJECTED) {
        failed(c, t, QUDAG_ELIMIT, out);
    } else if (m->status == AUTONAT_DIAL_REFUSED) {
        failed(c, t, QUDAG_EREFUSED, out);
    } else if (m->status != AUTONAT_OK || m->addr_ix != 0) {
        failed(c, t, QUDAG_EPROTO, out);
    } else if (m->dial == AUTONAT_DIAL_ERROR) {
        done(c, t, AUTONAT_NO, QUDAG_OK, out);
    } else if (m->dial == AUTONAT_DIAL_OK) {
        t->state = LATE; /* packets overtake each other */
        t->due = tstamp_after(now, AUTONAT_LATE);
    } else {
        failed(c, t, QUDAG_EPROTO, out);
    }
}

static void ask_data(struct autonat_client *c, struct autonat_try *t, struct slice in, tstamp now,
                     struct acts *out)
{
    struct autonat_msg m;
    struct slice msg;

    while (t->state == ASKING) {
        enum autonat_frame_result got = autonat_frame_take(&t->frame, &in, &msg);
        if (got == AUTONAT_FRAME_MORE) {
            return;
        }
        if (got == AUTONAT_FRAME_BAD || autonat_msg_read(&m, msg) != QUDAG_OK) {
            broken(c, t, out);
        } else if (m.type == AUTONAT_RESPONSE) {
            answered(c, t, &m, now, out);
        } else if (m.type != AUTONAT_DATA_REQUEST || !pay(c, t, &m, out)) {
            broken(c, t, out);
        }
    }
}

static void ask_event(void *core, const struct ev *ev, tstamp now, struct acts *out)
{
    struct autonat_client *c = core;
    struct autonat_try *t;

    if (ev->type == EV_STREAM_OPEN) {
        opened(c, ev, out);
    } else if (ev->type == EV_STREAM_FAIL) {
        if ((t = by_cookie(c, ev->cookie)) != NULL) {
            failed(c, t, ev->err, out);
        }
    } else if ((t = by_strm(c, ev->strm)) == NULL) {
        return;
    } else if (ev->type == EV_DATA) {
        ask_data(c, t, ev->data, now, out);
    } else if (ev->type == EV_RESET && t->state == ASKING) {
        failed(c, t, ev->err == QUDAG_OK ? QUDAG_ERESET : ev->err, out);
    } else if (ev->type == EV_FIN && t->state == ASKING) {
        acts_reset(out, t->strm, QUDAG_ECLOSED);
        failed(c, t, QUDAG_ECLOSED, out);
    }
}

static void ask_tick(void *core, tstamp now, struct acts *out)
{
    struct autonat_client *c = core;

    for (size_t i = 0; i < AUTONAT_TRIES_MAX; i++) {
        struct autonat_try *t = &c->try[i];
        if (t->state == FREE || t->due > now) {
            continue;
        }
        if (t->state == ASKING) {
            acts_reset(out, t->strm, QUDAG_ETIMEOUT);
        }
        failed(c, t, t->state == LATE ? QUDAG_EAUTH : QUDAG_ETIMEOUT, out);
    }
}

static tstamp ask_deadline(const void *core)
{
    const struct autonat_client *c = core;
    tstamp at = TSTAMP_NEVER;

    for (size_t i = 0; i < AUTONAT_TRIES_MAX; i++) {
        at = c->try[i].state != FREE ? tstamp_min(at, c->try[i].due) : at;
    }
    return at;
}

/* ---- dial-backs ---- */

static struct autonat_back *back_by(struct autonat_client *c, struct ref strm)
{
    for (size_t i = 0; i < AUTONAT_BACKS_MAX; i++) {
        if (!ref_none(c->back[i].strm) && ref_eq(c->back[i].strm, strm)) {
            return &c->back[i];
        }
    }
    return NULL;
}

static void back_opened(struct autonat_client *c, const struct ev *ev, tstamp now, struct acts *out)
{
    struct autonat_back *b = &c->back[0];

    for (size_t i = 0; i < AUTONAT_BACKS_MAX; i++) {
        if (ref_none(c->back[i].strm)) {
            b = &c->back[i];
            break;
        }
        b = c->back[i].due < b->due ? &c->back[i] : b;
    }
    if (!ref_none(b->strm)) {
        acts_reset(out, b->strm, QUDAG_ELIMIT);
    }
    *b = (struct autonat_back){.strm = ev->strm, .due = tstamp_after(now, AUTONAT_BACK_TIMEOUT)};
    b->frame = (struct autonat_frame){.buf = b->buf, .max = sizeof(b->buf)};
}

void autonat_back_link(struct autonat_client *c, struct ref strm, const struct link_info *link)
{
    struct autonat_back *b = back_by(c, strm);

    if (b != NULL) {
        b->link = *link;
    }
}

/* Whose nonce it is; nothing but the nonce says which server this is, for it may dial as anybody. */
static bool back_take(struct autonat_client *c, const struct autonat_back *b, uint64_t nonce,
                      tstamp now)
{
    for (size_t i = 0; i < AUTONAT_TRIES_MAX; i++) {
        struct autonat_try *t = &c->try[i];
        if (t->state >= ASKING && t->nonce == nonce &&
            autonat_rule_back(&t->about.addr, &t->about.server, &b->link)) {
            t->came = true;
            t->due = t->state == LATE ? now : t->due;
            return true;
        }
    }
    c->stats.backs_unknown++;
    return false;
}

static void back_data(struct autonat_client *c, struct autonat_back *b, struct slice in, tstamp now,
                      struct acts *out)
{
    /* The length of a DialBackResponse that is empty: its status OK is 0, and left out. */
    static const uint8_t ok[] = {0};
    struct slice msg;
    uint64_t nonce;
    enum autonat_frame_result got = autonat_frame_take(&b->frame, &in, &msg);

    if (got == AUTONAT_FRAME_MORE) {
        return;
    }
    if (got == AUTONAT_FRAME_DONE && autonat_back_read(&nonce, msg) == QUDAG_OK &&
        back_take(c, b, nonce, now)) {
        acts_write(out, b->strm, ok, sizeof(ok));
        acts_fin(out, b->strm);
    } else {
        acts_reset(out, b->strm, QUDAG_EPROTO);
    }
    b->strm = (struct ref){0};
}

static void back_event(void *core, const struct ev *ev, tstamp now, struct acts *out)
{
    struct autonat_client *c = core;
    struct autonat_back *b;

    if (ev->type == EV_STREAM_OPEN && ev->inbound) {
        back_opened(c, ev, now, out);
    } else if (ev->type != EV_DATA && ev->type != EV_FIN && ev->type != EV_RESET) {
        return;
    } else if ((b = back_by(c, ev->strm)) != NULL) {
        if (ev->type == EV_DATA) {
            back_data(c, b, ev->data, now, out);
        } else {
            if (ev->type == EV_FIN) {
                acts_reset(out, b->strm, QUDAG_ECLOSED);
            }
            b->strm = (struct ref){0};
        }
    }
}

static void back_tick(void *core, tstamp now, struct acts *out)
{
    struct autonat_client *c = core;

    for (size_t i = 0; i < AUTONAT_BACKS_MAX; i++) {
        if (!ref_none(c->back[i].strm) && c->back[i].due <= now) {
            acts_reset(out, c->back[i].strm, QUDAG_ETIMEOUT);
            c->back[i].strm = (struct ref){0};
        }
    }
}

static tstamp back_deadline(const void *core)
{
    const struct autonat_client *c = core;
    tstamp at = TSTAMP_NEVER;

    for (size_t i = 0; i < AUTONAT_BACKS_MAX; i++) {
        at = !ref_none(c->back[i].strm) ? tstamp_min(at, c->back[i].due) : at;
    }
    return at;
}

const struct core_ops autonat_ask_ops = {.direct_only = true,
                                         .outbound_max = 1,
                                         .event = ask_event,
                                         .tick = ask_tick,
                                         .deadline = ask_deadline};
const struct core_ops autonat_back_ops = {.direct_only = true,
                                          .inbound_max = 2,
                                          .event = back_event,
                                          .tick = back_tick,
                                          .deadline = back_deadline};
