/*
 * succession.c - see succession.h.
 *
 *   ask      FREE ─ successions_ask() ─▶ OPENING ─ stream open: key, FIN ─▶ READING ─ FIN ─▶ FREE, with what came
 *                                          └ fail, due ─▶ FREE                └ reset, too much, due ─▶ FREE
 *   answer   FREE ─ stream open ─▶ READING ─ FIN behind 32 bytes: statement, FIN ─▶ FREE
 *                                    └ reset, other lengths, due ─▶ FREE
 */
#include "core/succession/succession.h"

#include "base/mem.h"

#include <string.h>

void successions_init(struct successions *s, struct mem *mem)
{
    *s = (struct successions){.mem = mem, .next_cookie = 1};
}

static void ask_free(struct successions *s, struct succession_ask *a)
{
    mem_free(s->mem, a->bytes);
    *a = (struct succession_ask){.used = false};
}

void successions_fini(struct successions *s)
{
    for (size_t i = 0; i < SUCCESSION_KEPT; i++) {
        mem_free(s->mem, s->own[i]);
        s->own[i] = NULL;
    }
    for (size_t i = 0; i < SUCCESSIONS_ASKS_MAX; i++) {
        ask_free(s, &s->ask[i]);
    }
}

qudag_err successions_own(struct successions *s, const struct succession *what, struct slice bytes)
{
    size_t at = 0;

    if (bytes.len != SUCCESSION_LEN) {
        return QUDAG_EINVAL;
    }
    for (size_t i = 0; i < SUCCESSION_KEPT; i++) {
        if (s->own[i] != NULL && memcmp(s->from[i], what->from, sizeof(what->from)) == 0) {
            return QUDAG_EEXISTS;
        }
        at = s->own[at] != NULL && (s->own[i] == NULL || s->seq[i] < s->seq[at]) ? i : at;
    }
    if (s->own[at] != NULL && s->seq[at] >= what->seq) {
        return QUDAG_ELIMIT;
    }
    uint8_t *room = s->own[at] != NULL ? s->own[at] : mem_alloc(s->mem, SUCCESSION_LEN);
    if (room == NULL) {
        return QUDAG_ENOMEM;
    }
    s->own[at] = room;
    s->seq[at] = what->seq;
    memcpy(room, bytes.base, SUCCESSION_LEN);
    memcpy(s->from[at], what->from, sizeof(what->from));
    return QUDAG_OK;
}

uint64_t successions_newest(const struct successions *s)
{
    uint64_t newest = 0;

    for (size_t i = 0; i < SUCCESSION_KEPT; i++) {
        newest = s->own[i] != NULL && s->seq[i] > newest ? s->seq[i] : newest;
    }
    return newest;
}

/* ---- who asks ---- */

static struct succession_ask *ask_of(struct successions *s, struct ref strm)
{
    for (size_t i = 0; i < SUCCESSIONS_ASKS_MAX; i++) {
        if (s->ask[i].used && !ref_none(s->ask[i].strm) && ref_eq(s->ask[i].strm, strm)) {
            return &s->ask[i];
        }
    }
    return NULL;
}

static struct succession_ask *ask_by_cookie(struct successions *s, uint64_t cookie)
{
    for (size_t i = 0; i < SUCCESSIONS_ASKS_MAX; i++) {
        if (s->ask[i].used && ref_none(s->ask[i].strm) && s->ask[i].cookie == cookie) {
            return &s->ask[i];
        }
    }
    return NULL;
}

qudag_err successions_ask(struct successions *s, const struct peer_id *peer, const uint8_t key[32],
                          uint64_t cookie, tstamp now, struct acts *out)
{
    for (size_t i = 0; i < SUCCESSIONS_ASKS_MAX; i++) {
        struct succession_ask *a = &s->ask[i];
        if (a->used) {
            continue;
        }
        *a = (struct succession_ask){.peer = *peer,
                                     .cookie = s->next_cookie++,
                                     .user_cookie = cookie,
                                     .due = tstamp_after(now, SUCCESSIONS_TIMEOUT),
                                     .bytes = mem_alloc(s->mem, SUCCESSION_LEN)};
        if (a->bytes == NULL) {
            return QUDAG_ENOMEM;
        }
        a->used = true;
        memcpy(a->key, key, sizeof(a->key));
        acts_open(out, peer, a->cookie, 0);
        return QUDAG_OK;
    }
    return QUDAG_ELIMIT;
}

/* |a| ends with |err|, or with what it has read. */
static void ask_end(struct successions *s, struct succession_ask *a, qudag_err err,
                    struct acts *out)
{
    struct act *up = err == QUDAG_OK ? acts_up_copy(out, SUCCESSIONS_UP, a->bytes, a->len)
                                     : acts_up(out, SUCCESSIONS_UP);

    if (up == NULL) {
        up = acts_up(out, SUCCESSIONS_UP);
        err = QUDAG_ENOMEM;
    }
    up->peer = a->peer;
    up->cookie = a->user_cookie;
    up->err = err;
    up->n = a->len;
    ask_free(s, a);
}

static void ask_opened(struct successions *s, const struct ev *ev, struct acts *out)
{
    struct succession_ask *a = ask_by_cookie(s, ev->cookie);

    if (a == NULL) {
        acts_reset(out, ev->strm, QUDAG_ECANCELED); /* it had timed out */
        return;
    }
    a->strm = ev->strm;
    acts_write(out, a->strm, a->key, sizeof(a->key));
    acts_fin(out, a->strm);
}

static void ask_event(struct successions *s, struct succession_ask *a, const struct ev *ev,
                      struct acts *out)
{
    switch (ev->type) {
    case EV_DATA:
        if (ev->data.len > SUCCESSION_LEN - a->len) {
            acts_reset(out, a->strm, QUDAG_EPROTO);
            ask_end(s, a, QUDAG_EPROTO, out);
            return;
        }
        memcpy(a->bytes + a->len, ev->data.base, ev->data.len);
        a->len += ev->data.len;
        break;
    case EV_FIN:
        ask_end(s, a,
                a->len == SUCCESSION_LEN ? QUDAG_OK
                : a->len == 0            ? QUDAG_ENOTFOUND
                                         : QUDAG_EPROTO,
                out);
        break;
    case EV_RESET:
        ask_end(s, a, ev->err == QUDAG_OK ? QUDAG_ERESET : ev->err, out);
        break;
    default:
        break;
    }
}

/* ---- who answers ---- */

static struct succession_answer *answer_of(struct successions *s, struct ref strm)
{
    for (size_t i = 0; i < SUCCESSIONS_ANSWERS_MAX; i++) {
        if (!ref_none(s->answer[i].strm) && ref_eq(s->answer[i].strm, strm)) {
            return &s->answer[i];
        }
    }
    return NULL;
}

static void answer_opened(struct successions *s, struct ref strm, tstamp now, struct acts *out)
{
    struct succession_answer *pick = &s->answer[0];

    for (size_t i = 0; i < SUCCESSIONS_ANSWERS_MAX && !ref_none(pick->strm); i++) {
        struct succession_answer *x = &s->answer[i];
        pick = ref_none(x->strm) || x->due < pick->due ? x : pick;
    }
    if (!ref_none(pick->strm)) {
        acts_reset(out, pick->strm, QUDAG_ELIMIT);
    }
    *pick = (struct succession_answer){.strm = strm, .due = tstamp_after(now, SUCCESSIONS_TIMEOUT)};
}

static void answer_give(struct successions *s, const struct succession_answer *x, struct acts *out)
{
    for (size_t i = 0; i < SUCCESSION_KEPT; i++) {
        if (s->own[i] != NULL && memcmp(s->from[i], x->key, sizeof(x->key)) == 0) {
            acts_write(out, x->strm, s->own[i], SUCCESSION_LEN);
            break;
        }
    }
    acts_fin(out, x->strm);
}

static void answer_event(struct successions *s, struct succession_answer *x, const struct ev *ev,
                         struct acts *out)
{
    bool whole = x->len == sizeof(x->key);

    if (ev->type == EV_DATA && ev->data.len <= sizeof(x->key) - x->len) {
        memcpy(x->key + x->len, ev->data.base, ev->data.len);
        x->len += ev->data.len;
        return;
    }
    if (ev->type == EV_WRITABLE) {
        return;
    }
    if (ev->type == EV_FIN && whole) {
        answer_give(s, x, out);
    } else if (ev->type != EV_RESET) {
        acts_reset(out, x->strm, QUDAG_EPROTO);
    }
    *x = (struct succession_answer){.len = 0};
}

/* ---- core ---- */

static void event(void *core, const struct ev *ev, tstamp now, struct acts *out)
{
    struct successions *s = core;
    struct succession_ask *a;
    struct succession_answer *x;

    switch (ev->type) {
    case EV_STREAM_OPEN:
        if (ev->inbound) {
            answer_opened(s, ev->strm, now, out);
        } else {
            ask_opened(s, ev, out);
        }
        break;
    case EV_STREAM_FAIL:
        if ((a = ask_by_cookie(s, ev->cookie)) != NULL) {
            ask_end(s, a, ev->err == QUDAG_OK ? QUDAG_ECLOSED : ev->err, out);
        }
        break;
    case EV_DATA:
    case EV_WRITABLE:
    case EV_FIN:
    case EV_RESET:
        if ((a = ask_of(s, ev->strm)) != NULL) {
            ask_event(s, a, ev, out);
        } else if ((x = answer_of(s, ev->strm)) != NULL) {
            answer_event(s, x, ev, out);
        }
        break;
    case EV_PEER_UP:
    case EV_PEER_DOWN:
        break;
    }
}

static void tick(void *core, tstamp now, struct acts *out)
{
    struct successions *s = core;

    for (size_t i = 0; i < SUCCESSIONS_ASKS_MAX; i++) {
        struct succession_ask *a = &s->ask[i];
        if (a->used && a->due <= now) {
            if (!ref_none(a->strm)) {
                acts_reset(out, a->strm, QUDAG_ETIMEOUT);
            }
            ask_end(s, a, QUDAG_ETIMEOUT, out);
        }
    }
    for (size_t i = 0; i < SUCCESSIONS_ANSWERS_MAX; i++) {
        struct succession_answer *x = &s->answer[i];
        if (!ref_none(x->strm) && x->due <= now) {
            acts_reset(out, x->strm, QUDAG_ETIMEOUT);
            *x = (struct succession_answer){.len = 0};
        }
    }
}

static tstamp deadline(const void *core)
{
    const struct successions *s = core;
    tstamp min = TSTAMP_NEVER;

    for (size_t i = 0; i < SUCCESSIONS_ASKS_MAX; i++) {
        min = s->ask[i].used ? tstamp_min(min, s->ask[i].due) : min;
    }
    for (size_t i = 0; i < SUCCESSIONS_ANSWERS_MAX; i++) {
        min = !ref_none(s->answer[i].strm) ? tstamp_min(min, s->answer[i].due) : min;
    }
    return min;
}

const struct core_ops successions_ops = {
    .protocol = SUCCESSIONS_PROTOCOL,
    .inbound_max = 2,
    .doubts = true,
    .event = event,
    .tick = tick,
    .deadline = deadline,
};
