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
int main(int argc, char **argv)
{
    qudag_callbacks cb = {.size = sizeof(cb)};
    qudag_identity *identity = NULL;
    qudag_node *n = NULL;
    qudag_settings s;
    qudag_stream stream = {0};
    char why[QUDAG_JOIN_WAITS_MAX];
    size_t taken;
    QUDAG_SETTINGS_INIT(&s);
    cb.stream_data = on_data, cb.stream_closed = on_closed;
    if (argc < 4)
        return fprintf(stderr, "usage: %s MULTIADDR ADDRESS.dark TEXT [--lab]\n", argv[0]), 2;
    qudag_err err = qudag_identity_generate(&identity);
    s.identity = identity, s.bootstrap = (const char *const *)&argv[1], s.bootstrap_n = 1,
    s.lab = argc > 4, s.port_mapping = false; /* nobody dials it */
    err = err != QUDAG_OK ? err : qudag_node_new(&n, &s, &cb, NULL);
    if (err == QUDAG_OK)
        while ((err = qudag_node_join(n, 5 * QUDAG_S, why, sizeof(why))) == QUDAG_ETIMEOUT)
            fprintf(stderr, "waits: %s\n", why);
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
