/*
 * event.c - what happened on links, one event at a time: the muxer reads what was opened as events are asked for, so
 * that each is told with what its stream is at this time, and points into the bytes themselves.
 */
#include "core/codes.h"
#include "upgrade/upgrade_int.h"

/* Nobody has room for |ev|: its stream ends. */
static void refuse_data(struct upgrade_link *l, struct yamux_ev *ev)
{
    yamux_reset(l->yamux, ev->id, (uint32_t)link_code(QUDAG_ELIMIT));
    *ev =
        (struct yamux_ev){.type = YAMUX_RESET, .err = QUDAG_ELIMIT, .id = ev->id, .user = ev->user};
}

static qudag_err reset_error(const struct yamux_ev *ev)
{
    return ev->err == QUDAG_ERESET && ev->code != 0 ? link_code_error(ev->code) : ev->err;
}

/* One of the muxer's events that is one of the link's; false: it is not. */
static bool translate(struct upgrade_link *l, struct yamux_ev *in, struct link_ev *out)
{
    static const enum link_ev_type type[] = {
        [YAMUX_STREAM] = LINK_STREAM,
        [YAMUX_DATA] = LINK_DATA,
        [YAMUX_FIN] = LINK_FIN,
        [YAMUX_RESET] = LINK_RESET,
        [YAMUX_SENT] = LINK_SENT,
        [YAMUX_STREAMS_OK] = LINK_STREAMS_OK,
        [YAMUX_GO_AWAY] = LINK_STREAMS_OK, /* who waits for a stream asks again, and hears */
    };

    if (in->type == YAMUX_DATA && upgrade_account_ask(l, RES_RECEIVED, in->data.len) != QUDAG_OK) {
        refuse_data(l, in);
    }
    if (in->type == YAMUX_END) {
        upgrade_end(l, in->err, in->text);
        return false;
    }
    if (in->type == YAMUX_GO_AWAY && in->code != YAMUX_NORMAL) {
        upgrade_end(l, QUDAG_ERESET, "the peer's muxer gave up"); /* it need not close the link */
        return false;
    }
    l->going = l->going || in->type == YAMUX_GO_AWAY;
    *out = (struct link_ev){.type = type[in->type],
                            .link = l->ref,
                            .sid = in->id,
                            .user = in->user,
                            .n = in->n,
                            .data = in->data};
    if (in->type == YAMUX_DATA) {
        out->keep = &l->blocks->lent;
    } else if (in->type == YAMUX_RESET) {
        out->err = reset_error(in);
    }
    return true;
}

/* Gives the muxer the next bytes, if there are some. */
static bool feed(struct upgrade_link *l)
{
    struct upgrade_block *b = l->blocks;

    while (b != NULL && b->read == b->len) { /* also one that no bytes came for */
        upgrade_block_drop(l);
        b = l->blocks;
    }
    if (b == NULL) {
        return false;
    }
    struct slice in = {b->data + b->read, b->len - b->read};
    b->read = b->len;
    yamux_receive(l->yamux, in, l->u->now);
    return true;
}

static bool from_muxer(struct upgrade_link *l, struct link_ev *ev)
{
    struct yamux_ev y;

    do {
        while (l->stage == STAGE_STREAMS && yamux_next_event(l->yamux, &y)) {
            if (translate(l, &y, ev)) {
                return true;
            }
        }
    } while (l->stage == STAGE_STREAMS && feed(l));
    return false;
}

/* All that came before has been said. */
static void settle(struct upgrade_link *l)
{
    if (l->stage != STAGE_STREAMS) {
        return;
    }
    if (l->closing) {
        upgrade_end(l, l->why, l->why_text);
    } else if (l->going && yamux_streams(l->yamux) == 0) {
        upgrade_end(l, QUDAG_ECLOSED, "the peer closed the link");
    } else if (yamux_has_output(l->yamux)) {
        upgrade_mark_work(l);
    }
    if (l->stage == STAGE_STREAMS) {
        upgrade_account_sync(l);
        upgrade_set_timer(l);
    }
}

static void down(struct upgrade_link *l, struct link_ev *ev)
{
    struct upgrade *u = l->u;

    l->down_due = false;
    *ev = (struct link_ev){.type = LINK_DOWN, .link = l->ref, .err = l->why, .text = l->why_text};
    if (l->why == QUDAG_EAUTH && l->other_peer) {
        u->found = l->found;
        ev->found = &u->found;
    }
    list_del(&l->busy);
    (void)upgrade_gone(l);
}

/* The next event of |l|; false: there is none. */
static bool link_event(struct upgrade_link *l, struct link_ev *ev)
{
    if (l->answered_due) {
        l->answered_due = false;
        *ev = (struct link_ev){.type = LINK_ANSWERED, .link = l->ref};
        return true;
    }
    if (l->proven_due) {
        l->proven_due = false;
        *ev = (struct link_ev){.type = LINK_PROVEN, .link = l->ref};
        return true;
    }
    if (l->up_due) {
        l->up_due = false;
        l->announced = true;
        *ev = (struct link_ev){.type = LINK_UP, .link = l->ref};
        return true;
    }
    if (l->stage == STAGE_STREAMS && l->up) {
        if (upgrade_quiet_event(l, ev) || from_muxer(l, ev)) {
            return true;
        }
        settle(l);
    }
    while (l->stage == STAGE_ENDED && l->blocks != NULL) {
        upgrade_block_drop(l);
    }
    if (l->down_due) {
        down(l, ev);
        return true;
    }
    return false;
}

bool upgrade_next_event(struct upgrade *u, struct link_ev *ev)
{
    while (!list_empty(&u->busy)) {
        struct upgrade_link *l = LIST_ENTRY(u->busy.next, struct upgrade_link, busy);

        if (link_event(l, ev)) {
            return true;
        }
        list_del(&l->busy);
    }
    return false;
}
