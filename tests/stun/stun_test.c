/*
 * stun_test.c - our STUN beside coturn's (Debian: coturn), in a network namespace of its own: our questions to its
 * server at both of its addresses (RFC 5780), its client to a node of ours.
 *
 * TEST: timeout=60 waits
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "core/stun/rules.h"
#include "io/io.h"
#include "io/udp.h"
#include "node/internal.h"

#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define SERVER "/usr/bin/turnserver"
#define CLIENT "/usr/bin/turnutils_stunclient"
#define BEHAVIOUR "/usr/bin/turnutils_natdiscovery"

static struct acts out;
static struct act acts_v[2 * ACTS_ROOM];
static _Alignas(16) uint8_t acts_bytes[2 * ACTS_BYTES_ROOM];
static uint8_t rx[UDP_BATCH * UDP_BUF];

static struct netaddr at(uint8_t host, uint16_t port)
{
    return (struct netaddr){.family = 4, .ip = {127, 0, 0, host}, .port = port};
}

/* ---- our client ---- */

static struct udp sock;
static struct stun *client;
static struct stun_answer answer;
static bool answered;

static void send_bytes(const struct netaddr *to, const uint8_t *p, size_t len)
{
    uint8_t copy[STUN_MSG_MAX];
    struct io_stats st = {0};

    memcpy(copy, p, len);
    const struct quic_tx tx = {.remote = *to, .segment = (uint16_t)len, .buf = copy, .len = len};
    assert_int_equal(udp_send(&sock, &tx, io_now(), &st), UDP_SENT);
}

static void carry_out(void)
{
    for (size_t i = 0; i < out.n; i++) {
        if (out.v[i].kind == STUN_UP_SEND) {
            const struct stun_packet *p = out.v[i].ptr;
            send_bytes(&p->to, p->bytes, p->len);
        } else {
            memcpy(&answer, out.v[i].ptr, sizeof answer);
            answered = true;
        }
    }
    out.n = out.bytes_n = 0;
}

static void receive(int ms)
{
    struct pollfd p = {.fd = sock.fd, .events = POLLIN};
    struct udp_msg msg[UDP_BATCH];
    struct stun_msg m;

    if (poll(&p, 1, ms) > 0) {
        size_t n = udp_recv(&sock, msg, rx);
        for (size_t i = 0; i < n; i++) {
            assert_int_equal(stun_parse(&m, (struct slice){msg[i].buf, msg[i].len}), QUDAG_OK);
            const struct stun_came d = {.remote = msg[i].remote, .msg = &m, .len = msg[i].len};
            assert_true(stun_recv(client, &d, io_now(), &out));
            carry_out();
        }
    }
}

static void ask(const struct stun_question *q)
{
    answered = false;
    assert_int_equal(stun_ask(client, q, io_now(), &out), QUDAG_OK);
    carry_out();
    while (!answered) {
        receive(50);
        if (stun_ops.deadline(client) <= io_now()) {
            stun_ops.tick(client, io_now(), &out);
            carry_out();
        }
    }
}

static pid_t start(const char *const *words, int output)
{
    pid_t pid = fork();

    if (pid == 0) {
        char *argv[32] = {NULL};
        for (size_t i = 0; i < ARRAY_LEN(argv) - 1 && words[i] != NULL; i++) {
            argv[i] = strdup(words[i]);
        }
        (void)dup2(output, 1);
        (void)dup2(output, 2);
        execv(argv[0], argv);
        _exit(127);
    }
    return pid;
}

static pid_t start_server(void)
{
    static const char *const argv[] = {
        SERVER,      "-n", "--no-cli",   "--no-tls", "--no-dtls", "-L",
        "127.0.0.1", "-L", "127.0.0.2",  "-p",       "3478",      "--alt-listening-port",
        "3479",      "-S", "--log-file", "stdout",   "--pidfile", "/dev/null",
        NULL};
    FILE *log = tmpfile();

    assert_non_null(log);
    return start(argv, fileno(log));
}

static void our_questions_are_answered_by_coturn(void **state)
{
    struct mem mem;
    const struct rng rng = io_rng();
    struct netaddr here = at(5, 0), own;
    (void)state;

    pid_t pid = start_server();
    assert_int_equal(udp_open(&sock, &here), 0);
    mem_init(&mem, NULL, 0);
    client = stun_new(&mem, &rng, io_now());
    assert_non_null(client);
    struct stun_question q = {.n = 4,
                              .server = {at(1, 3478), at(1, 3479), at(2, 3478), at(2, 3479)}};
    for (unsigned i = 0; i < 5; i++) { /* it needs a moment to begin */
        ask(&q);
        if (stun_rule_mapping(&answer) != STUN_MAPPING_UNKNOWN) {
            break;
        }
    }
    assert_int_equal(stun_rule_mapping(&answer), STUN_MAPPING_INDEPENDENT);
    assert_true(stun_rule_external(&answer, &own));
    assert_true(netaddr_eq(&own, &sock.bound));
    q.in_turn = true;
    ask(&q);
    assert_int_equal(stun_rule_step(&answer), 0); /* no NAT, no step */
    q.delay_s = 30; /* of ours only: it answers as if that were not there */
    ask(&q);
    bool known;
    assert_false(stun_rule_lived(&answer, &known));
    assert_false(known);
    assert_int_equal(answer.said[0].err, QUDAG_EUNSUPPORTED);
    assert_int_equal(stun_statistics(client)->spoofed, 0);
    stun_free(client);
    udp_close(&sock);
    assert_int_equal(mem.used, 0);
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
}

/* ---- our server ---- */

static struct mem node_mem;
static struct identity id;
static struct io *io;
static struct node *node;

static void on_phase(void *ctx, enum node_phase p, uint32_t a, uint32_t b, qudag_err err)
{
    (void)ctx;
    (void)p;
    (void)a;
    (void)b;
    (void)err;
}

static void begin(void)
{
    const struct netaddr listen = at(3, 5000);
    const struct node_hooks hooks = {.phase = on_phase};
    struct node_config c = {.mem = &node_mem,
                            .rng = io_rng(),
                            .clock = {io_wall(), io_now()},
                            .identity = &id,
                            .level = 768,
                            .dht_protocol = KAD_PROTOCOL,
                            .agent = "test",
                            .links_max = 16,
                            .circuits_max = 16,
                            .hops = 3,
                            .lab = true,
                            .small_network = true,
                            .relay = true};
    struct io_failure why;

    mem_init(&node_mem, NULL, 0);
    assert_int_equal(identity_generate(&id, &c.rng), QUDAG_OK);
    assert_int_equal(io_new(&io, NULL, &listen, 1, &why), QUDAG_OK);
    assert_int_equal(node_new(&node, &c, &hooks, io_now()), QUDAG_OK);
    io_attach(io, node);
}

static void end(void)
{
    node_shutdown(node, io_now());
    io_shutdown(io);
    node_free(node);
    io_attach(io, NULL);
    io_free(io);
    identity_fini(&id);
    assert_int_equal(node_mem.used, 0);
}

/* What the program |argv| prints while our node runs; it ends within some seconds. */
static void run(const char *const *argv, char *text, size_t cap)
{
    FILE *f = tmpfile();
    int status = 0;

    assert_non_null(f);
    pid_t pid = start(argv, fileno(f));
    for (unsigned i = 0; i < 10000 && waitpid(pid, &status, WNOHANG) == 0; i++) {
        assert_int_equal(io_step(io, NS_PER_MS), QUDAG_OK);
        if (i == 9999) {
            (void)kill(pid, SIGKILL);
            (void)waitpid(pid, NULL, 0);
        }
    }
    rewind(f);
    text[fread(text, 1, cap - 1, f)] = 0;
    (void)fclose(f);
}

static void our_node_answers_the_client_of_coturn(void **state)
{
    static const char *const plain[] = {CLIENT, "-p", "5000", "127.0.0.3", NULL};
    static const char *const behaviour[] = {BEHAVIOUR, "-m", "-p", "5000", "127.0.0.3", NULL};
    char text[4096];
    (void)state;

    begin();
    run(plain, text, sizeof text);
    if (strstr(text, "UDP reflexive addr: 127.0.0.1:") == NULL) {
        fail_msg("%s", text);
    }
    assert_true(stun_statistics(node->stun.core)->served >= 1);
    run(behaviour, text, sizeof text); /* which would go on with a second address of the server */
    assert_non_null(strstr(text, "UDP reflexive addr: 127.0.0.1:"));
    assert_int_equal(node->datagrams.stun_bad, 0);
    end();
}

static void up(void)
{
    struct ifreq r = {.ifr_name = "lo"};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    r.ifr_flags = IFF_UP | IFF_LOOPBACK | IFF_RUNNING;
    if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &r) != 0) {
        abort();
    }
    (void)close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(our_questions_are_answered_by_coturn),
        cmocka_unit_test(our_node_answers_the_client_of_coturn),
    };

    if (unshare(CLONE_NEWNET) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) {
        (void)fputs("skipped: no network namespace can be made here\n", stderr);
        return 77;
    }
    if (access(SERVER, X_OK) != 0 || access(CLIENT, X_OK) != 0) {
        (void)fputs("skipped: coturn is not installed\n", stderr);
        return 77;
    }
    up();
    out = (struct acts){
        .v = acts_v, .cap = ARRAY_LEN(acts_v), .bytes = acts_bytes, .bytes_cap = sizeof acts_bytes};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
