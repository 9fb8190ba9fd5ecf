/*
 * proxy_rules.h - the decisions of the proxy, as pure functions: whether a name leads anywhere, who shares a circuit
 * with whom, who may connect, and what a failure is called.
 */
#ifndef QUDAG_SRC_APP_PROXY_RULES_H
#define QUDAG_SRC_APP_PROXY_RULES_H

#include <qudag/proxy.h>

#include "base/types.h"
#include "wire/socks.h"

#define PROXY_HOST_MAX 255 /* bytes of a name, without NUL */
#define PROXY_UID_UNKNOWN UINT64_MAX

/* ------------------------------------------------------------------ names */

enum proxy_host {
    PROXY_ADDRESS, /* a dark address, perhaps one with a mistake in it */
    PROXY_PETNAME, /* one label under .dark */
    PROXY_IP,      /* an IP address, in any of the ways in which people write them */
    PROXY_OUTSIDE, /* a name that is not under .dark */
    PROXY_NO_NAME, /* nothing a host could be called */
};
/*
 * What |host| is.  |out| gets the address without labels before it (x.ADDRESS is ADDRESS), or the petname without
 * ".dark"; both in lower case.  Empty for the others.
 */
enum proxy_host proxy_host_read(struct slice host, char out[PROXY_HOST_MAX + 1]);

/* ------------------------------------------------------------------ who shares a circuit */

/* What tells users of the proxy apart.  Credentials of SOCKS and of HTTP are never the same. */
enum proxy_login { PROXY_NOBODY, PROXY_SOCKS_LOGIN, PROXY_HTTP_LOGIN };
struct proxy_user {
    uint64_t uid; /* of the process that connects; PROXY_UID_UNKNOWN: it cannot be told */
    enum proxy_login login;
    struct slice name, password; /* HTTP: the value of Proxy-Authorization is the name */
};
/* The isolation key of |u|: that of another user is another one, and none is empty, as the program's own may be. */
void proxy_isolation(uint8_t key[QUDAG_ISOLATION_MAX], const struct proxy_user *u);

/* ------------------------------------------------------------------ limits */

/*
 * Whether one more connection may begin for somebody who has |own| of |all|, where at most |max| may be and |users|
 * (with him) have some: nobody is refused below an equal share, and beyond that only half of what is left may go to
 * one.
 */
bool proxy_may_begin(uint32_t own, uint32_t all, uint32_t users, uint32_t max);

/* ------------------------------------------------------------------ failures */

/* Why nothing comes of a request. */
enum proxy_why {
    PROXY_FINE,
    PROXY_BAD_REQUEST, /* no SOCKS5 and no HTTP */
    PROXY_NOT_A_PROXY, /* HTTP without a whole URL: somebody takes the port for a site */
    PROXY_NO_METHOD,   /* SOCKS: BIND, UDP; HTTP: another version, scheme or coding */
    PROXY_HEAD_TOO_BIG,
    PROXY_IS_IP,
    PROXY_IS_OUTSIDE,
    PROXY_BAD_NAME,     /* no form that a name has */
    PROXY_NAME_UNKNOWN, /* no such petname */
    PROXY_TYPO,         /* the address has a mistake */
    PROXY_OTHER_NETWORK,
    PROXY_NOT_FOUND, /* not published */
    PROXY_OFFLINE,
    PROXY_NEEDS_AUTH,
    PROXY_TIMED_OUT,
    PROXY_NOT_READY, /* this node has not joined yet */
    PROXY_NO_GUARD,
    PROXY_SMALL_NETWORK,
    PROXY_NO_TUNNEL, /* the address serves no programs */
    PROXY_NO_PORT,   /* the service has no such port */
    PROXY_TARGET_REFUSED,
    PROXY_TARGET_FAILED,
    PROXY_SERVICE_FULL,
    PROXY_BUSY,   /* too many connections here */
    PROXY_BROKEN, /* what the service answers makes no sense */
    PROXY_FAILED, /* anything else */
    PROXY_WHYS,
};
/* What the client is told. */
struct proxy_answer {
    enum socks_code socks;
    uint16_t http;
    const char *error; /* a type of RFC 9209 (Proxy-Status) */
    const char *title; /* a sentence without its end */
    const char *advice;
};
const struct proxy_answer *proxy_answer_of(enum proxy_why why);
/* Why a stream ended, or was not opened, before the service had answered. */
enum proxy_why proxy_why_of(qudag_err err);
/* What the first byte of the service says (protocol /qudag/tunnel/1.0.0). */
enum proxy_why proxy_why_of_status(uint8_t status);

/* Whether a failure is of a kind that the client could have known: it is counted as refused, not as failed. */
bool proxy_is_refusal(enum proxy_why why);

#endif
