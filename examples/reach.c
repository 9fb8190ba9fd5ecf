/*
 * reach.c - two programs that know each other's peer id, wherever they are: an echo over a stream, and by which path.
 *
 *   cc reach.c -o reach $(pkg-config --cflags --libs --static qudag)
 *   ./reach MULTIADDR-OF-A-NODE                       serves: prints its peer id, and how it is reached
 *   ./reach MULTIADDR-OF-A-NODE PEER-ID TEXT          says TEXT to that one, and prints the answer and the path
 *
 * The node is one of a network that is no lab and has four relays besides: until then it says what it waits for.
 * Not anonymous: both learn who the other is, and where (doc/guide/nat.md).
 */
#include <qudag/qudag.h>

#include <stdio.h>
#include <string.h>

#define ECHO "/example/echo/1.0.0"

static void on_reach(qudag_node *n, const qudag_reach *now, void *user)
{
    printf("reached: IPv4 %s, IPv6 %s, places at circuit relays: %u\n",
           qudag_reach_state_name(now->ip4), qudag_reach_state_name(now->ip6), now->places);
    fflush(stdout);
    (void)n, (void)user;
}

static void on_data(qudag_node *n, qudag_stream s, qudag_slice data, bool fin, void *user)
{
    const qudag_peer_id *to = user;
    size_t taken;

    if (to->len > 0) { /* the answer */
        printf("%.*s\n", (int)data.len, (const char *)data.base);
    } else if (data.len > 0 && qudag_stream_write(n, s, data, &taken) != QUDAG_OK) {
        qudag_stream_reset(n, s, QUDAG_ELIMIT);
        return;
    }
    qudag_stream_consume(n, s, data.len);
    if (fin)
        qudag_stream_fin(n, s);
}

static void on_closed(qudag_node *n, qudag_stream s, qudag_err why, void *user)
{
    const qudag_peer_id *to = user;
    qudag_path p = QUDAG_INIT(qudag_path);

    if (to->len == 0)
        return;
    if (qudag_path_get(n, to, &p) == QUDAG_OK)
        printf("path: %s, %s%s%s\n", qudag_path_kind_name(p.kind), p.remote,
               p.why[0] != '\0' ? ": " : "", p.why);
    fprintf(stderr, "%s\n", qudag_strerror(why));
    qudag_node_stop(n);
    (void)s;
}

int main(int argc, char **argv)
{
    qudag_callbacks cb = {.size = sizeof(cb),
                          .reach_changed = on_reach,
                          .stream_data = on_data,
                          .stream_closed = on_closed};
    char why[QUDAG_JOIN_WAITS_MAX], self[QUDAG_PEER_ID_TEXT_MAX];
    qudag_identity *identity = NULL;
    qudag_peer_id id, to = {0};
    qudag_node *n = NULL;
    qudag_stream s;
    qudag_settings set;
    size_t taken;

    if ((argc != 2 && argc != 4) || (argc == 4 && qudag_peer_id_parse(&to, argv[2]) != QUDAG_OK))
        return fprintf(stderr, "usage: %s MULTIADDR-OF-A-NODE [PEER-ID TEXT]\n", argv[0]), 2;
    QUDAG_SETTINGS_INIT(&set);
    qudag_err err =
        qudag_identity_generate(&identity); /* a program keeps it: qudag_identity_save() */
    set.identity = identity, set.bootstrap = (const char *const *)&argv[1], set.bootstrap_n = 1;
    err = err != QUDAG_OK ? err : qudag_node_new(&n, &set, &cb, &to);
    if (err == QUDAG_OK && to.len == 0)
        err =
            qudag_protocol_serve(n, ECHO); /* so this node wants to be reached, and finds out how */
    err = err != QUDAG_OK
              ? err
              : qudag_protocol_allow_limited(n, ECHO); /* also over relays that limit bytes */
    if (err == QUDAG_OK)
        while ((err = qudag_node_join(n, 5 * QUDAG_S, why, sizeof(why))) == QUDAG_ETIMEOUT)
            fprintf(stderr, "waits: %s\n", why);
    if (err == QUDAG_OK && to.len > 0) {
        const qudag_slice text = {(const uint8_t *)argv[3], strlen(argv[3])};
        err = qudag_stream_open(n, &to, ECHO,
                                &s); /* its addresses are looked up; over a relay first */
        err = err != QUDAG_OK ? err : qudag_stream_write(n, s, text, &taken);
        if (err == QUDAG_OK)
            qudag_stream_fin(n, s);
    } else if (err == QUDAG_OK) {
        qudag_node_peer_id(n, &id);
        qudag_peer_id_text(&id, self);
        printf("peer: %s\n", self);
        fflush(stdout);
    }
    err = err != QUDAG_OK ? err : qudag_node_run(n);
    if (err != QUDAG_OK)
        fprintf(stderr, "%s\n", qudag_strerror(err));
    qudag_node_free(n);
    qudag_identity_free(identity);
    return err != QUDAG_OK;
}
