/*
 * resolve.c - see resolve.h.
 *
 *   add ─▶ c-ares ─ its sockets and time-outs are the loop's ─▶ answers ─ a timer of 0 ─▶ done
 *
 * The channel of c-ares lives while there are questions.
 */
#include "io/resolve.h"

#include "base/list.h"

#include <ares.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define CLASS_IN 1 /* RFC 1035 3.2.4 */
#define TYPE_TXT 16

struct resolve_question {
    struct list node; /* in resolve.questions */
    struct resolve *r;
    uint64_t id;
    enum names_kind kind;
    bool dropped;
};

struct resolve_answer {
    struct list node; /* in resolve.answers */
    uint64_t id;
    qudag_err err;
    size_t n;
    struct slice record[NAMES_RECORDS_MAX];
    uint8_t bytes[]; /* what they refer to */
};

/* A socket of c-ares that the loop watches. */
struct watched {
    struct list node;
    uv_poll_t poll;
    struct resolve *r;
    ares_socket_t fd;
};

struct resolve {
    struct io *io;
    resolve_done done;
    void *ctx;
    ares_channel channel; /* while |open| */
    bool open, inside;    /* inside: c-ares is being called, and must not be taken down */
    uv_timer_t *timer, *tell;
    struct list questions, answers, sockets;
    uint32_t n;    /* questions and answers */
    uint32_t live; /* questions that are not dropped */
    const char *servers;
};

static void on_freed(uv_handle_t *h)
{
    free(h);
}

static void on_unwatched(uv_handle_t *h)
{
    free(h->data);
}

/* ------------------------------------------------------------------ the channel */

static void on_time(uv_timer_t *t);

static void arm(struct resolve *r)
{
    struct timeval tv;

    if (r->open && ares_timeout(r->channel, NULL, &tv) != NULL) {
        uint64_t ms = (uint64_t)tv.tv_sec * 1000 + (uint64_t)tv.tv_usec / 1000;
        (void)uv_timer_start(r->timer, on_time, ms + 1, 0);
    } else {
        (void)uv_timer_stop(r->timer);
    }
}

/* Takes the channel down where nobody waits for anything of it. */
static void settle(struct resolve *r)
{
    if (r->inside || !r->open) {
        return;
    }
    if (r->live == 0) {
        r->inside = true;
        ares_destroy(r->channel); /* ends what was dropped */
        r->inside = r->open = false;
    }
    arm(r);
}

static void process(struct resolve *r, ares_socket_t readable, ares_socket_t writable)
{
    if (r->open) {
        r->inside = true;
        ares_process_fd(r->channel, readable, writable);
        r->inside = false;
    }
    settle(r);
}

static void on_time(uv_timer_t *t)
{
    process(t->data, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

static void on_ready(uv_poll_t *h, int status, int events)
{
    const struct watched *w = h->data;
    bool failed = status < 0; /* c-ares finds out what it is */

    process(w->r, failed || (events & UV_READABLE) != 0 ? w->fd : ARES_SOCKET_BAD,
            failed || (events & UV_WRITABLE) != 0 ? w->fd : ARES_SOCKET_BAD);
}

static struct watched *watched_find(struct resolve *r, ares_socket_t fd)
{
    LIST_EACH(it, &r->sockets)
    {
        struct watched *w = LIST_ENTRY(it, struct watched, node);
        if (w->fd == fd) {
            return w;
        }
    }
    return NULL;
}

static struct watched *watch(struct resolve *r, ares_socket_t fd)
{
    struct watched *w = calloc(1, sizeof(*w));

    if (w == NULL || uv_poll_init(io_loop(r->io), &w->poll, fd) != 0) {
        free(w);
        return NULL; /* the question ends by its time-out */
    }
    w->poll.data = w;
    w->r = r;
    w->fd = fd;
    list_init(&w->node);
    list_push_back(&r->sockets, &w->node);
    return w;
}

/* c-ares wants to know of |fd| when it can be read or written; neither: it is about to close it. */
static void on_socket(void *ctx, ares_socket_t fd, int readable, int writable)
{
    struct resolve *r = ctx;
    struct watched *w = watched_find(r, fd);
    int events = (readable != 0 ? UV_READABLE : 0) | (writable != 0 ? UV_WRITABLE : 0);

    if (events != 0) {
        w = w != NULL ? w : watch(r, fd);
        if (w != NULL) {
            (void)uv_poll_start(&w->poll, events, on_ready);
        }
    } else if (w != NULL) {
        (void)uv_poll_stop(&w->poll);
        list_del(&w->node);
        uv_close((uv_handle_t *)&w->poll, on_unwatched);
    }
}

static qudag_err open_channel(struct resolve *r)
{
    struct ares_options o = {.flags = ARES_FLAG_NOSEARCH,
                             .timeout = RESOLVE_TRY_MS,
                             .tries = RESOLVE_TRIES,
                             .sock_state_cb = on_socket,
                             .sock_state_cb_data = r};
    int which = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB;

#ifdef ARES_OPT_UDP_MAX_QUERIES
    o.udp_max_queries =
        1; /* each from a port of its own, which whoever forges answers must guess */
    which |= ARES_OPT_UDP_MAX_QUERIES;
#endif
#ifdef ARES_OPT_QUERY_CACHE
    o.qcache_max_ttl = 0;
    which |= ARES_OPT_QUERY_CACHE;
#endif
    int err = ares_init_options(&r->channel, &o, which);
    if (err == ARES_SUCCESS && r->servers != NULL &&
        (err = ares_set_servers_ports_csv(r->channel, r->servers)) != ARES_SUCCESS) {
        ares_destroy(r->channel);
    }
    r->open = err == ARES_SUCCESS;
    return r->open ? QUDAG_OK : err == ARES_ENOMEM ? QUDAG_ENOMEM : QUDAG_ESYSTEM;
}

/* ------------------------------------------------------------------ answers */

static void on_tell(uv_timer_t *t)
{
    struct resolve *r = t->data;

    while (!list_empty(&r->answers)) {
        struct resolve_answer *a = LIST_ENTRY(r->answers.next, struct resolve_answer, node);
        list_del(&a->node);
        r->n--;
        r->done(r->ctx, a->id, a->err, a->record, a->n);
        free(a);
    }
}

/* |q| has ended and is void; |bytes|: room for all records of its answer.  NULL: nobody wants it, or no memory. */
static struct resolve_answer *ended(struct resolve_question *q, qudag_err err, size_t bytes)
{
    struct resolve *r = q->r;
    struct resolve_answer *a = q->dropped ? NULL : calloc(1, sizeof(*a) + bytes);

    list_del(&q->node);
    r->live -= q->dropped ? 0 : 1;
    if (a != NULL) { /* else the node's time-out tells it */
        a->id = q->id;
        a->err = err;
        list_init(&a->node);
        list_push_back(&r->answers, &a->node);
        (void)uv_timer_start(r->tell, on_tell, 0, 0);
    } else {
        r->n--;
    }
    free(q);
    return a;
}

static qudag_err err_of(int status)
{
    switch (status) {
    case ARES_SUCCESS:
    case ARES_ENODATA:
        return QUDAG_OK;
    case ARES_ENOTFOUND:
        return QUDAG_ENOTFOUND;
    case ARES_ETIMEOUT:
    case ARES_ECONNREFUSED: /* no server there */
        return QUDAG_ETIMEOUT;
    case ARES_ENOMEM:
        return QUDAG_ENOMEM;
    default:
        return QUDAG_EMALFORMED;
    }
}

static void on_addrs(void *ctx, int status, int timeouts, struct ares_addrinfo *found)
{
    struct resolve_question *q = ctx;
    int family = q->kind == NAMES_A ? AF_INET : AF_INET6;
    size_t len = q->kind == NAMES_A ? 4 : 16;
    struct resolve_answer *a = ended(q, err_of(status), NAMES_RECORDS_MAX * len);
    (void)timeouts;

    const struct ares_addrinfo_node *it = found != NULL ? found->nodes : NULL;
    for (; a != NULL && it != NULL && a->n < NAMES_RECORDS_MAX; it = it->ai_next) {
        uint8_t *to = a->bytes + a->n * len;
        if (it->ai_family != family) {
            continue;
        }
        if (family == AF_INET) {
            const struct sockaddr_in *in = (const void *)it->ai_addr;
            memcpy(to, &in->sin_addr, len);
        } else {
            const struct sockaddr_in6 *in6 = (const void *)it->ai_addr;
            memcpy(to, &in6->sin6_addr, len);
        }
        a->record[a->n++] = (struct slice){to, len};
    }
    if (found != NULL) {
        ares_freeaddrinfo(found);
    }
}

/* A record is a row of strings of at most 255 bytes (RFC 1035 3.3.14), which are one text. */
static void take_texts(struct resolve_answer *a, const struct ares_txt_ext *texts)
{
    size_t used = 0, len = 0;

    for (const struct ares_txt_ext *t = texts; t != NULL && a->n < NAMES_RECORDS_MAX; t = t->next) {
        bool last = t->next == NULL || t->next->record_start != 0;
        if (t->record_start != 0) {
            len = 0;
        }
        if (len <= RESOLVE_RECORD_MAX && t->length <= RESOLVE_RECORD_MAX - len) {
            memcpy(a->bytes + used + len, t->txt, t->length);
            len += t->length;
        } else {
            len = RESOLVE_RECORD_MAX + 1; /* left out */
        }
        if (last && len <= RESOLVE_RECORD_MAX) {
            a->record[a->n++] = (struct slice){a->bytes + used, len};
            used += len;
        }
    }
}

static void on_texts(void *ctx, int status, int timeouts, unsigned char *reply, int len)
{
    struct ares_txt_ext *texts = NULL;
    (void)timeouts;

    if (status == ARES_SUCCESS) {
        status = ares_parse_txt_reply_ext(reply, len, &texts);
    }
    struct resolve_answer *a = ended(ctx, err_of(status), NAMES_RECORDS_MAX * RESOLVE_RECORD_MAX);
    if (a != NULL && texts != NULL) {
        take_texts(a, texts);
    }
    if (texts != NULL) {
        ares_free_data(texts);
    }
}

/* ------------------------------------------------------------------ questions */

static uv_timer_t *timer_new(struct resolve *r)
{
    uv_timer_t *t = calloc(1, sizeof(*t));

    if (t != NULL) {
        (void)uv_timer_init(io_loop(r->io), t); /* cannot fail */
        t->data = r;
    }
    return t;
}

static void timer_free(uv_timer_t *t)
{
    if (t != NULL) {
        (void)uv_timer_stop(t);
        uv_close((uv_handle_t *)t, on_freed);
    }
}

qudag_err resolve_new(struct resolve **out, struct io *io, resolve_done done, void *ctx)
{
    struct resolve *r = calloc(1, sizeof(*r));

    *out = NULL;
    if (r == NULL) {
        return QUDAG_ENOMEM;
    }
    if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS) {
        free(r);
        return QUDAG_ESYSTEM;
    }
    r->io = io;
    r->done = done;
    r->ctx = ctx;
    list_init(&r->questions);
    list_init(&r->answers);
    list_init(&r->sockets);
    r->timer = timer_new(r);
    r->tell = timer_new(r);
    if (r->timer == NULL || r->tell == NULL) {
        resolve_free(r);
        return QUDAG_ENOMEM;
    }
    *out = r;
    return QUDAG_OK;
}

void resolve_free(struct resolve *r)
{
    if (r == NULL) {
        return;
    }
    LIST_EACH(it, &r->questions)
    {
        LIST_ENTRY(it, struct resolve_question, node)->dropped = true;
    }
    if (r->open) {
        ares_destroy(r->channel);
    }
    ares_library_cleanup();
    LIST_EACH_SAFE(it, tmp, &r->answers)
    {
        free(LIST_ENTRY(it, struct resolve_answer, node));
    }
    timer_free(r->timer);
    timer_free(r->tell);
    free(r);
}

void resolve_servers(struct resolve *r, const char *csv)
{
    r->servers = csv;
}

qudag_err resolve_add(struct resolve *r, uint64_t id, enum names_kind kind, const char *name)
{
    qudag_err err = r->n >= RESOLVE_QUESTIONS_MAX ? QUDAG_ELIMIT : QUDAG_OK;

    if (err == QUDAG_OK && !r->open) {
        err = open_channel(r);
    }
    struct resolve_question *q = err == QUDAG_OK ? calloc(1, sizeof(*q)) : NULL;
    if (q == NULL) {
        settle(r);
        return err == QUDAG_OK ? QUDAG_ENOMEM : err;
    }
    q->r = r;
    q->id = id;
    q->kind = kind;
    list_init(&q->node);
    list_push_back(&r->questions, &q->node);
    r->n++;
    r->live++;
    bool was = r->inside;
    r->inside = true;
    if (kind == NAMES_TXT) {
        ares_query(r->channel, name, CLASS_IN, TYPE_TXT, on_texts, q);
    } else {
        struct ares_addrinfo_hints hints = {.ai_flags = ARES_AI_NOSORT,
                                            .ai_family = kind == NAMES_A ? AF_INET : AF_INET6};
        ares_getaddrinfo(r->channel, name, NULL, &hints, on_addrs, q);
    }
    r->inside = was;
    settle(r);
    return QUDAG_OK;
}

void resolve_drop(struct resolve *r, uint64_t id)
{
    if (r == NULL) {
        return;
    }
    LIST_EACH_SAFE(it, tmp, &r->answers)
    {
        struct resolve_answer *a = LIST_ENTRY(it, struct resolve_answer, node);
        if (a->id == id) {
            list_del(&a->node);
            r->n--;
            free(a);
        }
    }
    LIST_EACH(it, &r->questions)
    {
        struct resolve_question *q = LIST_ENTRY(it, struct resolve_question, node);
        if (q->id == id && !q->dropped) {
            q->dropped = true;
            r->live--;
        }
    }
    settle(r);
}
