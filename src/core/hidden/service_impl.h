/* service_impl.h - what the files of the services share; nothing outside includes it. */
#ifndef QUDAG_SRC_CORE_HIDDEN_SERVICE_IMPL_H
#define QUDAG_SRC_CORE_HIDDEN_SERVICE_IMPL_H

#include "base/limiter.h"
#include "base/list.h"
#include "base/map.h"
#include "core/hidden/service.h"

#define HIDDEN_SEEN_MAX                                                                            \
    (2 * 32768) /* handshakes of one introduction key, what comes while it is old with them */
#define HIDDEN_ESTABLISH_LIFE (30 * NS_PER_S) /* for the owner's answers */
#define HIDDEN_OLD_LIFE (HIDDEN_RECORD_LIFE * NS_PER_S)
#define HIDDEN_SEEDS 12              /* that may be in use: one in two hours, for 21 */
#define HIDDEN_SEED_LIFE (21 * 3600) /* SPEC: rendezvous R-35: s */

enum hidden_slot_state {
    HIDDEN_SLOT_FREE,
    HIDDEN_SLOT_PAUSE,     /* until |due| */
    HIDDEN_SLOT_BUILD,     /* a circuit is asked for */
    HIDDEN_SLOT_ESTABLISH, /* its relay is asked */
    HIDDEN_SLOT_STANDS,
};

/* An introduction point: of a relay and a key once it was built for the first time. */
struct hidden_slot {
    enum hidden_slot_state state;
    uint64_t id; /* of the last NEED_POINT; 0: none */
    struct ref circuit;
    bool keyed;             /* it has a relay and a key */
    bool named;             /* it stood: records may name it */
    bool old;               /* another one has taken its place; it stays until |until| */
    struct onion_hop relay; /* not keyed: the one that failed, to be avoided once */
    struct secret_ed25519 sk;
    uint8_t intro_key[ED25519_PK_LEN];
    tstamp due;   /* PAUSE: the next try; BUILD, ESTABLISH: given up */
    tstamp until; /* named: end of its life, or of its time as an old one */
    uint32_t served, most;
    uint32_t failures; /* in a row */
    tstamp restored[HIDDEN_RESTORES];
    struct limiter rate;
    struct limiter excess; /* empty: more comes through it than its relay may pass on */
    struct hidden_turn turn;
    struct map
        seen; /* 128-bit keyed hashes of X: the first half as key, the second as value */
};

enum hidden_meeting_state { HIDDEN_QUEUED, HIDDEN_R_BUILD, HIDDEN_R_MEET };

/* A caller. */
struct hidden_meeting {
    struct list node;
    struct list age; /* QUEUED: in |ages| of the service */
    enum hidden_meeting_state state;
    uint64_t id;
    uint32_t slot;   /* it came through */
    uint32_t effort; /* proved */
    bool shed;       /* SHED was reported for it */
    bool taken;
    bool begun;   /* the first hop of its circuit answered */
    tstamp since; /* in the queue, or in work */
    struct ref circuit;
    struct rend_hs_asked asked;
    struct onion_hs_keys keys;
};

/* One that callers may have solved for. */
struct hidden_seed {
    bool used;
    uint8_t seed[REND_WORK_SEED_LEN];
    tstamp made;
    walltime expires;
};

struct hidden_own_period {
    bool used;
    uint64_t period;
    struct rend_keys keys;
};

struct hidden_service {
    struct list node;
    struct hidden_services *all;
    uint64_t cookie;
    uint8_t addr[REND_ADDR_LEN];
    struct hidden_slot slot[HIDDEN_SLOTS];
    struct hidden_own_period period[HIDDEN_PERIODS];
    uint64_t period_now;
    bool has_keys;   /* of all live periods */
    tstamp keys_due; /* when keys are made or wiped, or are tried again */
    bool dirty;      /* records must say something else */
    tstamp dirty_since;
    struct hidden_seed seed[HIDDEN_SEEDS];
    size_t seed_now; /* which records name */
    uint32_t effort; /* asked of callers */
    uint32_t told;   /* by the last target, at |told_at| */
    tstamp told_at;
    tstamp turn_ends;                /* TSTAMP_NEVER: nothing is asked for and nobody was lost */
    struct list queue[HIDDEN_SLOTS]; /* highest effort first, of one effort the oldest */
    struct list ages;                /* all that are queued, the oldest first */
    uint32_t waiting[HIDDEN_SLOTS];
    uint32_t last; /* slot whose turn it was */
    uint64_t turn; /* of the service, among all: when it began a circuit last */
    struct list work;
    uint32_t to_come;         /* of these, what the owner does not count as carried yet */
    tstamp busy_due;          /* when points may be told again that more call than are met */
    struct limiter old_opens; /* what is looked at of all old points together */
    struct limiter builds;
    struct limiter share; /* of what the node's services look at: its own */
    uint64_t seen_key[2], seen_key2[2];
    struct hidden_serve_stats stats;
};

struct hidden_services {
    struct hidden_services_config cfg;
    struct list services;
    uint32_t n;
    uint64_t ids;
    bool trusted;          /* the calendar */
    uint32_t building;     /* circuits to relays R, of all */
    struct limiter builds; /* likewise */
    struct limiter opens;  /* what is looked at beside the shares */
    uint64_t turns;
    uint64_t replayed, bad; /* hidden_services_refused() */
};

/* ---- target.c ---- */

/* Whether records may name the slot from now on. */
bool hidden_slot_is_named(const struct hidden_slot *p);
/* What records say has changed. */
void hidden_target_touch(struct hidden_service *s, tstamp now);
/* Reports it when it is time. */
void hidden_target_settle(struct hidden_service *s, tstamp now, struct acts *out);
/* When that may be due. */
tstamp hidden_target_deadline(const struct hidden_service *s);

/* ---- periods.c ---- */

/* Makes what is missing of the keys of live periods, and wipes what is over. */
void hidden_periods_settle(struct hidden_service *s, tstamp now, struct acts *out);
/* The keys of |period|; NULL. */
const struct rend_keys *hidden_periods_get(const struct hidden_service *s, uint64_t period);
/* The keys with that id, whatever their period; NULL. */
const struct rend_keys *hidden_periods_find(const struct hidden_service *s,
                                            const uint8_t key_id[8]);
/* Takes over what hidden_serve_save() wrote.  EMALFORMED, ENOMEM, EINTERNAL. */
QUDAG_MUST_USE qudag_err hidden_periods_load(struct hidden_service *s, struct slice saved);
void hidden_periods_save(const struct hidden_service *s, uint8_t out[HIDDEN_SAVED_LEN]);
void hidden_periods_wipe(struct hidden_service *s);

/* ---- work.c ---- */

/* The first seed, and no effort. */
void hidden_work_init(struct hidden_service *s, tstamp now);
/* Ends a turn when it is time.  True: records are to say something else, hidden_target_touch(). */
bool hidden_work_settle(struct hidden_service *s, tstamp now);
tstamp hidden_work_deadline(const struct hidden_service *s);
/* What records say from now on; |*work| is told with it. */
void hidden_work_tell(struct hidden_service *s, struct hidden_work *work, tstamp now);
/*
 * What |m|, opened at |slot|, proves: EAUTH, it is to be refused; m->effort is 0 without a proof, or with one for a
 * seed that is not accepted.  ENOMEM.
 */
QUDAG_MUST_USE qudag_err hidden_work_check(struct hidden_service *s, struct hidden_meeting *m,
                                           const struct hidden_slot *slot, const uint8_t *X,
                                           tstamp now);
/* |m| waits; waited in vain, or was displaced; or a circuit is begun for it. */
void hidden_work_came(struct hidden_service *s, const struct hidden_meeting *m);
void hidden_work_lost(struct hidden_service *s, const struct hidden_meeting *m, tstamp now);
void hidden_work_begun(struct hidden_service *s, const struct hidden_meeting *m);

/* ---- points.c ---- */

/* Asks for what is missing, ends what is over. */
void hidden_points_settle(struct hidden_service *s, tstamp now, struct acts *out);
tstamp hidden_points_deadline(const struct hidden_service *s);
/* SPEC: rendezvous R-42: its relay passed on more than it may; another one takes its place. */
void hidden_point_expel(struct hidden_service *s, struct hidden_slot *p, tstamp now,
                        struct acts *out);
/* Wipes all; |out| NULL: without reports. */
void hidden_points_wipe(struct hidden_service *s, struct acts *out);

/* ---- meetings.c ---- */

/* Drops what waited too long, begins what there is room for. */
void hidden_meetings_settle(struct hidden_service *s, tstamp now, struct acts *out);
tstamp hidden_meetings_deadline(const struct hidden_service *s);
/* Wipes all; |out| NULL: without reports. */
void hidden_meetings_wipe(struct hidden_service *s, struct acts *out);

/* ---- here ---- */

/* The service of that cookie; NULL. */
static inline struct hidden_service *hidden_service_of(const struct hidden_services *h,
                                                       uint64_t cookie)
{
    LIST_EACH(it, &h->services)
    {
        struct hidden_service *s = LIST_ENTRY(it, struct hidden_service, node);
        if (s->cookie == cookie) {
            return s;
        }
    }
    return NULL;
}

/* The slot of that id, its service in |*of|; NULL. */
static inline struct hidden_slot *hidden_slot_of(const struct hidden_services *h, uint64_t id,
                                                 struct hidden_service **of)
{
    LIST_EACH(it, &h->services)
    {
        struct hidden_service *s = LIST_ENTRY(it, struct hidden_service, node);
        for (size_t i = 0; i < HIDDEN_SLOTS; i++) {
            if (id != 0 && s->slot[i].id == id) {
                *of = s;
                return &s->slot[i];
            }
        }
    }
    *of = NULL;
    return NULL;
}

/* A report about |s| with that id. */
static inline struct act *hidden_report(const struct hidden_service *s, enum hidden_serve_up kind,
                                        uint64_t id, struct acts *out)
{
    struct act *a = acts_up(out, (uint16_t)kind);

    a->cookie = s->cookie;
    a->n = id;
    return a;
}

/* The same about a copy of |len| bytes; one that goes nowhere when there is no room. */
static inline struct act *hidden_report_copy(const struct hidden_service *s,
                                             enum hidden_serve_up kind, uint64_t id,
                                             struct slice about, struct acts *out)
{
    struct act *a = acts_up_copy(out, (uint16_t)kind, about.base, about.len);

    a = a == NULL ? &out->sink : a;
    a->cookie = s->cookie;
    a->n = id;
    return a;
}

/* Gives a circuit back, if there is one; |out| NULL: forgets it. */
static inline void hidden_close(struct ref *circuit, struct acts *out)
{
    if (!ref_none(*circuit) && out != NULL) {
        acts_up(out, HIDDEN_SERVE_CLOSE)->obj = *circuit;
    }
    *circuit = (struct ref){0, 0};
}

#endif
