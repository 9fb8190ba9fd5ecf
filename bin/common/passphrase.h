/*
 * passphrase.h - where a passphrase comes from: a descriptor, systemd's credentials, the terminal.
 *
 * Never the command line or the environment, which others of the machine can read and shells remember.
 */
#ifndef QUDAG_BIN_PASSPHRASE_H
#define QUDAG_BIN_PASSPHRASE_H

#include <qudag/qudag.h>

#include <stdbool.h>
#include <stddef.h>

#define PASSPHRASE_WHY_LEN 300

struct passphrase {
    size_t len; /* 0: none */
    char text[QUDAG_PASSPHRASE_MAX + 2];
    char why[PASSPHRASE_WHY_LEN]; /* after a failure */
};

/* All that comes from |fd|, which is closed, without one line end behind it.  False: p->why. */
bool passphrase_from_fd(struct passphrase *p, int fd);
/* The same of a number in the arguments; the descriptors 0 to 2 but standard input are refused. */
bool passphrase_from_option(struct passphrase *p, const char *number);
/* The credential "qudag.passphrase" of systemd, if there is one: p->len.  False: it cannot be read. */
bool passphrase_from_credential(struct passphrase *p);
/* Whether there is a terminal to ask on. */
bool passphrase_can_ask(void);
/* Asks on the terminal, without showing what is typed.  False: p->why; also when the user gave up. */
bool passphrase_ask(struct passphrase *p, const char *prompt);
/* The same twice, for a new one. */
bool passphrase_ask_new(struct passphrase *p, const char *what);

/* Takes one byte of what is typed: a character, or one that edits.  False: the line has ended. */
enum passphrase_key { PASSPHRASE_MORE, PASSPHRASE_END, PASSPHRASE_GIVEN_UP, PASSPHRASE_TOO_LONG };
enum passphrase_key passphrase_type(struct passphrase *p, unsigned char c);

/* As the library wants it. */
qudag_slice passphrase_bytes(const struct passphrase *p);
void passphrase_wipe(struct passphrase *p);

#endif
