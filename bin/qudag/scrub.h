/*
 * scrub.h - takes out of a text what tells who or where somebody is: for qudag report.
 *
 * Replaced are IP addresses with their ports and interfaces, whatever begins with '/' (paths, multiaddrs, keys), runs
 * of letters and digits that are long enough for a name of a peer, a key or a dark address, also with the middle or the
 * beginning left out, hexadecimal ones from 12 digits on, names that end in .dark, and quoted values of fields other
 * than text, error and why.  Numbers and times stay; so do words of a sentence, and a name among them.
 */
#ifndef QUDAG_BIN_SCRUB_H
#define QUDAG_BIN_SCRUB_H

#include <stddef.h>

/* Writes |text| so, cut to |cap| with its 0; the length written. */
size_t scrub(const char *text, char *out, size_t cap);

#endif
