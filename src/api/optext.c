/* optext.c - what a request was, and a sentence for people about why it failed. */
#include "api/internal.h"

#include "base/text.h"
#include "base/utf8.h"

#include <stdio.h>

qudag_op_kind api_op_kind(const struct node_request *req)
{
    static const qudag_op_kind kinds[NODE_OP_KINDS] = {
        [NODE_OP_CONNECT] = QUDAG_OP_CONNECT,
        [NODE_OP_PING] = QUDAG_OP_PING,
        [NODE_OP_PUT] = QUDAG_OP_DHT_PUT,
        [NODE_OP_GET] = QUDAG_OP_DHT_GET,
        [NODE_OP_UNPUBLISH] = QUDAG_OP_DHT_FORGET,
        [NODE_OP_CLOSEST] = QUDAG_OP_DHT_CLOSEST,
        [NODE_OP_FIND_PEER] = QUDAG_OP_DHT_FIND_PEER,
        [NODE_OP_PROVIDE] = QUDAG_OP_DHT_PROVIDE,
        [NODE_OP_PROVIDERS] = QUDAG_OP_DHT_PROVIDERS,
        [NODE_OP_CIRCUIT] = QUDAG_OP_CIRCUIT_BUILD,
        [NODE_OP_DARK_PUBLISH] = QUDAG_OP_DARK_PUBLISH,
        [NODE_OP_DARK_RESOLVE] = QUDAG_OP_DARK_RESOLVE,
        [NODE_OP_DARK_FORGET] = QUDAG_OP_DARK_FORGET,
        [NODE_OP_DARK_UNPUBLISH] = QUDAG_OP_DARK_UNPUBLISH,
    };

    return kinds[req->kind]; /* 0: a kind that no program asks for */
}

static const struct {
    qudag_op_kind kind;
    qudag_err err;
    const char *text;
} sentences[] = {
    {QUDAG_OP_DHT_GET, QUDAG_ENOTFOUND,
     "the nodes closest to the key replied; none has a valid value"},
    {QUDAG_OP_DHT_GET, QUDAG_EUNREACHABLE, "too few of the nodes closest to the key replied"},
    {QUDAG_OP_DHT_PUT, QUDAG_EUNREACHABLE, "none of the nodes closest to the key replied"},
    {QUDAG_OP_DHT_FORGET, QUDAG_ENOTFOUND, "this node was not republishing it"},
    {QUDAG_OP_DHT_FIND_PEER, QUDAG_ENOTFOUND, "no node knows addresses of this peer"},
    {QUDAG_OP_DARK_RESOLVE, QUDAG_ENOTFOUND,
     "no record of this address was found: it is not published, or its record expired"},
    {QUDAG_OP_DARK_RESOLVE, QUDAG_EUNSUPPORTED,
     "the service cannot be reached by this version: it asks something newer of its callers"},
    {QUDAG_OP_DARK_PUBLISH, QUDAG_EUNREACHABLE,
     "no address is known at which others can reach this node: the setting announce names one, or "
     "peers tell it after a while"},
    {QUDAG_OP_DHT_PROVIDE, QUDAG_EINVAL, "this node has no address that it could announce"},
    {QUDAG_OP_CONNECT, QUDAG_EINVAL, "this is an address of the node itself"},
    {QUDAG_OP_PING, QUDAG_EINVAL, "this is the peer id of the node itself"},
    {QUDAG_OP_CIRCUIT_BUILD, QUDAG_ENORELAYS,
     "too few relays are known to build a circuit; the node gathers them until it is ready"},
};

/* Where the key of a DHT request does not lead anywhere on this node; false: it does. */
static bool key_text(const struct qudag_node *n, struct slice key, char *out, size_t cap)
{
    const uint8_t *slash = key.len > 1 ? memchr(key.base + 1, '/', key.len - 1) : NULL;

    if (key.len == 0 || key.base[0] != '/' || slash == NULL) {
        (void)snprintf(out, cap, "a key has the form /namespace/name");
        return true;
    }
    struct slice ns = {key.base + 1, (size_t)(slash - key.base) - 1};
    bool known = api_rules_have(n, ns);
    for (size_t i = n->first_ns; i < n->n_strings; i++) {
        known = known ||
                (strlen(n->strings[i]) == ns.len && memcmp(n->strings[i], ns.base, ns.len) == 0);
    }
    bool ours = ns.len == 2 ? memcmp(ns.base, "pk", 2) == 0
                            : ns.len >= 5 && memcmp(ns.base, "qudag", 5) == 0;
    if (known || ours || !utf8_printable(ns)) {
        return false;
    }
    (void)snprintf(out, cap,
                   "namespace \"%.*s\" is not open on this node; the setting open_namespaces or "
                   "qudag_dht_namespace() adds it",
                   (int)(ns.len < 40 ? ns.len : 40), (const char *)ns.base);
    return true;
}

const struct peer_id *api_op_found(const struct node_request *req, qudag_err err)
{
    struct peer_id named;
    bool other = req->kind == NODE_OP_CONNECT && err == QUDAG_EAUTH && req->peer.len > 0 &&
                 multiaddr_peer(&req->addr, &named) && !peer_id_eq(&named, &req->peer);

    return other ? &req->peer : NULL;
}

/* Whose limit a dial met, and at this node which. */
static void limit_text(uint64_t refused, char *out, size_t cap)
{
    struct res_refusal why = resources_unpack(refused);
    static const char *const of[RES_SCOPES] = {
        [RES_NODE] = "links of this node (links_max)",
        [RES_INBOUND] = "places for links (links_max)",
        [RES_OUTBOUND] = "places for dials of this node (links_max)",
        [RES_WIDE] = "places for links of one wide network (network_share)",
        [RES_NETWORK] = "places for links of one network (network_share)",
        [RES_PEER] = "links with this peer",
        [RES_PROTOCOL] = "places for links", /* no link is refused by it */
    };
    static const char *const dials_of[RES_SCOPES] = {
        [RES_NODE] = "dials at once (grows with links_max)",
        [RES_INBOUND] = "dials", /* none is refused by it */
        [RES_OUTBOUND] = "dials at once that others may cause",
        [RES_WIDE] = "dials at once to one wide network",
        [RES_NETWORK] = "dials at once to one network",
        [RES_PEER] = "dials to this peer",
        [RES_PROTOCOL] = "dials at once for one part of the node",
    };
    const char *what = why.what == RES_DIALS ? dials_of[why.scope] : of[why.scope];

    if (refused == 0) {
        (void)snprintf(out, cap, "the peer accepts no more links now: a limit of its own");
        return;
    }
    (void)snprintf(out, cap, "a limit of this node: %llu of %llu %s are used",
                   (unsigned long long)why.used, (unsigned long long)why.limit, what);
}

/* Which of two keys does not match, and what to do; |found|: who answered instead, NULL: nobody. */
static void auth_text(enum node_auth why, const struct peer_id *found, char *out, size_t cap)
{
    static const char *const text[] = {
        [NODE_AUTH_PEER] = "a different peer answered at this address",
        [NODE_AUTH_NAMED] = "the peer at this address answers, but its key is not the one that # "
                            "in the address names; the hash may be mistyped",
        [NODE_AUTH_NAMED_PROVEN] = "# in the address does not name the key that this peer proved "
                                   "to this node before; the hash may be mistyped",
        [NODE_AUTH_PROVEN] = "the peer at this address answers, but with another key than the one "
                             "that it proved before; somebody else may be in its place",
        [NODE_AUTH_EXPECTED] =
            "the peer at this address answers, but did not prove the key that is "
            "expected of it; if # in another of its addresses names one, that "
            "may be mistyped",
    };
    char id[PEER_ID_TEXT_MAX] = "";
    bool named = why == NODE_AUTH_PEER && found != NULL && peer_id_text(id, found) > 0;

    (void)snprintf(out, cap, "%s%s%s", text[why], named ? ": " : "", id);
}

/* What is wrong with the name that |addr| begins with. */
static void name_text(const struct multiaddr *addr, enum names_why why, char *out, size_t cap)
{
    struct slice name = {0}, rest;

    (void)multiaddr_name(addr, &name, &rest);
    (void)snprintf(out, cap, "%.*s: %s", (int)(name.len < 100 ? name.len : 100),
                   name.len > 0 ? (const char *)name.base : "", names_why_text(why));
}

void api_join_text(const struct node_join_why *why, char *out, size_t cap)
{
    char addr[MULTIADDR_TEXT_MAX], hash[2 * QUDAG_PQ_HASH_LEN + 1] = "", text[256];

    if (why->others) {
        (void)snprintf(out, cap, "%s",
                       why->lab
                           ? "the peer that answered is of a lab, a test network without "
                             "anonymity, and this node is not; to join it: lab (qudag up --lab)"
                           : "the peer that answered is of no lab, and this node is, which "
                             "would hide nobody there; to join it: without lab");
        return;
    }
    if (why->name != NAMES_FOUND) {
        name_text(&why->at.addr, why->name, out, cap);
        return;
    }
    if (why->err != QUDAG_EAUTH) {
        (void)snprintf(out, cap, "%s", why->err == QUDAG_OK ? "" : qudag_strerror(why->err));
        return;
    }
    auth_text(why->auth, NULL, text, sizeof(text));
    if (why->at.has_pq) {
        (void)hex_encode(hash, sizeof(hash),
                         (struct slice){why->at.pq_hash, sizeof(why->at.pq_hash)});
    }
    bool shown = multiaddr_text(addr, sizeof(addr), &why->at.addr) > 0;
    (void)snprintf(out, cap, "%s%s%s%s%s", shown ? addr : "", why->at.has_pq ? "#" : "", hash,
                   shown ? ": " : "", text);
}

bool api_op_on_circuit(qudag_op_kind kind)
{
    return kind == QUDAG_OP_CIRCUIT_BUILD || kind == QUDAG_OP_DARK_PUBLISH ||
           kind == QUDAG_OP_DARK_RESOLVE || kind == QUDAG_OP_DARK_FORGET;
}

static void small_text(const struct qudag_node *n, char *out, size_t cap)
{
    struct relays_diversity d = relays_diversity(node_relays(n->node));

    (void)snprintf(
        out, cap,
        "%u relays of %u networks are known; with fewer than %d of %d, who runs some of them or "
        "watches their networks can see who talks to whom.  More relays must join, or the "
        "setting small_network accepts it",
        (unsigned)d.relays, (unsigned)d.networks, RELAYS_SAFE_MIN, RELAYS_SAFE_NETWORKS_MIN);
}

/* Requests to a peer that did not answer are refused for a while: until when. */
static void next_try_text(const struct qudag_node *n, const struct node_request *req, qudag_err err,
                          char *out, size_t cap)
{
    tstamp now = io_now(), next = 0;
    size_t len = strlen(out);

    if (req->peer.len > 0 && err != QUDAG_ECANCELED && err != QUDAG_EINVAL) {
        next = swarm_next_try(node_swarm(n->node), &req->peer, now);
    }
    if (next != 0) {
        (void)snprintf(out + len, cap - len, "; next try in %llu s",
                       (unsigned long long)((next - now + NS_PER_S - 1) / NS_PER_S));
    }
}

void api_op_text(const struct qudag_node *n, const struct node_request *req, qudag_err err,
                 uint32_t count, char *out, size_t cap)
{
    qudag_op_kind kind = api_op_kind(req);

    out[0] = '\0';
    if (err == QUDAG_OK) {
        return;
    }
    if (err == QUDAG_EINVAL && (kind == QUDAG_OP_DHT_PUT || kind == QUDAG_OP_DHT_GET)) {
        if (!key_text(n, req->key, out, cap)) {
            (void)snprintf(out, cap, "the rules of the namespace do not accept this %s",
                           kind == QUDAG_OP_DHT_PUT ? "value" : "key");
        }
        return;
    }
    if (err == QUDAG_ESMALLNET) {
        small_text(n, out, cap);
        return;
    }
    if (kind == QUDAG_OP_CONNECT && req->name_why != NAMES_FOUND) {
        name_text(&req->addr, req->name_why, out, cap);
        return;
    }
    if (kind == QUDAG_OP_CONNECT && err == QUDAG_EAUTH) {
        auth_text(req->auth, api_op_found(req, err), out, cap);
        return;
    }
    if (kind == QUDAG_OP_CONNECT && err == QUDAG_ELIMIT) {
        limit_text(req->refused, out, cap);
        return;
    }
    if (kind == QUDAG_OP_DHT_PUT && err == QUDAG_EUNREACHABLE && count > 0) {
        (void)snprintf(out, cap, "%u nodes stored it, fewer than asked for", (unsigned)count);
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(sentences); i++) {
        if (sentences[i].kind == kind && sentences[i].err == err) {
            (void)snprintf(out, cap, "%s", sentences[i].text);
            return;
        }
    }
    (void)snprintf(out, cap, "%s", qudag_strerror(err));
    next_try_text(n, req, err, out, cap);
}
