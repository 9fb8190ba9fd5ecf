/* save.c - one thing to the program, which keeps it; what it is, and what becomes of it at the next start: saved.c. */
#include "node/internal.h"

#include <string.h>

/* A program that keeps nothing should know what it loses; once for each. */
static void warn_of_unkept(struct node *n, const char *name)
{
    if (strcmp(name, "guards") == 0 && !n->unkept.guards) {
        n->unkept.guards = true;
        log_event(&n->cfg.log, LOG_WARN, "guards.not_kept",
                  LOG_STR("why", "without the callback save other entry guards are chosen at each "
                                 "start, and sooner or later an attacker's"));
    }
    if (strncmp(name, NODE_SAVED_DARK, sizeof(NODE_SAVED_DARK) - 1) == 0 && !n->unkept.dark) {
        n->unkept.dark = true;
        log_event(&n->cfg.log, LOG_WARN, "dark.not_kept",
                  LOG_STR("why", "without the callback save the keys of a dark address, and with "
                                 "them the address, are lost at the end of the program"));
    }
}

qudag_err node_save(struct node *n, const char *name, struct slice bytes)
{
    if (n->hooks.save == NULL) {
        warn_of_unkept(n, name);
        return QUDAG_OK;
    }
    qudag_err err = n->hooks.save(n->hooks.ctx, name, bytes);
    if (err != QUDAG_OK) {
        char kind[8] = {0}; /* what follows a "-" may be of a dark address */
        size_t len = strcspn(name, "-");
        memcpy(kind, name, len < sizeof(kind) ? len : sizeof(kind) - 1);
        log_event(&n->cfg.log, LOG_ERROR, "node.save_failed", LOG_STR("kind", kind), LOG_ERR(err));
    }
    return err;
}
