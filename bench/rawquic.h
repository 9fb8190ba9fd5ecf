/* rawquic.h - one stream through ngtcp2 and OpenSSL with nothing of ours in between: the limit. */
#ifndef QUDAG_BENCH_RAWQUIC_H
#define QUDAG_BENCH_RAWQUIC_H

#include <stdint.h>

struct rawquic_result {
    double mb_per_s;     /* 1e6 bytes a second, of payload */
    double cpu_s_per_gb; /* both sides together */
};

/* |suite| is TLS's name of the cipher.  Exits the program on failure. */
void rawquic_bulk(struct rawquic_result *out, const char *suite, uint64_t bytes);

#endif
