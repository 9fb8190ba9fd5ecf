/*
 * mss.c - multistream-select 1.0.
 *
 *   message   uvarint length (newline included), text, newline
 *
 *   dialer    -> header, proposal          <- header, proposal: agreed | na: propose again or give up
 *
 *   dialer    HEADER --header--> ANSWER --same id--> DONE
 *                                  |  `--na--> REFUSED --mss_dial--> ANSWER
 *   listener  L_HEADER --header--> L_PROPOSAL --known id--> DONE
 *                                  ^  |
 *                                  `--+ anything else: na, MSS_NA_MAX times
 *   all       anything against the rules --> DEAD
 *
 * "ls" was part of earlier versions and is answered na, like every id we do not speak.
 */
#include "core/mss/mss.h"

#include "base/assert.h"
#include "base/wr.h"

#include <string.h>

enum mss_state { FRESH, HEADER, ANSWER, REFUSED, L_HEADER, L_PROPOSAL, DONE, DEAD };

static const char header[] = "/multistream/1.0.0";
static const char na[] = "na";

_Static_assert(MSS_DIAL_MAX >= (1 + sizeof(header)) + (2 + MSS_ID_MAX + 1), "header and proposal");
_Static_assert(MSS_REPLY_MAX >= (1 + sizeof(header)) + (2 + MSS_ID_MAX + 1) + MSS_NA_MAX * 4,
               "header, every refusal and the echo");
_Static_assert(MSS_ID_MAX + 1 < 128 && sizeof(header) <= MSS_ID_MAX,
               "lengths we write take a byte");

static void message_put(struct wr *w, const char *text)
{
    size_t n = strlen(text);

    wr_uvarint(w, n + 1);
    wr_bytes(w, text, n);
    wr_u8(w, '\n');
}

qudag_err mss_dial(struct mss *m, const char *proto, uint8_t *dst, size_t cap, size_t *len)
{
    size_t n = strlen(proto);

    if (n == 0 || n > MSS_ID_MAX || cap < MSS_DIAL_MAX) {
        return QUDAG_EINVAL;
    }
    if (m->state != FRESH && m->state != REFUSED) {
        return QUDAG_ESTATE;
    }
    struct wr w = wr_init(dst, cap);
    if (m->state == FRESH) {
        message_put(&w, header);
    }
    message_put(&w, proto);
    m->state = m->state == FRESH ? HEADER : ANSWER;
    m->proposal = proto;
    *len = w.len;
    return QUDAG_OK;
}

void mss_listen(struct mss *m, const char *const *protos, size_t n)
{
    *m = (struct mss){.state = L_HEADER, .protos = protos, .n_protos = n};
}

/* The message read last, without its newline. */
static bool message_is(const struct mss *m, const char *text)
{
    size_t n = strlen(text);

    return n <= MSS_ID_MAX && m->want == n + 1 && memcmp(m->buf, text, n) == 0;
}

static bool known_proto(struct mss *m)
{
    for (size_t i = 0; i < m->n_protos; i++) {
        if (message_is(m, m->protos[i])) {
            m->chosen = (uint32_t)i;
            return true;
        }
    }
    return false;
}

static enum mss_result end(struct mss *m, enum mss_state state)
{
    m->state = (uint8_t)state;
    switch (state) {
    case DONE:
        return MSS_DONE;
    case REFUSED:
        return MSS_NA;
    default:
        return MSS_FAIL;
    }
}

static enum mss_result proposal_take(struct mss *m, struct wr *reply)
{
    if (known_proto(m)) {
        message_put(reply, m->protos[m->chosen]);
        return end(m, DONE);
    }
    message_put(reply, na);
    m->na++;
    return m->na == MSS_NA_MAX ? end(m, DEAD) : MSS_MORE;
}

static enum mss_result message_take(struct mss *m, struct wr *reply)
{
    switch ((enum mss_state)m->state) {
    case HEADER:
        m->state = ANSWER;
        return message_is(m, header) ? MSS_MORE : end(m, DEAD);
    case ANSWER:
        if (message_is(m, m->proposal)) {
            return end(m, DONE);
        }
        return end(m, message_is(m, na) ? REFUSED : DEAD);
    case L_HEADER:
        if (!message_is(m, header)) {
            return end(m, DEAD);
        }
        message_put(reply, header);
        m->state = L_PROPOSAL;
        return MSS_MORE;
    case L_PROPOSAL:
        return proposal_take(m, reply);
    case FRESH:
    case REFUSED:
    case DONE:
    case DEAD:
        break;
    }
    return end(m, DEAD);
}

/* One byte of the length: at most two of them, minimal, 1 .. MSS_MSG_MAX. */
static bool length_take(struct mss *m, uint8_t b)
{
    m->want = (uint16_t)(m->want | (unsigned)(b & 0x7f) << m->shift);
    if ((b & 0x80) != 0) {
        m->shift = (uint8_t)(m->shift + 7);
        return m->shift <= 7;
    }
    bool minimal = m->shift == 0 || b != 0;
    m->shift = UINT8_MAX; /* known */
    return minimal && m->want > 0 && m->want <= MSS_MSG_MAX;
}

/* What exceeds |buf| is no id we know; only its length and last byte matter. */
static bool text_take(struct mss *m, uint8_t b)
{
    if (m->got < sizeof(m->buf)) {
        m->buf[m->got] = b;
    }
    m->got++;
    return m->got < m->want || b == '\n';
}

static enum mss_result byte_take(struct mss *m, uint8_t b, struct wr *reply)
{
    if (m->shift != UINT8_MAX) {
        return length_take(m, b) ? MSS_MORE : end(m, DEAD);
    }
    if (!text_take(m, b)) {
        return end(m, DEAD);
    }
    if (m->got < m->want) {
        return MSS_MORE;
    }
    enum mss_result res = message_take(m, reply);
    m->shift = 0;
    m->want = 0;
    m->got = 0;
    return res;
}

enum mss_result mss_input(struct mss *m, struct slice in, size_t *used, uint8_t *reply,
                          size_t reply_cap, size_t *reply_len)
{
    ASSERT(reply_cap >= MSS_REPLY_MAX);

    struct wr w = wr_init(reply, reply_cap);
    enum mss_result res = MSS_MORE;
    size_t n = 0;

    if (m->state == FRESH || m->state == REFUSED || m->state == DONE || m->state == DEAD) {
        res = end(m, DEAD);
    }
    while (res == MSS_MORE && n < in.len) {
        res = byte_take(m, in.base[n], &w);
        n++;
    }
    ASSERT(wr_ok(&w));
    *used = n;
    *reply_len = w.len;
    return res;
}

size_t mss_chosen(const struct mss *m)
{
    return m->chosen;
}
