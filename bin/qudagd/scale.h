/*
 * scale.h - limits that nobody set, by what this machine has.
 *
 *   memory ─▶ memory_max ─▶ links_max (and what follows from it: dials, places by class, marks of trimming)
 *   descriptors ─▶ connections of the proxy, each of which takes one; links share their sockets
 */
#ifndef QUDAG_BIN_SCALE_H
#define QUDAG_BIN_SCALE_H

#include "conf.h"

struct scale_machine {
    uint64_t
        memory; /* bytes, of the machine or of the control group, whichever is less; 0: unknown */
    uint64_t files; /* descriptors that the process may open; 0: unknown */
};

/* What this process has; reads /proc, /sys and its limits. */
void scale_look(struct scale_machine *out);

/* What memory.max of a control group says: bytes, or 0 for none ("max") and for what is no number. */
uint64_t scale_group_limit(const char *text);

/* Makes of a control group's path, "/a/b", that of the one it lies in, "/a", then "/"; false: it lies in none. */
bool scale_group_up(char *group);

/* Sets those of |c| that have CONF_UNSET as source, to CONF_MACHINE then.  What is unknown changes nothing. */
void scale_conf(struct conf *c, const struct scale_machine *m);

#endif
