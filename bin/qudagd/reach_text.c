/* reach_text.c - how this node and its peers are reached, in words. */
#include "reach_text.h"

#include <stdio.h>
#include <string.h>

static void one_version(char *out, size_t cap, const char *version, qudag_reach_state s,
                        qudag_nat_kind mapping, const uint32_t votes[2])
{
    size_t len = strlen(out);
    const char *comma = len > 0 ? ", " : "";
    uint32_t yes = votes[0], no = votes[1];

    if (s == QUDAG_REACH_PUBLIC && yes > 0) {
        (void)snprintf(out + len, cap - len, "%s%s public (%u network%s dialled back)", comma,
                       version, yes, yes == 1 ? "" : "s");
    } else if (s == QUDAG_REACH_PRIVATE && (mapping == QUDAG_NAT_DEPENDENT || no == 0)) {
        /* there is no address at which others could try */
        (void)snprintf(out + len, cap - len,
                       "%s%s private (symmetric NAT: each peer sees another port)", comma, version);
    } else if (s == QUDAG_REACH_PRIVATE) {
        (void)snprintf(out + len, cap - len, "%s%s private (%u network%s could not dial back)",
                       comma, version, no, no == 1 ? "" : "s");
    } else if (s == QUDAG_REACH_UNKNOWN && yes + no > 0) {
        (void)snprintf(out + len, cap - len,
                       "%s%s unknown (%u network%s dialled back, %u could not)", comma, version,
                       yes, yes == 1 ? "" : "s", no);
    } else {
        (void)snprintf(out + len, cap - len, "%s%s %s", comma, version, qudag_reach_state_name(s));
    }
}

void reach_text(char *out, size_t cap, const qudag_reach *r, const struct reach_votes *v)
{
    const uint32_t votes4[2] = {v->yes4, v->no4}, votes6[2] = {v->yes6, v->no6};

    out[0] = '\0';
    if (!r->wanted) {
        (void)snprintf(out, cap, "not wanted: this node serves nobody, and announces nothing");
    } else {
        one_version(out, cap, "IPv4", r->ip4, r->mapping4, votes4);
        one_version(out, cap, "IPv6", r->ip6, r->mapping6, votes6);
    }
    if (r->udp_blocked) {
        size_t len = strlen(out);
        (void)snprintf(out + len, cap - len, "; UDP is blocked here, TCP is used");
    }
}

/*
 * What dial-backs tell of the filter.  They come from another port of a host that this node is linked with: where they
 * are let in, others may still not be, and where they are not, nobody is whom it was not used for.
 */
static const char *filter_of(const uint32_t votes[2])
{
    if (votes[0] == 0 && votes[1] >= 2) {
        return ", lets in only whom it was used for";
    }
    return votes[0] > 0 && votes[1] == 0
               ? ", lets in any port of the hosts it was used for, and perhaps others"
               : "";
}

static void nat_of(char *out, size_t cap, const char *version, const qudag_nat_kind kind[2],
                   const uint32_t votes[2])
{
    qudag_nat_kind mapping = kind[0], filter = kind[1];
    static const char *const maps[] = {"", "no NAT", "one port outside for all peers",
                                       "another port outside for each peer (symmetric)"};
    static const char *const lets[] = {"", "", ", lets in whoever comes there",
                                       ", lets in only whom it was used for"};
    size_t len = strlen(out);

    if (mapping != QUDAG_NAT_UNKNOWN && (unsigned)mapping < 4) {
        (void)snprintf(
            out + len, cap - len, "%s%s: %s%s", len > 0 ? "; " : "", version, maps[mapping],
            filter == QUDAG_NAT_UNKNOWN && mapping == QUDAG_NAT_INDEPENDENT ? filter_of(votes)
            : (unsigned)filter < 4                                          ? lets[filter]
                                                                            : "");
    }
}

void reach_text_nat(char *out, size_t cap, const qudag_reach *r, const struct reach_votes *v)
{
    const qudag_nat_kind kind4[2] = {r->mapping4, r->filter4}, kind6[2] = {r->mapping6, r->filter6};
    const uint32_t votes4[2] = {v->yes4, v->no4}, votes6[2] = {v->yes6, v->no6};

    out[0] = '\0';
    nat_of(out, cap, "IPv4", kind4, votes4);
    nat_of(out, cap, "IPv6", kind6, votes6);
    if (r->double_nat) {
        size_t len = strlen(out);
        (void)snprintf(out + len, cap - len,
                       "%sa second NAT behind the router (of the provider, or another router)",
                       len > 0 ? "; " : "");
    }
}

void reach_text_port(char *out, size_t cap, const qudag_port *p)
{
    const char *transport = p->tcp ? "tcp" : "udp";

    if (p->external[0] != 0) {
        (void)snprintf(out, cap, "%s %s at %s, by %s%s", transport, p->internal, p->external,
                       qudag_portmap_name(p->method),
                       p->double_nat ? ", which is no address of the Internet" : "");
    } else {
        (void)snprintf(out, cap, "%s %s: not open at the router: %s", transport, p->internal,
                       p->why[0] != 0 ? p->why : "it is being asked");
    }
}

bool reach_text_shows(const qudag_reach_addr *a)
{
    return a->announced ||
           (strncmp(a->addr, "/ip4/127.", 9) != 0 && strcmp(a->addr, "/ip6/::1") != 0 &&
            strncmp(a->addr, "/ip6/::1/", 9) != 0);
}

void reach_text_addr(char *out, size_t cap, const qudag_reach_addr *a)
{
    (void)snprintf(out, cap, "%.200s, %s, %s (%u dialled back, %u could not)%s", a->addr,
                   qudag_addr_source_name(a->source), qudag_reach_state_name(a->state),
                   a->confirmed, a->refuted, a->announced ? ", announced" : "");
}

const char *reach_path_word(const qudag_path *p)
{
    if (p->kind == QUDAG_PATH_RELAYED) {
        return p->meeting ? "relayed, meeting" : "relayed";
    }
    return p->kind == QUDAG_PATH_NONE ? "none" : p->found ? "met" : "direct";
}
