/*
 * yamux_fuzz.c - a hostile peer, and a user who does anything at any time.
 *
 * The input is a script: a byte says what happens next, those behind it with what.  Whatever comes, memory stays within
 * what yamux.h promises, events are of streams that exist, and after the end there is silence.
 */
#include "base/assert.h"
#include "core/yamux/yamux.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HELD_MAX 300000
#define QUEUE_MAX 5000
#define STREAMS 4

struct user {
    struct mem mem;
    struct yamux *y;
    tstamp now;
    uint32_t id[2 * STREAMS]; /* of streams that were announced or opened; 0: free */
    bool fin[2 * STREAMS];
    bool ended;
};

static size_t place_of(const struct user *u, uint32_t id)
{
    size_t i = 0;

    while (i < ARRAY_LEN(u->id) && u->id[i] != id) {
        i++;
    }
    return i;
}

/* Whether what happened may happen to that stream. */
static void on_event(struct user *u, const struct yamux_ev *ev)
{
    size_t i = place_of(u, ev->id);

    ASSERT(!u->ended);
    switch (ev->type) {
    case YAMUX_STREAM:
        ASSERT(i == ARRAY_LEN(u->id));
        i = place_of(u, 0);
        ASSERT(i < ARRAY_LEN(u->id));
        u->id[i] = ev->id;
        u->fin[i] = false;
        yamux_set_user(u->y, ev->id, ev->id);
        break;
    case YAMUX_DATA:
        ASSERT(i < ARRAY_LEN(u->id) && !u->fin[i] && ev->user == ev->id && ev->data.len > 0);
        break;
    case YAMUX_FIN:
        ASSERT(i < ARRAY_LEN(u->id) && !u->fin[i]);
        u->fin[i] = true;
        break;
    case YAMUX_RESET:
        ASSERT(i < ARRAY_LEN(u->id) && ev->err != QUDAG_OK);
        u->id[i] = 0;
        break;
    case YAMUX_END:
        u->ended = true;
        break;
    case YAMUX_SENT:
        ASSERT(i < ARRAY_LEN(u->id) && ev->n <= QUEUE_MAX);
        break;
    case YAMUX_STREAMS_OK:
    case YAMUX_GO_AWAY:
        break;
    }
}

/* Streams that ended in both directions are told by no event; they are known by what a write says. */
static void forget_ended(struct user *u)
{
    for (size_t i = 0; i < ARRAY_LEN(u->id); i++) {
        if (u->id[i] != 0 && yamux_write(u->y, u->id[i], (struct slice){NULL, 0}) == QUDAG_ESTALE) {
            u->id[i] = 0;
        }
    }
}

static void events(struct user *u)
{
    struct yamux_ev ev;

    while (yamux_next_event(u->y, &ev)) {
        on_event(u, &ev);
        forget_ended(u);
    }
}

static void receive(struct user *u, const uint8_t *p, size_t len)
{
    yamux_receive(u->y, (struct slice){p, len}, u->now);
    events(u);
    ASSERT(yamux_held(u->y) <= HELD_MAX);
}

static void output(struct user *u, size_t cap)
{
    uint8_t buf[YAMUX_HEADER + 256];
    size_t n = yamux_output(u->y, buf, YAMUX_HEADER + 1 + cap % 256);

    ASSERT(n <= YAMUX_HEADER + 1 + cap % 256 && (n == 0 || (buf[0] == 0 && buf[1] <= 3)));
    events(u);
}

static void act(struct user *u, uint8_t what, uint8_t arg)
{
    static const uint8_t zeros[256];
    uint32_t id = u->id[arg % ARRAY_LEN(u->id)];
    qudag_err err = QUDAG_OK;

    switch (what % 8) {
    case 0:
        err = yamux_open(u->y, 0, &id);
        if (err == QUDAG_OK) {
            yamux_set_user(u->y, id, id);
            u->id[place_of(u, 0)] = id;
            u->fin[place_of(u, id)] = false;
        }
        break;
    case 1:
        err = yamux_write(u->y, id, (struct slice){zeros, arg});
        break;
    case 2:
        yamux_consume(u->y, id, (size_t)arg * 1000);
        break;
    case 3:
        yamux_fin(u->y, id);
        break;
    case 4:
        yamux_reset(u->y, id, arg);
        break;
    case 5:
        output(u, arg);
        break;
    case 6:
        u->now += (uint64_t)arg * NS_PER_S / 8;
        yamux_tick(u->y, u->now);
        break;
    default:
        if (arg == 0) {
            yamux_close(u->y, YAMUX_NORMAL);
            u->ended = true;
        }
        break;
    }
    ASSERT(err != QUDAG_ENOMEM && err != QUDAG_EINTERNAL);
    events(u);
    forget_ended(u);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct user u;
    struct yamux_config cfg = {
        .mem = &u.mem,
        .dialer = size % 2 == 0,
        .streams_max = STREAMS,
        .own_max = STREAMS,
        .queue_max = QUEUE_MAX,
        .held_max = HELD_MAX,
    };

    memset(&u, 0, sizeof(u));
    mem_init(&u.mem, NULL, 0);
    u.now = NS_PER_S;
    if (yamux_new(&u.y, &cfg, u.now) != QUDAG_OK) {
        return 0;
    }
    while (size > 1) {
        size_t n = data[0] % 2 == 0 ? data[1] : 0;
        n = n < size - 2 ? n : size - 2;
        if (data[0] % 2 == 0) {
            receive(&u, data + 2, n);
        } else {
            act(&u, data[0] / 2, data[1]);
        }
        data += 2 + n;
        size -= 2 + n;
        ASSERT(u.mem.used < 2u * STREAMS * (QUEUE_MAX + 20000) + YAMUX_CONTROL_MAX + 40000);
    }
    yamux_free(u.y);
    ASSERT(u.mem.used == 0);
    return 0;
}
