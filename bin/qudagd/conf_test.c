/* conf_test.c - what a configuration may say, and how wrong ones are reported. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/fileio.h"
#include "conf.h"

#include <qudag/identity.h>

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
    assert_int_equal(c.v[CONF_LEVEL].num, 0);
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
        {"[node]\nlisten = /ip4/0.0.0.0/udp/70000/quic-v1\n",
         ":2: [node] listen: /ip4/0.0.0.0/udp/70000/quic-v1: malformed"},
        {"[node]\nlisten = /ip4/0.0.0.0/udp/-1/quic-v1\n",
         "the form is /ip4/ADDRESS/udp/PORT/quic-v1"},
        {"[node]\nlisten = /ip4/0.0.0.0/tcp/1/ws\n", "not of the form /ip4/"},
        {"[node]\nlisten = 0.0.0.0:4433\n", "0.0.0.0:4433: malformed; the form is"},
        {"[node]\nbootstrap = /ip4/1.2.3.4/udp/1/quic-v1\n", "has no /p2p/PEER-ID"},
        {"[node]\nnonsense\n", ":2: neither a [section], nor key = value"},
        {"[lab\nlab = yes\n", ":2: lab is outside any [section]"},
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

/* What |text| says behind "key: ". */
static const char *behind_key(const char *text, const char *key)
{
    const char *at = strstr(text, key);
    return at == NULL ? text : at + strlen(key);
}

static void put_setting(qudag_settings *s, const struct conf_row *row, int64_t n)
{
    uint64_t n64 = (uint64_t)n * (strcmp(row->unit, "s") == 0 ? QUDAG_S : 1);
    memcpy((uint8_t *)s + row->at, &n64, row->width); /* little-endian */
}

static void one_relay_is_enough_in_a_lab_only(void **state)
{
    qudag_identity *id;
    qudag_settings s;
    char why[256];
    (void)state;
    assert_int_equal(qudag_identity_generate(&id), QUDAG_OK);
    QUDAG_SETTINGS_INIT(&s);
    s.identity = id;
    s.hops = 1;
    assert_int_equal(qudag_node_check(&s, why, sizeof(why)), QUDAG_EINVAL);
    assert_non_null(strstr(why, "who asks and what for"));
    s.hops = 2;
    assert_int_equal(qudag_node_check(&s, why, sizeof(why)), QUDAG_OK);
    s.hops = 1;
    s.lab = true;
    assert_int_equal(qudag_node_check(&s, why, sizeof(why)), QUDAG_OK);
    qudag_identity_free(id);
}

/* A mark of links is at most the next one, whatever |key| tries. */
static void marks_fit(qudag_settings *s, const char *key)
{
    bool low = strcmp(key, "links_low") == 0;
    if (low || strcmp(key, "links_high") == 0) {
        s->links_max = QUDAG_LIMIT_MAX(links_max);
    }
    if (low) {
        s->links_high = QUDAG_LIMIT_MAX(links_high);
    }
}

static void numbers_are_judged_as_the_library_judges_them(void **state)
{
    (void)state;
    qudag_identity *id;
    assert_int_equal(qudag_identity_generate(&id), QUDAG_OK);
    unsigned n = 0;
    for (int ix = 0; ix < CONF_KEYS; ix++) {
        const struct conf_row *row = &conf_table[ix];
        if (row->width == 0 || (row->type != CONF_INT && row->type != CONF_SIZE)) {
            continue;
        }
        const int64_t tries[] = {row->min, row->max, row->min - 1, row->max + 1};
        for (size_t k = 0; k < 4; k++, n++) {
            char option[128], why[256], key[64];
            qudag_settings s;
            assert_true(conf_init(&c));
            (void)snprintf(option, sizeof(option), "%s.%s=%lld", row->section, row->key,
                           (long long)tries[k]);
            assert_int_equal(conf_option(&c, option), k < 2);
            QUDAG_SETTINGS_INIT(&s);
            s.identity = id;
            conf_settings(&c, &s);
            s.lab = true; /* where one relay is enough for a circuit */
            marks_fit(&s, row->key);
            if (k >= 2) {
                put_setting(&s, row, tries[k]);
            }
            assert_int_equal(qudag_node_check(&s, why, sizeof(why)),
                             k < 2 ? QUDAG_OK : QUDAG_EINVAL);
            if (k >= 2 && row->min > 0) {
                (void)snprintf(key, sizeof(key), "%s: ", row->key);
                const char *ours = behind_key(c.why, key), *theirs = strstr(why, ": ") + 2;
                assert_string_equal(ours, theirs);
            }
            conf_fini(&c);
        }
    }
    qudag_identity_free(id);
    assert_true(n >= 7 * 4);
}

static const char *const library_keys[] = {"node.agent=me/1",
                                           "node.memory_max=64M",
                                           "link.pq=prefer",
                                           "link.security_level=1024",
                                           "link.cipher=aes256",
                                           "link.idle_timeout_s=7200",
                                           "link.links_max=99",
                                           "link.streams_per_peer=44",
                                           "dht.protocol=/x/kad",
                                           "dht.server=no",
                                           "dht.open_namespaces=a,b",
                                           "dht.records_max=17",
                                           "dht.bytes_max=1M",
                                           "dht.providers_max=18",
                                           "onion.hops=5",
                                           "onion.clean_circuits=4",
                                           "onion.relay=no",
                                           "onion.family=acme",
                                           "onion.circuits_max=77",
                                           "dark.delay_ms=7",
                                           "dark.dummies=2",
                                           "dark.work_max=4000",
                                           "dark.hide_cache=no",
                                           "onion.small_network=yes",
                                           "onion.padding=reduced",
                                           "nat.reachable=no",
                                           "nat.meet=anyone",
                                           "log.level=debug",
                                           "lab.lab=yes"};

static void every_key_of_the_library_arrives_there(void **state)
{
    (void)state;
    qudag_settings s;
    assert_true(conf_init(&c));
    for (size_t ix = 0; ix < sizeof(library_keys) / sizeof(library_keys[0]); ix++) {
        if (!conf_option(&c, library_keys[ix])) {
            fail_msg("%s", c.why);
        }
    }
    QUDAG_SETTINGS_INIT(&s);
    conf_settings(&c, &s);
    assert_string_equal(s.agent, "me/1");
    assert_int_equal(s.memory_max, 64 << 20);
    assert_int_equal(s.pq, QUDAG_PQ_PREFER);
    assert_int_equal(s.security_level, 1024);
    assert_int_equal(s.cipher, QUDAG_CIPHER_AES256);
    assert_true(s.idle_timeout == 7200 * QUDAG_S);
    assert_int_equal(s.links_max, 99);
    assert_int_equal(s.streams_per_peer, 44);
    assert_string_equal(s.dht_protocol, "/x/kad");
    assert_false(s.dht_server);
    assert_int_equal(s.open_namespaces_n, 2);
    assert_string_equal(s.open_namespaces[1], "b");
    assert_int_equal(s.dht_records_max, 17);
    assert_int_equal(s.dht_bytes_max, 1 << 20);
    assert_int_equal(s.dht_providers_max, 18);
    assert_int_equal(s.hops, 5);
    assert_int_equal(s.clean_circuits, 4);
    assert_false(s.relay);
    assert_string_equal(s.family, "acme");
    assert_int_equal(s.circuits_max, 77);
    assert_int_equal(s.dark_delay_ms, 7);
    assert_int_equal(s.dark_dummies, 2);
    assert_int_equal(s.dark_work_max, 4000);
    assert_false(s.dark_hide_cache);
    assert_true(s.small_network);
    assert_int_equal(s.padding, QUDAG_PADDING_REDUCED);
    assert_int_equal(s.reachable, QUDAG_REACHABLE_NO);
    assert_int_equal(s.meet, QUDAG_MEET_ANYONE);
    assert_int_equal(s.log_level, QUDAG_LOG_DEBUG);
    assert_true(s.lab);
    assert_int_equal(s.listen_n, 4);
    assert_int_equal(s.size, sizeof(s));
    conf_fini(&c);
}

static void keys_about_circuit_relays_arrive_there(void **state)
{
    static const char *const set[] = {"nat.relays=no",
                                      "circuit_relay.serve=yes",
                                      "circuit_relay.rate_circuit=1M",
                                      "circuit_relay.rate_peer=2M",
                                      "circuit_relay.stranger_time_s=77",
                                      "circuit_relay.stranger_bytes=3M"};
    qudag_settings s;
    (void)state;

    assert_true(conf_init(&c));
    QUDAG_SETTINGS_INIT(&s);
    conf_settings(&c, &s);
    assert_int_equal(s.circuit_relay, QUDAG_SERVE_AUTO);
    assert_int_equal(s.find_relays, QUDAG_FIND_RELAYS_AUTO);
    for (size_t i = 0; i < sizeof(set) / sizeof(set[0]); i++) {
        assert_true(conf_option(&c, set[i]));
    }
    conf_settings(&c, &s);
    assert_int_equal(s.find_relays, QUDAG_FIND_RELAYS_NO);
    assert_int_equal(s.circuit_relay, QUDAG_SERVE_YES);
    assert_int_equal(s.circuit_relay_rate_circuit, 1 << 20);
    assert_int_equal(s.circuit_relay_rate_peer, 2 << 20);
    assert_int_equal(s.circuit_relay_stranger_time, 77 * QUDAG_S);
    assert_int_equal(s.circuit_relay_stranger_bytes, 3 << 20);
    conf_fini(&c);
}

static void the_router_is_asked_unless_that_is_forbidden(void **state)
{
    qudag_settings s;
    (void)state;

    QUDAG_SETTINGS_INIT(&s);
    assert_true(s.port_mapping);
    assert_true(conf_init(&c));
    conf_settings(&c, &s);
    assert_true(s.port_mapping);
    assert_true(conf_option(&c, "nat.port_mapping=no"));
    conf_settings(&c, &s);
    assert_false(s.port_mapping);
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

/* |text| with small_network remembered in it is |after|; read again, it says so. */
static void remembers(const char *text, const char *after)
{
    char path[] = "/tmp/qudag-conf-XXXXXX", why[CONF_WHY_LEN];
    uint8_t *got = NULL;
    size_t len;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(fchmod(fd, 0640), 0);
    close(fd);
    assert_true(conf_remember(path, CONF_SMALL_NETWORK, "yes", why));
    assert_int_equal(file_read(path, 1 << 20, &got, &len), 0);
    assert_string_equal((char *)got, after);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    assert_true(conf_init(&c));
    assert_true(conf_read(&c, path));
    assert_int_equal(c.v[CONF_SMALL_NETWORK].num, 1);
    conf_fini(&c);
    free(got);
    (void)unlink(path);
}

static void what_is_remembered_stands_where_the_parser_finds_it(void **state)
{
    (void)state;
    remembers("", "\n[onion]\nsmall_network = yes\n");
    remembers("[node]\nagent = x", "[node]\nagent = x\n\n[onion]\nsmall_network = yes\n");
    remembers("[onion]\nsmall_network=no\nhops = 2\n", "[onion]\nsmall_network = yes\nhops = 2\n");
    remembers("[onion]\n  small_network: off", "[onion]\nsmall_network = yes\n");
    remembers("[onion]\nsmall_network = yes\n[node]\n[onion]\nsmall_network = 0 ; no\n[dht]\n",
              "[onion]\nsmall_network = yes\n[node]\n[onion]\nsmall_network = yes\n[dht]\n");
    remembers("[onion]\nsmall_network = no\nsmall_network = on\n",
              "[onion]\nsmall_network = no\nsmall_network = on\n");
    remembers(
        "# small_network = yes\n[onion]\n#small_network = no\n",
        "# small_network = yes\n[onion]\n#small_network = no\n\n[onion]\nsmall_network = yes\n");
    char why[CONF_WHY_LEN];
    assert_false(conf_remember("/nonexistent/qudag.conf", CONF_SMALL_NETWORK, "yes", why));
    assert_non_null(strstr(why, "No such file"));
}

static void times_are_seconds_here_and_nanoseconds_there(void **state)
{
    static const char *const set[] = {"link.dial_timeout_s=11",      "link.handshake_timeout_s=12",
                                      "link.negotiate_timeout_s=13", "link.keepalive_s=14",
                                      "dht.query_timeout_s=15",      "onion.build_timeout_s=16"};
    qudag_settings s;
    (void)state;
    assert_true(conf_init(&c));
    for (size_t ix = 0; ix < sizeof(set) / sizeof(set[0]); ix++) {
        assert_true(conf_option(&c, set[ix]));
    }
    QUDAG_SETTINGS_INIT(&s);
    conf_settings(&c, &s);
    assert_true(s.dial_timeout == 11 * QUDAG_S && s.handshake_timeout == 12 * QUDAG_S);
    assert_true(s.negotiate_timeout == 13 * QUDAG_S && s.keepalive == 14 * QUDAG_S);
    assert_true(s.query_timeout == 15 * QUDAG_S && s.build_timeout == 16 * QUDAG_S);
    conf_fini(&c);
}

static void what_is_live_is_taken_and_the_rest_is_named(void **state)
{
    (void)state;
    static struct conf fresh;
    char rest[64];
    assert_true(conf_init(&c) && conf_init(&fresh));
    assert_int_equal(conf_take_live(&c, &fresh, rest, sizeof(rest)), 0);
    assert_string_equal(rest, "");
    assert_true(conf_option(&fresh, "link.dial_timeout_s=3"));
    assert_true(conf_option(&fresh, "log.file=/tmp/x"));
    assert_false(conf_option(&fresh, "log.levels=lnk=debug"));
    assert_non_null(
        strstr(fresh.why, "[log] levels: lnk is no area of the log, did you mean link"));
    assert_true(conf_option(&fresh, "log.levels=kad=debug, link=warn"));
    assert_true(conf_option(&fresh, "node.agent=me"));
    assert_true(conf_option(&fresh, "dht.open_namespaces=a"));
    assert_int_equal(conf_take_live(&c, &fresh, rest, sizeof(rest)), 2);
    assert_string_equal(rest, "[node] agent, [dht] open_namespaces");
    assert_int_equal(c.v[CONF_DIAL_TIMEOUT].num, 3);
    assert_string_equal(c.v[CONF_LOG_FILE].text, "/tmp/x");
    assert_int_equal(c.v[CONF_LOG_LEVELS].n, 2);
    assert_string_equal(c.v[CONF_LOG_LEVELS].list[1], "link=warn");
    assert_string_equal(c.v[CONF_AGENT].text, "");
    assert_int_equal(conf_take_live(&c, &fresh, rest, 10), 2); /* it is cut */
    assert_string_equal(rest, "[node] ag");
    conf_fini(&c);
    conf_fini(&fresh);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_within_their_own_ranges),
        cmocka_unit_test(lists_may_be_repeated_or_separated_and_replace_the_default),
        cmocka_unit_test(mistakes_name_line_cause_and_the_nearest_word),
        cmocka_unit_test(long_lines_and_long_lists_are_refused),
        cmocka_unit_test(one_relay_is_enough_in_a_lab_only),
        cmocka_unit_test(numbers_are_judged_as_the_library_judges_them),
        cmocka_unit_test(every_key_of_the_library_arrives_there),
        cmocka_unit_test(the_router_is_asked_unless_that_is_forbidden),
        cmocka_unit_test(keys_about_circuit_relays_arrive_there),
        cmocka_unit_test(the_printed_configuration_reads_as_itself),
        cmocka_unit_test(times_are_seconds_here_and_nanoseconds_there),
        cmocka_unit_test(what_is_live_is_taken_and_the_rest_is_named),
        cmocka_unit_test(what_is_remembered_stands_where_the_parser_finds_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
