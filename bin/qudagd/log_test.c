/* log_test.c - what reaches the log, and what never does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_and_circuits_are_left_out_by_default),
        cmocka_unit_test(the_operator_may_ask_for_addresses_and_a_lab_for_all),
        cmocka_unit_test(values_cannot_forge_lines_or_fields),
        cmocka_unit_test(quiet_levels_and_long_records_stay_within_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
