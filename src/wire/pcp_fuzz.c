/* pcp_fuzz.c - whatever is parsed is within its bounds; requests with the same in them are written whole or not. */
#include "base/assert.h"
#include "wire/pcp.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ask(const struct pcp_answer *a)
{
    struct pcp_request q = {.kind = a->kind,
                            .protocol = a->protocol,
                            .client = {.family = a->external.family == 4 ? 4 : 6},
                            .internal = a->internal,
                            .external = a->external.port,
                            .suggested = a->external,
                            .life_s = a->life_s,
                            .prefer_failure = (a->epoch & 1) != 0};
    uint8_t out[PCP_WRITE_MAX];

    memcpy(q.nonce, a->nonce, sizeof(q.nonce));
    size_t len = pcp_write(out, sizeof(out), &q);
    ASSERT(len >= 2 && len <= sizeof(out));
    for (size_t cap = 0; cap < len; cap++) {
        ASSERT(pcp_write(out, cap, &q) == 0);
    }
    struct pcp_answer none;
    ASSERT(pcp_parse(&none, (struct slice){out, len}) == QUDAG_EMALFORMED); /* no answer */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pcp_answer a, again;

    if (pcp_parse(&a, (struct slice){data, size}) != QUDAG_OK) {
        return 0;
    }
    ASSERT(size <= PCP_MSG_MAX && a.result <= PCP_RESULTS && a.kind <= PCP_OTHER);
    ASSERT(pcp_result_text(a.result)[0] != '\0');
    ASSERT(pcp_parse(&again, (struct slice){data, size}) == QUDAG_OK);
    ASSERT(again.epoch == a.epoch && netaddr_eq(&again.external, &a.external));
    ASSERT(a.external.family == 0 || a.kind == PCP_MAP || a.kind == PCP_NATPMP_ADDR);
    if (a.kind != PCP_OTHER) {
        ask(&a);
    }
    return 0;
}
