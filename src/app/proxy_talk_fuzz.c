/*
 * proxy_talk_fuzz.c - a client of the proxy and the service behind it, with any bytes: in one piece and in many they
 * mean the same, an answer fits its room, and no byte behind a request's body is passed on.
 */
#include "app/proxy_talk.h"
#include "base/assert.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CAP 2048

struct talked {
    struct proxy_talk t;
    enum proxy_step step;
    enum proxy_why why;
    size_t used, said;
};

static struct talked talk(struct slice in, size_t piece)
{
    struct talked c = {.step = PROXY_MORE};
    struct proxy_turn turn = {0};
    size_t come = 0;

    proxy_talk_init(&c.t, 7);
    while (come < in.len && c.step == PROXY_MORE) {
        come = in.len - come < piece ? in.len : come + piece;
        do {
            c.step = proxy_talk_next(&c.t, (struct slice){in.base + c.used, come - c.used}, &turn);
            ASSERT(turn.used <= come - c.used && turn.say_len <= PROXY_SAY_MAX);
            c.used += turn.used;
            c.said += turn.say_len;
        } while (c.step == PROXY_SAY);
    }
    c.why = turn.why;
    return c;
}

static void answers(const struct proxy_talk *t)
{
    uint8_t room[PROXY_ANSWER_MAX];

    for (int why = PROXY_FINE; why < PROXY_WHYS; why++) {
        struct wr w = wr_init(room, sizeof room);
        proxy_talk_answer(t, (enum proxy_why)why, &w);
        ASSERT(wr_ok(&w));
    }
}

/* The service's bytes, in pieces; how many bytes the client gets, and SIZE_MAX when it is no HTTP. */
static size_t flow(const struct proxy_talk *t, struct slice in, size_t piece)
{
    static uint8_t room[PROXY_HEADS_MAX];
    struct mem mem;
    struct proxy_flow f;
    size_t total = 0;

    mem_init(&mem, NULL, 0);
    proxy_flow_init(&f, t, &mem);
    for (size_t at = 0; at < in.len && total != SIZE_MAX; at += piece) {
        struct wr w = wr_init(room, sizeof room);
        struct slice pass;
        size_t n = in.len - at < piece ? in.len - at : piece, up = 0;
        qudag_err err = proxy_flow_down(&f, (struct slice){in.base + at, n}, &w, &pass);
        total = err == QUDAG_OK ? total + w.len + pass.len : SIZE_MAX;
        ASSERT(err != QUDAG_OK || pass.len <= n);
        if (proxy_flow_up(&f, (struct slice){in.base + at, n}, &up)) {
            ASSERT(up <= n);
        }
    }
    proxy_flow_fini(&f);
    ASSERT(mem.used == 0);
    return total;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char host[PROXY_HOST_MAX + 1];
    struct slice in = {data, size < CAP ? size : CAP};
    size_t split = in.len / 2;
    struct slice client = {in.base, split}, service = {in.base + split, in.len - split};
    struct talked whole = talk(client, CAP), one = talk(client, 1);

    ASSERT(whole.step == one.step && whole.used == one.used && whole.said == one.said);
    ASSERT(whole.why == one.why && whole.t.port == one.t.port);
    ASSERT(strcmp(whole.t.host, one.t.host) == 0);
    answers(&whole.t);
    enum proxy_host kind = proxy_host_read(in, host);
    ASSERT((host[0] != 0) == (kind == PROXY_ADDRESS || kind == PROXY_PETNAME));
    ASSERT(kind != PROXY_PETNAME || qudag_petname_valid(host));
    if (whole.step == PROXY_ASK) {
        ASSERT(flow(&whole.t, service, CAP) == flow(&whole.t, service, 1));
    }
    return 0;
}
