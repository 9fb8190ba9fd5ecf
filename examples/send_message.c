/*
 * send_message.c - a message, or a file, delivered to a dark address.
 *
 *   cc send_message.c -o send_message $(pkg-config --cflags --libs --static qudag)
 *   ./send_message MULTIADDR-OF-A-NODE ADDRESS.dark TEXT [--lab]          a file: @PATH in the place of TEXT
 *
 * Ends when the receiver has stored all of it and named its hash.
 */
#include <qudag/qudag.h>

#include <stdio.h>
#include <string.h>

static void on_changed(qudag_node *n, qudag_send s, const qudag_send_info *info, void *user)
{
    static qudag_send_state said = QUDAG_SEND_FAILED; /* a state is told several times a second */
    if (info->state != said || info->state == QUDAG_SEND_SENDING)
        printf("%s %llu of %llu bytes%s%s\n", qudag_send_state_name(info->state),
               (unsigned long long)info->acked, (unsigned long long)info->bytes,
               info->why[0] != '\0' ? ": " : "", info->why);
    said = info->state;
    if (info->state == QUDAG_SEND_DELIVERED || info->state == QUDAG_SEND_FAILED) {
        *(qudag_err *)user = info->err;
        qudag_node_stop(n);
    }
    (void)s;
}

int main(int argc, char **argv)
{
    qudag_identity *identity = NULL;
    qudag_node *n = NULL;
    qudag_settings s;
    qudag_send_options o = QUDAG_INIT(qudag_send_options);
    qudag_send sent;
    qudag_err end = QUDAG_ECANCELED;
    char why[QUDAG_JOIN_WAITS_MAX];

    if (argc < 4) {
        fprintf(stderr, "usage: %s MULTIADDR-OF-A-NODE ADDRESS.dark TEXT|@PATH [--lab]\n", argv[0]);
        return 2;
    }
    QUDAG_SETTINGS_INIT(&s);
    qudag_err err = qudag_identity_generate(&identity);
    s.identity = identity;
    s.bootstrap = (const char *const *)&argv[1];
    s.bootstrap_n = 1;
    s.lab = argc > 4;
    o.changed = on_changed;
    o.user = &end;
    if (err == QUDAG_OK && (err = qudag_node_new(&n, &s, NULL, NULL)) == QUDAG_OK) {
        const qudag_slice text = {(const uint8_t *)argv[3], strlen(argv[3])};
        err = argv[3][0] == '@' ? qudag_send_file(n, argv[2], argv[3] + 1, &o, &sent)
                                : qudag_send_message(n, argv[2], text, &o, &sent);
    }
    if (err == QUDAG_OK)
        while ((err = qudag_node_join(n, 5 * QUDAG_S, why, sizeof(why))) == QUDAG_ETIMEOUT)
            fprintf(stderr, "waits: %s\n", why);
    err = err == QUDAG_OK ? qudag_node_run(n) : err; /* until it is delivered, or failed */
    err = err == QUDAG_OK || err == QUDAG_ECANCELED ? end : err;
    fprintf(stderr, "%s\n", qudag_strerror(err));
    qudag_node_free(n);
    qudag_identity_free(identity);
    return err != QUDAG_OK;
}
