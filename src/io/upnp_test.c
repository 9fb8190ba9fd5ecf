/* upnp_test.c - whose descriptions are read; the thread.  Nothing is sent: no interface is named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "io/router.h"
#include "io/upnp.h"

#include <pthread.h>
#include <string.h>
#include <time.h>
#include <uv.h>

static struct netaddr ip_of(const char *text)
{
    struct netaddr a = {0};

    assert_int_equal(netaddr_parse_ip(&a, text), QUDAG_OK);
    return a;
}

#define PART "/234567890123456789"

static void only_the_gateway_is_spoken_to(void **state)
{
    static const struct {
        const char *url;
        bool four,
            six; /* spoken to, where the gateway is 192.168.1.1, or fe80::1 of 2a00:1:2:3::/64 */
    } t[] = {
        {"http://192.168.1.1:5000/root.xml", true, false},
        {"http://192.168.1.1/root.xml", true, false},
        {"http://192.168.1.1", true, false},
        {"http://192.168.1.2:5000/root.xml", false, false},
        {"http://192.168.1.1.example.org/", false, false},
        {"http://192.168.1.1@127.0.0.1/", false, false},
        {"http://router/root.xml", false, false},
        {"http://127.0.0.1:80/", false, false},
        {"https://192.168.1.1/", false, false},
        {"file:///etc/passwd", false, false},
        {"http://", false, false},
        {"http://192.168.1.1:80/reboot.cgi?now=1", false, false},
        {"http://192.168.1.1:80/a?b?content=uuid:1", false, false},
        {"http://192.168.1.1:2869/upnphost/udhisapi.dll?content=uuid:1-2", true, false},
        {"http://192.168.1.1:2869/upnphost/udhisapi.dll?control=uuid:1-2+urn", true, false},
        {"http://192.168.1.1/a b", false, false},
        {"http://192.168.1.1/a\r\nX: y", false, false},
        {"http://192.168.1.1/\xc3\xa4", false, false},
        {"http://192.168.1.1" PART PART PART PART PART PART PART PART PART PART PART PART, true,
         false},
        {"http://192.168.1.1" PART PART PART PART PART PART PART PART PART PART PART PART PART,
         false, false},
        {"", false, false},
        {"http://[fe80::1]:5000/root.xml", false, true},
        {"http://[fe80::7]:5000/root.xml", false, true},
        {"http://[fe80::1%252]:5000/root.xml", false, true},
        {"http://[2a00:1:2:3::1]:5000/root.xml", false, true},
        {"http://[2a00:1:2:4::1]:5000/root.xml", false, false},
        {"http://[::1]:5000/root.xml", false, false},
        {"http://[2a00:1:2:3::1:5000/root.xml", false, false},
        {"http://[::ffff:192.168.1.1]/", false, false},
        {"http://[1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc:dddd:eeee:ffff]/",
         false, false},
    };
    struct netaddr g4 = ip_of("192.168.1.1"), o4 = ip_of("192.168.1.2"), g6 = ip_of("fe80::1"),
                   o6 = ip_of("2a00:1:2:3::2");
    (void)state;

    for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        assert_int_equal(upnp_rule_url(t[i].url, &g4, &o4), t[i].four);
        assert_int_equal(upnp_rule_url(t[i].url, &g6, &o6), t[i].six);
    }
}

/* What this machine has is not known here; it ends, and what it says makes sense. */
static void a_gateway_is_found_or_not(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        const uint8_t version = i == 0 ? 4 : 6;
        struct netaddr gateway, source;
        if (router_find(version, &gateway, &source)) {
            assert_int_equal(gateway.family, version);
            assert_int_equal(source.family, version);
            assert_false(netaddr_is_unspecified(&gateway));
        }
    }
}

/* ---- the thread */

static struct {
    unsigned told;
    uint64_t id;
    int code;
    pthread_t on;
} t;

static bool done(void *ctx, uint64_t id, const struct portmap_upnp_answer *a)
{
    assert_ptr_equal(ctx, &t);
    t.told++;
    t.id = id;
    t.code = a->code;
    t.on = pthread_self();
    return true;
}

static struct io *loop(void)
{
    const struct netaddr a = {.family = 4, .ip = {127, 0, 0, 1}};
    struct io *io;
    struct io_failure why;

    memset(&t, 0, sizeof(t));
    assert_int_equal(io_new(&io, NULL, &a, 1, &why), QUDAG_OK);
    return io;
}

static void wait_for(struct io *io, unsigned n)
{
    const struct timespec ms = {.tv_nsec = 1000000};
    tstamp end = io_now() + 60 * NS_PER_S;

    while (t.told < n && io_now() < end) {
        (void)uv_run(io_loop(io), UV_RUN_NOWAIT);
        (void)nanosleep(&ms, NULL);
    }
    assert_int_equal(t.told, n);
}

/* Of IPv6, with a gateway that lies at no interface: there is nowhere to search. */
static struct portmap_upnp nowhere(uint64_t id, bool remove)
{
    return (struct portmap_upnp){.id = id,
                                 .remove = remove,
                                 .internal = ip_of("2a00:1:2:3::2"),
                                 .gateway = ip_of("fe80::1"),
                                 .life_s = 10};
}

static void end(struct io *io, struct upnp *u)
{
    tstamp began = io_now();

    io_shutdown(io);
    upnp_free(u);
    io_free(io);
    assert_true(io_now() - began < 30 * NS_PER_S);
}

static void what_came_of_it_is_told_on_the_loops_thread(void **state)
{
    struct io *io = loop();
    struct upnp *u;
    (void)state;

    assert_int_equal(upnp_new(&u, io, done, &t), QUDAG_OK);
    for (uint64_t id = 1; id <= 3; id++) {
        struct portmap_upnp what = nowhere(id, false);
        assert_int_equal(upnp_add(u, &what), QUDAG_OK);
        wait_for(io, (unsigned)id);
        assert_int_equal(t.id, id);
        assert_int_equal(t.code, PORTMAP_UPNP_NO_ROUTER);
        assert_true(pthread_equal(t.on, pthread_self()));
    }
    struct portmap_upnp last = nowhere(4, true), asked = nowhere(5, false);
    assert_int_equal(upnp_add(u, &last), QUDAG_OK); /* its end is told to nobody */
    assert_int_equal(upnp_add(u, &asked), QUDAG_OK);
    wait_for(io, 4);
    assert_int_equal(t.id, 5);
    end(io, u);
}

static void the_end_comes_with_jobs_that_wait(void **state)
{
    (void)state;
    upnp_free(NULL);
    for (unsigned i = 0; i < 50; i++) {
        struct io *io = loop();
        struct upnp *u;
        assert_int_equal(upnp_new(&u, io, done, &t), QUDAG_OK);
        qudag_err err = QUDAG_OK;
        for (unsigned k = 0; k < 10000 && err == QUDAG_OK; k++) {
            struct portmap_upnp what = nowhere(k + 1, k % 3 == 0);
            err = upnp_add(u, &what);
        }
        assert_true(err == QUDAG_ELIMIT || err == QUDAG_OK);
        io_shutdown(io); /* tells what is over by now */
        unsigned told = t.told;
        end(io, u);
        assert_int_equal(t.told, told);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_gateway_is_spoken_to),
        cmocka_unit_test(a_gateway_is_found_or_not),
        cmocka_unit_test(what_came_of_it_is_told_on_the_loops_thread),
        cmocka_unit_test(the_end_comes_with_jobs_that_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
