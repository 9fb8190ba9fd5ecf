/* json.h - text as JSON (RFC 8259), valid whatever the bytes are. */
#ifndef QUDAG_BIN_JSON_H
#define QUDAG_BIN_JSON_H

#include <stddef.h>
#include <stdio.h>

/*
 * Writes the |len| bytes at |text| to |to| as a JSON string, quotes included.
 *
 * The output is valid UTF-8: each malformed sequence becomes one U+FFFD.  Control characters, separators of lines
 * and characters that change the direction of writing are escaped (\uXXXX), so that the output is also safe on a
 * terminal.  Errors of |to| are the caller's to check, with ferror().
 */
void json_text_len(FILE *to, const char *text, size_t len);
/* The same for a text that ends in 0. */
void json_text(FILE *to, const char *text);

#endif
