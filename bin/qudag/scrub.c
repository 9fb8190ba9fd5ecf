/* scrub.c - takes out of a text what tells who or where somebody is. */
#include "scrub.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define ID_LEN 20   /* letters and digits in a row */
#define HEX_LEN 12  /* the same, of base 16 */
#define SHORT_LEN 4 /* the same, before and behind what was left out */
#define TAIL_LEN 8  /* the same, where only the end stands (short_peer()) */

#define DIGITS "0123456789"
#define HEX DIGITS "abcdefABCDEF"
#define PATH_END "\t\n\",;'()"
#define ALNUM DIGITS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

struct out {
    char *to;
    size_t len, cap;
};

static void put(struct out *o, const char *text, size_t len)
{
    for (size_t ix = 0; ix < len && o->len + 1 < o->cap; ix++) {
        o->to[o->len++] = text[ix];
    }
}

/* Bytes of an IPv4 address, with a port, at |text|; 0: there is none. */
static size_t ip4(const char *text)
{
    size_t at = 0;

    for (int part = 0; part < 4; part++) {
        size_t n = strspn(text + at, DIGITS);
        if (n == 0 || n > 3 || (part < 3 && text[at + n] != '.')) {
            return 0;
        }
        at += n + (part < 3);
    }
    if (text[at] == ':' && strspn(text + at + 1, DIGITS) > 0) {
        at += 1 + strspn(text + at + 1, DIGITS);
    }
    return at;
}

/* The same of an IPv6 address, with the interface that it is of ("fe80::1%eth0"); a time of day is none. */
static size_t ip6(const char *text)
{
    size_t len = strspn(text, HEX ":."), colons = 0;
    bool pair = false;

    for (size_t ix = 0; ix < len; ix++) {
        colons += text[ix] == ':';
        pair = pair || (text[ix] == ':' && ix + 1 < len && text[ix + 1] == ':');
    }
    if (!pair && colons <= 2) {
        return 0;
    }
    return text[len] == '%' ? len + 1 + strspn(text + len + 1, ALNUM ".-_") : len;
}

/* The same of a name of somebody of which the middle or the beginning is left out: "12D3KooW..Kd8x", "..cen8DpkA". */
static size_t shortened(const char *text)
{
    size_t len = strspn(text, ALNUM);
    size_t dots = strspn(text + len, "."), tail = strspn(text + len + dots, ALNUM);
    bool some = len >= SHORT_LEN ? tail >= SHORT_LEN : len == 0 && tail >= TAIL_LEN;

    return some && (dots == 2 || dots == 3) ? len + dots + tail : 0;
}

/* The same of a run that may be a name of somebody. */
static size_t id(const char *text)
{
    size_t len = strspn(text, ALNUM);
    bool number = strspn(text, DIGITS) >= len, hex = strspn(text, HEX) >= len;

    return !number && (len >= ID_LEN || (hex && len >= HEX_LEN)) ? len : 0;
}

/* The same of a path, with what follows a space in it. */
static size_t path(const char *text)
{
    size_t len = strcspn(text, PATH_END " "), all = strcspn(text, PATH_END);

    for (size_t ix = len; ix < all && memcmp(text + ix - 1, ": ", 2) != 0; ix++) {
        if (text[ix] == '/' && text[ix - 1] != ' ') { /* not the beginning of another */
            len = ix + strcspn(text + ix, PATH_END " ");
        }
    }
    return len;
}

/* The same of the name of a service, which a user gave it. */
static size_t dark(const char *text)
{
    static const char end[] = ".dark";
    size_t len = strspn(text, ALNUM ".-_"), n = sizeof(end) - 1;

    return len > n && memcmp(text + len - n, end, n) == 0 ? len : 0;
}

/* A value that is not quoted, of a field that holds what a user named: its length, else 0. */
static size_t named(const char *all, const char *text)
{
    static const char *const fields[] = {" host=", " name=", " target=", " file="};

    for (size_t ix = 0; ix < sizeof(fields) / sizeof(fields[0]); ix++) {
        size_t n = strlen(fields[ix]);
        if ((size_t)(text - all) >= n && memcmp(text - n, fields[ix], n) == 0) {
            return strcspn(text, " \n");
        }
    }
    return 0;
}

/* A quoted value at |text|, its field before it: its length if it is to go, else 0. */
static size_t quoted(const char *all, const char *text)
{
    static const char *const stay[] = {"text=", "error=", "why="};
    size_t len = 1;

    for (size_t ix = 0; ix < sizeof(stay) / sizeof(stay[0]); ix++) {
        size_t n = strlen(stay[ix]);
        size_t before = (size_t)(text - all);
        if (before >= n && memcmp(text - n, stay[ix], n) == 0 &&
            (before == n || text[-(ptrdiff_t)n - 1] == ' ')) {
            return 0;
        }
    }
    while (text[len] != 0 && text[len] != '"' && text[len] != '\n') {
        len += text[len] == '\\' && text[len + 1] != 0 ? 2 : 1;
    }
    return text > all && text[-1] == '=' ? len + (text[len] == '"') : 0;
}

/* What begins at |text| and is to go: its length, and |*word| for it.  |inside|: a word has begun before it. */
static size_t secret(const char *all, const char *text, bool inside, const char **word)
{
    size_t len;

    if (*text == '"' && (len = quoted(all, text)) > 0) {
        *word = "<text>";
    } else if (!inside && (len = named(all, text)) > 0) {
        *word = "<text>";
    } else if (!inside && (len = dark(text)) > 0) {
        *word = "<id>";
    } else if (!inside && ((len = ip6(text)) > 0 || (len = ip4(text)) > 0)) {
        *word = "<address>";
    } else if (!inside && *text == '/' && text[1] > ' ') {
        len = path(text);
        *word = "<path>";
    } else if (!inside && ((len = shortened(text)) > 0 || (len = id(text)) > 0)) {
        *word = "<id>";
    } else {
        return 0;
    }
    return len;
}

size_t scrub(const char *text, char *out, size_t cap)
{
    struct out o = {out, 0, cap};
    const char *at = text, *word = NULL;
    bool inside = false; /* a word whose beginning stayed */

    while (*at != 0) {
        size_t len = secret(text, at, inside, &word);
        if (len > 0) {
            put(&o, word, strlen(word));
            at += len;
            inside = false;
        } else {
            put(&o, at, 1);
            inside = strchr(ALNUM, *at) != NULL;
            at++;
        }
    }
    if (cap > 0) {
        out[o.len] = 0;
    }
    return o.len;
}
