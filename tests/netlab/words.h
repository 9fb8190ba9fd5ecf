/* words.h - settings of a NAT and of a link as words of a command. */
#ifndef QUDAG_TESTS_NETLAB_WORDS_H
#define QUDAG_TESTS_NETLAB_WORDS_H

#include "sim/nat.h"

#include "wire.h"

/*
 * "full-cone", "restricted", "port-restricted" or "symmetric", then any of
 *   mapping= filter=       independent, address or address-port
 *   ports=                 preserve, sequential or random
 *   lo= hi= step= per_host=     numbers
 *   timeout_ms= timeout_new_ms=
 *   hairpin= refresh_in= rejects=   0 or 1
 * |text| is cut to pieces.  False: a word is not known; |*cfg| is half changed.
 */
bool words_nat(struct nat_config *cfg, char *text);

/*
 * delay_ms= jitter_ms= loss= (permille) burst=IN/OUT (permille) rate_kbit= limit= (bytes) mtu= down=; what is not
 * named is off.  As above.
 */
bool words_wire(struct wire_config *cfg, char *text);

#endif
