/* baselines.c - see baselines.h. */
#include "baselines.h"

#include "common.h"
#include "core/onion/onion.h"
#include "udp_kit.h"
#include "wire/onion_handshake.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define HANDSHAKES 200
#define TRIPS 2000
#define LINK_BYTES (UINT64_C(128) << 20)
#define CELLS 20000
#define CELL_PAYLOAD                                                                               \
    1024.0 /* about: what a cell of a bulk transfer carries is measured elsewhere */

static void fill(void *ctx, uint8_t *dst, size_t len)
{
    (void)ctx;
    while (len > 0) {
        ssize_t n = getrandom(dst, len < 256 ? len : 256, 0);

        must(n > 0, "getrandom");
        dst += n;
        len -= (size_t)n;
    }
}

void limit_handshake(struct hs_cost *out)
{
    static struct onion_hop hop;
    static struct onion_key key;
    static uint8_t create[ONION_HS_CREATE_MAX], created[ONION_HS_CREATED_MAX],
        ext_buf[ONION_HS_EXT_MAX];
    const struct rng rng = {fill, NULL};
    uint8_t pk[32] = {9}, pq_hash[32] = {7};
    double client[HANDSHAKES], relay[HANDSHAKES];
    struct secret_mlkem768 seed;
    struct mlkem_key *dk = NULL;
    struct peer_id self;

    peer_id_from_ed25519(&self, pk);
    must(x25519_keypair(&key.x_sk, key.x, &rng) == QUDAG_OK &&
             mlkem768_keygen(&dk, key.k, &seed, &rng) == QUDAG_OK,
         "keys");
    hop.peer = self;
    memcpy(hop.pq_hash, pq_hash, sizeof hop.pq_hash);
    memcpy(hop.x, key.x, sizeof hop.x);
    memcpy(hop.k, key.k, sizeof hop.k);
    const struct onion_hs_server server = {&self, pq_hash, &key, dk, &rng};
    for (size_t i = 0; i < HANDSHAKES; i++) {
        struct wr w = wr_init(create, sizeof create), a = wr_init(created, sizeof created);
        struct wr ext1 = wr_init(ext_buf, sizeof ext_buf), ext2 = ext1;
        struct onion_hs_client h;
        struct onion_hs_keys keys;
        uint64_t t0 = udp_kit_cpu_ns(), t1, t2;
        must(onion_hs_client_create(&h, &hop, &rng, (struct slice){NULL, 0}, &w) == QUDAG_OK,
             "create");
        t1 = udp_kit_cpu_ns();
        must(onion_hs_server_answer(&server, wr_done(&w), &a, &keys, &ext1) == QUDAG_OK, "answer");
        t2 = udp_kit_cpu_ns();
        must(onion_hs_client_finish(&h, wr_done(&a), &keys, &ext2) == QUDAG_OK, "finish");
        client[i] = (double)(udp_kit_cpu_ns() - t2 + t1 - t0) / 1e3;
        relay[i] = (double)(t2 - t1) / 1e3;
    }
    mlkem768_free(dk);
    out->client = median(client, HANDSHAKES);
    out->relay = median(relay, HANDSHAKES);
}

static int socket_to(struct sockaddr_in *at)
{
    socklen_t len = sizeof *at;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    *at = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    must(fd >= 0 && bind(fd, (struct sockaddr *)at, sizeof *at) == 0 &&
             getsockname(fd, (struct sockaddr *)at, &len) == 0,
         "socket");
    return fd;
}

/* Passes on: from whoever is before to |next|, and what |next| sends to |prev|. */
static void pass_on(int fd, const struct sockaddr_in *prev, const struct sockaddr_in *next)
{
    uint8_t buf[2048];
    struct sockaddr_in from;

    for (;;) {
        socklen_t len = sizeof from;
        ssize_t n = recvfrom(fd, buf, sizeof buf, 0, (struct sockaddr *)&from, &len);
        bool back = next == NULL || from.sin_port == next->sin_port;
        const struct sockaddr_in *to = back ? prev : next;
        if (n < 0 || sendto(fd, buf, (size_t)n, 0, (const struct sockaddr *)to, sizeof *to) != n) {
            _exit(1);
        }
    }
}

double limit_udp_rtt(unsigned hops, size_t len)
{
    struct sockaddr_in at[8];
    int fd[8];
    pid_t pid[8];
    static double trip[TRIPS];
    uint8_t buf[2048] = {0};

    must(hops >= 1 && hops < 8 && len <= sizeof buf, "hops");
    for (unsigned i = 0; i <= hops; i++) {
        fd[i] = socket_to(&at[i]);
    }
    for (unsigned i = 1; i <= hops; i++) {
        pid[i] = fork();
        must(pid[i] >= 0, "fork");
        if (pid[i] == 0) {
            pass_on(fd[i], &at[i - 1], i < hops ? &at[i + 1] : NULL);
        }
    }
    for (size_t i = 0; i < TRIPS; i++) {
        tstamp t = udp_kit_now();
        must(sendto(fd[0], buf, len, 0, (struct sockaddr *)&at[1], sizeof at[1]) == (ssize_t)len &&
                 recv(fd[0], buf, sizeof buf, 0) == (ssize_t)len,
             "datagram");
        trip[i] = (double)(udp_kit_now() - t) / 1e3;
    }
    for (unsigned i = 0; i <= hops; i++) {
        if (i > 0) {
            must(kill(pid[i], SIGKILL) == 0 && waitpid(pid[i], NULL, 0) == pid[i], "kill");
        }
        must(close(fd[i]) == 0, "close");
    }
    return median(trip, TRIPS);
}

void limit_link(struct rawquic_result *out)
{
    rawquic_bulk(out, "TLS_AES_256_GCM_SHA384", LINK_BYTES);
}

void limit_cells(struct cell_cost *out)
{
    static struct cgo client[3], end, pass;
    static uint8_t cell[ONION_BODY_LEN], keys[CGO_AES256_KEY_MATERIAL];
    const struct cgo_params params = {.body_len = ONION_BODY_LEN, .key_len = 32};
    uint8_t ack[CGO_TAG_LEN];
    const double per_gb = 1e9 / CELL_PAYLOAD / CELLS / 1e9;
    uint64_t t;

    for (size_t i = 0; i < 3; i++) {
        memset(keys, (int)i + 1, sizeof keys);
        cgo_init(&client[i], &params, keys);
    }
    cgo_init(&end, &params, keys);
    cgo_init(&pass, &params, keys);
    t = udp_kit_cpu_ns();
    for (size_t i = 0; i < CELLS; i++) {
        cgo_relay_originate(&end, 3, cell, ack);
    }
    out->end = (double)(udp_kit_cpu_ns() - t) * per_gb;
    t = udp_kit_cpu_ns();
    for (size_t i = 0; i < CELLS; i++) {
        cgo_relay_backward(&pass, 3, cell);
    }
    out->pass = (double)(udp_kit_cpu_ns() - t) * per_gb;
    t = udp_kit_cpu_ns();
    for (size_t i = 0; i < CELLS; i++) {
        (void)cgo_client_backward(client, 3, 3, cell, ack);
    }
    out->client = (double)(udp_kit_cpu_ns() - t) * per_gb;
    for (size_t i = 0; i < 3; i++) {
        cgo_fini(&client[i]);
    }
    cgo_fini(&end);
    cgo_fini(&pass);
}
