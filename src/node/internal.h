/*
 * internal.h - what the files of node/ share.
 *
 *   low    cores.c       the table of cores; every call into one is bracketed
 *          requests.c    requests from their queue to their one answer
 *          rules.c       decisions on which safety rests
 *          extend_memory.c   what EXTENDs of others led to, so far
 *          reachable.c   whether this node is to be reached, and how it can be (core/reach)
 *          clock.c       our wall-clock time, and whether others think it wrong
 *          keys.c        onion keys of the relay and of dark addresses
 *          saved.c       everything that outlives the process
 *          rotation.c    when the relay's onion keys are replaced; rekey.c: the node's ML-DSA key
 *          keeping.c     who is kept linked, and its list on disk (kept.c)
 *          allowed.c     who may send to the program over links
 *          streams.c     streams of the program
 *          ending.c      the orderly end
 *          paths.c       which relays they lead over
 *          isolation.c   which streams may share a circuit, and for how long
 *          budget.c      how often the far end may make us build circuits
 *          meets.c       which peers may learn where we are
 *          circuits.c    circuits we are client of
 *          survey.c      whether our view of the network has settled
 *          datagrams.c   datagrams beside QUIC, sockets beside those that are listened on
 *          meters.c      how long requests and circuits took; traffic.c: whose bytes were carried
 *   arrows arrow_A_B.c   what A needs of B, or B of A; two cores meet nowhere else
 *   high   boot.c        joining the network and staying in it; boot_dial.c: its dials
 *          request_table.c   which function begins, cancels and ends which request
 *          node.c        makes it all; the drain; the host's side
 *
 * A file calls only files above its own line or beside it, and no two call each other: tools/check_cycles.py.
 * What must reach a higher file is noted in node.news, and the drain hands it on.
 */
#ifndef QUDAG_SRC_NODE_INTERNAL_H
#define QUDAG_SRC_NODE_INTERNAL_H

#include "base/dyn.h"
#include "base/wipe.h"
#include "core/autorelay/autorelay.h"
#include "core/gateway/gateway.h"
#include "core/hidden/service.h"
#include "core/identify/identify.h"
#include "core/padding/padding.h"
#include "core/ping/ping.h"
#include "core/relays/diversity.h"
#include "core/rend/introduce.h"
#include "core/rend/rendezvous.h"
#include "core/succession/succession.h"
#include "node/allowed.h"
#include "node/arrows.h"
#include "node/autonat.h"
#include "node/budget.h"
#include "node/circuits.h"
#include "node/clock.h"
#include "node/cores.h"
#include "node/datagrams.h"
#include "node/dialback.h"
#include "node/doubts.h"
#include "node/ending.h"
#include "node/node.h"
#include "node/paths.h"
#include "node/peer_record.h"
#include "node/relaying.h"
#include "node/requests.h"
#include "node/rules.h"
#include "node/samples.h"
#include "node/saved.h"
#include "node/services.h"
#include "node/streams.h"
#include "node/stun.h"
#include "node/tcp.h"

struct node {
    struct node_config cfg;
    struct node_hooks hooks;
    struct mem *mem;
    tstamp now;
    uint64_t hooks_called;

    struct sec *sec;
    struct resources *accounts; /* of all that links use */
    struct quic *quic;
    struct tcp *tcp;         /* NULL: the host has none */
    struct hop_service *hop; /* this node as a circuit relay; NULL: it is none */
    unsigned hop_ix;
    struct {
        struct relayed *user;
        struct relay_links *links;
        unsigned tp, ix, auto_ix;                  /* auto_ix: of autorelay */
        uint64_t asked;                            /* cookies of dials of autorelay */
        tstamp look_at;                            /* when round trips are looked at again */
        bool served;                               /* others may come through relays */
        struct multiaddr addr[NODE_RELAYED_ADDRS]; /* at which we are through them */
        size_t n_addrs;
    } through;                       /* links through circuit relays */
    struct autorelay autorelay;      /* relays, and at which places are had by itself */
    struct node_finds finds;         /* searches for peers */
    struct node_udp_watch udp;       /* whether datagrams pass */
    struct node_published published; /* our peer record */
    struct node_meets meets;
    struct node_direct direct;
    struct node_meeting meeting;
    tstamp tcp_room_told;
    struct node_datagrams datagrams;
    struct node_stun stun;
    struct swarm *swarm;
    unsigned quic_tp, tcp_tp, circuit_tp; /* their indices as transports of the swarm */
    struct ping ping;
    struct successions successions;
    struct node_doubts doubts;
    struct identify identify;
    struct kad *kad;
    struct onion *onion;
    struct relays *relays;
    struct dark *dark;
    struct gateway *gateway;
    struct introduce *introduce;
    struct rendezvous *rendezvous;
    struct hidden_calls *calls;
    uint64_t calls_made; /* names of calls */
    struct hidden_services *services;
    struct list serving;      /* node_service */
    struct list serving_keys; /* saved.c: node_service_keys of an earlier life */
    tstamp services_clock_at; /* when services learn again whether the calendar is right */
    tstamp shed_next;         /* memory: no circuit is given up before */
    struct padding *padding;
    struct node_autonat *autonat;
    struct node_dialback *dialback; /* NULL: nobody was dialled back lately */

    struct node_core core[NODE_CORES_MAX];
    unsigned n_cores;
    unsigned by_swarm[SWARM_CORES_MAX]; /* index there -> index here */
    struct {
        unsigned ping, identify, push, dht, onion, gateway, padding, dark, streams, links, extends,
            padded_links, introduce, rendezvous, calls, services, keep, successions;
    } ix; /* handles for node_end() */
    struct acts acts;
    uint8_t tag[NODE_ACTS_CAP]; /* whose each action is */
    size_t tagged;
    bool draining;
    bool closing;      /* node_shutdown() or node_free() began: nothing new is taken on */
    struct ref victim; /* see node_cores_drop_victim() */
    unsigned victim_core;
    unsigned news; /* enum node_news */

    const struct node_op_type *op_types;
    struct slots optab, strmtab;
    struct map strm_map; /* stream of the swarm -> node_stream */
    struct ref ended;    /* the stream whose end hooks.stream_closed reports just now */
    void *ended_user, *ended_owner;
    struct list fresh, running, circuits, resolving, todo;
    struct list
        pressed; /* streams that wait for room in the accounts of bytes, who waits longest first */
    uint32_t pressed_n;    /* how many */
    uint32_t pressed_look; /* of these at most are to be looked at */
    uint32_t unsure;       /* streams that are, in |strmtab| or |todo| */
    uint64_t pressed_seen; /* resources_returned() by then */
    struct list released;  /* node_buf: nobody holds them, and the program does not know yet */
    struct list notes;     /* node_peer_note, newest first */
    struct list named;     /* node_named */
    uint64_t named_ids;
    uint32_t n_named;
    size_t n_notes;
    struct node_clock clock;
    struct node_boot_state boot;
    tstamp path_retry_at; /* circuits that wait for relays */
    tstamp life_at;       /* when circuits are looked at for their age (circuit_age.c) */
    tstamp spent_at; /* when the first of those whose lookup is over leaves, or before (spent.c) */
    struct node_clean clean;
    tstamp meetings_at; /* when there may be something to do for those that wait for meetings */
    struct node_budget budget;
    struct node_descs descs;
    struct node_extends extends;
    struct node_padding_state padded;
    struct node_padded_links padded_links;
    struct node_survey survey;
    struct node_guards guards;
    struct node_ending {
        enum node_end_state state;
        bool due; /* found in a tick, carried out after it */
        tstamp at;
        void (*done)(void *ctx, const struct node_running *cut);
        void *ctx;
        struct node_running cut;
    } ending;
    struct keep keep;
    struct node_keeping keeping;
    struct node_allowed allowed;
    struct node_links {
        uint32_t peers; /* with a link */
        tstamp
            gone_at; /* since when there is none, or when there was none last; 0: never was one */
        uint64_t addrs; /* a digest of the addresses of this machine; 0: not known yet */
    } links;

    /* the relay's own descriptor */
    struct relay_desc self_desc;
    uint8_t desc_buf[RELAY_DESC_MAX];
    uint64_t desc_seq; /* of the last one; never goes back, so it is saved */
    uint8_t onion_x[X25519_LEN], onion_k[MLKEM768_EK_LEN], onion_id[8]; /* of the current key */
    bool has_onion_key;
    struct node_onion_keys onion_keys;

    /* saved.c */
    bool owner_saved; /* whose state it is, is on disk */
    bool foreign;     /* what was restored is another identity's: the node does not start */
    struct dark_addr republish[DARK_ADDRS_MAX];
    size_t n_republish;
    struct {
        bool guards, dark;
    } unkept; /* what the program was warned of that it does not keep */
    size_t n_anchors;
    struct multiaddr anchor[NODE_ANCHOR_DIALS];
    tstamp anchors_at; /* when they are persisted next */

    struct node_samples samples;
    struct node_meters meters;

    struct reach reach;  /* our addresses, and what follows from what is known of them */
    uint32_t reach_told; /* reach.told, as of the last change that was handed on */
    struct node_portmap portmap;
    struct node_wants wants; /* of being reachable; node_wants_review() */
    bool serves_peers;       /* the program takes streams that peers open */
    uint64_t record_seq;     /* of our last signed peer record; never goes back, so it is saved */
};

#endif
