/*
 * ./host_service MULTIADDR-OF-A-NODE 80:127.0.0.1:8080 [--lab]: hosts what listens here, at a dark address that is
 * printed once callers find it, and dies with it; who wants it to stay keeps identity and what |save| gets (node.h).
 */
#include <qudag/qudag.h>
#include <stdio.h>

static bool published(const qudag_node *n)
{
    static qudag_err said = QUDAG_OK;
    qudag_expose_info i = QUDAG_INIT(qudag_expose_info);
    size_t first = 0;
    if (qudag_expose_next(n, &first, &i) && i.publish_err != said && i.publish_err != QUDAG_OK)
        fprintf(stderr, "not published yet: %s\n", qudag_strerror(i.publish_err));
    said = i.publish_err;
    return i.published;
}
static qudag_err serve(qudag_node *n, const char *port, bool lab)
{
    qudag_expose_options o = QUDAG_INIT(qudag_expose_options);
    char address[QUDAG_DARK_TEXT_MAX], why[QUDAG_EXPOSE_WHY_MAX];
    o.ports = &port, o.ports_n = 1, o.name = "example";
    o.network = lab ? QUDAG_DARK_LAB : QUDAG_DARK_MAIN;
    if (qudag_expose_check(&o, why, sizeof(why)) != QUDAG_OK)
        return (void)fprintf(stderr, "%s\n", why), QUDAG_EINVAL;
    qudag_err err = qudag_expose_start(n, &o, address);
    if (err == QUDAG_OK)
        while ((err = qudag_node_join(n, 5 * QUDAG_S, why, sizeof(why))) == QUDAG_ETIMEOUT)
            fprintf(stderr, "waits: %s\n", why);
    while (err == QUDAG_OK && !published(n))
        err = qudag_node_step(n, QUDAG_S); /* connections are made and moved in here */
    printf("%s\n", err == QUDAG_OK ? address : "not published");
    (void)fflush(stdout);
    return err != QUDAG_OK ? err : qudag_node_run(n); /* and in here */
}
int main(int argc, char **argv)
{
    qudag_identity *identity = NULL;
    qudag_node *n = NULL;
    qudag_settings s;
    if (argc < 3)
        return fprintf(stderr, "usage: %s MULTIADDR VIRTUAL:TARGET [--lab]\n", argv[0]), 2;
    QUDAG_SETTINGS_INIT(&s);
    qudag_err err = qudag_identity_generate(&identity);
    s.identity = identity, s.bootstrap = (const char *const *)&argv[1], s.bootstrap_n = 1;
    s.lab = argc > 3, s.port_mapping = false; /* circuits find it */
    err = err != QUDAG_OK ? err : qudag_node_new(&n, &s, NULL, NULL);
    err = err != QUDAG_OK ? err : serve(n, argv[2], s.lab);
    fprintf(stderr, "%s\n", qudag_strerror(err));
    qudag_node_free(n);
    qudag_identity_free(identity);
    return err != QUDAG_OK;
}
