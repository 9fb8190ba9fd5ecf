/* carrier.h - operations on upgraded links for the owner of a carrier, whose first member is the upgrade. */
#ifndef QUDAG_SRC_UPGRADE_CARRIER_H
#define QUDAG_SRC_UPGRADE_CARRIER_H

#include "upgrade/upgrade.h"

/* The beginning of what owns a transport over byte streams. */
struct upgrade_carrier {
    struct upgrade *up;
};

/*
 * Owner: struct upgrade_carrier *.  Without set_unit: what the packets of a byte stream show is not ours to say
 * (swarm_rule_cells).
 */
extern const struct link_ops upgrade_carrier_ops;
/* As transport.cancel and transport.probe. */
bool upgrade_carrier_cancel(void *owner, struct ref link);
void upgrade_carrier_probe(void *owner, struct ref link, tstamp now);
/* Takes what |link| would send, which has nowhere to go any more. */
void upgrade_carrier_drop(struct upgrade *u, struct ref link, tstamp now);

#endif
