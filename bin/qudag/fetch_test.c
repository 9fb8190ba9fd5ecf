/*
 * fetch_test.c - getting a share from its own server: resumed, checked, and nothing written but what belongs there.
 *
 * TEST: timeout=60
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "fetch.h"
#include "share_http.h"

#define SIZE 3000000

struct bed {
    char dir[64], socket[96];
    struct share_tree tree;
    struct share_files files;
    struct share_http *http;
    int top; /* where it is fetched to */
    struct fetch_site site;
};

static uint8_t content[SIZE], wanted[SHARE_HASH_LEN];

static void nothing(void *ctx, const struct share_given *g)
{
    (void)ctx;
    (void)g;
}

static void put(const char *dir, const char *name, const void *bytes, size_t len)
{
    char path[200];
    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

static bool holds(const struct bed *b, const char *name, const void *bytes, size_t len)
{
    static uint8_t got[SIZE + 1];
    int fd = openat(b->top, name, O_RDONLY);
    ssize_t n = fd < 0 ? -1 : read(fd, got, sizeof(got));
    if (fd >= 0) {
        close(fd);
    }
    return n == (ssize_t)len && memcmp(got, bytes, len) == 0;
}

static void hash_of(uint8_t out[SHARE_HASH_LEN], const void *bytes, size_t len)
{
    blake3_hasher h;
    blake3_hasher_init(&h);
    blake3_hasher_update(&h, bytes, len);
    blake3_hasher_finalize(&h, out, SHARE_HASH_LEN);
}

static void serve(struct bed *b)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    char in[100];
    (void)snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", b->socket);
    (void)snprintf(in, sizeof(in), "%s/in", b->dir);
    (void)unlink(b->socket);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&sa, sizeof(sa)), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(share_tree_open(&b->tree, in, NULL, false), 0);
    assert_true(share_tree_files(&b->tree, &b->files));
    b->http = share_http_new(&b->tree, &b->files, fd, nothing, NULL);
    assert_non_null(b->http);
}

static void unserve(struct bed *b)
{
    share_http_free(b->http);
    b->http = NULL;
    share_files_free(&b->files);
    share_tree_close(&b->tree);
}

static void make(struct bed *b)
{
    char path[100];
    memset(b, 0, sizeof(*b));
    (void)snprintf(b->dir, sizeof(b->dir), "/tmp/qudag-fetch-test-XXXXXX");
    assert_non_null(mkdtemp(b->dir));
    (void)snprintf(b->socket, sizeof(b->socket), "%s/socket", b->dir);
    (void)snprintf(path, sizeof(path), "%s/in", b->dir);
    assert_int_equal(mkdir(path, 0700), 0);
    for (size_t ix = 0; ix < SIZE; ix++) {
        content[ix] = (uint8_t)(ix * 13 + ix / 251);
    }
    put(path, "big", content, SIZE);
    hash_of(wanted, content, SIZE);
    (void)snprintf(path, sizeof(path), "%s/out", b->dir);
    assert_int_equal(mkdir(path, 0700), 0);
    b->top = open(path, O_RDONLY | O_DIRECTORY);
    assert_true(b->top >= 0);
    b->site = (struct fetch_site){.host = "x.dark"};
    (void)snprintf(b->site.path, sizeof(b->site.path), "%s", b->socket);
    assert_true(fetch_site_open(&b->site));
    serve(b);
}

static void end(struct bed *b)
{
    char command[128];
    fetch_site_close(&b->site);
    unserve(b);
    close(b->top);
    (void)snprintf(command, sizeof(command), "rm -r %s", b->dir);
    assert_int_equal(pclose(popen(command, "r")), 0);
}

static void a_file_is_fetched_whole_and_put_in_its_place(void **state)
{
    struct bed b;
    struct fetch_file f;
    long status;
    (void)state;
    make(&b);
    assert_int_equal(fetch_look(b.top, "big", SIZE, wanted), FETCH_FREE);
    assert_int_equal(fetch_file_open(&f, b.top, "big", SIZE, wanted), 0);
    assert_int_equal(fetch_get(&b.site, "big", 0, fetch_file_add, &f, &status), FETCH_OK);
    assert_int_equal(faccessat(b.top, "big", F_OK, 0), -1); /* not before it is whole */
    assert_int_equal(fetch_file_done(&f, false), 0);
    fetch_file_close(&f);
    assert_true(holds(&b, "big", content, SIZE));
    assert_int_equal(faccessat(b.top, f.part, F_OK, 0), -1);
    assert_int_equal(fetch_look(b.top, "big", SIZE, wanted), FETCH_SAME);
    assert_int_equal(fetch_get(&b.site, "none", 0, fetch_file_add, &f, &status), FETCH_STATUS);
    assert_int_equal(status, 404);
    assert_int_equal(fetch_post(&b.site, MANIFEST_DONE_PATH), FETCH_OK);
    end(&b);
}

static bool stops_at_a_third(void *ctx, const void *bytes, size_t len)
{
    struct fetch_file *f = ctx;
    return f->have < SIZE / 3 && fetch_file_add(f, bytes, len);
}

static void what_was_cut_off_goes_on(void **state)
{
    struct bed b;
    struct fetch_file f;
    long status;
    (void)state;
    make(&b);
    assert_int_equal(fetch_file_open(&f, b.top, "big", SIZE, wanted), 0);
    assert_int_equal(fetch_get(&b.site, "big", 0, stops_at_a_third, &f, &status), FETCH_SINK);
    uint64_t had = f.have;
    assert_true(had >= SIZE / 3 && had < SIZE);
    fetch_file_close(&f); /* as when it is killed */
    assert_int_equal(fetch_file_open(&f, b.top, "big", SIZE, wanted), 0);
    assert_int_equal(f.have, had);
    unserve(&b); /* the service went, and comes again */
    assert_int_equal(fetch_get(&b.site, "big", had, fetch_file_add, &f, &status), FETCH_DIAL);
    serve(&b);
    assert_int_equal(fetch_get(&b.site, "big", had, fetch_file_add, &f, &status), FETCH_OK);
    assert_int_equal(fetch_file_done(&f, false), 0);
    fetch_file_close(&f);
    assert_true(holds(&b, "big", content, SIZE));
    end(&b);
}

/* A proxy that answers nobody: whoever dials answers in its place. */
struct dialler {
    unsigned dials;
    int listener, accepted;
    char door[32];
    bool works;
};

/* False: this machine has no IPv6. */
static bool open_door(struct dialler *d, bool six)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct sockaddr *sa = six ? (struct sockaddr *)&in6 : (struct sockaddr *)&in;
    socklen_t len = six ? sizeof(in6) : sizeof(in);
    d->listener = socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (six && (d->listener < 0 || bind(d->listener, sa, len) != 0)) {
        return false;
    }
    assert_true(six || bind(d->listener, sa, len) == 0);
    assert_int_equal(listen(d->listener, 8), 0);
    assert_int_equal(getsockname(d->listener, sa, &len), 0);
    (void)snprintf(d->door, sizeof(d->door), "%s:%u", six ? "[::1]" : "127.0.0.1",
                   ntohs(six ? in6.sin6_port : in.sin_port));
    return true;
}

static bool dial(void *ctx, int fd)
{
    struct dialler *d = ctx;
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    d->dials++;
    assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    d->accepted = accept4(d->listener, NULL, NULL, SOCK_CLOEXEC);
    assert_true(d->accepted >= 0);
    if (d->works) {
        assert_int_equal(write(d->accepted, answer, sizeof(answer) - 1), sizeof(answer) - 1);
    } else {
        close(d->accepted);
    }
    return d->works;
}

static bool counts(void *ctx, const void *bytes, size_t len)
{
    (void)bytes;
    *(size_t *)ctx += len;
    return true;
}

static void dials(bool six)
{
    struct dialler d = {.works = false};
    struct fetch_site site = {.host = "x.dark", .door = d.door, .dial = dial, .ctx = &d};
    size_t len = 0;
    long status;
    if (!open_door(&d, six)) {
        return;
    }
    assert_int_equal(setenv("http_proxy", "http://127.0.0.1:1", 1), 0); /* is not asked */
    assert_true(fetch_site_open(&site));
    assert_int_equal(fetch_get(&site, "a", 0, counts, &len, &status), FETCH_DIAL);
    d.works = true;
    assert_int_equal(fetch_get(&site, "a", 0, counts, &len, &status), FETCH_OK);
    assert_int_equal(len, 5);
    assert_int_equal(d.dials, 2);
    char request[300] = "";
    ssize_t n = read(d.accepted, request, sizeof(request) - 1);
    assert_true(n > 0);
    assert_string_equal(request, "GET /a HTTP/1.1\r\nHost: x.dark\r\nAccept: */*\r\n\r\n");
    /* a second request on the same connection asks nobody again; on the next one, and where nobody listens, it does */
    static const char more[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
    assert_int_equal(write(d.accepted, more, sizeof(more) - 1), sizeof(more) - 1);
    assert_int_equal(fetch_get(&site, "b", 0, counts, &len, &status), FETCH_OK);
    assert_int_equal(len, 7);
    assert_int_equal(d.dials, 2);
    close(d.accepted);
    assert_int_equal(fetch_get(&site, "a", 0, counts, &len, &status), FETCH_OK);
    assert_int_equal(d.dials, 3);
    close(d.accepted);
    close(d.listener);
    assert_int_equal(fetch_get(&site, "a", 0, counts, &len, &status), FETCH_DIAL);
    assert_int_equal(d.dials, 3);
    fetch_site_close(&site);
}

static void connections_are_made_by_whoever_dials(void **state)
{
    (void)state;
    dials(false);
    dials(true);
}

/* A site whose answers begin with |head| and do not end. */
struct flood {
    int listener;
    const char *head;
    pthread_t thread;
};

static void *flood_run(void *ctx)
{
    static const char bytes[65536] = {'x'};
    struct flood *f = ctx;
    char request[1000];
    int fd = accept4(f->listener, NULL, NULL, SOCK_CLOEXEC);
    assert_true(fd >= 0);
    assert_true(read(fd, request, sizeof(request)) > 0);
    bool up = send(fd, f->head, strlen(f->head), MSG_NOSIGNAL) > 0;
    while (up) {
        up = send(fd, bytes, sizeof(bytes), MSG_NOSIGNAL) > 0;
    }
    close(fd);
    return NULL;
}

static enum fetch_end flooded(struct bed *b, const char *head, bool post)
{
    struct flood f = {.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), .head = head};
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    struct fetch_site site = {.host = "x.dark"};
    size_t len = 0;
    long status;
    (void)snprintf(site.path, sizeof(site.path), "%s/flood", b->dir);
    (void)unlink(site.path);
    memcpy(sa.sun_path, site.path, sizeof(site.path));
    assert_int_equal(bind(f.listener, (const struct sockaddr *)&sa, sizeof(sa)), 0);
    assert_int_equal(listen(f.listener, 8), 0);
    assert_int_equal(pthread_create(&f.thread, NULL, flood_run, &f), 0);
    assert_true(fetch_site_open(&site));
    enum fetch_end end =
        post ? fetch_post(&site, "a") : fetch_get(&site, "a", 0, counts, &len, &status);
    fetch_site_close(&site);
    assert_int_equal(pthread_join(f.thread, NULL), 0);
    close(f.listener);
    assert_int_equal(len, 0);
    return end;
}

static void answers_that_nobody_wants_need_not_end(void **state)
{
    struct bed b;
    (void)state;
    make(&b);
    alarm(30); /* it would last for ever */
    assert_int_equal(flooded(&b, "HTTP/1.1 503 Busy\r\n\r\n", false), FETCH_STATUS);
    assert_int_equal(flooded(&b, "HTTP/1.1 206 Part\r\n\r\n", false), FETCH_STATUS);
    assert_int_equal(flooded(&b, "HTTP/1.1 200 OK\r\n\r\n", true), FETCH_SINK);
    assert_int_equal(flooded(&b, "HTTP/1.1 500 Broken\r\n\r\n", true), FETCH_STATUS);
    alarm(0);
    end(&b);
}

/* Behind what is there goes what was asked for, not the beginning once more. */
static void a_server_that_knows_no_ranges_adds_nothing(void **state)
{
    struct dialler d = {.works = true};
    struct fetch_site site = {.host = "x.dark", .door = d.door, .dial = dial, .ctx = &d};
    size_t len = 0;
    long status;
    (void)state;
    assert_true(open_door(&d, false));
    assert_true(fetch_site_open(&site));
    assert_int_equal(fetch_get(&site, "a", 3, counts, &len, &status), FETCH_STATUS);
    assert_int_equal(status, 200);
    assert_int_equal(len, 0);
    fetch_site_close(&site);
    close(d.accepted);
    close(d.listener);
}

static void another_content_is_never_put_there(void **state)
{
    struct bed b;
    struct fetch_file f;
    (void)state;
    make(&b);
    assert_int_equal(fetch_file_open(&f, b.top, "a", 5, wanted), 0);
    assert_true(fetch_file_add(&f, "hello", 5));
    assert_false(fetch_file_add(&f, "!", 1)); /* more than it has */
    assert_int_equal(f.err, EFBIG);
    assert_int_equal(fetch_file_done(&f, false), EBADMSG);
    fetch_file_close(&f);
    assert_int_equal(faccessat(b.top, "a", F_OK, 0), -1);
    assert_int_equal(faccessat(b.top, f.part, F_OK, 0), -1);
    uint8_t hash[SHARE_HASH_LEN];
    hash_of(hash, "hello", 5);
    assert_int_equal(fetch_file_open(&f, b.top, "a", 6, hash), 0);
    assert_true(fetch_file_add(&f, "hello", 5));
    assert_int_equal(fetch_file_done(&f, false), EBADMSG); /* too short, although the hash fits */
    fetch_file_close(&f);
    end(&b);
}

static void nothing_is_overwritten(void **state)
{
    struct bed b;
    struct fetch_file f;
    char out[100];
    uint8_t hash[SHARE_HASH_LEN];
    (void)state;
    make(&b);
    hash_of(hash, "hello", 5);
    (void)snprintf(out, sizeof(out), "%s/out", b.dir);
    put(out, "a", "mine!", 5);
    assert_int_equal(fetch_look(b.top, "a", 5, hash), FETCH_OTHER);
    assert_int_equal(fetch_file_open(&f, b.top, "a", 5, hash), 0);
    assert_true(fetch_file_add(&f, "hello", 5));
    assert_int_equal(fetch_file_done(&f, false), EEXIST);
    assert_true(holds(&b, "a", "mine!", 5));
    assert_int_equal(fetch_file_done(&f, true), 0); /* it was allowed */
    fetch_file_close(&f);
    assert_true(holds(&b, "a", "hello", 5));
    end(&b);
}

static void links_lead_nowhere(void **state)
{
    struct bed b;
    struct fetch_file f;
    char path[300];
    uint8_t hash[SHARE_HASH_LEN];
    (void)state;
    make(&b);
    hash_of(hash, "hello", 5);
    assert_int_equal(symlinkat("../in", b.top, "sub"), 0);
    unsigned may = 100;
    assert_true(fetch_folder(b.top, "sub/a", &may) < 0);
    int dir = fetch_folder(b.top, "x/y/a", &may);
    assert_true(dir >= 0);
    assert_int_equal(fetch_file_open(&f, dir, "a", 5, hash), 0);
    (void)snprintf(path, sizeof(path), "%s", f.part);
    fetch_file_close(&f);
    assert_int_equal(unlinkat(dir, path, 0), 0);
    assert_int_equal(symlinkat("../../../in/big", dir, path), 0); /* where the part would be */
    assert_int_not_equal(fetch_file_open(&f, dir, "a", 5, hash), 0);
    assert_int_equal(unlinkat(dir, path, 0), 0);
    (void)snprintf(path, sizeof(path), "%s/in/big", b.dir);
    assert_int_equal(linkat(AT_FDCWD, path, dir, f.part, 0), 0); /* nor a second name of a file */
    assert_int_equal(fetch_file_open(&f, dir, "a", 5, hash), EEXIST);
    assert_int_equal(symlinkat("../../../in/big", dir, "l"), 0);
    assert_int_equal(fetch_look(dir, "l", SIZE, wanted), FETCH_OTHER);
    close(dir);
    end(&b);
}

static void no_more_folders_are_made_than_may_be(void **state)
{
    struct bed b;
    unsigned may = 0;
    (void)state;
    make(&b);
    assert_int_equal(fetch_folder(b.top, "x/y/a", &may), -ENOENT);
    assert_int_equal(faccessat(b.top, "x", F_OK, 0), -1); /* to look is not to make */
    may = 3;
    for (unsigned round = 0; round < 2; round++) {
        int dir = fetch_folder(b.top, "x/y/a", &may);
        assert_true(dir >= 0);
        close(dir);
        assert_int_equal(may, 1);
    }
    assert_int_equal(fetch_folder(b.top, "x/z/z/a", &may), -ENOENT);
    assert_int_equal(may, 0);
    assert_int_equal(faccessat(b.top, "x/z/z", F_OK, 0), -1);
    put(b.dir, "out/file", "", 0);
    may = 9;
    assert_int_equal(fetch_folder(b.top, "file/a", &may), -ENOTDIR);
    end(&b);
}

static void two_do_not_write_the_same_part(void **state)
{
    struct bed b;
    struct fetch_file f, g;
    (void)state;
    make(&b);
    assert_int_equal(fetch_file_open(&f, b.top, "a", 5, wanted), 0);
    assert_int_equal(fetch_file_open(&g, b.top, "a", 5, wanted), EWOULDBLOCK);
    fetch_file_close(&f);
    assert_int_equal(fetch_file_open(&g, b.top, "a", 5, wanted), 0);
    fetch_file_close(&g);
    end(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_fetched_whole_and_put_in_its_place),
        cmocka_unit_test(what_was_cut_off_goes_on),
        cmocka_unit_test(connections_are_made_by_whoever_dials),
        cmocka_unit_test(answers_that_nobody_wants_need_not_end),
        cmocka_unit_test(a_server_that_knows_no_ranges_adds_nothing),
        cmocka_unit_test(another_content_is_never_put_there),
        cmocka_unit_test(nothing_is_overwritten),
        cmocka_unit_test(links_lead_nowhere),
        cmocka_unit_test(no_more_folders_are_made_than_may_be),
        cmocka_unit_test(two_do_not_write_the_same_part),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
