/*
 * proxy_talk.h - what a client of the proxy says until its bytes go both ways, and how it is answered: passive.
 *
 *   first byte 5:  greeting ─▶ [login] ─▶ request ─▶ ASK        4, or no letter: refused
 *   a letter:      head of HTTP/1 ─▶ ASK
 *                                     └ the host looks for the service ─▶ proxy_talk_answer()
 *
 *   proxy_flow: an HTTP request with a whole URL goes on as one request and one answer:
 *     client ─ head, body ─▶ what is behind the body is not passed on      service ─ heads (1xx), last head ─▶ bytes
 *   Any other tunnel is bytes both ways.
 */
#ifndef QUDAG_SRC_APP_PROXY_TALK_H
#define QUDAG_SRC_APP_PROXY_TALK_H

#include "app/proxy_rules.h"
#include "base/dyn.h"
#include "base/wr.h"
#include "wire/http1.h"

#define PROXY_SAY_MAX 8       /* bytes of an answer before the last one */
#define PROXY_ANSWER_MAX 4096 /* bytes of proxy_talk_answer() */
#define PROXY_INTERIM_MAX 8   /* answers of the kind 1xx to one request */

enum proxy_form { PROXY_SOCKS, PROXY_CONNECT, PROXY_FORWARD };

struct proxy_talk {
    enum { PROXY_FIRST, PROXY_HELLO, PROXY_LOGIN, PROXY_REQUEST, PROXY_HTTP, PROXY_ASKED } at;
    uint64_t uid;
    enum proxy_form form;
    bool no_page, silent; /* the answer has no body (HEAD); there is none at all */
    bool old;             /* SOCKS4 */
    bool has_key;
    uint8_t key[QUDAG_ISOLATION_MAX]; /* once asked */
    char host[PROXY_HOST_MAX + 1];    /* as the client wrote it, tamed; once asked */
    uint16_t port;
    struct http1_request head; /* FORWARD; its slices are of the last |in| */
};

enum proxy_step {
    PROXY_MORE,   /* more bytes are needed */
    PROXY_SAY,    /* |say| is to be sent, then the next step is due */
    PROXY_ASK,    /* to be connected: host, port and key are known */
    PROXY_REFUSE, /* to be answered with |why|, and closed */
};
struct proxy_turn {
    size_t used; /* bytes of |in| that are done with; FORWARD: none of the head */
    uint8_t say[PROXY_SAY_MAX];
    size_t say_len;
    enum proxy_why why;
};
/* A client whose process belongs to |uid| (PROXY_UID_UNKNOWN: to whom is not known). */
void proxy_talk_init(struct proxy_talk *t, uint64_t uid);
/* The next step with |in|, all that has come and is not used; not after PROXY_ASK or PROXY_REFUSE. */
enum proxy_step proxy_talk_next(struct proxy_talk *t, struct slice in, struct proxy_turn *out);

/*
 * The answer: PROXY_FINE (FORWARD: nothing, the service answers), or a failure, after which the connection ends.  At
 * most PROXY_ANSWER_MAX bytes.
 */
void proxy_talk_answer(const struct proxy_talk *t, enum proxy_why why, struct wr *w);

/* ------------------------------------------------------------------ what flows then */

#define PROXY_PIECE_MAX HTTP1_HEAD_MAX /* bytes of a service passed on at once */
/* Bytes of heads behind one piece: what was held of them, the piece, and what each gets more. */
#define PROXY_HEADS_MAX                                                                            \
    (HTTP1_HEAD_MAX + PROXY_PIECE_MAX + (PROXY_INTERIM_MAX + 1) * HTTP1_MORE_MAX)

struct proxy_flow {
    bool forward;
    bool upgrade, answered; /* FORWARD: asks for another protocol; the last head has come */
    bool raw_up;            /* FORWARD: upgraded */
    uint32_t interim;
    struct http1_body body;
    struct dyn head; /* of the answer, as far as it has come */
};
/* Behind the request |t|; |mem| must outlive it. */
void proxy_flow_init(struct proxy_flow *f, const struct proxy_talk *t, struct mem *mem);
/* Frees the bytes held. */
void proxy_flow_fini(struct proxy_flow *f);
/*
 * How many of the bytes |in| of the client the service gets; false: a broken body, the connection ends.  The rest, if
 * any, is not for this service and to be dropped.
 */
QUDAG_MUST_USE bool proxy_flow_up(struct proxy_flow *f, struct slice in, size_t *pass);
/*
 * At most PROXY_PIECE_MAX bytes of the service.  Until the last head has come they are kept and *pass is empty; heads
 * are written to |head|, which has room for PROXY_HEADS_MAX.  *pass: what goes to the client behind |head|, borrowed
 * from |in|.  QUDAG_EPROTO: that is no HTTP; QUDAG_ENOMEM.
 */
QUDAG_MUST_USE qudag_err proxy_flow_down(struct proxy_flow *f, struct slice in, struct wr *head,
                                         struct slice *pass);
/* Whether the service may end the answer now: before its head it may not, the client would wait for ever. */
bool proxy_flow_may_end(const struct proxy_flow *f);

#endif
