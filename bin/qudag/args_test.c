/* args_test.c - options and words: what lacks its value or is unknown is never taken for something else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tool.h"

static const struct sub sub = {.name = "some", .args = "", .example = ""};
static const struct tool tool = {.json = true, .sub = &sub};
static const struct opt opts[] = {{"--flag", NULL}, {"--value", "NAME"}, {"-m", "TEXT"}};

static struct args of(int argc, char **argv)
{
    return (struct args){
        .t = &tool, .what = "some", .argc = argc, .argv = argv, .opts = opts, .n = 3};
}

#define ARGS(...)                                                                                  \
    char *argv[] = {__VA_ARGS__};                                                                  \
    struct args a = of((int)(sizeof(argv) / sizeof(argv[0])), argv)

static void options_and_words_come_in_any_order(void **state)
{
    (void)state;
    char one[] = "one", flag[] = "--flag", value[] = "--value", name[] = "name", two[] = "two";
    ARGS(one, flag, value, name, two);
    assert_int_equal(args_next(&a), ARGS_WORD);
    assert_string_equal(a.value, "one");
    assert_int_equal(args_next(&a), 0);
    assert_int_equal(args_next(&a), 1);
    assert_string_equal(a.value, "name");
    assert_int_equal(args_next(&a), ARGS_WORD);
    assert_string_equal(a.value, "two");
    assert_int_equal(args_next(&a), ARGS_END);
    assert_int_equal(args_next(&a), ARGS_END);
}

static void an_option_at_the_end_lacks_its_value(void **state)
{
    (void)state;
    char value[] = "--value", text[] = "-m";
    ARGS(value);
    assert_int_equal(args_next(&a), ARGS_BAD);
    argv[0] = text;
    a.at = 0;
    assert_int_equal(args_next(&a), ARGS_BAD);
}

static void another_option_is_no_value_but_the_text_of_a_message_may_be_anything(void **state)
{
    (void)state;
    char value[] = "--value", flag[] = "--flag", text[] = "-m", dash[] = "-", minus[] = "-5";
    ARGS(value, flag, text, flag, value, dash, value, minus);
    assert_int_equal(args_next(&a), ARGS_BAD);
    a.at = 2;
    assert_int_equal(args_next(&a), 2);
    assert_string_equal(a.value, "--flag");
    assert_int_equal(args_next(&a), 1);
    assert_string_equal(a.value, "-");
    assert_int_equal(args_next(&a), 1);
    assert_string_equal(a.value, "-5");
}

static void an_unknown_option_is_no_word(void **state)
{
    (void)state;
    char network[] = "--network", x[] = "-x", dash[] = "-", minus[] = "-5", end[] = "--";
    ARGS(network, x, dash, minus, end, network, end);
    assert_int_equal(args_next(&a), ARGS_BAD);
    assert_int_equal(args_next(&a), ARGS_BAD);
    assert_int_equal(args_next(&a), ARGS_WORD);
    assert_int_equal(args_next(&a), ARGS_WORD);
    assert_string_equal(a.value, "-5");
    assert_int_equal(args_next(&a), ARGS_WORD);
    assert_string_equal(a.value, "--network");
    assert_int_equal(args_next(&a), ARGS_WORD);
    assert_string_equal(a.value, "--");
    assert_int_equal(args_next(&a), ARGS_END);
}

static void words_are_counted_beyond_what_is_taken(void **state)
{
    (void)state;
    char one[] = "one", two[] = "two", flag[] = "--flag";
    const char *word[1];
    ARGS(one, two, flag);
    a.argc = 2;
    assert_int_equal(args_words(&a, word, 1), 2);
    assert_ptr_equal(word[0], one);
    a.at = 0;
    a.argc = 3;
    assert_int_equal(args_words(&a, word, 1), -1);
    assert_true(args_none(&tool, 0, argv));
    assert_false(args_none(&tool, 1, argv));
    assert_false(args_none(&tool, 1, argv + 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_and_words_come_in_any_order),
        cmocka_unit_test(an_option_at_the_end_lacks_its_value),
        cmocka_unit_test(another_option_is_no_value_but_the_text_of_a_message_may_be_anything),
        cmocka_unit_test(an_unknown_option_is_no_word),
        cmocka_unit_test(words_are_counted_beyond_what_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
