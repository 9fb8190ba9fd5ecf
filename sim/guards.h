/*
 * guards.h - one client of many relays over virtual time: whom does it ever use as its entry?
 *
 * The client is core/relays as the daemon has it; what the DHT finds, who is reachable and what an attacker does to
 * guards is simulated.  Nothing is sent.
 */
#ifndef QUDAG_SIM_GUARDS_H
#define QUDAG_SIM_GUARDS_H

#include "core/relays/relays.h"

/* Where its circuits lead. */
enum guards_ends {
    GUARDS_ENDS_OWN,   /* to gateways of its choice */
    GUARDS_ENDS_CLEAN, /* the same, their last hops added to clean circuits (P-33) */
    GUARDS_ENDS_NAMED, /* to relays that an attacker names, each in turn */
    /*
     * To direct services of an attacker who knows which guards were used, and names networks of some of them, so that
     * these are excluded: other ones each time.
     */
    GUARDS_ENDS_EXCLUDING,
};

/* What befalls a client. */
struct guards_case {
    const char *name;
    uint32_t relays, hostile_permille;
    uint32_t days;
    uint32_t every_min;     /* a circuit is built so often */
    uint32_t restart_every; /* after so many circuits the program starts again; 0: never */
    uint32_t
        down_permille; /* share of honest relays that are away at a time, for a day or so each */
    uint32_t gone_permille; /* share of honest relays that go for good within 30 days */
    bool denied;            /* every honest guard that is used is attacked from then on, for good */
    bool withheld;          /* descriptors of guards are never found again */
    enum guards_ends ends;
};

struct guards_figures {
    uint32_t clients;
    uint32_t hostile;       /* clients that ever began a circuit with a hostile relay */
    uint32_t entries;       /* different relays chosen as entry, of all clients together */
    uint32_t asked, failed; /* circuits wanted; of these without any path for lack of a guard */
    uint32_t no_path;       /* for another reason */
    uint32_t second;        /* clients that ever had a hostile second hop */
};

/* Runs |clients| clients, one after the other, from |seed|.  False: no memory. */
bool guards_run(const struct guards_case *c, uint32_t clients, uint64_t seed,
                struct guards_figures *out);

#endif
