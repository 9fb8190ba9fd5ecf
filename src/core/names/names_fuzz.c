/* names_fuzz.c - an address and any answers, in any order: a lookup ends, within its limits. */
#include "base/assert.h"
#include "base/rd.h"
#include "core/names/names.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define RECORDS 40

static void answer(struct names_lookup *l, struct rd *r, unsigned ix)
{
    static const qudag_err errs[] = {QUDAG_OK, QUDAG_OK, QUDAG_ENOTFOUND, QUDAG_ETIMEOUT};
    struct slice v[RECORDS];
    uint8_t how = rd_u8(r);
    size_t n = how / 4 % RECORDS;

    for (size_t i = 0; i < n; i++) {
        v[i] = rd_lp(r, 600);
    }
    names_answered(l, ix, errs[how % 4], v, rd_ok(r) ? n : 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct names_lookup l;
    struct rd r = rd_init((struct slice){data, size});
    struct slice first = rd_lp(&r, MULTIADDR_MAX);
    struct slice name, rest;
    struct multiaddr addr;
    unsigned questions = 0, ix;
    struct names_question q;

    if (!rd_ok(&r) || multiaddr_from_bytes(&addr, first) != QUDAG_OK ||
        names_begin(&l, &addr) != QUDAG_OK) {
        return 0;
    }
    while (names_next(&l, &ix, &q)) {
        ASSERT(++questions <= NAMES_QUESTIONS_MAX);
        ASSERT(strlen(q.name) > 0 && strlen(q.name) <= NAMES_NAME_MAX);
        if (rd_ok(&r) && r.left > 0 && data[size - 1] % 2 == 0) {
            answer(&l, &r, rd_u8(&r)); /* out of order, or to what was not asked */
        }
        answer(&l, &r, ix);
    }
    ASSERT(names_done(&l));
    ASSERT(l.n_addrs <= NAMES_ADDRS_MAX && (l.n_addrs > 0 || l.why != NAMES_FOUND));
    (void)multiaddr_name(&addr, &name, &rest);
    for (size_t i = 0; i < l.n_addrs; i++) {
        struct slice n2, r2;
        struct multiaddr back;
        ASSERT(multiaddr_from_bytes(&back, multiaddr_slice(&l.addr[i])) == QUDAG_OK);
        ASSERT(multiaddr_name(&l.addr[i], &n2, &r2) == MULTIADDR_NO_NAME);
        ASSERT(multiaddr_ends_with(&l.addr[i], rest));
    }
    return 0;
}
