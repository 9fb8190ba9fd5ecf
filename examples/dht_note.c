/*
 * dht_note.c - two nodes in one program: one leaves a note in the DHT, the other reads it.
 *
 *   cc dht_note.c -o dht_note $(pkg-config --cflags --libs --static qudag) && ./dht_note
 */
#include <qudag/qudag.h>

#include <stdio.h>
#include <string.h>

enum { WRITER, READER, NODES };

struct party {
    qudag_identity *identity;
    qudag_node *node;
    char addr[QUDAG_ADDR_TEXT_MAX];
    int waiting; /* for a request to end */
    qudag_err err;
    char note[64];
};

static struct party party[NODES];

static void on_done(qudag_node *node, qudag_op op, qudag_err err, const qudag_result *res,
                    void *user)
{
    struct party *p = user;
    (void)node;
    (void)op;

    p->waiting = 0;
    p->err = err;
    if (err == QUDAG_OK && res->value.len < sizeof(p->note)) {
        memcpy(p->note, res->value.base, res->value.len);
    }
}

static int start(struct party *p, const char *bootstrap)
{
    static const char *const listen[] = {"/ip4/127.0.0.1/udp/0/quic-v1"};
    static const char *const namespaces[] = {"app"}; /* takes any value, unsigned */
    const qudag_callbacks cb = {.size = sizeof(cb), .op_done = on_done};
    qudag_settings s;
    size_t it = 0;

    QUDAG_SETTINGS_INIT(&s);
    if (qudag_identity_generate(&p->identity) != QUDAG_OK) {
        return -1;
    }
    s.identity = p->identity;
    s.listen = listen;
    s.listen_n = 1;
    s.bootstrap = &bootstrap;
    s.bootstrap_n = bootstrap != NULL ? 1 : 0;
    s.open_namespaces = namespaces;
    s.open_namespaces_n = 1;
    s.lab = true; /* a test network on one machine */
    qudag_err err = qudag_node_new(&p->node, &s, &cb, p);
    if (err != QUDAG_OK) {
        char why[200] = "";
        if (qudag_node_check(&s, why, sizeof(why)) == QUDAG_OK) {
            snprintf(why, sizeof(why), "%s", qudag_strerror(err));
        }
        fprintf(stderr, "cannot start: %s\n", why);
        return -1;
    }
    if (!qudag_node_addr_next(p->node, &it, p->addr)) {
        return -1;
    }
    return qudag_node_start(p->node) == QUDAG_OK ? 0 : -1;
}

/* Lets both nodes work, for at most about |turns| milliseconds. */
static void work(const int *until_zero, int turns)
{
    for (int i = 0; i < turns && (until_zero == NULL || *until_zero != 0); i++) {
        for (int p = 0; p < NODES; p++) {
            if (party[p].node != NULL && qudag_node_step(party[p].node, QUDAG_MS) != QUDAG_OK) {
                return;
            }
        }
    }
}

int main(void)
{
    const qudag_slice key = {(const uint8_t *)"/app/note", 9};
    const qudag_slice value = {(const uint8_t *)"hello from the other side", 25};
    qudag_op op;
    int ok = start(&party[WRITER], NULL) == 0 && start(&party[READER], party[WRITER].addr) == 0;

    if (ok) {
        work(NULL, 1000); /* they meet */
        party[WRITER].waiting = 1;
        ok = qudag_dht_put(party[WRITER].node, key, value, &op) == QUDAG_OK;
        work(&party[WRITER].waiting, 10000);
        printf("written: %s\n", qudag_strerror(party[WRITER].err));
        party[READER].waiting = 1;
        ok = ok && qudag_dht_get(party[READER].node, key, &op) == QUDAG_OK;
        work(&party[READER].waiting, 10000);
        printf("read:    %s: \"%s\"\n", qudag_strerror(party[READER].err), party[READER].note);
        ok = ok && strcmp(party[READER].note, "hello from the other side") == 0;
    }
    for (int p = 0; p < NODES; p++) {
        qudag_node_free(party[p].node);
        qudag_identity_free(party[p].identity);
    }
    return ok ? 0 : 1;
}
