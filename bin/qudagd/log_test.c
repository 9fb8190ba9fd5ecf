/* log_test.c - what reaches the log, and what never does. */
#include <errno.h>
#include <fcntl.h>
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

#include "common/fileio.h"
#include "journal.h"
#include "log.h"

static char got[8192];

static void run(struct logsink *l, const qudag_log_record *rec)
{
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    l->fd = pipes[1];
    log_record(l, rec);
    close(pipes[1]);
    ssize_t n = read(pipes[0], got, sizeof(got) - 1);
    got[n > 0 ? n : 0] = 0;
    close(pipes[0]);
}

static const qudag_log_field fields[] = {
    {.name = "count", .cls = QUDAG_LOG_PUBLIC, .num = -3},
    {.name = "addr", .cls = QUDAG_LOG_NETWORK, .text = "10.0.0.1:1"},
    {.name = "circuit", .cls = QUDAG_LOG_SENSITIVE, .text = "c1"},
    {.name = "why", .cls = QUDAG_LOG_PUBLIC, .text = "a \"b\"\n\x1b[1m"},
};
static const qudag_log_record rec = {
    .level = QUDAG_LOG_WARN, .event = "link.lost", .n = 4, .fields = fields};

static void addresses_and_circuits_are_left_out_by_default(void **state)
{
    (void)state;
    struct logsink l = {.level = QUDAG_LOG_INFO};
    run(&l, &rec);
    assert_non_null(strstr(got, " warn  link.lost count=-3 why="));
    assert_null(strstr(got, "10.0.0.1"));
    assert_null(strstr(got, "c1"));
}

/* Who starts a daemon that cannot be hears why. */
static void the_last_error_is_kept(void **state)
{
    (void)state;
    const qudag_log_record failed = {
        .level = QUDAG_LOG_ERROR, .event = "io.failed", .n = 2, .fields = fields};
    struct logsink l = {.level = QUDAG_LOG_INFO};
    run(&l, &failed);
    run(&l, &rec);
    assert_string_equal(l.error, "io.failed count=-3");
}

static void the_operator_may_ask_for_addresses_and_a_lab_for_all(void **state)
{
    (void)state;
    struct logsink l = {.level = QUDAG_LOG_INFO, .network = true};
    run(&l, &rec);
    assert_non_null(strstr(got, "addr=10.0.0.1:1"));
    assert_null(strstr(got, "circuit="));
    l.sensitive = true;
    run(&l, &rec);
    assert_non_null(strstr(got, "circuit=c1"));
}

static void values_cannot_forge_lines_or_fields(void **state)
{
    (void)state;
    struct logsink l = {.level = QUDAG_LOG_INFO};
    run(&l, &rec);
    assert_non_null(strstr(got, "why=\"a \\\"b\\\"??[1m\"\n"));
    assert_ptr_equal(strchr(got, '\n'), got + strlen(got) - 1);
}

static void quiet_levels_and_long_records_stay_within_bounds(void **state)
{
    (void)state;
    struct logsink l = {.level = QUDAG_LOG_ERROR};
    run(&l, &rec);
    assert_string_equal(got, "");
    static char long_text[5000];
    memset(long_text, '"', sizeof(long_text) - 1);
    qudag_log_field many[40];
    for (size_t ix = 0; ix < 40; ix++) {
        many[ix] = (qudag_log_field){.name = "n", .text = ix == 0 ? "x" : long_text};
    }
    l.level = QUDAG_LOG_DEBUG;
    run(&l, &(qudag_log_record){.event = "e", .n = 40, .fields = many});
    assert_true(strlen(got) < 2100);
    assert_int_equal(got[strlen(got) - 1], '\n');
}

/* Everything that is in the pipe now. */
static size_t drain(int fd, char *to, size_t room)
{
    size_t len = 0;
    while (len < room - 1) {
        ssize_t n = read(fd, to + len, room - 1 - len);
        if (n <= 0) {
            break;
        }
        len += (size_t)n;
    }
    to[len] = 0;
    return len;
}

static void a_stalled_reader_blocks_nothing_and_dropped_lines_are_counted(void **state)
{
    static char text[1 << 20];
    struct logsink l = {.level = QUDAG_LOG_INFO};
    int kinds[2][2];
    (void)state;
    (void)alarm(20); /* a write that waits is ended by this */
    assert_int_equal(pipe(kinds[0]), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, kinds[1]), 0);
    for (size_t kind = 0; kind < 2; kind++) {
        log_attach(&l, kinds[kind][1]);
        for (unsigned ix = 0; ix < 20000; ix++) {
            log_say(&l, QUDAG_LOG_INFO, "flood", "line %u of many that nobody reads", ix);
        }
        uint64_t lost = l.dropped_all;
        assert_true(lost > 0);
        assert_int_equal(fcntl(kinds[kind][1], F_GETFL) & O_NONBLOCK, 0); /* others share it */
        assert_int_equal(fcntl(kinds[kind][0], F_SETFL, O_NONBLOCK), 0);
        size_t len = drain(kinds[kind][0], text, sizeof(text));
        log_say(&l, QUDAG_LOG_INFO, "after", "it");
        len += drain(kinds[kind][0], text + len, sizeof(text) - len);
        size_t whole = 0, other = 0;
        unsigned long long said = 0; /* a short line may find room where a long one did not */
        assert_non_null(strstr(text, " after text=it\n"));
        for (char *at = text, *end; (end = strchr(at, '\n')) != NULL; at = end + 1) {
            const char *told = strstr(at, " log.dropped lines=");
            *end = 0;
            if (told != NULL && told < end) {
                said += strtoull(told + 19, NULL, 10);
            } else if (strstr(at, " nobody reads\"") != NULL) {
                whole++;
            } else {
                other++;
            }
        }
        assert_int_equal(said, lost);
        assert_int_equal(other, 1); /* none is torn */
        assert_int_equal(whole, 20000 - lost);
        assert_int_equal(l.dropped, 0);
        log_close(&l);
        l.dropped_all = 0;
        close(kinds[kind][0]);
        close(kinds[kind][1]);
    }
    (void)alarm(0);
}

static void a_log_that_was_moved_away_is_reopened(void **state)
{
    char dir[] = "/tmp/qudag-log-XXXXXX", path[64], moved[64];
    struct logsink l = {.level = QUDAG_LOG_INFO};
    struct stat st;
    uint8_t *text;
    size_t len;
    (void)state;
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/log", dir);
    (void)snprintf(moved, sizeof(moved), "%s/log.1", dir);
    assert_int_equal(log_open(&l, path), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    log_say(&l, QUDAG_LOG_INFO, "one", "first");
    assert_int_equal(rename(path, moved), 0);
    log_say(&l, QUDAG_LOG_INFO, "two", "second");
    assert_int_equal(log_reopen(&l), 0);
    log_say(&l, QUDAG_LOG_INFO, "three", "third");
    assert_int_equal(file_read(path, 1000, &text, &len), 0);
    assert_non_null(strstr((char *)text, "third"));
    assert_null(strstr((char *)text, "second"));
    free(text);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(dir), -1);
    assert_int_equal(mkdir(path, 0700), 0); /* what cannot be opened leaves the log where it is */
    assert_int_equal(log_reopen(&l), EISDIR);
    log_say(&l, QUDAG_LOG_INFO, "four", "fourth");
    log_close(&l);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(unlink(moved), 0);
    assert_int_equal(rmdir(dir), 0);
}

/* ---- the journal */

/* A journal in the folder |dir|, and a stream that claims to be connected with it. */
struct fake {
    int journal, stream[2];
    char dir[64], path[96];
};

static void fake_make(struct fake *f, bool listens)
{
    char stream[64];
    struct stat st;
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    (void)snprintf(f->dir, sizeof(f->dir), "/tmp/qudag-journal-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    (void)snprintf(f->path, sizeof(f->path), "%s/socket", f->dir);
    (void)snprintf(at.sun_path, sizeof(at.sun_path), "%s", f->path);
    f->journal = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    if (listens) {
        assert_int_equal(bind(f->journal, (const struct sockaddr *)&at, sizeof(at)), 0);
    }
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, f->stream), 0);
    assert_int_equal(fstat(f->stream[0], &st), 0);
    (void)snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev,
                   (unsigned long long)st.st_ino);
    assert_int_equal(setenv("JOURNAL_STREAM", stream, 1), 0);
}

static void fake_end(struct fake *f)
{
    (void)unsetenv("JOURNAL_STREAM");
    (void)close(f->journal);
    (void)close(f->stream[0]);
    (void)close(f->stream[1]);
    (void)unlink(f->path);
    (void)rmdir(f->dir);
}

/* What came at |fd|, as text. */
static const char *came(int fd)
{
    ssize_t n = recv(fd, got, sizeof(got) - 1, MSG_DONTWAIT);
    got[n > 0 ? n : 0] = 0;
    return got;
}

static void the_journal_gets_fields_and_no_others_than_the_line_has(void **state)
{
    struct fake f;
    (void)state;
    fake_make(&f, true);
    struct logsink l = {.level = QUDAG_LOG_INFO, .journal_at = f.path};
    log_attach(&l, f.stream[0]);
    log_record(&l, &rec);
    assert_string_equal(came(f.journal), "MESSAGE=link.lost count=-3 why=\"a \\\"b\\\"??[1m\"\n"
                                         "PRIORITY=4\n"
                                         "SYSLOG_IDENTIFIER=qudagd\n"
                                         "QUDAG_EVENT=link.lost\n"
                                         "QUDAG_AREA=link\n"
                                         "QUDAG_COUNT=-3\n"
                                         "QUDAG_WHY\n\n"); /* ten bytes follow */
    l.network = true;
    log_record(&l, &rec);
    assert_non_null(strstr(came(f.journal), "\nQUDAG_ADDR=10.0.0.1:1\n"));
    assert_null(strstr(got, "QUDAG_CIRCUIT"));
    assert_string_equal(came(f.stream[1]), ""); /* not twice */
    log_close(&l);
    fake_end(&f);
}

static void without_a_journal_lines_go_on_as_before(void **state)
{
    struct fake f;
    (void)state;
    fake_make(&f, false);
    struct logsink l = {.level = QUDAG_LOG_INFO, .journal_at = f.path};
    log_attach(&l, f.stream[0]);
    log_record(&l, &rec);
    assert_non_null(strstr(came(f.stream[1]), "link.lost count=-3"));
    assert_memory_equal(got, "<4>", 3);
    log_close(&l);
    fake_end(&f);
}

static void a_journal_that_stands_still_stops_nobody(void **state)
{
    struct fake f;
    (void)state;
    fake_make(&f, true);
    struct logsink l = {.level = QUDAG_LOG_INFO, .journal_at = f.path};
    log_attach(&l, f.stream[0]);
    for (unsigned i = 0; i < 10000 && l.dropped == 0; i++) {
        log_record(&l, &rec);
    }
    assert_int_not_equal(l.dropped, 0);
    while (*came(f.journal) != 0) {
    }
    log_record(&l, &rec);
    assert_non_null(strstr(came(f.stream[1]), "log.dropped lines="));
    assert_non_null(strstr(came(f.journal), "QUDAG_EVENT=link.lost"));
    log_close(&l);
    fake_end(&f);
}

static void fields_that_do_not_fit_are_left_out_whole(void **state)
{
    static char big[JOURNAL_MAX];
    struct journal_msg m = {.n = 0};
    (void)state;
    memset(big, 'x', sizeof(big));
    journal_field(&m, "QUDAG_", "a-b.c", "1\n2", 3);
    assert_int_equal(m.n, 11 + 1 + 8 + 3 + 1);
    assert_memory_equal(m.b, "QUDAG_A_B_C\n\3\0\0\0\0\0\0\0001\n2\n", m.n);
    journal_field(&m, "", "BIG", big, sizeof(big) - m.n - 4);
    assert_true(m.cut);
    size_t n = m.n;
    journal_field(&m, "", "BIG", big, sizeof(big) - m.n - 5);
    assert_int_equal(m.n, n + sizeof(big) - n);
    journal_field(&m, "", "", "", 0);
    assert_int_equal(m.n, sizeof(m.b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_and_circuits_are_left_out_by_default),
        cmocka_unit_test(the_last_error_is_kept),
        cmocka_unit_test(the_operator_may_ask_for_addresses_and_a_lab_for_all),
        cmocka_unit_test(values_cannot_forge_lines_or_fields),
        cmocka_unit_test(a_stalled_reader_blocks_nothing_and_dropped_lines_are_counted),
        cmocka_unit_test(a_log_that_was_moved_away_is_reopened),
        cmocka_unit_test(quiet_levels_and_long_records_stay_within_bounds),
        cmocka_unit_test(the_journal_gets_fields_and_no_others_than_the_line_has),
        cmocka_unit_test(without_a_journal_lines_go_on_as_before),
        cmocka_unit_test(a_journal_that_stands_still_stops_nobody),
        cmocka_unit_test(fields_that_do_not_fit_are_left_out_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
