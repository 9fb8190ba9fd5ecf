/* late.c - an account of what is under way to streams that are gone. */
#include "core/onion/late.h"

#include "base/rd.h"
#include "core/onion/streams.h"

static void forget(struct onion_late *l)
{
    *l = (struct onion_late){.cells = 0};
}

void onion_late_expect(struct onion_late *l, const struct onion_late *more, uint32_t cells)
{
    l->data += more->data;
    l->credit += more->credit;
    l->control += more->control;
    l->cells = cells;
    l->fresh = true; /* the silence begins when the caller says what time it is */
}

bool onion_late_takes(struct onion_late *l, const struct onion_relay_msg *msg)
{
    struct rd r = rd_init(msg->data);
    uint64_t n = msg->type == ONION_RELAY_CREDIT ? rd_u32(&r) : msg->data.len;

    if (l->cells == 0) {
        return false;
    }
    if (msg->type == ONION_RELAY_DATA && n <= l->data) {
        l->data -= n;
    } else if (msg->type == ONION_RELAY_CREDIT && n >= ONION_STREAM_CREDIT_STEP && n <= l->credit) {
        l->credit -= n;
    } else if (msg->type != ONION_RELAY_DATA && msg->type != ONION_RELAY_CREDIT && l->control > 0) {
        l->control--;
    } else {
        return false;
    }
    return true;
}

void onion_late_cell(struct onion_late *l)
{
    if (l->cells <= 1) {
        forget(l);
    } else {
        l->cells--;
        l->fresh = true; /* no silence */
    }
}

void onion_late_at(struct onion_late *l, tstamp now)
{
    if (l->fresh) {
        l->fresh = false;
        l->until = tstamp_after(now, ONION_LATE_SILENCE);
    } else if (now >= l->until) {
        forget(l);
    }
}
