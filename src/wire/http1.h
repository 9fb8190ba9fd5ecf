/*
 * http1.h - heads of HTTP/1 messages as a proxy reads and passes them on (RFC 9110, RFC 9112).
 *
 *   CONNECT host:port HTTP/1.1       bytes both ways after the answer
 *   GET http://host[:port]/path ...  one request and its answer; the head is written anew for the other side
 *
 * Strict, so that two readers of the same bytes cannot differ: lines end in CRLF, no line is folded, a name has no
 * space before its colon, and a body has one length.  The readers keep no state: QUDAG_EAGAIN while |in| is a
 * beginning of a head, QUDAG_ETOOBIG beyond HTTP1_HEAD_MAX, HTTP1_FIELDS_MAX or HTTP1_HOP_MAX, QUDAG_EMALFORMED; only
 * with QUDAG_OK is *out written, and its slices are borrowed from |in|.  The limits keep the work for one head small:
 * the other side chooses it, and everything else that the node does stands still meanwhile.
 */
#ifndef QUDAG_SRC_WIRE_HTTP1_H
#define QUDAG_SRC_WIRE_HTTP1_H

#include "base/types.h"
#include "base/wr.h"

#define HTTP1_HEAD_MAX 32768 /* bytes of a head with its empty line */
#define HTTP1_HOST_MAX 255   /* of a host */
#define HTTP1_FIELDS_MAX 128 /* fields of a head */
#define HTTP1_HOP_MAX 16     /* names in its Connection fields */

enum http1_form {
    HTTP1_CONNECT,  /* CONNECT host:port */
    HTTP1_ABSOLUTE, /* http://host[:port]/path */
    HTTP1_OTHER,    /* what a proxy is not asked: /path, or * */
};

/* A body, and how far it has been passed on; see http1_body_take(). */
enum http1_length { HTTP1_NO_BODY, HTTP1_COUNTED, HTTP1_CHUNKED };
struct http1_body {
    enum http1_length length;
    uint8_t at;    /* CHUNKED: where in its syntax */
    uint64_t left; /* COUNTED: of the body; CHUNKED: of this chunk */
    bool bad;      /* CHUNKED: what came is none */
};

struct http1_request {
    size_t len; /* of the head, up to and with its empty line */
    enum http1_form form;
    struct slice method, target;
    struct slice host;        /* as written, without brackets; CONNECT and ABSOLUTE */
    uint16_t port;            /* 80 where an absolute form names none */
    bool brackets;            /* [host], as only IPv6 addresses have it */
    struct slice path;        /* ABSOLUTE: from the first / or ? on; may be empty */
    struct slice credentials; /* the value of Proxy-Authorization; len 0: none */
    bool upgrade;             /* asks for another protocol, as WebSocket does */
    bool old;                 /* HTTP/1.0 */
    struct http1_body body;   /* what follows the head */
};
/*
 * Also: QUDAG_EUNSUPPORTED: another version of HTTP, a scheme other than http, or a transfer coding that is not
 * chunked.
 */
QUDAG_MUST_USE qudag_err http1_request_read(struct http1_request *out, struct slice in);

/* Names in a request that nobody outside is told, and what stands in their place. */
struct http1_names {
    struct slice
        host; /* what the client wrote, a name that means something here only; len 0: no such name */
    const char *authority; /* host and port as the other side knows them: its Host field */
};
/*
 * The head that |in| begins with, read as |r| (ABSOLUTE), as the server gets it: origin form, fields of this hop left
 * out, Host by |names|, and "Connection: close" (or Upgrade).  Referer and Origin that begin with names->host get the
 * authority in its place; those that name another one-label host under .dark are left out.  An error of |w| where it
 * is too small; HTTP1_HEAD_MAX more than the head is enough.
 */
void http1_request_write(struct wr *w, const struct http1_request *r, struct slice in,
                         const struct http1_names *names);

struct http1_response {
    size_t len;
    uint16_t status; /* 100 to 599 */
};
/* The head of a response. */
QUDAG_MUST_USE qudag_err http1_response_read(struct http1_response *out, struct slice in);
#define HTTP1_MORE_MAX (HTTP1_FIELDS_MAX + 32) /* bytes that it may have more than what was read */
/*
 * The same for the client: fields of this hop left out, and, except with 1xx, "Connection: close"; a space behind each
 * colon.
 */
void http1_response_write(struct wr *w, const struct http1_response *r, struct slice in);

/*
 * How many of the bytes |in| belong to the body; they count as passed on.  The rest is no part of it.  Once |b| is bad,
 * 0.
 */
size_t http1_body_take(struct http1_body *b, struct slice in);
/* Whether all of it has been taken. */
bool http1_body_done(const struct http1_body *b);

/* Whether |a| is |text|, without regard to case. */
bool http1_is(struct slice a, const char *text);

#endif
