/* ./open_stream MULTIADDR-OF-A-NODE ADDRESS.dark TEXT [--lab]: says TEXT to port 80 of a service, prints the answer. */
#include <qudag/qudag.h>
#include <stdio.h>
#include <string.h>

static void on_data(qudag_node *n, qudag_stream s, qudag_slice data, bool fin, void *user)
{
    fwrite(data.base, 1, data.len, stdout);
    qudag_stream_consume(n, s, data.len); /* the service may send as much again */
    (void)fin, (void)user;
}
static void on_closed(qudag_node *n, qudag_stream s, qudag_err why, void *user)
{
    fprintf(stderr, "%s\n", qudag_strerror(why));
    qudag_node_stop(n);
    (void)s, (void)user;
}
static void on_phase(qudag_node *n, qudag_phase p, uint32_t a, uint32_t b, qudag_err e, void *user)
{
    if (p == QUDAG_PHASE_RELAYS || p == QUDAG_PHASE_FAILED)
        fprintf(stderr, "waits: %s\n", e != QUDAG_OK ? qudag_strerror(e) : "more relays must join");
    (void)n, (void)a, (void)b, (void)user;
}
int main(int argc, char **argv)
{
    qudag_callbacks cb = {.size = sizeof(cb), .phase = on_phase};
    qudag_identity *identity = NULL;
    qudag_node *n = NULL;
    qudag_settings s;
    qudag_stream stream = {0};
    size_t taken;
    QUDAG_SETTINGS_INIT(&s);
    cb.stream_data = on_data, cb.stream_closed = on_closed;
    if (argc < 4)
        return fprintf(stderr, "usage: %s MULTIADDR ADDRESS.dark TEXT [--lab]\n", argv[0]), 2;
    qudag_err err = qudag_identity_generate(&identity);
    s.identity = identity, s.bootstrap = (const char *const *)&argv[1], s.bootstrap_n = 1,
    s.lab = argc > 4;
    err = err != QUDAG_OK ? err : qudag_node_new(&n, &s, &cb, NULL);
    err = err != QUDAG_OK ? err : qudag_node_start(n);
    while (err == QUDAG_OK && qudag_node_phase(n) != QUDAG_PHASE_READY)
        err = qudag_node_step(n, QUDAG_S);
    err = err != QUDAG_OK ? err : qudag_tunnel_open(n, argv[2], 80, NULL, &stream);
    const qudag_slice text = {(const uint8_t *)argv[3], strlen(argv[3])};
    err = err != QUDAG_OK ? err : qudag_stream_write(n, stream, text, &taken);
    if (err == QUDAG_OK)
        qudag_stream_fin(n, stream); /* that is all we say */
    err = err != QUDAG_OK ? err : qudag_node_run(n);
    if (err != QUDAG_OK)
        fprintf(stderr, "%s\n", qudag_strerror(err));
    return qudag_node_free(n), qudag_identity_free(identity), err != QUDAG_OK;
}
