/* pcp.c - see pcp.h. */
#include "wire/pcp.h"

#include "base/rd.h"
#include "base/wr.h"

#include <string.h>

enum { OP_ANNOUNCE = 0, OP_MAP = 1 };                         /* RFC 6887 19.2 */
enum { OP_NATPMP_ADDR = 0, OP_NATPMP_UDP, OP_NATPMP_TCP };    /* RFC 6886 3.2, 3.3 */
enum { OPT_THIRD_PARTY = 1, OPT_PREFER_FAILURE, OPT_FILTER }; /* RFC 6887 19.4 */

#define RESPONSE 0x80 /* bit of the opcode, in both */
#define MAP_LEN 36

const char *pcp_result_text(enum pcp_result r)
{
    static const char *const text[PCP_RESULTS] = {
        "it agrees",
        "it does not speak this version",
        "it does not allow that",
        "it calls the request malformed",
        "it does not know the operation",
        "it does not know the option",
        "it calls the option malformed",
        "it has no network itself",
        "it has no place left",
        "it does not map this protocol",
        "this host has too many ports",
        "it cannot give that address or port",
        "it sees this host at another address",
        "too many peers",
    };
    return (unsigned)r < PCP_RESULTS ? text[r] : "it answers with an error that is not known";
}

/* RFC 6887 5: an IPv4 address in the form of IPv6. */
static void write_ip(struct wr *w, const struct netaddr *a)
{
    if (a->family != 4) {
        wr_bytes(w, a->ip, 16);
        return;
    }
    wr_zero(w, 10);
    wr_u16(w, 0xffff);
    wr_bytes(w, a->ip, 4);
}

static void read_ip(struct rd *r, struct netaddr *out)
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    uint8_t b[16];

    rd_copy(r, b, sizeof(b));
    *out = (struct netaddr){.family = 6};
    if (memcmp(b, mapped, sizeof(mapped)) == 0) {
        out->family = 4;
        memcpy(out->ip, b + sizeof(mapped), 4);
    } else {
        memcpy(out->ip, b, 16);
    }
}

/* The suggested external address; none has the family of the client all the same (RFC 6887 11.1). */
static void write_suggested(struct wr *w, const struct pcp_request *q)
{
    struct netaddr none = {.family = q->client.family};

    write_ip(w, q->suggested.family == q->client.family ? &q->suggested : &none);
}

static void write_natpmp(struct wr *w, const struct pcp_request *q)
{
    wr_u8(w, PCP_NATPMP_VERSION);
    if (q->kind == PCP_NATPMP_ADDR) {
        wr_u8(w, OP_NATPMP_ADDR);
        return;
    }
    wr_u8(w, q->protocol == PCP_TCP ? OP_NATPMP_TCP : OP_NATPMP_UDP);
    wr_u16(w, 0);
    wr_u16(w, q->internal);
    wr_u16(w, q->external);
    wr_u32(w, q->life_s);
}

static void write_pcp(struct wr *w, const struct pcp_request *q)
{
    wr_u8(w, PCP_VERSION);
    wr_u8(w, q->kind == PCP_MAP ? OP_MAP : OP_ANNOUNCE);
    wr_u16(w, 0);
    wr_u32(w, q->kind == PCP_MAP ? q->life_s : 0);
    write_ip(w, &q->client);
    if (q->kind != PCP_MAP) {
        return;
    }
    wr_bytes(w, q->nonce, PCP_NONCE_LEN);
    wr_u8(w, (uint8_t)q->protocol);
    wr_zero(w, 3);
    wr_u16(w, q->internal);
    wr_u16(w, q->external);
    write_suggested(w, q);
    if (q->prefer_failure) {
        wr_u8(w, OPT_PREFER_FAILURE);
        wr_u8(w, 0);
        wr_u16(w, 0);
    }
}

size_t pcp_write(uint8_t *dst, size_t cap, const struct pcp_request *q)
{
    struct wr w = wr_init(dst, cap);

    if (q->kind == PCP_ANNOUNCE || q->kind == PCP_MAP) {
        write_pcp(&w, q);
    } else {
        write_natpmp(&w, q);
    }
    return wr_done(&w).len;
}

/* RFC 6886 3.5: unsupported version, refused, network failure, out of resources, unsupported opcode. */
static enum pcp_result natpmp_result(uint16_t code)
{
    static const enum pcp_result as[] = {PCP_SUCCESS,        PCP_UNSUPP_VERSION,
                                         PCP_NOT_AUTHORIZED, PCP_NETWORK_FAILURE,
                                         PCP_NO_RESOURCES,   PCP_UNSUPP_OPCODE};

    return code < sizeof(as) / sizeof(as[0]) ? as[code] : PCP_RESULTS;
}

/* What follows the header of an answer without an error must be there; with one it may be, or not. */
static bool body(struct rd *r, const struct pcp_answer *a, size_t len)
{
    if (r->left >= len) {
        return true;
    }
    if (a->result == PCP_SUCCESS) {
        r->err = true;
    }
    r->left = 0;
    return false;
}

static void parse_natpmp(struct rd *r, uint8_t op, struct pcp_answer *a)
{
    a->result = natpmp_result(rd_u16(r));
    a->epoch = rd_u32(r);
    a->kind = PCP_OTHER;
    if (op == OP_NATPMP_ADDR) {
        a->kind = PCP_NATPMP_ADDR;
        if (body(r, a, 4) && a->result == PCP_SUCCESS) {
            a->external.family = 4;
            rd_copy(r, a->external.ip, 4);
        }
    } else if (op == OP_NATPMP_UDP || op == OP_NATPMP_TCP) {
        a->kind = PCP_NATPMP_MAP;
        a->protocol = op == OP_NATPMP_TCP ? PCP_TCP : PCP_UDP;
        if (body(r, a, 8)) {
            a->internal = rd_u16(r);
            a->external.port = rd_u16(r);
            a->life_s = rd_u32(r);
        }
    }
}

/* Options of an answer are of no use to us, but have to be some (RFC 6887 7.3). */
static void skip_options(struct rd *r)
{
    while (rd_ok(r) && r->left > 0) {
        (void)rd_u16(r);
        size_t len = rd_u16(r);
        (void)rd_bytes(r, (len + 3) & ~(size_t)3);
    }
}

static void parse_pcp(struct rd *r, uint8_t op, struct pcp_answer *a)
{
    (void)rd_u8(r);
    uint8_t result = rd_u8(r);
    a->pcp = true;
    a->result = result < PCP_RESULTS ? (enum pcp_result)result : PCP_RESULTS;
    a->life_s = rd_u32(r);
    a->epoch = rd_u32(r);
    (void)rd_bytes(r, 12);
    a->kind = op == OP_MAP ? PCP_MAP : op == OP_ANNOUNCE ? PCP_ANNOUNCE : PCP_OTHER;
    if (a->kind == PCP_MAP && body(r, a, MAP_LEN)) {
        rd_copy(r, a->nonce, PCP_NONCE_LEN);
        uint8_t protocol = rd_u8(r);
        a->protocol = protocol == PCP_TCP || protocol == PCP_UDP ? (enum pcp_protocol)protocol : 0;
        (void)rd_bytes(r, 3);
        a->internal = rd_u16(r);
        uint16_t port = rd_u16(r);
        read_ip(r, &a->external);
        a->external.port = port;
    }
    if (a->result == PCP_SUCCESS && a->kind != PCP_OTHER) {
        skip_options(r);
    }
}

qudag_err pcp_parse(struct pcp_answer *out, struct slice datagram)
{
    struct rd r = rd_init(datagram);
    struct pcp_answer a = {.kind = PCP_OTHER};
    uint8_t version = rd_u8(&r), op = rd_u8(&r);

    memset(out, 0, sizeof(*out));
    if (!rd_ok(&r) || datagram.len > PCP_MSG_MAX || (op & RESPONSE) == 0) {
        return QUDAG_EMALFORMED;
    }
    op &= (uint8_t)~RESPONSE;
    if (version == PCP_NATPMP_VERSION) {
        parse_natpmp(&r, op, &a);
    } else if (version == PCP_VERSION) {
        parse_pcp(&r, op, &a);
    } else {
        return QUDAG_EUNSUPPORTED;
    }
    if (!rd_ok(&r)) {
        return QUDAG_EMALFORMED;
    }
    *out = a;
    return QUDAG_OK;
}
