/*
 * log.h - the daemon's log: one line per record, time level event name=value ...
 *
 * Fields of class NETWORK are left out unless the operator asked, SENSITIVE ones unless this is a
 * test network.
 */
#ifndef QUDAG_BIN_LOG_H
#define QUDAG_BIN_LOG_H

#include <qudag/types.h>

#include <stdbool.h>

struct logsink {
    int fd;
    qudag_log_level level;
    bool network, sensitive;
};

/* qudag_settings.log; |user| is a struct daemon, whose first member is the sink. */
void log_record(void *user, const qudag_log_record *rec);
/* The daemon's own lines: a sentence as field "text". */
void log_say(struct logsink *l, qudag_log_level level, const char *event, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

#endif
