/* auth.c - see auth.h. */
#include "node/auth.h"

#include <string.h>

enum node_pin node_rule_pin(enum node_pin_source source)
{
    switch (source) {
    case NODE_PIN_OPERATOR:
        return NODE_PIN_TOLD;
    case NODE_PIN_DESCRIPTOR:
        return NODE_PIN_HOLDS;
    case NODE_PIN_HEARSAY:
        break;
    }
    return NODE_PIN_IGNORED;
}

enum node_auth node_rule_auth(const struct node_auth_view *v)
{
    if (v->other) {
        return NODE_AUTH_PEER;
    }
    if (v->named == NULL) {
        return v->proven != NULL ? NODE_AUTH_PROVEN : NODE_AUTH_EXPECTED;
    }
    return v->proven != NULL && memcmp(v->named, v->proven, NODE_AUTH_HASH_LEN) != 0
               ? NODE_AUTH_NAMED_PROVEN
               : NODE_AUTH_NAMED;
}
