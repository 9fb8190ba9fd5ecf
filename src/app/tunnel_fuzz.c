/* tunnel_fuzz.c - both sides fed in pieces: what they take does not depend on the cuts. */
#include "app/tunnel.h"
#include "base/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ask(struct slice in, size_t cut)
{
    struct tunnel_request whole = {0}, parts = {0};
    uint16_t a = 0, b = 0;

    size_t used = tunnel_request_take(&whole, in);
    size_t sum = tunnel_request_take(&parts, (struct slice){in.base, cut});
    sum += tunnel_request_take(&parts, slice_rest(in, cut));
    ASSERT(used == sum && used <= TUNNEL_REQUEST_LEN);
    ASSERT(tunnel_request_port(&whole, &a) == tunnel_request_port(&parts, &b) && a == b);
}

static void answer(struct slice in, size_t cut, bool fin)
{
    struct tunnel_answer whole = {0}, parts = {0};
    size_t used = 0, first = 0, second = 0;

    qudag_err a = tunnel_answer_take(&whole, in, fin, &used);
    qudag_err b = tunnel_answer_take(&parts, (struct slice){in.base, cut}, false, &first);
    if (b == QUDAG_OK) {
        b = tunnel_answer_take(&parts, slice_rest(in, cut), fin, &second);
    }
    ASSERT(a == b && used <= 1);
    ASSERT(a != QUDAG_OK ||
           (used == first + second && whole.state == parts.state && whole.status == parts.status));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    struct slice in = {data + 2, size - 2};
    size_t cut = in.len > 0 ? data[0] % (in.len + 1) : 0;

    ask(in, cut);
    answer(in, cut, (data[1] & 1) != 0);
    return 0;
}
