/* scrub_test.c - what stays and what goes. */
#include "scrub.h"

#include <string.h>
#include <cmocka.h>

static void is(const char *text, const char *want)
{
    char out[512];

    assert_int_equal(scrub(text, out, sizeof(out)), strlen(want));
    assert_string_equal(out, want);
}

static void who_and_where_goes(void **state)
{
    (void)state;
    is("address=192.0.2.7:4433 x", "address=<address> x");
    is("10.0.0.1", "<address>");
    is("remote=[2001:db8::1]:4433", "remote=[<address>]:4433");
    is("fe80:1:2:3:4:5:6:7", "<address>");
    is("::1", "<address>");
    is("from=[fe80::1%wlp3s0.5]:4433 x", "from=[<address>]:4433 x");
    is("peer 12D3KooW..Kd8x, peer=12D3KooW...Kd8x", "peer <id>, peer=<id>");
    is("from ..cen8DpkA to", "from <id> to");
    is("::12D3KooWBWf62onRc2nDrbsY62G8Qz3Mc", "<address><id>");
    is("peer=12D3KooWBWf62onRc2nDrbsY62G8Qz3Mcen8DpkAWd47D1QbD7Jm n=3", "peer=<id> n=3");
    is("/ip4/192.0.2.7/udp/4433/quic-v1/p2p/12D3KooWBWf62onRc2nDrbsY62G8Qz", "<path>");
    is("dir=/some/where/.local/state", "dir=<path>");
    is("aebis2he27rvctjkb6c4gnaf543vvuqhmnsh6m3y.7xesejp5vau5qwzychcdeq6s.dark", "<id>");
    is("text=\"to blog.dark:80\"", "text=\"to <id>:80\"");
    is("a host=blog others=1", "a host=<text> others=1");
    is("x /some/A B C/some dir/file: no", "x <path> no");
    is("x /some/A B/c d and /e f", "x <path> d and <path> f");
    is("circuit=00000007a3f1", "circuit=<id>");
    is("name=\"my \\\"tax\\\" 2025.pdf\" size=3", "name=<text> size=3");
    is("name=\"unfinished", "name=<text>");
    is("a context=\"c\" d", "a context=<text> d");
}

static void what_tells_nobody_stays(void **state)
{
    static const char *const same[] = {
        "2026-11-30T09:40:32.123Z info  kad.request.done op=3 ns=1234567890123456 n=-3",
        "daemon.ready text=\"qudagd 0.1.0 pid 17, new identity\"",
        "link.down why=their-limit error=QUDAG_ELIMIT",
        "qudag 1.2.3 and/or 5 % of 10.5 MiB",
        "loading... done, and so on ... 100 %",
        "",
        "/",
    };
    (void)state;
    for (size_t ix = 0; ix < sizeof(same) / sizeof(same[0]); ix++) {
        is(same[ix], same[ix]);
    }
    is("text=\"cannot open /some/x: no\"", "text=\"cannot open <path> no\"");
}

static void it_is_cut_to_its_room(void **state)
{
    char out[6] = "zzzzz";
    (void)state;

    assert_int_equal(scrub("10.0.0.1 and more", out, sizeof(out)), 5);
    assert_string_equal(out, "<addr");
    assert_int_equal(scrub("abc", out, 1), 0);
    assert_string_equal(out, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_and_where_goes),
        cmocka_unit_test(what_tells_nobody_stays),
        cmocka_unit_test(it_is_cut_to_its_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
