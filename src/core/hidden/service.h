/*
 * service.h - the hidden services of a node: their introduction points, keys and callers (spec/rendezvous.md).
 *
 *   hidden_serve ─▶ NEED_POINT ─▶ point_built ─▶ ESTABLISH ─▶ established       three at a time, replaced in their time
 *                                                         └─▶ SAVE, TARGET       what the record is to say
 *   request ─▶ opened, queued ─▶ NEED_R ─▶ r_built ─▶ MEET ─▶ take, met          one for each caller
 *
 * It decides and remembers; its owner builds the circuits, speaks with the relays at their ends and publishes.  A
 * circuit that it was given and does not want any more comes back with HIDDEN_SERVE_CLOSE.
 */
#ifndef QUDAG_SRC_CORE_HIDDEN_SERVICE_H
#define QUDAG_SRC_CORE_HIDDEN_SERVICE_H

#include "core/core.h"
#include "core/hidden/caller.h"

#define HIDDEN_SERVICES_MAX 64
#define HIDDEN_SLOTS 16      /* introduction points of a service, old ones with them */
#define HIDDEN_QUEUE_MAX 256 /* handshakes of a service that wait for a circuit */
#define HIDDEN_LIVE 3 /* periods that records may be made for: the one before, this one, the next */
#define HIDDEN_PERIODS                                                                             \
    8 /* whose keys are kept: also of those that a wrong calendar took for live */
#define HIDDEN_SAVED_LEN (8 + REND_ADDR_LEN + 1 + HIDDEN_PERIODS * (8 + 32 + 64) + 32)

struct hidden_serve_want {
    uint64_t cookie;     /* comes back in reports; of no other service */
    const uint8_t *addr; /* REND_ADDR_LEN bytes; borrowed */
    struct slice saved;  /* what hidden_serve_save() wrote for it; empty: new */
};

/* All reports but CLOSE have the cookie of the service; n: the id that the answer needs. */
enum hidden_serve_up {
    /* ptr: const struct hidden_need_point *; then hidden_serve_point_built() or _point_ended() */
    HIDDEN_SERVE_NEED_POINT = 1,
    /* obj: circuit, ptr: const struct hidden_limits *; signed with hidden_serve_intro_sk(); then _established() */
    HIDDEN_SERVE_ESTABLISH,
    HIDDEN_SERVE_SAVE, /* keys changed: hidden_serve_save(), and keep it before records name them */
    HIDDEN_SERVE_TARGET, /* ptr: const struct hidden_target *: what records made from now on say */
    HIDDEN_SERVE_NEED_R, /* ptr: const struct onion_hop *, no addresses; then hidden_serve_r_built() or _r_failed() */
    /* obj: circuit, ptr: const struct hidden_meet *: _take(), onion_carry(), say it to R; then hidden_serve_met() */
    HIDDEN_SERVE_MEET,
    HIDDEN_SERVE_SHED, /* no room for one more caller: end the idle carried circuit that was quiet longest */
    HIDDEN_SERVE_BUSY, /* n: id of a point: its relay is to tell callers that more call than are met */
    HIDDEN_SERVE_CLOSE, /* obj: a circuit that is not needed any more */
};

/* Where an introduction point is wanted; it lies in the action list. */
struct hidden_need_point {
    bool same; /* at |relay|, whose circuit broke; else at any that is not in |avoid| */
    struct onion_hop relay; /* same */
    struct peer_id avoid[HIDDEN_SLOTS];
    uint32_t n_avoid;
};

/* What an introduction point's relay is to let through: a second, and at once. */
struct hidden_limits {
    uint16_t rate, burst;
};

/* The handshake keys of one period. */
struct hidden_period_keys {
    uint64_t period;
    uint8_t x[X25519_LEN];
    uint8_t k[MLKEM768_EK_LEN];
};

/* The work that callers are asked for: a seed that is accepted until |expires|, and how many tries (1: none). */
struct hidden_work {
    uint8_t seed[REND_WORK_SEED_LEN];
    uint32_t effort;
    walltime expires;
};

/* What records say: the same points in all, and the keys of the record's period. */
struct hidden_target {
    struct hidden_point point[HIDDEN_POINTS];
    uint32_t n_points;
    struct hidden_period_keys keys[HIDDEN_LIVE]; /* of all periods that records may be made for */
    uint32_t n_keys;
    uint8_t old[HIDDEN_SLOTS]
               [ED25519_PK_LEN]; /* replaced in their time; records that name them are still good */
    uint32_t n_old;
    struct hidden_work work;
};

/* What R is told. */
struct hidden_meet {
    uint8_t cookie[REND_COOKIE_LEN];
    uint8_t created[REND_CREATED_LEN];
};

struct hidden_services_config {
    struct mem *mem;
    struct rng rng;
    struct wallclock clock;
    struct hidden_limits limits; /* of each introduction point; 0: as many as relays allow */
    /* rend_work_check() if NULL; a simulation of many callers has not the time for real work */
    qudag_err (*work_check)(const struct rend_work_task *task, uint64_t nonce);
};

struct hidden_services;

/* Without services; to be freed with hidden_services_free().  ENOMEM: *out is NULL. */
QUDAG_MUST_USE qudag_err hidden_services_new(struct hidden_services **out,
                                             const struct hidden_services_config *cfg);
/* Frees it and wipes all keys, without reports; NULL is allowed. */
void hidden_services_free(struct hidden_services *h);
/* The calendar is another from now on. */
void hidden_services_set_clock(struct hidden_services *h, struct wallclock clock);
/*
 * Whether it is known to be right, which it is not at first: until then keys that are over by it are kept.  Set wrong
 * for a while, it must not cost those that records out there name.
 */
void hidden_services_trust_clock(struct hidden_services *h, bool trusted);
/* Does what is due. */
void hidden_services_tick(struct hidden_services *h, tstamp now, struct acts *out);
/* When hidden_services_tick() is to be called next; TSTAMP_NEVER: not at all. */
tstamp hidden_services_deadline(const struct hidden_services *h);

/* Begins a service.  EEXISTS, ELIMIT, ENOMEM; EMALFORMED: want->saved; EINTERNAL: no report follows. */
QUDAG_MUST_USE qudag_err hidden_serve(struct hidden_services *h,
                                      const struct hidden_serve_want *want, tstamp now,
                                      struct acts *out);
/* Ends it with no other reports than HIDDEN_SERVE_CLOSE, and wipes its keys; nothing for one that there is not. */
void hidden_serve_end(struct hidden_services *h, uint64_t cookie, struct acts *out);
/* Of which address that form is; NULL: it is none.  Borrowed from |saved|. */
const uint8_t *hidden_saved_addr(struct slice saved);
/* The keys of its periods, for a restart; secret, not encrypted.  ENOTFOUND. */
QUDAG_MUST_USE qudag_err hidden_serve_save(const struct hidden_services *h, uint64_t cookie,
                                           uint8_t out[HIDDEN_SAVED_LEN]);

/* --- introduction points ----------------------------------------------------------------------- */

/* |circuit| ends at |relay|. */
void hidden_serve_point_built(struct hidden_services *h, uint64_t id, struct ref circuit,
                              const struct onion_hop *relay, tstamp now, struct acts *out);
/* To sign ESTABLISH with; borrowed until the next call.  NULL: no such point. */
const struct secret_ed25519 *hidden_serve_intro_sk(const struct hidden_services *h, uint64_t id);
/* The relay passes introductions on. */
void hidden_serve_established(struct hidden_services *h, uint64_t id, tstamp now, struct acts *out);
/* The circuit could not be built or broke, or the relay refused or ended the point. */
void hidden_serve_point_ended(struct hidden_services *h, uint64_t id, tstamp now, struct acts *out);
/* Likewise, and several relays could not reach its relay: no record needs to name it any more. */
void hidden_serve_point_unreachable(struct hidden_services *h, uint64_t id, tstamp now,
                                    struct acts *out);
/* A handshake came through it, not checked.  Up to a quarter of a millisecond for one that is for us. */
void hidden_serve_request(struct hidden_services *h, uint64_t id, struct slice handshake,
                          tstamp now, struct acts *out);

/* --- callers ----------------------------------------------------------------------------------- */

/* The first hop of the circuit to R has answered: another may be begun (SPEC: rendezvous R-28). */
void hidden_serve_r_begun(struct hidden_services *h, uint64_t id, tstamp now, struct acts *out);
/* |circuit| ends at the relay that was asked for. */
void hidden_serve_r_built(struct hidden_services *h, uint64_t id, struct ref circuit, tstamp now,
                          struct acts *out);
/* It could not be built, or broke before hidden_serve_met(). */
void hidden_serve_r_failed(struct hidden_services *h, uint64_t id, tstamp now, struct acts *out);
/* The keys of the carried circuit, whose end we are, once; to be wiped.  ESTALE: |keys| are wiped. */
QUDAG_MUST_USE qudag_err hidden_serve_take(struct hidden_services *h, uint64_t id,
                                           struct onion_hs_keys *keys);
/* What R said: |status| (enum rend_status) if |err| is OK.  Unless it joined the circuits, ours is closed. */
void hidden_serve_met(struct hidden_services *h, uint64_t id, qudag_err err, uint64_t status,
                      tstamp now, struct acts *out);
/* How many carried circuits end at the service, whenever that changes. */
void hidden_serve_carried(struct hidden_services *h, uint64_t cookie, uint32_t n, tstamp now,
                          struct acts *out);

/* Counted since the service began; the last line as of now. */
struct hidden_serve_stats {
    uint64_t requests; /* handshakes that points passed on */
    uint64_t over, unknown_key, replayed,
        bad;                  /* of these not answered: too many; not for our keys; seen; wrong */
    uint64_t displaced, late; /* left the queue for newer ones; waited too long */
    uint64_t proved;          /* brought a proof of work that holds */
    uint64_t begun, met, failed; /* circuits to R */
    uint64_t shed;               /* times that HIDDEN_SERVE_SHED was reported */
    uint64_t points_established, points_lost;
    uint64_t points_expelled; /* of the lost: their relays passed on more than they may */
    uint32_t standing, old, queued, building, carried;
    uint32_t effort; /* that is asked of callers now; 1: none */
};
/* ENOTFOUND: |*out| is zero. */
QUDAG_MUST_USE qudag_err hidden_serve_stats_get(const struct hidden_services *h, uint64_t cookie,
                                                struct hidden_serve_stats *out);

/* Requests to all services, ended ones too, that were seen before, and that were wrong. */
void hidden_services_refused(const struct hidden_services *h, uint64_t *replayed, uint64_t *bad);

#endif
