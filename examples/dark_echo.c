/*
 * dark_echo.c - a service at a dark address: what an anonymous caller sends comes back.
 *
 *   cc dark_echo.c -o dark_echo $(pkg-config --cflags --libs --static qudag)
 *   ./dark_echo /ip4/ADDRESS/udp/PORT/quic-v1/p2p/PEERID [--small-network]     # a node of the network to join
 *
 * Runs until interrupted; prints its address once the record is published.  A network of fewer than 60 relays in 20
 * networks hides nobody, and is used only with --small-network.  What it knows dies with it: each run has another
 * address and other entry guards.  A service that is to stay saves its identity, and has a callback |save|; see node.h.
 */
#include <qudag/qudag.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>

#define ECHO "/example/echo/1.0.0"

static qudag_node *running;
static char address[QUDAG_DARK_TEXT_MAX];

static void on_signal(int sig)
{
    (void)sig;
    qudag_node_stop(running); /* legal from anywhere */
}

static void on_phase(qudag_node *n, qudag_phase phase, uint32_t a, uint32_t b, qudag_err err,
                     void *user)
{
    qudag_op op;
    (void)user;

    if (phase == QUDAG_PHASE_FAILED) {
        fprintf(stderr, "%s; trying again\n", qudag_strerror(err));
    } else if (phase == QUDAG_PHASE_RELAYS) {
        fprintf(stderr, "relays known: %u of %u\n", a, b);
    } else if (phase == QUDAG_PHASE_READY && address[0] == '\0') {
        err = qudag_dark_create(n, "echo", address);
        if (err == QUDAG_OK) {
            err = qudag_dark_publish(n, address, &op); /* on_done says how it ended */
        }
        if (err != QUDAG_OK) {
            fprintf(stderr, "cannot publish: %s\n", qudag_strerror(err));
        }
    }
}

static void on_done(qudag_node *n, qudag_op op, qudag_err err, const qudag_result *res, void *user)
{
    (void)n;
    (void)op;
    (void)user;
    if (err == QUDAG_OK) {
        printf("published on %u nodes:\n%s\n", res->count, address);
        (void)fflush(stdout);
    } else {
        fprintf(stderr, "not published: %s%s\n", qudag_strerror(err),
                err == QUDAG_ESMALLNET ? "; --small-network uses it all the same" : "");
    }
}

static void on_data(qudag_node *n, qudag_stream s, qudag_slice data, bool fin, void *user)
{
    size_t taken = 0;
    (void)user;

    if (qudag_stream_write(n, s, data, &taken) != QUDAG_OK || taken < data.len) {
        qudag_stream_reset(n, s, QUDAG_ELIMIT); /* the queue is full: this small service gives up */
        return;
    }
    qudag_stream_consume(n, s, data.len);
    if (fin) {
        qudag_stream_fin(n, s);
    }
}

int main(int argc, char **argv)
{
    const qudag_callbacks cb = {
        .size = sizeof(cb), .phase = on_phase, .op_done = on_done, .stream_data = on_data};
    qudag_identity *identity = NULL;
    qudag_settings s;
    char why[200];

    bool small = argc == 3 && strcmp(argv[2], "--small-network") == 0;
    if (argc != 2 && !small) {
        fprintf(stderr, "usage: %s MULTIADDR-OF-A-NODE [--small-network]\n", argv[0]);
        return 2;
    }
    QUDAG_SETTINGS_INIT(&s);
    if (qudag_identity_generate(&identity) != QUDAG_OK) {
        return 1;
    }
    const char *bootstrap = argv[1];
    s.identity = identity;
    s.bootstrap = &bootstrap;
    s.bootstrap_n = 1;
    s.small_network = small; /* that such a network hides nobody is its user's to accept */
    qudag_err err = qudag_node_check(&s, why, sizeof(why));
    if (err != QUDAG_OK) {
        fprintf(stderr, "%s\n", why);
    } else if ((err = qudag_node_new(&running, &s, &cb, NULL)) == QUDAG_OK &&
               (err = qudag_protocol_serve_dark(running, ECHO)) == QUDAG_OK &&
               (err = qudag_node_start(running)) == QUDAG_OK) {
        (void)signal(SIGINT, on_signal);
        (void)signal(SIGTERM, on_signal);
        err = qudag_node_run(running);
    }
    if (err != QUDAG_OK) {
        fprintf(stderr, "%s\n", qudag_strerror(err));
    }
    qudag_node_free(running);
    qudag_identity_free(identity);
    return err == QUDAG_OK ? 0 : 1;
}
