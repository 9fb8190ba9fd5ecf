/* requests.c - everything that ends in op_done. */
#include "api/internal.h"

#include "crypto/hash.h"

#include <string.h>

static qudag_err ask(qudag_node *n, const struct node_request *r, qudag_op *op)
{
    struct ref ref;
    qudag_err err = node_request(n->node, r, &ref);

    if (err == QUDAG_OK) {
        op->id = ref_out(ref);
    }
    return err;
}

qudag_err qudag_connect(qudag_node *n, const char *multiaddr, qudag_op *op)
{
    struct node_request r = {.kind = NODE_OP_CONNECT};
    struct api_addr a;

    if (n == NULL || multiaddr == NULL || op == NULL) {
        return QUDAG_EINVAL;
    }
    qudag_err err = api_addr_read(&a, multiaddr, QUDAG_ADDR_DIAL, NULL, 0);
    if (err != QUDAG_OK) {
        return err;
    }
    r.addr = a.addr;
    r.has_pq = a.has_pq;
    memcpy(r.pq_hash, a.pq_hash, sizeof(r.pq_hash));
    return ask(n, &r, op);
}

qudag_err qudag_disconnect(qudag_node *n, const qudag_peer_id *peer)
{
    struct peer_id p;

    if (n == NULL || !api_peer_in(&p, peer)) {
        return QUDAG_EINVAL;
    }
    node_disconnect(n->node, &p);
    return QUDAG_OK;
}

qudag_err qudag_peer_tag(qudag_node *n, const qudag_peer_id *peer, const char *tag, int32_t weight)
{
    struct peer_id p;

    return n == NULL || tag == NULL || !api_peer_in(&p, peer)
               ? QUDAG_EINVAL
               : swarm_peer_tag(node_swarm(n->node), &p, tag, weight);
}

qudag_err qudag_peer_protect(qudag_node *n, const qudag_peer_id *peer, const char *tag)
{
    struct peer_id p;

    return n == NULL || tag == NULL || strcmp(tag, NODE_KEEP_TAG) == 0 || !api_peer_in(&p, peer)
               ? QUDAG_EINVAL
               : swarm_peer_protect(node_swarm(n->node), &p, tag);
}

/* Of a tag, or of a protection. */
static qudag_err untag(qudag_node *n, const qudag_peer_id *peer, const char *tag, bool protection)
{
    struct peer_id p;

    if (n == NULL || tag == NULL || !api_peer_in(&p, peer) || !swarm_tag_name_valid(tag) ||
        (protection && strcmp(tag, NODE_KEEP_TAG) == 0)) {
        return QUDAG_EINVAL;
    }
    return swarm_peer_untag(node_swarm(n->node), &p, tag, protection);
}

qudag_err qudag_peer_untag(qudag_node *n, const qudag_peer_id *peer, const char *tag)
{
    return untag(n, peer, tag, false);
}

qudag_err qudag_peer_unprotect(qudag_node *n, const qudag_peer_id *peer, const char *tag)
{
    return untag(n, peer, tag, true);
}

qudag_err qudag_ping(qudag_node *n, const qudag_peer_id *peer, qudag_op *op)
{
    struct node_request r = {.kind = NODE_OP_PING};

    if (n == NULL || op == NULL || !api_peer_in(&r.peer, peer)) {
        return QUDAG_EINVAL;
    }
    return ask(n, &r, op);
}

qudag_err qudag_op_set_user(qudag_node *n, qudag_op op, void *user)
{
    if (n == NULL) {
        return QUDAG_EINVAL;
    }
    return node_op_set_user(n->node, ref_in(op.id), user) ? QUDAG_OK : QUDAG_ESTALE;
}

void qudag_op_cancel(qudag_node *n, qudag_op op)
{
    if (n != NULL) {
        node_cancel(n->node, ref_in(op.id));
    }
}

static qudag_err ask_key(qudag_node *n, struct node_request *r, qudag_slice key, qudag_slice value,
                         qudag_op *op)
{
    r->key = slice_in(key);
    r->value = slice_in(value);
    if (n == NULL || op == NULL || key.base == NULL || key.len == 0 ||
        (value.base == NULL && value.len > 0)) {
        return QUDAG_EINVAL;
    }
    return ask(n, r, op);
}

static const qudag_slice no_value = {NULL, 0};

API_NO_TAIL(qudag_dht_options, pad);

static qudag_err options_in(struct kad_options *out, const qudag_dht_options *o)
{
    qudag_dht_options full = {.size = 0};

    if (o == NULL) {
        return QUDAG_OK;
    }
    qudag_err err = api_sized_in(&full, sizeof(full), o);
    if (err != QUDAG_OK) {
        return err;
    }
    if ((unsigned)full.read > QUDAG_READ_PATHS || full.pad[0] != 0 || full.pad[1] != 0) {
        return QUDAG_EINVAL;
    }
    *out = (struct kad_options){.read = (enum kad_read)full.read,
                                .quorum = full.quorum,
                                .republish = full.republish,
                                .masked = full.masked};
    return QUDAG_OK;
}

qudag_err qudag_dht_put_with(qudag_node *n, qudag_slice key, qudag_slice value,
                             const qudag_dht_options *o, qudag_op *op)
{
    struct node_request r = {.kind = NODE_OP_PUT};
    qudag_err err = options_in(&r.opt, o);

    return err == QUDAG_OK ? ask_key(n, &r, key, value, op) : err;
}

qudag_err qudag_dht_put(qudag_node *n, qudag_slice key, qudag_slice value, qudag_op *op)
{
    const qudag_dht_options o = {.size = sizeof(o), .republish = true};

    return qudag_dht_put_with(n, key, value, &o, op);
}

qudag_err qudag_dht_get_with(qudag_node *n, qudag_slice key, const qudag_dht_options *o,
                             qudag_op *op)
{
    struct node_request r = {.kind = NODE_OP_GET};
    qudag_err err = options_in(&r.opt, o);

    return err == QUDAG_OK ? ask_key(n, &r, key, no_value, op) : err;
}

qudag_err qudag_dht_get(qudag_node *n, qudag_slice key, qudag_op *op)
{
    return qudag_dht_get_with(n, key, NULL, op);
}

qudag_err qudag_dht_forget(qudag_node *n, qudag_slice key, qudag_op *op)
{
    struct node_request r = {.kind = NODE_OP_UNPUBLISH};

    return ask_key(n, &r, key, no_value, op);
}

qudag_err qudag_dht_closest(qudag_node *n, qudag_slice key, qudag_op *op)
{
    struct node_request r = {.kind = NODE_OP_CLOSEST};

    return ask_key(n, &r, key, no_value, op);
}

qudag_err qudag_dht_find_peer(qudag_node *n, const qudag_peer_id *peer, qudag_op *op)
{
    struct node_request r = {.kind = NODE_OP_FIND_PEER};

    if (n == NULL || op == NULL || !api_peer_in(&r.peer, peer)) {
        return QUDAG_EINVAL;
    }
    return ask(n, &r, op);
}

static qudag_err ask_content(qudag_node *n, enum node_op_kind kind, qudag_slice content,
                             qudag_op *op)
{
    struct node_request r = {.kind = kind};
    uint8_t multihash[2 + SHA256_LEN] = {0x12, SHA256_LEN}; /* multicodec: sha2-256 */

    if (content.base == NULL && content.len > 0) {
        return QUDAG_EINVAL;
    }
    sha256(multihash + 2, slice_in(content));
    return ask_key(n, &r, (qudag_slice){multihash, sizeof(multihash)}, no_value, op);
}

qudag_err qudag_dht_provide(qudag_node *n, qudag_slice content, qudag_op *op)
{
    return ask_content(n, NODE_OP_PROVIDE, content, op);
}

qudag_err qudag_dht_providers(qudag_node *n, qudag_slice content, qudag_op *op)
{
    return ask_content(n, NODE_OP_PROVIDERS, content, op);
}

qudag_err qudag_dht_unprovide(qudag_node *n, qudag_slice content, qudag_op *op)
{
    return ask_content(n, NODE_OP_UNPUBLISH, content, op);
}

qudag_err qudag_circuit_build(qudag_node *n, uint8_t hops, qudag_op *op)
{
    struct node_request r = {.kind = NODE_OP_CIRCUIT, .hops = hops};

    if (n == NULL || op == NULL || hops > QUDAG_HOPS_MAX) {
        return QUDAG_EINVAL;
    }
    return ask(n, &r, op);
}

static qudag_err ask_dark(qudag_node *n, enum node_op_kind kind, const char *addr, uint64_t user,
                          qudag_op *op)
{
    struct node_request r = {.kind = kind, .dark_user = user};

    if (n == NULL || addr == NULL || op == NULL) {
        return QUDAG_EINVAL;
    }
    qudag_err err = dark_addr_parse(&r.dark, addr);
    if (err != QUDAG_OK) {
        return err;
    }
    if (kind != NODE_OP_DARK_RESOLVE && dark_own_get(node_dark(n->node), &r.dark) == NULL) {
        return QUDAG_ENOTFOUND;
    }
    if (!node_dark_takes(n->node, &r.dark)) {
        return QUDAG_EUNSUPPORTED;
    }
    return ask(n, &r, op);
}

qudag_err qudag_dark_publish(qudag_node *n, const char *addr, qudag_op *op)
{
    return ask_dark(n, NODE_OP_DARK_PUBLISH, addr, 0, op);
}

qudag_err qudag_dark_forget(qudag_node *n, const char *addr, qudag_op *op)
{
    return ask_dark(n, NODE_OP_DARK_FORGET, addr, 0, op);
}

qudag_err qudag_dark_unpublish(qudag_node *n, const char *addr, qudag_op *op)
{
    return ask_dark(n, NODE_OP_DARK_UNPUBLISH, addr, 0, op);
}

qudag_err qudag_dark_resolve(qudag_node *n, const char *addr, qudag_op *op)
{
    return ask_dark(n, NODE_OP_DARK_RESOLVE, addr, 0, op);
}

qudag_err qudag_dark_resolve_for(qudag_node *n, const char *addr, qudag_slice user, qudag_op *op)
{
    if (user.len > QUDAG_DARK_USER_MAX || (user.len > 0 && user.base == NULL)) {
        return QUDAG_EINVAL;
    }
    return ask_dark(n, NODE_OP_DARK_RESOLVE, addr, node_isolation_user(user.base, user.len), op);
}

qudag_err qudag_dark_create(qudag_node *n, const char *label, char addr[QUDAG_DARK_TEXT_MAX])
{
    const qudag_dark_wish w = {.size = sizeof(w), .label = label};

    return qudag_dark_create_with(n, &w, addr);
}

/* EINVAL: no kind, no network, or padding that is not zero. */
static qudag_err wish_in(qudag_dark_wish *full, const qudag_dark_wish *w)
{
    *full = (qudag_dark_wish){.size = 0};
    qudag_err err = api_sized_in(full, sizeof(*full), w);

    if (err != QUDAG_OK) {
        return err;
    }
    bool pad = full->pad[0] != 0 || full->pad[1] != 0 || full->pad[2] != 0;
    bool known =
        (unsigned)full->kind <= QUDAG_DARK_DIRECT && (unsigned)full->network <= QUDAG_DARK_LAB;
    return pad || !known ? QUDAG_EINVAL : QUDAG_OK;
}

qudag_err qudag_dark_create_with(qudag_node *n, const qudag_dark_wish *w,
                                 char addr[QUDAG_DARK_TEXT_MAX])
{
    qudag_dark_wish full;
    struct dark_addr a;

    if (n == NULL || w == NULL || addr == NULL) {
        return QUDAG_EINVAL;
    }
    qudag_err err = wish_in(&full, w);
    if (err != QUDAG_OK) {
        return err;
    }
    const struct node_dark_of of = {.kind =
                                        full.kind == QUDAG_DARK_DIRECT ? DARK_DIRECT : DARK_HIDDEN,
                                    .network = full.choose_network ? (enum dark_network)full.network
                                                                   : node_dark_network(n->node)};
    err = node_dark_create(n->node, &of, full.label != NULL ? full.label : "", io_now(), &a);
    if (err == QUDAG_OK) {
        (void)dark_addr_text(addr, &a);
    }
    return err;
}

qudag_err qudag_peer_add_addr(qudag_node *n, const qudag_peer_id *peer, const char *multiaddr)
{
    struct peer_id p;
    struct multiaddr ma;

    if (n == NULL || multiaddr == NULL || !api_peer_in(&p, peer)) {
        return QUDAG_EINVAL;
    }
    qudag_err err = multiaddr_parse(&ma, multiaddr);
    if (err == QUDAG_OK) {
        node_add_addr(n->node, &p, &ma);
    }
    return err;
}
