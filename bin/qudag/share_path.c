/* share_path.c - paths of a share, ranges and media types: pure functions. */
#include "share_path.h"

#include <string.h>
#include <strings.h>

static int hex_value(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* The byte at *url, which is moved behind it; -1: it may stand in no name. */
static int next_byte(const char **url)
{
    const char *at = *url;
    if (*at != '%') {
        *url = at + 1;
        return (uint8_t)*at;
    }
    int high = hex_value(at[1]), low = high < 0 ? -1 : hex_value(at[2]);
    if (low < 0) {
        return -1;
    }
    *url = at + 3;
    int byte = high * 16 + low;
    return byte == 0 || byte == '/' ? -1 : byte;
}

static bool name_fits(const char *name, size_t len)
{
    bool dots = name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.'));
    return len > 0 && len <= SHARE_NAME_MAX && !dots;
}

/* Appends |byte|, if it is one and there is room. */
static bool append(char out[PATH_LEN], size_t *len, int byte)
{
    if (byte < 0 || *len >= PATH_LEN - 1) {
        return false;
    }
    out[(*len)++] = (char)byte;
    return true;
}

static bool decode(char out[PATH_LEN], bool *folder, const char *url, size_t *len)
{
    size_t names = 0;
    while (*url != 0) {
        size_t begin = *len;
        while (*url != 0 && *url != '/') {
            if (!append(out, len, next_byte(&url))) {
                return false;
            }
        }
        if (!name_fits(out + begin, *len - begin) || ++names > SHARE_DEPTH_MAX) {
            return false;
        }
        if (*url == '/') {
            *folder = *++url == 0;
            if (!*folder && !append(out, len, '/')) {
                return false;
            }
        }
    }
    return true;
}

bool share_path_decode(char out[PATH_LEN], bool *folder, const char *url)
{
    size_t len = 0;
    url += url[0] == '/';
    *folder = *url == 0;
    bool good = decode(out, folder, url, &len);
    out[good ? len : 0] = 0;
    return good;
}

void share_path_encode(char out[SHARE_URL_MAX], const char *path)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t len = 0;
    for (; *path != 0 && len + 4 < SHARE_URL_MAX; path++) {
        uint8_t c = (uint8_t)*path;
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     strchr("-._~/", c) != NULL;
        if (plain) {
            out[len++] = (char)c;
        } else {
            out[len++] = '%';
            out[len++] = digits[c >> 4];
            out[len++] = digits[c & 15];
        }
    }
    out[len] = 0;
}

bool share_path_hidden(const char *path)
{
    return path[0] == '.' || strstr(path, "/.") != NULL;
}

bool share_path_next(const char **it, char name[SHARE_NAME_MAX + 1])
{
    size_t len = strcspn(*it, "/");
    if (len == 0 || len > SHARE_NAME_MAX) {
        return false;
    }
    memcpy(name, *it, len);
    name[len] = 0;
    *it += len + ((*it)[len] == '/');
    return true;
}

const char *share_path_last(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

bool share_path_harmless(char out[PATH_LEN], const char *path)
{
    char name[SHARE_NAME_MAX + 1], harmless[QUDAG_NAME_MAX + 1];
    size_t len = 0;
    out[0] = 0;
    while (share_path_next(&path, name)) {
        qudag_name_harmless(harmless, name);
        size_t more = strlen(harmless) + (len > 0);
        if (len + more >= PATH_LEN) {
            return false;
        }
        if (len > 0) {
            out[len] = '/';
        }
        memcpy(out + len + (len > 0), harmless, strlen(harmless) + 1);
        len += more;
    }
    return len > 0 && *path == 0;
}

/* ------------------------------------------------------------------ ranges */

/* Digits at *text, which is moved behind them; false: none, or more than 2^63. */
static bool number(const char **text, uint64_t *out)
{
    const char *at = *text;
    uint64_t n = 0;
    while (*at >= '0' && *at <= '9') {
        if (n > (UINT64_MAX >> 1) / 10 - 1) {
            return false;
        }
        n = n * 10 + (uint64_t)(*at++ - '0');
    }
    *out = n;
    bool any = at != *text;
    *text = at;
    return any;
}

enum share_range share_range(const char *header, uint64_t size, uint64_t *from, uint64_t *to)
{
    uint64_t first = 0, last = UINT64_MAX - 1;
    *from = 0;
    *to = size;
    if (header == NULL || strncasecmp(header, "bytes=", 6) != 0) {
        return SHARE_ALL;
    }
    header += 6;
    bool suffix = *header == '-', has_last;
    if (!suffix && !number(&header, &first)) {
        return SHARE_ALL;
    }
    if (*header++ != '-') {
        return SHARE_ALL;
    }
    has_last = *header != 0;
    if ((has_last && !number(&header, &last)) || *header != 0 || (suffix && !has_last) ||
        (!suffix && has_last && last < first)) {
        return SHARE_ALL;
    }
    if (suffix) { /* the last |last| bytes */
        *from = last < size ? size - last : 0;
        return last == 0 || size == 0 ? SHARE_WRONG : SHARE_PART;
    }
    if (first >= size) {
        return SHARE_WRONG;
    }
    *from = first;
    *to = last >= size ? size : last + 1;
    return SHARE_PART;
}

/* ------------------------------------------------------------------ media types */

const char *share_type(const char *name)
{
    static const char *const rows[][2] = {
        {"html", "text/html; charset=utf-8"},
        {"htm", "text/html; charset=utf-8"},
        {"xhtml", "application/xhtml+xml"},
        {"css", "text/css; charset=utf-8"},
        {"js", "text/javascript; charset=utf-8"},
        {"json", "application/json"},
        {"txt", "text/plain; charset=utf-8"},
        {"log", "text/plain; charset=utf-8"},
        {"md", "text/plain; charset=utf-8"},
        {"c", "text/plain; charset=utf-8"},
        {"h", "text/plain; charset=utf-8"},
        {"py", "text/plain; charset=utf-8"},
        {"sh", "text/plain; charset=utf-8"},
        {"csv", "text/csv; charset=utf-8"},
        {"xml", "application/xml"},
        {"svg", "image/svg+xml"},
        {"png", "image/png"},
        {"jpg", "image/jpeg"},
        {"jpeg", "image/jpeg"},
        {"gif", "image/gif"},
        {"webp", "image/webp"},
        {"avif", "image/avif"},
        {"bmp", "image/bmp"},
        {"ico", "image/x-icon"},
        {"mp3", "audio/mpeg"},
        {"m4a", "audio/mp4"},
        {"flac", "audio/flac"},
        {"wav", "audio/wav"},
        {"ogg", "audio/ogg"},
        {"oga", "audio/ogg"},
        {"opus", "audio/ogg"},
        {"ogv", "video/ogg"},
        {"mp4", "video/mp4"},
        {"m4v", "video/mp4"},
        {"webm", "video/webm"},
        {"mov", "video/quicktime"},
        {"mkv", "video/x-matroska"},
        {"pdf", "application/pdf"},
        {"epub", "application/epub+zip"},
        {"zip", "application/zip"},
        {"gz", "application/gzip"},
        {"tar", "application/x-tar"},
        {"woff2", "font/woff2"},
        {"wasm", "application/wasm"},
    };
    const char *dot = strrchr(name, '.');
    for (size_t ix = 0; dot != NULL && ix < sizeof(rows) / sizeof(rows[0]); ix++) {
        if (strcasecmp(dot + 1, rows[ix][0]) == 0) {
            return rows[ix][1];
        }
    }
    return "application/octet-stream";
}

bool share_type_active(const char *type)
{
    return strncmp(type, "text/html", 9) == 0 || strstr(type, "xml") != NULL;
}
