/* start.h - from the configuration to a node. */
#ifndef QUDAG_BIN_START_H
#define QUDAG_BIN_START_H

#include "daemon.h"

/* Folder of the DHT's store, "" when it keeps nothing; false: its name is too long. */
bool store_where(const struct conf *c, const char *state, char out[PATH_LEN]);

/* The library's settings from the configuration and the identity, both borrowed by |s|. */
void settings_from(qudag_settings *s, const struct conf *c, const qudag_identity *id);

/* Which listening address cannot be had and why, as a sentence in |why|; false: all can. */
bool listen_trouble(const struct conf *c, char *why, size_t why_len);
/* Words to systemd, where it waits for them. */
void notify_systemd(const char *text);

#endif
