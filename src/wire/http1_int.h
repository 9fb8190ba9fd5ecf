/* http1_int.h - what the files of http1 share: lines and fields of a head. */
#ifndef QUDAG_SRC_WIRE_HTTP1_INT_H
#define QUDAG_SRC_WIRE_HTTP1_INT_H

#include "wire/http1.h"

struct http1_field {
    struct slice name, value;
};
/* The next line of *left, without its CRLF.  QUDAG_EAGAIN: it has no end yet; QUDAG_EMALFORMED: it ends in LF alone. */
QUDAG_MUST_USE qudag_err http1_line_next(struct slice *left, struct slice *line);
/* A line that is not empty, as a field; a continued line is none.  QUDAG_EMALFORMED. */
QUDAG_MUST_USE qudag_err http1_field_read(struct slice line, struct http1_field *f);
/* The next item of a list separated by commas, which is never empty; false: no more. */
bool http1_list_next(struct slice *list, struct slice *item);
/* Whether two texts are the same without regard to case. */
bool http1_same(struct slice a, struct slice b);

#endif
