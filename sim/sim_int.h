/*
 * sim_int.h - what the files of the simulator share.
 *
 *   run.c     one run: events out of the queue, to whom they belong
 *   host.c    nodes: their cores, what these ask for, identify between two that met
 *   net.c     links and streams: how long a message takes, and whether it comes
 *   warm.c    networks that have settled before; nodes asleep
 *   index.c   nodes by their position in the key space
 *   fault.c   what befalls the network      colluding.c  what colluding nodes answer
 *   attack.c  Sybils around a target, and the keys there
 *   work.c    requests and whether they were answered rightly
 *   check.c   what must hold at every moment
 *   hostile.c what hostile nodes send
 */
#ifndef QUDAG_SIM_SIM_INT_H
#define QUDAG_SIM_SIM_INT_H

#include "sim/sim_state.h"

/* net.c */
void net_init(struct net *net);

/* Frees the tables. */
void net_fini(struct net *net);

bool net_reaches(const struct sim *s, uint32_t a, uint32_t b); /* no partition between them */

/* Carries out ACT_OPEN of |from|: the events SIM_OPEN and SIM_OPENED, or SIM_FAIL, are queued. */
void net_open(struct sim *s, uint32_t from, const struct act *a);

/* From the end |strm| names, if it is still open. */
void net_send(struct sim *s, struct ref strm, enum sim_kind kind, struct slice data);
/* The stream an event is for, and its side; NULL when it is gone. */
struct sim_stream *net_stream(struct sim *s, struct ref strm, unsigned *side);
/* This end has seen a fin or a reset, or gives up. */
void net_end_fin(struct sim *s, struct ref strm);

/* This end is done with the stream; it is freed with the other end. */
void net_end_close(struct sim *s, struct ref strm);

/* All streams of a node that leaves; |tell|: the other ends are reset. */
void net_leave(struct sim *s, uint32_t node, bool tell);

/* host.c */
void host_join(struct sim *s, uint32_t node);

/*
 * |node| goes offline: streams and open requests end, its core is freed; |tell|: the other ends hear of it.
 */
void host_leave(struct sim *s, uint32_t node, bool tell);

/* Hands an event to the node's core and carries out what it asks for. */
void host_event(struct sim *s, const struct sim_event *ev);

/* Whether a tick of |node| is due now; too many at one moment are a violation. */
bool host_due(struct sim *s, uint32_t node);

/* Ticks the core of |node| and carries out what it asks for. */
void host_tick(struct sim *s, uint32_t node);

/* The action list, emptied, for a call into a core. */
struct acts *host_acts(struct sim *s);

/* Carries out what is in the action list, on behalf of |node|. */
void host_apply(struct sim *s, uint32_t node);

/* The node with this id in its present life, which may be offline; false: nobody. */
bool host_by_id(const struct sim *s, const struct peer_id *id, uint32_t *node);

/* What others learn of |node|: id and one address; |out|->addr beyond it is not set. */
void host_info(const struct sim *s, uint32_t node, struct kad_peer_info *out);

void host_add_node(struct sim *s); /* one more slot, offline */
/* The hash prefix of the id that |pk| becomes with |node| and |tail| in it; the life is the first. */
uint64_t host_id_at(uint8_t pk[32], uint32_t node, uint32_t tail, struct peer_id *out);
void host_identify(struct sim *s, uint32_t node);           /* its id in this life */
void host_make(struct sim *s, uint32_t node, tstamp began); /* its core */

/* One node more, or one less, is online; keeps the sum of online time. */
void host_count(struct sim *s, bool more);

/* The calendar of |node|, wrong by its skew. */
walltime host_wall(const struct sim *s, uint32_t node);

/* index.c */
void index_build(struct sim *s, struct sim_index *ix,
                 bool colluders); /* servers, or those of them that collude */
/* The first of [lo, hi), which share |bit| bits, that has the next bit set. */
uint32_t index_split(const struct sim_index *ix, uint32_t lo, uint32_t hi, unsigned bit);
/* As sim_nearest; |asker| SIM_NONE: all that are online. */
size_t index_nearest(const struct sim *s, const struct sim_index *ix, uint32_t asker,
                     uint64_t target, size_t max, uint32_t *out);

/* warm.c */
void warm_build(struct sim *s);
void warm_wake(struct sim *s, uint32_t node); /* it has a core then */

/* |node| is the one used most recently, so that it is the last to fall asleep. */
void warm_used(struct sim *s, uint32_t node);

void warm_left(struct sim *s, uint32_t node); /* before its core is freed */

/* attack.c */
void attack_plan(struct sim *s);

/* Frees the tables. */
void attack_fini(struct sim *s);

bool attack_item(struct sim *s, uint32_t *item); /* the next attacked key; false: none left */

/*
 * The address of a Sybil, from the networks the attack has; false for other nodes, and without such networks.
 */
bool attack_addr(const struct sim *s, uint32_t node, uint8_t ip[4]);

/* colluding.c */
void colluding_answer(struct sim *s, uint32_t node, struct ref strm, struct slice data);

/* hostile.c */
#define HOSTILE_TICK (UINT64_C(1) << 40) /* cookie of a SIM_FAULT */

/* The fault |f| begins or ends: a share of the nodes is hostile from now on, or none is any longer. */
void hostile_mark(struct sim *s, const struct sim_fault *f, bool on);

/*
 * One hostile node, or all at once, sends something to an honest one; called again and again while there are
 * any.
 */
void hostile_tick(struct sim *s);

/* True when the event is none of the core's; |other|: the node at the other end. */
bool hostile_event(struct sim *s, const struct sim_event *ev, uint32_t other);
uint64_t hostile_net(const struct sim *s, uint32_t node); /* what network its links come from */

/* The namespace of the records that hostile nodes put. */
struct kad_validator hostile_validator(void);

bool hostile_key(struct slice key); /* of a record only hostile nodes put */

/* fault.c */
void fault_plan(struct sim *s);

/* Begins or ends what |cookie| names. */
void fault_event(struct sim *s, uint64_t cookie);

void fault_joined(struct sim *s, uint32_t node); /* churn: when will it leave? */

/*
 * A node leaves by churn, half of them without telling anybody, and an event brings it back; nothing without
 * churn.
 */
void fault_leave(struct sim *s, uint32_t node);

int32_t fault_skew(const struct sim *s, uint32_t node); /* s its clock is ahead if it starts now */

/* work.c */
void work_plan(struct sim *s);

/* A request of kind |op| is due: a node is drawn and asked, and the next such event is queued. */
void work_event(struct sim *s, enum sim_op op);

void work_join(struct sim *s, uint32_t node); /* bootstrap request of a new node */

/* The core of |node| has answered a request: judged and counted. */
void work_done(struct sim *s, uint32_t node, const struct act *a);

/* |node| is gone: its open requests count as left. */
void work_left(struct sim *s, uint32_t node);

/* A phase begins or ends. */
void work_phase(struct sim *s, uint64_t cookie);

void work_late(struct sim *s); /* is any request overdue? */
/* Adds what all nodes have done so far, or takes it away when the phase begins. */
void work_count(const struct sim *s, struct sim_phase_report *p, bool begins);

/* Frees the tables. */
void work_fini(struct sim *s);

uint64_t work_target(uint32_t item);              /* first bits of the hash of its key */
void work_verify(struct sim *s, uint64_t cookie); /* does an honest node hold what was stored? */

/* The value of |key|: |len| bytes that follow from the run's key, the name, and |made| if values age. */
void sim_value(const struct sim *s, struct slice key, walltime made, uint8_t *out, size_t len);

/* The namespace of the workload, which accepts exactly the values of sim_value(); valid as long as |s|. */
struct kad_validator sim_validator(struct sim *s);

/* The |max| online servers that |node| could find nearest to |target|, without itself; SIM_NONE: all. */
size_t sim_nearest(const struct sim *s, uint32_t node, uint64_t target, size_t max, uint32_t *out);

/* check.c */
void check_event(struct sim *s);

/* Checks all requests and every node that has a core, and gathers the figures of the report. */
void check_all(struct sim *s);

/* Checks that what a core asked for at once is within ACTS_ROOM and ACTS_BYTES_ROOM. */
void check_acts(struct sim *s, uint32_t node, const struct acts *out);

void check_gone(struct sim *s, uint32_t node); /* after its core was freed */

/* Counts a violation; |what| is static.  The first one is reported with time and node. */
void check_fail(struct sim *s, uint32_t node, const char *what);

/* trace.c */
void trace_event(struct sim *s, const struct sim_event *ev);

/* Writes an action of |node| to the trace, if it is the one that is traced. */
void trace_act(struct sim *s, uint32_t node, const struct act *a);

#endif
