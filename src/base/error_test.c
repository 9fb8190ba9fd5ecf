/* error_test.c - errors, log records, lists, saturating time, and the end of a broken promise. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/assert.h"
#include "base/err.h"
#include "base/list.h"
#include "base/logrec.h"

#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static void every_error_has_a_name_a_text_and_a_category(void **state)
{
    static const qudag_err all[] = {
#define XX(name, value, cat, text) QUDAG_E##name,
        QUDAG_ERR_MAP(XX)
#undef XX
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        assert_int_equal(all[i], -(int)i - 1); /* the numbers are ABI */
        assert_true(strncmp(qudag_err_name(all[i]), "QUDAG_E", 7) == 0);
        assert_true(strlen(qudag_strerror(all[i])) > 5);
        assert_int_not_equal(qudag_err_category(all[i]), QUDAG_CAT_OK);
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(qudag_strerror(all[i]), qudag_strerror(all[j]));
        }
    }
    assert_string_equal(qudag_err_name(QUDAG_ETIMEOUT), "QUDAG_ETIMEOUT");
    assert_int_equal(qudag_err_category(QUDAG_ETIMEOUT), QUDAG_CAT_RETRY);
    assert_int_equal(qudag_err_category(QUDAG_EMALFORMED), QUDAG_CAT_PEER);
}

static void success_and_unknown_numbers_are_answered_too(void **state)
{
    (void)state;
    assert_string_equal(qudag_err_name(QUDAG_OK), "QUDAG_OK");
    assert_string_equal(qudag_strerror(QUDAG_OK), "success");
    assert_int_equal(qudag_err_category(QUDAG_OK), QUDAG_CAT_OK);
    assert_string_equal(qudag_strerror((qudag_err)-999), "unknown error");
    assert_string_equal(qudag_err_name((qudag_err)-999), "QUDAG_E?");
    assert_int_equal(qudag_err_category((qudag_err)-999), QUDAG_CAT_INTERNAL);
    assert_int_equal(QUDAG_EAPP_CODE(QUDAG_EAPP(0)), 0);
    assert_int_equal(QUDAG_EAPP_CODE(QUDAG_EAPP(QUDAG_EAPP_MAX)), QUDAG_EAPP_MAX);
    assert_int_equal(QUDAG_EAPP_CODE(QUDAG_EAPP(QUDAG_EAPP_MAX + 1)), -1);
    assert_int_equal(QUDAG_EAPP_CODE(QUDAG_ENOMEM), -1);
    assert_string_equal(qudag_err_name(QUDAG_EAPP(7)), "QUDAG_EAPP");
    assert_int_equal(qudag_err_category(QUDAG_EAPP(7)), QUDAG_CAT_CLOSED);
}

/* Each error of the list: one that is added has to be judged here. */
static void an_error_is_ours_when_no_peer_can_be_its_cause(void **state)
{
    static const qudag_err ours[] = {
        QUDAG_ENOMEM,    QUDAG_EAGAIN,  QUDAG_ECANCELED, QUDAG_ESTALE,
        QUDAG_EINVAL,    QUDAG_ESTATE,  QUDAG_ESYSTEM,   QUDAG_EINTERNAL,
        QUDAG_ECHECKSUM, QUDAG_EEXISTS, QUDAG_ETOOBIG,   QUDAG_ESMALLNET,
    };
    static const qudag_err theirs[] = {
        QUDAG_OK,       QUDAG_ELIMIT,       QUDAG_ETIMEOUT, QUDAG_EUNREACHABLE, QUDAG_ENOTFOUND,
        QUDAG_ECLOSED,  QUDAG_ERESET,       QUDAG_EPROTO,   QUDAG_EMALFORMED,   QUDAG_EAUTH,
        QUDAG_EREFUSED, QUDAG_EUNSUPPORTED, QUDAG_EEXPIRED, QUDAG_EBOOTSTRAP,   QUDAG_EPOLICY,
        QUDAG_ECLOCK,   QUDAG_ENORELAYS,    QUDAG_ECIRCUIT, QUDAG_ENOGUARD,     QUDAG_ENEEDAUTH,
    };
    size_t all = 1;
#define XX(name, value, cat, text) +1
    all += QUDAG_ERR_MAP(XX);
#undef XX

    (void)state;
    assert_int_equal(ARRAY_LEN(ours) + ARRAY_LEN(theirs), all);
    for (size_t i = 0; i < ARRAY_LEN(ours); i++) {
        assert_true(err_is_ours(ours[i]));
    }
    for (size_t i = 0; i < ARRAY_LEN(theirs); i++) {
        assert_false(err_is_ours(theirs[i]));
    }
}

static void keep_record(void *ctx, const struct log_record *rec)
{
    *(struct log_record *)ctx = *rec;
}

static void a_record_reaches_the_sink_with_its_fields(void **state)
{
    struct log_record got = {0};
    struct logger lg = {keep_record, &got, LOG_INFO};
    struct log_field many[LOG_FIELDS_MAX + 2];
    (void)state;

    log_event(&lg, LOG_INFO, "kad.query.done", LOG_NUM("rpcs", 7), LOG_ERR(QUDAG_ETIMEOUT),
              LOG_SENS("circuit", 3));
    assert_string_equal(got.event, "kad.query.done");
    assert_int_equal(got.n, 3);
    assert_int_equal(got.field[0].num, 7);
    assert_string_equal(got.field[1].text, "timed out");
    assert_int_equal(got.field[2].cls, LOG_SENSITIVE);
    memset(&got, 0, sizeof got);
    log_plain(&lg, LOG_DEBUG, "too.quiet");
    assert_null(got.event);
    log_plain(&lg, LOG_ERROR, "loud");
    assert_int_equal(got.n, 0);
    assert_string_equal(got.event, "loud");
    memset(many, 0, sizeof many);
    log_emit(&lg, LOG_WARN, "many", many, ARRAY_LEN(many));
    assert_int_equal(got.n, LOG_FIELDS_MAX);
}

static void without_a_sink_nothing_happens(void **state)
{
    struct logger lg = {NULL, NULL, LOG_DEBUG};
    (void)state;

    log_plain(&lg, LOG_ERROR, "x");
    log_plain(NULL, LOG_ERROR, "x");
}

static void lists_link_and_unlink(void **state)
{
    struct list head, n[3];
    size_t count = 0;
    (void)state;

    list_init(&head);
    assert_true(list_empty(&head));
    for (size_t i = 0; i < 3; i++) {
        list_init(&n[i]);
        assert_false(list_linked(&n[i]));
    }
    list_push_back(&head, &n[1]);
    list_push_back(&head, &n[2]);
    list_push_front(&head, &n[0]);
    LIST_EACH(it, &head)
    {
        assert_ptr_equal(it, &n[count]);
        count++;
    }
    assert_int_equal(count, 3);
    list_del(&n[1]);
    list_del(&n[1]);
    assert_false(list_linked(&n[1]));
    LIST_EACH_SAFE(it, tmp, &head)
    {
        list_del(it);
    }
    assert_true(list_empty(&head));
}

static void time_saturates_at_never(void **state)
{
    struct wallclock c = {1000, 5 * NS_PER_S};
    (void)state;

    assert_int_equal(tstamp_after(1, 2), 3);
    assert_int_equal(tstamp_after(TSTAMP_NEVER - 1, 1), TSTAMP_NEVER);
    assert_int_equal(tstamp_after(TSTAMP_NEVER - 1, 2), TSTAMP_NEVER);
    assert_int_equal(tstamp_after(5, TSTAMP_NEVER), TSTAMP_NEVER);
    assert_int_equal(tstamp_min(3, 2), 2);
    assert_int_equal(wall_now(&c, 7 * NS_PER_S + 1), 1002);
}

static void a_broken_promise_ends_the_process(void **state)
{
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct rlimit none = {0, 0};
        (void)setrlimit(RLIMIT_CORE, &none);
        (void)signal(SIGABRT, SIG_DFL);
        ASSERT(1 + 1 == 2);
        ASSERT(1 + 1 == 3);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_error_has_a_name_a_text_and_a_category),
        cmocka_unit_test(an_error_is_ours_when_no_peer_can_be_its_cause),
        cmocka_unit_test(success_and_unknown_numbers_are_answered_too),
        cmocka_unit_test(a_record_reaches_the_sink_with_its_fields),
        cmocka_unit_test(without_a_sink_nothing_happens),
        cmocka_unit_test(lists_link_and_unlink),
        cmocka_unit_test(time_saturates_at_never),
        cmocka_unit_test(a_broken_promise_ends_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
