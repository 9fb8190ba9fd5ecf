/* passphrase.c - see passphrase.h. */
#include "passphrase.h"

#include "fileio.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

static bool fails(struct passphrase *p, const char *text)
{
    p->len = 0;
    explicit_bzero(p->text, sizeof(p->text));
    (void)snprintf(p->why, sizeof(p->why), "%s", text);
    return false;
}

bool passphrase_from_fd(struct passphrase *p, int fd)
{
    ssize_t n = 1;
    *p = (struct passphrase){0};
    while (n != 0 && p->len < sizeof(p->text)) {
        n = read(fd, p->text + p->len, sizeof(p->text) - p->len);
        if (n < 0 && errno != EINTR) {
            break;
        }
        p->len += n > 0 ? (size_t)n : 0;
    }
    int err = n < 0 ? errno : 0;
    (void)close(fd);
    if (err != 0) {
        char text[160];
        (void)snprintf(text, sizeof(text), "the passphrase cannot be read from descriptor %d: %s",
                       fd, strerror(err));
        return fails(p, text);
    }
    if (p->len > 0 && p->text[p->len - 1] == '\n') {
        p->text[--p->len] = 0;
    }
    if (p->len > QUDAG_PASSPHRASE_MAX) {
        return fails(p, "the passphrase is longer than 1024 bytes");
    }
    return p->len > 0 || fails(p, "the passphrase is empty");
}

bool passphrase_from_option(struct passphrase *p, const char *number)
{
    char *end;
    errno = 0;
    long fd = strtol(number, &end, 10);
    *p = (struct passphrase){0};
    if (errno != 0 || end == number || *end != 0 || fd < 0 || fd > 1000000 || fd == STDOUT_FILENO ||
        fd == STDERR_FILENO) {
        return fails(p,
                     "--passphrase-fd takes the number of an open descriptor, for example 3 with "
                     "3< FILE");
    }
    return passphrase_from_fd(p, (int)fd);
}

bool passphrase_from_credential(struct passphrase *p)
{
    const char *dir = getenv("CREDENTIALS_DIRECTORY");
    char path[PATH_LEN];
    *p = (struct passphrase){0};
    if (dir == NULL || !path_join(path, dir, "qudag.passphrase")) {
        return true;
    }
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        return true;
    }
    return fd >= 0 ? passphrase_from_fd(p, fd)
                   : fails(p, "systemd's credential qudag.passphrase cannot be read");
}

/* ------------------------------------------------------------------ the terminal */

static int terminal(void)
{
    return open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
}

bool passphrase_can_ask(void)
{
    int fd = isatty(STDIN_FILENO) == 1 ? terminal() : -1;
    if (fd >= 0) {
        (void)close(fd);
    }
    return fd >= 0;
}

/* Takes the last character away, with all bytes that it has in UTF-8. */
static void erase(struct passphrase *p)
{
    while (p->len > 0 && ((unsigned char)p->text[p->len - 1] & 0xc0) == 0x80) {
        p->text[--p->len] = 0;
    }
    if (p->len > 0) {
        p->text[--p->len] = 0;
    }
}

enum passphrase_key passphrase_type(struct passphrase *p, unsigned char c)
{
    switch (c) {
    case '\n':
    case '\r':
    case 0x04: /* ^D */
        return PASSPHRASE_END;
    case 0x03: /* ^C */
    case 0x1c: /* ^\ */
        return PASSPHRASE_GIVEN_UP;
    case 0x7f:
    case '\b':
        erase(p);
        return PASSPHRASE_MORE;
    case 0x15: /* ^U */
        explicit_bzero(p->text, sizeof(p->text));
        p->len = 0;
        return PASSPHRASE_MORE;
    default:
        break;
    }
    if (p->len == QUDAG_PASSPHRASE_MAX) {
        return PASSPHRASE_TOO_LONG;
    }
    p->text[p->len++] = (char)c;
    return PASSPHRASE_MORE;
}

bool passphrase_ask(struct passphrase *p, const char *prompt)
{
    struct termios was, quiet;
    enum passphrase_key key = PASSPHRASE_MORE;
    unsigned char c;
    int fd = terminal();
    *p = (struct passphrase){0};
    if (fd < 0 || tcgetattr(fd, &was) != 0) {
        if (fd >= 0) {
            (void)close(fd);
        }
        return fails(p, "there is no terminal to ask for the passphrase on");
    }
    quiet = was;
    quiet.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | ISIG | IEXTEN);
    quiet.c_cc[VMIN] = 1;
    quiet.c_cc[VTIME] = 0;
    (void)fd_write_all(fd, prompt, strlen(prompt));
    bool ok = tcsetattr(fd, TCSAFLUSH, &quiet) == 0;
    while (ok && key == PASSPHRASE_MORE) {
        ssize_t n = read(fd, &c, 1);
        if (n == 1) {
            key = passphrase_type(p, c);
        } else if (n == 0 || errno != EINTR) {
            ok = false;
        }
    }
    explicit_bzero(&c, sizeof(c));
    (void)tcsetattr(fd, TCSAFLUSH, &was);
    (void)fd_write_all(fd, "\n", 1);
    (void)close(fd);
    if (!ok) {
        return fails(p, "the passphrase cannot be read from the terminal");
    }
    return key == PASSPHRASE_END        ? p->len > 0 || fails(p, "the passphrase is empty")
           : key == PASSPHRASE_GIVEN_UP ? fails(p, "no passphrase was given")
                                        : fails(p, "the passphrase is longer than 1024 bytes");
}

bool passphrase_ask_new(struct passphrase *p, const char *what)
{
    struct passphrase again;
    if (!passphrase_ask(p, what) || !passphrase_ask(&again, "Once more: ")) {
        return p->len > 0 ? fails(p, "no passphrase was given") : false;
    }
    bool same = again.len == p->len && memcmp(again.text, p->text, p->len) == 0;
    passphrase_wipe(&again);
    return same || fails(p, "the two differ; nothing was changed");
}

qudag_slice passphrase_bytes(const struct passphrase *p)
{
    return (qudag_slice){(const uint8_t *)p->text, p->len};
}

void passphrase_wipe(struct passphrase *p)
{
    explicit_bzero(p, sizeof(*p));
}
