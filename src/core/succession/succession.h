/*
 * succession.h - /qudag/succession/1.0.0, both sides (spec/succession.md 2): who followed whose ML-DSA key.
 *
 *   asks      hash of a key 32, FIN
 *   answers   the statement that this key of the answering node has a successor, or nothing; FIN
 *
 * One statement a stream: who is several keys behind asks again, and decides each time whether to go on.
 */
#ifndef QUDAG_SRC_CORE_SUCCESSION_SUCCESSION_H
#define QUDAG_SRC_CORE_SUCCESSION_SUCCESSION_H

#include "core/core.h"
#include "wire/succession.h"

#define SUCCESSIONS_ASKS_MAX 16             /* under way at once */
#define SUCCESSIONS_ANSWERS_MAX 16          /* likewise; the oldest gives way */
#define SUCCESSIONS_TIMEOUT (10 * NS_PER_S) /* for an answer; as long a question may take */
#define SUCCESSIONS_PROTOCOL "/qudag/succession/1.0.0"

/* ACT_UP kinds */
enum successions_up {
    /*
     * peer, cookie; err QUDAG_OK: ptr is a statement of |n| == SUCCESSION_LEN bytes, of which nothing is checked yet.
     * ENOTFOUND: the peer says that there is none; EPROTO, ETIMEOUT, or why the stream failed.
     */
    SUCCESSIONS_UP = 1,
};

struct succession_ask {
    bool used;
    struct peer_id peer;
    uint64_t cookie, user_cookie;
    struct ref strm; /* once it is open */
    tstamp due;
    uint8_t key[32];
    uint8_t *bytes; /* SUCCESSION_LEN */
    size_t len;
};

struct succession_answer {
    struct ref strm; /* none: free */
    tstamp due;
    uint8_t key[32];
    size_t len;
};

struct successions {
    struct mem *mem;
    uint64_t next_cookie;
    uint8_t *own[SUCCESSION_KEPT]; /* our statements, SUCCESSION_LEN bytes each, in no order */
    uint8_t from[SUCCESSION_KEPT][32];
    uint64_t seq[SUCCESSION_KEPT];
    struct succession_ask ask[SUCCESSIONS_ASKS_MAX];
    struct succession_answer answer[SUCCESSIONS_ANSWERS_MAX];
};

extern const struct core_ops successions_ops;

/* Without statements of our own. */
void successions_init(struct successions *s, struct mem *mem);
/* Frees what it holds. */
void successions_fini(struct successions *s);

/*
 * One of our own to be told to whoever asks; copied.  Of more than SUCCESSION_KEPT the one with the lowest number is
 * forgotten.  ELIMIT: |what| would be that; EEXISTS: there is one for that key; ENOMEM.
 */
QUDAG_MUST_USE qudag_err successions_own(struct successions *s, const struct succession *what,
                                         struct slice bytes);

/* The highest number of our own; 0: there are none. */
uint64_t successions_newest(const struct successions *s);

/*
 * Asks |peer| over the link in doubt with it who followed |key|; one SUCCESSIONS_UP with |cookie|.  ELIMIT, ENOMEM.
 */
QUDAG_MUST_USE qudag_err successions_ask(struct successions *s, const struct peer_id *peer,
                                         const uint8_t key[32], uint64_t cookie, tstamp now,
                                         struct acts *out);

#endif
