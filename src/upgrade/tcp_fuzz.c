/*
 * tcp_fuzz.c - a transport over TCP whose host says anything at any time; the bytes are a program of what it says, of
 * what the owner does, and of what the peers send.
 *
 * Properties: no crash, no leak; the host is told of connections that it has, is told to close each once at most, and
 * hears no more of those that it ended; each link that was dialled ends once.
 */
#include "base/assert.h"
#include "crypto/init.h"
#include "upgrade/tcp.h"

#include <string.h>

#define CONNS 32

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {
    bool made;
    struct mem mem;
    struct rng_stream stream;
    struct rng rng;
    struct identity id;
    struct sec *sec;
} kept; /* keys take longer to make than all else */

struct prog {
    const uint8_t *p;
    size_t left;
};

/* A connection as the host knows it. */
struct known {
    uint64_t id;
    bool connecting;
};

static struct {
    struct tcp *t;
    tstamp now;
    struct known conn[CONNS];
    size_t n;
    struct ref link[CONNS]; /* dialled, and not down yet */
    size_t n_links;
    uint64_t void_id;
} f;

static uint8_t next(struct prog *g)
{
    if (g->left == 0) {
        return 0;
    }
    g->left--;
    return *g->p++;
}

static struct known *find(uint64_t id)
{
    for (size_t i = 0; i < f.n; i++) {
        if (f.conn[i].id == id) {
            return &f.conn[i];
        }
    }
    return NULL;
}

static void forget(struct known *k)
{
    f.void_id = k->id;
    *k = f.conn[--f.n];
}

/* One of those that there are; sometimes one that there is not any more. */
static uint64_t some_id(struct prog *g, struct known **k)
{
    uint8_t which = next(g);

    *k = f.n == 0 || which == 255 ? NULL : &f.conn[which % f.n];
    return *k != NULL ? (*k)->id : f.void_id;
}

static void events(void)
{
    struct link_ev ev;

    while (tcp_next_event(f.t, &ev)) {
        for (size_t i = 0; ev.type == LINK_DOWN && i < f.n_links; i++) {
            if (ref_to_u64(f.link[i]) == ref_to_u64(ev.link)) {
                f.link[i] = f.link[--f.n_links];
                break;
            }
        }
    }
}

static void actions(void)
{
    struct tcp_action a;

    while (tcp_next_action(f.t, &a, f.now)) {
        struct known *k = find(a.id);
        if (a.type == TCP_DO_CONNECT) {
            ASSERT(k == NULL && f.n < CONNS);
            f.conn[f.n++] = (struct known){a.id, true};
            continue;
        }
        ASSERT(k != NULL);
        if (a.type == TCP_DO_CLOSE || a.type == TCP_DO_ABORT) {
            forget(k);
        } else {
            ASSERT(!k->connecting);
        }
    }
}

static void owner_does(struct prog *g)
{
    struct netaddr to = {.family = 4, .ip = {127, 0, 0, 1}, .port = (uint16_t)(1 + next(g))};
    struct multiaddr addr;
    struct transport_target target = {.addr = &addr};
    uint8_t what = next(g);
    struct ref l;

    multiaddr_tcp(&addr, &to, NULL);
    if (what % 4 == 0) {
        if (f.n + f.n_links + 1 < CONNS &&
            tcp_transport.dial(f.t, &target, f.now, &l) == QUDAG_OK) {
            f.link[f.n_links++] = l;
        }
        return;
    }
    if (f.n_links == 0) {
        return;
    }
    l = f.link[what / 4 % f.n_links];
    if (what % 4 == 1) {
        (void)tcp_transport.cancel(f.t, l);
    } else if (what % 4 == 2) {
        tcp_transport.ops->close(f.t, l, QUDAG_ECANCELED);
    } else {
        tcp_transport.probe(f.t, l, f.now);
    }
}

static void host_says(struct prog *g)
{
    struct netaddr at = {.family = 4, .ip = {127, 0, 0, next(g)}, .port = 7};
    struct known *k;
    uint8_t what = next(g), buf[256];
    uint64_t id = some_id(g, &k);

    switch (what % 6) {
    case 0:
        tcp_connected(f.t, id, &at);
        if (k != NULL) {
            k->connecting = false;
        }
        break;
    case 1:
        tcp_failed(f.t, id, QUDAG_EUNREACHABLE, f.now);
        if (k != NULL) {
            forget(k);
        }
        break;
    case 2:
        tcp_ended(f.t, id, (what & 64) != 0 ? QUDAG_OK : QUDAG_ERESET, f.now);
        if (k != NULL) {
            forget(k);
        }
        break;
    case 3:
        if (f.n + f.n_links + 1 < CONNS && tcp_accepted(f.t, &at, &at, f.now, &id) == QUDAG_OK) {
            f.conn[f.n++] = (struct known){id, false};
        }
        break;
    case 4:
        for (size_t i = 0; i < sizeof(buf); i++) {
            buf[i] = i < what ? next(g) : 0;
        }
        tcp_received(f.t, id, (struct slice){buf, what}, f.now);
        break;
    default:
        (void)!tcp_output(f.t, id, buf, what + (size_t)1, f.now);
        break;
    }
}

static void make_keys(void)
{
    static const uint8_t seed[32] = {9};

    ASSERT(crypto_init() == QUDAG_OK);
    mem_init(&kept.mem, NULL, 0);
    rng_stream_init(&kept.stream, seed);
    kept.rng = rng_of_stream(&kept.stream);
    ASSERT(identity_generate(&kept.id, &kept.rng) == QUDAG_OK);
    const struct sec_config sec = {.mem = &kept.mem,
                                   .rng = &kept.rng,
                                   .identity = &kept.id,
                                   .pq = PQ_PREFER,
                                   .clock = {.base = 1800000000, .at = NS_PER_S}};
    ASSERT(sec_new(&kept.sec, &sec) == QUDAG_OK);
    kept.made = true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct prog g = {data, size};
    struct mem mem;

    if (!kept.made) {
        make_keys();
    }
    mem_init(&mem, NULL, 0);
    memset(&f, 0, sizeof(f));
    f.now = 100 * NS_PER_S;
    const struct upgrade_config cfg = {.mem = &mem,
                                       .rng = kept.rng,
                                       .sec = kept.sec,
                                       .identity = &kept.id,
                                       .pq = PQ_PREFER,
                                       .links_max = CONNS};
    ASSERT(tcp_new(&f.t, &cfg, f.now) == QUDAG_OK);
    while (g.left > 0) {
        switch (next(&g) % 8) {
        case 0:
        case 1:
            owner_does(&g);
            break;
        case 2:
            f.now += (uint64_t)next(&g) * 100 * NS_PER_MS;
            tcp_tick(f.t, f.now);
            break;
        case 3:
            if (next(&g) == 77) {
                tcp_shutdown(f.t, f.now);
            }
            break;
        default:
            host_says(&g);
            break;
        }
        actions();
        events();
    }
    f.now += 60 * NS_PER_S;
    for (int i = 0; i < 4; i++) { /* all that is left runs into its timer */
        tcp_tick(f.t, f.now);
        actions();
        events();
        f.now += 60 * NS_PER_S;
    }
    ASSERT(f.n_links == 0);
    tcp_free(f.t);
    ASSERT(mem.used == 0);
    return 0;
}
