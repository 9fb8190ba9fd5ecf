/*
 * dht_score.c - a DHT namespace with rules of its own: under each key the highest score stands.
 *
 *   cc dht_score.c -o dht_score $(pkg-config --cflags --libs --static qudag) && ./dht_score
 *
 * Both nodes have the same rules, so neither stores what the other made up: a score is one to nine digits.
 * With a folder as argument the first node keeps on disk what it holds.
 */
#include <qudag/qudag.h>

#include <stdio.h>
#include <string.h>

enum { ALICE, BOB, NODES };

struct party {
    qudag_identity *identity;
    qudag_node *node;
    char addr[QUDAG_ADDR_TEXT_MAX];
    int waiting; /* for a request to end */
    qudag_err err;
    uint32_t count;
    char score[16];
};

static struct party party[NODES];

/* ---- the rules: quick, and by their arguments alone ---- */

static qudag_err check(void *user, qudag_slice key, qudag_slice value, int64_t now,
                       int64_t *expires)
{
    (void)user;
    (void)key;
    if (value.len == 0 || value.len > 9) {
        return QUDAG_EMALFORMED;
    }
    for (size_t i = 0; i < value.len; i++) {
        if (value.base[i] < '0' || value.base[i] > '9') {
            return QUDAG_EMALFORMED;
        }
    }
    *expires = now + 3600; /* an hour of fame */
    return QUDAG_OK;
}

static unsigned long number(qudag_slice digits)
{
    unsigned long n = 0;

    for (size_t i = 0; i < digits.len; i++) {
        n = 10 * n + (unsigned long)(digits.base[i] - '0');
    }
    return n;
}

static int choose(void *user, qudag_slice key, qudag_slice a, qudag_slice b)
{
    (void)user;
    (void)key;
    return number(a) > number(b) ? 1 : number(a) < number(b) ? -1 : 0;
}

/* ---- two nodes ---- */

static void on_done(qudag_node *node, qudag_op op, qudag_err err, const qudag_result *res,
                    void *user)
{
    struct party *p = user;
    (void)node;
    (void)op;

    p->waiting = 0;
    p->err = err;
    p->count = res->count;
    memset(p->score, 0, sizeof(p->score));
    if (err == QUDAG_OK && res->value.len < sizeof(p->score)) {
        memcpy(p->score, res->value.base, res->value.len);
    }
}

static int start(struct party *p, const char *bootstrap, const char *store)
{
    static const char *const listen[] = {"/ip4/127.0.0.1/udp/0/quic-v1"};
    const qudag_callbacks cb = {.size = sizeof(cb), .op_done = on_done};
    const qudag_dht_rules rules = {
        .size = sizeof(rules), .ns = "score", .value_max = 9, .check = check, .select = choose};
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
    s.store_dir = store;
    s.lab = true; /* a test network on one machine */
    qudag_err err = qudag_node_new(&p->node, &s, &cb, p);
    if (err == QUDAG_OK) {
        err = qudag_dht_namespace(p->node, &rules); /* before the store is read */
    }
    if (err == QUDAG_OK) {
        err = qudag_node_start(p->node);
    }
    if (err != QUDAG_OK || !qudag_node_addr_next(p->node, &it, p->addr)) {
        char why[300] = "";
        if (store == NULL || qudag_store_check(store, why, sizeof(why)) == QUDAG_OK) {
            snprintf(why, sizeof(why), "%s", qudag_strerror(err));
        }
        fprintf(stderr, "cannot start: %s\n", why);
        return -1;
    }
    return 0;
}

/* Lets both nodes work until |p| has its answer, for at most about |turns| milliseconds. */
static void work(const struct party *p, int turns)
{
    for (int i = 0; i < turns && (p == NULL || p->waiting != 0); i++) {
        for (int n = 0; n < NODES; n++) {
            if (qudag_node_step(party[n].node, QUDAG_MS) != QUDAG_OK) {
                return;
            }
        }
    }
}

static void put(struct party *p, const char *who, const char *score)
{
    const qudag_slice key = {(const uint8_t *)"/score/chess", 12};
    const qudag_slice value = {(const uint8_t *)score, strlen(score)};
    qudag_op op;

    p->waiting = 1;
    p->err = qudag_dht_put(p->node, key, value, &op);
    if (p->err == QUDAG_OK) {
        work(p, 10000);
    }
    printf("%s says %s: %s\n", who, score, qudag_strerror(p->err));
}

int main(int argc, char **argv)
{
    const qudag_slice key = {(const uint8_t *)"/score/chess", 12};
    const qudag_dht_options sure = {.size = sizeof(sure), .read = QUDAG_READ_QUORUM};
    qudag_op op;
    int ok = start(&party[ALICE], NULL, argc > 1 ? argv[1] : NULL) == 0 &&
             start(&party[BOB], party[ALICE].addr, NULL) == 0;

    if (ok) {
        work(NULL, 1000); /* they meet */
        put(&party[ALICE], "Alice", "1200");
        put(&party[BOB], "Bob", "a lot"); /* refused by the rules, here already */
        put(&party[BOB], "Bob", "900");   /* refused by those who hold the better one */
        put(&party[BOB], "Bob", "1500");
        party[ALICE].waiting = 1;
        ok = qudag_dht_get_with(party[ALICE].node, key, &sure, &op) == QUDAG_OK;
        work(&party[ALICE], 10000);
        printf("the best: %s, confirmed by %u nodes\n", party[ALICE].score, party[ALICE].count);
        ok = ok && strcmp(party[ALICE].score, "1500") == 0;
    }
    for (int p = 0; p < NODES; p++) {
        qudag_node_free(party[p].node);
        qudag_identity_free(party[p].identity);
    }
    return ok ? 0 : 1;
}
