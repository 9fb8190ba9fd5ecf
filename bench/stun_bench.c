/*
 * stun_bench.c - messages of STUN: time of each, and allocations, of which there are none.
 *
 *   stun_bench [SECONDS]       of each row; default 0.3
 */
#include "wire/stun.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

extern void *__libc_malloc(size_t size); /* glibc: what malloc is by itself */
static uint64_t allocations;

/* Counts: whatever the codec, or what it calls, allocates comes here. */
void *malloc(size_t size)
{
    allocations++;
    return __libc_malloc(size);
}

static const struct slice KEY = {(const uint8_t *)"0123456789abcdef0123456789abcdef", 32};
static uint8_t buf[STUN_MSG_MAX];
static struct slice msg;
static struct stun_msg plain, check;
static volatile bool sink;

static double now_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void write_plain(void)
{
    msg.len = stun_write(buf, sizeof(buf), &plain, KEY);
}

static void write_check(void)
{
    msg.len = stun_write(buf, sizeof(buf), &check, KEY);
}

static void read_one(void)
{
    struct stun_msg m;

    sink = stun_parse(&m, msg) == QUDAG_OK;
}

static void read_and_check(void)
{
    struct stun_msg m;

    sink = stun_parse(&m, msg) == QUDAG_OK && stun_check(&m, msg, KEY);
}

static void demultiplex(void)
{
    sink = stun_is(msg);
}

static void row(const char *name, void (*fn)(void), double seconds)
{
    double began = now_ns(), until = began + seconds * 1e9;
    uint64_t n = 0, before = allocations;

    while (now_ns() < until) {
        for (unsigned i = 0; i < 1000; i++) {
            fn();
        }
        n += 1000;
    }
    double each = (now_ns() - began) / (double)n;
    printf("{\"bench\":\"stun\",\"name\":\"%s\",\"value\":%.4g,\"unit\":\"ns\",\"bytes\":%zu,"
           "\"allocations\":%llu}\n",
           name, each, msg.len, (unsigned long long)(allocations - before));
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? strtod(argv[1], NULL) : 0.3;

    msg.base = buf;
    plain = (struct stun_msg){.class = STUN_SUCCESS,
                              .mapped = {.family = 4, .ip = {192, 0, 2, 1}, .port = 4242},
                              .fingerprint = true};
    check = (struct stun_msg){.class = STUN_REQUEST,
                              .username = {(const uint8_t *)"0123456789abcdef", 16},
                              .fingerprint = true,
                              .integrity = STUN_SHA256};
    write_plain();
    row("is it STUN", demultiplex, seconds);
    row("answer written", write_plain, seconds);
    row("answer read", read_one, seconds);
    write_check();
    row("check written, HMAC-SHA-256", write_check, seconds);
    row("check read, HMAC-SHA-256", read_and_check, seconds);
    return 0;
}
