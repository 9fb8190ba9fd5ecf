/* archive.c - see archive.h. */
#include "archive.h"

#include <qudag/qudag.h>

#include <stdlib.h>
#include <string.h>

void archive_free(struct archive *a)
{
    if (a->base != NULL) {
        explicit_bzero(a->base, a->cap);
        free(a->base);
    }
    *a = (struct archive){0};
}

bool archive_room(struct archive *a, size_t more)
{
    if (more > ARCHIVE_MAX - a->len) {
        return false;
    }
    if (a->len + more <= a->cap) {
        return true;
    }
    size_t cap = 2 * (a->len + more);
    uint8_t *to = malloc(cap);
    if (to == NULL) {
        return false;
    }
    size_t len = a->len;
    if (len > 0) {
        memcpy(to, a->base, len);
    }
    archive_free(a);
    *a = (struct archive){to, len, cap};
    return true;
}

bool archive_add(struct archive *a, const char *name, const uint8_t *base, size_t len)
{
    size_t n = strlen(name);
    if (n > ARCHIVE_NAME_MAX || !archive_room(a, 2 + n + 4 + len)) {
        return false;
    }
    uint8_t *to = a->base + a->len;
    to[0] = (uint8_t)(n >> 8);
    to[1] = (uint8_t)n;
    memcpy(to + 2, name, n);
    to += 2 + n;
    for (int ix = 0; ix < 4; ix++) {
        to[ix] = (uint8_t)(len >> (24 - 8 * ix));
    }
    if (len > 0) {
        memcpy(to + 4, base, len);
    }
    a->len += 2 + n + 4 + len;
    return true;
}

bool archive_next(const uint8_t *base, size_t len, size_t *at, char name[ARCHIVE_NAME_MAX + 1],
                  const uint8_t **bytes, size_t *n)
{
    size_t left = len - *at, name_len;
    const uint8_t *p = base + *at;
    if (left < 6 || (name_len = (size_t)p[0] << 8 | p[1]) > ARCHIVE_NAME_MAX ||
        left < 6 + name_len || memchr(p + 2, 0, name_len) != NULL) {
        return false;
    }
    memcpy(name, p + 2, name_len);
    name[name_len] = 0;
    p += 2 + name_len;
    *n = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
    if (*n > left - 6 - name_len) {
        return false;
    }
    *bytes = p + 4;
    *at += 6 + name_len + *n;
    return true;
}

bool archive_may_hold(const char *name)
{
    static const char *const whole[] = {"identity", "names", "qudag.conf", "network"};
    for (size_t ix = 0; ix < sizeof(whole) / sizeof(whole[0]); ix++) {
        if (strcmp(name, whole[ix]) == 0) {
            return true;
        }
    }
    return strncmp(name, "state/", 6) == 0 && strchr(name + 6, '/') == NULL &&
           vault_is_item(name + 6);
}

bool archive_whole(const uint8_t *base, size_t len)
{
    char name[ARCHIVE_NAME_MAX + 1];
    const uint8_t *bytes;
    size_t at = 0, n;
    bool identity = false;
    while (archive_next(base, len, &at, name, &bytes, &n)) {
        if (!archive_may_hold(name)) {
            return false;
        }
        if (strcmp(name, "identity") == 0) {
            qudag_identity *id = NULL;
            identity = qudag_identity_load(&id, (qudag_slice){bytes, n}) == QUDAG_OK;
            qudag_identity_free(id);
        }
    }
    return at == len && identity;
}
