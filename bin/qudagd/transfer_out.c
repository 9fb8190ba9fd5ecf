/*
 * transfer_out.c - a transfer out, from the request of the tool to its answer.
 */
#include "transfer_out.h"

#include "isolate.h"
#include "proxy.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

static const char *const state_name[] = {"queued",  "connecting", "hashing", "connecting",
                                         "sending", "confirming", "retrying"};

bool transfer_out_find(struct transfers *k, const struct transfer_out *s)
{
    const struct transfer_out *at = k->sends;
    while (at != NULL && at != s) {
        at = at->next;
    }
    return at != NULL;
}

void transfer_out_unlink(struct transfer_out *s)
{
    struct transfers *k = s->k;
    for (struct transfer_out **at = &k->sends; *at != NULL; at = &(*at)->next) {
        if (*at == s) {
            *at = s->next;
            k->n_sends--;
            break;
        }
    }
    if (s->fd >= 0) {
        close(s->fd);
    }
    free(s->block);
    explicit_bzero(s, sizeof(*s)); /* the id above all */
    free(s);
}

void transfer_out_drop_stream(struct transfer_out *s)
{
    if (s->streaming) {
        s->streaming = false;
        qudag_stream_reset(s->k->d->node, s->stream, QUDAG_ECANCELED);
    }
}

/* Nobody else may use the circuit of |s|: it is closed, unless it is gone. */
void transfer_out_drop_circuit(struct transfer_out *s)
{
    qudag_err err = s->circuit.id == 0 ? QUDAG_OK : qudag_circuit_close(s->k->d->node, s->circuit);
    if (err != QUDAG_OK && err != QUDAG_ESTALE) {
        log_say(&s->k->d->log, QUDAG_LOG_DEBUG, "transfer.close", "%s", qudag_strerror(err));
    }
    s->circuit.id = 0;
}

/* The request is answered before; a hash at work is waited for. */
static void finish(struct transfer_out *s)
{
    transfer_out_drop_stream(s);
    if (!s->shares) {
        transfer_out_drop_circuit(s);
    }
    s->rq = NULL;
    if (s->job.busy) {
        atomic_store(&s->job.stop, true);
        return;
    }
    transfer_out_unlink(s);
}

void transfer_out_fail(struct transfer_out *s, enum tool_exit code, const char *error,
                       const char *message, const char *hint)
{
    if (s->rq != NULL) {
        s->rq->job = NULL;
        s->rq->abandon = NULL;
        request_end(s->rq, code, error, message, hint);
    }
    finish(s);
}

/* It may go on when the same file is sent again: its id is remembered for a while. */
void transfer_out_remember(const struct transfer_out *s)
{
    if (s->hashed && s->offer.kind == TRANSFER_FILE) {
        struct unsent at = {.confirmed = s->been.confirmed, .sent = s->been.sent};
        memcpy(at.id, s->offer.id, sizeof(at.id));
        unsent_put(&s->k->unsent, &s->what, &at, mono_ns());
    }
}

void transfer_out_fail_err(struct transfer_out *s, qudag_err err, const char *what)
{
    transfer_out_remember(s);
    if (s->rq != NULL) {
        s->rq->job = NULL;
        s->rq->abandon = NULL;
        request_end_err(s->rq, err, what);
    }
    finish(s);
}

/* ------------------------------------------------------------------ telling */

/* What is known of the stream; false: there is none. */
bool transfer_out_stream_of(const struct transfer_out *s, qudag_stream_state *info)
{
    return s->streaming && qudag_stream_info(s->k->d->node, s->stream, info) == QUDAG_OK;
}

/* The relays between us and the receiver. */
static void rec_path(struct rec *r, const struct transfer_out *s)
{
    qudag_stream_state stream = QUDAG_INIT(qudag_stream_state);
    qudag_circuit_info info = QUDAG_INIT(qudag_circuit_info);
    size_t it = 0;
    bool more = transfer_out_stream_of(s, &stream) && stream.circuit.id != 0;
    while (more && (more = qudag_circuit_next(s->k->d->node, &it, &info)) &&
           info.circuit.id != stream.circuit.id) {
    }
    for (size_t ix = 0; more && ix < info.hops_wanted && ix < QUDAG_HOPS_MAX; ix++) {
        rec_peer(r, "path", &info.path[ix]);
    }
}

void transfer_out_report(struct transfer_out *s, enum rec_type type)
{
    struct request *rq = s->rq;
    if (rq == NULL) {
        return;
    }
    char why[160];
    struct rec *r = request_rec(rq, type);
    bool resolving = (s->state == OUT_OFFERED || s->state == OUT_ASKING) && !s->on_circuit;
    rec_str(r, "state",
            type == REC_ROW ? "delivered"
            : resolving     ? "resolving"
                            : state_name[s->state]);
    rec_str(r, "kind", s->offer.kind == TRANSFER_FILE ? "file" : "message");
    rec_str(r, "name", s->offer.name);
    rec_int(r, "size", (int64_t)s->offer.size);
    rec_int(r, "acked", (int64_t)s->acked);
    if (s->state == OUT_HASHING) {
        rec_int(r, "hashed", (int64_t)atomic_load(&s->job.hashed));
    }
    rec_int(r, "resumed", (int64_t)s->resumed);
    rec_int(r, "streams", s->been.attempts);
    rec_int(r, "elapsed_ns", (int64_t)(mono_ns() - s->begun_ns));
    if (s->sent_ns != 0) {
        rec_int(r, "sending_ns", (int64_t)(mono_ns() - s->sent_ns));
    }
    if (s->last != QUDAG_OK) {
        uint64_t silent_ns = mono_ns() - s->progress_ns;
        rec_str(r, "last_error", qudag_err_name(s->last));
        transfer_why_text(why, sizeof(why), s);
        rec_str(r, "last_reason", why);
        rec_int(r, "left_ns",
                silent_ns < RULES_GIVE_UP_S * NS_PER_S
                    ? (int64_t)(RULES_GIVE_UP_S * NS_PER_S - silent_ns)
                    : 0);
    }
    rec_path(r, s);
    rec_diversity(r, s->k->d->node);
    if (type == REC_ROW) {
        char hex[2 * TRANSFER_HASH_LEN + 1];
        text_hex(hex, s->offer.hash, TRANSFER_HASH_LEN);
        rec_str(r, "hash", hex); /* both ends' */
    }
    request_send(rq);
}

/* ------------------------------------------------------------------ the request */

/* The oldest that waits begins when there is room: those that cannot reach anybody now are in nobody's way. */
void transfer_out_next_turn(struct transfers *k)
{
    unsigned at_work = 0;
    struct transfer_out *oldest = NULL;
    for (struct transfer_out *s = k->sends; s != NULL; s = s->next) {
        at_work += s->state != OUT_QUEUED && s->state != OUT_PAUSED;
        oldest = s->state == OUT_QUEUED ? s : oldest; /* the newest comes first in the list */
    }
    if (oldest != NULL && at_work < TRANSFER_SENDS_MAX) {
        oldest->progress_ns = mono_ns();
        if (oldest->offer.kind == TRANSFER_FILE && oldest->offer.size >= TRANSFER_ASK_MIN) {
            transfer_out_begin(oldest);
        } else {
            transfer_out_hash(oldest);
        }
    }
}

/* What shall be sent: from the request into |s|.  NULL, or what is wrong. */
static const char *take_content(struct transfer_out *s, struct request *rq)
{
    struct rec_field message;
    struct stat st;
    const char *name = rec_get_str(&rq->args, "name");
    if (rec_find(&rq->args, "message", REC_BYTES, &message)) {
        if (message.len > TRANSFER_MESSAGE_MAX) {
            return "a message may have at most 32 KiB; send it as a file";
        }
        s->offer.kind = TRANSFER_MESSAGE;
        s->offer.size = message.len;
        s->block = malloc(message.len + 1);
        if (s->block == NULL) {
            return "out of memory";
        }
        memcpy(s->block, message.bytes, message.len);
        s->block_len = message.len;
        return NULL;
    }
    if (rq->fd < 0 || fstat(rq->fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        return "only regular files can be sent";
    }
    s->fd = rq->fd;
    s->at_start = st;
    rq->fd = -1;
    s->offer.kind = TRANSFER_FILE;
    s->offer.size = (uint64_t)st.st_size;
    (void)snprintf(s->offer.name, sizeof(s->offer.name), "%s", name == NULL ? "file" : name);
    return NULL;
}

/* The isolation key of the request: of its own, unless the user named one.  False: a name that is none. */
static bool take_isolation(struct transfer_out *s, const struct request *rq)
{
    const char *name = rec_get_str(&rq->args, "isolate");
    uint8_t random[QUDAG_ISOLATION_MAX];
    if ((name != NULL && (name[0] == 0 || strlen(name) > ISOLATE_TEXT_MAX)) ||
        uv_random(NULL, NULL, random, sizeof(random), 0, NULL) != 0) {
        return false;
    }
    s->shares = name != NULL;
    isolate_key(&s->options, rq->uid, name, random);
    return true;
}

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

void transfer_send(struct request *rq)
{
    struct transfers *k = rq->d->transfers;
    const char *addr = proxy_address(rq, rec_get_str(&rq->args, "address"));
    if (addr == NULL && rec_get_str(&rq->args, "address") != NULL) {
        return;
    }
    qudag_err err = addr == NULL ? QUDAG_EINVAL : qudag_dark_check(addr);
    if (err != QUDAG_OK) {
        request_end_err(rq, err, addr == NULL ? "send" : addr);
        return;
    }
    if (is_own(rq->d->node, addr)) {
        request_end(rq, TOOL_USAGE, "QUDAG_EINVAL", "that is an address of this node itself",
                    "send from another node");
        return;
    }
    struct transfer_out *s = calloc(1, sizeof(*s));
    if (s == NULL) {
        request_end_err(rq, QUDAG_ENOMEM, "send");
        return;
    }
    s->k = k;
    s->fd = -1;
    s->begun_ns = s->heard_ns = mono_ns();
    (void)snprintf(s->addr, sizeof(s->addr), "%s", addr);
    const char *wrong = take_content(s, rq);
    if (wrong != NULL) {
        free(s->block);
        free(s);
        request_end(rq, TOOL_USAGE, "QUDAG_EINVAL", wrong, "qudag help send shows an example");
        return;
    }
    s->been.size = s->offer.size;
    if (!take_isolation(s, rq)) {
        transfer_out_unlink(s);
        request_end(rq, TOOL_USAGE, "QUDAG_EINVAL",
                    "the name of an isolation key has 1 to 64 bytes",
                    "qudag help send shows an example");
        return;
    }
    s->rq = rq;
    rq->job = s;
    rq->abandon = transfer_abandon;
    s->next = k->sends;
    k->sends = s;
    k->n_sends++;
    transfer_out_report(s, REC_PROGRESS); /* queued */
    transfer_out_next_turn(k);
}

void transfer_abandon(struct request *rq)
{
    transfer_out_remember(rq->job);
    transfer_out_fail(rq->job, TOOL_FAILED, "", "", "");
}

void transfer_out_free_all(struct transfers *k)
{
    while (k->sends != NULL) {
        transfer_out_unlink(k->sends);
    }
    unsent_expire(&k->unsent, UINT64_MAX);
}
