/*
 * handshake_test.c - two processes and somebody between them who may do all that a network can.
 *
 * What he changes is lost and sent again; what he keeps is missed and ends in a timeout; what he sends
 * is counted and dropped.  After each test a genuine peer still gets in.
 *
 * TEST: timeout=300 waits
 */
#include "handshake/initial.h"
#include "handshake/kit.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#define N(array) (sizeof(array) / sizeof((array)[0]))
#define USUAL_MAX 18 /* datagrams one way that may belong to the handshake */
#define AT_ONCE 16   /* damaged handshakes side by side */
#define HYBRID "X25519MLKEM768"

static struct server server; /* policy require, level 768 */
static size_t usual[2];      /* datagrams of an untouched handshake and a ping, each way */

static void assert_up(const struct session *s, const char *group)
{
    if (s->err != QUDAG_OK) {
        fail_msg("case %zu: %s (%s)", s->tag, qudag_strerror(s->err), s->why);
    }
    assert_string_equal(s->link.group, group);
    assert_memory_equal(&s->link.peer, &s->server->peer, sizeof s->link.peer);
}

static void an_untouched_handshake_gets_through(void **state)
{
    struct session *s = session_new(&server, QUDAG_PQ_REQUIRE, 768);

    (void)state;
    session_dial(s, NULL, false);
    run_all(5);
    assert_up(s, HYBRID);
    assert_string_equal(s->link.sig_remote, "mldsa65");
    print_message("%zu datagrams there, %zu back\n", s->proxy.n[0], s->proxy.n[1]);
    for (size_t dir = 0; dir < 2; dir++) {
        assert_in_range(s->proxy.n[dir], 5, 60);
        usual[dir] = s->proxy.n[dir] < USUAL_MAX ? s->proxy.n[dir] : USUAL_MAX;
    }
}

/* ---- one damaged datagram ---- */

enum harm { FLIP, CUT, GROW };

struct damage {
    enum harm harm;
    int dir;
    size_t ix, permille, bytes; /* which datagram; where, or how much is put behind it */
    bool done;
};

static bool damage_one(struct proxy *p, int dir, size_t ix, uint8_t *data, size_t *len)
{
    struct damage *d = p->ctx;
    size_t at = (*len - 1) * d->permille / 1000;

    if (d->done || dir != d->dir || ix != d->ix) {
        return true;
    }
    d->done = true;
    switch (d->harm) {
    case FLIP:
        data[at] ^= (uint8_t)(1u << (d->permille + d->ix) % 8);
        break;
    case CUT:
        *len = at;
        break;
    case GROW:
        memset(data + *len, 0xa5, d->bytes);
        *len += d->bytes;
        break;
    }
    return true;
}

static size_t damages(struct damage *v)
{
    /* first byte, version, ids, protected header, payload, tag */
    static const size_t flip[] = {0, 1, 3, 5, 8, 14, 20, 500, 1000};
    static const size_t cut[] = {0, 10, 30, 250, 750, 999};
    static const size_t grow[] = {1, 64, 1200, 40000};
    size_t n = 0;

    for (int dir = 0; dir < 2; dir++) {
        for (size_t ix = 0; ix < usual[dir]; ix++) {
            for (size_t i = 0; i < N(flip); i++) {
                v[n++] = (struct damage){.harm = FLIP, .dir = dir, .ix = ix, .permille = flip[i]};
            }
            for (size_t i = 0; i < N(cut); i++) {
                v[n++] = (struct damage){.harm = CUT, .dir = dir, .ix = ix, .permille = cut[i]};
            }
            for (size_t i = 0; i < N(grow); i++) {
                v[n++] = (struct damage){.harm = GROW, .dir = dir, .ix = ix, .bytes = grow[i]};
            }
        }
    }
    return n;
}

static void check_damage(const struct session *s, const struct damage *d)
{
    if (s->err != QUDAG_OK) {
        fail_msg("harm %d of datagram %zu, direction %d, %zu permille, %zu more bytes: %s (%s)",
                 (int)d->harm, d->ix, d->dir, d->permille, d->bytes, qudag_strerror(s->err),
                 s->why);
    }
    assert_up(s, HYBRID);
}

static void any_damaged_datagram_costs_time_and_nothing_else(void **state)
{
    static struct damage v[2 * USUAL_MAX * 19];
    const size_t n = damages(v);
    uint64_t before = server_stat(&server, "handshakes_in");
    size_t next = 0, over = 0, met = 0;
    double end = now_s() + 120;

    (void)state;
    while (over < n) {
        bool made = false; /* one at a time: making keys must not keep the others waiting */

        for (size_t i = 0; i < AT_ONCE; i++) {
            struct session *s = &sessions[i];

            if (s->used && s->done) {
                check_damage(s, s->proxy.ctx);
                met += v[s->tag].done ? 1 : 0;
                over++;
                session_free(s);
            }
            if (!s->used && next < n && !made) {
                struct session *fresh = session_new(&server, QUDAG_PQ_REQUIRE, 768);

                fresh->tag = next;
                fresh->proxy.pass = damage_one;
                fresh->proxy.ctx = &v[next++];
                session_dial(fresh, NULL, false);
                made = true;
            }
        }
        assert_true(now_s() < end);
        turn(20);
    }
    print_message("%zu handshakes, %zu met their damage\n", n, met);
    assert_true(met * 10 >= n * 7);
    assert_int_equal(server_stat(&server, "handshakes_in"), before + n);
}

/* ---- who answers ---- */

static void a_wrong_identity_is_refused(void **state)
{
    char other[QUDAG_PEER_ID_TEXT_MAX], text[256], wrong[sizeof server.hash];
    qudag_identity *id = NULL;
    qudag_peer_id peer;

    (void)state;
    assert_int_equal(qudag_identity_generate(&id), QUDAG_OK);
    qudag_identity_peer_id(id, &peer);
    qudag_peer_id_text(&peer, other);
    qudag_identity_free(id);
    memcpy(wrong, server.hash, sizeof wrong);
    wrong[63] = wrong[63] == '0' ? '1' : '0';
    for (int i = 0; i < 4; i++) {
        struct session *s = session_new(&server, QUDAG_PQ_REQUIRE, 768);

        snprintf(text, sizeof text, "%s%s%s", i == 0 || i == 3 ? other : server.id,
                 i == 0 ? "" : "#", i == 0 ? "" : (i == 2 ? server.hash : wrong));
        session_dial(s, text, i % 2 == 1);
        run_all(5);
        if (i == 2) {
            assert_up(s, HYBRID);
        } else {
            assert_int_equal(s->err, QUDAG_EAUTH);
            assert_string_equal(s->why, i == 1 ? "peer's ML-DSA key is not the expected one"
                                               : "peer id mismatch");
        }
        session_free(s);
    }
}

static void levels_must_agree(void **state)
{
    static const uint16_t level[] = {768, 1024};
    static const char *const group[] = {HYBRID, "SecP384r1MLKEM1024"};

    (void)state;
    for (size_t i = 0; i < N(level); i++) {
        struct server other;

        server_start(&other, &(struct server_opt){.pq = QUDAG_PQ_REQUIRE, .level = level[i]});
        for (size_t j = 0; j < N(level); j++) {
            struct session *s = session_new(&other, QUDAG_PQ_REQUIRE, level[j]);

            session_dial(s, NULL, false);
            run_all(5);
            if (i == j) {
                assert_up(s, group[i]);
            } else {
                assert_int_equal(s->err, QUDAG_EPOLICY);
                assert_non_null(strstr(s->why, "alert 40"));
            }
            session_free(s);
        }
        assert_int_equal(server_stat(&other, "policy_refused"), 1);
        assert_serves(&other);
        server_stop(&other);
    }
}

static void policies_meet_as_they_say(void **state)
{
    static const struct {
        qudag_pq server, client;
        const char *group; /* NULL: refused */
    } row[] = {
        {QUDAG_PQ_REQUIRE, QUDAG_PQ_PREFER, HYBRID}, {QUDAG_PQ_REQUIRE, QUDAG_PQ_OFF, NULL},
        {QUDAG_PQ_PREFER, QUDAG_PQ_REQUIRE, HYBRID}, {QUDAG_PQ_PREFER, QUDAG_PQ_PREFER, HYBRID},
        {QUDAG_PQ_PREFER, QUDAG_PQ_OFF, "x25519"},   {QUDAG_PQ_OFF, QUDAG_PQ_REQUIRE, NULL},
        {QUDAG_PQ_OFF, QUDAG_PQ_PREFER, "x25519"},   {QUDAG_PQ_OFF, QUDAG_PQ_OFF, "x25519"},
    };

    (void)state;
    for (size_t i = 0; i < N(row); i++) {
        struct server other;
        struct session *s;

        server_start(&other, &(struct server_opt){.pq = row[i].server});
        s = session_new(&other, row[i].client, 768);
        s->tag = i;
        session_dial(s, NULL, false);
        run_all(5);
        if (row[i].group == NULL) {
            assert_int_equal(s->err, QUDAG_EPOLICY);
            assert_int_equal(server_stat(&other, "links"), 0);
        } else {
            assert_up(s, row[i].group);
        }
        assert_int_equal(s->link.pq_auth, row[i].group != NULL && row[i].group[0] == 'X');
        session_free(s);
        assert_serves(&other);
        server_stop(&other);
    }
}

/* ---- downgrade ---- */

static bool drop_first(struct proxy *p, int dir, size_t ix, uint8_t *data, size_t *len)
{
    (void)data;
    (void)len;
    (void)dir;
    return ix >= (size_t)(uintptr_t)p->ctx;
}

/*
 * The client's first flight, opened, the hybrid group in it replaced by one nobody knows, and sealed
 * again: to the server an honest client that has X25519 only.
 */
struct rewrite {
    uint8_t key_id[20], hello[4096];
    size_t key_id_len, have, changed;
    struct initial pkt[4];
    size_t n;
    bool sent, server_chose_x25519;
};

static void change_groups(struct rewrite *w)
{
    for (size_t i = 0; i < w->n; i++) {
        size_t at = 0, data, len;
        uint64_t off;

        while (initial_crypto(&w->pkt[i], &at, &data, &len, &off)) {
            for (size_t j = 0; j < len; j++) {
                w->pkt[i].body[data + j] = w->hello[off + j];
            }
        }
    }
}

/* Group 0x11ec with something that shows what it is: the list's neighbour, or the length of a share. */
static size_t hide_hybrid(uint8_t *h, size_t len)
{
    size_t n = 0;

    for (size_t i = 0; i + 4 < len; i++) {
        bool listed = h[i + 2] == 0x00 && h[i + 3] == 0x1d;
        bool share = h[i + 2] == 0x04 && h[i + 3] == 0xc0;

        if (h[i] == 0x11 && h[i + 1] == 0xec && (listed || share)) {
            h[i] = h[i + 1] = 0x1a;
            n++;
        }
    }
    return n;
}

static void take_hello(struct rewrite *w, const struct initial *in)
{
    size_t at = 0, data, len;
    uint64_t off;

    while (initial_crypto(in, &at, &data, &len, &off)) {
        if (off + len <= sizeof w->hello) {
            memcpy(w->hello + off, in->body + data, len);
            w->have += len;
        }
    }
}

static bool rewrite(struct proxy *p, int dir, size_t ix, uint8_t *data, size_t *len)
{
    static uint8_t out[2048];
    struct rewrite *w = p->ctx;
    struct initial in;

    (void)ix;
    if (dir == TO_CLIENT) {
        static const uint8_t share[] = {0x00, 0x33, 0x00, 0x24, 0x00, 0x1d, 0x00, 0x20};

        if (initial_open(&in, data, *len, w->key_id, w->key_id_len, true)) {
            for (size_t i = 0; i + sizeof share < in.body_len; i++) {
                w->server_chose_x25519 |= memcmp(in.body + i, share, sizeof share) == 0;
            }
        }
        return true;
    }
    if (w->key_id_len == 0 && *len > 26 && data[5] <= 20) {
        w->key_id_len = data[5];
        memcpy(w->key_id, data + 6, w->key_id_len);
    }
    if (w->sent) { /* later Initials could tell the truth */
        return !initial_open(&in, data, *len, w->key_id, w->key_id_len, false) ||
               !initial_crypto(&in, &(size_t){0}, &(size_t){0}, &(size_t){0}, &(uint64_t){0});
    }
    if (w->n == N(w->pkt) ||
        !initial_open(&w->pkt[w->n], data, *len, w->key_id, w->key_id_len, false)) {
        return false;
    }
    take_hello(w, &w->pkt[w->n++]);
    if (w->have < 4 || w->have < 4 + ((size_t)w->hello[2] << 8) + w->hello[3]) {
        return false; /* not all of it yet */
    }
    w->changed = hide_hybrid(w->hello, w->have);
    change_groups(w);
    for (size_t i = 0; i < w->n; i++) {
        size_t n = initial_seal(out, sizeof out, &w->pkt[i], w->key_id, w->key_id_len);

        assert_true(n > 0);
        proxy_send(p, TO_SERVER, out, n);
    }
    w->sent = true;
    return false;
}

/* With a server of its own: one that has had many handshakes lately answers with a Retry, which refuses no hello. */
static void a_rewritten_hello_is_refused_under_require(void **state)
{
    static struct rewrite w;
    struct server other;

    (void)state;
    server_start(&other, &(struct server_opt){.pq = QUDAG_PQ_REQUIRE});
    struct session *s = session_new(&other, QUDAG_PQ_PREFER, 768);
    s->proxy.pass = rewrite;
    s->proxy.ctx = &w;
    session_dial(s, NULL, false);
    run_all(12);
    assert_int_equal(w.changed, 2);
    assert_false(w.server_chose_x25519);
    assert_int_equal(s->err, QUDAG_EPOLICY);
    assert_non_null(strstr(s->why, "alert 40"));
    sessions_free();
    server_stop(&other);
}

static void neither_losses_nor_a_rewritten_hello_make_a_link_classical(void **state)
{
    static struct rewrite w;
    struct server other;
    struct session *s;

    (void)state;
    server_start(&other, &(struct server_opt){.pq = QUDAG_PQ_PREFER});
    for (size_t lost = 1; lost <= 4; lost++) {
        s = session_new(&other, QUDAG_PQ_PREFER, 768);
        s->tag = lost;
        s->proxy.pass = drop_first;
        s->proxy.ctx = (void *)(uintptr_t)lost;
        session_dial(s, NULL, false);
    }
    s = session_new(&other, QUDAG_PQ_PREFER, 768);
    s->proxy.pass = rewrite;
    s->proxy.ctx = &w;
    session_dial(s, NULL, false);
    run_all(14);
    for (size_t i = 0; i < 4; i++) {
        assert_up(&sessions[i], HYBRID);
    }
    assert_int_equal(w.changed, 2);
    assert_true(w.server_chose_x25519); /* the attack itself works */
    print_message("%s (%s)\n", qudag_strerror(s->err), s->why);
    assert_int_equal(s->err, QUDAG_ETIMEOUT);
    assert_ptr_equal(strstr(s->why, "handshake timeout"), s->why);
    assert_int_equal(server_stat(&other, "handshakes_in"), 4);
    sessions_free();
    assert_serves(&other);
    server_stop(&other);
}

/* ---- silence, and what looks like it ---- */

struct quiet {
    enum { SILENT_AFTER, FLIP_ALL, PLAY_TAPE } how;
    int dir;
    size_t after;
};

struct tape {
    size_t n, len[64];
    uint8_t data[64][1600];
};

static struct tape tape[2]; /* of each direction */

static bool quiet(struct proxy *p, int dir, size_t ix, uint8_t *data, size_t *len)
{
    const struct quiet *q = p->ctx;

    switch (q->how) {
    case SILENT_AFTER:
        return p->n[0] + p->n[1] <= q->after;
    case FLIP_ALL:
        data[*len / 2] ^= dir == q->dir ? 1 : 0;
        return true;
    case PLAY_TAPE: /* an old server flight to a new client */
        for (size_t i = 0; i < tape[TO_CLIENT].n && dir == TO_SERVER && ix == 0; i++) {
            proxy_send(p, TO_CLIENT, tape[TO_CLIENT].data[i], tape[TO_CLIENT].len[i]);
        }
        return false;
    }
    return true;
}

static bool record(struct proxy *p, int dir, size_t ix, uint8_t *data, size_t *len)
{
    struct tape *t = &tape[dir];

    (void)p;
    (void)ix;
    if (t->n < N(t->len) && *len <= sizeof t->data[0]) {
        memcpy(t->data[t->n], data, *len);
        t->len[t->n++] = *len;
    }
    return true;
}

static void record_one(void)
{
    struct session *s = session_new(&server, QUDAG_PQ_REQUIRE, 768);

    memset(tape, 0, sizeof tape);
    s->proxy.pass = record;
    session_dial(s, NULL, false);
    run_all(5);
    assert_up(s, HYBRID);
    session_free(s);
    assert_true(tape[0].n > 4 && tape[1].n > 4);
}

static void wait_stat(const char *name, uint64_t value, double seconds)
{
    double end = now_s() + seconds;

    while (server_stat(&server, name) != value) {
        if (now_s() > end) {
            fail_msg("%s is %llu, not %llu", name, (unsigned long long)server_stat(&server, name),
                     (unsigned long long)value);
        }
        turn(50);
    }
}

static void check_silence(const struct session *s, size_t *timeouts)
{
    const struct quiet *q = s->proxy.ctx;

    if (s->err == QUDAG_OK && q->how == SILENT_AFTER) {
        assert_true(q->after > 12); /* all that matters was through */
        return;
    }
    if (s->err != QUDAG_ETIMEOUT) {
        fail_msg("case %zu: %s (%s)", s->tag, qudag_strerror(s->err), s->why);
    }
    if (!s->pinging) {
        assert_ptr_equal(strstr(s->why, "handshake timeout"), s->why);
        assert_true(s->took > 9.0 && s->took < 20.0);
    }
    *timeouts += 1;
}

static void silence_ends_in_a_timeout_on_both_sides(void **state)
{
    static struct quiet q[SESSIONS_MAX];
    uint64_t before = server_stat(&server, "handshakes_timeout");
    size_t n = usual[0] + usual[1] < 24 ? usual[0] + usual[1] : 24, timeouts = 0, i;

    (void)state;
    record_one();
    for (i = 0; i < n + 3; i++) {
        struct session *s = session_new(&server, QUDAG_PQ_REQUIRE, 768);

        q[i] = (struct quiet){.how = SILENT_AFTER, .after = i};
        if (i >= n) {
            q[i].how = i == n ? PLAY_TAPE : FLIP_ALL;
            q[i].dir = i == n + 1 ? TO_SERVER : TO_CLIENT;
        }
        s->tag = i;
        s->proxy.pass = quiet;
        s->proxy.ctx = &q[i];
        session_dial(s, NULL, false);
    }
    run_for(1);
    assert_true(server_stat(&server, "half_open") > 0);
    assert_serves(&server);
    run_for(4);
    assert_serves(&server);
    run_all(25);
    for (size_t j = 0; j < i; j++) {
        check_silence(&sessions[j], &timeouts);
    }
    print_message("%zu sessions, %zu timeouts here, %llu there\n", i, timeouts,
                  (unsigned long long)(server_stat(&server, "handshakes_timeout") - before));
    assert_true(timeouts >= 10);
    wait_stat("half_open", 0, 12);
    assert_true(server_stat(&server, "handshakes_timeout") >= before + 5);
}

/* ---- replay ---- */

static int plain_socket(void)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    return fd;
}

static void shoot(int fd, const struct server *to, const uint8_t *data, size_t len)
{
    (void)sendto(fd, data, len, 0, (const struct sockaddr *)&to->addr, sizeof to->addr);
}

static void a_replayed_handshake_makes_no_link(void **state)
{
    struct server twin;
    struct server_opt opt = server.opt;
    int fd = plain_socket();

    (void)state;
    record_one();
    uint64_t before = server_stat(&server, "handshakes_in");
    server_start(&twin, &opt); /* the same keys, no memory of the handshake */
    assert_string_equal(twin.id, server.id);
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < tape[TO_SERVER].n; i++) {
            shoot(fd, &server, tape[TO_SERVER].data[i], tape[TO_SERVER].len[i]);
            shoot(fd, &twin, tape[TO_SERVER].data[i], tape[TO_SERVER].len[i]);
            run_for(0.005);
        }
    }
    run_for(1);
    assert_true(server_stat(&twin, "dgrams_in") >= tape[TO_SERVER].n);
    assert_int_equal(server_stat(&server, "handshakes_in"), before);
    assert_int_equal(server_stat(&twin, "handshakes_in"), 0);
    assert_int_equal(server_stat(&twin, "links"), 0);
    assert_true(server_stat(&twin, "half_open") <= 1);
    close(fd);
    assert_serves(&twin);
    server_stop(&twin);
}

/* ---- floods ---- */

#define FLOOD 5000

/* The flood may be faster than the socket's buffer; most of it must have been looked at. */
static void assert_seen(uint64_t before)
{
    uint64_t seen = 0;
    double end = now_s() + 10;

    while ((seen = server_stat(&server, "dgrams_in") - before) < FLOOD * 8 / 10) {
        if (now_s() > end) {
            fail_msg("only %llu of %d datagrams were seen", (unsigned long long)seen, FLOOD);
        }
        turn(20);
    }
    print_message("%llu seen, %llu bytes of memory at the peak\n", (unsigned long long)seen,
                  (unsigned long long)server_stat(&server, "memory_peak_bytes"));
    assert_true(server_stat(&server, "memory_peak_bytes") <= server.opt.memory_max);
    assert_int_equal(server_stat(&server, "memory_refused"), 0);
}

static void a_flood_of_garbage_is_counted(void **state)
{
    static uint8_t junk[9000];
    uint64_t before = server_stat(&server, "dgrams_in"), seed = 88172645463325252u;
    uint64_t short_before = server_stat(&server, "dropped_short");

    (void)state;
    for (int i = 0; i < FLOOD; i++) {
        int fd = plain_socket();

        for (size_t j = 0; j < 64; j++) { /* xorshift */
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            memcpy(junk + 8 * j, &seed, 8);
        }
        if (i % 4 == 1) { /* the outside of an Initial */
            memcpy(junk, "\xc3\0\0\0\1\x08", 6);
            junk[14] = 8;
        }
        shoot(fd, &server, junk, i % 10 == 0 ? sizeof junk : (size_t)(seed % 1500));
        close(fd);
        if (i % 64 == 0) {
            run_for(0.002);
        }
        if (i == FLOOD / 2) {
            assert_serves(&server);
        }
    }
    assert_seen(before);
    assert_true(server_stat(&server, "dropped_short") > short_before);
    assert_true(server_stat(&server, "dropped_version") > 0);
}

static void a_flood_of_empty_datagrams_is_counted(void **state)
{
    uint64_t before = server_stat(&server, "dgrams_in");
    uint64_t empty = server_stat(&server, "dropped_empty");

    (void)state;
    for (int i = 0; i < FLOOD; i++) {
        int fd = plain_socket();

        shoot(fd, &server, (const uint8_t *)"", 0);
        close(fd);
        if (i % 64 == 0) {
            run_for(0.002);
        }
        if (i == FLOOD / 2) {
            assert_serves(&server);
        }
    }
    assert_seen(before);
    assert_true(server_stat(&server, "dropped_empty") - empty >= FLOOD * 8 / 10);
}

static void half_open_handshakes_do_not_lock_anybody_out(void **state)
{
    static uint8_t out[2048];
    uint64_t before = server_stat(&server, "dgrams_in");
    uint64_t retries = server_stat(&server, "retries_sent"), most = 0;
    uint64_t full = server_stat(&server, "dropped_full");
    struct initial hello;

    (void)state;
    record_one();
    assert_true(initial_open(&hello, tape[0].data[0], tape[0].len[0], tape[0].data[0] + 6,
                             tape[0].data[0][5], false));
    for (uint32_t i = 0; i < FLOOD; i++) {
        int fd = plain_socket();

        memcpy(hello.dcid, &i, sizeof i);
        size_t n = initial_seal(out, sizeof out, &hello, hello.dcid, hello.dcid_len);
        assert_true(n >= 1200);
        shoot(fd, &server, out, n);
        close(fd);
        if (i % 16 == 0) {
            run_for(0.002);
        }
        if (i % 1000 == 500) {
            uint64_t now = server_stat(&server, "half_open");

            most = now > most ? now : most;
            assert_serves(&server); /* from the very address the flood comes from */
        }
    }
    assert_seen(before);
    print_message("%llu half open at most\n", (unsigned long long)most);
    assert_in_range(most, 1, 128);
    retries = server_stat(&server, "retries_sent") - retries;
    full = server_stat(&server, "dropped_full") - full;
    assert_true(retries > 100);
    assert_true(retries + full > FLOOD / 2); /* answers that find no room to wait are drops */
    wait_stat("half_open", 0, 15);
}

static void datagrams_of_every_size_do_nothing(void **state)
{
    static uint8_t big[65507];
    uint64_t before = server_stat(&server, "dgrams_in");
    int fd = plain_socket();
    size_t sent = 0;

    (void)state;
    record_one();
    before = server_stat(&server, "dgrams_in");
    for (size_t len = 0; len <= tape[0].len[0]; len += 7, sent++) {
        shoot(fd, &server, tape[0].data[0], len);
        run_for(0.001);
    }
    memcpy(big, tape[0].data[0], tape[0].len[0]);
    for (size_t len = 1500; len <= sizeof big; len += 1601, sent++) {
        shoot(fd, &server, big, len);
        run_for(0.001);
    }
    shoot(fd, &server, big, sizeof big);
    close(fd);
    run_for(0.2);
    assert_true(server_stat(&server, "dgrams_in") - before >= sent * 9 / 10);
}

/* ---- */

static int start_server(void **state)
{
    struct server_opt opt = {.pq = QUDAG_PQ_REQUIRE, .level = 768, .memory_max = 32u << 20};
    qudag_identity *id = NULL;

    (void)state;
    assert_int_equal(qudag_identity_generate(&id), QUDAG_OK);
    qudag_identity_save(id, opt.identity);
    qudag_identity_free(id);
    server_start(&server, &opt);
    return 0;
}

static int stop_server(void **state)
{
    (void)state;
    server_stop(&server);
    return 0;
}

static int still_serves(void **state)
{
    (void)state;
    sessions_free();
    assert_serves(&server);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "serve") == 0) {
        return server_main(argc, argv);
    }
    if (argc > 1) { /* some tests only: a pattern with '*' */
        cmocka_set_test_filter(argv[1]);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(an_untouched_handshake_gets_through, still_serves),
        cmocka_unit_test_teardown(any_damaged_datagram_costs_time_and_nothing_else, still_serves),
        cmocka_unit_test_teardown(a_wrong_identity_is_refused, still_serves),
        cmocka_unit_test_teardown(levels_must_agree, still_serves),
        cmocka_unit_test_teardown(policies_meet_as_they_say, still_serves),
        cmocka_unit_test_teardown(a_rewritten_hello_is_refused_under_require, still_serves),
        cmocka_unit_test_teardown(neither_losses_nor_a_rewritten_hello_make_a_link_classical,
                                  still_serves),
        cmocka_unit_test_teardown(silence_ends_in_a_timeout_on_both_sides, still_serves),
        cmocka_unit_test_teardown(a_replayed_handshake_makes_no_link, still_serves),
        cmocka_unit_test_teardown(datagrams_of_every_size_do_nothing, still_serves),
        cmocka_unit_test_teardown(a_flood_of_garbage_is_counted, still_serves),
        cmocka_unit_test_teardown(a_flood_of_empty_datagrams_is_counted, still_serves),
        cmocka_unit_test_teardown(half_open_handshakes_do_not_lock_anybody_out, still_serves),
    };
    return cmocka_run_group_tests(tests, start_server, stop_server);
}
