/*
 * http1_fuzz.c - heads of requests and responses: what is accepted is inside the input and asks for more from every
 * shorter beginning, what is written for the other side is accepted again, means the same and names no field of this
 * hop, and a body is the same in one piece and in many.
 */
#include "base/assert.h"
#include "wire/http1_int.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CAP 4096

static bool inside(struct slice s, struct slice in)
{
    return s.len == 0 || (s.base >= in.base && s.base + s.len <= in.base + in.len);
}

static void short_ones(struct slice in, size_t len)
{
    struct http1_request r;

    for (size_t n = 0; n < len && n < 256; n++) {
        qudag_err err = http1_request_read(&r, (struct slice){in.base, n});
        ASSERT(err == QUDAG_EAGAIN);
    }
}

static void no_hop_fields(struct slice head)
{
    struct slice line;
    struct http1_field f;

    ASSERT(http1_line_next(&head, &line) == QUDAG_OK);
    while (http1_line_next(&head, &line) == QUDAG_OK && line.len > 0) {
        ASSERT(http1_field_read(line, &f) == QUDAG_OK);
        ASSERT(!http1_is(f.name, "Proxy-Authorization"));
        ASSERT(!http1_is(f.name, "Connection") || http1_is(f.value, "close") ||
               http1_is(f.value, "Upgrade"));
    }
}

/* The head written has a Host and a Connection field more than the one read. */
static bool at_the_limit(struct slice head)
{
    struct slice line;
    size_t n = 0;

    while (http1_line_next(&head, &line) == QUDAG_OK && line.len > 0) {
        n++;
    }
    return n > 1 + HTTP1_FIELDS_MAX;
}

static void bodies(struct http1_body whole, struct slice in)
{
    struct http1_body pieces = whole;
    size_t n = http1_body_take(&whole, in), at = 0;

    ASSERT(n <= in.len);
    while (at < in.len && http1_body_take(&pieces, (struct slice){in.base + at, 1}) == 1) {
        at++;
    }
    ASSERT(at == n);
    ASSERT(whole.bad == pieces.bad && whole.at == pieces.at && whole.left == pieces.left);
}

static void request(struct slice in)
{
    static uint8_t out[4 * CAP];
    struct http1_request r, again;
    struct http1_names names = {.authority = "address.dark"};

    if (http1_request_read(&r, in) != QUDAG_OK) {
        return;
    }
    ASSERT(r.len <= in.len && inside(r.host, in) && inside(r.path, in) &&
           inside(r.credentials, in));
    ASSERT(r.form == HTTP1_OTHER || (r.host.len > 0 && r.port != 0));
    short_ones(in, r.len);
    bodies(r.body, slice_rest(in, r.len));
    if (r.form != HTTP1_ABSOLUTE) {
        return;
    }
    names.host = r.host;
    struct wr w = wr_init(out, sizeof out);
    http1_request_write(&w, &r, in, &names);
    ASSERT(wr_ok(&w));
    if (at_the_limit(wr_done(&w))) {
        return;
    }
    ASSERT(http1_request_read(&again, wr_done(&w)) == QUDAG_OK);
    ASSERT(again.len == w.len && again.form != HTTP1_ABSOLUTE);
    ASSERT(again.form == HTTP1_CONNECT || again.body.length == r.body.length);
    ASSERT(again.form == HTTP1_CONNECT || again.body.left == r.body.left);
    no_hop_fields(wr_done(&w));
}

static void response(struct slice in)
{
    static uint8_t out[4 * CAP];
    struct http1_response r, again;

    if (http1_response_read(&r, in) != QUDAG_OK) {
        return;
    }
    struct wr w = wr_init(out, sizeof out);
    http1_response_write(&w, &r, in);
    ASSERT(wr_ok(&w));
    if (at_the_limit(wr_done(&w))) {
        return;
    }
    ASSERT(http1_response_read(&again, wr_done(&w)) == QUDAG_OK);
    ASSERT(again.len == w.len && again.status == r.status);
    no_hop_fields(wr_done(&w));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = {data, size < CAP ? size : CAP};

    request(in);
    response(in);
    bodies((struct http1_body){.length = HTTP1_CHUNKED}, in);
    return 0;
}
