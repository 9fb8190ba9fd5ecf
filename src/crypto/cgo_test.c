#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "base/wipe.h"
#include "crypto/cgo.h"
#include "crypto/cgo_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOPS_MAX 8
#define BODY_LEN 1119
#define LINE_MAX_LEN 16384

static const struct cgo_params ours = {.body_len = BODY_LEN, .key_len = 32};
static const struct cgo_params published = {.body_len = 509, .key_len = 16};

static struct rng_stream stream;
static struct rng rng;

static int seed(void **state)
{
    (void)state;
    static const uint8_t bytes[32] = "cell cipher test";
    rng_stream_init(&stream, bytes);
    rng = rng_of_stream(&stream);
    return 0;
}

static const struct cgo_impl *usable_impl(size_t n)
{
    for (size_t ix = 0; cgo_impl_at(ix) != NULL; ix++) {
        if (cgo_impl_at(ix)->usable() && n-- == 0) {
            return cgo_impl_at(ix);
        }
    }
    return NULL;
}

/* --- vectors: one case a line, see tests/reference/cgo_test.py ---------------------------------- */

struct vector {
    char op[24];
    unsigned hop;
    size_t n_states, body_len;
    uint8_t states[3 * 128], states_out[3 * 128];
    uint8_t cmd, body[CGO_BODY_MAX], out[CGO_BODY_MAX], ack[CGO_TAG_LEN];
};

static const char *field(const char *line, const char *name)
{
    char quoted[32];
    (void)snprintf(quoted, sizeof(quoted), "\"%s\": ", name);
    const char *at = strstr(line, quoted);
    return at == NULL ? NULL : at + strlen(quoted);
}

static size_t hex_field(const char *line, const char *name, uint8_t *dst, size_t cap)
{
    const char *at = field(line, name);
    size_t len = 0;
    unsigned byte = 0;
    assert_non_null(at);
    for (at++; *at != '"'; at += 2) {
        assert_true(len < cap);
        assert_int_equal(sscanf(at, "%2x", &byte), 1);
        dst[len++] = (uint8_t)byte;
    }
    return len;
}

static void read_vector(struct vector *v, const char *line, const struct cgo_params *p)
{
    size_t width = cgo_key_material(p) + CGO_TAG_LEN;
    memset(v, 0, sizeof(*v));
    assert_int_equal(sscanf(field(line, "op"), "\"%23[a-z_]\"", v->op), 1);
    assert_int_equal(sscanf(field(line, "hop"), "%u", &v->hop), 1);
    size_t len = hex_field(line, "states", v->states, sizeof(v->states));
    assert_true(len >= width && len % width == 0);
    v->n_states = len / width;
    assert_int_equal(hex_field(line, "states_out", v->states_out, sizeof(v->states_out)), len);
    assert_int_equal(hex_field(line, "cmd", &v->cmd, 1), 1);
    v->body_len = hex_field(line, "in", v->body, sizeof(v->body));
    assert_int_equal(hex_field(line, "out", v->out, sizeof(v->out)), v->body_len);
    (void)hex_field(line, "ack", v->ack, sizeof(v->ack));
}

static void load(struct cgo *c, const struct cgo_params *p, const uint8_t *state,
                 const struct cgo_impl *impl)
{
    cgo_init_impl(c, p, state, impl);
    memcpy(cgo_state_of(c)->t_prime, state + cgo_key_material(p), CGO_TAG_LEN);
}

/* Keys cannot be read back, so the keys after the case are compared by what they do to a cell. */
static void check_state(struct cgo *c, const struct cgo_params *p, const uint8_t *expected,
                        const struct cgo_impl *impl)
{
    struct cgo other;
    uint8_t a[CGO_BODY_MAX] = {1, 2, 3}, b[CGO_BODY_MAX] = {1, 2, 3};
    load(&other, p, expected, impl);
    struct cgo_state *s = cgo_state_of(c), *t = cgo_state_of(&other);
    assert_memory_equal(s->n, t->n, CGO_TAG_LEN);
    assert_memory_equal(s->t_prime, t->t_prime, CGO_TAG_LEN);
    impl->enc(s, 7, a);
    impl->enc(t, 7, b);
    assert_memory_equal(a, b, p->body_len);
    impl->update_stream(s, a);
    impl->update_stream(t, b);
    assert_memory_equal(a, b, cgo_key_material(p));
    cgo_fini(&other);
}

/* Runs the operation on v->body; the hop of the result, or 0. */
static unsigned run_vector(struct vector *v, struct cgo *c, const struct cgo_impl *impl,
                           uint8_t ack[CGO_TAG_LEN])
{
    struct cgo_state *s = cgo_state_of(c);
    memset(ack, 0, CGO_TAG_LEN);
    if (strcmp(v->op, "uiv_enc") == 0 || strcmp(v->op, "et_enc") == 0) {
        impl->enc(s, v->cmd, v->body);
    } else if (strcmp(v->op, "uiv_dec") == 0) {
        impl->dec(s, v->cmd, v->body);
    } else if (strcmp(v->op, "relay_forward") == 0) {
        (void)cgo_relay_forward(c, v->cmd, v->body, ack);
    } else if (strcmp(v->op, "relay_backward") == 0) {
        cgo_relay_backward(c, v->cmd, v->body);
    } else if (strcmp(v->op, "relay_originate") == 0) {
        cgo_relay_originate(c, v->cmd, v->body, ack);
    } else if (strcmp(v->op, "client_originate") == 0) {
        cgo_client_originate(c, v->hop, v->cmd, v->body, ack);
    } else if (strcmp(v->op, "client_backward") == 0) {
        return (unsigned)(cgo_client_backward(c, v->n_states, v->cmd, v->body, ack) + 1);
    } else {
        fail_msg("unknown operation %s", v->op);
    }
    return v->hop;
}

/* ET stands inside the wide block: its result is the tag of the wide block's result. */
static void check_et(struct vector *v, struct cgo *c, const struct cgo_impl *impl)
{
    bool inverse = strcmp(v->op, "et_dec") == 0;
    const uint8_t *from = inverse ? v->out : v->body, *to = inverse ? v->body : v->out;
    uint8_t body[CGO_BODY_MAX];
    memcpy(body, from, v->body_len);
    impl->enc(cgo_state_of(c), v->cmd, body);
    assert_memory_equal(body, to, CGO_TAG_LEN);
    impl->dec(cgo_state_of(c), v->cmd, body);
    assert_memory_equal(body, from, v->body_len);
}

static void check_vector(struct vector *v, const struct cgo_params *p, const struct cgo_impl *impl)
{
    struct cgo hops[3];
    uint8_t ack[CGO_TAG_LEN], stream_out[CGO_AES256_KEY_MATERIAL];
    size_t width = cgo_key_material(p) + CGO_TAG_LEN;
    struct vector w = *v;
    for (size_t i = 0; i < v->n_states; i++) {
        load(&hops[i], p, v->states + i * width, impl);
    }
    if (strncmp(v->op, "et_", 3) == 0) {
        check_et(v, hops, impl);
    } else if (strcmp(v->op, "update") == 0) {
        impl->update_stream(cgo_state_of(hops), stream_out);
        assert_memory_equal(stream_out, v->states_out, cgo_key_material(p));
    } else {
        assert_int_equal(run_vector(&w, hops, impl, ack), v->hop);
        assert_memory_equal(w.body, v->out, v->body_len);
        assert_memory_equal(ack, v->ack, CGO_TAG_LEN);
        for (size_t i = 0; i < v->n_states; i++) {
            check_state(&hops[i], p, v->states_out + i * width, impl);
        }
    }
    for (size_t i = 0; i < v->n_states; i++) {
        cgo_fini(&hops[i]);
    }
}

/* The sources are where the build says, or where this file was when it was compiled. */
static FILE *open_vectors(const char *name)
{
    char path[1024];
    const char *root = getenv("QUDAG_SRC");
    if (root != NULL) {
        (void)snprintf(path, sizeof(path), "%s/tests/vectors/%s", root, name);
    } else {
        const char *end = strrchr(__FILE__, '/');
        assert_non_null(end);
        (void)snprintf(path, sizeof(path), "%.*s/../../tests/vectors/%s", (int)(end - __FILE__),
                       __FILE__, name);
    }
    return fopen(path, "r");
}

static void check_vectors(const char *name, const struct cgo_params *p, unsigned expected_count)
{
    static char line[LINE_MAX_LEN];
    static struct vector v;
    for (size_t n = 0; usable_impl(n) != NULL; n++) {
        FILE *f = open_vectors(name);
        unsigned count = 0;
        assert_non_null(f);
        while (fgets(line, sizeof(line), f) != NULL) {
            if (field(line, "op") != NULL) {
                read_vector(&v, line, p);
                check_vector(&v, p, usable_impl(n));
                count++;
            }
        }
        (void)fclose(f);
        assert_int_equal(count, expected_count);
    }
}

static void published_values_are_reproduced_by_each_implementation(void **state)
{
    (void)state;
    check_vectors("cgo-aes128-509.json", &published, 34);
}

static void values_of_the_model_are_reproduced_by_each_implementation(void **state)
{
    (void)state;
    check_vectors("cgo-aes256-1119.json", &ours, 32);
}

/* --- all implementations give the same bytes ---------------------------------------------------- */

struct pair {
    struct cgo a, b;
    uint8_t body_a[CGO_BODY_MAX], body_b[CGO_BODY_MAX];
    uint8_t ack_a[CGO_TAG_LEN], ack_b[CGO_TAG_LEN];
};

/* One random operation on both; a cell is recognised when N was put where it comes out. */
static void step_pair(struct pair *x, const struct cgo_params *p)
{
    uint8_t cmd = (uint8_t)rng_below(&rng, 256);
    rng_fill(&rng, x->body_a, p->body_len);
    memcpy(x->body_b, x->body_a, p->body_len);
    switch (rng_below(&rng, 4)) {
    case 0:
        cgo_relay_backward(&x->a, cmd, x->body_a);
        cgo_relay_backward(&x->b, cmd, x->body_b);
        break;
    case 1:
        cgo_relay_originate(&x->a, cmd, x->body_a, x->ack_a);
        cgo_relay_originate(&x->b, cmd, x->body_b, x->ack_b);
        break;
    case 2:
        cgo_client_originate(&x->a, 1, cmd, x->body_a, x->ack_a);
        cgo_client_originate(&x->b, 1, cmd, x->body_b, x->ack_b);
        break;
    default: {
        struct cgo_state *a = cgo_state_of(&x->a), *b = cgo_state_of(&x->b);
        memcpy(x->body_a, a->n, CGO_TAG_LEN);
        memcpy(x->body_b, b->n, CGO_TAG_LEN);
        a->impl->dec(a, cmd, x->body_a);
        b->impl->dec(b, cmd, x->body_b);
        assert_memory_equal(x->body_a, x->body_b, p->body_len);
        assert_true(cgo_relay_forward(&x->a, cmd, x->body_a, x->ack_a));
        assert_true(cgo_relay_forward(&x->b, cmd, x->body_b, x->ack_b));
    }
    }
    assert_memory_equal(x->body_a, x->body_b, p->body_len);
    assert_memory_equal(x->ack_a, x->ack_b, CGO_TAG_LEN);
}

static void implementations_agree_on_random_input_of_every_length(void **state)
{
    (void)state;
    static struct pair x;
    for (size_t n = 1; usable_impl(n) != NULL; n++) {
        for (unsigned len = 32; len <= CGO_BODY_MAX; len += len < 600 ? 1 : 23) {
            struct cgo_params p = {.body_len = (uint16_t)len, .key_len = len % 2 ? 32 : 16};
            uint8_t keys[CGO_AES256_KEY_MATERIAL];
            rng_fill(&rng, keys, sizeof(keys));
            cgo_init_impl(&x.a, &p, keys, usable_impl(0));
            cgo_init_impl(&x.b, &p, keys, usable_impl(n));
            for (unsigned step = 0; step < 6; step++) {
                step_pair(&x, &p);
            }
            cgo_fini(&x.a);
            cgo_fini(&x.b);
        }
    }
}

static void counter_space_is_the_least_that_holds_both_streams(void **state)
{
    (void)state;
    static const struct {
        struct cgo_params params;
        uint8_t keep; /* and-mask of the last byte */
    } rows[] = {
        {{.body_len = 509, .key_len = 16}, 0xc0},  /* 31 + 5 blocks */
        {{.body_len = 1119, .key_len = 32}, 0x80}, /* 69 + 7 */
        {{.body_len = 32, .key_len = 32}, 0xf8},   /* 1 + 7, no more than that */
        {{.body_len = 416, .key_len = 32}, 0xe0},  /* 25 + 7, no more than that */
        {{.body_len = 417, .key_len = 32}, 0xc0},  /* one block more */
        {{.body_len = 2048, .key_len = 32}, 0x00}, /* 127 + 7 */
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint8_t keys[CGO_AES256_KEY_MATERIAL] = {0};
        struct cgo c;
        cgo_init(&c, &rows[i].params, keys);
        assert_int_equal(cgo_state_of(&c)->counter_keep, rows[i].keep);
        cgo_fini(&c);
    }
}

static void bytes_around_a_body_are_left_alone(void **state)
{
    (void)state;
    for (size_t n = 0; usable_impl(n) != NULL; n++) {
        for (unsigned len = 32; len < 400; len++) {
            struct cgo_params p = {.body_len = (uint16_t)len, .key_len = 32};
            uint8_t keys[CGO_AES256_KEY_MATERIAL] = {1}, ack[CGO_TAG_LEN];
            uint8_t room[600], before[600];
            struct cgo c;
            rng_fill(&rng, room, sizeof(room));
            memcpy(before, room, sizeof(room));
            cgo_init_impl(&c, &p, keys, usable_impl(n));
            cgo_relay_backward(&c, 1, room + 100);
            cgo_relay_originate(&c, 1, room + 100, ack);
            cgo_client_originate(&c, 1, 1, room + 100, ack);
            assert_memory_equal(room, before, 100);
            assert_memory_equal(room + 100 + len, before + 100 + len, 500 - len);
            cgo_fini(&c);
        }
    }
}

/* --- circuits ----------------------------------------------------------------------------------- */

struct circuit {
    size_t n_hops;
    struct cgo client_fwd[HOPS_MAX], client_back[HOPS_MAX];
    struct cgo relay_fwd[HOPS_MAX], relay_back[HOPS_MAX];
};

/* Client and relays on different implementations wherever there are two. */
static void circuit_init(struct circuit *c, size_t n_hops)
{
    c->n_hops = n_hops;
    for (size_t i = 0; i < n_hops; i++) {
        uint8_t fwd[CGO_AES256_KEY_MATERIAL], back[CGO_AES256_KEY_MATERIAL];
        const struct cgo_impl *at_relay = usable_impl(i % 3);
        rng_fill(&rng, fwd, sizeof(fwd));
        rng_fill(&rng, back, sizeof(back));
        cgo_init(&c->client_fwd[i], &ours, fwd);
        cgo_init(&c->client_back[i], &ours, back);
        at_relay = at_relay == NULL ? usable_impl(0) : at_relay;
        cgo_init_impl(&c->relay_fwd[i], &ours, fwd, at_relay);
        cgo_init_impl(&c->relay_back[i], &ours, back, at_relay);
    }
}

static void circuit_fini(struct circuit *c)
{
    for (size_t i = 0; i < c->n_hops; i++) {
        cgo_fini(&c->client_fwd[i]);
        cgo_fini(&c->client_back[i]);
        cgo_fini(&c->relay_fwd[i]);
        cgo_fini(&c->relay_back[i]);
    }
}

/* Sends through the relays; the hop that took the cell for its own, or -1. */
static int walk_forward(struct circuit *c, uint8_t *body, uint8_t ack[CGO_TAG_LEN])
{
    for (size_t i = 0; i < c->n_hops; i++) {
        if (cgo_relay_forward(&c->relay_fwd[i], 3, body, ack)) {
            return (int)i;
        }
    }
    return -1;
}

/* From relay |hop| to the first; what the client gets is left in |body|. */
static void walk_backward(struct circuit *c, size_t hop, uint8_t *body, uint8_t ack[CGO_TAG_LEN])
{
    cgo_relay_originate(&c->relay_back[hop], 3, body, ack);
    while (hop-- > 0) {
        cgo_relay_backward(&c->relay_back[hop], 3, body);
    }
}

static void fill_payload(uint8_t *body, uint8_t *copy)
{
    rng_fill(&rng, body, BODY_LEN);
    memcpy(copy, body, BODY_LEN);
}

static void check_payload(const uint8_t *body, const uint8_t *copy)
{
    assert_memory_equal(body + CGO_TAG_LEN, copy + CGO_TAG_LEN, BODY_LEN - CGO_TAG_LEN);
}

static const size_t hop_counts[] = {1, 3, 5, 8};

static void cells_reach_the_chosen_hop_and_acknowledgements_agree(void **state)
{
    (void)state;
    static struct circuit c;
    for (size_t k = 0; k < ARRAY_LEN(hop_counts); k++) {
        circuit_init(&c, hop_counts[k]);
        for (unsigned n = 0; n < 60; n++) {
            uint8_t body[BODY_LEN], copy[BODY_LEN], sent[CGO_TAG_LEN], got[CGO_TAG_LEN];
            size_t hop = n < 20 ? c.n_hops - 1 : rng_below(&rng, (uint32_t)c.n_hops);
            fill_payload(body, copy);
            cgo_client_originate(c.client_fwd, hop + 1, 3, body, sent);
            assert_int_equal(walk_forward(&c, body, got), hop);
            check_payload(body, copy);
            assert_memory_equal(sent, got, CGO_TAG_LEN);
            assert_false(ct_is_zero(got, CGO_TAG_LEN));
        }
        circuit_fini(&c);
    }
}

/* The last hop as one that a circuit over the others carries; |service| is the end of its own circuit over two hops. */
static void a_carried_body_goes_through_as_to_one_more_hop(void **state)
{
    static struct circuit caller, service;
    uint8_t body[BODY_LEN], copy[BODY_LEN], sent[CGO_TAG_LEN], got[CGO_TAG_LEN];

    (void)state;
    circuit_init(&caller, 4); /* three hops, and the carried circuit */
    circuit_init(&service, 2);
    for (unsigned n = 0; n < 60; n++) {
        fill_payload(body, copy);
        cgo_client_originate(&caller.client_fwd[3], 1, 3, body, sent);
        cgo_client_wrap(caller.client_fwd, 3, 3, body);
        for (size_t i = 0; i < 3; i++) {
            assert_false(cgo_relay_forward(&caller.relay_fwd[i], 3, body, got));
        }
        cgo_relay_backward(&service.relay_back[1], 3, body); /* where the two circuits meet */
        cgo_relay_backward(&service.relay_back[0], 3, body);
        assert_int_equal(cgo_client_unwrap(service.client_back, 2, 3, body, got), -1);
        assert_true(cgo_relay_forward(&caller.relay_fwd[3], 3, body, got));
        check_payload(body, copy);
        assert_memory_equal(sent, got, CGO_TAG_LEN);

        fill_payload(body, copy);
        cgo_relay_originate(&caller.relay_back[3], 3, body, sent);
        cgo_client_wrap(service.client_fwd, 2, 3, body);
        for (size_t i = 0; i < 2; i++) {
            assert_false(cgo_relay_forward(&service.relay_fwd[i], 3, body, got));
        }
        for (size_t i = 3; i-- > 0;) {
            cgo_relay_backward(&caller.relay_back[i], 3, body);
        }
        assert_int_equal(cgo_client_unwrap(caller.client_back, 3, 3, body, got), -1);
        assert_int_equal(cgo_client_backward(&caller.client_back[3], 1, 3, body, got), 0);
        check_payload(body, copy);
        assert_memory_equal(sent, got, CGO_TAG_LEN);

        walk_backward(&caller, 1, body, sent); /* own hops are still recognised between */
        assert_int_equal(cgo_client_unwrap(caller.client_back, 3, 3, body, got), 1);
        assert_memory_equal(sent, got, CGO_TAG_LEN);
    }
    circuit_fini(&caller);
    circuit_fini(&service);
}

static void cells_of_each_hop_reach_the_client_and_acknowledgements_agree(void **state)
{
    (void)state;
    static struct circuit c;
    for (size_t k = 0; k < ARRAY_LEN(hop_counts); k++) {
        circuit_init(&c, hop_counts[k]);
        for (unsigned n = 0; n < 60; n++) {
            uint8_t body[BODY_LEN], copy[BODY_LEN], sent[CGO_TAG_LEN], got[CGO_TAG_LEN];
            size_t hop = n < 20 ? c.n_hops - 1 : rng_below(&rng, (uint32_t)c.n_hops);
            fill_payload(body, copy);
            walk_backward(&c, hop, body, sent);
            assert_int_equal(cgo_client_backward(c.client_back, c.n_hops, 3, body, got), hop);
            check_payload(body, copy);
            assert_memory_equal(sent, got, CGO_TAG_LEN);
        }
        circuit_fini(&c);
    }
}

/* What one cell on its way through three hops may suffer. */
enum harm { HARM_FLIP, HARM_REPLAY, HARM_DROP, HARM_REORDER, HARM_CLASS, HARM_COUNT };

/* Sends cells 0 .. 5 with cell 2 harmed between client and first relay; later ones never arrive. */
static void check_forward_harm(enum harm harm, size_t bit)
{
    static struct circuit c;
    static uint8_t cells[6][BODY_LEN];
    uint8_t ack[CGO_TAG_LEN], copy[BODY_LEN], swap[BODY_LEN];
    circuit_init(&c, 3);
    for (size_t i = 0; i < ARRAY_LEN(cells); i++) {
        fill_payload(cells[i], copy);
        cgo_client_originate(c.client_fwd, 3, 3, cells[i], ack);
    }
    for (size_t i = 0; i < 2; i++) {
        memcpy(copy, cells[i], BODY_LEN);
        assert_int_equal(walk_forward(&c, copy, ack), 2);
    }
    if (harm == HARM_FLIP) {
        cells[2][bit / 8] ^= (uint8_t)(1u << (bit % 8));
    } else if (harm == HARM_REPLAY) {
        memcpy(copy, cells[1], BODY_LEN);
        assert_int_equal(walk_forward(&c, copy, ack), -1);
    } else if (harm == HARM_REORDER) {
        memcpy(swap, cells[2], BODY_LEN);
        memcpy(cells[2], cells[3], BODY_LEN);
        memcpy(cells[3], swap, BODY_LEN);
    } else if (harm == HARM_CLASS) {
        memcpy(copy, cells[2], BODY_LEN);
        assert_false(cgo_relay_forward(&c.relay_fwd[0], 4, copy, ack));
        memcpy(cells[2], copy, BODY_LEN);
    }
    for (size_t i = harm == HARM_DROP ? 3 : 2; i < ARRAY_LEN(cells); i++) {
        assert_int_equal(walk_forward(&c, cells[i], ack), -1);
        assert_true(ct_is_zero(ack, CGO_TAG_LEN));
    }
    circuit_fini(&c);
}

/* The same towards the client, harmed between the last relay but one and the first. */
static void check_backward_harm(enum harm harm, size_t bit)
{
    static struct circuit c;
    static uint8_t cells[6][BODY_LEN];
    uint8_t ack[CGO_TAG_LEN], copy[BODY_LEN], replayed[BODY_LEN], swap[BODY_LEN];
    circuit_init(&c, 3);
    for (size_t i = 0; i < ARRAY_LEN(cells); i++) {
        fill_payload(cells[i], copy);
        cgo_relay_originate(&c.relay_back[2], 3, cells[i], ack);
        cgo_relay_backward(&c.relay_back[1], 3, cells[i]);
    }
    memcpy(replayed, cells[1], BODY_LEN);
    for (size_t i = 0; i < 2; i++) {
        cgo_relay_backward(&c.relay_back[0], 3, cells[i]);
        assert_int_equal(cgo_client_backward(c.client_back, 3, 3, cells[i], ack), 2);
    }
    if (harm == HARM_FLIP) {
        cells[2][bit / 8] ^= (uint8_t)(1u << (bit % 8));
    } else if (harm == HARM_REPLAY) {
        cgo_relay_backward(&c.relay_back[0], 3, replayed);
        assert_int_equal(cgo_client_backward(c.client_back, 3, 3, replayed, ack), -1);
    } else if (harm == HARM_REORDER) {
        memcpy(swap, cells[2], BODY_LEN);
        memcpy(cells[2], cells[3], BODY_LEN);
        memcpy(cells[3], swap, BODY_LEN);
    }
    for (size_t i = harm == HARM_DROP ? 3 : 2; i < ARRAY_LEN(cells); i++) {
        cgo_relay_backward(&c.relay_back[0], harm == HARM_CLASS && i == 2 ? 4 : 3, cells[i]);
        assert_int_equal(cgo_client_backward(c.client_back, 3, 3, cells[i], ack), -1);
        assert_true(ct_is_zero(ack, CGO_TAG_LEN));
    }
    circuit_fini(&c);
}

static void flipped_bit_anywhere_garbles_the_cell_and_all_that_follow(void **state)
{
    (void)state;
    for (size_t bit = 0; bit < BODY_LEN * 8; bit += bit < 300 ? 1 : 97) {
        check_forward_harm(HARM_FLIP, bit);
        check_backward_harm(HARM_FLIP, bit);
    }
    check_forward_harm(HARM_FLIP, BODY_LEN * 8 - 1);
    check_backward_harm(HARM_FLIP, BODY_LEN * 8 - 1);
}

static void replay_loss_reorder_or_changed_class_garble_all_that_follow(void **state)
{
    (void)state;
    for (unsigned harm = HARM_REPLAY; harm < HARM_COUNT; harm++) {
        check_forward_harm((enum harm)harm, 0);
        check_backward_harm((enum harm)harm, 0);
    }
}

/* Left alone, the first hop would be in step: its T' is the tag of the harmed cell, which was right. */
static void client_that_did_not_recognise_a_cell_recognises_no_other_of_any_hop(void **state)
{
    (void)state;
    static struct circuit c;
    uint8_t body[BODY_LEN] = {0}, ack[CGO_TAG_LEN];
    for (unsigned revive = 0; revive < 2; revive++) {
        circuit_init(&c, 3);
        walk_backward(&c, 2, body, ack);
        body[BODY_LEN - 1] ^= 1;
        assert_int_equal(cgo_client_backward(c.client_back, 3, 3, body, ack), -1);
        for (size_t i = 0; i < c.n_hops; i++) {
            assert_true(cgo_state_of(&c.client_back[i])->dead);
            cgo_state_of(&c.client_back[i])->dead = revive == 0;
        }
        walk_backward(&c, 0, body, ack);
        int hop = cgo_client_backward(c.client_back, 3, 3, body, ack);
        assert_int_equal(hop, revive == 0 ? -1 : 0);
        assert_int_equal(ct_is_zero(body, BODY_LEN), revive == 0);
        circuit_fini(&c);
    }
}

static void flipped_bit_changes_about_half_of_what_a_relay_passes_on(void **state)
{
    (void)state;
    uint8_t keys[CGO_AES256_KEY_MATERIAL];
    for (size_t n = 0; usable_impl(n) != NULL; n++) {
        for (size_t bit = 0; bit < BODY_LEN * 8; bit += 61) {
            struct cgo a, b;
            uint8_t body[BODY_LEN], other[BODY_LEN];
            unsigned differing = 0;
            rng_fill(&rng, keys, sizeof(keys));
            cgo_init_impl(&a, &ours, keys, usable_impl(n));
            cgo_init_impl(&b, &ours, keys, usable_impl(n));
            fill_payload(body, other);
            other[bit / 8] ^= (uint8_t)(1u << (bit % 8));
            cgo_relay_backward(&a, 3, body);
            cgo_relay_backward(&b, 3, other);
            for (size_t i = 0; i < BODY_LEN * 8; i++) {
                differing += ((body[i / 8] ^ other[i / 8]) >> (i % 8)) & 1;
            }
            assert_in_range(differing, BODY_LEN * 3, BODY_LEN * 5);
            cgo_fini(&a);
            cgo_fini(&b);
        }
    }
}

static void keys_that_were_replaced_do_not_open_earlier_cells(void **state)
{
    (void)state;
    uint8_t keys[CGO_AES256_KEY_MATERIAL] = {9}, body[BODY_LEN], copy[BODY_LEN];
    uint8_t sent[CGO_TAG_LEN], got[CGO_TAG_LEN];
    struct cgo client, relay;
    cgo_init(&client, &ours, keys);
    cgo_init(&relay, &ours, keys);
    fill_payload(body, copy);
    cgo_client_originate(&client, 1, 3, body, sent);
    memcpy(copy, body, BODY_LEN);
    assert_true(cgo_relay_forward(&relay, 3, body, got));
    memset(cgo_state_of(&relay)->t_prime, 0, CGO_TAG_LEN);
    assert_false(cgo_relay_forward(&relay, 3, copy, got));
    assert_memory_not_equal(copy + CGO_TAG_LEN, body + CGO_TAG_LEN, 64);
    cgo_fini(&client);
    cgo_fini(&relay);
}

static void acknowledged_tags_never_repeat(void **state)
{
    (void)state;
    uint8_t keys[CGO_AES256_KEY_MATERIAL] = {5}, body[BODY_LEN] = {0}, tags[64][CGO_TAG_LEN];
    struct cgo c;
    cgo_init(&c, &ours, keys);
    for (size_t i = 0; i < ARRAY_LEN(tags); i++) {
        memset(body, 0, sizeof(body));
        cgo_relay_originate(&c, 3, body, tags[i]);
        for (size_t j = 0; j < i; j++) {
            assert_memory_not_equal(tags[i], tags[j], CGO_TAG_LEN);
        }
    }
    cgo_fini(&c);
}

/* --- lifetime ----------------------------------------------------------------------------------- */

static void fini_leaves_nothing_behind_and_may_be_repeated(void **state)
{
    (void)state;
    for (size_t n = 0; usable_impl(n) != NULL; n++) {
        uint8_t keys[CGO_AES256_KEY_MATERIAL], body[BODY_LEN], ack[CGO_TAG_LEN];
        struct cgo c;
        rng_fill(&rng, keys, sizeof(keys));
        rng_fill(&rng, body, sizeof(body));
        cgo_init_impl(&c, &ours, keys, usable_impl(n));
        assert_false(cgo_state_of(&c)->dead);
        cgo_relay_originate(&c, 3, body, ack);
        cgo_client_originate(&c, 1, 3, body, ack);
        assert_false(ct_is_zero(&c, sizeof(c)));
        cgo_fini(&c);
        assert_true(ct_is_zero(&c, sizeof(c)));
        cgo_fini(&c);
    }
}

static void object_without_contexts_lets_nothing_through(void **state)
{
    (void)state;
    uint8_t keys[CGO_AES256_KEY_MATERIAL] = {0}, body[BODY_LEN], ack[CGO_TAG_LEN];
    struct cgo c;
    cgo_init_impl(&c, &ours, keys, &cgo_impl_portable);
    cgo_state_of(&c)->dead = true;
    assert_true(cgo_state_of(&c)->dead);

    memset(body, 0x55, sizeof(body));
    assert_false(cgo_relay_forward(&c, 3, body, ack)); /* although N and the zeroed tag are equal */
    assert_true(ct_is_zero(body, sizeof(body)));
    memset(body, 0x55, sizeof(body));
    cgo_relay_originate(&c, 3, body, ack);
    assert_true(ct_is_zero(body, sizeof(body)));
    memset(body, 0x55, sizeof(body));
    cgo_client_originate(&c, 1, 3, body, ack);
    assert_true(ct_is_zero(body, sizeof(body)));
    memset(body, 0x55, sizeof(body));
    assert_int_equal(cgo_client_backward(&c, 1, 3, body, ack), -1);
    assert_true(ct_is_zero(body, sizeof(body)));
    assert_true(cgo_state_of(&c)->dead);
    cgo_fini(&c);
}

static void key_that_served_its_number_of_cells_serves_no_other(void **state)
{
    (void)state;
    uint8_t keys[CGO_AES256_KEY_MATERIAL] = {4}, body[BODY_LEN] = {0}, ack[CGO_TAG_LEN];
    struct cgo c;
    cgo_init(&c, &ours, keys);
    cgo_state_of(&c)->cells = UINT32_MAX - 1;
    cgo_relay_backward(&c, 3, body);
    assert_false(cgo_state_of(&c)->dead);
    assert_false(ct_is_zero(body, sizeof(body)));
    cgo_relay_backward(&c, 3, body);
    assert_true(cgo_state_of(&c)->dead);
    assert_true(ct_is_zero(body, sizeof(body)));
    cgo_fini(&c);

    cgo_init(&c, &ours, keys);
    cgo_state_of(&c)->cells = UINT32_MAX - 1;
    cgo_relay_originate(&c, 3, body, ack); /* brings new keys, and they start from none */
    cgo_relay_backward(&c, 3, body);
    assert_false(cgo_state_of(&c)->dead);
    assert_int_equal(cgo_state_of(&c)->cells, 1);
    cgo_fini(&c);
}

static void fastest_usable_implementation_is_chosen(void **state)
{
    (void)state;
    uint8_t keys[CGO_AES256_KEY_MATERIAL] = {0};
    struct cgo c;
    cgo_init(&c, &ours, keys);
    assert_ptr_equal(cgo_state_of(&c)->impl, usable_impl(0));
    assert_string_equal(cgo_implementation(), usable_impl(0)->name);
    cgo_fini(&c);
    for (size_t n = 0; usable_impl(n) != NULL; n++) {
        print_message("usable here: %s\n", usable_impl(n)->name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_values_are_reproduced_by_each_implementation),
        cmocka_unit_test(values_of_the_model_are_reproduced_by_each_implementation),
        cmocka_unit_test(implementations_agree_on_random_input_of_every_length),
        cmocka_unit_test(counter_space_is_the_least_that_holds_both_streams),
        cmocka_unit_test(bytes_around_a_body_are_left_alone),
        cmocka_unit_test(cells_reach_the_chosen_hop_and_acknowledgements_agree),
        cmocka_unit_test(a_carried_body_goes_through_as_to_one_more_hop),
        cmocka_unit_test(cells_of_each_hop_reach_the_client_and_acknowledgements_agree),
        cmocka_unit_test(flipped_bit_anywhere_garbles_the_cell_and_all_that_follow),
        cmocka_unit_test(replay_loss_reorder_or_changed_class_garble_all_that_follow),
        cmocka_unit_test(client_that_did_not_recognise_a_cell_recognises_no_other_of_any_hop),
        cmocka_unit_test(flipped_bit_changes_about_half_of_what_a_relay_passes_on),
        cmocka_unit_test(keys_that_were_replaced_do_not_open_earlier_cells),
        cmocka_unit_test(acknowledged_tags_never_repeat),
        cmocka_unit_test(fini_leaves_nothing_behind_and_may_be_repeated),
        cmocka_unit_test(object_without_contexts_lets_nothing_through),
        cmocka_unit_test(key_that_served_its_number_of_cells_serves_no_other),
        cmocka_unit_test(fastest_usable_implementation_is_chosen),
    };
    return cmocka_run_group_tests(tests, seed, NULL);
}
