/* names.c - see names.h. */
#include "core/names/names.h"

#include <string.h>

#define PREFIX "_dnsaddr."
#define RECORD "dnsaddr="

const char *names_why_text(enum names_why why)
{
    static const char *const text[NAMES_WHYS] = {
        [NAMES_FOUND] = "was found",
        [NAMES_NO_HOST] = "no such host",
        [NAMES_NO_IPV4] = "has no IPv4 address",
        [NAMES_NO_IPV6] = "has no IPv6 address",
        [NAMES_NO_ADDRESS] = "has no address",
        [NAMES_NO_RECORD] = "has no dnsaddr record",
        [NAMES_NO_MATCH] = "has no dnsaddr record for this peer",
        [NAMES_SILENT] = "no name server answered",
        [NAMES_BAD] = "the name server refused or answered nonsense",
        [NAMES_TOO_FAR] = "leads to other names without end",
        [NAMES_NOT_HERE] = "names are not resolved by this node",
    };

    return (unsigned)why < NAMES_WHYS ? text[why] : "";
}

/* ------------------------------------------------------------------ rules */

static bool is_name_char(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

bool names_rule_name(struct slice name)
{
    size_t label = 0;

    if (name.len > 0 && name.base[name.len - 1] == '.') { /* of the root */
        name.len--;
    }
    if (name.len == 0 || name.len > NAMES_NAME_MAX) {
        return false;
    }
    for (size_t i = 0; i < name.len; i++) {
        if (name.base[i] == '.') {
            if (label == 0) {
                return false;
            }
            label = 0;
        } else if (!is_name_char(name.base[i]) || ++label > 63) {
            return false;
        }
    }
    return label > 0;
}

bool names_rule_ip(const struct netaddr *ip)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    const uint8_t *v4 = ip->family == 4 ? ip->ip : NULL;

    if (ip->family == 6) {
        if (netaddr_is_unspecified(ip) || ip->ip[0] == 0xff) {
            return false;
        }
        v4 = memcmp(ip->ip, mapped, sizeof(mapped)) == 0 ? ip->ip + sizeof(mapped) : NULL;
    }
    return v4 == NULL ? ip->family == 6 : v4[0] != 0 && v4[0] < 224;
}

/* ------------------------------------------------------------------ questions */

/* What failed first is told; of a name that has neither kind of address, that. */
static void note(struct names_lookup *l, enum names_why why)
{
    bool other = (l->why == NAMES_NO_IPV6 && why == NAMES_NO_IPV4) ||
                 (l->why == NAMES_NO_IPV4 && why == NAMES_NO_IPV6);

    if (l->why == NAMES_FOUND || other) {
        l->why = other ? NAMES_NO_ADDRESS : why;
    }
}

static void ask(struct names_lookup *l, const struct multiaddr *addr, enum names_kind kind,
                uint8_t depth)
{
    for (size_t i = 0; i < l->n_questions; i++) {
        if (l->q[i].kind == kind && multiaddr_eq(&l->q[i].addr, addr)) {
            return; /* was asked: a loop, or twice in one list */
        }
    }
    if (l->n_questions == NAMES_QUESTIONS_MAX) {
        note(l, NAMES_TOO_FAR);
        return;
    }
    l->q[l->n_questions++] =
        (struct names_asked){.addr = *addr, .kind = (uint8_t)kind, .depth = depth};
    l->n_open++;
}

/* Asks for what |addr| begins with; false: nothing is to be asked for it. */
static bool follow(struct names_lookup *l, const struct multiaddr *addr, uint8_t depth)
{
    struct slice name = {0}, rest;
    enum multiaddr_name is = multiaddr_name(addr, &name, &rest);
    size_t most = NAMES_NAME_MAX - (is == MULTIADDR_DNSADDR ? sizeof(PREFIX) - 1 : 0);

    if (is == MULTIADDR_NO_NAME || name.len > most || !names_rule_name(name)) {
        return false;
    }
    if (is == MULTIADDR_DNSADDR) {
        if (depth > NAMES_DEPTH_MAX) {
            note(l, NAMES_TOO_FAR);
        } else {
            ask(l, addr, NAMES_TXT, depth);
        }
        return true;
    }
    if (is != MULTIADDR_DNS4) {
        ask(l, addr, NAMES_AAAA, depth);
    }
    if (is != MULTIADDR_DNS6) {
        ask(l, addr, NAMES_A, depth);
    }
    return true;
}

qudag_err names_begin(struct names_lookup *l, const struct multiaddr *addr)
{
    struct slice name, rest;

    memset(l, 0, sizeof(*l));
    if (multiaddr_name(addr, &name, &rest) == MULTIADDR_NO_NAME) {
        return QUDAG_EINVAL;
    }
    return follow(l, addr, 1) ? QUDAG_OK : QUDAG_EMALFORMED;
}

bool names_next(struct names_lookup *l, unsigned *ix, struct names_question *out)
{
    for (unsigned i = 0; i < l->n_questions; i++) {
        struct names_asked *q = &l->q[i];
        struct slice name = {0}, rest;
        if (q->told) {
            continue;
        }
        q->told = true;
        (void)multiaddr_name(&q->addr, &name, &rest);
        size_t skip = q->kind == NAMES_TXT ? sizeof(PREFIX) - 1 : 0;
        *out = (struct names_question){.kind = (enum names_kind)q->kind};
        memcpy(out->name, PREFIX, skip);
        memcpy(out->name + skip, name.base, name.len); /* follow(): it fits */
        *ix = i;
        return true;
    }
    return false;
}

/* ------------------------------------------------------------------ answers */

static void found(struct names_lookup *l, const struct multiaddr *addr)
{
    for (size_t i = 0; i < l->n_addrs; i++) {
        if (multiaddr_eq(&l->addr[i], addr)) {
            return;
        }
    }
    if (l->n_addrs < NAMES_ADDRS_MAX) {
        l->addr[l->n_addrs++] = *addr;
    }
}

/* One A or AAAA record. */
static bool take_ip(struct names_lookup *l, const struct names_asked *q, struct slice record)
{
    struct netaddr ip = {.family = q->kind == NAMES_A ? 4 : 6};
    struct slice name, rest = {0};
    struct multiaddr addr;

    if (record.len != (q->kind == NAMES_A ? 4u : 16u)) {
        return false;
    }
    memcpy(ip.ip, record.base, record.len);
    (void)multiaddr_name(&q->addr, &name, &rest);
    if (!names_rule_ip(&ip) || !multiaddr_of_ip(&addr, &ip, rest)) {
        return false;
    }
    found(l, &addr);
    return true;
}

/* One TXT record: whatever is no address, or not one that was asked for, is passed over. */
static bool take_text(struct names_lookup *l, const struct names_asked *q, struct slice record)
{
    const size_t skip = sizeof(RECORD) - 1;
    char text[MULTIADDR_TEXT_MAX];
    struct slice name, rest = {0};
    struct multiaddr addr;

    if (record.len <= skip || record.len - skip >= sizeof(text) ||
        memcmp(record.base, RECORD, skip) != 0 || memchr(record.base, '\0', record.len) != NULL) {
        return false;
    }
    memcpy(text, record.base + skip, record.len - skip);
    text[record.len - skip] = '\0';
    (void)multiaddr_name(&q->addr, &name, &rest);
    if (multiaddr_parse(&addr, text) != QUDAG_OK || !multiaddr_ends_with(&addr, rest)) {
        return false;
    }
    if (multiaddr_name(&addr, &name, &rest) == MULTIADDR_NO_NAME) {
        found(l, &addr);
        return true;
    }
    return follow(l, &addr, (uint8_t)(q->depth + 1u));
}

static enum names_why why_none(enum names_kind kind, qudag_err err, size_t n)
{
    static const enum names_why none[] = {NAMES_NO_IPV4, NAMES_NO_IPV6, NAMES_NO_RECORD};

    switch (err) {
    case QUDAG_OK:
        return n > 0 ? (kind == NAMES_TXT ? NAMES_NO_MATCH : NAMES_BAD) : none[kind];
    case QUDAG_ENOTFOUND:
        return kind == NAMES_TXT ? NAMES_NO_RECORD : NAMES_NO_HOST;
    case QUDAG_ETIMEOUT:
        return NAMES_SILENT;
    case QUDAG_EUNSUPPORTED:
        return NAMES_NOT_HERE;
    default:
        return NAMES_BAD;
    }
}

void names_answered(struct names_lookup *l, unsigned ix, qudag_err err, const struct slice *records,
                    size_t n)
{
    bool any = false;

    if (ix >= l->n_questions || !l->q[ix].told || l->q[ix].answered) {
        return;
    }
    l->q[ix].answered = true;
    l->n_open--;
    const struct names_asked q = l->q[ix];
    for (size_t i = 0; err == QUDAG_OK && i < n && i < NAMES_RECORDS_MAX; i++) {
        any = (q.kind == NAMES_TXT ? take_text(l, &q, records[i]) : take_ip(l, &q, records[i])) ||
              any;
    }
    if (!any) {
        note(l, why_none((enum names_kind)q.kind, err, n));
    }
    if (names_done(l) && l->n_addrs == 0) {
        note(l, NAMES_TOO_FAR); /* only to what was asked for already */
    }
}
