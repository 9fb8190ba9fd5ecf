/* keys.c - the folder's keys while no daemon runs: passphrase, lock, opening. */
#include "key.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <unistd.h>

int key_passphrase(struct tool *t, const char *fd, struct passphrase *p)
{
    char prompt[PATH_LEN + 32];
    (void)prctl(PR_SET_DUMPABLE, 0); /* it does not go into a core file */
    bool ok = fd != NULL ? passphrase_from_option(p, fd) : passphrase_from_credential(p);
    if (ok && p->len == 0 && vault_encrypted(t->dir)) {
        if (!passphrase_can_ask()) {
            return tool_error(t, TOOL_USAGE, "PASSPHRASE",
                              "the keys are encrypted, and there is no terminal to ask for the "
                              "passphrase on",
                              "--passphrase-fd N reads it from a descriptor: --passphrase-fd 3 3< "
                              "FILE");
        }
        (void)snprintf(prompt, sizeof(prompt), "Passphrase of %s: ", t->dir);
        ok = passphrase_ask(p, prompt);
    }
    return ok ? TOOL_OK : tool_error(t, TOOL_USAGE, "PASSPHRASE", p->why, "it has 1 to 1024 bytes");
}

int key_lock(struct tool *t)
{
    char path[PATH_LEN], message[PATH_LEN + 80], hint[PATH_LEN + 40];
    int fd = path_join(path, t->dir, "lock")
                 ? open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600)
                 : -1;
    if (fd < 0) {
        (void)snprintf(message, sizeof(message), "%s: %s", t->dir, strerror(errno));
        (void)tool_error(t, TOOL_FAILED, "FOLDER", message, "which folder?  --dir DIR");
        return -1;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        (void)close(fd);
        (void)snprintf(hint, sizeof(hint), "stop it first: qudag --dir %s down", t->dir);
        (void)tool_error(t, TOOL_REFUSED, "RUNNING",
                         "a daemon uses these keys, and would write the old ones back", hint);
        return -1;
    }
    return fd;
}

int key_open(struct tool *t, struct vault *v, const struct passphrase *p)
{
    switch (vault_open(v, t->dir, passphrase_bytes(p))) {
    case VAULT_OK:
        return TOOL_OK;
    case VAULT_LOCKED:
    case VAULT_WRONG:
        return tool_error(t, TOOL_REFUSED, "PASSPHRASE", v->why, "try again");
    case VAULT_FAILED:
        break;
    }
    return tool_error(t, TOOL_FAILED, "KEYS", v->why, "");
}
