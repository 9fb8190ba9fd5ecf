/*
 * names.h - from an address with a name in it to addresses that can be dialled (specs: addressing/README.md, dnsaddr).
 *
 *   /dns4/NAME/rest ─ A ───▶ /ip4/.../rest        /dnsaddr/NAME/rest ─ TXT of _dnsaddr.NAME ─▶ "dnsaddr=ADDRESS" ...
 *   /dns6/NAME/rest ─ AAAA ▶ /ip6/.../rest              each that ends with rest; a name in it is asked for in turn
 *   /dns/NAME/rest  ─ both
 *
 * Passive: it says what to ask, and is told the answers, which may come in any order and say anything: what follows on
 * them is bounded in depth, in number of questions and of addresses.
 */
#ifndef QUDAG_SRC_CORE_NAMES_NAMES_H
#define QUDAG_SRC_CORE_NAMES_NAMES_H

#include "base/types.h"
#include "wire/multiaddr.h"

#include <qudag/error.h>

#define NAMES_DEPTH_MAX 4      /* /dnsaddr that leads to /dnsaddr */
#define NAMES_QUESTIONS_MAX 16 /* of one lookup */
#define NAMES_ADDRS_MAX 32     /* that one lookup leads to */
#define NAMES_RECORDS_MAX 32   /* of one answer that are looked at */
#define NAMES_NAME_MAX 253     /* characters of a name (RFC 1035 2.3.4) */

enum names_kind { NAMES_A, NAMES_AAAA, NAMES_TXT };

/* What a lookup that led to no address failed by; for people. */
enum names_why {
    NAMES_FOUND,
    NAMES_NO_HOST, /* the name does not exist */
    NAMES_NO_IPV4, /* it has no address of that version */
    NAMES_NO_IPV6,
    NAMES_NO_ADDRESS, /* of either */
    NAMES_NO_RECORD,  /* of dnsaddr */
    NAMES_NO_MATCH, /* there are such records, but none for the peer and transport that was asked for */
    NAMES_SILENT,   /* no name server answered */
    NAMES_BAD,      /* what a name server said makes no sense, or it refused */
    NAMES_TOO_FAR,  /* the limits above */
    NAMES_NOT_HERE, /* this node resolves no names */
    NAMES_WHYS,
};
/* In words, to follow on the name; static. */
const char *names_why_text(enum names_why why);

struct names_question {
    enum names_kind kind;
    char name[NAMES_NAME_MAX + 1];
};

struct names_lookup {
    struct names_asked {
        struct multiaddr addr; /* begins with the name */
        uint8_t kind, depth;
        bool told, answered; /* told: by names_next() */
    } q[NAMES_QUESTIONS_MAX];
    uint8_t n_questions, n_open; /* open: without an answer */
    uint8_t n_addrs;
    enum names_why why;
    struct multiaddr addr[NAMES_ADDRS_MAX];
};

/* Whether |name| is one that a resolver may be asked for: letters, digits, '-' and '_' in labels, RFC 1035 2.3.4. */
bool names_rule_name(struct slice name);
/* Whether a host may have the address: not 0/8, not of multicast or broadcast. */
bool names_rule_ip(const struct netaddr *ip);

/* QUDAG_EINVAL: |addr| does not begin with a name; QUDAG_EMALFORMED: with none that can be asked for. */
QUDAG_MUST_USE qudag_err names_begin(struct names_lookup *l, const struct multiaddr *addr);
/* The next question, |*ix| its name; false: none for now.  Each comes once. */
bool names_next(struct names_lookup *l, unsigned *ix, struct names_question *out);
/*
 * The answer to question |ix|: |n| records, 4 bytes of an A, 16 of an AAAA, the whole text of a TXT; or |err|:
 * QUDAG_ENOTFOUND (no such name), QUDAG_OK with |n| 0 (no such record), QUDAG_ETIMEOUT, another.  The second answer to
 * one question, and one to none, are ignored.
 */
void names_answered(struct names_lookup *l, unsigned ix, qudag_err err, const struct slice *records,
                    size_t n);
/* Whether every question is answered: then addr[0..n_addrs) is what there is, and |why| says why there is none. */
static inline bool names_done(const struct names_lookup *l)
{
    return l->n_open == 0;
}

#endif
