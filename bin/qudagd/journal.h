/*
 * journal.h - one record in the native form of systemd's journal (systemd.journal-fields(7)), a datagram.
 *
 *   NAME=value\n                       a value without line ends
 *   NAME\n | length 8, little-endian | value | \n      any other
 */
#ifndef QUDAG_BIN_JOURNAL_H
#define QUDAG_BIN_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JOURNAL_SOCKET "/run/systemd/journal/socket"
#define JOURNAL_MAX 8192 /* bytes of a record: the line and each field of it once more */

struct journal_msg {
    size_t n;
    bool cut; /* a field had no room and was left out */
    char b[JOURNAL_MAX];
};

/* Adds |name|, as the journal wants names (letters, digits, '_'; others become '_', small letters capital). */
void journal_field(struct journal_msg *m, const char *prefix, const char *name, const char *value,
                   size_t len);

/* A socket to send records on; -1: there is none. */
int journal_open(void);

enum journal_sent { JOURNAL_SENT, JOURNAL_FULL, JOURNAL_GONE };
/*
 * Sends |m| to the journal that listens at |path| without waiting.  JOURNAL_FULL: it has no room now; JOURNAL_GONE: it
 * is not there, or takes no such records.
 */
enum journal_sent journal_send(int fd, const char *path, const struct journal_msg *m);

#endif
