/* flood_kit.c - see flood_kit.h. */
#include "flood_kit.h"

#include "common.h"
#include "quic/quic_int.h"
#include "udp_kit.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define OPS quic_link_ops
#define SPOOFS 256 /* sockets, each on an address of its own */
#define HELLOS 4000
#define BATCH 64
#define PN_FIRST 0x00100000u /* beyond what the library has used */
#define STREAMS_AT_ONCE 256

/* ---- sockets and time */

static int bound_to(const struct netaddr *from, struct netaddr *got)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = 0};
    socklen_t len = sizeof sa;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0), size = 4 << 20;

    memcpy(&sa.sin_addr, from->ip, 4);
    must(fd >= 0 && bind(fd, (struct sockaddr *)&sa, sizeof sa) == 0 &&
             getsockname(fd, (struct sockaddr *)&sa, &len) == 0,
         "socket of an attacker");
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    *got = *from;
    got->port = ntohs(sa.sin_port);
    return fd;
}

static struct sockaddr_in to_sock(const struct netaddr *a)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(a->port)};

    memcpy(&sa.sin_addr, a->ip, 4);
    return sa;
}

static void fill(void *ctx, uint8_t *dst, size_t len)
{
    static uint64_t x[2];
    (void)ctx;

    must(x[0] != 0 || getrandom(x, sizeof x, 0) == sizeof x, "getrandom");
    for (size_t i = 0; i < len; i++) { /* xorshift: an attacker needs no better */
        uint64_t t = x[0], s = x[1];
        x[0] = s;
        t ^= t << 23;
        t ^= t >> 18 ^ s ^ s >> 5;
        x[1] = t;
        dst[i] = (uint8_t)((t + s) >> 24);
    }
}

static uint64_t process_cpu_ns(void)
{
    struct timespec t;

    must(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t) == 0, "clock");
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

/* Waits until |n| more are due at |per_s|. */
static void pace_to(double per_s, double begin, double sent)
{
    double ahead = per_s > 0 ? sent / per_s - (now_s() - begin) : 0;

    if (ahead > 0.0005) {
        struct timespec t = {0, (long)(ahead * 1e9)};
        (void)nanosleep(&t, NULL);
    }
}

static void count(struct flood_done *d, size_t len)
{
    d->dgrams++;
    d->bytes += len;
}

static void send_n(int fd, const struct netaddr *to, uint8_t (*buf)[1252], const size_t *len,
                   unsigned n, struct flood_done *d)
{
    struct sockaddr_in sa = to_sock(to);
    struct mmsghdr m[BATCH];
    struct iovec iov[BATCH];

    memset(m, 0, sizeof m);
    for (unsigned i = 0; i < n; i++) {
        iov[i] = (struct iovec){buf[i], len[i]};
        m[i].msg_hdr = (struct msghdr){
            .msg_name = &sa, .msg_namelen = sizeof sa, .msg_iov = &iov[i], .msg_iovlen = 1};
        count(d, len[i]);
    }
    (void)sendmmsg(fd, m, n, 0);
    d->cpu_ns = process_cpu_ns();
}

/* ---- datagrams that prove nothing */

static void garbage(const struct flood_order *o, struct flood_done *d)
{
    static const size_t lens[] = {0, 5, 30, 600, 1200, 1200};
    static uint8_t buf[BATCH][1252];
    size_t len[BATCH];
    struct netaddr self;
    int fd = bound_to(&o->from, &self);
    double begin = now_s();

    fill(NULL, buf[0], sizeof buf);
    while (!d->stop) {
        for (unsigned i = 0; i < BATCH; i++) {
            len[i] = lens[i % ARRAY_LEN(lens)];
            buf[i][6] = (uint8_t)i; /* ids that nobody has */
            if (i % ARRAY_LEN(lens) == 5) {
                memcpy(buf[i], "\xc0\x1a\x2a\x3a\x4a\x08", 6);
            }
        }
        send_n(fd, &o->target, buf, len, BATCH, d);
        pace_to(o->per_s, begin, (double)d->dgrams);
    }
}

static void open_spoofs(int fd[SPOOFS])
{
    struct rlimit most = {1024, 1024};

    (void)getrlimit(RLIMIT_NOFILE, &most);
    must(most.rlim_cur > SPOOFS + 64, "too few files");
    for (unsigned i = 0; i < SPOOFS; i++) {
        uint8_t r[3];
        struct netaddr got;
        fill(NULL, r, sizeof r);
        struct netaddr a = {.family = 4, .ip = {127, (uint8_t)(100 + r[0] % 100), r[1], r[2] | 1}};
        int least = 0; /* what is never read must not use up what the kernel has for all sockets */
        fd[i] = bound_to(&a, &got);
        (void)setsockopt(fd[i], SOL_SOCKET, SO_RCVBUF, &least, sizeof least);
    }
}

static void initials(const struct flood_order *o, struct flood_done *d)
{
    static uint8_t buf[1][1252];
    struct sockaddr_in sa = to_sock(&o->target);
    int fd[SPOOFS];
    double begin;

    open_spoofs(fd);
    fill(NULL, buf[0], sizeof buf[0]);
    begin = now_s();
    for (uint64_t i = 0; !d->stop; i++) {
        uint8_t *p = buf[0];
        memcpy(p, "\xc3\0\0\0\x01\x10", 6);
        fill(NULL, p + 6, 16);
        p[22] = 8;
        fill(NULL, p + 23, 8);
        p[31] = 0;                     /* no token */
        memcpy(p + 32, "\x44\x8e", 2); /* 1166: the rest of 1200 */
        (void)sendto(fd[i % SPOOFS], p, 1200, 0, (struct sockaddr *)&sa, sizeof sa);
        count(d, 1200);
        if (i % 16 == 0) {
            d->cpu_ns = process_cpu_ns();
            pace_to(o->per_s, begin, (double)i);
        }
    }
}

/* ---- links of the attacker's */

struct foe {
    int fd;
    struct netaddr addr;
    struct mem mem;
    struct rng rng;
    struct identity id;
    struct sec *sec;
    struct quic *q;
    struct ref link;
    bool up, down;
    unsigned open;
};

static void foe_make(struct foe *f, const struct netaddr *from)
{
    memset(f, 0, sizeof *f);
    mem_init(&f->mem, NULL, 0);
    f->rng = (struct rng){fill, NULL};
    f->fd = bound_to(from, &f->addr);
    must(identity_generate(&f->id, &f->rng) == QUDAG_OK, "identity");
    struct sec_config sc = {.mem = &f->mem,
                            .rng = &f->rng,
                            .identity = &f->id,
                            .pq = PQ_REQUIRE,
                            .clock = {(walltime)time(NULL), udp_kit_now()}};
    must(sec_new(&f->sec, &sc) == QUDAG_OK, "sec");
    struct quic_config qc = {
        .mem = &f->mem, .rng = f->rng, .sec = f->sec, .pq = PQ_REQUIRE, .conns_max = HELLOS + 64};
    must(quic_new(&f->q, &qc, udp_kit_now()) == QUDAG_OK, "quic");
}

static void foe_drop(struct foe *f)
{
    quic_free(f->q);
    sec_free(f->sec);
    identity_fini(&f->id);
    must(close(f->fd) == 0, "close");
}

static void foe_dial(struct foe *f, const struct netaddr *to)
{
    struct quic_dial d = {.remote = *to};

    must(quic_dial(f->q, &d, udp_kit_now(), &f->link) == QUDAG_OK, "dial");
    f->up = f->down = false;
}

static void foe_take(void *ctx, const struct netaddr *from, struct slice data)
{
    struct foe *f = ctx;
    struct quic_dgram d = {.local = f->addr, .remote = *from, .data = data};

    quic_recv(f->q, &d, udp_kit_now());
}

static void foe_events(struct foe *f)
{
    struct link_ev ev;

    while (quic_next_event(f->q, &ev)) {
        f->up = f->up || ev.type == LINK_UP;
        f->down = f->down || (ev.type == LINK_DOWN && ref_eq(ev.link, f->link));
        f->open -= (ev.type == LINK_RESET || ev.type == LINK_FIN) && f->open > 0 ? 1 : 0;
        if (ev.type == LINK_DATA) {
            OPS.consume(f->q, ev.link, ev.sid, ev.data.len);
        }
    }
}

static void foe_turn(struct foe *f, uint64_t wait_ns, struct flood_done *d)
{
    static uint8_t buf[QUIC_TX_MAX];
    struct quic_tx tx = {.buf = buf};

    if (udp_kit_recv(f->fd, f, foe_take) == 0 && wait_ns > 0) {
        udp_kit_wait(f->fd, wait_ns);
    }
    quic_tick(f->q, udp_kit_now());
    foe_events(f);
    while (quic_send(f->q, udp_kit_now(), &tx)) {
        udp_kit_send(f->fd, &tx.remote, tx.buf, tx.len, tx.segment);
        if (d != NULL) {
            d->dgrams += (tx.len + tx.segment - 1) / tx.segment;
            d->bytes += tx.len;
        }
        foe_events(f);
    }
    if (d != NULL) {
        d->cpu_ns = process_cpu_ns();
    }
}

/* A link, of a new identity if the one before has ended; false: stop. */
static bool foe_linked(struct foe *f, const struct flood_order *o, struct flood_done *d)
{
    while (!d->stop && (!f->up || f->down)) {
        if (f->q == NULL || f->down) {
            d->downs += f->q != NULL ? 1 : 0;
            if (f->q != NULL) {
                foe_drop(f);
            }
            foe_make(f, &o->from);
            foe_dial(f, &o->target);
        }
        foe_turn(f, 5 * NS_PER_MS, d);
        d->links += f->up && !f->down ? 1 : 0;
    }
    return !d->stop;
}

static void hellos(const struct flood_order *o, struct flood_done *d)
{
    static uint8_t(*pool)[1252];
    static uint8_t buf[QUIC_TX_MAX];
    static struct foe f;
    struct sockaddr_in sa = to_sock(&o->target);
    int fd[SPOOFS];
    unsigned n = 0;
    double begin;

    open_spoofs(fd);
    foe_make(&f, &o->from);
    pool = calloc(HELLOS, sizeof *pool);
    must(pool != NULL, "memory");
    while (n < HELLOS && !d->stop) {
        struct quic_tx tx = {.buf = buf};
        foe_dial(&f, &o->target);
        while (quic_send(f.q, udp_kit_now(), &tx)) {
            if (n < HELLOS && tx.len >= 1200) {
                memcpy(pool[n++], tx.buf, 1200);
            }
        }
        foe_events(&f);
    }
    begin = now_s();
    uint64_t first = process_cpu_ns();
    for (uint64_t i = 0; !d->stop; i++) {
        (void)sendto(fd[i % SPOOFS], pool[i % n], 1200, 0, (struct sockaddr *)&sa, sizeof sa);
        count(d, 1200);
        if (i % 16 == 0) {
            d->cpu_ns = process_cpu_ns() - first;
            pace_to(o->per_s, begin, (double)i);
        }
    }
}

static void streams(const struct flood_order *o, struct flood_done *d, bool requests)
{
    static const uint8_t junk[64] = {0xff, 0xff, 0xff, 0xff, 0x7f};
    static struct foe f;

    while (foe_linked(&f, o, d)) {
        int64_t sid;
        unsigned n = 0;
        while (n < STREAMS_AT_ONCE && (!requests || f.open < 1024) &&
               OPS.open(f.q, f.link, 1, NULL, &sid) == QUDAG_OK) {
            (void)OPS.write(f.q, f.link, sid, (struct slice){junk, requests ? sizeof junk : 1});
            if (requests) {
                f.open++;
            } else {
                OPS.reset(f.q, f.link, sid, QUDAG_ECANCELED);
            }
            d->acts++;
            n++;
        }
        foe_turn(&f, n == 0 ? NS_PER_MS : 0, d);
    }
}

/* ---- packets written by hand */

static char keylog_secret[200];

static void on_keylog(const SSL *ssl, const char *line)
{
    const char *last = strrchr(line, ' ');
    (void)ssl;

    if (strncmp(line, "CLIENT_TRAFFIC_SECRET_0", 23) == 0 && last != NULL) {
        (void)snprintf(keylog_secret, sizeof keylog_secret, "%s", last + 1);
    }
}

struct hand {
    ngtcp2_crypto_ctx ctx;
    ngtcp2_crypto_aead_ctx aead;
    EVP_CIPHER_CTX *hp;
    uint8_t iv[16];
    size_t iv_len;
    ngtcp2_cid dcid;
    uint32_t pn;
};

/* HKDF-Expand-Label of TLS 1.3, without a context. */
static void expand(uint8_t *out, size_t len, const struct hand *h, const uint8_t *secret, size_t n,
                   const char *label)
{
    uint8_t info[64] = {(uint8_t)(len >> 8), (uint8_t)len, (uint8_t)(6 + strlen(label))};
    int text = snprintf((char *)info + 3, sizeof info - 4, "tls13 %s", label);

    must(ngtcp2_crypto_hkdf_expand(out, len, &h->ctx.md, secret, n, info, (size_t)text + 4) == 0,
         "hkdf");
}

static void hand_make(struct hand *h, const struct foe *f)
{
    struct quic_conn *c = slots_get(&f->q->conns, f->link);
    uint8_t secret[64], key[32], hp[32];
    size_t n = strlen(keylog_secret) / 2;

    memset(h, 0, sizeof *h);
    must(c != NULL && c->ng != NULL && n > 0 && n <= sizeof secret, "no secret");
    for (size_t i = 0; i < n; i++) {
        char two[3] = {keylog_secret[2 * i], keylog_secret[2 * i + 1], 0};
        secret[i] = (uint8_t)strtoul(two, NULL, 16);
    }
    h->ctx = *ngtcp2_conn_get_crypto_ctx(c->ng);
    h->dcid = *ngtcp2_conn_get_dcid(c->ng);
    h->iv_len = 12;
    size_t key_len = ngtcp2_crypto_aead_keylen(&h->ctx.aead);
    expand(key, key_len, h, secret, n, "quic key");
    expand(h->iv, h->iv_len, h, secret, n, "quic iv");
    expand(hp, key_len, h, secret, n, "quic hp");
    h->hp = EVP_CIPHER_CTX_new();
    must(ngtcp2_crypto_aead_ctx_encrypt_init(&h->aead, &h->ctx.aead, key, h->iv_len) == 0 &&
             h->hp != NULL &&
             EVP_EncryptInit_ex(h->hp, key_len == 16 ? EVP_aes_128_ecb() : EVP_aes_256_ecb(), NULL,
                                hp, NULL) == 1,
         "keys");
    h->pn = PN_FIRST;
}

/* One 1-RTT packet with |frame|; its length. */
static size_t hand_write(struct hand *h, uint8_t *out, const uint8_t *frame, size_t len)
{
    size_t at = 1 + h->dcid.datalen, head = at + 4;
    uint8_t nonce[16], mask[32];
    int mask_len;
    uint32_t pn = h->pn++;

    out[0] = 0x43;
    memcpy(out + 1, h->dcid.data, h->dcid.datalen);
    for (int i = 0; i < 4; i++) {
        out[at + (size_t)i] = (uint8_t)(pn >> (24 - 8 * i));
    }
    memcpy(nonce, h->iv, h->iv_len);
    for (int i = 0; i < 4; i++) {
        nonce[h->iv_len - 4 + (size_t)i] ^= out[at + (size_t)i];
    }
    memcpy(out + head, frame, len);
    must(ngtcp2_crypto_encrypt(out + head, &h->ctx.aead, &h->aead, out + head, len, nonce,
                               h->iv_len, out, head) == 0 &&
             EVP_EncryptUpdate(h->hp, mask, &mask_len, out + at + 4, 16) == 1,
         "seal");
    out[0] ^= mask[0] & 0x1f;
    for (int i = 0; i < 4; i++) {
        out[at + (size_t)i] ^= mask[1 + i];
    }
    return head + len + 16;
}

static void frames(const struct flood_order *o, struct flood_done *d, bool challenge)
{
    static struct foe f;
    static uint8_t pkt[65536];
    const double life = 60;

    while (!d->stop) {
        uint8_t frame[9] = {challenge ? 0x1a : 0x01};
        size_t len = challenge ? sizeof frame : 1;
        struct hand h = {.pn = 0};

        foe_make(&f, &o->from);
        foe_dial(&f, &o->target);
        const struct quic_conn *c = slots_get(&f.q->conns, f.link);
        SSL_CTX_set_keylog_callback(SSL_get_SSL_CTX(c->hs.ssl), on_keylog);
        while (!f.up && !f.down && !d->stop) {
            foe_turn(&f, 5 * NS_PER_MS, d);
        }
        double end = now_s() + life;
        if (f.up && !f.down) {
            d->links++;
            hand_make(&h, &f);
        }
        while (f.up && !f.down && !d->stop && now_s() < end) {
            size_t n = 0, seg = 0;
            for (unsigned i = 0; i < 60; i++) {
                uint8_t padded[32] = {0};
                memcpy(padded, frame, len);
                fill(NULL, padded + 1, len - 1);
                seg = hand_write(&h, pkt + n, padded, len < 4 ? 4 : len);
                n += seg;
            }
            udp_kit_send(f.fd, &o->target, pkt, n, seg);
            d->dgrams += 60;
            d->bytes += n;
            d->acts += 60;
            d->cpu_ns = process_cpu_ns();
            if ((d->acts / 60) % 64 == 0) { /* does it answer still? */
                uint8_t in[2048];
                unsigned got = 0;
                while (recv(f.fd, in, sizeof in, MSG_DONTWAIT) > 0) {
                    got++;
                }
                static unsigned quiet;
                quiet = got > 0 ? 0 : quiet + 1;
                f.down = quiet > 200;
                quiet = f.down ? 0 : quiet;
            }
            pace_to(o->per_s, end - life, (double)d->acts);
        }
        d->downs++;
        if (f.up) {
            EVP_CIPHER_CTX_free(h.hp);
            ngtcp2_crypto_aead_ctx_free(&h.aead);
        }
        foe_drop(&f);
    }
}

static void identities(const struct flood_order *o, struct flood_done *d)
{
    struct foe *f = calloc(o->identities, sizeof *f);
    unsigned n = 0, next = 0;
    uint64_t first = process_cpu_ns();

    must(f != NULL, "memory");
    while (!d->stop) {
        if (n < o->identities) {
            struct netaddr from = o->from;
            from.ip[3] = (uint8_t)(1 + n % (o->hosts > 0 ? o->hosts : 1));
            foe_make(&f[n], &from);
            foe_dial(&f[n], &o->target);
            n++;
        }
        for (unsigned i = 0; i < 64 && n > 0; i++) {
            struct foe *x = &f[next++ % n];
            bool was = x->up;
            foe_turn(x, 0, d);
            d->links += x->up && !was ? 1 : 0;
            if (x->down) { /* another try */
                d->downs++;
                foe_dial(x, &o->target);
            }
        }
        d->acts = n;
        d->cpu_ns = process_cpu_ns() - first;
        if (n == o->identities) {
            struct timespec t = {0, 200000};
            (void)nanosleep(&t, NULL);
        }
    }
}

/* ---- others */

static void twin(const struct flood_order *o, struct flood_done *d)
{
    static uint8_t buf[BATCH][1252];
    size_t len[BATCH], bytes = o->bytes > 1252 ? 1252 : (size_t)o->bytes;
    struct netaddr self;
    int fd = bound_to(&o->from, &self);
    double begin = now_s();
    uint64_t first = process_cpu_ns();

    for (unsigned i = 0; i < BATCH; i++) {
        len[i] = bytes;
    }
    while (!d->stop) {
        if (o->per_s > 0) {
            send_n(fd, &o->target, buf, len, o->per_s > 20000 ? BATCH : 8, d);
        }
        while ((double)(process_cpu_ns() - first) / 1e9 < o->cpu * (now_s() - begin)) {
        }
        struct timespec t = {0, 100000};
        (void)nanosleep(&t, NULL);
        pace_to(o->per_s, begin, (double)d->dgrams);
    }
}

double flood_newcomer(const struct netaddr *from, const struct netaddr *target, double most)
{
    static struct foe f;
    double begin, took = -1;

    foe_make(&f, from);
    begin = now_s();
    foe_dial(&f, target);
    while (!f.up && now_s() - begin < most) {
        if (f.down) {
            foe_dial(&f, target);
        }
        foe_turn(&f, NS_PER_MS, NULL);
    }
    took = f.up ? now_s() - begin : -1;
    OPS.close(f.q, f.link, QUDAG_OK);
    foe_turn(&f, 0, NULL);
    foe_drop(&f);
    return took;
}

void flood_run(const struct flood_order *o, struct flood_done *d)
{
    switch (o->kind) {
    case FLOOD_NONE:
    case FLOOD_CREATES:
        break;
    case FLOOD_GARBAGE:
        garbage(o, d);
        break;
    case FLOOD_INITIALS:
        initials(o, d);
        break;
    case FLOOD_HELLOS:
        hellos(o, d);
        break;
    case FLOOD_STREAMS:
    case FLOOD_REQUESTS:
        streams(o, d, o->kind == FLOOD_REQUESTS);
        break;
    case FLOOD_PINGS:
    case FLOOD_CHALLENGES:
        frames(o, d, o->kind == FLOOD_CHALLENGES);
        break;
    case FLOOD_IDENTITIES:
        identities(o, d);
        break;
    case FLOOD_DOUBLE:
        twin(o, d);
        break;
    }
}
