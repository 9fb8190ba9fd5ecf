/*
 * log.h - the daemon's log: one line per record, time level event name=value ...
 *
 * Where systemd connected the sink with its journal, a record has fields there: MESSAGE (the line without time and
 * level), PRIORITY, QUDAG_EVENT, QUDAG_AREA, and each field of the line as QUDAG_NAME.
 *
 * Fields of class NETWORK are left out unless the operator asked, SENSITIVE ones unless this is a
 * test network.  The node never waits for who reads the log.
 */
#ifndef QUDAG_BIN_LOG_H
#define QUDAG_BIN_LOG_H

#include "logrules.h"

#include <qudag/types.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOG_LINE_MAX 2048 /* bytes of a line, its end included; no more than PIPE_BUF */
#define LOG_FILE_MAX 1024 /* bytes of a file's name, its 0 included */

struct logsink {
    int fd; /* where lines go; closed by log_close if |owned| */
    qudag_log_level level;
    struct log_areas areas; /* ... and of areas that have one of their own */
    struct log_repeats repeats;
    bool limited;  /* what repeats itself is held back; debug lines are not */
    bool priority; /* |fd| is systemd's journal: lines begin with <N>, sd-daemon(3) */
    bool native;   /* ... and gets records with fields of their own (journal.h) at |journal_at| */
    int journal;   /* a socket for them, if |native| */
    const char *journal_at; /* NULL: where systemd has it */
    bool network, sensitive;
    bool owned;              /* |fd| was opened here */
    bool polite;             /* |fd| is no regular file: nothing is written that would block */
    bool by_socket;          /* |fd| is a socket */
    char file[LOG_FILE_MAX]; /* what log_reopen opens; empty: nothing */
    uint64_t dropped;        /* lines that the reader had no room for, not yet said */
    uint64_t dropped_all;    /* since the start */
    char error
        [256]; /* what the last record of level ERROR says, event first; empty: there was none */
    size_t rest_at, rest_len;
    char rest[LOG_LINE_MAX + 2]; /* end of a line of which the reader took only a part */
};

/*
 * Lines go to |fd|, which stays the caller's.  If it is a pipe, a terminal or a socket, a reader that stands still
 * stops nobody: lines are dropped and counted, and the next line that gets through is preceded by their number.
 * Fields set before (level, network, sensitive) stay.
 */
void log_attach(struct logsink *l, int fd);
/* Lines go to the end of |file|, made with mode 0600.  0 or an errno; then the sink is as before. */
int log_open(struct logsink *l, const char *file);
/* Opens the file again by its name, which log rotation may have given to another.  0 or an errno. */
int log_reopen(struct logsink *l);
/* Tries to write what is left and to say how much was dropped; from a timer. */
void log_flush(struct logsink *l);

/* Closes the file if log_open() opened it; the sink may be attached or opened again. */
void log_close(struct logsink *l);

/* qudag_settings.log; |user| is a struct daemon, whose first member is the sink. */
void log_record(void *user, const qudag_log_record *rec);
/* The daemon's own lines: a sentence as field "text". */
void log_say(struct logsink *l, qudag_log_level level, const char *event, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

#endif
