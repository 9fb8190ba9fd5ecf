/*
 * rules.h - what a meeting may do, as pure functions (spec/meet.md 5 to 8).
 *
 * Packets to hosts that never answered, for one meeting:
 *   plain rounds, fresh ports, prediction   MEET_HOST_ROUND to one host in one round, MEET_UNANSWERED_MAX in all
 *   birthday                                MEET_PROBES, 2 * MEET_SOCKETS or MEET_UNANSWERED_MAX to one host more,
 *                                           as meet_rule_birthday() and meet_rule_probes() allow
 * A host has answered once a right answer came from it to a request of ours: the peer has the keys, so that it can
 * send a request with a forged source, but not answer what went elsewhere.
 */
#ifndef QUDAG_SRC_CORE_MEET_RULES_H
#define QUDAG_SRC_CORE_MEET_RULES_H

#include "core/meet/meet.h"

#define MEET_CHECKS 7      /* of one pair that nothing came from, in one round */
#define MEET_CHECKS_ALL 48 /* of one pair in all, whatever came */
#define MEET_HOST_ROUND 24
#define MEET_UNANSWERED_MAX 96
#define MEET_TRIGGERED_MAX 32 /* of one meeting, beyond these: to where a right request came from */
#define MEET_TA (20 * NS_PER_MS) /* between two checks; RFC 8445 14.2: at least 5 ms */
#define MEET_AT_ONCE 3           /* after a pause of so many MEET_TA */
#define MEET_RTT_MAX (4 * NS_PER_S)
#define MEET_ROUND_MIN NS_PER_S
#define MEET_GUESSES 8      /* ports that are announced */
#define MEET_SOCKETS_MIN 64 /* with fewer the birthday is not worth its packets */
#define MEET_SOCKETS 384    /* of a birthday; twice a packet from each */
#define MEET_PROBES 1024
#define MEET_PORTS_STEP 48 /* ports that a birthday takes until our router is asked for one more */
#define MEET_PORTS_WAIT (2 * NS_PER_S)       /* without an answer there is none */
#define MEET_PROBE_GAP (2 * NS_PER_MS)       /* 500 packets a second */
#define MEET_BIRTHDAY_PAUSE (600 * NS_PER_S) /* for one peer, and for one host */
#define MEET_LONG_WHILE (3600 * NS_PER_S)
#define MEET_TURN (10 * NS_PER_S) /* a place, and the one birthday, is one's own so long at least */

/*
 * Whether |a|, that a peer names as its own, may be sent to.  Never to multicast, broadcast, unspecified and link-local
 * addresses, those of IPv6 that embed one of IPv4 (mapped, NAT64, 6to4, Teredo), nor to ports below 1024; to private
 * ones where one of ours is private, too; loopback in a lab.
 */
bool meet_rule_address(const struct netaddr *a, const struct meet_own *own);

/* A meeting that a peer began. */
struct meet_place {
    uint64_t net; /* where its link comes from */
    bool named;   /* the program named the peer */
    tstamp since;
    uint64_t nth; /* of several since one moment the lower was there before */
};
/*
 * Which of the |n| that hold all places gives way to |asks|; |n|: none, it is to come again.  To a peer that the
 * program named at once one that it did not name; else one that had its MEET_TURN, named ones only to named ones.  Of
 * several that of the network with most, of that the oldest.
 */
size_t meet_rule_gives_way(const struct meet_place *held, size_t n, const struct meet_place *asks,
                           tstamp now);

/* What was sent to hosts that have not answered. */
struct meet_sent {
    uint32_t host_round; /* to that host, in this round */
    uint32_t all;        /* to all of them in the meeting */
    uint32_t silent;     /* to that host in all meetings, in ten minutes */
    uint32_t triggered;  /* in the meeting, beyond the others */
    bool heard;          /* a right request came from there */
    bool named;          /* the program named the peer */
};
/* Whether one more may go to a host that has not answered. */
bool meet_rule_unanswered(const struct meet_sent *sent);
/* Whether it counts as one of |triggered|. */
bool meet_rule_triggered(const struct meet_sent *sent);

/* What is known when a round ended without a pair. */
struct meet_sides {
    enum meet_nat ours, theirs;
    bool our_step, their_step; /* constant, as far as seen */
    bool no_birthday;          /* one of the sides says so */
};
/* The next round; MEET_ROUNDS: there is none, *why says why not. */
enum meet_round meet_rule_next(enum meet_round last, const struct meet_sides *s, const char **why);
/* Of prediction and birthday: whether we are the side whose router gives each destination another port. */
bool meet_rule_hard(const struct meet_sides *s);

/* HELLO's |held|, of a time between their HELLO and ours. */
uint16_t meet_rule_held(uint64_t ns);
/* The round trip of the relayed link, where HELLO was answered after |ns| and held for so long: to MEET_RTT_MAX. */
uint64_t meet_rule_rtt(uint64_t ns, uint16_t held_ms);
/* The same of two round trips to the relay, ns; one that is not known (0) is taken to be as the other. */
uint64_t meet_rule_path(uint64_t ours, uint64_t theirs);

/*
 * When checks of socket set |set| begin after START, which A sent and B received; in the first round after B's HELLO;
 * rtt: of the relayed link.  Who said that waits half of it, so that both begin at once.  Of the sets of
 * MEET_FRESH_PORT one begins with B, the other with A, each by as much as a router that answers strangers may lie
 * behind a slow network.
 */
uint64_t meet_rule_start(enum meet_round round, uint8_t set, bool initiator, uint64_t rtt);
/* How long a round takes from START on. */
uint64_t meet_rule_length(enum meet_round round, uint64_t rtt, size_t pairs);
/* The pause between check number |sent| of a pair and the one after it. */
uint64_t meet_rule_gap(uint32_t sent);

/* Order of pairs: the smaller comes first. */
unsigned meet_rule_order(const struct meet_candidate *c);

/* The port that comes |nth| after |port| (from 1), in 1024 to 65535. */
uint16_t meet_rule_predict(uint16_t port, int16_t step, unsigned nth);
/* Of MEET_PROBES ports, all different, the |nth| after |start|, in 1024 to 65535. */
uint16_t meet_rule_probe(uint16_t start, uint16_t stride, uint32_t nth);

/* What is known when a birthday is due. */
struct meet_birthday_asks {
    bool attested;  /* that host answered in this meeting */
    bool named;     /* the program named the peer */
    bool busy;      /* another one is under way, that keeps it (meet_rule_birthday_keeps()) */
    bool few_ports; /* our router was seen to give few */
    /* The last one with the peer, to the host; 0: none.  For a named peer only those with named ones count. */
    tstamp last_peer, last_host;
};
/* Whether the one birthday, held since then, stays where it is though another meeting is due to have it. */
bool meet_rule_birthday_keeps(const struct meet_place *holds, bool asker_named, tstamp now);
/*
 * At most one at a time, and one in ten minutes with a peer, and to a host, whoever names it: peers that the program
 * did not name cannot keep those from it that it named.
 */
bool meet_rule_birthday(const struct meet_birthday_asks *b, tstamp now);
/*
 * How many packets it may send to that host.  Where both routers are strict nothing can attest the host before: then
 * only peers that the program named are trusted with all of it; those that came by themselves get MEET_UNANSWERED_MAX.
 */
uint32_t meet_rule_probes(const struct meet_birthday_asks *b, bool hard);
/*
 * How many sockets of a birthday may be used where the router is known to have had a port for the first |proven|: a
 * carrier's gives few to a home, and what takes the last of them takes them from everybody there.
 */
uint32_t meet_rule_ports(uint32_t proven);

/* How a meeting ended, for what comes after. */
enum meet_fate {
    MEET_WENT_WELL,
    MEET_ALL_TRIED, /* all rounds */
    MEET_BROKEN,    /* the relayed link went, the peer fell silent or broke the protocol */
    MEET_NOT_NOW,   /* the peer refused, or is busy */
    MEET_SHORT_HERE /* something was lacking on this side: never held against the peer */
};
/* The pause until the next try; |failures|: in a row, this one included.  TSTAMP_NEVER does not occur. */
uint64_t meet_rule_pause(enum meet_fate fate, uint32_t failures);
/* Why nothing worked, from what came. */
const char *meet_rule_reason(const struct meet_look *look, size_t pairs, const char *no_round);

#endif
