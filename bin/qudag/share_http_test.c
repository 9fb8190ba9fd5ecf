/*
 * share_http_test.c - the server of a share, asked by libcurl: what it gives out, how, and what it does not.
 *
 * TEST: timeout=60
 */
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

#include <curl/curl.h>

#include "manifest.h"
#include "share_int.h"

#define BIG 3000000

struct got {
    long status;
    size_t len, head_len;
    char head[4096], body[2 * BIG];
};
static struct got got;

struct bed {
    char dir[64], socket[96];
    struct share_tree tree;
    struct share_files files;
    struct share_http *http;
    unsigned given, cut;
    uint64_t bytes;
};

static void on_given(void *ctx, const struct share_given *g)
{
    struct bed *b = ctx;
    b->given++;
    b->cut += g->cut;
    b->bytes += g->to - g->from;
}

static void put(const struct bed *b, const char *name, const void *bytes, size_t len)
{
    char path[240];
    (void)snprintf(path, sizeof(path), "%s/%s", b->dir, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

static const uint8_t *big(void)
{
    static uint8_t bytes[BIG];
    for (size_t ix = 0; ix < BIG; ix++) {
        bytes[ix] = (uint8_t)(ix * 7 + ix / 256 + ix / 70000);
    }
    return bytes;
}

static int listening(const char *path)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
    assert_int_equal(bind(fd, (const struct sockaddr *)&sa, sizeof(sa)), 0);
    assert_int_equal(listen(fd, 16), 0);
    return fd;
}

/* A folder with what is to be given out and what is not, beside a secret. */
static void make(struct bed *b)
{
    char path[160], to[160];
    memset(b, 0, sizeof(*b));
    (void)snprintf(b->dir, sizeof(b->dir), "/tmp/qudag-share-test-XXXXXX");
    assert_non_null(mkdtemp(b->dir));
    (void)snprintf(b->socket, sizeof(b->socket), "%s/socket", b->dir);
    for (const char *const *d = (const char *const[]){"in", "in/sub dir", "in/.hide", NULL};
         *d != NULL; d++) {
        (void)snprintf(path, sizeof(path), "%s/%s", b->dir, *d);
        assert_int_equal(mkdir(path, 0700), 0);
    }
    put(b, "secret", "secret", 6);
    put(b, "in/a.txt", "hello", 5);
    put(b, "in/empty", "", 0);
    put(b, "in/big.bin", big(), BIG);
    put(b, "in/page.html", "<b>x</b>", 8);
    put(b, "in/.dot", "secret", 6);
    put(b, "in/.hide/x", "secret", 6);
    put(b, "in/sub dir/<&\"\xc3\xa9>.jpg", "pic", 3);
    (void)snprintf(path, sizeof(path), "%s/in/link", b->dir);
    (void)snprintf(to, sizeof(to), "%s/secret", b->dir);
    assert_int_equal(symlink(to, path), 0);
    (void)snprintf(path, sizeof(path), "%s/in/up", b->dir);
    assert_int_equal(symlink("..", path), 0);
    (void)snprintf(path, sizeof(path), "%s/in/pipe", b->dir);
    assert_int_equal(mkfifo(path, 0600), 0);
}

static void serve(struct bed *b, const char *name, bool hidden)
{
    char path[160];
    (void)snprintf(path, sizeof(path), "%s/%s", b->dir, name);
    assert_int_equal(share_tree_open(&b->tree, path, NULL, hidden), 0);
    assert_true(share_tree_files(&b->tree, &b->files));
    b->http = share_http_new(&b->tree, &b->files, listening(b->socket), on_given, b);
    assert_non_null(b->http);
}

static void end(struct bed *b)
{
    char command[128];
    share_http_free(b->http);
    share_files_free(&b->files);
    share_tree_close(&b->tree);
    (void)snprintf(command, sizeof(command), "rm -r %s", b->dir);
    FILE *rm = popen(command, "r");
    assert_int_equal(pclose(rm), 0);
}

static size_t on_head(char *bytes, size_t one, size_t n, void *user)
{
    struct got *g = user;
    assert_true(g->head_len + n < sizeof(g->head));
    memcpy(g->head + g->head_len, bytes, n * one);
    g->head_len += n;
    g->head[g->head_len] = 0;
    return n;
}

static size_t on_body(char *bytes, size_t one, size_t n, void *user)
{
    struct got *g = user;
    assert_true(g->len + n < sizeof(g->body));
    memcpy(g->body + g->len, bytes, n * one);
    g->len += n;
    g->body[g->len] = 0;
    return n;
}

/* |range|: as libcurl takes it, or NULL; |header|: another one, or NULL. */
static void ask_with(const struct bed *b, const char *method, const char *path, const char *range,
                     const char *header)
{
    char url[2000];
    CURL *c = curl_easy_init();
    struct curl_slist *headers = header == NULL ? NULL : curl_slist_append(NULL, header);
    got.len = got.head_len = 0;
    got.body[0] = got.head[0] = 0;
    (void)snprintf(url, sizeof(url), "http://x.dark%s", path);
    curl_easy_setopt(c, CURLOPT_URL, url);
    curl_easy_setopt(c, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(c, CURLOPT_UNIX_SOCKET_PATH, b->socket);
    curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_head);
    curl_easy_setopt(c, CURLOPT_HEADERDATA, &got);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, &got);
    curl_easy_setopt(c, CURLOPT_RANGE, range);
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(c, CURLOPT_NOBODY, (long)(strcmp(method, "HEAD") == 0));
    if (strcmp(method, "HEAD") != 0) {
        curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, method);
    }
    assert_int_equal(curl_easy_perform(c), CURLE_OK);
    curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &got.status);
    curl_easy_cleanup(c);
    curl_slist_free_all(headers);
}

static void get(const struct bed *b, const char *path)
{
    ask_with(b, "GET", path, NULL, NULL);
}

static void a_folder_is_a_page_with_links(void **state)
{
    struct bed b;
    (void)state;
    make(&b);
    serve(&b, "in", false);
    get(&b, "/");
    assert_int_equal(got.status, 200);
    assert_non_null(strstr(got.head, "Content-Type: text/html; charset=utf-8\r\n"));
    assert_non_null(strstr(got.head, "Content-Security-Policy: default-src 'none'"));
    assert_non_null(strstr(got.body, "<a href=\"/a.txt\">a.txt</a>"));
    assert_non_null(strstr(got.body, "<a href=\"/sub%20dir/\">sub dir/</a>"));
    for (const char *const *no =
             (const char *const[]){"<script", "link", "pipe", "dot", "hide", "up", "secret", NULL};
         *no != NULL; no++) {
        assert_null(strstr(got.body, *no));
    }
    get(&b, "/sub%20dir");
    assert_int_equal(got.status, 301);
    assert_non_null(strstr(got.head, "Location: /sub%20dir/\r\n"));
    get(&b, "/sub%20dir/");
    assert_non_null(strstr(got.body, "<a href=\"/sub%20dir/%3C%26%22%C3%A9%3E.jpg\">"
                                     "&lt;&amp;&quot;\xc3\xa9&gt;.jpg</a>"));
    get(&b, "/sub%20dir/%3C%26%22%C3%A9%3E.jpg");
    assert_string_equal(got.body, "pic");
    assert_non_null(strstr(got.head, "Content-Type: image/jpeg\r\n"));
    end(&b);
}

static void nothing_else_is_given_out(void **state)
{
    static const char *const paths[] = {
        "/link",
        "/up",
        "/up/secret",
        "/pipe",
        "/.dot",
        "/.hide/x",
        "/.hide/",
        "/none",
        "/a.txt/",
        "/a.txt/b",
        "/../secret",
        "/%2e%2e/secret",
        "/sub%20dir/../../secret",
        "/..%2fsecret",
        "//a.txt",
        "/a.txt%00",
        "/%",
        "/.well-known/qudag-share/",
        "/.well-known/qudag-share/done",
    };
    struct bed b;
    (void)state;
    make(&b);
    serve(&b, "in", false);
    for (size_t ix = 0; ix < sizeof(paths) / sizeof(paths[0]); ix++) {
        get(&b, paths[ix]);
        assert_true(got.status == 404 || got.status == 400);
        assert_null(strstr(got.body, "secret"));
    }
    assert_int_equal(b.given, 0);
    end(&b);
    make(&b);
    serve(&b, "in", true); /* when it is asked for, what begins with a dot; links never */
    get(&b, "/.hide/x");
    assert_string_equal(got.body, "secret");
    get(&b, "/link");
    assert_int_equal(got.status, 404);
    end(&b);
}

static void a_file_alone_is_all_there_is(void **state)
{
    struct bed b;
    (void)state;
    make(&b);
    serve(&b, "in/a.txt", false);
    get(&b, "/");
    assert_non_null(strstr(got.body, "<a href=\"/a.txt\">a.txt</a>"));
    assert_null(strstr(got.body, "big"));
    get(&b, "/a.txt");
    assert_string_equal(got.body, "hello");
    get(&b, "/big.bin");
    assert_int_equal(got.status, 404);
    get(&b, "/sub%20dir/");
    assert_int_equal(got.status, 404);
    end(&b);
}

/* Each header of each kind of answer is one of these. */
static void answers_say_nothing_of_the_machine(void **state)
{
    static const char manifest[] = "/" MANIFEST_PATH;
    static const char *const paths[] = {"/",        "/a.txt",     "/none", "/sub%20dir",
                                        "/big.bin", "/page.html", "/%",    manifest};
    static const char *const allowed[] = {
        "HTTP/1.1",
        "Connection: ",
        "Content-Length: ",
        "Content-Type: ",
        "Content-Range: ",
        "Transfer-Encoding: chunked",
        "Accept-Ranges: bytes",
        "ETag: \"",
        "Location: /",
        "X-Content-Type-Options: nosniff",
        "Referrer-Policy: no-referrer",
        "Cache-Control: no-store",
        "Content-Security-Policy: ",
        "\r\n",
    };
    struct bed b;
    char etag[2][40] = {""};
    (void)state;
    for (size_t round = 0; round < 2; round++) {
        make(&b);
        serve(&b, "in", false);
        for (size_t ix = 0; ix < sizeof(paths) / sizeof(paths[0]); ix++) {
            ask_with(&b, "GET", paths[ix], ix == 4 ? "9999999-" : NULL, NULL);
            assert_int_equal(got.status == 416, ix == 4);
            assert_null(strstr(got.head, b.dir));
            assert_null(strstr(got.body, b.dir));
            for (const char *line = got.head; *line != 0; line = strchr(line, '\n') + 1) {
                size_t known = 0;
                while (strncmp(line, allowed[known], strlen(allowed[known])) != 0) {
                    known++;
                    assert_true(known < sizeof(allowed) / sizeof(allowed[0]));
                }
            }
            const char *tag = strstr(got.head, "ETag: ");
            if (ix == 1) {
                assert_non_null(tag);
                (void)snprintf(etag[round], sizeof(etag[round]), "%.24s", tag);
            }
        }
        end(&b);
    }
    assert_string_not_equal(etag[0], etag[1]);
}

static void ranges_are_served_and_resumed(void **state)
{
    struct bed b;
    char header[80];
    (void)state;
    make(&b);
    serve(&b, "in", false);
    get(&b, "/big.bin");
    assert_int_equal(got.len, BIG);
    assert_memory_equal(got.body, big(), BIG);
    ask_with(&b, "GET", "/big.bin", "1000000-", NULL);
    assert_int_equal(got.status, 206);
    assert_non_null(strstr(got.head, "Content-Range: bytes 1000000-2999999/3000000\r\n"));
    assert_int_equal(got.len, BIG - 1000000);
    assert_memory_equal(got.body, big() + 1000000, BIG - 1000000);
    ask_with(&b, "GET", "/big.bin", "-3", NULL);
    assert_memory_equal(got.body, big() + BIG - 3, 3);
    ask_with(&b, "GET", "/big.bin", "3000000-", NULL);
    assert_int_equal(got.status, 416);
    assert_non_null(strstr(got.head, "Content-Range: bytes */3000000\r\n"));
    ask_with(&b, "HEAD", "/big.bin", NULL, NULL);
    assert_non_null(strstr(got.head, "Content-Length: 3000000\r\n"));
    assert_int_equal(got.len, 0);
    (void)snprintf(header, sizeof(header), "If-Range: %.18s", strstr(got.head, "ETag: ") + 6);
    ask_with(&b, "GET", "/big.bin", "10-19", header);
    assert_int_equal(got.status, 206);
    put(&b, "in/big.bin", "another", 7); /* what was resumed is no more */
    ask_with(&b, "GET", "/big.bin", "1-2", header);
    assert_int_equal(got.status, 200);
    assert_string_equal(got.body, "another");
    end(&b);
}

static void only_reading_is_possible(void **state)
{
    static const char *const methods[] = {"POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"};
    struct bed b;
    (void)state;
    make(&b);
    serve(&b, "in", false);
    for (size_t ix = 0; ix < sizeof(methods) / sizeof(methods[0]); ix++) {
        ask_with(&b, methods[ix], "/a.txt", NULL, NULL);
        assert_int_equal(got.status, 405);
        assert_non_null(strstr(got.head, "Allow: GET, HEAD\r\n"));
    }
    get(&b, "/page.html"); /* what a browser would run stays in its sandbox */
    assert_non_null(strstr(got.head, "Content-Security-Policy: sandbox; default-src 'none'"));
    end(&b);
}

static void the_list_has_every_file_with_its_hash(void **state)
{
    struct bed b;
    struct manifest m;
    uint8_t hash[SHARE_HASH_LEN];
    blake3_hasher h;
    (void)state;
    make(&b);
    serve(&b, "in", false);
    for (size_t round = 0; round < 2; round++) { /* computed, and remembered */
        get(&b, "/" MANIFEST_PATH);
        manifest_init(&m);
        assert_true(manifest_push(&m, got.body, got.len));
        assert_true(manifest_complete(&m));
        assert_int_equal(m.n, 5);
        assert_string_equal(m.name, "in");
        assert_string_equal(m.file[1].path, "big.bin");
        blake3_hasher_init(&h);
        blake3_hasher_update(&h, big(), BIG);
        blake3_hasher_finalize(&h, hash, sizeof(hash));
        assert_memory_equal(m.file[1].hash, hash, sizeof(hash));
        assert_string_equal(m.file[4].path, "sub dir/<&\"\xc3\xa9>.jpg");
        manifest_fini(&m);
    }
    put(&b, "in/a.txt", "hullo", 5);
    get(&b, "/" MANIFEST_PATH);
    manifest_init(&m);
    assert_true(manifest_push(&m, got.body, got.len));
    blake3_hasher_init(&h);
    blake3_hasher_update(&h, "hullo", 5);
    blake3_hasher_finalize(&h, hash, sizeof(hash));
    assert_memory_equal(m.file[0].hash, hash, sizeof(hash));
    manifest_fini(&m);
    end(&b);
}

/* Someone who asks for the list, or a page, and reads nothing. */
static int ask_and_wait(const struct bed *b, const char *path)
{
    char text[200];
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_true(strlen(b->socket) < sizeof(to.sun_path));
    memcpy(to.sun_path, b->socket, strlen(b->socket) + 1);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    int len = snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path);
    assert_int_equal(write(fd, text, (size_t)len), len);
    return fd;
}

/* Lists that have a view; *views: how many these are. */
static unsigned lists_at_work(const struct bed *b, unsigned *views)
{
    unsigned lists = 0;
    *views = 0;
    (void)pthread_mutex_lock(&b->http->page_lock);
    for (size_t ix = 0; ix < SHARE_VIEWS_MAX; ix++) {
        lists += b->http->view[ix].refs;
        *views += b->http->view[ix].refs > 0;
    }
    (void)pthread_mutex_unlock(&b->http->page_lock);
    return lists;
}

/* SPEC: share SH-6 */
static void slow_readers_of_the_list_share_its_memory(void **state)
{
    enum { SLOW = SHARE_VIEWS_MAX + 2, FILES = 3000 };
    struct bed b;
    struct manifest m;
    char name[160];
    int fd[SLOW];
    unsigned views = 0;
    (void)state;
    make(&b);
    for (unsigned ix = 0; ix < FILES; ix++) { /* more than a socket takes */
        (void)snprintf(name, sizeof(name), "in/%0120u", ix);
        put(&b, name, "", 0);
    }
    serve(&b, "in", false);
    for (unsigned ix = 0; ix < SLOW; ix++) {
        fd[ix] = ask_and_wait(&b, "/" MANIFEST_PATH);
        for (unsigned ms = 0; lists_at_work(&b, &views) <= ix; ms++) {
            assert_true(ms < 20000);
            (void)usleep(1000);
        }
        (void)usleep(ix < SHARE_VIEWS_MAX ? 1100000 : 0); /* the views become old */
    }
    assert_int_equal(lists_at_work(&b, &views), SLOW);
    assert_int_equal(views, SHARE_VIEWS_MAX);
    get(&b, "/" MANIFEST_PATH); /* nobody is kept out */
    manifest_init(&m);
    assert_true(manifest_push(&m, got.body, got.len));
    assert_true(manifest_complete(&m));
    assert_int_equal(m.n, 5 + FILES);
    manifest_fini(&m);
    for (unsigned ix = 0; ix < SLOW; ix++) {
        close(fd[ix]);
    }
    end(&b);
}

static void once_ends_when_all_was_taken_and_confirmed(void **state)
{
    static const char *const paths[] = {"/a.txt", "/empty", "/page.html",
                                        "/sub%20dir/%3C%26%22%C3%A9%3E.jpg"};
    struct bed b;
    (void)state;
    make(&b);
    serve(&b, "in", false);
    ask_with(&b, "POST", "/" MANIFEST_DONE_PATH, NULL, NULL);
    assert_int_equal(got.status, 200);
    assert_false(share_http_over(b.http)); /* who says so without having it */
    for (size_t ix = 0; ix < sizeof(paths) / sizeof(paths[0]); ix++) {
        get(&b, paths[ix]);
    }
    ask_with(&b, "HEAD", "/big.bin", NULL, NULL);
    ask_with(&b, "GET", "/big.bin", "0-1999999", NULL);
    for (int ix = 0; ix < 100 && b.given < 5; ix++) {
        (void)usleep(10000);
    }
    assert_false(share_http_over(b.http));
    ask_with(&b, "GET", "/big.bin", "1999000-", NULL);
    for (int ix = 0; ix < 100 && b.given < 6; ix++) {
        (void)usleep(10000);
    }
    assert_false(share_http_over(b.http)); /* it may not have arrived */
    ask_with(&b, "POST", "/" MANIFEST_DONE_PATH, NULL, NULL);
    bool over = false;
    for (int ix = 0; ix < 200 && !over; ix++) {
        over = share_http_over(b.http);
        (void)usleep(10000);
    }
    assert_true(over);
    assert_int_equal(b.cut, 0);
    end(&b);
}

/* Its name is that of whoever shares. */
static void the_name_of_a_home_is_told_to_nobody(void **state)
{
    struct bed b;
    char path[160];
    (void)state;
    make(&b);
    (void)snprintf(path, sizeof(path), "%s/in", b.dir);
    assert_int_equal(setenv("HOME", path, 1), 0);
    serve(&b, "in/../in", false);
    get(&b, "/" MANIFEST_PATH);
    assert_non_null(strstr(got.body, "\nname files\n"));
    assert_int_equal(setenv("HOME", "/", 1), 0);
    end(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_folder_is_a_page_with_links),
        cmocka_unit_test(nothing_else_is_given_out),
        cmocka_unit_test(a_file_alone_is_all_there_is),
        cmocka_unit_test(answers_say_nothing_of_the_machine),
        cmocka_unit_test(ranges_are_served_and_resumed),
        cmocka_unit_test(only_reading_is_possible),
        cmocka_unit_test(the_list_has_every_file_with_its_hash),
        cmocka_unit_test(slow_readers_of_the_list_share_its_memory),
        cmocka_unit_test(once_ends_when_all_was_taken_and_confirmed),
        cmocka_unit_test(the_name_of_a_home_is_told_to_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
