/*
 * proxy_conn.c - one connection of the proxy.
 *
 *   accepted ─▶ TALKING ─ ASK ─▶ OPENING ─ the service's byte ─▶ FLOWING ─ both ends ─▶ closed
 *                  └ refused ─▶ ENDING ◀─ failed ─┘
 *
 * Bytes of the client that its stream does not take are held, and it is not read until they are gone.  Credit for
 * bytes of the service is given back when the client has taken them.  So a slow reader on either side slows the other
 * down, and memory per connection is bounded.
 */
#include "app/proxy_int.h"
#include "app/proxy_uid.h"
#include "app/sock.h"
#include "app/tunnel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------ its end */

/* Everything of the node's is given back at once; the memory when libuv is done with the handle. */
static void let_go(struct proxy_conn *c)
{
    struct proxy *p = c->proxy;

    list_del(&c->node);
    fair_del(&p->fair, &c->place, api_now());
    proxy_flow_fini(&c->flow);
    dyn_fini(&c->in);
    p->info.connections--;
    c->proxy = NULL;
}

static void drop_stream(struct proxy_conn *c, qudag_err why)
{
    if (c->stream.id != 0) {
        qudag_stream_reset(c->proxy->n, c->stream, why);
        c->stream.id = 0;
    }
}

void proxy_conn_close(struct proxy_conn *c, qudag_err why)
{
    if (c->proxy == NULL) {
        return;
    }
    drop_stream(c, why);
    proxy_client_close(c, false);
    let_go(c);
}

/* The client sees that the other side gave up in the middle. */
static void reset_client(struct proxy_conn *c)
{
    drop_stream(c, QUDAG_ECANCELED);
    proxy_client_close(c, true);
    let_go(c);
}

/* ------------------------------------------------------------------ to the service */

/* The answer |why|, and the end. */
static void refuse(struct proxy_conn *c, enum proxy_why why)
{
    struct proxy *p = c->proxy;
    struct wr w = wr_init(p->out, PROXY_ANSWER_MAX);

    if (proxy_is_refusal(why)) {
        p->info.refused++;
    } else {
        p->info.failed++;
    }
    proxy_say(p, why, c->talk.host);
    drop_stream(c, QUDAG_ECANCELED);
    proxy_talk_answer(&c->talk, why, &w);
    c->state = PROXY_ENDING;
    c->service_end = true;
    c->deadline = api_now() + PROXY_LINGER_MAX;
    dyn_fini(&c->in);
    /* what it still sends is read, and dropped: unread, it would take the answer away from it */
    if (proxy_client_write(c, wr_done(&w))) {
        proxy_client_settle(c);
    }
}

static void end_service(struct proxy_conn *c)
{
    if (c->client_end && c->in.len == 0 && !c->fin_sent && c->stream.id != 0) {
        c->fin_sent = true;
        c->deadline = c->state == PROXY_FLOWING ? api_now() + PROXY_HALF_MAX : c->deadline;
        qudag_stream_fin(c->proxy->n, c->stream);
    }
}

/* As much of |bytes| as the stream takes; how much, or SIZE_MAX: the connection is gone. */
static size_t write_stream(struct proxy_conn *c, struct slice bytes)
{
    size_t taken = 0;
    qudag_err err = bytes.len == 0
                        ? QUDAG_OK
                        : qudag_stream_write(c->proxy->n, c->stream,
                                             (qudag_slice){bytes.base, bytes.len}, &taken);

    if (err != QUDAG_OK && err != QUDAG_EAGAIN) {
        proxy_conn_close(c, err);
        return SIZE_MAX;
    }
    c->proxy->info.bytes_up += taken;
    return err == QUDAG_OK ? taken : 0;
}

/* Bytes of the client, behind those that are held; false: the connection is gone. */
static bool pass_up(struct proxy_conn *c, struct slice in)
{
    size_t pass = 0, taken = 0;

    if (!proxy_flow_up(&c->flow, in, &pass)) {
        proxy_conn_close(c, QUDAG_ERESET);
        return false;
    }
    if (c->in.len == 0) {
        taken = write_stream(c, (struct slice){in.base, pass});
        if (taken == SIZE_MAX) {
            return false;
        }
    }
    if (dyn_append(&c->in, in.base + taken, pass - taken) != QUDAG_OK) {
        proxy_conn_close(c, QUDAG_ENOMEM);
        return false;
    }
    return true;
}

/* The held bytes that it takes now; false: the connection is gone. */
static bool pass_held(struct proxy_conn *c)
{
    size_t taken = write_stream(c, dyn_slice(&c->in));

    if (taken == SIZE_MAX) {
        return false;
    }
    dyn_drop(&c->in, taken);
    return true;
}

/* ------------------------------------------------------------------ a request */

/* The address that the client asks for. */
static enum proxy_why address_of(struct proxy_conn *c, char addr[QUDAG_DARK_TEXT_MAX], bool *named)
{
    struct proxy *p = c->proxy;
    char host[PROXY_HOST_MAX + 1];
    struct slice asked = {(const uint8_t *)c->talk.host, strlen(c->talk.host)};
    enum proxy_host kind = proxy_host_read(asked, host);

    *named = kind == PROXY_PETNAME;
    switch (kind) {
    case PROXY_IP:
        return PROXY_IS_IP;
    case PROXY_OUTSIDE:
        return PROXY_IS_OUTSIDE;
    case PROXY_NO_NAME:
        return PROXY_BAD_NAME;
    case PROXY_PETNAME:
        return p->petname != NULL && p->petname(p->user, host, addr) == QUDAG_OK
                   ? PROXY_FINE
                   : PROXY_NAME_UNKNOWN;
    case PROXY_ADDRESS:
        break;
    }
    if (strlen(host) >= QUDAG_DARK_TEXT_MAX) {
        return PROXY_BAD_NAME;
    }
    memcpy(addr, host, strlen(host) + 1);
    qudag_err err = qudag_dark_check(addr);
    return err == QUDAG_OK             ? PROXY_FINE
           : err == QUDAG_EUNSUPPORTED ? PROXY_OTHER_NETWORK
                                       : proxy_why_of(err);
}

/* The place of the connection becomes one of its isolation key. */
static enum proxy_why take_place(struct proxy_conn *c)
{
    struct proxy *p = c->proxy;
    uint64_t key;

    memcpy(&key, c->talk.key, sizeof(key));
    const struct fair_net *of_uid = c->place.source->net;
    fair_del(&p->fair, &c->place, api_now());
    struct fair_claim has = fair_claim_of(&p->fair, c->uid, key);
    uint32_t keys = of_uid->n_sources + (has.source_n == 0);
    if (!proxy_may_begin(has.source_n, has.net_n, keys, p->max) ||
        fair_add(&p->fair, &c->place, c->uid, key, api_now()) != QUDAG_OK) {
        return PROXY_BUSY;
    }
    return PROXY_FINE;
}

static enum proxy_why open_stream(struct proxy_conn *c, const char *addr)
{
    struct proxy *p = c->proxy;
    qudag_dark_options o = {
        .size = sizeof(o), .isolation_len = QUDAG_ISOLATION_MAX, .local_user = c->uid};
    uint8_t port[TUNNEL_REQUEST_LEN];
    size_t taken = 0;

    tunnel_request_put(port, c->talk.port);
    memcpy(o.isolation, c->talk.key, sizeof(o.isolation));
    qudag_err err = qudag_dark_open_with(p->n, addr, TUNNEL_PROTOCOL, &o, &c->stream);
    if (err != QUDAG_OK) {
        c->stream.id = 0;
        return err == QUDAG_EUNSUPPORTED ? PROXY_OTHER_NETWORK : proxy_why_of(err);
    }
    err = api_client_stream(p->client, c->stream);
    if (err == QUDAG_OK) {
        err = qudag_stream_set_user(p->n, c->stream, c);
    }
    if (err == QUDAG_OK) {
        err = qudag_stream_write(p->n, c->stream, (qudag_slice){port, sizeof(port)}, &taken);
    }
    return err == QUDAG_OK ? PROXY_FINE : proxy_why_of(err);
}

/* The head for the service, in place of the client's. */
static enum proxy_why forward_head(struct proxy_conn *c, const char *addr, bool named)
{
    struct proxy *p = c->proxy;
    char authority[PROXY_HOST_MAX + 8];
    const char *host = named ? addr : c->talk.host; /* labels before an address are the service's */
    struct wr w = wr_init(p->out, PROXY_HELD_MAX);
    struct http1_names names = {.authority = authority};
    size_t taken = 0;

    if (c->talk.port == 80) {
        (void)snprintf(authority, sizeof(authority), "%s", host);
    } else {
        (void)snprintf(authority, sizeof(authority), "%s:%u", host, c->talk.port);
    }
    names.host = named ? c->talk.head.host : (struct slice){NULL, 0};
    http1_request_write(&w, &c->talk.head, dyn_slice(&c->in), &names);
    if (!wr_ok(&w)) {
        return PROXY_HEAD_TOO_BIG;
    }
    qudag_err err = qudag_stream_write(p->n, c->stream, (qudag_slice){w.p, w.len}, &taken);
    dyn_drop(&c->in, c->talk.head.len);
    return err == QUDAG_OK && taken == w.len ? PROXY_FINE : PROXY_FAILED;
}

/* What the client sent behind its request goes on at once, before the service has answered. */
static bool early(struct proxy_conn *c)
{
    size_t pass = 0;

    if (!proxy_flow_up(&c->flow, dyn_slice(&c->in), &pass)) {
        proxy_conn_close(c, QUDAG_ERESET);
        return false;
    }
    c->in.len = pass; /* the rest is for nobody */
    return pass_held(c);
}

static void begin(struct proxy_conn *c)
{
    char addr[QUDAG_DARK_TEXT_MAX] = "";
    bool named = false;
    enum proxy_why why = address_of(c, addr, &named);

    if (c->proxy == NULL) {
        return; /* the program's function for petnames has stopped the proxy */
    }
    if (why == PROXY_FINE) {
        why = take_place(c);
    }
    if (why == PROXY_FINE) {
        why = open_stream(c, addr);
    }
    if (why == PROXY_FINE && c->talk.form == PROXY_FORWARD) {
        why = forward_head(c, addr, named);
    }
    if (why != PROXY_FINE) {
        refuse(c, why);
        return;
    }
    c->proxy->info.opened++;
    c->state = PROXY_OPENING;
    c->deadline = api_now() + PROXY_OPEN_MAX;
    proxy_flow_init(&c->flow, &c->talk, api_mem(c->proxy->n));
    if (early(c)) {
        end_service(c);
        (void)proxy_client_arm(c);
    }
}

static void talk(struct proxy_conn *c)
{
    struct proxy_turn turn;
    enum proxy_step step = PROXY_SAY;

    while (step == PROXY_SAY) {
        step = proxy_talk_next(&c->talk, dyn_slice(&c->in), &turn);
        dyn_drop(&c->in, turn.used);
        if (turn.say_len > 0 && !proxy_client_write(c, (struct slice){turn.say, turn.say_len})) {
            return;
        }
    }
    if (step == PROXY_ASK) {
        begin(c);
    } else if (step == PROXY_REFUSE) {
        refuse(c, turn.why);
    } else if (c->client_end) {
        proxy_conn_close(c, QUDAG_ECANCELED);
    }
}

/* ------------------------------------------------------------------ events */

void proxy_conn_bytes(struct proxy_conn *c, struct slice in)
{
    if (c->state == PROXY_ENDING) {
        return; /* nobody wants it */
    }
    if (c->state != PROXY_TALKING) {
        (void)pass_up(c, in);
        return;
    }
    if (dyn_append(&c->in, in.base, in.len) != QUDAG_OK) {
        proxy_conn_close(c, QUDAG_ENOMEM);
        return;
    }
    talk(c);
}

void proxy_conn_end(struct proxy_conn *c)
{
    if (c->state == PROXY_TALKING) {
        proxy_conn_close(c, QUDAG_ECANCELED);
    } else if (c->state == PROXY_ENDING) {
        proxy_client_settle(c);
    } else {
        end_service(c);
    }
}

void proxy_conn_writable(struct proxy_conn *c)
{
    if (c->state == PROXY_TALKING || c->state == PROXY_ENDING || !pass_held(c)) {
        return;
    }
    end_service(c);
    (void)proxy_client_arm(c);
}

/* The first byte of the service; false: nothing follows for the client. */
static bool take_status(struct proxy_conn *c, uint8_t status)
{
    struct proxy *p = c->proxy;
    enum proxy_why why = proxy_why_of_status(status);
    struct wr w = wr_init(p->out, PROXY_ANSWER_MAX);

    if (why != PROXY_FINE) {
        refuse(c, why);
        return false;
    }
    c->state = PROXY_FLOWING;
    c->deadline = c->fin_sent ? api_now() + PROXY_HALF_MAX : UINT64_MAX;
    proxy_talk_answer(&c->talk, PROXY_FINE, &w);
    return proxy_client_write(c, wr_done(&w));
}

/* At most PROXY_PIECE_MAX bytes of the service; false: the connection is gone, or refused. */
static bool pass_piece(struct proxy_conn *c, struct slice in)
{
    struct proxy *p = c->proxy;
    struct wr head = wr_init(p->out, sizeof(p->out));
    struct slice pass;
    qudag_err err = proxy_flow_down(&c->flow, in, &head, &pass);

    if (err != QUDAG_OK) {
        refuse(c, err == QUDAG_ENOMEM ? PROXY_FAILED : PROXY_BROKEN);
        return false;
    }
    p->info.bytes_down += in.len;
    return proxy_client_write(c, wr_done(&head)) && proxy_client_write(c, pass);
}

/* Bytes of the service behind its first one. */
static bool pass_down(struct proxy_conn *c, struct slice in)
{
    bool there = true;

    while (there && in.len > 0) {
        size_t n = in.len < PROXY_PIECE_MAX ? in.len : PROXY_PIECE_MAX;
        there = pass_piece(c, (struct slice){in.base, n});
        in = slice_rest(in, n);
    }
    return there;
}

void proxy_conn_data(struct proxy_conn *c, qudag_slice data, bool fin)
{
    struct slice in = {data.base, data.len};

    c->owed += data.len;
    if (c->state == PROXY_FLOWING && c->fin_sent) {
        c->deadline = api_now() + PROXY_HALF_MAX;
    }
    if (c->state == PROXY_OPENING && in.len > 0) {
        if (!take_status(c, in.base[0])) {
            return;
        }
        in = slice_rest(in, 1);
    }
    if (c->state == PROXY_FLOWING && in.len > 0 && !pass_down(c, in)) {
        return;
    }
    if (fin && c->state == PROXY_OPENING) {
        refuse(c, PROXY_NO_TUNNEL);
    } else if (fin && !proxy_flow_may_end(&c->flow)) {
        refuse(c, PROXY_BROKEN);
    } else {
        c->service_end = c->service_end || fin;
        proxy_client_settle(c);
    }
}

void proxy_conn_closed(struct proxy_conn *c, qudag_err why)
{
    c->stream.id = 0;
    c->owed = 0;
    if (c->state == PROXY_OPENING) {
        refuse(c, why == QUDAG_OK ? PROXY_NO_TUNNEL : proxy_why_of(why));
    } else if (c->state == PROXY_FLOWING && why != QUDAG_OK) {
        reset_client(c);
    } else if (c->state == PROXY_FLOWING) {
        c->state = PROXY_ENDING;
        c->deadline = api_now() + PROXY_DRAIN_MAX;
        proxy_client_settle(c);
    }
}

void proxy_conn_tick(struct proxy_conn *c, qudag_ns now)
{
    if (now < c->deadline) {
        return;
    }
    if (c->state == PROXY_OPENING) {
        refuse(c, PROXY_TIMED_OUT);
    } else {
        proxy_conn_close(c, QUDAG_ETIMEOUT);
    }
}

/* ------------------------------------------------------------------ a new one */

static bool may_connect(struct proxy *p, uint64_t uid)
{
    struct fair_claim has = fair_claim_of(&p->fair, uid, 0);
    uint32_t users = p->fair.n_nets + (has.net_n == 0);

    return proxy_may_begin(has.net_n, p->fair.n, users, p->max);
}

void proxy_conn_accept(struct proxy *p, int fd)
{
    struct proxy_conn *c = calloc(1, sizeof(*c));

    if (c == NULL || !proxy_client_open(c, p, fd)) {
        free(c);
        sock_close(fd, false); /* this one is lost, and none after it */
        return;
    }
    c->proxy = p;
    c->deadline = api_now() + PROXY_TALK_MAX;
    dyn_init(&c->in, api_mem(p->n), PROXY_HELD_MAX + PROXY_READ_MAX);
    dyn_init(&c->flow.head, api_mem(p->n), HTTP1_HEAD_MAX);
    list_push_back(&p->conns, &c->node);
    p->info.connections++;
    c->uid = proxy_uid_of(fd);
    proxy_talk_init(&c->talk, c->uid);
    if (!may_connect(p, c->uid) ||
        fair_add(&p->fair, &c->place, c->uid, 0, api_now()) != QUDAG_OK) {
        proxy_say(p, PROXY_BUSY, "");
        proxy_conn_close(c, QUDAG_ELIMIT);
        return;
    }
    (void)proxy_client_arm(c);
}
