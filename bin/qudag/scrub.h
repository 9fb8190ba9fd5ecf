/*
 * scrub.h - takes out of a text what tells who or where somebody is: for qudag report.
 *
 * Replaced are IP addresses with their ports, whatever begins with '/' (paths, multiaddrs, keys), runs of letters and
 * digits that are long enough for a name of a peer, a key or a dark address, hexadecimal ones from 12 digits on, and
 * quoted values of fields other than text, error and why.  Numbers and times stay.
 */
#ifndef QUDAG_BIN_SCRUB_H
#define QUDAG_BIN_SCRUB_H

#include <stddef.h>

/* Writes |text| so, cut to |cap| with its 0; the length written. */
size_t scrub(const char *text, char *out, size_t cap);

#endif
