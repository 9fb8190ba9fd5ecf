/*
 * socks.h - SOCKS5 as a server speaks it (RFC 1928), with user and password (RFC 1929).
 *
 *   client ─ greeting ─▶  ◀─ method ─ [ login ─▶  ◀─ login reply ─ ] request ─▶  ◀─ reply ─  bytes both ways
 *
 * The readers take what has come so far and keep no state.  Each returns QUDAG_EAGAIN while |in| is a beginning of
 * a message, QUDAG_EMALFORMED for what begins none; only with QUDAG_OK are *out and *used written, and the slices in
 * *out are borrowed from |in|.  No message is longer than SOCKS_MESSAGE_MAX.
 */
#ifndef QUDAG_SRC_WIRE_SOCKS_H
#define QUDAG_SRC_WIRE_SOCKS_H

#include "base/types.h"

#define SOCKS_VERSION 5
#define SOCKS_VERSION_4 4     /* of the first byte of a request of SOCKS4, which is not served */
#define SOCKS_MESSAGE_MAX 513 /* bytes; a login is the longest */
#define SOCKS_REPLY_LEN 10

/* RFC 1928 section 3. */
enum socks_method { SOCKS_METHOD_NONE = 0, SOCKS_METHOD_PASSWORD = 2, SOCKS_METHOD_REFUSED = 0xff };
/* RFC 1928 section 4. */
enum socks_command { SOCKS_CONNECT = 1 }; /* BIND (2) and UDP ASSOCIATE (3) are not served */
enum socks_address { SOCKS_IP4 = 1, SOCKS_NAME = 3, SOCKS_IP6 = 4 };

/*
 * RFC 1928 section 6; from 0xf0 on those of Tor's proposal 304, whose "onion service" is a dark address here.  Of both,
 * those that are answered.
 */
enum socks_code {
    SOCKS_OK = 0,
    SOCKS_FAILED = 1,        /* general failure */
    SOCKS_NOT_ALLOWED = 2,   /* by ruleset */
    SOCKS_NO_NETWORK = 3,    /* network unreachable */
    SOCKS_NO_HOST = 4,       /* host unreachable */
    SOCKS_REFUSED = 5,       /* connection refused */
    SOCKS_NO_COMMAND = 7,    /* command not supported */
    SOCKS_NO_ADDRESS = 8,    /* address type not supported */
    SOCKS_NO_RECORD = 0xf0,  /* descriptor not found */
    SOCKS_OFFLINE = 0xf2,    /* introduction failed */
    SOCKS_NEEDS_AUTH = 0xf4, /* client authorization missing */
    SOCKS_BAD_NAME = 0xf6,   /* not a valid address */
    SOCKS_TIMED_OUT = 0xf7,
};

struct socks_greeting {
    bool none, password; /* the methods offered, of those we know */
};
/* The greeting: which methods the client knows. */
QUDAG_MUST_USE qudag_err socks_greeting_read(struct socks_greeting *out, struct slice in,
                                             size_t *used);
/* The one to be used: a password where it is offered, as it names who asks; SOCKS_METHOD_REFUSED: none will do. */
enum socks_method socks_method_of(const struct socks_greeting *g);

struct socks_login {
    struct slice user, password; /* at most 255 bytes each, any bytes */
};
/* User and password.  Empty ones are taken: there is no account that they could be wrong for. */
QUDAG_MUST_USE qudag_err socks_login_read(struct socks_login *out, struct slice in, size_t *used);

struct socks_request {
    uint8_t command, address; /* any command; SOCKS_IP4, SOCKS_NAME or SOCKS_IP6 */
    uint16_t port;
    struct slice
        host; /* the name, 1 to 255 bytes of any value, or the 4 or 16 bytes of an address */
};
/* What the client wants.  QUDAG_EUNSUPPORTED: an address of a kind whose length nobody knows. */
QUDAG_MUST_USE qudag_err socks_request_read(struct socks_request *out, struct slice in,
                                            size_t *used);

/* The reply to a greeting; SOCKS_METHOD_REFUSED ends the connection. */
void socks_method_write(uint8_t out[2], enum socks_method m);
/* The reply to a login: it is accepted. */
void socks_login_ok_write(uint8_t out[2]);
/* The reply to a request, with the address 0.0.0.0:0 in it: where we are bound is nobody's business. */
void socks_reply_write(uint8_t out[SOCKS_REPLY_LEN], enum socks_code code);
/* The reply to a request of SOCKS4: refused. */
void socks_4_refused_write(uint8_t out[8]);

#endif
