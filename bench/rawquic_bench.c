/* rawquic_bench.c - what ngtcp2 and OpenSSL move on this machine without anything of ours. */
#include "rawquic.h"

#include <stdio.h>

int main(void)
{
    static const char *const suites[] = {"TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"};

    for (int i = 0; i < 2; i++) {
        struct rawquic_result r;

        rawquic_bulk(&r, suites[i], UINT64_C(512) << 20);
        (void)printf("{\"bench\":\"rawquic\",\"name\":\"bulk\",\"impl\":\"%s\",\"value\":%.1f,"
                     "\"unit\":\"MB/s\"}\n",
                     suites[i], r.mb_per_s);
        (void)printf(
            "{\"bench\":\"rawquic\",\"name\":\"cpu per GB\",\"impl\":\"%s\",\"value\":%.3f,"
            "\"unit\":\"s\"}\n",
            suites[i], r.cpu_s_per_gb);
    }
    return 0;
}
