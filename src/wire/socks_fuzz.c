/*
 * socks_fuzz.c - what a client of the proxy may send: whatever is accepted is within what was given, is accepted
 * again from its own bytes alone, and asks for more from every shorter beginning.
 */
#include "base/assert.h"
#include "wire/socks.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef qudag_err read_fn(struct slice in, size_t *used);

static bool inside(struct slice s, struct slice in)
{
    return s.len == 0 || (s.base >= in.base && s.base + s.len <= in.base + in.len);
}

static qudag_err greeting(struct slice in, size_t *used)
{
    struct socks_greeting g;
    qudag_err err = socks_greeting_read(&g, in, used);
    if (err == QUDAG_OK) {
        (void)socks_method_of(&g);
    }
    return err;
}

static qudag_err login(struct slice in, size_t *used)
{
    struct socks_login l;
    qudag_err err = socks_login_read(&l, in, used);
    if (err == QUDAG_OK) {
        ASSERT(inside(l.user, in));
        ASSERT(inside(l.password, in));
    }
    return err;
}

static qudag_err request(struct slice in, size_t *used)
{
    struct socks_request q;
    qudag_err err = socks_request_read(&q, in, used);
    if (err == QUDAG_OK) {
        ASSERT(q.host.len > 0 && q.host.len < 256);
        ASSERT(inside(q.host, in));
    }
    return err;
}

static void check(read_fn *read, struct slice in)
{
    size_t used = SIZE_MAX, again = 0;
    qudag_err err = read(in, &used);

    if (err != QUDAG_OK) {
        ASSERT(used == SIZE_MAX);
        ASSERT(err == QUDAG_EAGAIN || err == QUDAG_EMALFORMED || err == QUDAG_EUNSUPPORTED);
        ASSERT(err != QUDAG_EAGAIN || in.len < SOCKS_MESSAGE_MAX);
        return;
    }
    ASSERT(used > 0 && used <= in.len && used <= SOCKS_MESSAGE_MAX);
    ASSERT(read((struct slice){in.base, used}, &again) == QUDAG_OK && again == used);
    for (size_t n = 0; n < used; n++) {
        ASSERT(read((struct slice){in.base, n}, &again) == QUDAG_EAGAIN);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = {data, size < 1024 ? size : 1024};

    check(greeting, in);
    check(login, in);
    check(request, in);
    return 0;
}
