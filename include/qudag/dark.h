/*
 * dark.h - dark addresses: callers stay hidden from the service and from the network.  A service of kind hidden stays
 * hidden from its callers and from the network too; one of kind direct is known (peer id and network address) to
 * whoever holds its address.
 */
#ifndef QUDAG_DARK_H
#define QUDAG_DARK_H

#include <qudag/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Networks of addresses, part of the address. */
typedef enum qudag_dark_network {
    QUDAG_DARK_MAIN = 0, /* the public network */
    QUDAG_DARK_TEST = 1, /* for trials, in the public network or a lab */
    QUDAG_DARK_LAB = 2,  /* labs only, where nobody is hidden */
} qudag_dark_network;

/*
 * What the records of an address lead to, for all its life; the address itself does not show it.  A hidden service
 * needs no network address that others can reach: it meets its callers at relays.  A direct one is reached over fewer
 * relays, so it is quicker, and whoever has its address can find out the node's network address.
 */
typedef enum qudag_dark_kind {
    QUDAG_DARK_HIDDEN = 0, /* relays that introduce callers */
    QUDAG_DARK_DIRECT = 1, /* the node itself */
} qudag_dark_kind;

/* What a new address is to be; what is left zero: hidden, without a label, of the network where the node is. */
typedef struct qudag_dark_wish {
    uint32_t size; /* set by the caller, see types.h */
    qudag_dark_kind kind;
    const char *label; /* borrowed for the call; NULL: none */
    qudag_dark_network network;
    bool choose_network; /* false: |network| is not looked at; LAB in a lab, MAIN elsewhere */
    uint8_t pad[3];
} qudag_dark_wish;

/*
 * Makes keys for a new address of kind hidden, saves them (callback save) and writes the address as text.
 * QUDAG_EINVAL (label too long), QUDAG_ELIMIT, QUDAG_ENOMEM, or what save returned: the address does not exist then.
 */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_dark_create(qudag_node *n, const char *label,
                                                     char addr[QUDAG_DARK_TEXT_MAX]);
/* The same for an address as |w| says.  QUDAG_EINVAL also: LAB outside a lab, or MAIN in one. */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_dark_create_with(qudag_node *n, const qudag_dark_wish *w,
                                                          char addr[QUDAG_DARK_TEXT_MAX]);
/*
 * Publishes the record of an own address, and again before each expiry; result.count: nodes that stored it.  One of
 * kind hidden needs relays that introduce callers first: QUDAG_ECIRCUIT after a minute without; the node goes on
 * trying.  One of kind direct needs an address that others can reach: QUDAG_EUNREACHABLE without; it is published
 * once there is one.  As all that needs circuits, publishing, withdrawing, resolving and opening end with
 * QUDAG_ESMALLNET where the network is small and that was not accepted (qudag_node_diversity).
 * At once: QUDAG_ENOTFOUND (not an address of this node), and what qudag_dark_check returns.
 */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_dark_publish(qudag_node *n, const char *addr,
                                                      qudag_op *op);
/*
 * Withdraws the record and destroys the keys for good; result.count, errors as above.  Circuits by which callers have
 * come to a hidden address stay until they end.
 */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_dark_forget(qudag_node *n, const char *addr, qudag_op *op);
/*
 * Publishes it no longer, also after a restart, and ends the circuits by which callers came: nobody is let in from then
 * on, and who tries hears that it is offline.  Address and keys stay, for qudag_dark_publish().  The last record is not
 * withdrawn but expires within 14 h, so that nobody sees when the service stopped.  At once: QUDAG_ENOTFOUND.
 */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_dark_unpublish(qudag_node *n, const char *addr,
                                                        qudag_op *op);
/*
 * Fetches and checks the record of any address through a circuit; result.addrs: the service's peer id, or nothing and
 * result.hidden where it is of kind hidden.  Whether it can be met is not tried.  The answer is remembered:
 * a record for an hour at most (result.cached), and that an address was withdrawn for a minute.
 * QUDAG_ENEEDAUTH: only clients may call it, and this node has no secret of one (qudag_dark_authorize).
 * QUDAG_EUNSUPPORTED at once: an address of another network; in op_done: this version knows no way to the service.
 */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_dark_resolve(qudag_node *n, const char *addr,
                                                      qudag_op *op);
/* How a stream to a dark address is opened. */
typedef struct qudag_dark_options {
    uint32_t size; /* set by the caller, see types.h */
    /*
     * Bytes of |isolation|.  Streams with different keys never share a circuit: the service cannot know from it
     * that they come from one node.  Those with the same key, also that of length 0, share one for ten minutes from
     * its first use.
     */
    uint32_t isolation_len;
    uint8_t isolation[QUDAG_ISOLATION_MAX];
    /*
     * For whom of several users of this program, as a user id: none of them can use up alone what an address may cost
     * (below).  It is the same for all streams of an isolation key.
     */
    uint64_t local_user;
} qudag_dark_options;

/*
 * Resolves the address, builds a circuit that ends at the service, or where it is hidden one that meets its own at a
 * relay, and opens a stream; an open circuit to the same address with the same isolation key (that of length 0) is
 * used again.  stream_opened or stream_closed follows; it may be written at once.
 * Before QUDAG_PHASE_READY the stream is closed with QUDAG_ENORELAYS unless a circuit can be built already:
 * wait for the phase, or try again.  In the first 5 s of that phase a stream waits for relays that are lacking.
 * Other ends: QUDAG_ENEEDAUTH (as above), QUDAG_ENOTFOUND (not published), QUDAG_EUNREACHABLE (the service is
 * offline), QUDAG_ELIMIT (more call the service than it meets: later), QUDAG_ECIRCUIT, QUDAG_ETIMEOUT,
 * QUDAG_EUNSUPPORTED (the service does not speak |proto|).
 * At once: QUDAG_EINVAL, QUDAG_EMALFORMED, QUDAG_ECHECKSUM, QUDAG_EUNSUPPORTED, QUDAG_ENOMEM, QUDAG_ELIMIT (also: this
 * isolation key must wait, as follows; it may be tried every second, which costs nothing), QUDAG_ENEEDAUTH (it must
 * wait, and was told before that a key is needed).
 *
 * A service cannot make a caller build circuits without end: its address may cost ten an hour, of all isolation
 * keys together, not counting 64 first ones of keys.  Four of the ten may follow at once; each further one must wait
 * twice as long as the one before, from 7.5 s to a minute, and beyond the ten to an hour.  Circuits that did not get
 * past this node's own relays cost nothing, nor do ten an hour that broke there, and qudag_dark_progress() gives back.
 * Of the 64 a local user may have three quarters of what the others leave: 48 where nobody else calls.
 * Where other keys have used that up, the stream is closed with QUDAG_EUNREACHABLE after as long as a lookup takes, so
 * that nobody learns what others opened.
 */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_dark_open(qudag_node *n, const char *addr,
                                                   const char *proto, qudag_stream *out);

/* The same with options; NULL: as above.  QUDAG_EINVAL also: an isolation key that is too long. */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_dark_open_with(qudag_node *n, const char *addr,
                                                        const char *proto,
                                                        const qudag_dark_options *o,
                                                        qudag_stream *out);

/*
 * The service acknowledged new content on |s|, a stream that qudag_dark_open opened: a piece that is worth another
 * circuit, as a mebibyte is, or all that was to be sent.  One of those that its address may cost comes back.  Not for
 * what it says again, nor for a sign of life alone: a service could have circuits without end for that.
 * QUDAG_EINVAL, QUDAG_ESTALE.
 */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_dark_progress(qudag_node *n, qudag_stream s);

/*
 * Checks the text of an address; needs no node.  QUDAG_EMALFORMED, QUDAG_ECHECKSUM (mistyped),
 * QUDAG_EUNSUPPORTED (of another version or network).
 */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_dark_check(const char *addr);

/*
 * As qudag_dark_resolve, for one of several users of the program, named by the bytes of |user|: unless dark_hide_cache
 * is off, what another one made the node remember is reported as late as a lookup of its own would be, and not
 * as cached.  Without a name, as there, all are one user.  A stream is of the user whom its isolation key names.
 * |user| is borrowed for the call and may have up to QUDAG_DARK_USER_MAX bytes; 8 bytes of its hash are kept in
 * memory with the address while that is remembered, the name itself is not kept.  At once: as qudag_dark_resolve;
 * QUDAG_EINVAL also for a longer name, or one without bytes where its length is not 0.
 */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_dark_resolve_for(qudag_node *n, const char *addr,
                                                          qudag_slice user, qudag_op *op);

/* A dark address of this node. */
typedef struct qudag_dark_info {
    uint32_t size;  /* set by the caller, see types.h */
    bool published; /* its record was stored and has not expired */
    bool
        clients_only; /* only clients may call it, of which there may be none (qudag_dark_client_add) */
    uint8_t pad[2];
    int64_t created, until; /* seconds since 1970; until: end of the published record, 0: none */
    char addr[QUDAG_DARK_TEXT_MAX];
    char label[QUDAG_DARK_LABEL_MAX + 8];
    int64_t last_used;    /* hour in which it was last called or looked up; 0: never */
    uint64_t callers;     /* circuits of callers that ended at it */
    uint64_t resolutions; /* lookups of it by this node; callers' are not visible to it */
    qudag_dark_network network;
    qudag_dark_kind kind;
} qudag_dark_info;
/* The dark addresses of this node, one after the other; false at the end.  *it starts at 0. */
QUDAG_API bool qudag_dark_next(const qudag_node *n, size_t *it, qudag_dark_info *out);

/*
 * Adds the client |name|: 1 to QUDAG_DARK_LABEL_MAX bytes of printable UTF-8, known here only.  From the first one on
 * only clients may call the own address |addr|.  |secret| is drawn, saved with the keys, and written as text, for the
 * client to pass to qudag_dark_authorize(): whoever reads it can call, so it is to be wiped and handed over in private,
 * together with the address.  Nobody else can find out where the service is reached, nor, without the address, that it
 * has clients.  A record that says so is published at once, the others within 90 minutes.  With the first one the
 * service begins anew, as in qudag_dark_client_remove(): anybody could know before where it is met.
 * QUDAG_ENOTFOUND (not an address of this node), QUDAG_EUNSUPPORTED (of kind direct, which names its node to whoever
 * has it), QUDAG_EINVAL (name), QUDAG_EEXISTS, QUDAG_ELIMIT (48 clients), or what save returned: nothing happened then.
 */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_dark_client_add(qudag_node *n, const char *addr,
                                                         const char *name,
                                                         char secret[QUDAG_DARK_SECRET_MAX]);
/*
 * |name| may call no longer.  The service begins anew, with other introduction points and keys, since he knows those
 * from its records: all streams of callers end, as none shows who calls.  Other clients reach it again once the next
 * record is out: after some seconds, or a minute where one was published just before.  Without its last client an
 * address is nobody's; |name| NULL removes all, and anybody who has the address may call again.
 * QUDAG_ENOTFOUND, QUDAG_EINVAL, or what save returned: he is out all the same until the program ends.
 */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_dark_client_remove(qudag_node *n, const char *addr,
                                                            const char *name);
/* The names of the clients of an own address, one after the other; false at the end.  *it starts at 0. */
QUDAG_API bool qudag_dark_client_next(const qudag_node *n, const char *addr, size_t *it,
                                      char name[QUDAG_DARK_LABEL_MAX + 1]);
/*
 * Takes the |secret| of a client of |addr|, given by its owner: it is saved and used for every call of this node,
 * whichever of the program's users makes it.  NULL: forgets it.  QUDAG_ENOTFOUND: there was none; QUDAG_ELIMIT: 256
 * addresses have one; QUDAG_EMALFORMED, QUDAG_ECHECKSUM (mistyped), QUDAG_EUNSUPPORTED (another network),
 * QUDAG_EINVAL, or what save returned: in force, and lost when the program ends.
 */
QUDAG_MUST_USE QUDAG_API qudag_err qudag_dark_authorize(qudag_node *n, const char *addr,
                                                        const char *secret);

#ifdef __cplusplus
}
#endif
#endif
