/*
 * cell_bench.c - what the cell cipher costs, beside plain ciphers in the same run.
 *
 * Every figure is the median of several samples of CPU time.  One JSON object a line:
 *   name, impl, hops          what was measured, by which implementation
 *   bytes, ns, ns_per_byte    of one cell body or message
 *   limit, limit_ns, ratio    AES-256-CTR over the same bytes, once for each hop; ns / limit_ns (called
 *                             through EVP with a new nonce each time, so it can be under 1)
 *   ratio_gcm, ratio_chacha   ns against one seal of a plain AEAD over the message a cell carries
 *   goal                      ns per byte wanted, where there is a goal
 */
#include "crypto/cgo.h"
#include "crypto/cgo_impl.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BODY_LEN 1119
#define MESSAGE_LEN 1024
#define HOPS_MAX 5
#define CELLS 32 /* worked on in turn; together they fit a first-level cache of 48 KiB */
#define SAMPLES 21
#define SAMPLE_NS 600000.0 /* about */

struct bench {
    struct cgo client[HOPS_MAX], relay[HOPS_MAX]; /* the same keys, one direction */
    size_t n_hops, len;
    EVP_CIPHER_CTX *ctx;
    uint64_t nonce;
    uint8_t cells[CELLS][BODY_LEN];
};

/* |prepare|, if any, is not timed; |run| works on each of the cells. */
struct op {
    const char *name;
    void (*prepare)(struct bench *b);
    void (*run)(struct bench *b);
    double goal; /* ns per byte, 0: none */
};

struct baselines {
    double ctr_body, gcm, chacha; /* ns */
};

static void must(bool ok, const char *what)
{
    if (!ok) {
        (void)fprintf(stderr, "cell_bench: %s\n", what);
        exit(1);
    }
}

static double now_ns(void)
{
    struct timespec t;
    must(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t) == 0, "no clock");
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* What reading the clock adds to each timed round. */
static double clock_cost(void)
{
    double at[SAMPLES];
    for (size_t i = 0; i < SAMPLES; i++) {
        double start = now_ns();
        at[i] = now_ns() - start;
    }
    qsort(at, SAMPLES, sizeof(at[0]), by_value);
    return at[SAMPLES / 2];
}

/* ns of |op| for one cell: the median of samples, each a sum over rounds. */
static double measure(const struct op *op, struct bench *b)
{
    double at[SAMPLES], extra = clock_cost();
    for (size_t i = 0; i < SAMPLES; i++) {
        double sum = 0;
        unsigned rounds = 0;
        for (; sum < SAMPLE_NS; rounds++) {
            if (op->prepare != NULL) {
                op->prepare(b);
            }
            double start = now_ns();
            op->run(b);
            sum += now_ns() - start - extra;
        }
        at[i] = sum / ((double)rounds * CELLS);
    }
    qsort(at, SAMPLES, sizeof(at[0]), by_value);
    return at[SAMPLES / 2];
}

/* --- plain ciphers: a context and key that stay, a nonce for each message ------------------------ */

static void begin_message(struct bench *b)
{
    uint8_t iv[16] = {0};
    b->nonce++;
    memcpy(iv, &b->nonce, sizeof(b->nonce));
    must(EVP_EncryptInit_ex(b->ctx, NULL, NULL, NULL, iv) == 1, "nonce refused");
}

static void run_stream(struct bench *b)
{
    int len = 0;
    for (size_t i = 0; i < CELLS; i++) {
        begin_message(b);
        must(EVP_EncryptUpdate(b->ctx, b->cells[i], &len, b->cells[i], (int)b->len) == 1,
             "not encrypted");
    }
}

static void run_seal(struct bench *b)
{
    uint8_t tag[16];
    int len = 0;
    for (size_t i = 0; i < CELLS; i++) {
        begin_message(b);
        must(EVP_EncryptUpdate(b->ctx, b->cells[i], &len, b->cells[i], (int)b->len) == 1,
             "not encrypted");
        must(EVP_EncryptFinal_ex(b->ctx, b->cells[i] + len, &len) == 1, "not sealed");
        must(EVP_CIPHER_CTX_ctrl(b->ctx, EVP_CTRL_AEAD_GET_TAG, 16, tag) == 1, "no tag");
    }
}

static double measure_plain(const char *name, const EVP_CIPHER *cipher, void (*run)(struct bench *),
                            size_t len)
{
    static const uint8_t key[32] = {1, 2, 3};
    static struct bench b;
    const struct op op = {.name = name, .run = run};
    b.len = len;
    b.ctx = EVP_CIPHER_CTX_new();
    must(b.ctx != NULL, "no memory");
    must(EVP_EncryptInit_ex(b.ctx, cipher, NULL, key, NULL) == 1, "no such cipher");
    double ns = measure(&op, &b);
    EVP_CIPHER_CTX_free(b.ctx);
    printf("{\"bench\": \"cell\", \"name\": \"%s\", \"impl\": \"openssl\", \"bytes\": %zu, "
           "\"ns\": %.1f, \"ns_per_byte\": %.3f}\n",
           name, len, ns, ns / (double)len);
    return ns;
}

/* --- the cell cipher ----------------------------------------------------------------------------- */

static void run_relay_forward(struct bench *b)
{
    uint8_t ack[CGO_TAG_LEN];
    for (size_t i = 0; i < CELLS; i++) {
        must(!cgo_relay_forward(&b->relay[0], 3, b->cells[i], ack), "recognised by chance");
    }
}

static void run_relay_backward(struct bench *b)
{
    for (size_t i = 0; i < CELLS; i++) {
        cgo_relay_backward(&b->relay[0], 3, b->cells[i]);
    }
}

static void run_relay_originate(struct bench *b)
{
    uint8_t ack[CGO_TAG_LEN];
    for (size_t i = 0; i < CELLS; i++) {
        cgo_relay_originate(&b->relay[0], 3, b->cells[i], ack);
    }
}

static void run_client_originate(struct bench *b)
{
    uint8_t ack[CGO_TAG_LEN];
    for (size_t i = 0; i < CELLS; i++) {
        cgo_client_originate(b->client, b->n_hops, 3, b->cells[i], ack);
    }
}

static void run_relay_recognise(struct bench *b)
{
    uint8_t ack[CGO_TAG_LEN];
    for (size_t i = 0; i < CELLS; i++) {
        must(cgo_relay_forward(&b->relay[0], 3, b->cells[i], ack), "not recognised");
    }
}

/* Cells of the last relay, as they reach the client. */
static void prepare_client_backward(struct bench *b)
{
    uint8_t ack[CGO_TAG_LEN];
    for (size_t i = 0; i < CELLS; i++) {
        cgo_relay_originate(&b->relay[b->n_hops - 1], 3, b->cells[i], ack);
        for (size_t hop = b->n_hops - 1; hop-- > 0;) {
            cgo_relay_backward(&b->relay[hop], 3, b->cells[i]);
        }
    }
}

static void run_client_backward(struct bench *b)
{
    uint8_t ack[CGO_TAG_LEN];
    for (size_t i = 0; i < CELLS; i++) {
        int hop = cgo_client_backward(b->client, b->n_hops, 3, b->cells[i], ack);
        must(hop == (int)b->n_hops - 1, "not recognised");
    }
}

static const struct op relay_ops[] = {
    {"relay_forward", NULL, run_relay_forward, 0.45},
    {"relay_backward", NULL, run_relay_backward, 0.45},
    {"relay_recognise_and_update", run_client_originate, run_relay_recognise, 0.7},
    {"relay_originate_and_update", NULL, run_relay_originate, 0.7},
};

static const struct op client_ops[] = {
    {"client_encrypt", NULL, run_client_originate, 0},
    {"client_decrypt", prepare_client_backward, run_client_backward, 0},
};

static void measure_cipher(const struct op *op, const struct cgo_impl *impl, size_t n_hops,
                           const struct baselines *f)
{
    static const struct cgo_params params = {.body_len = BODY_LEN, .key_len = 32};
    static struct bench b;
    b.n_hops = n_hops;
    for (size_t i = 0; i < n_hops; i++) {
        uint8_t keys[CGO_AES256_KEY_MATERIAL];
        memset(keys, (int)i + 1, sizeof(keys));
        cgo_init_impl(&b.client[i], &params, keys, impl);
        cgo_init_impl(&b.relay[i], &params, keys, impl);
    }
    double ns = measure(op, &b), limit = f->ctr_body * (double)n_hops;
    printf("{\"bench\": \"cell\", \"name\": \"%s\", \"impl\": \"%s\", \"hops\": %zu, "
           "\"bytes\": %d, \"ns\": %.1f, \"ns_per_byte\": %.3f, \"limit\": \"aes-256-ctr\", "
           "\"limit_ns\": %.1f, \"ratio\": %.2f, \"ratio_gcm\": %.2f, \"ratio_chacha\": %.2f",
           op->name, impl->name, n_hops, BODY_LEN, ns, ns / BODY_LEN, limit, ns / limit,
           ns / f->gcm, ns / f->chacha);
    if (op->goal > 0) {
        printf(", \"goal\": %.2f", op->goal);
    }
    printf("}\n");
    for (size_t i = 0; i < n_hops; i++) {
        cgo_fini(&b.client[i]);
        cgo_fini(&b.relay[i]);
    }
}

int main(void)
{
    static const size_t hop_counts[] = {1, 3, 5};
    const struct baselines f = {
        .ctr_body = measure_plain("aes-256-ctr", EVP_aes_256_ctr(), run_stream, BODY_LEN),
        .gcm = measure_plain("aes-256-gcm", EVP_aes_256_gcm(), run_seal, MESSAGE_LEN),
        .chacha =
            measure_plain("chacha20-poly1305", EVP_chacha20_poly1305(), run_seal, MESSAGE_LEN),
    };
    for (size_t ix = 0; cgo_impl_at(ix) != NULL; ix++) {
        const struct cgo_impl *impl = cgo_impl_at(ix);
        for (size_t i = 0; impl->usable() && i < ARRAY_LEN(relay_ops); i++) {
            measure_cipher(&relay_ops[i], impl, 1, &f);
        }
        for (size_t i = 0; impl->usable() && i < ARRAY_LEN(hop_counts); i++) {
            measure_cipher(&client_ops[0], impl, hop_counts[i], &f);
            measure_cipher(&client_ops[1], impl, hop_counts[i], &f);
        }
    }
    return 0;
}
