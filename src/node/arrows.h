/* arrows.h - joining, and the arrows between features. */
#ifndef QUDAG_SRC_NODE_ARROWS_H
#define QUDAG_SRC_NODE_ARROWS_H

#include "core/identify/identify.h"
#include "core/keep/keep.h"
#include "core/transport.h"
#include "node/extend_memory.h"
#include "node/node.h"
#include "node/rules.h"

/* What became of one address of the list; of an answered peer those that wait are left out. */
struct node_boot_dial {
    enum { NODE_BOOT_WAITS, NODE_BOOT_DIALS, NODE_BOOT_ANSWERED, NODE_BOOT_ENDED } state;
    uint64_t cookie, twin; /* while it is dialled, also by TCP (node_rule_tcp_twin); 0: not */
    bool twinned;          /* that was begun */
    tstamp begun;
};

struct node_boot_state {
    enum node_phase phase;
    uint32_t
        told[2]; /* what hooks.phase was told last with it, and the error; if it was ever called */
    qudag_err told_err;
    bool told_any;
    uint32_t dialled, answered, ended, failures;
    uint32_t looked; /* of those that answered, how many had when the last lookup began */
    /* boot_dial.c: bootstrap peers, then contacts of the last run */
    struct node_boot_dial dial[NODE_BOOT_MAX + NODE_ANCHOR_DIALS];
    size_t n_dials;
    tstamp more_at; /* when the next address of a peer that has not answered is due */
    struct node_join_why
        why,        /* for what a bootstrap peer that answered was refused, or refused us */
        failed_why; /* ... in the attempt that failed last; until one succeeds */
    bool lookup_running, started, rejoining;
    bool others; /* a peer answered that is of a lab, or we are (node_rule_other_network) */
    uint32_t rejoin_fails;
    tstamp failed_at, retry_at, refresh_at, rejoin_at, rejoin_not_before;
    tstamp settled_at; /* a while after READY: until then too few relays may only be too few yet */
};

struct node_circuit;
struct upgrade_config;

#define NODE_PADDING_LOOKUPS 16 /* lookups remembered */
/* How long the DHT took for our lookups, which padding imitates (arrow_padding_circuits.c). */
struct node_padding_state {
    uint64_t lookup[NODE_PADDING_LOOKUPS]; /* ns beyond a round trip, of the last ones */
    uint64_t lookups;                      /* ever */
    uint64_t extra[NODE_PADDING_LOOKUPS];  /* ns that padding took beyond a round trip, likewise */
    uint64_t extras;
};

#define NODE_PADDED_MAX 4
/* A relay that our circuits begin with, or did lately: the link to it is padded (arrow_padding_links.c). */
struct node_padded {
    struct peer_id peer; /* len 0: none */
    tstamp used;         /* when it carried a circuit last, as far as we looked */
    uint64_t keep_ns;    /* for how long after that */
    struct ref strm;     /* which keeps the link */
    uint64_t cookie;     /* of the one being opened; 0: none is */
    tstamp open_at;      /* not before */
};

struct node_padded_links {
    struct node_padded v[NODE_PADDED_MAX];
    uint64_t cookies;
    tstamp look_at;
};

/* Descriptors of relays: ours goes out, others' come in (arrow_relays_dht.c). */
struct node_descs {
    uint32_t fetching, announces, stored; /* stored: others that took ours last */
    uint32_t vain;                        /* times in a row that nobody took it */
    tstamp announce_at, fetch_at;
};

/* Whom an EXTEND names decides which places its job is one of: nobody needs the others' to make these scarce. */
enum node_extend_kind { NODE_EXTEND_POOL, NODE_EXTEND_STATED, NODE_EXTEND_FETCHED };
#define NODE_EXTEND_KINDS 3

/* Circuits of others that are to be extended (arrow_extend_relays.c). */
struct node_extends {
    struct list jobs; /* the oldest first */
    struct fair held[NODE_EXTEND_KINDS], waiting;
    uint64_t cookies;
    struct node_extend_memory memory;
};

/* Lookups of random keys until the view of the network has settled (survey.c). */
struct node_survey {
    bool begun, running;
    bool brought;            /* somebody new came since the running one began */
    uint32_t lookups, quiet; /* see struct relays_view */
    uint64_t met;            /* relays_met() as it was last looked at */
    tstamp first_at;         /* when the first of the lookups ended */
    tstamp next_at;
};

/* Guards: their descriptors, and whether they are there (arrow_guards_circuits.c). */
struct node_guards {
    bool fetching, dialling, asking;
    bool reported; /* that all new ones of this month are used */
    tstamp look_at, save_at;
    tstamp begun_at; /* when the node first could build circuits */
    /*
     * A guard did not answer: do others?  A node that asks nothing of its own would not know for long, take its own
     * network for what was away, and wait for guards that are dead.  Set anywhere; the guards' core asks.
     */
    bool ask_others;
};

/* What is told of one kept peer. */
struct node_kept {
    struct peer_id peer;   /* len 0: a free place */
    struct multiaddr addr; /* that the operator or the program gave; len 0: none */
    bool released;
    bool place;  /* only because of a place there */
    bool saved;  /* kept by a call: it is on disk, and kept after the next start, too */
    bool has_pq; /* with |pq_hash| */
    uint8_t pq_hash[32];
};

/* Kept peers (arrow_keep_links.c): those of the program; the guard in use, whose link is only held. */
struct node_keeping {
    struct node_kept v[KEEP_MAX];
    struct peer_id guard; /* len 0: none is held */
    bool releases;        /* something is to be released */
};

/* keeping.c: the entry of |peer| that is not to be released; NULL: none. */
struct node_kept *node_kept_find(struct node *n, const struct peer_id *peer);
/* Keeps the peer of |w| from now on; errors of node_keep().  On disk it is not. */
QUDAG_MUST_USE qudag_err node_keep_begin(struct node *n, const struct node_keep_wish *w);

/* What happened that concerns higher files; set anywhere, handed on by the drain. */
enum node_news {
    NODE_NEWS_RELAYS = 1,     /* a relay's descriptor arrived */
    NODE_NEWS_PEER = 2,       /* a contact entered the routing table */
    NODE_NEWS_SILENCE = 4,    /* a link timed out, or a request in the DHT did */
    NODE_NEWS_ANNOUNCED = 8,  /* our descriptor was put; see node_descs.stored */
    NODE_NEWS_CLOCK = 16,     /* the clock became suspect, or was set */
    NODE_NEWS_SELF = 32,      /* our addresses or protocols changed */
    NODE_NEWS_ADDRS = 64,     /* other addresses than before are announced */
    NODE_NEWS_OTHERS = 256,   /* a peer of a lab, and we are of none, or the other way round */
    NODE_NEWS_KEYS = 128,     /* the relay has another onion key */
    NODE_NEWS_IDENTITY = 512, /* we have another ML-DSA key */
    NODE_NEWS_MOVED = 1024,   /* our network is another, or the machine slept */
    NODE_NEWS_PATHS = 2048,   /* a link came up, a peer was named, or has a stream over a relay */
    NODE_NEWS_REACH = 4096,   /* how we can be reached has changed: the program's only */
};

/* Dials the bootstrap peers, and with |anchors| contacts of the last run; node_finish_boot_dial() follows for each. */
void node_boot_dial_all(struct node *n, bool anchors);
/* Dials what is due. */
void node_boot_dial_more(struct node *n);
/* The dial |cookie| ended; what it was for goes on, or is done with. */
void node_boot_dial_ended(struct node *n, uint64_t cookie, bool answered);
/* Registers when joining is tried again, and the table refreshed. */
QUDAG_MUST_USE qudag_err node_boot_init(struct node *n);
/* |news|: bits of enum node_news. */
void node_boot_news(struct node *n, unsigned news, tstamp now);

QUDAG_MUST_USE qudag_err node_ping_init(struct node *n);       /* program - ping */
QUDAG_MUST_USE qudag_err node_succession_init(struct node *n); /* succession - swarm */
QUDAG_MUST_USE qudag_err node_links_init(struct node *n);      /* swarm - program, relays */
QUDAG_MUST_USE qudag_err node_identify_init(struct node *n);   /* identify - swarm, DHT, program */
QUDAG_MUST_USE qudag_err node_dht_init(struct node *n, tstamp now); /* program - DHT, relays */
QUDAG_MUST_USE qudag_err node_descs_init(struct node *n);           /* relays - DHT */
QUDAG_MUST_USE qudag_err node_guards_init(struct node *n);          /* relays - circuits, swarm */
QUDAG_MUST_USE qudag_err node_survey_init(struct node *n);          /* relays - DHT */
QUDAG_MUST_USE qudag_err node_gateway_init(struct node *n, tstamp now); /* gateway - DHT, dark */
QUDAG_MUST_USE qudag_err node_rend_init(struct node *n,
                                        tstamp now); /* introduce, rendezvous - circuits */
struct node_circuit_use;
QUDAG_MUST_USE qudag_err node_hidden_calls_init(struct node *n); /* calls - circuits, streams */
/* Calls the hidden service of a record; *out: the circuit to be, whose |use| hears of it.  ELIMIT, ENOMEM. */
QUDAG_MUST_USE qudag_err node_hidden_call(struct node *n, const struct node_circuit_use *use,
                                          const struct dark_addr *dark,
                                          const struct dark_hidden *to, struct node_circuit **out);
/* What introduce and rendezvous report to a call. */
void node_hidden_introduced(struct node *n, const struct act *a, tstamp now);
void node_hidden_rendezvous(struct node *n, const struct act *a, tstamp now);
QUDAG_MUST_USE qudag_err node_hidden_services_init(struct node *n); /* services - circuits */
/* What introduce and rendezvous report to a service of ours. */
void node_service_introduce(struct node *n, const struct act *a, tstamp now);
void node_service_met(struct node *n, const struct act *a, tstamp now);
QUDAG_MUST_USE qudag_err node_dark_init(struct node *n);        /* dark - gateway, program */
QUDAG_MUST_USE qudag_err node_circuit_age_init(struct node *n); /* circuits - time */
QUDAG_MUST_USE qudag_err node_clean_init(struct node *n);       /* circuits that wait for a use */
QUDAG_MUST_USE qudag_err node_padding_init(struct node *n);     /* padding - circuits */
/* |c| is begun, whether one that waits is taken for it or not. */
void node_clean_use(struct node *n, const struct node_circuit *c);
/* |c| is open: unless its use begins with a request, it begins with padding. */
void node_padding_built(struct node *n, const struct node_circuit *c);
/* |c| has one more exchange of padding, if there is room for one. */
void node_padding_more(struct node *n, const struct node_circuit *c);
/* The gateway at the end of |c| answered just now: padding will take as long. */
void node_padding_answered(struct node *n, const struct node_circuit *c, tstamp now);
QUDAG_MUST_USE qudag_err node_padding_links_init(struct node *n); /* padding - links */
/* |c| is open: the link to its first relay is padded while there is one, and for a time after. */
void node_padding_link(struct node *n, const struct node_circuit *c);
extern const struct transport node_circuit_transport; /* owner: struct node * */

QUDAG_MUST_USE qudag_err node_ending_init(struct node *n); /* the orderly end */
/* Whether it is due now: node_shutdown() and node_end_done() follow. */
bool node_end_due(struct node *n);
/* All has ended: whoever asked for it hears so. */
void node_end_done(struct node *n);
QUDAG_MUST_USE qudag_err node_keep_init(struct node *n);  /* keep - links, DHT */
QUDAG_MUST_USE qudag_err node_names_init(struct node *n); /* requests - host, swarm */
/* Ends all lookups of names without a word to who waits. */
void node_names_free(struct node *n);
/* The dial that the request |cookie| began ends with QUDAG_ECANCELED, now or soon. */
void node_names_stop(struct node *n, uint64_t cookie);
/* |addr| of a kept peer begins with a name: where that leads to is noted for dialling.  Nothing for other addresses. */
void node_names_keep(struct node *n, const struct peer_id *peer, const struct multiaddr *addr);
/* The link with |guard| is held as long as it stands, and that with the one before no longer; NULL: none is. */
void node_keep_guard(struct node *n, const struct peer_id *guard);
/* Demands the hash of |peer|'s ML-DSA key from now on, as far as |source| may say so. */
void node_links_pin(struct node *n, enum node_pin_source source, const struct peer_id *peer,
                    const uint8_t pq_hash[32]);
/* Our addresses or protocols changed: identify, the DHT and the peers we have links with get them. */
void node_identify_changed(struct node *n);
/* A link with |peer| came up: identify shows it the address we see it at, if node_rule_observed(). */
void node_identify_observed(struct node *n, const struct peer_id *peer);
QUDAG_MUST_USE qudag_err node_extends_init(struct node *n); /* circuits - relays, DHT, swarm */
/* ONION_UP_EXTEND: a circuit is to be extended; the onion core is answered now or later, once. */
void node_extend(struct node *n, const struct act *a);
/* A link with |peer| came up: whoever is at its address is no third party. */
void node_extend_met(struct node *n, const struct peer_id *peer);
/* Frees what identify said of peers. */
void node_notes_free(struct node *n);
/* Publishes the dark records that wait for it in node.republish; to be called once there are relays. */
void node_dark_republish(struct node *n);
/* Every published dark record is replaced at the next node_dark_republish(): its times or addresses are wrong. */
void node_dark_republish_later(struct node *n);
/* Our ML-DSA key is another: the records that name it are made anew, those of direct addresses. */
void node_dark_rekeyed(struct node *n);
/* The own descriptor is replaced by a new one, as its times are wrong. */
void node_descs_renew(struct node *n);
/* From now on the own descriptor is announced and others' are fetched. */
void node_descs_begin(struct node *n);
/*
 * What a fetch of the descriptor of |wanted| brought: it goes to the relays, its key to the pins, its addresses to
 * the swarm.  Why it was not taken.
 */
QUDAG_MUST_USE qudag_err node_descs_take(struct node *n, const struct peer_id *wanted,
                                         qudag_err err, struct slice value);
/* The view of the network is explored from now on. */
void node_survey_begin(struct node *n);
/* Whether it has settled by now, and if so, that the relays learn it. */
void node_survey_check(struct node *n);
/*
 * ns between lookups after so many have ended without a settled view.  After minutes that means too few relays, perhaps
 * for ever: there are networks without any.
 */
uint64_t node_survey_pause(uint32_t lookups, bool lab);
/* Somebody new may be a relay: not worth waiting for the next look while relays are lacking. */
void node_descs_candidate(struct node *n);
/* DARK_UP_PUT, DARK_UP_GET: the dark core wants a record stored, or read. */
void node_dark_wanted(struct node *n, const struct act *a, tstamp now);

/* What identify said of a peer. */
struct node_peer_note {
    struct list lru;
    struct peer_id id;
    char agent[IDENTIFY_TEXT_MAX];
    char protocols[512];
    bool serves_dht, dials_back; /* its protocols: our DHT; AutoNAT v2 */
};
/* Whether |peer| said that it dials others back. */
bool node_peer_dials_back(const struct node *n, const struct peer_id *peer);

/*
 * Links through circuit relays (arrow_relay_links.c): made with the other transports, as |as| says; registered with the
 * cores; freed behind the swarm.
 */
QUDAG_MUST_USE qudag_err node_relay_links_make(struct node *n, const struct upgrade_config *as,
                                               tstamp now);
QUDAG_MUST_USE qudag_err node_relay_links_init(struct node *n);
QUDAG_MUST_USE qudag_err node_direct_init(struct node *n); /* relayed links - dcutr - swarm */
/* NODE_NEWS_MOVED: what failed in another network may be tried again at once. */
void node_direct_moved(struct node *n);
/* NODE_NEWS_PATHS: which relayed links are to become direct ones, and which have. */
void node_direct_paths(struct node *n, tstamp now);

QUDAG_MUST_USE qudag_err node_meet_init(struct node *n); /* relayed links - meet - swarm */
/* NODE_NEWS_PATHS: with whom is to be met, and with whom no more. */
void node_meet_paths(struct node *n, tstamp now);
/* NODE_NEWS_MOVED: what failed may work now. */
void node_meet_moved(struct node *n);
/* Ends all meetings without a word. */
void node_meet_free(struct node *n);
void node_relay_links_free(struct node *n);
/* One step of what there is to do between links and relays; false: nothing.  From the drain. */
bool node_relay_links_step(struct node *n, tstamp now);
/* These links end in good order, while those with the relays still stand. */
void node_relay_links_shutdown(struct node *n, tstamp now);
#endif
