/* out_test.c - tables: what fits, and that ids which are cut stay apart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "reserve.h"

#define OUT_MAX 4096
#define ID_A "12D3KooWQnwEGNqcM2nAcPtRR9rAX8Hrg4k9kJLCHoTR5chJfz6d"
#define ID_B "12D3KooWLcPqdzXPq8wgWQ5DYKrDFSuEa6aNSpHQg1chJfz6dAAA"
#define ID_C "12D3KooWLcPqdzXPq8wgWQ5DYKrDFSuEa6aNSpHQgT5chJfz6d00" /* other 8 at the end */
#define ID_LIKE_A "12D3KooWRBhwfeP2Y4TCx1SM6s9rUoHhR5STiGwxBhgFTR5chJfz6d"

static const struct tool tool = {.dir = ""};

struct link {
    const char *peer, *address, *transport, *path, *relay;
};

static void add(struct table *tb, const struct link *l)
{
    static struct rec r;
    struct rec_view v;

    rec_begin(&r, REC_ROW);
    rec_str(&r, "peer", l->peer);
    rec_str(&r, "address", l->address);
    rec_str(&r, "direction", "out");
    rec_str(&r, "transport", l->transport);
    rec_str(&r, "path_kind", l->path);
    rec_str(&r, "relay", l->relay);
    rec_str(&r, "state", "up");
    rec_bool(&r, "pq", true);
    rec_int(&r, "rtt_ns", INT64_C(1234567890));
    rec_int(&r, "bytes_in", INT64_C(1073741823));
    rec_int(&r, "bytes_out", INT64_C(1073741823));
    assert_true(rec_parse(&v, r.buf + REC_FRAME_HEAD, r.len - REC_FRAME_HEAD));
    table_add(tb, &v);
}

/* What the table prints. */
static void printed(char out[OUT_MAX], struct table *tb)
{
    FILE *f = tmpfile();
    int keep = dup(STDOUT_FILENO);

    assert_non_null(f);
    assert_true(keep >= 0);
    (void)fflush(stdout);
    assert_true(dup2(fileno(f), STDOUT_FILENO) >= 0);
    table_print(&tool, tb, "nothing");
    (void)fflush(stdout);
    assert_true(dup2(keep, STDOUT_FILENO) >= 0);
    (void)close(keep);
    rewind(f);
    out[fread(out, 1, OUT_MAX - 1, f)] = 0;
    (void)fclose(f);
}

static void peers_fit_a_terminal_of_120_columns(void **state)
{
    static const struct link links[] = {
        {ID_A, "/ip4/203.0.113.107/udp/44330/quic-v1", "quic", "direct", NULL},
        {ID_B, "/ip4/203.0.113.107/udp/44330/quic-v1/p2p/" ID_A "/p2p-circuit/p2p/" ID_B, "relay",
         "relayed, meeting", ID_A},
        {ID_C, "/ip6/2001:db8::17/tcp/4433", "tcp", "met", NULL},
    };
    struct table tb = {.cols = peers_cols, .n_cols = peers_n_cols};
    char text[OUT_MAX];
    (void)state;

    for (size_t i = 0; i < 3; i++) {
        add(&tb, &links[i]);
    }
    printed(text, &tb);
    for (const char *line = text; *line != 0; line += strcspn(line, "\n") + 1) {
        if (strcspn(line, "\n") > 120) {
            fail_msg("%zu columns: %.300s", strcspn(line, "\n"), line);
        }
    }
    assert_non_null(strstr(text, "..5chJfz6d  203.0.113.107:44330 "));
    assert_non_null(strstr(text, "[2001:db8::17]:4433"));
}

static void ids_that_end_alike_are_cut_later(void **state)
{
    static const struct link links[] = {{ID_A, "/dns4/x/udp/1/quic-v1", "quic", "direct", NULL},
                                        {ID_LIKE_A, "", "quic", "relayed", ID_A},
                                        {ID_A, "", "quic", "direct", NULL}};
    struct table tb = {.cols = peers_cols, .n_cols = peers_n_cols};
    char text[OUT_MAX];
    (void)state;

    for (size_t i = 0; i < 3; i++) {
        add(&tb, &links[i]);
    }
    printed(text, &tb);
    assert_non_null(strstr(text, "..oTR5chJfz6d"));
    assert_non_null(strstr(text, "..FTR5chJfz6d"));
    assert_null(strstr(text, "..5chJfz6d"));
    assert_non_null(strstr(text, "/dns4/x/udp/1/quic-v1")); /* as it is */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(peers_fit_a_terminal_of_120_columns),
        cmocka_unit_test(ids_that_end_alike_are_cut_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
