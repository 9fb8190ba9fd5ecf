/*
 * host_service.c - what listens on this machine, hosted at a dark address.
 *
 *   cc host_service.c -o host_service $(pkg-config --cflags --libs --static qudag)
 *   ./host_service MULTIADDR-OF-A-NODE 80:127.0.0.1:8080 [--lab]
 *
 * Prints the address and serves until it is stopped.  The address dies with it: a program whose address is to stay
 * keeps its identity, and has a callback |save| (node.h).
 */
#include <qudag/qudag.h>

#include <stdio.h>

static qudag_err serve(qudag_node *n, const char *port, bool lab)
{
    qudag_expose_options o = QUDAG_INIT(qudag_expose_options);
    char address[QUDAG_DARK_TEXT_MAX], why[QUDAG_EXPOSE_WHY_MAX];

    o.ports = &port;
    o.ports_n = 1;
    o.name = "example";
    o.network = lab ? QUDAG_DARK_LAB : QUDAG_DARK_MAIN;
    if (qudag_expose_check(&o, why, sizeof(why)) != QUDAG_OK) {
        fprintf(stderr, "%s\n", why);
        return QUDAG_EINVAL;
    }
    qudag_err err = qudag_expose_start(n, &o, address);
    if (err == QUDAG_OK && (err = qudag_node_start(n)) == QUDAG_OK) {
        printf("%s\n", address);
        (void)fflush(stdout);
        err = qudag_node_run(n); /* connections are made and moved in here */
    }
    return err;
}

int main(int argc, char **argv)
{
    qudag_identity *identity = NULL;
    qudag_node *n = NULL;
    qudag_settings s;

    if (argc < 3) {
        fprintf(stderr, "usage: %s MULTIADDR-OF-A-NODE VIRTUAL:TARGET [--lab]\n", argv[0]);
        return 2;
    }
    QUDAG_SETTINGS_INIT(&s);
    qudag_err err = qudag_identity_generate(&identity);
    s.identity = identity;
    s.bootstrap = (const char *const *)&argv[1];
    s.bootstrap_n = 1;
    s.lab = argc > 3;
    if (err == QUDAG_OK && (err = qudag_node_new(&n, &s, NULL, NULL)) == QUDAG_OK) {
        err = serve(n, argv[2], s.lab);
    }
    fprintf(stderr, "%s\n", qudag_strerror(err));
    qudag_node_free(n);
    qudag_identity_free(identity);
    return err != QUDAG_OK;
}
