/* proxy_talk.c - requests of clients of the proxy. */
#include "app/proxy_talk.h"

#include "base/assert.h"

#include <string.h>

void proxy_talk_init(struct proxy_talk *t, uint64_t uid)
{
    *t = (struct proxy_talk){.at = PROXY_FIRST, .uid = uid};
}

static enum proxy_step refuse(struct proxy_turn *out, enum proxy_why why)
{
    out->why = why;
    return PROXY_REFUSE;
}

static enum proxy_step say(struct proxy_turn *out, size_t len)
{
    out->say_len = len;
    return PROXY_SAY;
}

/* The host, in letters that may be logged and shown. */
static void set_host(struct proxy_talk *t, struct slice host, uint16_t port)
{
    size_t n = host.len < PROXY_HOST_MAX ? host.len : PROXY_HOST_MAX;

    for (size_t i = 0; i < n; i++) {
        t->host[i] = host.base[i] > 0x20 && host.base[i] < 0x7f ? (char)host.base[i] : '?';
    }
    t->host[n] = 0;
    t->port = port;
}

static void set_key(struct proxy_talk *t, enum proxy_login login, struct slice name,
                    struct slice password)
{
    struct proxy_user u = {t->uid, login, name, password};

    proxy_isolation(t->key, &u);
    t->has_key = true;
}

static enum proxy_step ask(struct proxy_talk *t)
{
    if (!t->has_key) {
        set_key(t, PROXY_NOBODY, (struct slice){0}, (struct slice){0});
    }
    t->at = PROXY_ASKED;
    return PROXY_ASK;
}

/* ------------------------------------------------------------------ SOCKS5 */

static enum proxy_step socks_hello(struct proxy_talk *t, struct slice in, struct proxy_turn *out)
{
    struct socks_greeting g;
    qudag_err err = socks_greeting_read(&g, in, &out->used);

    if (err == QUDAG_EAGAIN) {
        return PROXY_MORE;
    }
    t->silent = true; /* there is no request yet that could be answered */
    if (err != QUDAG_OK) {
        return refuse(out, PROXY_BAD_REQUEST);
    }
    enum socks_method m = socks_method_of(&g);
    socks_method_write(out->say, m);
    if (m == SOCKS_METHOD_REFUSED) {
        out->say_len = 2;
        return refuse(out, PROXY_NO_METHOD);
    }
    t->at = m == SOCKS_METHOD_PASSWORD ? PROXY_LOGIN : PROXY_REQUEST;
    t->silent = t->at == PROXY_LOGIN;
    return say(out, 2);
}

static enum proxy_step socks_login(struct proxy_talk *t, struct slice in, struct proxy_turn *out)
{
    struct socks_login l;
    qudag_err err = socks_login_read(&l, in, &out->used);

    if (err != QUDAG_OK) {
        return err == QUDAG_EAGAIN ? PROXY_MORE : refuse(out, PROXY_BAD_REQUEST);
    }
    set_key(t, PROXY_SOCKS_LOGIN, l.user, l.password);
    t->at = PROXY_REQUEST;
    t->silent = false;
    socks_login_ok_write(out->say);
    return say(out, 2);
}

static enum proxy_step socks_request(struct proxy_talk *t, struct slice in, struct proxy_turn *out)
{
    struct socks_request q;
    qudag_err err = socks_request_read(&q, in, &out->used);

    if (err != QUDAG_OK) {
        return err == QUDAG_EAGAIN         ? PROXY_MORE
               : err == QUDAG_EUNSUPPORTED ? refuse(out, PROXY_IS_IP)
                                           : refuse(out, PROXY_BAD_REQUEST);
    }
    if (q.command != SOCKS_CONNECT) {
        return refuse(out, PROXY_NO_METHOD);
    }
    if (q.address != SOCKS_NAME) {
        return refuse(out, PROXY_IS_IP);
    }
    set_host(t, q.host, q.port);
    return q.port == 0 ? refuse(out, PROXY_NO_PORT) : ask(t);
}

/* ------------------------------------------------------------------ HTTP */

static enum proxy_why why_no_head(qudag_err err)
{
    return err == QUDAG_ETOOBIG        ? PROXY_HEAD_TOO_BIG
           : err == QUDAG_EUNSUPPORTED ? PROXY_NO_METHOD
                                       : PROXY_BAD_REQUEST;
}

static enum proxy_step http(struct proxy_talk *t, struct slice in, struct proxy_turn *out)
{
    struct http1_request *r = &t->head;
    qudag_err err = http1_request_read(r, in);

    t->form = PROXY_CONNECT; /* as far as the answer is concerned */
    if (err != QUDAG_OK) {
        return err == QUDAG_EAGAIN ? PROXY_MORE : refuse(out, why_no_head(err));
    }
    t->no_page = http1_is(r->method, "HEAD");
    if (r->form == HTTP1_OTHER) {
        return refuse(out, PROXY_NOT_A_PROXY);
    }
    t->form = r->form == HTTP1_CONNECT ? PROXY_CONNECT : PROXY_FORWARD;
    if (r->credentials.len > 0) {
        set_key(t, PROXY_HTTP_LOGIN, r->credentials, (struct slice){0});
    }
    set_host(t, r->host, r->port);
    if (r->brackets) {
        return refuse(out, PROXY_IS_IP);
    }
    out->used = t->form == PROXY_CONNECT ? r->len : 0;
    return ask(t);
}

static enum proxy_step first(struct proxy_talk *t, struct slice in, struct proxy_turn *out)
{
    uint8_t c = in.base[0];

    if (c == SOCKS_VERSION) {
        t->at = PROXY_HELLO;
        return socks_hello(t, in, out);
    }
    if ((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z')) {
        t->at = PROXY_HTTP;
        return http(t, in, out);
    }
    t->old = c == SOCKS_VERSION_4;
    t->silent = !t->old;
    return refuse(out, PROXY_BAD_REQUEST);
}

enum proxy_step proxy_talk_next(struct proxy_talk *t, struct slice in, struct proxy_turn *out)
{
    *out = (struct proxy_turn){.why = PROXY_FINE};
    ASSERT(t->at != PROXY_ASKED);
    if (in.len == 0) {
        return PROXY_MORE;
    }
    switch (t->at) {
    case PROXY_HELLO:
        return socks_hello(t, in, out);
    case PROXY_LOGIN:
        return socks_login(t, in, out);
    case PROXY_REQUEST:
        return socks_request(t, in, out);
    case PROXY_HTTP:
        return http(t, in, out);
    case PROXY_FIRST:
    case PROXY_ASKED:
        break;
    }
    return first(t, in, out);
}

/* ------------------------------------------------------------------ answers */

static void text(struct wr *w, const char *s)
{
    wr_bytes(w, s, strlen(s));
}

static void number(struct wr *w, uint64_t n)
{
    char digits[20];
    size_t at = sizeof(digits);

    do {
        digits[--at] = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    wr_bytes(w, digits + at, sizeof(digits) - at);
}

/* In HTML; set_host() has left printable ASCII. */
static void escaped(struct wr *w, const char *s)
{
    for (; *s != 0; s++) {
        if (strchr("<>&\"'", *s) != NULL) {
            text(w, "&#");
            number(w, (uint64_t)*s);
            text(w, ";");
        } else {
            wr_u8(w, (uint8_t)*s);
        }
    }
}

static void page(struct wr *w, const struct proxy_talk *t, const struct proxy_answer *a)
{
    text(w, "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>");
    text(w, a->title);
    text(w, "</title>\n<h1>");
    text(w, a->title);
    text(w, "</h1>\n<p>");
    text(w, a->advice);
    if (t->host[0] != 0) {
        text(w, "</p>\n<p>Asked for: <code>");
        escaped(w, t->host);
        text(w, ":");
        number(w, t->port);
        text(w, "</code>");
    }
    text(w, "</p>\n<hr>\n<p>The proxy of QuDAG on this machine</p>\n</html>\n");
}

static const char *reason_of(uint16_t status)
{
    switch (status) {
    case 400:
        return "Bad Request";
    case 403:
        return "Forbidden";
    case 404:
        return "Not Found";
    case 431:
        return "Request Header Fields Too Large";
    case 500:
        return "Internal Server Error";
    case 501:
        return "Not Implemented";
    case 502:
        return "Bad Gateway";
    case 503:
        return "Service Unavailable";
    default:
        return "Gateway Timeout";
    }
}

static void http_answer(struct wr *w, const struct proxy_talk *t, const struct proxy_answer *a)
{
    uint8_t body[PROXY_ANSWER_MAX];
    struct wr b = wr_init(body, sizeof(body));

    page(&b, t, a);
    ASSERT(wr_ok(&b));
    text(w, "HTTP/1.1 ");
    number(w, a->http);
    text(w, " ");
    text(w, reason_of(a->http));
    text(w, "\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: ");
    number(w, b.len);
    text(w, "\r\nConnection: close\r\nCache-Control: no-store\r\n"
            "Content-Security-Policy: default-src 'none'\r\nX-Content-Type-Options: nosniff\r\n"
            "Proxy-Status: qudag; error=");
    text(w, a->error);
    text(w, "\r\n\r\n");
    if (!t->no_page) {
        wr_slice(w, wr_done(&b));
    }
}

void proxy_talk_answer(const struct proxy_talk *t, enum proxy_why why, struct wr *w)
{
    const struct proxy_answer *a = proxy_answer_of(why);
    uint8_t reply[SOCKS_REPLY_LEN];

    if (t->old) {
        socks_4_refused_write(reply);
        wr_bytes(w, reply, 8);
    } else if (t->silent) {
        return;
    } else if (t->form == PROXY_SOCKS) {
        socks_reply_write(reply, a->socks);
        wr_bytes(w, reply, sizeof(reply));
    } else if (why != PROXY_FINE) {
        http_answer(w, t, a);
    } else if (t->form == PROXY_CONNECT) {
        text(w, "HTTP/1.1 200 Connected\r\n\r\n");
    }
    ASSERT(wr_ok(w));
}

/* ------------------------------------------------------------------ what flows then */

void proxy_flow_init(struct proxy_flow *f, const struct proxy_talk *t, struct mem *mem)
{
    *f = (struct proxy_flow){.forward = t->form == PROXY_FORWARD};
    if (f->forward) {
        f->body = t->head.body;
        f->upgrade = t->head.upgrade;
    }
    dyn_init(&f->head, mem, HTTP1_HEAD_MAX);
}

void proxy_flow_fini(struct proxy_flow *f)
{
    dyn_fini(&f->head);
}

bool proxy_flow_up(struct proxy_flow *f, struct slice in, size_t *pass)
{
    if (!f->forward || f->raw_up || (f->upgrade && !f->answered)) {
        *pass = in.len;
        return true;
    }
    *pass = http1_body_take(&f->body, in);
    return !f->body.bad;
}

/* One head of the answer, if all of it has come. */
static qudag_err take_head(struct proxy_flow *f, struct wr *head)
{
    struct http1_response r;
    qudag_err err = http1_response_read(&r, dyn_slice(&f->head));

    if (err != QUDAG_OK) {
        return err == QUDAG_EAGAIN ? err : QUDAG_EPROTO;
    }
    if (r.status == 101 && !f->upgrade) {
        return QUDAG_EPROTO; /* a change that nobody asked for */
    }
    http1_response_write(head, &r, dyn_slice(&f->head));
    dyn_drop(&f->head, r.len);
    f->answered = r.status == 101 || r.status >= 200;
    f->raw_up = r.status == 101;
    f->interim += !f->answered;
    return f->interim > PROXY_INTERIM_MAX || !wr_ok(head) ? QUDAG_EPROTO : QUDAG_OK;
}

qudag_err proxy_flow_down(struct proxy_flow *f, struct slice in, struct wr *head,
                          struct slice *pass)
{
    *pass = (struct slice){NULL, 0};
    while (f->forward && !f->answered && in.len > 0) {
        size_t room = f->head.max - f->head.len, n = in.len < room ? in.len : room;
        qudag_err err = dyn_append(&f->head, in.base, n);
        if (err == QUDAG_OK && n < room && memchr(in.base, '\n', n) == NULL) {
            return QUDAG_OK; /* no line of it has ended: it is not read once more for every few bytes */
        }
        in = slice_rest(in, n);
        while (err == QUDAG_OK && !f->answered) {
            err = take_head(f, head);
        }
        if (err != QUDAG_OK && err != QUDAG_EAGAIN) {
            return err;
        }
    }
    if (f->answered && f->head.len > 0) { /* what came with the last head */
        wr_slice(head, dyn_slice(&f->head));
        dyn_fini(&f->head);
    }
    *pass = in;
    return wr_ok(head) ? QUDAG_OK : QUDAG_EPROTO;
}

bool proxy_flow_may_end(const struct proxy_flow *f)
{
    return !f->forward || f->answered;
}
