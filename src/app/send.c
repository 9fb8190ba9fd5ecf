/* send.c - qudag_send_*(): what is asked for, and the client that carries all deliveries of a node. */
#include "app/send_int.h"

#include "base/wipe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define WORK_MS 100   /* between two looks at deliveries at work */
#define IDLE_MS 60000 /* and at what is to be forgotten */

static void on_peer(qudag_node *n, const qudag_peer_id *peer, bool up, void *user);
static void on_phase(qudag_node *n, qudag_phase p, uint32_t a, uint32_t b, qudag_err err,
                     void *user);

static const qudag_callbacks callbacks = {.size = sizeof(callbacks),
                                          .stream_data = send_stream_data,
                                          .stream_opened = send_stream_writable,
                                          .stream_writable = send_stream_writable,
                                          .stream_closed = send_stream_closed,
                                          .stream_old = send_stream_old,
                                          .phase = on_phase,
                                          .op_done = send_op_done,
                                          .peer_changed = on_peer};

struct sends *send_of(const qudag_node *n)
{
    return n != NULL ? api_client_user(n, &callbacks) : NULL;
}

static const char *const state_name[] = {
    [QUDAG_SEND_QUEUED] = "queued",         [QUDAG_SEND_RESOLVING] = "resolving",
    [QUDAG_SEND_CONNECTING] = "connecting", [QUDAG_SEND_HASHING] = "hashing",
    [QUDAG_SEND_SENDING] = "sending",       [QUDAG_SEND_CONFIRMING] = "confirming",
    [QUDAG_SEND_RETRYING] = "retrying",     [QUDAG_SEND_DELIVERED] = "delivered",
    [QUDAG_SEND_FAILED] = "failed"};

const char *qudag_send_state_name(qudag_send_state state)
{
    size_t ix = (size_t)state;

    return ix < sizeof(state_name) / sizeof(state_name[0]) ? state_name[ix] : "unknown";
}

/* ------------------------------------------------------------------ time */

static void on_tick(uv_timer_t *t);

/* |soon|: one that was just asked for begins at the next turn of the loop. */
static void run_timer(struct sends *k, bool work, bool soon)
{
    uint64_t ms = work ? WORK_MS : IDLE_MS;

    k->at_work = work;
    (void)uv_timer_start(k->timer, on_tick, soon ? 0 : ms, ms);
}

static void retime(struct sends *k)
{
    if (k->at_work != (k->n > 0)) {
        run_timer(k, k->n > 0, false);
    }
}

static void on_tick(uv_timer_t *t)
{
    struct sends *k = t->data;

    send_tick(k, api_now());
    retime(k);
}

/* Circuits can be built for the first time: what was asked for before waits no longer. */
static void on_phase(qudag_node *n, qudag_phase p, uint32_t a, uint32_t b, qudag_err err,
                     void *user)
{
    struct sends *k = user;
    (void)n, (void)a, (void)b, (void)err;

    if (p == QUDAG_PHASE_READY && !k->ready) {
        k->ready = true;
        send_network_back(k);
    }
}

static void on_peer(qudag_node *n, const qudag_peer_id *peer, bool up, void *user)
{
    struct sends *k = user;
    (void)n;
    (void)peer;

    bool back = up && k->n_peers == 0;
    k->n_peers = up ? k->n_peers + 1 : k->n_peers - (k->n_peers > 0);
    if (back) {
        send_network_back(k);
    }
}

/* ------------------------------------------------------------------ the life of all */

static void on_timer_closed(uv_handle_t *h)
{
    free(h);
}

static void on_end(void *user)
{
    struct sends *k = user;

    for (struct send_out *s = k->first; s != NULL;) {
        struct send_out *next = s->next;
        send_free(s);
        s = next;
    }
    uv_close((uv_handle_t *)k->timer, on_timer_closed);
    mem_free_wiped(api_mem(k->node), k); /* what was unsent, too */
}

static void count_peers(struct sends *k)
{
    qudag_link_info info = QUDAG_INIT(qudag_link_info);

    for (size_t it = 0; qudag_link_next(k->node, &it, &info);) {
        k->n_peers += info.state == QUDAG_LINK_UP;
    }
}

/* The deliveries of |n|, made at the first; a node without any has no client for them. */
static qudag_err sends_of(qudag_node *n, struct sends **out)
{
    struct sends *k = send_of(n);

    *out = k;
    if (k != NULL) {
        return QUDAG_OK;
    }
    k = mem_alloc(api_mem(n), sizeof(*k));
    uv_timer_t *timer = calloc(1, sizeof(*timer));
    qudag_err err = k != NULL && timer != NULL
                        ? api_client_new(&k->client, n, &callbacks, on_end, k)
                        : QUDAG_ENOMEM;
    if (err != QUDAG_OK) {
        mem_free(api_mem(n), k);
        free(timer);
        return err;
    }
    k->node = n;
    k->timer = timer;
    timer->data = k;
    (void)uv_timer_init(api_loop(n), timer); /* cannot fail */
    k->ready = qudag_node_phase(n) == QUDAG_PHASE_READY;
    count_peers(k);
    *out = k;
    return QUDAG_OK;
}

/* ------------------------------------------------------------------ what is asked for */

/* Whether |addr|, in small or capital letters, is a dark address of this node. */
static bool is_own(const qudag_node *n, const char *addr)
{
    qudag_dark_info info = QUDAG_INIT(qudag_dark_info);
    for (size_t it = 0; qudag_dark_next(n, &it, &info);) {
        if (strcasecmp(info.addr, addr) == 0) {
            return true;
        }
    }
    return false;
}

static qudag_err check(const qudag_node *n, const char *addr, const qudag_send_options *o,
                       qudag_send_options *full)
{
    qudag_peer_id self;

    *full = (qudag_send_options)QUDAG_INIT(qudag_send_options);
    if (n == NULL) {
        return QUDAG_EINVAL;
    }
    qudag_err err = o != NULL ? api_sized_in(full, sizeof(*full), o) : QUDAG_OK;
    if (err == QUDAG_OK &&
        (full->isolation_len > QUDAG_ISOLATION_MAX || (addr == NULL) == (full->peer == NULL))) {
        err = QUDAG_EINVAL;
    }
    if (err == QUDAG_OK && full->peer != NULL) {
        qudag_node_peer_id(n, &self);
        bool other =
            self.len != full->peer->len || memcmp(self.bytes, full->peer->bytes, self.len) != 0;
        return other && full->peer->len > 0 ? QUDAG_OK : QUDAG_EINVAL;
    }
    if (err == QUDAG_OK) {
        err = qudag_dark_check(addr);
    }
    return err == QUDAG_OK && is_own(n, addr) ? QUDAG_EINVAL : err;
}

/* A delivery that is not yet in the list. */
static qudag_err out_new(struct send_out **out, struct sends *k, const char *addr,
                         const qudag_send_options *o)
{
    struct send_out *s = k->n < QUDAG_SENDS_MAX ? mem_alloc(api_mem(k->node), sizeof(*s)) : NULL;

    if (s == NULL) {
        return k->n < QUDAG_SENDS_MAX ? QUDAG_ENOMEM : QUDAG_ELIMIT;
    }
    s->k = k;
    s->job = transfer_job_new(s);
    if (s->job == NULL) {
        send_free(s);
        return QUDAG_ENOMEM;
    }
    s->changed = o->changed;
    s->user = o->user;
    s->again = o->again;
    s->begun_ns = s->heard_ns = s->progress_ns = api_now();
    if (o->peer != NULL) {
        s->peer = *o->peer;
        s->been.named = true;
        qudag_peer_id_text(&s->peer, s->addr);
    } else {
        (void)snprintf(s->addr, sizeof(s->addr), "%s", addr);
    }
    s->options = (qudag_dark_options)QUDAG_INIT(qudag_dark_options);
    s->options.local_user = o->local_user;
    s->shares = o->isolation_len != 0;
    s->options.isolation_len = s->shares ? o->isolation_len : QUDAG_ISOLATION_MAX;
    if (s->shares) {
        memcpy(s->options.isolation, o->isolation, o->isolation_len);
    } else {
        api_random(s->options.isolation, sizeof(s->options.isolation));
    }
    *out = s;
    return QUDAG_OK;
}

static void add(struct sends *k, struct send_out *s, qudag_send *out)
{
    s->been.size = s->offer.size;
    s->id = ++k->last_id;
    s->next = k->first;
    k->first = s;
    k->n++;
    if (out != NULL) {
        out->id = s->id;
    }
    run_timer(k, true, true);
}

/* As much of the name as fits, whole characters only. */
static void put_name(char out[QUDAG_NAME_MAX + 1], const char *name)
{
    size_t len = strnlen(name, QUDAG_NAME_MAX + 1);

    if (len > QUDAG_NAME_MAX) {
        len = QUDAG_NAME_MAX;
        while (len > 0 && ((unsigned char)name[len] & 0xc0) == 0x80) {
            len--;
        }
    }
    memcpy(out, name, len);
    out[len] = '\0';
}

qudag_err qudag_send_message(qudag_node *n, const char *addr, qudag_slice text,
                             const qudag_send_options *o, qudag_send *out)
{
    qudag_send_options full;
    struct send_out *s;
    struct sends *k;

    qudag_err err = check(n, addr, o, &full);
    if (err == QUDAG_OK && text.base == NULL && text.len > 0) {
        err = QUDAG_EINVAL;
    }
    if (err == QUDAG_OK && text.len > QUDAG_MESSAGE_MAX) {
        err = QUDAG_ETOOBIG;
    }
    if (err == QUDAG_OK) {
        err = sends_of(n, &k);
    }
    if (err == QUDAG_OK) {
        err = out_new(&s, k, addr, &full);
    }
    if (err != QUDAG_OK) {
        return err;
    }
    s->block = mem_alloc(api_mem(n), text.len + 1);
    if (s->block == NULL) {
        send_free(s);
        return QUDAG_ENOMEM;
    }
    if (text.len > 0) {
        memcpy(s->block, text.base, text.len);
    }
    s->block_len = text.len;
    s->offer.kind = TRANSFER_MESSAGE;
    s->offer.size = text.len;
    add(k, s, out);
    return QUDAG_OK;
}

qudag_err qudag_send_fd(qudag_node *n, const char *addr, int fd, const qudag_send_options *o,
                        qudag_send *out)
{
    qudag_send_options full;
    struct send_out *s;
    struct sends *k;
    struct stat st;

    qudag_err err = check(n, addr, o, &full);
    if (err == QUDAG_OK && (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))) {
        err = QUDAG_ESYSTEM;
    }
    if (err == QUDAG_OK) {
        err = sends_of(n, &k);
    }
    if (err == QUDAG_OK) {
        err = out_new(&s, k, addr, &full);
    }
    if (err != QUDAG_OK) {
        return err;
    }
    s->job->fd = fd;
    s->at_start = st;
    s->offer.kind = TRANSFER_FILE;
    s->offer.size = (uint64_t)st.st_size;
    put_name(s->offer.name, full.name == NULL ? "file" : full.name);
    add(k, s, out);
    return QUDAG_OK;
}

qudag_err qudag_send_file(qudag_node *n, const char *addr, const char *path,
                          const qudag_send_options *o, qudag_send *out)
{
    qudag_send_options full;

    qudag_err err = path != NULL ? check(n, addr, o, &full) : QUDAG_EINVAL;
    if (err != QUDAG_OK) {
        return err;
    }
    const char *slash = strrchr(path, '/');
    full.name = full.name != NULL ? full.name : slash != NULL ? slash + 1 : path;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC); /* a FIFO would wait for a writer */
    if (fd < 0) {
        return QUDAG_ESYSTEM;
    }
    err = qudag_send_fd(n, addr, fd, &full, out);
    if (err != QUDAG_OK) {
        (void)close(fd);
    }
    return err;
}

/* The one of that handle; NULL: it has ended. */
static struct send_out *find(const struct sends *k, qudag_send handle)
{
    struct send_out *s = k != NULL ? k->first : NULL;

    while (s != NULL && (s->id != handle.id || s->state == OUT_ENDED)) {
        s = s->next;
    }
    return s;
}

qudag_err qudag_send_cancel(qudag_node *n, qudag_send handle)
{
    struct sends *k = send_of(n);
    struct send_out *s = find(k, handle);

    if (s == NULL) {
        return QUDAG_ESTALE;
    }
    send_enter_call(k);
    send_remember(s);
    send_finish(s);
    send_leave_call(k);
    return QUDAG_OK;
}

qudag_err qudag_send_status(const qudag_node *n, qudag_send handle, qudag_send_info *out)
{
    const struct sends *k = send_of(n);
    const struct send_out *s = find(k, handle);
    qudag_send_info full = {.size = sizeof(full)};

    if (n == NULL || out == NULL) {
        return QUDAG_EINVAL;
    }
    if (s == NULL) {
        return QUDAG_ESTALE;
    }
    send_describe(&full, s);
    return api_sized_out(out, &full, sizeof(full)) ? QUDAG_OK : QUDAG_EINVAL;
}
