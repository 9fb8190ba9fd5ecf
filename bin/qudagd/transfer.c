/* transfer.c - the commands send and inbox. */
#include "transfer.h"

#include "isolate.h"
#include "proxy.h"
#include "reach.h"
#include "report.h"

#include <string.h>

/* ------------------------------------------------------------------ how a delivery stands */

/* The circuit of that id; false: there is none. */
static bool circuit_of(const qudag_node *n, uint64_t id, qudag_circuit_info *out)
{
    size_t it = 0;
    while (id != 0 && qudag_circuit_next(n, &it, out)) {
        if (out->circuit.id == id) {
            return true;
        }
    }
    return false;
}

/* The relays between us and the receiver; to a hidden one those of our half, up to where both meet. */
static void rec_path(struct rec *r, const qudag_node *n, qudag_circuit circuit)
{
    qudag_circuit_info info = QUDAG_INIT(qudag_circuit_info);
    bool known = circuit_of(n, circuit.id, &info) &&
                 (info.carrier.id == 0 || circuit_of(n, info.carrier.id, &info));
    for (size_t ix = 0; known && ix < info.hops_wanted && ix < QUDAG_HOPS_MAX; ix++) {
        rec_peer(r, "path", &info.path[ix]);
    }
}

/* Over which link a peer gets it. */
static void rec_link(struct rec *r, const qudag_send_info *i)
{
    rec_peer(r, "peer", &i->peer);
    rec_int(r, "moves", i->moves);
    if (i->direct || i->relayed) {
        rec_str(r, "over", i->direct ? "direct" : "relay");
    }
    if (i->relay.len > 0) {
        rec_peer(r, "relay", &i->relay);
    }
}

/* What helps where no link leads to the peer, though the DHT was asked for it; NULL: something else failed. */
static const char *unlinked_hint(const qudag_node *n, const qudag_send_info *i)
{
    bool unlinked = i->peer.len > 0 && i->err == QUDAG_EUNREACHABLE && !i->direct && !i->relayed;
    bool asked = i->attempts > 1 && qudag_node_phase(n) >= QUDAG_PHASE_ANNOUNCE;
    return unlinked && asked && i->acked == 0 ? REACH_FOUND_HINT : NULL;
}

static void report(struct request *rq, const qudag_send_info *i)
{
    bool delivered = i->state == QUDAG_SEND_DELIVERED;
    const char *hint = unlinked_hint(rq->d->node, i);
    struct rec *r = request_rec(rq, delivered ? REC_ROW : REC_PROGRESS);
    rec_str(r, "state", qudag_send_state_name(i->state));
    rec_str(r, "kind", i->file ? "file" : "message");
    rec_str(r, "name", i->name);
    rec_int(r, "size", (int64_t)i->bytes);
    rec_int(r, "acked", (int64_t)i->acked);
    if (i->state == QUDAG_SEND_HASHING) {
        rec_int(r, "hashed", (int64_t)i->hashed);
    }
    rec_int(r, "resumed", (int64_t)i->resumed);
    rec_int(r, "streams", i->attempts);
    rec_int(r, "elapsed_ns", (int64_t)i->elapsed);
    if (i->sending != 0) {
        rec_int(r, "sending_ns", (int64_t)i->sending);
    }
    if (i->err != QUDAG_OK) {
        rec_str(r, "last_error", qudag_err_name(i->err));
        rec_str(r, "last_reason", i->why);
        rec_int(r, "left_ns", (int64_t)i->left);
        if (hint != NULL) {
            rec_str(r, "last_hint", hint);
        }
    }
    if (i->peer.len > 0) {
        rec_link(r, i);
    } else {
        rec_path(r, rq->d->node, i->circuit);
        rec_diversity(r, rq->d->node);
    }
    if (delivered) {
        char hex[2 * QUDAG_SEND_HASH_LEN + 1];
        text_hex(hex, i->hash, QUDAG_SEND_HASH_LEN);
        rec_str(r, "hash", hex); /* both ends' */
    }
    request_send(rq);
}

/* What the tool says of an end; those without a row are told by their error. */
static const struct {
    enum tool_exit code;
    const char *error, *hint;
} ends[] = {
    [QUDAG_SEND_END_REFUSED] = {TOOL_REFUSED, "QUDAG_EREFUSED",
                                "only the receiver can change that"},
    [QUDAG_SEND_END_OTHER_NETWORK] = {TOOL_USAGE, "QUDAG_EUNSUPPORTED", DARK_OTHER_NETWORK_HINT},
    [QUDAG_SEND_END_READ] = {TOOL_FAILED, "READ", "send it again when no program is writing to it"},
    [QUDAG_SEND_END_CHANGED] = {TOOL_FAILED, "FILE_CHANGED",
                                "send it again when no program is writing to it"},
    [QUDAG_SEND_END_DAMAGED] = {TOOL_REFUSED, "HASH_DIFFERS",
                                "the file did not change; the receiver or the path to it is "
                                "faulty"},
    [QUDAG_SEND_END_OTHER_HASH] = {TOOL_FAILED, "HASH_DIFFERS", "send it again"},
    [QUDAG_SEND_END_LOST] = {TOOL_FAILED, "RECEIVER_LOST", "send it again: all of it is sent then"},
};

#define PEER_REFUSED_HINT                                                                          \
    "only the receiver can change that; to allow this node: there, qudag peer allow with the "     \
    "line \"peer\" of qudag status here"

static void fail(struct request *rq, const qudag_send_info *i)
{
    size_t end = (size_t)i->end;
    if (i->end == QUDAG_SEND_END_BUSY) {
        request_end(rq, exit_of(i->err), qudag_err_name(i->err), i->why, "try again later");
    } else if (i->end == QUDAG_SEND_END_REFUSED && i->peer.len > 0) {
        request_end(rq, TOOL_REFUSED, ends[end].error, i->why, PEER_REFUSED_HINT);
    } else if (end < sizeof(ends) / sizeof(ends[0]) && ends[end].error != NULL) {
        request_end(rq, ends[end].code, ends[end].error, i->why, ends[end].hint);
    } else if (unlinked_hint(rq->d->node, i) != NULL) {
        request_end(rq, exit_of(i->err), qudag_err_name(i->err), i->why, REACH_FOUND_HINT);
    } else {
        request_end_said(rq, i->err, i->why);
    }
}

/* Nothing of |rq| is left to give up. */
static void over(struct request *rq)
{
    rq->send.id = 0;
    rq->abandon = NULL;
}

static void on_changed(qudag_node *n, qudag_send s, const qudag_send_info *info, void *user)
{
    struct request *rq = user;
    (void)n;
    (void)s;
    if (info->state == QUDAG_SEND_FAILED) {
        over(rq);
        fail(rq, info);
        return;
    }
    report(rq, info);
    if (info->state == QUDAG_SEND_DELIVERED) {
        over(rq);
        request_end(rq, TOOL_OK, "", "", "");
    }
}

/* ------------------------------------------------------------------ the request */

/* What the library refused at once. */
static void refuse(struct request *rq, qudag_err err, const char *addr)
{
    static const char *const example = "qudag help send shows an example";
    if (addr != NULL && qudag_dark_check(addr) != QUDAG_OK) {
        request_end_err(rq, err, addr);
    } else if (err == QUDAG_EINVAL) {
        request_end(rq, TOOL_USAGE, "QUDAG_EINVAL",
                    addr != NULL ? "that is an address of this node itself"
                                 : "that is the peer id of this node itself",
                    "send from another node");
    } else if (err == QUDAG_ETOOBIG) {
        request_end(rq, TOOL_USAGE, "QUDAG_EINVAL",
                    "a message may have at most 32 KiB; send it as a file", example);
    } else if (err == QUDAG_ESYSTEM) {
        request_end(rq, TOOL_USAGE, "QUDAG_EINVAL", "only regular files can be sent", example);
    } else {
        request_end_err(rq, err, "send");
    }
}

/* The isolation key of the request: none, unless the user named one.  False: a name that is none. */
static bool take_isolation(qudag_send_options *o, const struct request *rq)
{
    const char *name = rec_get_str(&rq->args, "isolate");
    if (name == NULL) {
        return true;
    }
    if (name[0] == 0 || strlen(name) > ISOLATE_TEXT_MAX) {
        return false;
    }
    isolate_key(o->isolation, rq->uid, name);
    o->isolation_len = QUDAG_ISOLATION_MAX;
    return true;
}

static void abandon(struct request *rq)
{
    qudag_send send = rq->send;
    over(rq);
    (void)qudag_send_cancel(rq->d->node, send);
    request_end(rq, TOOL_FAILED, "", "", "");
}

void transfer_send(struct request *rq)
{
    qudag_send_options o = QUDAG_INIT(qudag_send_options);
    struct rec_field message;
    const char *text = rec_get_str(&rq->args, "address");
    if (text == NULL) {
        request_end_err(rq, QUDAG_EINVAL, "send");
        return;
    }
    qudag_peer_id peer;
    bool to_peer = qudag_peer_id_parse(&peer, text) == QUDAG_OK;
    const char *addr = to_peer ? NULL : proxy_address(rq, text);
    if (addr == NULL && !to_peer) { /* the request has ended, and is gone */
        return;
    }
    o.peer = to_peer ? &peer : NULL;
    if (!take_isolation(&o, rq)) {
        request_end(rq, TOOL_USAGE, "QUDAG_EINVAL",
                    "the name of an isolation key has 1 to 64 bytes",
                    "qudag help send shows an example");
        return;
    }
    o.local_user = rq->uid;
    o.name = rec_get_str(&rq->args, "name");
    o.again = rec_get_bool(&rq->args, "again");
    o.changed = on_changed;
    o.user = rq;
    qudag_err err;
    if (rec_find(&rq->args, "message", REC_BYTES, &message)) {
        err = qudag_send_message(rq->d->node, addr, (qudag_slice){message.bytes, message.len}, &o,
                                 &rq->send);
    } else {
        err = qudag_send_fd(rq->d->node, addr, rq->fd, &o, &rq->send);
        rq->fd = err == QUDAG_OK ? -1 : rq->fd;
    }
    if (err != QUDAG_OK) {
        refuse(rq, err, addr);
        return;
    }
    rq->abandon = abandon; /* nothing is told of a delivery in the call that begins it */
}

/* ------------------------------------------------------------------ the inbox */

int transfer_begin(struct daemon *d)
{
    qudag_inbox_options o = QUDAG_INIT(qudag_inbox_options);
    char dir[PATH_LEN], why[QUDAG_INBOX_WHY_MAX];
    const char *set = d->conf.v[CONF_INBOX_DIR].text;
    const struct conf_value *set_from = &d->conf.v[CONF_INBOX_FROM];
    qudag_peer_id from[CONF_LIST_MAX];
    uint64_t file_max = (uint64_t)d->conf.v[CONF_INBOX_FILE_MAX].num;
    if (!path_join(dir, d->state.dir, "inbox")) {
        (void)snprintf(d->state.why, sizeof(d->state.why), "the path of the inbox is too long");
        return DAEMON_FAILED;
    }
    o.dir = set[0] != 0 ? set : dir;
    o.size_max = (uint64_t)d->conf.v[CONF_INBOX_SIZE_MAX].num;
    o.closed = o.size_max == 0;
    o.file_max = file_max == 0 ? 1 : file_max; /* 0 is the default there */
    o.from = from;
    for (size_t ix = 0; ix < set_from->n; ix++) {
        if (qudag_peer_id_parse(&from[o.n_from], set_from->list[ix]) == QUDAG_OK) {
            o.n_from++;
        }
    }
    qudag_err err = qudag_inbox_open(d->node, &o, why, sizeof(why));
    if (err != QUDAG_OK) {
        (void)snprintf(d->state.why, sizeof(d->state.why), "%s%s",
                       why[0] != 0 ? why : qudag_strerror(err),
                       err == QUDAG_ESYSTEM ? "; [inbox] dir names another folder" : "");
        return DAEMON_FAILED;
    }
    return DAEMON_OK;
}

void transfer_inbox(struct request *rq)
{
    qudag_inbox_item i = QUDAG_INIT(qudag_inbox_item);
    for (size_t it = 0; qudag_inbox_next(rq->d->node, &it, &i);) {
        char hash[2 * QUDAG_INBOX_HASH_LEN + 1], when[32], path[QUDAG_INBOX_PATH_MAX];
        if (qudag_inbox_path(rq->d->node, i.name, path, sizeof(path)) != QUDAG_OK) {
            continue;
        }
        text_hex(hash, i.hash, QUDAG_INBOX_HASH_LEN);
        text_time(when, i.time_ms);
        struct rec *r = request_rec(rq, REC_ROW);
        rec_str(r, "time", when);
        rec_str(r, "kind", i.file ? "file" : "message");
        if (i.from.len > 0) {
            rec_peer(r, "from", &i.from);
        } else {
            rec_str(r, "from", "anonymous");
        }
        rec_str(r, "to", i.to);
        rec_str(r, "name", i.name);
        rec_int(r, "size", (int64_t)i.bytes);
        rec_str(r, "hash", hash);
        rec_str(r, "file", path);
        request_send(rq);
    }
    request_end_err(rq, QUDAG_OK, "");
}
