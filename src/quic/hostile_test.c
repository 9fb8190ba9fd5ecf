/* What a hostile network may do: damaged, repeated, invented and flooding datagrams. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "quic/gate.h"
#include "quic/testkit_net.h"

static struct tk tk;

static void make(enum pq_policy pq, const struct quic_config *server)
{
    struct tk_opt o = {.pq = pq};

    tk_init(&tk);
    assert_true(tk_make(&tk, 0, &o));
    if (server != NULL) {
        o.quic = *server;
    }
    assert_true(tk_make(&tk, 1, &o));
}

static void down(void)
{
    for (int i = 0; i < TK_EPS; i++) {
        if (tk.ep[i].q != NULL) {
            assert_int_equal(tk_unmake(&tk, i), 0);
        }
    }
    tk_fini(&tk);
}

static struct quic_stats stats(int ix)
{
    struct quic_stats st;

    quic_stats_get(tk.ep[ix].q, &st);
    return st;
}

static void connect(void)
{
    struct ref link;

    assert_int_equal(tk_dial(&tk, 0, 1, &tk.ep[1].peer, &link), QUDAG_OK);
    (void)tk_run(&tk, 15 * NS_PER_S, tk_client_done);
    (void)tk_run(&tk, NS_PER_S, NULL);
}

/* The link between 0 and 1 carries a byte. */
static void assert_works(void)
{
    uint64_t before = tk.ep[1].bytes;
    int64_t sid = 0;

    assert_int_equal(quic_link_ops.open(tk.ep[0].q, tk.ep[0].link, 1, NULL, &sid), QUDAG_OK);
    assert_int_equal(quic_link_ops.write(tk.ep[0].q, tk.ep[0].link, sid,
                                         (struct slice){(const uint8_t *)"!", 1}),
                     QUDAG_OK);
    (void)tk_run(&tk, 2 * NS_PER_S, NULL);
    assert_int_equal(tk.ep[1].bytes, before + 1);
    quic_link_ops.reset(tk.ep[0].q, tk.ep[0].link, sid, QUDAG_OK);
    (void)tk_run(&tk, NS_PER_S, NULL);
}

enum fault { FAULT_DROP, FAULT_TWICE, FAULT_FLIP, FAULT_CUT, FAULT_LATE };

struct plan {
    enum fault fault;
    uint64_t at, n; /* which datagram; counted so far */
    uint32_t where; /* permille of its length */
    uint8_t bit;
};

static bool disturb(struct tk *t, struct tk_pkt *p)
{
    struct plan *plan = t->pass_ctx;
    size_t pos = p->len * plan->where / 1000;
    struct tk_pkt *copy;

    if (plan->n++ != plan->at) {
        return true;
    }
    switch (plan->fault) {
    case FAULT_DROP:
        return false;
    case FAULT_TWICE:
        copy = malloc(sizeof *copy + p->len);
        assert_non_null(copy);
        memcpy(copy, p, sizeof *copy + p->len);
        copy->at += 3 * NS_PER_MS;
        tk_put(t, copy);
        return true;
    case FAULT_FLIP:
        p->data[pos] ^= (uint8_t)(1u << plan->bit);
        return true;
    case FAULT_CUT:
        p->len = pos;
        return true;
    case FAULT_LATE:
        p->at += 300 * NS_PER_MS;
        return true;
    }
    return true;
}

/* How many datagrams an undisturbed handshake takes. */
static uint64_t handshake_datagrams(enum pq_policy pq)
{
    struct plan plan = {.at = UINT64_MAX};
    struct ref link;

    make(pq, NULL);
    tk.pass = disturb;
    tk.pass_ctx = &plan;
    assert_int_equal(tk_dial(&tk, 0, 1, NULL, &link), QUDAG_OK);
    assert_true(tk_run(&tk, 5 * NS_PER_S, tk_both_up));
    down();
    return plan.n;
}

static void one_fault(enum pq_policy pq, struct plan plan)
{
    make(pq, NULL);
    tk.pass = disturb;
    tk.pass_ctx = &plan;
    connect();
    assert_int_equal(tk.ep[0].ups, 1);
    assert_int_equal(tk.ep[1].ups, 1);
    assert_int_equal(tk.ep[0].downs + tk.ep[1].downs, 0);
    assert_int_equal(stats(1).half_open, 0);
    assert_works();
    down();
}

static void test_any_handshake_datagram_may_be_lost_repeated_or_late(void **state)
{
    static const enum fault faults[] = {FAULT_DROP, FAULT_TWICE, FAULT_LATE};
    static const enum pq_policy pqs[] = {PQ_REQUIRE, PQ_OFF};

    (void)state;
    for (size_t p = 0; p < ARRAY_LEN(pqs); p++) {
        uint64_t n = handshake_datagrams(pqs[p]);

        assert_true(n >= 4);
        for (uint64_t at = 0; at < n; at++) {
            for (size_t f = 0; f < ARRAY_LEN(faults); f++) {
                one_fault(pqs[p], (struct plan){.fault = faults[f], .at = at});
            }
        }
    }
}

static void test_any_handshake_datagram_may_be_damaged_or_cut(void **state)
{
    static const uint32_t where[] = {0, 1, 3, 5, 8, 12, 20, 40, 300, 700, 999};
    uint64_t n = handshake_datagrams(PQ_OFF);

    (void)state;
    for (uint64_t at = 0; at < n; at++) {
        for (size_t i = 0; i < ARRAY_LEN(where); i++) {
            struct plan plan = {
                .fault = FAULT_FLIP, .at = at, .where = where[i], .bit = (uint8_t)(i & 7)};

            one_fault(PQ_OFF, plan);
            plan.fault = FAULT_CUT;
            one_fault(PQ_OFF, plan);
        }
    }
    n = handshake_datagrams(PQ_REQUIRE);
    for (uint64_t at = 0; at < n; at++) {
        one_fault(
            PQ_REQUIRE,
            (struct plan){.fault = FAULT_FLIP, .at = at, .where = 500, .bit = (uint8_t)(at & 7)});
    }
}

static void test_garbage_does_nothing(void **state)
{
    static uint8_t junk[1500];
    struct netaddr from = {.family = 4, .ip = {10, 7, 7, 7}, .port = 7};

    (void)state;
    make(PQ_REQUIRE, NULL);
    connect();
    for (int i = 0; i < 5000; i++) {
        size_t len = rng_below(&tk.rng, sizeof junk);

        rng_fill(&tk.rng, junk, len);
        from.port = (uint16_t)(1 + i);
        if (i % 5 == 0) {
            len = (size_t)(i / 5 % 25);
        } else if (i % 5 == 1 && len >= 7) {
            /* a version 1 long header with plausible id lengths */
            junk[0] = (uint8_t)(0xc0 | (junk[0] & 0x3f));
            memcpy(junk + 1, "\0\0\0\1", 4);
            junk[5] = 8;
        }
        tk_inject(&tk, i % 2 == 0 ? &from : &tk.ep[0].addr, &tk.ep[1].addr, junk, len);
        if (i % 500 == 0) {
            (void)tk_run(&tk, 50 * NS_PER_MS, NULL);
        }
    }
    (void)tk_run(&tk, 30 * NS_PER_S, NULL);
    assert_true(stats(1).dropped_empty > 30);
    assert_true(stats(1).dropped_short > 500);
    assert_int_equal(stats(1).half_open, 0);
    assert_int_equal(tk.ep[0].downs + tk.ep[1].downs, 0);
    assert_works();
    down();
}

static bool count_back(struct tk *t, struct tk_pkt *p)
{
    size_t *bytes = t->pass_ctx;

    if (netaddr_eq(&p->from, &t->ep[1].addr)) {
        *bytes += p->len;
    }
    return true;
}

static void test_unknown_versions_are_answered_only_when_large(void **state)
{
    static const struct {
        size_t len;
        uint8_t version[4];
        bool answered;
    } row[] = {
        {1200, {0xfa, 0xfa, 0xfa, 0xfa}, true},
        {1199, {0xfa, 0xfa, 0xfa, 0xfa}, false},
        {1200, {0x6b, 0x33, 0x43, 0xcf}, true}, /* version 2 */
        {1200, {0, 0, 0, 0}, false},            /* Version Negotiation itself */
    };
    static uint8_t pkt[1200];
    struct netaddr from = {.family = 4, .ip = {10, 7, 7, 7}, .port = 7};
    size_t back = 0;

    (void)state;
    make(PQ_OFF, NULL);
    tk.pass = count_back;
    tk.pass_ctx = &back;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        back = 0;
        memset(pkt, 0, sizeof pkt);
        pkt[0] = 0xc0;
        memcpy(pkt + 1, row[i].version, 4);
        pkt[5] = 8;
        pkt[14] = 8;
        tk_inject(&tk, &from, &tk.ep[1].addr, pkt, row[i].len);
        (void)tk_run(&tk, NS_PER_S, NULL);
        assert_int_equal(back > 0, row[i].answered);
        assert_true(back < 300);
    }
    assert_int_equal(stats(1).version_negotiations, 2);
    down();
}

static void test_answers_to_strangers_never_amplify(void **state)
{
    static uint8_t pkt[1500];
    struct netaddr from = {.family = 4, .ip = {10, 7, 7, 7}, .port = 7};
    size_t back = 0;

    (void)state;
    make(PQ_OFF, NULL);
    tk.pass = count_back;
    tk.pass_ctx = &back;
    for (size_t len = 1; len <= 100; len++) {
        rng_fill(&tk.rng, pkt, sizeof pkt);
        pkt[0] = (uint8_t)(0x40 | (pkt[0] & 0x3f)); /* short header: a stateless reset follows */
        back = 0;
        tk_inject(&tk, &from, &tk.ep[1].addr, pkt, len);
        (void)tk_run(&tk, 100 * NS_PER_MS, NULL);
        assert_true(back < len);
    }
    assert_true(stats(1).resets_sent > 50);
    /* And their number is limited. */
    uint64_t before = stats(1).resets_sent;
    for (int i = 0; i < 3000; i++) {
        tk_inject(&tk, &from, &tk.ep[1].addr, pkt, 200);
        if (i % 32 == 31) { /* so that they leave: the queue of answers is short */
            (void)tk_run(&tk, NS_PER_MS, NULL);
        }
    }
    (void)tk_run(&tk, 100 * NS_PER_MS, NULL);
    assert_true(stats(1).resets_sent - before > 100);
    assert_true(stats(1).resets_sent - before < 300);
    down();
}

/* Datagrams of 0 towards 1, kept for replay. */
struct tape {
    size_t n, len[64];
    uint8_t data[64][1500];
};

static bool record(struct tk *t, struct tk_pkt *p)
{
    struct tape *tape = t->pass_ctx;

    if (netaddr_eq(&p->from, &t->ep[0].addr) && tape->n < ARRAY_LEN(tape->len)) {
        tape->len[tape->n] = p->len;
        memcpy(tape->data[tape->n], p->data, p->len);
        tape->n++;
    }
    return true;
}

static void test_a_recorded_handshake_is_worth_nothing(void **state)
{
    static struct tape tape;
    struct netaddr other = {.family = 4, .ip = {10, 7, 7, 7}, .port = 7};

    (void)state;
    memset(&tape, 0, sizeof tape);
    make(PQ_REQUIRE, NULL);
    tk.pass = record;
    tk.pass_ctx = &tape;
    connect();
    assert_works();
    tk.pass = NULL;
    /* To the endpoint that knows it, from the same and from another address. */
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < tape.n; i++) {
            tk_inject(&tk, round == 0 ? &tk.ep[0].addr : &other, &tk.ep[1].addr, tape.data[i],
                      tape.len[i]);
        }
        (void)tk_run(&tk, NS_PER_S, NULL);
    }
    assert_int_equal(tk.ep[1].ups, 1);
    assert_int_equal(tk.ep[1].streams, 1);
    assert_int_equal(tk.ep[0].downs + tk.ep[1].downs, 0);
    assert_works();
    /* To one that does not: a half-open link that ends by itself. */
    assert_int_equal(tk_unmake(&tk, 1), 0);
    identity_fini(&tk.ep[1].id);
    tk.ep[1] = (struct tk_ep){0};
    assert_true(tk_make(&tk, 1, &(struct tk_opt){.pq = PQ_REQUIRE}));
    for (size_t i = 0; i < tape.n; i++) {
        tk_inject(&tk, &other, &tk.ep[1].addr, tape.data[i], tape.len[i]);
    }
    (void)tk_run(&tk, 30 * NS_PER_S, NULL);
    assert_int_equal(tk.ep[1].ups, 0);
    assert_int_equal(tk.ep[1].streams, 0);
    assert_int_equal(stats(1).half_open, 0);
    assert_int_equal(stats(1).conns, 0);
    down();
}

struct flood {
    uint32_t addr;
    bool spread; /* a new address for each Initial */
    bool open;   /* lets the attacker's datagrams out */
};

/* What endpoint 2 sends seems to come from elsewhere, and it never hears an answer. */
static bool spoof(struct tk *t, struct tk_pkt *p)
{
    struct flood *f = t->pass_ctx;

    if (netaddr_eq(&p->from, &t->ep[2].addr)) {
        if (!f->open) {
            return false;
        }
        p->from.ip[1] = 99;
        p->from.ip[2] = (uint8_t)(f->addr >> 8);
        p->from.ip[3] = (uint8_t)f->addr;
    }
    return !(p->to.family == 4 && p->to.ip[1] == 99);
}

static void flood(unsigned n, struct flood *f)
{
    tk.pass = spoof;
    tk.pass_ctx = f;
    for (unsigned i = 0; i < n; i++) {
        struct ref link;

        f->addr += f->spread ? 1 : 0;
        assert_int_equal(tk_dial(&tk, 2, 1, NULL, &link), QUDAG_OK);
        f->open = true;
        tk_flush(&tk, &tk.ep[2]);
        f->open = false;
        quic_link_ops.close(tk.ep[2].q, link, QUDAG_OK);
        (void)tk_run(&tk, NS_PER_MS, NULL);
    }
    (void)tk_run(&tk, 2 * tk.delay_ns, NULL);
}

static void test_a_flood_of_half_open_links_brings_retry_and_hurts_nobody(void **state)
{
    const struct quic_config cfg = {.half_open_max = 40, .retry_above = 20};
    const struct tk_opt o = {.pq = PQ_OFF};
    struct flood f = {.spread = true};

    (void)state;
    make(PQ_OFF, &cfg);
    connect();
    assert_true(tk_make(&tk, 2, &o));
    flood(300, &f);
    assert_int_equal(stats(1).half_open, QUIC_GATE_BEGIN); /* the rest came too fast */
    assert_true(stats(1).retries_sent >= 250);
    /* An honest newcomer passes by Retry. */
    assert_true(tk_make(&tk, 3, &o));
    tk.ep[3].ups = 0;
    struct ref link;
    assert_int_equal(tk_dial(&tk, 3, 1, &tk.ep[1].peer, &link), QUDAG_OK);
    (void)tk_run(&tk, 2 * NS_PER_S, NULL);
    assert_int_equal(tk.ep[3].ups, 1);
    assert_int_equal(stats(1).tokens_used, 1);
    (void)tk_run(&tk, 30 * NS_PER_S, NULL);
    assert_int_equal(stats(1).half_open, 0);
    assert_int_equal(stats(1).handshakes_timeout, QUIC_GATE_BEGIN);
    assert_works();
    down();
}

static void test_one_address_cannot_take_all_places(void **state)
{
    const struct quic_config cfg = {.per_ip_half_open = 4};
    const struct tk_opt o = {.pq = PQ_OFF};
    struct flood f = {.addr = 5};

    (void)state;
    make(PQ_OFF, &cfg);
    assert_true(tk_make(&tk, 2, &o));
    flood(50, &f);
    assert_int_equal(stats(1).half_open, 4);
    assert_true(stats(1).retries_sent >= 40);
    (void)tk_run(&tk, 2 * QUIC_GATE_CALM, NULL);
    connect(); /* from another address, at once */
    assert_int_equal(tk.ep[0].ups, 1);
    assert_int_equal(stats(1).tokens_used, 0);
    down();
}

/* Initials in somebody's name fill the places of his address; he has a token, they have none. */
static void test_forged_initials_do_not_shut_out_the_address_they_name(void **state)
{
    const struct quic_config cfg = {.per_ip_half_open = 4};
    const struct tk_opt o = {.pq = PQ_OFF};
    struct flood f = {.addr = 5};

    (void)state;
    make(PQ_OFF, &cfg);
    assert_true(tk_make(&tk, 2, &o));
    flood(50, &f);
    assert_int_equal(stats(1).half_open, 4);
    tk.pass = NULL;
    tk.ep[0].addr.ip[1] = 99; /* the address the flood names, another port */
    tk.ep[0].addr.ip[2] = 0;
    tk.ep[0].addr.ip[3] = 5;
    tk.ep[0].addr.port = 7777;
    connect();
    assert_int_equal(tk.ep[0].ups, 1);
    assert_int_equal(stats(1).tokens_used, 1);
    assert_works();
    down();
}

static void test_a_false_retry_token_is_refused(void **state)
{
    const struct quic_config cfg = {.retry_above = 1, .half_open_max = 10};
    const struct tk_opt o = {.pq = PQ_OFF};
    struct flood f = {.spread = true};
    static struct tape tape;
    struct ref link;

    (void)state;
    memset(&tape, 0, sizeof tape);
    make(PQ_OFF, &cfg);
    assert_true(tk_make(&tk, 2, &o));
    flood(1, &f);
    tk.pass = record;
    tk.pass_ctx = &tape;
    assert_int_equal(tk_dial(&tk, 0, 1, NULL, &link), QUDAG_OK);
    (void)tk_run(&tk, 3 * NS_PER_S, NULL);
    assert_int_equal(tk.ep[0].ups, 1);
    assert_int_equal(stats(1).retries_sent, 1);
    tk.pass = NULL;
    /* The same Initials with that token from another address, and from the same one too late. */
    struct netaddr other = {.family = 4, .ip = {10, 7, 7, 7}, .port = 7};
    quic_link_ops.close(tk.ep[1].q, tk.ep[1].link, QUDAG_OK);
    (void)tk_run(&tk, 40 * NS_PER_S, NULL);
    uint64_t bad = stats(1).tokens_bad;
    for (size_t i = 1; i < tape.n; i++) {
        tk_inject(&tk, &other, &tk.ep[1].addr, tape.data[i], tape.len[i]);
        tk_inject(&tk, &tk.ep[0].addr, &tk.ep[1].addr, tape.data[i], tape.len[i]);
    }
    (void)tk_run(&tk, NS_PER_S, NULL);
    assert_true(stats(1).tokens_bad >= bad + 2);
    assert_int_equal(tk.ep[1].ups, 1);
    down();
}

static void test_a_moved_peer_keeps_its_link(void **state)
{
    (void)state;
    make(PQ_REQUIRE, NULL);
    connect();
    tk.ep[0].addr.port = 5555; /* a NAT has changed its mind */
    assert_works();
    struct link_info info;
    assert_int_equal(quic_info(tk.ep[1].q, tk.ep[1].link, &info), QUDAG_OK);
    struct netaddr remote;
    assert_true(multiaddr_to_netaddr(&info.remote, &remote));
    assert_int_equal(remote.port, 5555);
    assert_true(info.net == netaddr_group(&tk.ep[0].addr));
    down();
}

/*
 * The dialler dies without closing and restarts at the same address.  Its stateless resets name no token
 * that the other end could know, so that end has to ask.
 */
static void test_an_inbound_link_of_a_restarted_peer_ends_when_probed(void **state)
{
    const struct tk_opt o = {.pq = PQ_REQUIRE};
    int64_t sid;
    (void)state;

    make(PQ_REQUIRE, NULL);
    connect();
    struct ref old = tk.ep[1].link;
    quic_probe(tk.ep[1].q, old, tk.now); /* the peer lives: nothing comes of it */
    (void)tk_run(&tk, 10 * NS_PER_S, NULL);
    assert_int_equal(tk.ep[1].downs, 0);
    assert_works();

    assert_int_equal(tk_unmake(&tk, 0), 0);
    assert_true(tk_make(&tk, 0, &o));
    assert_int_equal(quic_link_ops.open(tk.ep[1].q, old, 1, NULL, &sid), QUDAG_OK);
    struct slice word = {(const uint8_t *)"anybody there?", 14};
    assert_int_equal(quic_link_ops.write(tk.ep[1].q, old, sid, word), QUDAG_OK);
    connect();
    (void)tk_run(&tk, 5 * NS_PER_S, NULL);
    assert_true(stats(0).resets_sent > 0);
    assert_int_equal(tk.ep[1].downs, 0);
    assert_int_equal(tk.ep[1].ups, 2);

    quic_probe(tk.ep[1].q, old, tk.now);
    quic_probe(tk.ep[1].q, tk.ep[1].link, tk.now);
    (void)tk_run(&tk, 3 * NS_PER_S, NULL);
    assert_int_equal(tk.ep[1].downs, 1);
    assert_true(ref_eq(tk.ep[1].down.link, old));
    assert_int_equal(tk.ep[1].down.err, QUDAG_ETIMEOUT);
    assert_works();
    down();
}

static bool heard_of_the_server(struct tk *t)
{
    struct quic_stats st;

    quic_stats_get(t->ep[0].q, &st);
    return st.bytes_in > 0;
}

#define QUOTE_LEN 64

/* Dials 1 from 0; the first datagram is on its way, and its beginning in |quote|. */
static void dial_quoted(uint8_t quote[QUOTE_LEN])
{
    static uint8_t buf[65536];
    struct quic_tx tx = {.buf = buf};
    struct ref link;

    assert_int_equal(tk_dial(&tk, 0, 1, &tk.ep[1].peer, &link), QUDAG_OK);
    assert_true(quic_send(tk.ep[0].q, tk.now, &tx));
    memcpy(quote, buf, QUOTE_LEN);
    for (size_t at = 0; at < tx.len; at += tx.segment) {
        size_t n = tx.len - at < tx.segment ? tx.len - at : tx.segment;
        tk_inject(&tk, &tk.ep[0].addr, &tx.remote, buf + at, n);
    }
}

/* Whoever can forge a message of the network (ICMP) ends no dial that was answered, nor any to somebody else. */
static void test_reports_of_unreachable_end_only_the_dial_they_are_about(void **state)
{
    const struct netaddr other = {.family = 4, .ip = {10, 0, 0, 77}, .port = 4001};
    uint8_t bytes[QUOTE_LEN];
    struct slice quote = {bytes, sizeof(bytes)};

    (void)state;
    make(PQ_REQUIRE, NULL);
    dial_quoted(bytes);
    quic_unreachable(tk.ep[0].q, &other, quote, tk.now);
    quic_no_route(tk.ep[0].q, &other, tk.now);
    assert_true(tk_run(&tk, 5 * NS_PER_S, heard_of_the_server));
    assert_int_equal(tk.ep[0].ups + tk.ep[0].downs, 0);
    quic_unreachable(tk.ep[0].q, &tk.ep[1].addr, quote, tk.now);
    (void)tk_run(&tk, 5 * NS_PER_S, NULL);
    assert_int_equal(tk.ep[0].ups, 1);
    assert_works();
    down();
    make(PQ_REQUIRE, NULL);
    dial_quoted(bytes);
    quic_unreachable(tk.ep[0].q, &tk.ep[1].addr, quote, tk.now); /* before anything was heard */
    (void)tk_run(&tk, NS_PER_S, NULL);
    assert_int_equal(tk.ep[0].downs, 1);
    assert_int_equal(tk.ep[0].down.err, QUDAG_EUNREACHABLE);
    down();
}

/* A datagram with the id of a dial in it, that nobody sealed, is not taken for an answer. */
static void test_garbage_is_no_answer(void **state)
{
    uint8_t quote[QUOTE_LEN], junk[1200] = {0xc0, 0, 0, 0, 1};

    (void)state;
    make(PQ_REQUIRE, NULL);
    dial_quoted(quote);
    const uint8_t *id = quote + 6 + quote[5]; /* its length before it */
    memcpy(junk + 5, id, 1 + (size_t)id[0]);
    junk[7 + id[0]] = 0;
    struct quic_dgram d = {
        .local = tk.ep[0].addr, .remote = tk.ep[1].addr, .data = {junk, sizeof junk}};
    quic_recv(tk.ep[0].q, &d, tk.now);
    tk_events(&tk.ep[0]);
    assert_true(heard_of_the_server(&tk));
    assert_int_equal(tk.ep[0].answers, 0);
    (void)tk_run(&tk, 5 * NS_PER_S, NULL);
    assert_int_equal(tk.ep[0].answers, 1);
    assert_int_equal(tk.ep[0].ups, 1);
    down();
}

/* Whoever is off the path knows addresses and ports, and not what a dial has sent. */
static void test_a_forged_unreachable_ends_no_dial(void **state)
{
    uint8_t quote[QUOTE_LEN], forged[QUOTE_LEN] = {0xc0, 0, 0, 0, 1, 18};
    const struct netaddr *to = &tk.ep[1].addr;

    (void)state;
    make(PQ_REQUIRE, NULL);
    dial_quoted(quote);
    size_t id_end = 6 + (size_t)quote[5];
    quic_unreachable(tk.ep[0].q, to, (struct slice){NULL, 0}, tk.now);
    quic_unreachable(tk.ep[0].q, to, (struct slice){forged, QUOTE_LEN}, tk.now);
    quic_unreachable(tk.ep[0].q, to, (struct slice){quote, id_end - 1}, tk.now); /* cut */
    memcpy(forged, quote, QUOTE_LEN);
    forged[id_end - 1] ^= 1;
    quic_unreachable(tk.ep[0].q, to, (struct slice){forged, QUOTE_LEN}, tk.now);
    (void)tk_run(&tk, 5 * NS_PER_S, NULL);
    assert_int_equal(tk.ep[0].downs, 0);
    assert_int_equal(tk.ep[0].ups, 1);
    down();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_handshake_datagram_may_be_lost_repeated_or_late),
        cmocka_unit_test(test_any_handshake_datagram_may_be_damaged_or_cut),
        cmocka_unit_test(test_garbage_does_nothing),
        cmocka_unit_test(test_unknown_versions_are_answered_only_when_large),
        cmocka_unit_test(test_answers_to_strangers_never_amplify),
        cmocka_unit_test(test_a_recorded_handshake_is_worth_nothing),
        cmocka_unit_test(test_a_flood_of_half_open_links_brings_retry_and_hurts_nobody),
        cmocka_unit_test(test_one_address_cannot_take_all_places),
        cmocka_unit_test(test_forged_initials_do_not_shut_out_the_address_they_name),
        cmocka_unit_test(test_a_false_retry_token_is_refused),
        cmocka_unit_test(test_garbage_is_no_answer),
        cmocka_unit_test(test_a_forged_unreachable_ends_no_dial),
        cmocka_unit_test(test_a_moved_peer_keeps_its_link),
        cmocka_unit_test(test_an_inbound_link_of_a_restarted_peer_ends_when_probed),
        cmocka_unit_test(test_reports_of_unreachable_end_only_the_dial_they_are_about),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
