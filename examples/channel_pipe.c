/*
 * channel_pipe.c - a quantum-secure channel between two processes, without a node.
 *
 *   cc channel_pipe.c -o channel_pipe $(pkg-config --cflags --libs --static qudag)
 *   ./channel_pipe                 a child at the other end of a socket pair
 *   ./channel_pipe PATH server     at a Unix socket, and in another terminal:
 *   ./channel_pipe PATH
 *
 * The channel knows nothing of descriptors: carry() moves its bytes, here over a socket.
 */
#include <qudag/qudag.h>

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the channel has for the peer goes out. */
static int send_output(qudag_channel *c, int fd)
{
    uint8_t bytes[4096];

    for (size_t n; (n = qudag_channel_take_output(c, bytes, sizeof(bytes))) > 0;) {
        for (size_t done = 0; done < n;) {
            ssize_t k = write(fd, bytes + done, n - done);
            if (k <= 0) {
                return -1;
            }
            done += (size_t)k;
        }
    }
    return 0;
}

/* What came from the peer goes in, and what was in it to |text|. */
static qudag_err take_input(qudag_channel *c, const uint8_t *bytes, size_t len, char *text,
                            size_t cap)
{
    qudag_slice in = {bytes, len}, plain;
    qudag_err err;
    size_t used;

    do {
        err = qudag_channel_receive(c, in, &used, &plain);
        in = (qudag_slice){in.base + used, in.len - used};
        size_t have = strlen(text);
        if (plain.len > 0 && plain.len < cap - have) {
            memcpy(text + have, plain.base, plain.len);
            text[have + plain.len] = '\0';
        }
    } while (err == QUDAG_OK && (in.len > 0 || plain.len > 0));
    return err;
}

/* Runs a channel over |fd|: says |words|, and hears until the peer has ended. */
static int carry(qudag_channel *c, int fd, const char *words, char *text, size_t cap)
{
    int said = 0;

    for (;;) {
        qudag_channel_state state = qudag_channel_get_state(c);

        if (state == QUDAG_CHANNEL_READY || state == QUDAG_CHANNEL_ENDED) {
            if (!said && qudag_channel_send(
                             c, (qudag_slice){(const uint8_t *)words, strlen(words)}) != QUDAG_OK) {
                return -1;
            }
            said = 1;
            qudag_channel_close(c);
        }
        if (send_output(c, fd) != 0 || state == QUDAG_CHANNEL_FAILED) {
            return -1;
        }
        if (state == QUDAG_CHANNEL_ENDED) {
            return 0;
        }
        uint8_t bytes[4096];
        ssize_t n = read(fd, bytes, sizeof(bytes));
        if (n <= 0) {
            return qudag_channel_input_ended(c) == QUDAG_OK ? 0 : -1;
        }
        (void)take_input(c, bytes, (size_t)n, text, cap); /* an error is the state, too */
    }
}

/* One side of the conversation; the exit status. */
static int run(int fd, qudag_channel_role role, const char *words)
{
    qudag_channel_config cfg = QUDAG_INIT(qudag_channel_config);
    qudag_channel_info info = QUDAG_INIT(qudag_channel_info);
    qudag_identity *id = NULL;
    qudag_channel *c = NULL;
    char text[256] = "", peer[QUDAG_PEER_ID_TEXT_MAX];
    const char *why;

    cfg.level = 768;
    cfg.protocol = "example"; /* and cfg.peer, cfg.pq_hash, where it is known who must be there */
    if (qudag_identity_generate(&id) != QUDAG_OK ||
        qudag_channel_new(&c, role, id, &cfg) != QUDAG_OK) {
        qudag_identity_free(id);
        return 1;
    }
    int rc = carry(c, fd, words, text, sizeof(text));
    if (rc != 0) {
        (void)qudag_channel_why(c, &why, NULL);
        fprintf(stderr, "channel: %s\n", why);
    } else if (qudag_channel_peer(c, &info) == QUDAG_OK) {
        qudag_peer_id_text(&info.peer, peer);
        printf("%s said \"%s\" (%s, %s, %s)\n", peer, text, info.group, info.cipher,
               info.sig_remote);
    }
    qudag_channel_free(c);
    qudag_identity_free(id);
    return rc != 0;
}

/* A connection at the Unix socket |path|; -1 on failure. */
static int meet(const char *path, int server)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0), conn = -1;

    snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
    if (!server) {
        return connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0 ? fd : -1;
    }
    unlink(path);
    if (bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0 && listen(fd, 1) == 0) {
        conn = accept(fd, NULL, NULL);
    }
    close(fd);
    return conn;
}

int main(int argc, char **argv)
{
    int fd[2], status = 0;

    if (argc > 1) {
        int server = argc > 2;
        int conn = meet(argv[1], server);

        if (conn < 0) {
            perror(argv[1]);
            return 1;
        }
        return run(conn, server ? QUDAG_CHANNEL_SERVER : QUDAG_CHANNEL_CLIENT,
                   server ? "welcome" : "hello") != 0;
    }
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, fd) != 0) {
        return 1;
    }
    pid_t child = fork();
    if (child == 0) {
        close(fd[0]);
        return run(fd[1], QUDAG_CHANNEL_SERVER, "welcome");
    }
    close(fd[1]);
    int rc = run(fd[0], QUDAG_CHANNEL_CLIENT, "hello");
    return child < 0 || waitpid(child, &status, 0) != child || status != 0 || rc != 0;
}
