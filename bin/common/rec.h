/*
 * rec.h - records: what daemon and tool say to each other on the control socket.
 *
 *   frame  = length u32 | record              length: of the record, at most REC_MAX
 *   record = type u16 | field ...
 *   field  = kind u8 | name length u8 | name, 0 | value
 *   value  = string: length u32, text, 0  (no 0 inside)     int: i64
 *            bytes:  length u32, bytes                      bool: u8, 0 or 1
 *
 * All numbers are big-endian.  A name may come several times: a list.  A record is checked whole by
 * rec_parse; after that nothing that reads it can fail.
 */
#ifndef QUDAG_BIN_REC_H
#define QUDAG_BIN_REC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REC_MAX 65536
#define REC_NAME_MAX 40
#define REC_FIELDS_MAX 512
#define REC_FRAME_HEAD 4

#define CTL_VERSION 1 /* of all of this; hello says it */

enum rec_type {
    REC_HELLO = 1,    /* both ways, first: version, program */
    REC_REQUEST = 2,  /* cmd, arguments */
    REC_ROW = 3,      /* one line of the answer */
    REC_PROGRESS = 4, /* how far it is */
    REC_END = 5,      /* code, error, message, hint: the answer is complete */
};

enum rec_kind { REC_STR = 1, REC_INT = 2, REC_BOOL = 3, REC_BYTES = 4 };

/* A record being written.  What does not fit sets |failed|, and rec_frame says so. */
struct rec {
    bool failed;
    size_t n, len; /* fields; bytes of |buf| in use */
    uint8_t buf[REC_FRAME_HEAD + REC_MAX];
};

/* Starts an empty record in |r|, whatever was in it. */
void rec_begin(struct rec *r, enum rec_type type);

void rec_str(struct rec *r, const char *name, const char *text); /* NULL: the field is left out */

/* The formatted text, cut after 1023 bytes. */
void rec_strf(struct rec *r, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* A field of kind REC_INT. */
void rec_int(struct rec *r, const char *name, int64_t v);

/* A field of kind REC_BOOL. */
void rec_bool(struct rec *r, const char *name, bool v);

/* A field of kind REC_BYTES with a copy of |base|. */
void rec_bytes(struct rec *r, const char *name, const void *base, size_t len);

/* Wipes what was written: a record may hold a key.  Nothing can be sent before rec_begin(). */
void rec_wipe(struct rec *r);

/* The frame, ready to be sent: its length; 0 if something did not fit. */
size_t rec_frame(struct rec *r);

/* A record being read; borrows the bytes. */
struct rec_view {
    uint16_t type;
    const uint8_t *base; /* of the fields */
    size_t len;
};
struct rec_field {
    enum rec_kind kind;
    const char *name;
    const char *text; /* REC_STR */
    const uint8_t *bytes;
    size_t len;  /* of text or bytes */
    int64_t num; /* REC_INT, REC_BOOL */
};

/*
 * Checks the record of |len| bytes (without the frame's head) and sets |v|; false, and |v| untouched, if it
 * is malformed.
 */
bool rec_parse(struct rec_view *v, const uint8_t *base, size_t len);

bool rec_next(const struct rec_view *v, size_t *it, struct rec_field *out); /* *it starts at 0 */

/* The first field of that name and kind; false: there is none. */
bool rec_find(const struct rec_view *v, const char *name, enum rec_kind kind,
              struct rec_field *out);

const char *rec_get_str(const struct rec_view *v, const char *name); /* NULL: absent */

/* Its number; |otherwise| when there is none. */
int64_t rec_get_int(const struct rec_view *v, const char *name, int64_t otherwise);

bool rec_get_bool(const struct rec_view *v, const char *name); /* absent: false */

/* How long the frame at |base| is, head included: 0 = more bytes are needed, SIZE_MAX = not one. */
size_t rec_frame_len(const uint8_t *base, size_t len);

#endif
