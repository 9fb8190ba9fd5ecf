/*
 * receive.c - messages and files that others send, received into a folder.
 *
 *   cc receive.c -o receive $(pkg-config --cflags --libs --static qudag)
 *   ./receive MULTIADDR-OF-A-NODE FOLDER [--lab]
 *
 * Prints its address once it can be sent to, then what arrives.  As in host_service.c the address dies with it.
 */
#include <qudag/qudag.h>

#include <stdio.h>

static char address[QUDAG_DARK_TEXT_MAX];

static void on_arrived(qudag_node *n, const qudag_inbox_item *item, void *user)
{
    (void)n, (void)user;
    printf("%s %s, %llu bytes\n", item->file ? "file" : "message", item->name,
           (unsigned long long)item->bytes);
    (void)fflush(stdout);
}

static void on_done(qudag_node *n, qudag_op op, qudag_err err, const qudag_result *res, void *user)
{
    (void)op, (void)res;
    *(qudag_err *)user = err;
    if (err == QUDAG_OK) {
        printf("%s\n", address);
        (void)fflush(stdout);
    } else if (qudag_dark_publish(n, address, &op) != QUDAG_OK) { /* the network is young */
        qudag_node_stop(n);
    }
}

int main(int argc, char **argv)
{
    qudag_callbacks cb = {.size = sizeof(cb), .op_done = on_done};
    qudag_dark_wish wish = {.size = sizeof(wish), .kind = QUDAG_DARK_HIDDEN};
    qudag_inbox_options o = {.size = sizeof(o), .arrived = on_arrived};
    char why[QUDAG_INBOX_WHY_MAX] = "usage: receive MULTIADDR-OF-A-NODE FOLDER [--lab]";
    qudag_identity *identity = NULL;
    qudag_node *n = NULL;
    qudag_settings s;
    qudag_op op;
    QUDAG_SETTINGS_INIT(&s);
    qudag_err end = QUDAG_OK, err = argc < 3 ? QUDAG_EINVAL : qudag_identity_generate(&identity);
    s.identity = identity, s.bootstrap = (const char *const *)&argv[1], s.bootstrap_n = 1;
    s.lab = argc > 3, o.dir = argv[2];
    err = err != QUDAG_OK ? err : qudag_node_new(&n, &s, &cb, &end);
    err = err != QUDAG_OK ? err : qudag_inbox_open(n, &o, why, sizeof(why));
    err = err != QUDAG_OK ? err : qudag_dark_create_with(n, &wish, address);
    if (err == QUDAG_OK)
        while ((err = qudag_node_join(n, 5 * QUDAG_S, why, sizeof(why))) == QUDAG_ETIMEOUT)
            fprintf(stderr, "waits: %s\n", why);
    err = err != QUDAG_OK ? err : qudag_dark_publish(n, address, &op);
    err = err != QUDAG_OK ? err : qudag_node_run(n);
    fprintf(stderr, "%s (%s)\n", why, qudag_strerror(err != QUDAG_OK ? err : end));
    return qudag_node_free(n), qudag_identity_free(identity), 1;
}
