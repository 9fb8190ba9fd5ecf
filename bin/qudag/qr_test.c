/* qr_test.c - both drawings of a QR code show the same modules, with the patterns by which a camera finds them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "qr.h"

#define SIDE_MAX 200

static const char url[] = "http://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa."
                          "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb.dark/";
typedef bool modules[SIDE_MAX][SIDE_MAX];

/* What the picture shows; its side. */
static int read_svg(modules m)
{
    char *text = NULL;
    size_t len = 0;
    int side = 0, x, y;
    FILE *f = open_memstream(&text, &len);
    assert_true(qr_svg(f, url));
    assert_int_equal(fclose(f), 0);
    const char *box = strstr(text, "viewBox=\"0 0 ");
    assert_non_null(box);
    assert_int_equal(sscanf(box, "viewBox=\"0 0 %d", &side), 1);
    assert_true(side > 0 && side < SIDE_MAX);
    const char *at = strstr(text, "<path d=\"");
    assert_non_null(at);
    for (at += 9; sscanf(at, "M%d %dh1v1h-1z", &x, &y) == 2; at = strchr(at, 'z') + 1) {
        assert_true(x >= QR_QUIET && x < side - QR_QUIET && y >= QR_QUIET && y < side - QR_QUIET);
        m[y][x] = true;
    }
    assert_int_equal(strncmp(at, "\"/>\n</svg>\n", 11), 0);
    free(text);
    return side;
}

static void read_terminal(modules m, bool coloured)
{
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);
    assert_true(qr_terminal(f, url, coloured));
    assert_int_equal(fclose(f), 0);
    int y = 0;
    for (char *line = text; *line != 0; y += 2) {
        char *end = strchr(line, '\n'), *at = coloured ? strchr(line, 'm') + 1 : line;
        for (int x = 0; at < end && *at != '\033'; x++) {
            bool up = strncmp(at, "\xe2\x96\x80", 3) == 0;
            bool down = strncmp(at, "\xe2\x96\x84", 3) == 0;
            bool full = strncmp(at, "\xe2\x96\x88", 3) == 0;
            assert_true(up || down || full || *at == ' ');
            m[y][x] = (up || full) == coloured;
            m[y + 1][x] = (down || full) == coloured;
            at += *at == ' ' ? 1 : 3;
        }
        line = end + 1;
    }
    free(text);
}

/* The three corners have seven modules square: dark, a light ring, and dark within (ISO/IEC 18004, 6.3.3). */
static void assert_finder(modules m, int x, int y)
{
    for (int dy = 0; dy < 7; dy++) {
        for (int dx = 0; dx < 7; dx++) {
            int ring = abs(dx - 3) > abs(dy - 3) ? abs(dx - 3) : abs(dy - 3);
            assert_int_equal(m[y + dy][x + dx], ring != 2);
        }
    }
}

static void drawings_agree_and_have_their_corners(void **state)
{
    static modules svg, plain, coloured;
    (void)state;
    int side = read_svg(svg);
    read_terminal(plain, false);
    read_terminal(coloured, true);
    for (int y = 0; y < side; y++) {
        for (int x = 0; x < side; x++) {
            assert_int_equal(svg[y][x], plain[y][x]);
            assert_int_equal(svg[y][x], coloured[y][x]);
        }
    }
    assert_finder(svg, QR_QUIET, QR_QUIET);
    assert_finder(svg, side - QR_QUIET - 7, QR_QUIET);
    assert_finder(svg, QR_QUIET, side - QR_QUIET - 7);
}

static void what_does_not_fit_is_refused(void **state)
{
    static char text[4000];
    (void)state;
    memset(text, 'a', sizeof(text) - 1);
    assert_false(qr_svg(stderr, text));
    assert_false(qr_terminal(stderr, text, false));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(drawings_agree_and_have_their_corners),
        cmocka_unit_test(what_does_not_fit_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
