/*
 * meet_int.h - the inside of core/meet.
 *
 *   meet.c      calls, events, peers that are remembered, time
 *   meeting.c   one meeting: messages, rounds, its end
 *   checks.c    pairs and packets
 *   birthday.c  384 sockets on one side, 1024 ports on the other
 *   places.c    who of those that ask has a place
 */
#ifndef QUDAG_SRC_CORE_MEET_MEET_INT_H
#define QUDAG_SRC_CORE_MEET_MEET_INT_H

#include "core/meet/meet.h"
#include "core/meet/rules.h"

#define MEET_PAIRS_MAX 64
#define MEET_REFLEXIVE_MAX 16 /* pairs that were learnt from packets */
#define MEET_CANDIDATES_ALL (3 * MEET_CANDIDATES_MAX)
#define MEET_HOSTS_MAX 24     /* hosts of one meeting that are counted */
#define MEET_ANSWERS_MAX 2048 /* to authenticated requests, in one meeting */
#define MEET_USER_LEN 16      /* hexadecimal digits of a USERNAME */
#define MEET_TAG_LEN 4        /* of a transaction id; behind it: proof:4, which pair or probe:4 */
#define MEET_PROOF_LEN 4      /* of where it went: who has not got it there cannot know it */
#define MEET_SILENT 1024      /* counters of packets to hosts that do not answer */
#define MEET_BORN 1024        /* times of birthdays */
#define MEET_BURST 8          /* packets of one meeting at one time */

#define MEET_ASK_LIMIT (15 * NS_PER_S)   /* HELLO, START and ROUND are waited for so long */
#define MEET_GATHER_LIMIT (2 * NS_PER_S) /* sockets, and their addresses outside */
#define MEET_KEEP_GAP (200 * NS_PER_MS)  /* on a pair that works, until QUIC has its link */

/* In the last four bytes of a transaction id: the index of a pair, or one of these above a number. */
#define MEET_ID_PROBE 0x40000000u  /* easy side: number of the probe */
#define MEET_ID_SOCKET 0x80000000u /* hard side: number of the socket */

/* One of our sockets beside the one that is listened on. */
struct meet_sock {
    struct netaddr local, external; /* family 0: not there */
    bool asked;                     /* meet_socket() is to come */
};

/* Checks between one of our sockets and one address of theirs. */
struct meet_check {
    struct meet_candidate to;
    uint16_t sock; /* 0: listened on; i: socks[i - 1] */
    uint8_t sent;  /* in this round */
    uint8_t sent_all;
    bool heard;    /* something with right integrity came from there */
    bool valid;    /* and an answer to ours */
    bool dead;     /* QUIC did not get through all the same */
    bool pressing; /* something came just now */
    tstamp due;
};

/* A host that was sent to. */
struct meet_host {
    struct netaddr ip;
    bool attested;     /* it answered a request of ours, of which nobody else can know */
    uint32_t sent;     /* in this round, before it is attested */
    uint32_t sent_all; /* in the meeting, before it is attested */
};

/* The birthday of a meeting. */
struct meet_guess {
    bool on, hard;
    struct netaddr to; /* hard: the address of theirs; easy: their host */
    uint16_t start, stride;
    uint32_t next, n; /* packets */
    tstamp due;
    /* hard: */
    uint32_t first, socks; /* the sockets: so many from socks[first] on */
    uint32_t proven;       /* for so many of them there was a port */
    uint32_t test, test_n; /* what shows it: socks[test - 1], asked after so many; 0: none */
    tstamp test_limit;
    bool few; /* there was none for it */
};

struct meeting {
    struct meet *m;
    struct peer_id peer;
    struct meet_memory *mem; /* what is remembered; its look is what is seen */
    bool initiator, greeted; /* their HELLO has come */
    bool allowed;            /* ours may leave */
    enum meet_state state;
    enum meet_round round;
    uint64_t their_rtt; /* B: between A and the relay, as A says; 0: not known */
    bool round_told;    /* our ROUND is out */
    bool over;          /* to be freed once the call ends */
    bool lacked;        /* a socket could not be had */
    uint64_t cookie;    /* of the ACT_OPEN; also names the meeting in cookies of sockets */
    struct ref strm;
    uint64_t net; /* B: netaddr_wide_group() of where its link comes from: the relay's */
    uint8_t rx[MEET_MSG_MAX + 2];
    size_t rx_n;

    uint8_t ours[MEET_SECRET], theirs[MEET_SECRET];
    uint8_t key_out[32], key_in[32];
    uint8_t user_out[MEET_USER_LEN], user_in[MEET_USER_LEN];
    uint8_t tag[MEET_TAG_LEN];
    uint64_t proof[2]; /* the key of proofs */
    bool keyed;

    struct meet_own own; /* v: NULL; what it named is in the look */
    struct meet_sides sides;
    bool flagged; /* one of us can have no birthday */
    int16_t their_step;

    tstamp began, placed;              /* placed: B, allowed at */
    tstamp limit, hello_at, due, pace; /* due: of the state */
    uint64_t rtt;
    tstamp start_at[16]; /* of each set */

    struct meet_candidate cand[MEET_CANDIDATES_ALL]; /* theirs, of all rounds */
    size_t n_cand, n_cand_paired;
    struct meet_sock socks[MEET_SOCKETS_MAX];
    size_t n_socks, n_asked;
    struct meet_check pairs[MEET_PAIRS_MAX];
    size_t n_pairs, n_reflexive;
    size_t chosen; /* DIALLING: of the pairs */
    struct meet_host hosts[MEET_HOSTS_MAX];
    size_t n_hosts;
    uint32_t unanswered, triggered, answers;
    struct meet_guess guess;
};

/* A peer that was met, or tried. */
struct meet_memory {
    struct peer_id peer; /* len 0: free */
    struct meet_look look;
    tstamp used;
    uint32_t failures;
    bool held; /* by a meeting */
};

/* The last birthdays of those hosts and peers that count here; 0: none. */
struct meet_born {
    tstamp named; /* of a peer that the program named */
    tstamp any;
};

struct meet {
    struct mem *mem;
    struct rng rng;
    struct peer_id self;
    struct meeting *v[MEET_MEETINGS_MAX];
    struct meet_memory peers[MEET_PEERS_MAX];
    /* By |born_key|, which nobody knows: nobody can push another out. */
    struct meet_born born[MEET_BORN];
    uint64_t born_key[2];
    /* Packets to hosts that have not answered, of all meetings since |silent_at|; by |silent_key| likewise. */
    uint16_t silent[MEET_SILENT];
    uint64_t silent_key[2];
    tstamp silent_at;
    struct meeting *birthday; /* the one that has one now */
    tstamp birthday_at;       /* since */
    tstamp few_until;         /* our router gives few ports, as a birthday has shown; 0: not */
    uint64_t cookies;
    struct meet_stats stats;
};

/* meeting.c */
/* Our HELLO leaves; B: it was allowed. */
void meet_hello(struct meeting *mt, tstamp now, struct acts *out);
/* Bytes of the stream. */
void meet_data(struct meeting *mt, struct slice in, tstamp now, struct acts *out);
/* What there is on this side. */
void meet_own_set(struct meeting *mt, const struct meet_own *own);
/* All that was asked for is there, or waited for long enough. */
void meet_gathered(struct meeting *mt, tstamp now, struct acts *out);
/* What is due of the state itself. */
void meet_step(struct meeting *mt, tstamp now, struct acts *out);
/* A pair is valid: A dials it. */
void meet_found(struct meeting *mt, size_t ix, tstamp now, struct acts *out);
/* A: what comes after a dial that failed. */
void meet_undialled(struct meeting *mt, tstamp now, struct acts *out);
/* How a meeting ends. */
struct meet_ending {
    enum meet_fate fate;
    qudag_err err;
    const char *why;    /* static */
    enum meet_end tell; /* the peer hears it; 0: nothing */
};
/* Ends |mt|, which is freed at the end of the call. */
void meet_over(struct meeting *mt, const struct meet_ending *how, tstamp now, struct acts *out);

/* checks.c */
/* From both secrets, which are wiped (spec/meet.md 4). */
void meet_keys(struct meeting *mt);
/* Pairs with the candidates that are new, and with those sockets of ours for which there is none. */
void meet_pairs_add(struct meeting *mt);
/* Everything that was not heard of is left alone from now on; what is counted for a round begins anew. */
void meet_round_begin(struct meeting *mt);
/* Sends what is due, at its pace. */
void meet_checks_send(struct meeting *mt, tstamp now, struct acts *out);
/* When that is. */
tstamp meet_checks_due(const struct meeting *mt);
/* A request with right integrity: it is answered, and its pair checked at once. */
void meet_request_in(struct meeting *mt, const struct meet_pair *at, const uint8_t *id, tstamp now,
                     struct acts *out);
/* An answer with right integrity; true: it makes the pair |*ix| valid. */
bool meet_answer_in(struct meeting *mt, const struct meet_pair *at, const uint8_t *id, tstamp now,
                    size_t *ix, struct acts *out);
/* A request from |sock| (0: listened on) to |to|, named |number|. */
void meet_request_out(struct meeting *mt, uint16_t sock, const struct netaddr *to, uint32_t number,
                      struct acts *out);
/* Counts for |ip|; NULL: too many hosts. */
struct meet_host *meet_host_of(struct meeting *mt, const struct netaddr *ip);

/* places.c */
/* Makes room at the door, where those are that nobody has allowed. */
void meet_door_clear(struct meet *m, tstamp now, struct acts *out);
/* Whether |mt|, which is about to be allowed, has a place; another one may have to give way. */
bool meet_place_take(struct meeting *mt, bool named, tstamp now, struct acts *out);

/* birthday.c */
/* Where the times of birthdays with that peer, or to that host, lie. */
struct meet_born *meet_born_peer(struct meet *m, const struct peer_id *peer);
struct meet_born *meet_born_host(struct meet *m, const struct netaddr *host);
/* The one birthday is |mt|'s from now on, if it may have it. */
void meet_birthday_claim(struct meeting *mt, tstamp now);
/* An answer to the question whether there is a port for one more, by |ix|; false: it was not that socket's. */
bool meet_birthday_port(struct meeting *mt, size_t ix, qudag_err err, const struct meet_pair *at,
                        tstamp now, struct acts *out);
/* By meet_rule_birthday(). */
bool meet_birthday_may(const struct meeting *mt, tstamp now);
/* Their address, that a birthday is about; false: there is none. */
bool meet_birthday_target(const struct meeting *mt, struct netaddr *to);
/* How many sockets the hard side opens. */
size_t meet_birthday_sockets(const struct meeting *mt, tstamp now);
/* The round begins, if it may: it counts as had then. */
void meet_birthday_begin(struct meeting *mt, tstamp now);
/* Sends what is due of it. */
void meet_birthday_send(struct meeting *mt, tstamp now, struct acts *out);
#endif
