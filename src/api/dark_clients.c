/* dark_clients.c - qudag_dark_client_*, qudag_dark_authorize. */
#include "api/internal.h"

#include "base/wipe.h"
#include "node/dark_clients.h"

#include <string.h>

_Static_assert(QUDAG_DARK_SECRET_MAX == DARK_CLIENT_TEXT_MAX, "text of secrets");
_Static_assert(QUDAG_DARK_LABEL_MAX == DARK_LABEL_MAX, "names");

qudag_err qudag_dark_client_add(qudag_node *n, const char *addr, const char *name,
                                char secret[QUDAG_DARK_SECRET_MAX])
{
    uint8_t bytes[DARK_CLIENT_SECRET_LEN];
    struct dark_addr a;

    if (n == NULL || addr == NULL || name == NULL || secret == NULL) {
        return QUDAG_EINVAL;
    }
    secret[0] = '\0';
    qudag_err err = dark_addr_parse(&a, addr);
    if (err == QUDAG_OK &&
        (err = node_dark_client_add(n->node, &a, name, bytes, io_now())) == QUDAG_OK) {
        (void)dark_client_text(secret, bytes);
        wipe(bytes, sizeof(bytes));
    }
    return err;
}

qudag_err qudag_dark_client_remove(qudag_node *n, const char *addr, const char *name)
{
    struct dark_addr a;

    if (n == NULL || addr == NULL) {
        return QUDAG_EINVAL;
    }
    qudag_err err = dark_addr_parse(&a, addr);
    return err == QUDAG_OK ? node_dark_client_remove(n->node, &a, name, io_now()) : err;
}

bool qudag_dark_client_next(const qudag_node *n, const char *addr, size_t *it,
                            char name[QUDAG_DARK_LABEL_MAX + 1])
{
    struct dark_addr a;

    if (n == NULL || addr == NULL || it == NULL || name == NULL ||
        dark_addr_parse(&a, addr) != QUDAG_OK) {
        return false;
    }
    const struct dark_client *c = dark_client_next(node_dark(n->node), &a, it);
    if (c != NULL) {
        memcpy(name, c->name, QUDAG_DARK_LABEL_MAX + 1);
    }
    return c != NULL;
}

qudag_err qudag_dark_authorize(qudag_node *n, const char *addr, const char *secret)
{
    uint8_t bytes[DARK_CLIENT_SECRET_LEN];
    struct dark_addr a;

    if (n == NULL || addr == NULL) {
        return QUDAG_EINVAL;
    }
    qudag_err err = dark_addr_parse(&a, addr);
    if (err == QUDAG_OK && secret != NULL) {
        err = dark_client_parse(bytes, secret);
    }
    if (err == QUDAG_OK) {
        err = node_dark_authorize(n->node, &a, secret != NULL ? bytes : NULL);
    }
    wipe(bytes, sizeof(bytes));
    return err;
}
