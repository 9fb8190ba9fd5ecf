/* rules.h - what may be stored: namespaces, validators, and the order in which a record is refused; pure. */
#ifndef QUDAG_SRC_CORE_KAD_COMMON_RULES_H
#define QUDAG_SRC_CORE_KAD_COMMON_RULES_H

#include "core/kad/common/params.h"
#include "core/kad/common/refusal.h"
#include "wire/kad_msg.h"

/* How values of one namespace ("/ns/...") are validated.  Functions are pure. */
struct kad_validator {
    const char *ns;     /* "pk", "qudag/relay": matched against "/<ns>/"; longest match wins */
    uint32_t value_max; /* bytes */
    void *ctx;
    /*
     * QUDAG_OK to accept; *expires may be lowered (initially now + KAD_RECORD_LIFE).  QUDAG_EEXPIRED: too old;
     * QUDAG_ECLOCK: not valid yet; anything else: not valid.
     */
    qudag_err (*check)(void *ctx, struct slice key, struct slice value, walltime now,
                       walltime *expires);
    /* > 0: |a| is to be preferred to |b|, < 0: |b|, 0: equal.  Both passed check. */
    int (*select)(void *ctx, struct slice key, struct slice a, struct slice b);
    enum kad_read read; /* DEFAULT: FIRST without |select|, else CONFIRMED */
    uint32_t quorum;    /* acknowledgements a put wants; 0: as the config says */
};
#define KAD_VALIDATORS_MAX 20

#define KAD_ONLINE (60 * NS_PER_S)
#define KAD_SILENT_RUN                                                                             \
    2 /* so many in a row may be dead; more at once are rather behind a network that is */

struct kad_rules {
    size_t n;
    struct kad_validator v[KAD_VALIDATORS_MAX];
};

/* One more namespace; QUDAG_EINVAL, EEXISTS, ELIMIT.  |v->ns| is borrowed. */
QUDAG_MUST_USE qudag_err kad_rules_add(struct kad_rules *r, const struct kad_validator *v);
/* The validator whose namespace is the longest that |key| is in; NULL: none. */
const struct kad_validator *kad_rules_find(const struct kad_rules *r, struct slice key);
/*
 * QUDAG_OK: |value| may be stored under |key| until *expires, |wall| + KAD_RECORD_LIFE at the most.
 * QUDAG_ETOOBIG, EEXPIRED, or what the validator says.
 */
QUDAG_MUST_USE qudag_err kad_validate(const struct kad_validator *v, struct slice key,
                                      struct slice value, walltime wall, walltime *expires);
/*
 * Whether a PUT_VALUE may be validated at all, by |v| (NULL: no namespace).  False: it is refused, *why tells.
 */
bool kad_put_acceptable(const struct kad_msg *req, const struct kad_validator *v,
                        enum kad_refusal *why);
/*
 * Whether an ADD_PROVIDER that names |named| providers is accepted: only the sender, authenticated, may say that it
 * provides.  False: *why tells.
 */
bool kad_provider_acceptable(size_t named, bool sender_named, enum kad_refusal *why);
/* Whether an answer names so many nodes of the network (/24, /48; 0: unknown) of number |ix| that all are left out. */
bool kad_answer_crowded(const uint32_t *group, size_t n, size_t ix);
/* How sure a read of |v| (NULL: no value is read) has to be: |asked|, or what its namespace says. */
enum kad_read kad_read_mode(const struct kad_validator *v, enum kad_read asked);
/* What is known of the network when a request has found no answer. */
struct kad_silence {
    tstamp now;
    tstamp asked;       /* when this request was made */
    tstamp last_answer; /* of any peer; 0: never */
    uint32_t run;       /* requests before this one that stayed silent since then */
};
/*
 * Whether a request without an answer is held against the peer asked.  Not when it may be our own network that is
 * silent: nobody answered for KAD_ONLINE, or nobody since the request was made and others were asked in vain too.
 */
bool kad_silence_counts(const struct kad_silence *s);
/* > 0: |a| is to be preferred to |b|; 0: neither, or no rule. */
int kad_prefer(const struct kad_validator *v, struct slice key, struct slice a, struct slice b);

#endif
