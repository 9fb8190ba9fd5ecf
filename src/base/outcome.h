/*
 * outcome.h - how something ended, for counting: a few kinds for all the errors there are.
 *
 * A family of metrics has some of them only; outcome_in() says under which of its own it counts.
 */
#ifndef QUDAG_SRC_BASE_OUTCOME_H
#define QUDAG_SRC_BASE_OUTCOME_H

#include <qudag/error.h>

enum outcome {
    OUTCOME_OK,
    OUTCOME_TIMEOUT,        /* no answer in time */
    OUTCOME_UNREACHABLE,    /* nobody there, refused, no way to it */
    OUTCOME_AUTHENTICATION, /* it did not prove to be whom we wanted */
    OUTCOME_POLICY,         /* a policy forbids it */
    OUTCOME_LIMIT,          /* a limit, ours or a peer's; no memory */
    OUTCOME_NOT_FOUND,      /* asked well, and there is nothing */
    OUTCOME_CANCELED,       /* given up here */
    OUTCOME_CLOSED,         /* ended in order, by either side */
    OUTCOME_FAILED,         /* anything else */
    OUTCOMES,
};

#define OUTCOME_BIT(o) (1u << (o))

/* The word for labels, "not_found"; static. */
const char *outcome_name(enum outcome o);

/* What |err| counts as. */
enum outcome outcome_of(qudag_err err);

/* The same in a family that has only those in |set| (OUTCOME_BIT, OUTCOME_FAILED among them): else OUTCOME_FAILED. */
enum outcome outcome_in(unsigned set, qudag_err err);

#endif
