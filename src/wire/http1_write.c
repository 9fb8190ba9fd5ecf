/* http1_write.c - heads for the next hop, and where a body ends. */
#include "wire/http1_int.h"

#include <string.h>

static void text(struct wr *w, const char *s)
{
    wr_bytes(w, s, strlen(s));
}

static void field(struct wr *w, struct slice name, struct slice value)
{
    wr_slice(w, name);
    text(w, ": ");
    wr_slice(w, value);
    text(w, "\r\n");
}

/* ------------------------------------------------------------------ which fields are of this hop */

/* What the Connection fields of a head name (RFC 9110 section 7.6.1), looked up once and not for every field. */
struct hop {
    struct slice names[HTTP1_HOP_MAX];
    size_t n;
};

static void hop_read(struct hop *h, struct slice fields)
{
    struct slice line, item;
    struct http1_field f;

    h->n = 0;
    while (http1_line_next(&fields, &line) == QUDAG_OK && line.len > 0) {
        if (http1_field_read(line, &f) != QUDAG_OK || !http1_is(f.name, "Connection")) {
            continue;
        }
        while (h->n < HTTP1_HOP_MAX && http1_list_next(&f.value, &item)) {
            h->names[h->n++] = item;
        }
    }
}

static bool hop_names(const struct hop *h, struct slice name)
{
    for (size_t i = 0; i < h->n; i++) {
        if (http1_same(h->names[i], name)) {
            return true;
        }
    }
    return false;
}

static bool of_this_hop(const struct hop *h, struct slice name, bool upgrade)
{
    static const char *const always[] = {"Connection",          "Proxy-Connection",
                                         "Proxy-Authorization", "Proxy-Authenticate",
                                         "Keep-Alive",          "TE"};
    /* how long a body is stays as it is, whoever asks for its removal */
    static const char *const never[] = {"Content-Length", "Transfer-Encoding", "Host"};

    for (size_t i = 0; i < ARRAY_LEN(always); i++) {
        if (http1_is(name, always[i])) {
            return true;
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(never); i++) {
        if (http1_is(name, never[i])) {
            return false;
        }
    }
    if (http1_is(name, "Upgrade")) {
        return !upgrade;
    }
    return hop_names(h, name);
}

/* ------------------------------------------------------------------ names that stay here */

struct origin {
    struct slice host, rest; /* of scheme://host[rest] */
};

/* Takes the URL |value| apart; false: it is none with a host. */
static bool origin_of(struct slice value, struct origin *o)
{
    size_t at = 0, end;

    while (at + 3 <= value.len && memcmp(value.base + at, "://", 3) != 0) {
        at++;
    }
    if (at + 3 > value.len) {
        return false;
    }
    at += 3;
    for (end = at; end < value.len && strchr(":/?#", value.base[end]) == NULL; end++) {
    }
    o->host = (struct slice){value.base + at, end - at};
    o->rest = slice_rest(value, end);
    return true;
}

/* name.dark, with one label: such names are given by people to addresses, on their own machines. */
static bool is_petname(struct slice host)
{
    static const char end[] = ".dark";
    size_t n = sizeof(end) - 1;

    return host.len > n && http1_is((struct slice){host.base + host.len - n, n}, end) &&
           memchr(host.base, '.', host.len - n) == NULL;
}

/* Referer or Origin: as it is, with the authority in place of the name, or not at all. */
static void origin_field(struct wr *w, const struct http1_field *f, const struct http1_names *names)
{
    struct origin o;

    if (!origin_of(f->value, &o) || !is_petname(o.host)) {
        field(w, f->name, f->value);
        return;
    }
    if (names->host.len == 0 || !http1_same(o.host, names->host)) {
        return;
    }
    wr_slice(w, f->name);
    text(w, ": http://");
    text(w, names->authority);
    /* the port is the authority's */
    size_t skip = 0;
    if (o.rest.len > 0 && o.rest.base[0] == ':') {
        for (skip = 1; skip < o.rest.len && strchr("/?#", o.rest.base[skip]) == NULL; skip++) {
        }
    }
    wr_bytes(w, o.rest.base + skip, o.rest.len - skip);
    text(w, "\r\n");
}

/* ------------------------------------------------------------------ heads */

/* Every field of the head |fields| that goes on; those about names by |names| (NULL: a response). */
static void fields_write(struct wr *w, struct slice fields, bool upgrade,
                         const struct http1_names *names)
{
    struct slice left = fields, line;
    struct http1_field f;
    struct hop hop;

    hop_read(&hop, fields);
    while (http1_line_next(&left, &line) == QUDAG_OK && line.len > 0) {
        if (http1_field_read(line, &f) != QUDAG_OK || of_this_hop(&hop, f.name, upgrade)) {
            continue;
        }
        if (names != NULL && http1_is(f.name, "Host")) {
            continue;
        }
        if (names != NULL && (http1_is(f.name, "Referer") || http1_is(f.name, "Origin"))) {
            origin_field(w, &f, names);
            continue;
        }
        field(w, f.name, f.value);
    }
}

void http1_request_write(struct wr *w, const struct http1_request *r, struct slice in,
                         const struct http1_names *names)
{
    struct slice left = in, line;
    struct slice path = r->path;
    const uint8_t *hash = path.len == 0 ? NULL : memchr(path.base, '#', path.len);

    if (http1_line_next(&left, &line) != QUDAG_OK) {
        w->err = true;
        return;
    }
    path.len =
        hash == NULL ? path.len : (size_t)(hash - path.base); /* a fragment is the client's */
    wr_slice(w, r->method);
    text(w, " ");
    /* RFC 9112 section 3.2.4: OPTIONS without a path is about the server */
    text(w, path.len > 0 && path.base[0] == '/'               ? ""
            : path.len == 0 && http1_is(r->method, "OPTIONS") ? "*"
                                                              : "/");
    wr_slice(w, path);
    text(w, r->old ? " HTTP/1.0\r\nHost: " : " HTTP/1.1\r\nHost: ");
    text(w, names->authority);
    text(w, "\r\n");
    fields_write(w, left, r->upgrade, names);
    text(w, r->upgrade ? "Connection: Upgrade\r\n\r\n" : "Connection: close\r\n\r\n");
}

void http1_response_write(struct wr *w, const struct http1_response *r, struct slice in)
{
    struct slice left = in, line;
    bool switching = r->status == 101;

    if (http1_line_next(&left, &line) != QUDAG_OK) {
        w->err = true;
        return;
    }
    wr_slice(w, line);
    text(w, "\r\n");
    fields_write(w, left, switching, NULL);
    text(w, switching         ? "Connection: Upgrade\r\n\r\n"
            : r->status < 200 ? "\r\n"
                              : "Connection: close\r\n\r\n");
}

/* ------------------------------------------------------------------ bodies */

/*
 *   SIZE ─ hex digits ─▶ EXT ─ CRLF ─▶ DATA ─▶ DATA_CR ─ CRLF ─▶ SIZE ...
 *                         └ CRLF of a chunk of size 0 ─▶ LINE ─ a line ─▶ LINE ...; an empty one ─▶ DONE
 */
enum {
    SIZE_FIRST,
    SIZE,
    EXT,
    EXT_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    LINE_FIRST,
    LINE,
    LINE_LF,
    LINE_LAST,
    DONE
};

static int hex_value(uint8_t c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static int after_size(struct http1_body *b, uint8_t c)
{
    int digit = hex_value(c);

    if (digit >= 0 && b->left < UINT64_MAX >> 8) {
        b->left = b->left << 4 | (uint64_t)digit;
        return SIZE;
    }
    if (digit >= 0 || b->at == SIZE_FIRST) {
        return -1;
    }
    return c == '\r' ? EXT_LF : c == ';' || c == ' ' || c == '\t' ? EXT : -1;
}

/* The state behind the byte |c|; -1: it has no place here. */
static int step(struct http1_body *b, uint8_t c)
{
    switch (b->at) {
    case SIZE_FIRST:
    case SIZE:
        return after_size(b, c);
    case EXT:
        return c == '\r' ? EXT_LF : c == '\n' ? -1 : EXT;
    case EXT_LF:
        return c != '\n' ? -1 : b->left > 0 ? DATA : LINE_FIRST;
    case DATA_CR:
        return c == '\r' ? DATA_LF : -1;
    case DATA_LF:
        return c == '\n' ? SIZE_FIRST : -1;
    case LINE_FIRST:
        return c == '\r' ? LINE_LAST : c == '\n' ? -1 : LINE;
    case LINE:
        return c == '\r' ? LINE_LF : c == '\n' ? -1 : LINE;
    case LINE_LF:
        return c == '\n' ? LINE_FIRST : -1;
    case LINE_LAST:
        return c == '\n' ? DONE : -1;
    default:
        return -1;
    }
}

static size_t counted(struct http1_body *b, size_t len)
{
    size_t n = len < b->left ? len : (size_t)b->left;

    b->left -= n;
    return n;
}

size_t http1_body_take(struct http1_body *b, struct slice in)
{
    size_t n = 0;

    if (b->length != HTTP1_CHUNKED) {
        return b->length == HTTP1_COUNTED ? counted(b, in.len) : 0;
    }
    while (n < in.len && !b->bad && b->at != DONE) {
        if (b->at == DATA) {
            n += counted(b, in.len - n);
            b->at = b->left == 0 ? DATA_CR : DATA;
            continue;
        }
        int next = step(b, in.base[n]);
        b->bad = next < 0;
        if (next >= 0) {
            b->at = (uint8_t)next;
            n++;
        }
    }
    return n;
}

bool http1_body_done(const struct http1_body *b)
{
    return b->length == HTTP1_CHUNKED   ? b->at == DONE
           : b->length == HTTP1_COUNTED ? b->left == 0
                                        : true;
}
