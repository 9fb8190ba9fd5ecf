/* router_test.c - packets are changed as a kernel would take them; links delay and lose as they are told. */
#include "packet.h"
#include "router.h"
#include "words.h"

#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static struct rng_stream stream;

static struct rng dice(uint8_t seed)
{
    uint8_t s[32] = {seed};

    rng_stream_init(&stream, s);
    return rng_of_stream(&stream);
}

static struct netaddr at(const char *ip, uint16_t port)
{
    struct netaddr a = {0};

    assert_int_equal(netaddr_parse_ip(&a, ip), QUDAG_OK);
    a.port = port;
    return a;
}

static uint32_t sum(const uint8_t *p, size_t len)
{
    uint32_t s = 0;

    for (size_t i = 0; i < len; i++) {
        s += i % 2 == 0 ? (uint32_t)p[i] << 8 : p[i];
    }
    return s;
}

static uint16_t fold(uint32_t s)
{
    while (s >> 16 != 0) {
        s = (s & 0xffff) + (s >> 16);
    }
    return (uint16_t)s;
}

/* Both checksums are right: all that they cover sums up to 0xffff. */
static void assert_sums(const uint8_t *b, size_t len)
{
    uint32_t above = sum(b + 20, len - 20);

    assert_int_equal(fold(sum(b, 20)), 0xffff);
    if (b[9] != PACKET_ICMP) {
        above += sum(b + 12, 8) + b[9] + (uint32_t)(len - 20);
    }
    assert_int_equal(fold(above), 0xffff);
}

static void put16(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

/* A packet of |len| bytes with right checksums. */
static void make(uint8_t *b, size_t len, uint8_t proto, struct netaddr src, struct netaddr dst)
{
    size_t check = proto == PACKET_UDP ? 26 : proto == PACKET_TCP ? 36 : 22;
    uint32_t pseudo = 0;

    memset(b, 0, len);
    b[0] = 0x45;
    put16(b + 2, (uint32_t)len);
    b[8] = 64;
    b[9] = proto;
    memcpy(b + 12, src.ip, 4);
    memcpy(b + 16, dst.ip, 4);
    if (proto == PACKET_ICMP) {
        b[20] = 8;
        put16(b + 24, src.port);
    } else {
        put16(b + 20, src.port);
        put16(b + 22, dst.port);
        pseudo = sum(b + 12, 8) + proto + (uint32_t)(len - 20);
    }
    if (len > 40) {
        memset(b + 40, 0xa5, len - 40);
    }
    put16(b + 10, (uint16_t)~fold(sum(b, 20)));
    put16(b + check, (uint16_t)~fold(sum(b + 20, len - 20) + pseudo));
    assert_sums(b, len);
}

static void addresses_change_and_sums_stay_right(void **state)
{
    static const uint8_t protos[] = {PACKET_UDP, PACKET_TCP, PACKET_ICMP};
    struct netaddr ext = at("203.0.113.9", 61234);
    uint8_t b[61];
    struct packet p;
    (void)state;

    for (size_t i = 0; i < 3; i++) {
        make(b, sizeof b, protos[i], at("192.168.1.2", 4001), at("198.18.0.1", 7));
        assert_true(packet_read(&p, b, sizeof b));
        assert_int_equal(p.src.port, 4001);
        packet_set_src(&p, &ext);
        assert_sums(b, sizeof b);
        packet_set_dst(&p, &ext);
        assert_sums(b, sizeof b);
        assert_true(packet_read(&p, b, sizeof b));
        assert_true(netaddr_eq(&p.src, &ext));
        assert_true(netaddr_same_ip(&p.dst, &ext));
    }
}

static void a_datagram_without_checksum_stays_so(void **state)
{
    struct netaddr ext = at("203.0.113.9", 61234);
    uint8_t b[40];
    struct packet p;
    (void)state;

    make(b, sizeof b, PACKET_UDP, at("192.168.1.2", 4001), at("198.18.0.1", 7));
    put16(b + 26, 0);
    assert_true(packet_read(&p, b, sizeof b));
    packet_set_src(&p, &ext);
    assert_int_equal(b[26] | b[27], 0);
}

static void what_is_cut_off_is_not_read(void **state)
{
    uint8_t b[60];
    struct packet p;
    (void)state;

    make(b, sizeof b, PACKET_UDP, at("192.168.1.2", 4001), at("198.18.0.1", 7));
    for (size_t len = 0; len < 28; len++) {
        assert_true(!packet_read(&p, b, len) || p.proto == 0);
    }
    b[6] = 0;
    b[7] = 5; /* a later fragment has no ports */
    assert_true(packet_read(&p, b, sizeof b));
    assert_int_equal(p.proto, 0);
    assert_false(packet_quoted(&p, &p));
}

static struct router r;

static void start(const char *nat)
{
    char line[200], answer[100];
    struct netaddr home = at("192.168.1.0", 0);
    struct rng rng = dice(1);

    router_init(&r, &rng);
    r.cfg.external = at("203.0.113.9", 0);
    assert_true(router_add_net(&r, &home, 24));
    snprintf(line, sizeof line, "nat %s", nat);
    router_command(&r, line, 0, answer, sizeof answer);
    assert_string_equal(answer, "ok\n");
}

/* What leaves after |b| came; false: nothing. */
static bool through(uint8_t *b, size_t len, struct packet *out)
{
    static uint8_t copy[200];
    const uint8_t *left;
    size_t n;

    router_packet(&r, b, len, 0);
    n = router_leaving(&r, &left, 0);
    if (n == 0) {
        return false;
    }
    assert_in_range(n, 20, sizeof copy);
    memcpy(copy, left, n);
    assert_sums(copy, n);
    assert_int_equal(router_leaving(&r, &left, 0), 0);
    return packet_read(out, copy, n);
}

static void errors_find_whose_packet_they_quote(void **state)
{
    struct netaddr home = at("192.168.1.2", 4001), far = at("198.18.0.1", 7),
                   router = at("198.18.0.99", 0);
    uint8_t b[60], error[PACKET_UNREACHABLE_MAX];
    struct packet p, q;
    (void)state;

    start("symmetric");
    make(b, sizeof b, PACKET_UDP, home, far);
    assert_true(through(b, sizeof b, &p));
    assert_true(netaddr_same_ip(&p.src, &r.cfg.external));
    assert_int_equal(packet_unreachable(error, &p), sizeof error);
    assert_sums(error, sizeof error);
    assert_true(packet_read(&q, error, sizeof error));
    packet_set_src(&q, &router); /* from somewhere on the way */
    assert_true(through(error, sizeof error, &p));
    assert_true(netaddr_same_ip(&p.dst, &home));
    assert_true(packet_quoted(&p, &q));
    assert_true(netaddr_eq(&q.src, &home));
    assert_true(netaddr_eq(&q.dst, &far));
    router_fini(&r);
}

static void who_is_rejected_is_told(void **state)
{
    struct netaddr far = at("198.18.0.1", 7), ext = at("203.0.113.9", 5000);
    uint8_t b[60];
    struct packet p;
    (void)state;

    start("port-restricted rejects=1");
    make(b, sizeof b, PACKET_UDP, far, ext);
    assert_true(through(b, sizeof b, &p));
    assert_true(p.error && netaddr_same_ip(&p.dst, &far));
    assert_int_equal(r.refused, 1);
    router_fini(&r);
    start("port-restricted");
    make(b, sizeof b, PACKET_UDP, far, ext);
    assert_false(through(b, sizeof b, &p));
    router_fini(&r);
}

static void a_link_delays_in_order_and_loses_its_share(void **state)
{
    struct wire_config cfg = {.delay_ns = 40 * NS_PER_MS, .jitter_ns = 10 * NS_PER_MS, .loss = 100};
    struct mem mem;
    struct wire w;
    uint8_t got[8], b[8] = {0};
    uint32_t last = 0, n = 0;
    struct rng rng = dice(2);
    (void)state;

    mem_init(&mem, NULL, 0);
    wire_init(&w, &mem, &rng);
    wire_set(&w, &cfg);
    for (uint32_t i = 1; i <= 10000; i++) {
        put16(b, i);
        wire_put(&w, (struct slice){b, sizeof b}, i * NS_PER_MS);
    }
    assert_in_range(w.lost, 900, 1100);
    assert_in_range(wire_next(&w), 41 * NS_PER_MS, 60 * NS_PER_MS);
    for (uint64_t t = 0; t < 11000; t++) {
        while (wire_get(&w, got, sizeof got, t * NS_PER_MS) > 0) {
            uint32_t i = (uint32_t)got[0] << 8 | got[1];
            assert_true(i > last && t >= i + 40 && t <= i + 52);
            last = i;
            n++;
        }
    }
    assert_int_equal(n + w.lost, 10000);
    wire_fini(&w);
    assert_int_equal(mem.used, 0);
}

static void a_rate_is_kept_and_bursts_lose_in_a_row(void **state)
{
    struct wire_config cfg = {.rate = 8000000, .limit = 100000}; /* a byte each microsecond */
    struct mem mem;
    struct wire w;
    static uint8_t b[1000];
    struct rng rng = dice(3);
    uint64_t rows = 0, lost = 0;
    (void)state;

    mem_init(&mem, NULL, 0);
    wire_init(&w, &mem, &rng);
    wire_set(&w, &cfg);
    for (unsigned i = 0; i < 150; i++) {
        wire_put(&w, (struct slice){b, sizeof b}, 0);
    }
    assert_int_equal(w.lost, 50); /* the queue holds 100 */
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(wire_next(&w), (i + 1) * NS_PER_MS);
        assert_int_equal(wire_get(&w, b, sizeof b, TSTAMP_NEVER - 1), sizeof b);
    }
    cfg = (struct wire_config){.burst_in = 20, .burst_out = 250};
    wire_set(&w, &cfg);
    w.lost = 0;
    for (unsigned i = 0; i < 20000; i++) {
        bool before = w.burst;
        wire_put(&w, (struct slice){b, 10}, 0);
        rows += w.burst && !before ? 1 : 0;
        lost += w.burst ? 1 : 0;
    }
    assert_int_equal(w.lost, lost);
    assert_in_range(lost * 10 / rows, 34, 46); /* four in a row */
    wire_fini(&w);
}

static void words_that_are_not_known_are_refused(void **state)
{
    static const char *const bad[] = {"nat cone",
                                      "nat mapping=both",
                                      "nat timeout_ms=x",
                                      "wire lan delay_ms",
                                      "wire wlan delay_ms=3",
                                      "wire lan burst=3",
                                      "forward udp 1",
                                      "forward udp 70000 192.168.1.2 1 1",
                                      "unforward udp 9",
                                      "external x",
                                      "what"};
    char line[100], answer[100];
    (void)state;

    start("full-cone");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        snprintf(line, sizeof line, "%s", bad[i]);
        router_command(&r, line, 0, answer, sizeof answer);
        assert_string_equal(answer, "no\n");
    }
    router_fini(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_change_and_sums_stay_right),
        cmocka_unit_test(a_datagram_without_checksum_stays_so),
        cmocka_unit_test(what_is_cut_off_is_not_read),
        cmocka_unit_test(errors_find_whose_packet_they_quote),
        cmocka_unit_test(who_is_rejected_is_told),
        cmocka_unit_test(a_link_delays_in_order_and_loses_its_share),
        cmocka_unit_test(a_rate_is_kept_and_bursts_lose_in_a_row),
        cmocka_unit_test(words_that_are_not_known_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
