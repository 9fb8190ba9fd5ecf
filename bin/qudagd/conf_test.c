/* conf_test.c - what a configuration may say, and how wrong ones are told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "conf.h"

static struct conf c;

static bool read_text(const char *text)
{
    char path[] = "/tmp/qudag-conf-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    assert_true(conf_init(&c));
    bool ok = conf_read(&c, path);
    (void)unlink(path);
    return ok;
}

static void defaults_are_within_their_own_ranges(void **state)
{
    (void)state;
    assert_true(conf_init(&c));
    assert_int_equal(c.v[CONF_HOPS].num, 3);
    assert_int_equal(c.v[CONF_LEVEL].num, 1);
    assert_int_equal(c.v[CONF_MEMORY_MAX].num, 256 << 20);
    assert_string_equal(c.v[CONF_OPEN_NAMESPACES].list[0], "app");
    assert_int_equal(c.v[CONF_BOOTSTRAP].n, 0);
    conf_fini(&c);
}

static void lists_may_be_repeated_or_separated_and_replace_the_default(void **state)
{
    (void)state;
    assert_true(read_text("[node]\n"
                          "listen = /ip4/127.0.0.1/udp/1/quic-v1, /ip6/::1/udp/2/quic-v1\n"
                          "listen = /ip4/127.0.0.1/udp/3/quic-v1\n"
                          "[inbox]\nsize_max = 2M ; comment\n"
                          "[onion]\nrelay = NO\n"));
    assert_int_equal(c.v[CONF_LISTEN].n, 3);
    assert_string_equal(c.v[CONF_LISTEN].list[2], "/ip4/127.0.0.1/udp/3/quic-v1");
    assert_int_equal(c.v[CONF_INBOX_SIZE_MAX].num, 2 << 20);
    assert_int_equal(c.v[CONF_RELAY].num, 0);
    assert_true(conf_option(&c, "node.listen=/ip4/127.0.0.1/udp/9/quic-v1"));
    assert_int_equal(c.v[CONF_LISTEN].n, 1);
    conf_fini(&c);
}

static void mistakes_name_line_cause_and_the_nearest_word(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } bad[] = {
        {"[node]\nlisen = x\n", ":2: [node] has no key lisen; did you mean listen?"},
        {"\n[nod]\nlisten = x\n", "there is no section [nod]; did you mean [node]?"},
        {"[node]\nhops = 3\n", "it is in [onion]"},
        {"[onion]\nhops = 8\n", ":2: [onion] hops: 8 is not within 1 to 7 relays"},
        {"[onion]\nhops = three\n", "three is not a number"},
        {"[onion]\nhops = 3x\n", "3x is not a number"},
        {"[link]\npq = maybe\n", "maybe is none of require|prefer|off"},
        {"[dht]\nserver = perhaps\n", "perhaps is neither yes nor no"},
        {"[inbox]\nsize_max = 99999999T\n", "is not a number of bytes"},
        {"[node]\nlisten = /ip4/0.0.0.0/udp/70000/quic-v1\n", "bad port: 0 to 65535"},
        {"[node]\nlisten = /ip4/0.0.0.0/udp/-1/quic-v1\n", "bad port: 0 to 65535"},
        {"[node]\nlisten = /ip4/0.0.0.0/tcp/1\n", "has no /udp/PORT"},
        {"[node]\nlisten = 0.0.0.0:4433\n", "must begin with /ip4/ or /ip6/"},
        {"[node]\nbootstrap = /ip4/1.2.3.4/udp/1/quic-v1\n", "has no /p2p/PEER-ID"},
        {"[node]\nnonsense\n", ":2: neither a [section], nor key = value"},
        {"[lab\nlab = yes\n", ":2: lab stands outside of any [section]"},
    };
    for (size_t ix = 0; ix < sizeof(bad) / sizeof(bad[0]); ix++) {
        assert_false(read_text(bad[ix].text));
        if (strstr(c.why, bad[ix].says) == NULL) {
            fail_msg("case %zu says: %s", ix, c.why);
        }
        conf_fini(&c);
    }
    assert_true(conf_init(&c));
    assert_false(conf_read(&c, "/nonexistent-folder/qudag.conf"));
    assert_non_null(strstr(c.why, "No such file"));
    assert_false(conf_option(&c, "hops=3"));
    assert_false(conf_option(&c, "onion.hops"));
    assert_false(conf_option(&c, "onion.hop=3"));
    assert_non_null(strstr(c.why, "did you mean hops?"));
    conf_fini(&c);
}

static void long_lines_and_long_lists_are_refused(void **state)
{
    (void)state;
    char text[2000] = "[node]\nagent = ";
    memset(text + strlen(text), 'x', 1000);
    text[1014] = 10;
    assert_false(read_text(text));
    assert_non_null(strstr(c.why, ":2:"));
    conf_fini(&c);
    char many[2000] = "[dht]\n";
    for (int ix = 0; ix < 9; ix++) {
        (void)snprintf(many + strlen(many), 40, "open_namespaces = n%d\n", ix);
    }
    assert_false(read_text(many));
    assert_non_null(strstr(c.why, "more than 8 values"));
    conf_fini(&c);
}

static void the_printed_configuration_reads_as_itself(void **state)
{
    (void)state;
    assert_true(conf_init(&c));
    assert_true(conf_option(&c, "onion.hops=5"));
    assert_true(conf_option(&c, "link.pq=prefer"));
    assert_true(conf_option(&c, "dht.open_namespaces=a,b"));
    char *first = NULL, *second = NULL;
    size_t len;
    FILE *out = open_memstream(&first, &len);
    conf_print(&c, out);
    assert_int_equal(fclose(out), 0);
    conf_fini(&c);
    if (!read_text(first)) {
        fail_msg("%s", c.why);
    }
    out = open_memstream(&second, &len);
    conf_print(&c, out);
    assert_int_equal(fclose(out), 0);
    assert_string_equal(first, second);
    assert_non_null(strstr(first, "hops = 5"));
    conf_fini(&c);
    free(first);
    free(second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_within_their_own_ranges),
        cmocka_unit_test(lists_may_be_repeated_or_separated_and_replace_the_default),
        cmocka_unit_test(mistakes_name_line_cause_and_the_nearest_word),
        cmocka_unit_test(long_lines_and_long_lists_are_refused),
        cmocka_unit_test(the_printed_configuration_reads_as_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
