/*
 * exchange.h - the first exchange on a circuit: a request of one size, an answer of the same (spec/onion.md 9).
 *
 * What is asked for (a record read, a record stored, nothing) and what the answer says does not show in it.
 */
#ifndef QUDAG_SRC_WIRE_EXCHANGE_H
#define QUDAG_SRC_WIRE_EXCHANGE_H

#include "wire/kad_msg.h"

#define EXCHANGE_LEN (KAD_VALUE_MAX + 512) /* bytes of either: a value, its key twice, fields */
#define EXCHANGE_CELLS 13 /* that these take: BEGIN in the first, FIN in one more */

#endif
