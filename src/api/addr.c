/*
 * addr.c - multiaddrs as programs and people write them: what each use needs, and what is wrong with one.
 *
 * Which addresses a node may listen on, dial or begin with is decided here and nowhere above.
 */
#include "api/internal.h"

#include <stdio.h>
#include <string.h>

API_NO_TAIL(qudag_multiaddr, pad);

#define LISTEN_FORM "/ip4/ADDRESS/udp/PORT/quic-v1, /ip4/ADDRESS/tcp/PORT or /ip6/..."
#define FORM                                                                                       \
    "/ip4/ADDRESS/udp/PORT/quic-v1, /ip4/ADDRESS/tcp/PORT, /ip6/..., /dns/NAME/... or "            \
    "/dnsaddr/NAME"
#define TEXT_SHOWN 100 /* characters of an address that a message repeats */

/* Whether |addr| is of QUIC or, |*tcp|, of TCP. */
static bool of_host(const struct multiaddr *addr, struct netaddr *net, bool *tcp)
{
    *tcp = multiaddr_to_tcp(addr, net);
    return *tcp || multiaddr_to_netaddr(addr, net);
}

/*
 * Whether links are made to such addresses.  |*net| is left as it is for a name, |*named|, but of a host its transport
 * must be one of ours; what a list of addresses leads to is seen when it is asked for.
 */
static bool has_way(struct api_addr *a, bool *named)
{
    const struct netaddr any = {.family = 4, .ip = {192, 0, 2, 1}};
    struct netaddr probe = {0};
    struct multiaddr as_ip;
    struct slice name, rest;
    enum multiaddr_name is = multiaddr_name(&a->addr, &name, &rest);

    *named = is != MULTIADDR_NO_NAME;
    if (!*named) {
        return of_host(&a->addr, &a->net, &a->tcp);
    }
    return names_rule_name(name) &&
           (is == MULTIADDR_DNSADDR || (multiaddr_of_ip(&as_ip, &any, rest) &&
                                        of_host(&as_ip, &probe, &a->tcp) && probe.port != 0));
}

/* What is wrong with |text| for |use|, or NULL; *err is set then. */
static const char *fault_of(struct api_addr *a, const char *text, qudag_addr_use use,
                            qudag_err *err)
{
    *err = multiaddr_parse_pinned(&a->addr, a->pq_hash, &a->has_pq, text);
    const bool listens = use == QUDAG_ADDR_LISTEN;
    if (*err == QUDAG_EUNSUPPORTED) {
        return listens
                   ? "names a protocol that this version does not know; the form is " LISTEN_FORM
                   : "names a protocol that this version does not know; the form is " FORM;
    }
    if (*err != QUDAG_OK) {
        return strchr(text, '#') != NULL
                   ? "malformed; the form is .../p2p/PEER-ID#HASH, HASH being 64 hexadecimal digits"
               : listens ? "malformed; the form is " LISTEN_FORM
                         : "malformed; the form is " FORM;
    }
    a->has_peer = multiaddr_peer(&a->addr, &a->peer);
    if (a->has_peer && !peer_id_has_key(&a->peer)) {
        *err = QUDAG_EMALFORMED;
        return "what follows /p2p/ is no peer id: " QUDAG_PEER_ID_FORM;
    }
    struct multiaddr relay;
    bool named = false;
    bool relayed = use == QUDAG_ADDR_DIAL && multiaddr_through(&a->addr, &relay) &&
                   multiaddr_direct(&relay, &a->net);
    if (relayed && !a->has_peer) {
        *err = QUDAG_EINVAL;
        return "has no /p2p/PEER-ID behind /p2p-circuit: the relay must be told who is meant";
    }
    if (!relayed && !has_way(a, &named)) {
        *err = QUDAG_EUNSUPPORTED;
        if (use == QUDAG_ADDR_BOOTSTRAP && multiaddr_through(&a->addr, &relay)) {
            return "leads through a circuit relay: give an address of the peer itself";
        }
        return listens ? "not of the form " LISTEN_FORM : "not of the form " FORM;
    }
    *err = QUDAG_EINVAL;
    if (listens && named) {
        return "a listen address has no name; the form is " LISTEN_FORM;
    }
    if (listens && a->has_pq) {
        return "a listen address has no key hash (#); bootstrap addresses may have one";
    }
    if (use == QUDAG_ADDR_BOOTSTRAP && !a->has_peer) {
        return "has no /p2p/PEER-ID; without it any peer that answered would be accepted";
    }
    if (use != QUDAG_ADDR_LISTEN && a->net.port == 0 && !named) {
        return "has port 0, on which no peer can listen";
    }
    *err = QUDAG_OK;
    return NULL;
}

qudag_err api_addr_read(struct api_addr *out, const char *text, qudag_addr_use use, char *why,
                        size_t why_len)
{
    qudag_err err = QUDAG_EINVAL;
    const char *fault = "no address";

    memset(out, 0, sizeof(*out));
    if (text != NULL) {
        fault = fault_of(out, text, use, &err);
    }
    if (why != NULL && why_len > 0) {
        text = text == NULL ? "NULL" : text;
        if (fault == NULL) {
            why[0] = '\0';
        } else {
            (void)snprintf(why, why_len, "%.*s%s: %s", TEXT_SHOWN, text,
                           strlen(text) > TEXT_SHOWN ? "..." : "", fault);
        }
    }
    return err;
}

bool api_addr_text(char text[QUDAG_ADDR_TEXT_MAX], const struct multiaddr *addr,
                   const struct peer_id *peer)
{
    struct multiaddr full;
    struct netaddr a;

    if (multiaddr_to_tcp(addr, &a)) {
        multiaddr_tcp(&full, &a, peer);
    } else if (multiaddr_to_netaddr(addr, &a)) {
        multiaddr_quic(&full, &a, peer);
    } else {
        return false;
    }
    return multiaddr_text(text, QUDAG_ADDR_TEXT_MAX, &full) > 0;
}

qudag_err qudag_multiaddr_parse(qudag_multiaddr *out, const char *text, qudag_addr_use use,
                                char *why, size_t why_len)
{
    struct api_addr a;
    qudag_multiaddr full = {.size = sizeof(full)};

    if ((unsigned)use > QUDAG_ADDR_BOOTSTRAP) {
        return QUDAG_EINVAL;
    }
    qudag_err err = api_addr_read(&a, text, use, why, why_len);
    if (err != QUDAG_OK || out == NULL) {
        return err;
    }
    full.family = a.net.family;
    full.port = a.net.port;
    memcpy(full.ip, a.net.ip, sizeof(full.ip));
    if (a.has_peer) {
        api_peer_out(&full.peer, &a.peer);
    }
    full.pinned = a.has_pq;
    full.tcp = a.tcp;
    memcpy(full.pq_hash, a.pq_hash, sizeof(full.pq_hash));
    return api_sized_out(out, &full, sizeof(full)) ? QUDAG_OK : QUDAG_EINVAL;
}
