/* name.h - names of files that somebody else chose. */
#ifndef QUDAG_BIN_NAME_H
#define QUDAG_BIN_NAME_H

#include <stdbool.h>
#include <stdint.h>

#define NAME_HARMLESS_MAX 200 /* bytes of such a name, without its 0 */

/* Whether a character may stand in a harmless name: printable, no '/', nothing invisible. */
bool name_char(uint32_t codepoint);

/*
 * A harmless name for |name|, which somebody else chose: no '/', no control or invisible characters, no dot first, no
 * space last, valid UTF-8, at most NAME_HARMLESS_MAX bytes, never empty.  What may not stand there becomes '_'.
 */
void name_harmless(char out[NAME_HARMLESS_MAX + 1], const char *name);

#endif
