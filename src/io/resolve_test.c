/*
 * resolve_test.c - questions over real sockets to a name server of the test's own, which answers by the first label of
 * the name: well, not at all, or with what no server should say.
 *
 * TEST: timeout=120
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "io/resolve.h"

#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

/* ------------------------------------------------------------------ the name server, on a thread */

#define TYPE_A 1
#define TYPE_CNAME 5
#define TYPE_TXT 16

static struct {
    int udp, tcp, stop[2];
    uint16_t port;
    pthread_t thread;
    _Atomic unsigned asked_udp, asked_tcp;
} server;

struct reply {
    uint8_t b[8192];
    size_t n;
    unsigned answers;
};

static void put(struct reply *r, const void *p, size_t n)
{
    assert_true(r->n + n <= sizeof r->b);
    memcpy(r->b + r->n, p, n);
    r->n += n;
}

static void put16(struct reply *r, unsigned v)
{
    put(r, (uint8_t[]){(uint8_t)(v >> 8), (uint8_t)v}, 2);
}

/* One answer; |name| NULL: the name that was asked for. */
static void record(struct reply *r, const char *name, unsigned type, const void *data, size_t len)
{
    if (name == NULL) {
        put16(r, 0xc00c);
    } else {
        put(r, name, strlen(name) + 1);
    }
    put16(r, type);
    put16(r, 1);
    put16(r, 0);
    put16(r, 60);
    put16(r, (unsigned)len);
    put(r, data, len);
    r->answers++;
}

static void text(struct reply *r, const char *const *strings, size_t n)
{
    uint8_t data[4096];
    size_t len = 0;

    for (size_t i = 0; i < n; i++) {
        size_t one = strlen(strings[i]);
        data[len] = (uint8_t)one;
        memcpy(data + len + 1, strings[i], one);
        len += one + 1;
    }
    record(r, NULL, TYPE_TXT, data, len);
}

static void answer_texts(struct reply *r, const char *label)
{
    static char big[256];
    const char *strings[10];

    memset(big, 'x', 255);
    for (size_t i = 0; i < 10; i++) {
        strings[i] = big;
    }
    if (strcmp(label, "_dnsaddr") == 0) {
        text(r, (const char *[]){"dnsaddr=/ip4/192.0.2.1", "/udp/1/quic-v1"}, 2);
        text(r, (const char *[]){"v=spf1 -all"}, 1);
        text(r, (const char *[]){""}, 1);
    } else if (strcmp(label, "huge") == 0) {
        text(r, strings, 10);
        text(r, (const char *[]){"small"}, 1);
    }
}

static void answer_addrs(struct reply *r, const char *label, unsigned type)
{
    uint8_t ip[4] = {192, 0, 2, 1}, six[16] = {0x20, 1, [15] = 7};

    if (strcmp(label, "one") == 0) {
        record(r, NULL, type, type == TYPE_A ? ip : six, type == TYPE_A ? 4 : 16);
    } else if (strcmp(label, "many") == 0 && type == TYPE_A) {
        for (ip[3] = 1; ip[3] <= 100; ip[3]++) {
            record(r, NULL, TYPE_A, ip, 4);
        }
    } else if (strcmp(label, "chain") == 0 && type == TYPE_A) {
        record(r, NULL, TYPE_CNAME, "\1b\7example", 11);
        record(r, "\1b\7example", TYPE_CNAME, "\1c\7example", 11);
        record(r, "\1c\7example", TYPE_CNAME, "\1d\7example", 11);
        record(r, "\1d\7example", TYPE_A, ip, 4);
    } else if (strcmp(label, "circle") == 0) {
        record(r, NULL, TYPE_CNAME, "\1b\7example", 11);
        record(r, "\1b\7example", TYPE_CNAME, "\6circle\7example", 16);
    } else if (strcmp(label, "short") == 0) {
        record(r, NULL, type, ip, 3); /* of no address */
    }
}

/* False: nothing is sent. */
static bool answer(struct reply *r, const uint8_t *q, size_t len, bool over_tcp)
{
    char label[64] = "";
    size_t end = 12;

    while (end < len && q[end] != 0) {
        end += q[end] + 1u;
    }
    if (len < 17 || end + 5 > len) {
        return false;
    }
    memcpy(label, q + 13, q[12] < sizeof label ? q[12] : 0);
    unsigned type = (unsigned)q[end + 1] << 8 | q[end + 2];
    r->n = 0;
    r->answers = 0;
    put(r, q, end + 5);
    memset(r->b + 6, 0, 6); /* no answers yet, and nothing else */
    r->b[2] = 0x81;
    r->b[3] = 0x80;
    if (strcmp(label, "silent") == 0) {
        return false;
    }
    if (strcmp(label, "garbage") == 0) {
        memset(r->b + 2, 0xff, r->n - 2);
        return true;
    }
    if (strcmp(label, "lies") == 0) {
        r->b[7] = 200; /* answers that are not there */
        return true;
    }
    r->b[3] |= strcmp(label, "nobody") == 0 ? 3 : strcmp(label, "refused") == 0 ? 5 : 0;
    if (type == TYPE_TXT) {
        answer_texts(r, label);
    } else {
        answer_addrs(r, label, type);
    }
    r->b[7] = (uint8_t)r->answers;
    if (!over_tcp && r->n > 512) { /* RFC 1035 4.2.1 */
        r->n = end + 5;
        r->b[2] |= 2;
        r->b[7] = 0;
    }
    return true;
}

static void serve_tcp(void)
{
    static struct reply r;
    uint8_t q[514];
    size_t have = 0;
    int fd = accept(server.tcp, NULL, NULL);

    while (fd >= 0) {
        ssize_t n = recv(fd, q + have, sizeof q - have, 0);
        have += n > 0 ? (size_t)n : 0;
        size_t want = have >= 2 ? ((size_t)q[0] << 8 | q[1]) + 2 : sizeof q;
        if (n <= 0 || have >= want) {
            break;
        }
    }
    server.asked_tcp++;
    if (have > 2 && answer(&r, q + 2, have - 2, true)) {
        uint8_t head[2] = {(uint8_t)(r.n >> 8), (uint8_t)r.n};
        (void)!send(fd, head, 2, MSG_NOSIGNAL);
        (void)!send(fd, r.b, r.n, MSG_NOSIGNAL);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
}

static void *serve(void *unused)
{
    static struct reply r;
    uint8_t q[512];
    (void)unused;

    for (;;) {
        struct pollfd p[3] = {
            {server.udp, POLLIN, 0}, {server.tcp, POLLIN, 0}, {server.stop[0], POLLIN, 0}};
        if (poll(p, 3, -1) < 0 || p[2].revents != 0) {
            return NULL;
        }
        struct sockaddr_in from;
        socklen_t size = sizeof from;
        ssize_t n = p[0].revents == 0 ? 0
                                      : recvfrom(server.udp, q, sizeof q, 0,
                                                 (struct sockaddr *)(void *)&from, &size);
        server.asked_udp += n > 0 ? 1 : 0;
        if (n > 0 && answer(&r, q, (size_t)n, false)) {
            (void)!sendto(server.udp, r.b, r.n, 0, (struct sockaddr *)(void *)&from, size);
        }
        if (p[1].revents != 0) {
            serve_tcp();
        }
    }
}

static int server_begin(void **state)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof a;
    (void)state;

    server.udp = socket(AF_INET, SOCK_DGRAM, 0);
    server.tcp = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(server.udp, (struct sockaddr *)(void *)&a, sizeof a) != 0 ||
        getsockname(server.udp, (struct sockaddr *)(void *)&a, &size) != 0 ||
        bind(server.tcp, (struct sockaddr *)(void *)&a, sizeof a) != 0 ||
        listen(server.tcp, 8) != 0 || pipe(server.stop) != 0) {
        return -1;
    }
    server.port = ntohs(a.sin_port);
    return pthread_create(&server.thread, NULL, serve, NULL) == 0 ? 0 : -1;
}

static int server_end(void **state)
{
    (void)state;
    (void)!write(server.stop[1], "x", 1);
    (void)pthread_join(server.thread, NULL);
    (void)close(server.udp);
    (void)close(server.tcp);
    return 0;
}

/* ------------------------------------------------------------------ who asks */

#define ASKED 300

static struct told {
    unsigned times;
    qudag_err err;
    size_t n;
    uint8_t record[NAMES_RECORDS_MAX][RESOLVE_RECORD_MAX];
    size_t len[NAMES_RECORDS_MAX];
} told[ASKED];
static unsigned n_told;
static struct io *io;
static struct resolve *r;
static char servers[64];

static void done(void *ctx, uint64_t id, qudag_err err, const struct slice *records, size_t n)
{
    assert_ptr_equal(ctx, told);
    assert_true(id < ASKED && n <= NAMES_RECORDS_MAX);
    struct told *t = &told[id];
    t->times++;
    t->err = err;
    t->n = n;
    for (size_t i = 0; i < n; i++) {
        t->len[i] = records[i].len;
        assert_true(records[i].len <= RESOLVE_RECORD_MAX);
        if (records[i].len > 0) {
            memcpy(t->record[i], records[i].base, records[i].len);
        }
    }
    n_told++;
}

static int begin(void **state)
{
    const struct netaddr a = {.family = 4, .ip = {127, 0, 0, 1}};
    struct io_failure why;
    (void)state;

    memset(told, 0, sizeof told);
    n_told = 0;
    (void)snprintf(servers, sizeof servers, "127.0.0.1:%u", server.port);
    if (io_new(&io, NULL, &a, 1, &why) != QUDAG_OK || resolve_new(&r, io, done, told) != QUDAG_OK) {
        return -1;
    }
    resolve_servers(r, servers);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    io_shutdown(io);
    resolve_free(r);
    io_free(io);
    return 0;
}

static void run(unsigned until, uint64_t ns)
{
    const struct timespec ms = {.tv_nsec = 1000000};
    tstamp end = io_now() + ns;

    while (n_told < until && io_now() < end) {
        (void)uv_run(io_loop(io), UV_RUN_NOWAIT);
        (void)nanosleep(&ms, NULL);
    }
}

/* The one answer to one question. */
static const struct told *ask(enum names_kind kind, const char *name)
{
    memset(told, 0, sizeof told[0]);
    n_told = 0;
    assert_int_equal(resolve_add(r, 0, kind, name), QUDAG_OK);
    assert_int_equal(told[0].times, 0); /* never at once */
    run(1, 20 * NS_PER_S);
    assert_int_equal(told[0].times, 1);
    return &told[0];
}

static void addresses_and_texts_are_told(void **state)
{
    static const uint8_t ip[4] = {192, 0, 2, 1}, six[16] = {0x20, 1, [15] = 7};
    static const char whole[] = "dnsaddr=/ip4/192.0.2.1/udp/1/quic-v1";
    (void)state;

    const struct told *t = ask(NAMES_A, "one.example");
    assert_int_equal(t->err, QUDAG_OK);
    assert_int_equal(t->n, 1);
    assert_int_equal(t->len[0], 4);
    assert_memory_equal(t->record[0], ip, 4);
    t = ask(NAMES_AAAA, "one.example");
    assert_int_equal(t->n, 1);
    assert_int_equal(t->len[0], 16);
    assert_memory_equal(t->record[0], six, 16);
    t = ask(NAMES_A, "chain.example"); /* by names that stand for others */
    assert_int_equal(t->n, 1);
    assert_memory_equal(t->record[0], ip, 4);
    t = ask(NAMES_TXT, "_dnsaddr.example"); /* in pieces */
    assert_int_equal(t->n, 3);
    assert_int_equal(t->len[0], sizeof whole - 1);
    assert_memory_equal(t->record[0], whole, t->len[0]);
    assert_int_equal(t->len[2], 0);
}

static void names_of_the_machine_are_found_without_a_server(void **state)
{
    static const uint8_t ip[4] = {127, 0, 0, 1};
    (void)state;
    unsigned before = server.asked_udp;
    const struct told *t = ask(NAMES_A, "localhost");
    assert_true(t->n >= 1);
    assert_memory_equal(t->record[0], ip, 4);
    assert_int_equal(server.asked_udp, before);
}

static void what_does_not_fit_a_datagram_comes_over_tcp_and_is_bounded(void **state)
{
    (void)state;
    unsigned before = server.asked_tcp;
    const struct told *t = ask(NAMES_A, "many.example");
    assert_int_equal(t->err, QUDAG_OK);
    assert_int_equal(t->n, NAMES_RECORDS_MAX);
    assert_int_equal(server.asked_tcp, before + 1);
    t = ask(NAMES_TXT, "huge.example");
    assert_int_equal(t->err, QUDAG_OK);
    assert_int_equal(t->n, 1); /* the other is too long */
    assert_int_equal(t->len[0], 5);
}

static void what_is_not_there_and_what_is_wrong_is_told_apart(void **state)
{
    static const struct {
        enum names_kind kind;
        const char *name;
        qudag_err err;
    } row[] = {
        {NAMES_A, "nobody.example", QUDAG_ENOTFOUND},
        {NAMES_TXT, "nobody.example", QUDAG_ENOTFOUND},
        {NAMES_A, "empty.example", QUDAG_OK},
        {NAMES_AAAA, "many.example", QUDAG_OK},
        {NAMES_TXT, "empty.example", QUDAG_OK},
        {NAMES_A, "circle.example", QUDAG_OK},
        {NAMES_TXT, "lies.example", QUDAG_EMALFORMED},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        const struct told *t = ask(row[i].kind, row[i].name);
        assert_int_equal(t->err, row[i].err);
        assert_int_equal(t->n, 0);
    }
    qudag_err refused =
        ask(NAMES_A, "refused.example")->err; /* c-ares may say that no server answered */
    assert_true(refused == QUDAG_EMALFORMED || refused == QUDAG_ETIMEOUT);
    assert_int_equal(ask(NAMES_A, "garbage.example")->n, 0);
    assert_int_equal(ask(NAMES_A, "short.example")->n, 0);
    assert_int_equal(ask(NAMES_A, "lies.example")->n, 0);
}

static void silence_ends_and_what_is_dropped_is_not_told(void **state)
{
    (void)state;
    tstamp began = io_now();
    assert_int_equal(resolve_add(r, 1, NAMES_A, "silent.example"), QUDAG_OK);
    assert_int_equal(resolve_add(r, 2, NAMES_TXT, "silent.example"), QUDAG_OK);
    assert_int_equal(resolve_add(r, 3, NAMES_A, "one.example"), QUDAG_OK);
    resolve_drop(r, 2);
    resolve_drop(r, 99);
    run(2, 20 * NS_PER_S);
    assert_int_equal(told[1].times, 1);
    assert_int_equal(told[1].err, QUDAG_ETIMEOUT);
    assert_true(io_now() - began < NODE_NAMES_TIMEOUT);
    assert_int_equal(told[2].times, 0);
    assert_int_equal(told[3].times, 1);
    assert_int_equal(resolve_add(r, 4, NAMES_A, "one.example"), QUDAG_OK);
    resolve_drop(r, 4); /* the last: nothing is left open */
    run(3, NS_PER_S);
    assert_int_equal(told[4].times, 0);
}

static void questions_are_bounded(void **state)
{
    (void)state;
    for (unsigned i = 0; i < RESOLVE_QUESTIONS_MAX; i++) {
        assert_int_equal(resolve_add(r, i, NAMES_A, "one.example"), QUDAG_OK);
    }
    assert_int_equal(resolve_add(r, 299, NAMES_A, "one.example"), QUDAG_ELIMIT);
    run(RESOLVE_QUESTIONS_MAX, 20 * NS_PER_S);
    assert_int_equal(n_told, RESOLVE_QUESTIONS_MAX);
    assert_int_equal(ask(NAMES_A, "one.example")->n, 1);
}

static void it_may_end_while_there_are_questions(void **state)
{
    (void)state;
    assert_int_equal(resolve_add(r, 1, NAMES_A, "silent.example"), QUDAG_OK);
    assert_int_equal(resolve_add(r, 2, NAMES_A, "localhost"), QUDAG_OK); /* known, not told */
    resolve_free(r);
    r = NULL;
    run(1, NS_PER_S / 10);
    assert_int_equal(n_told, 0);
    resolve_drop(NULL, 1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, begin, finish)
    const struct CMUnitTest tests[] = {
        T(addresses_and_texts_are_told),
        T(names_of_the_machine_are_found_without_a_server),
        T(what_does_not_fit_a_datagram_comes_over_tcp_and_is_bounded),
        T(what_is_not_there_and_what_is_wrong_is_told_apart),
        T(silence_ends_and_what_is_dropped_is_not_told),
        T(questions_are_bounded),
        T(it_may_end_while_there_are_questions),
    };
    return cmocka_run_group_tests(tests, server_begin, server_end);
}
