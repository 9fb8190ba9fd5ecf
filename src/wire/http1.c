/* http1.c - heads of HTTP/1: lines, fields, and what they mean to a proxy. */
#include "wire/http1.h"

#include "wire/http1_int.h"

#include <string.h>

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c - 'A' + 'a') : c;
}

bool http1_same(struct slice a, struct slice b)
{
    size_t i = 0;

    while (i < a.len && i < b.len && lower(a.base[i]) == lower(b.base[i])) {
        i++;
    }
    return i == a.len && i == b.len;
}

bool http1_is(struct slice a, const char *text)
{
    return http1_same(a, (struct slice){(const uint8_t *)text, strlen(text)});
}

/* ------------------------------------------------------------------ characters (RFC 9110 section 5.6.2) */

static bool is_token(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool all_tokens(struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (!is_token(s.base[i])) {
            return false;
        }
    }
    return s.len > 0;
}

/* Of a field's value: a tab, and all but control characters. */
static bool is_value(struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        if ((s.base[i] < 0x20 && s.base[i] != '\t') || s.base[i] == 0x7f) {
            return false;
        }
    }
    return true;
}

/* Of a request's target: printable ASCII. */
static bool is_target(struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.base[i] <= 0x20 || s.base[i] >= 0x7f) {
            return false;
        }
    }
    return s.len > 0;
}

static struct slice cut(struct slice s, size_t from, size_t to)
{
    return (struct slice){s.base + from, to - from};
}

static struct slice trimmed(struct slice s)
{
    while (s.len > 0 && (s.base[0] == ' ' || s.base[0] == '\t')) {
        s = cut(s, 1, s.len);
    }
    while (s.len > 0 && (s.base[s.len - 1] == ' ' || s.base[s.len - 1] == '\t')) {
        s.len--;
    }
    return s;
}

/* ------------------------------------------------------------------ lines */

qudag_err http1_line_next(struct slice *left, struct slice *line)
{
    const uint8_t *end = left->len == 0 ? NULL : memchr(left->base, '\n', left->len);

    if (end == NULL) {
        return QUDAG_EAGAIN;
    }
    size_t n = (size_t)(end - left->base);
    if (n == 0 || left->base[n - 1] != '\r') {
        return QUDAG_EMALFORMED;
    }
    *line = cut(*left, 0, n - 1);
    *left = cut(*left, n + 1, left->len);
    return QUDAG_OK;
}

qudag_err http1_field_read(struct slice line, struct http1_field *f)
{
    const uint8_t *colon = memchr(line.base, ':', line.len);
    size_t n = colon == NULL ? 0 : (size_t)(colon - line.base);

    if (n == 0) {
        return QUDAG_EMALFORMED;
    }
    f->name = cut(line, 0, n);
    f->value = trimmed(cut(line, n + 1, line.len));
    return all_tokens(f->name) && is_value(f->value) ? QUDAG_OK : QUDAG_EMALFORMED;
}

bool http1_list_next(struct slice *list, struct slice *item)
{
    while (list->len > 0) {
        const uint8_t *comma = memchr(list->base, ',', list->len);
        size_t n = comma == NULL ? list->len : (size_t)(comma - list->base);
        *item = trimmed(cut(*list, 0, n));
        *list = cut(*list, comma == NULL ? n : n + 1, list->len);
        if (item->len > 0) {
            return true;
        }
    }
    return false;
}

/* Whether the list |value| has |item|. */
static bool has_item(struct slice value, const char *item)
{
    struct slice one;

    while (http1_list_next(&value, &one)) {
        if (http1_is(one, item)) {
            return true;
        }
    }
    return false;
}

/* ------------------------------------------------------------------ numbers */

static bool number(struct slice s, uint64_t max, uint64_t *out)
{
    uint64_t n = 0;

    for (size_t i = 0; i < s.len; i++) {
        if (s.base[i] < '0' || s.base[i] > '9' || n > (max - (uint64_t)(s.base[i] - '0')) / 10) {
            return false;
        }
        n = n * 10 + (uint64_t)(s.base[i] - '0');
    }
    *out = n;
    return s.len > 0;
}

/* ------------------------------------------------------------------ the target */

/* host[:port] or [host][:port]; |port| stays where none is written. */
static bool authority(struct http1_request *r, struct slice s, uint16_t *port)
{
    size_t n = 0;
    uint64_t value;

    r->brackets = s.len > 0 && s.base[0] == '[';
    if (r->brackets) {
        const uint8_t *end = memchr(s.base, ']', s.len);
        if (end == NULL) {
            return false;
        }
        n = (size_t)(end - s.base);
        r->host = cut(s, 1, n);
        n++;
    } else {
        const uint8_t *colon = s.len == 0 ? NULL : memchr(s.base, ':', s.len);
        n = colon == NULL ? s.len : (size_t)(colon - s.base);
        r->host = cut(s, 0, n);
    }
    if (r->host.len == 0 || r->host.len > HTTP1_HOST_MAX ||
        memchr(r->host.base, '@', r->host.len) != NULL) {
        return false;
    }
    if (n == s.len) {
        return true;
    }
    if (s.base[n] != ':') {
        return false;
    }
    s = cut(s, n + 1, s.len);
    if (s.len == 0) {
        return true;
    }
    if (!number(s, UINT16_MAX, &value)) {
        return false;
    }
    *port = (uint16_t)value;
    return true;
}

static qudag_err absolute(struct http1_request *r)
{
    static const char scheme[] = "http://";
    size_t at = sizeof(scheme) - 1, end = at;

    if (r->target.len <= at || !http1_is(cut(r->target, 0, at), scheme)) {
        bool other = r->target.len > 0 && r->target.base[0] != '/' && r->target.base[0] != '*';
        r->form = HTTP1_OTHER;
        return other ? QUDAG_EUNSUPPORTED : QUDAG_OK;
    }
    while (end < r->target.len && strchr("/?#", r->target.base[end]) == NULL) {
        end++;
    }
    r->form = HTTP1_ABSOLUTE;
    r->port = 80;
    if (!authority(r, cut(r->target, at, end), &r->port) || r->port == 0) {
        return QUDAG_EMALFORMED;
    }
    r->path = cut(r->target, end, r->target.len);
    return QUDAG_OK;
}

static qudag_err target(struct http1_request *r)
{
    r->form = HTTP1_CONNECT;
    if (!http1_is(r->method, "CONNECT")) {
        return absolute(r);
    }
    return authority(r, r->target, &r->port) && r->port != 0 ? QUDAG_OK : QUDAG_EMALFORMED;
}

static qudag_err version(struct slice s, bool *old)
{
    if (s.len != 8 || memcmp(s.base, "HTTP/", 5) != 0) {
        return QUDAG_EMALFORMED;
    }
    *old = s.base[7] == '0';
    return s.base[5] == '1' && s.base[6] == '.' && (s.base[7] == '0' || s.base[7] == '1')
               ? QUDAG_OK
               : QUDAG_EUNSUPPORTED;
}

/* METHOD SP target SP HTTP/1.x */
static qudag_err request_line(struct http1_request *r, struct slice line)
{
    const uint8_t *first = line.len == 0 ? NULL : memchr(line.base, ' ', line.len);
    if (first == NULL) {
        return QUDAG_EMALFORMED;
    }
    size_t a = (size_t)(first - line.base), b = line.len;
    while (b > a + 1 && line.base[b - 1] != ' ') {
        b--;
    }
    if (b == a + 1) {
        return QUDAG_EMALFORMED;
    }
    r->method = cut(line, 0, a);
    r->target = cut(line, a + 1, b - 1);
    qudag_err err = version(cut(line, b, line.len), &r->old);
    if (err != QUDAG_OK) {
        return err;
    }
    return all_tokens(r->method) && is_target(r->target) ? target(r) : QUDAG_EMALFORMED;
}

/* ------------------------------------------------------------------ the fields of a head, so many and no more */

struct counts {
    size_t fields, hop; /* so far; names in Connection fields */
};

/* The next field; f->name is empty at the end of the head. */
static qudag_err field_next(struct slice *left, struct http1_field *f, struct counts *n)
{
    struct slice line, items, item;
    qudag_err err = http1_line_next(left, &line);

    *f = (struct http1_field){0};
    if (err != QUDAG_OK || line.len == 0) {
        return err;
    }
    if (++n->fields > HTTP1_FIELDS_MAX) {
        return QUDAG_ETOOBIG;
    }
    err = http1_field_read(line, f);
    if (err == QUDAG_OK && http1_is(f->name, "Connection")) {
        for (items = f->value; http1_list_next(&items, &item); n->hop++) {
        }
    }
    return n->hop > HTTP1_HOP_MAX ? QUDAG_ETOOBIG : err;
}

/* ------------------------------------------------------------------ the fields of a request */

static qudag_err length_field(struct http1_body *b, bool *counted, struct slice value)
{
    uint64_t n;

    if (!number(value, UINT64_MAX / 2, &n) || (*counted && n != b->left)) {
        return QUDAG_EMALFORMED;
    }
    *counted = true;
    b->left = n;
    return QUDAG_OK;
}

struct lengths {
    bool counted, chunked, upgrade_asked, upgrade_named;
};

static qudag_err request_field(struct http1_request *r, const struct http1_field *f,
                               struct lengths *l)
{
    if (http1_is(f->name, "Content-Length")) {
        return length_field(&r->body, &l->counted, f->value);
    }
    if (http1_is(f->name, "Transfer-Encoding")) {
        if (l->chunked || !http1_is(f->value, "chunked")) {
            return QUDAG_EUNSUPPORTED;
        }
        l->chunked = true;
    } else if (http1_is(f->name, "Proxy-Authorization")) {
        r->credentials = f->value;
    } else if (http1_is(f->name, "Upgrade")) {
        l->upgrade_named = f->value.len > 0;
    } else if (http1_is(f->name, "Connection")) {
        l->upgrade_asked = l->upgrade_asked || has_item(f->value, "upgrade");
    }
    return QUDAG_OK;
}

/* RFC 9112 section 6.3: with both lengths somebody wants two readers to disagree. */
static qudag_err body_of(struct http1_request *r, const struct lengths *l)
{
    r->upgrade = l->upgrade_asked && l->upgrade_named;
    if (l->chunked && (l->counted || r->old)) {
        return QUDAG_EMALFORMED;
    }
    if (r->form == HTTP1_CONNECT) {
        r->body = (struct http1_body){0}; /* what follows is the tunnel's */
    } else if (l->chunked) {
        r->body.length = HTTP1_CHUNKED;
    } else if (r->body.left > 0) {
        r->body.length = HTTP1_COUNTED;
    }
    return QUDAG_OK;
}

static qudag_err too_little(struct slice in)
{
    return in.len >= HTTP1_HEAD_MAX ? QUDAG_ETOOBIG : QUDAG_EAGAIN;
}

static qudag_err request_read(struct http1_request *r, struct slice in)
{
    struct slice left = in, line;
    struct lengths l = {0};
    struct counts n = {0};
    struct http1_field f;
    qudag_err err = http1_line_next(&left, &line);

    if (err == QUDAG_OK) {
        err = request_line(r, line);
    }
    while (err == QUDAG_OK) {
        err = field_next(&left, &f, &n);
        if (err == QUDAG_OK && f.name.len == 0) {
            r->len = in.len - left.len;
            return body_of(r, &l);
        }
        if (err == QUDAG_OK) {
            err = request_field(r, &f, &l);
        }
    }
    return err;
}

qudag_err http1_request_read(struct http1_request *out, struct slice in)
{
    struct http1_request r = {0};

    in.len = in.len < HTTP1_HEAD_MAX ? in.len : HTTP1_HEAD_MAX;
    qudag_err err = request_read(&r, in);
    if (err == QUDAG_OK) {
        *out = r;
    }
    return err == QUDAG_EAGAIN ? too_little(in) : err;
}

/* ------------------------------------------------------------------ a response */

/* HTTP/1.x SP 3 digits [SP reason] */
static qudag_err status_line(struct http1_response *r, struct slice line)
{
    uint64_t status;
    bool old;

    if (line.len < 12 || line.base[8] != ' ' || (line.len > 12 && line.base[12] != ' ') ||
        !is_value(line)) {
        return QUDAG_EMALFORMED;
    }
    qudag_err err = version(cut(line, 0, 8), &old);
    if (err == QUDAG_OK && (!number(cut(line, 9, 12), 599, &status) || status < 100)) {
        err = QUDAG_EMALFORMED;
    }
    if (err == QUDAG_OK) {
        r->status = (uint16_t)status;
    }
    return err;
}

static qudag_err response_read(struct http1_response *r, struct slice in)
{
    struct slice left = in, line;
    struct counts n = {0};
    struct http1_field f;
    qudag_err err = http1_line_next(&left, &line);

    if (err == QUDAG_OK) {
        err = status_line(r, line);
    }
    while (err == QUDAG_OK) {
        err = field_next(&left, &f, &n);
        if (err == QUDAG_OK && f.name.len == 0) {
            r->len = in.len - left.len;
            return QUDAG_OK;
        }
    }
    return err;
}

qudag_err http1_response_read(struct http1_response *out, struct slice in)
{
    struct http1_response r = {0};

    in.len = in.len < HTTP1_HEAD_MAX ? in.len : HTTP1_HEAD_MAX;
    qudag_err err = response_read(&r, in);
    if (err == QUDAG_OK) {
        *out = r;
    }
    return err == QUDAG_EAGAIN ? too_little(in) : err;
}
