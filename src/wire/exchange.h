/*
 * exchange.h - the first exchange on a circuit: a request of one size, an answer of the same (spec/onion.md 9).
 *
 * What is asked for (a record read, a record stored, nothing) and what the answer says does not show in it.
 */
#ifndef QUDAG_SRC_WIRE_EXCHANGE_H
#define QUDAG_SRC_WIRE_EXCHANGE_H

#define EXCHANGE_LEN 8704 /* bytes of either: eight cells with what surrounds it */

#endif
