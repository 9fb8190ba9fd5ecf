/* qr.c - QR codes, drawn. */
#include "qr.h"

#include <qrencode.h>

/* Whether the module at |x|, |y| is dark; those outside, the margin, are not. */
static bool dark(const QRcode *q, int x, int y)
{
    return x >= 0 && y >= 0 && x < q->width && y < q->width && (q->data[y * q->width + x] & 1) != 0;
}

bool qr_terminal(FILE *to, const char *text, bool coloured)
{
    static const char *const blocks[2][2] = {
        {" ", "\xe2\x96\x84"},             /* lower half */
        {"\xe2\x96\x80", "\xe2\x96\x88"}}; /* upper half, full */
    QRcode *q = QRcode_encodeString(text, 0, QR_ECLEVEL_M, QR_MODE_8, 1);
    if (q == NULL) {
        return false;
    }
    for (int y = -QR_QUIET; y < q->width + QR_QUIET; y += 2) {
        (void)fputs(coloured ? "\033[38;5;16;48;5;231m" : "", to);
        for (int x = -QR_QUIET; x < q->width + QR_QUIET; x++) {
            bool up = dark(q, x, y), down = dark(q, x, y + 1);
            (void)fputs(blocks[coloured ? up : !up][coloured ? down : !down], to);
        }
        (void)fputs(coloured ? "\033[0m\n" : "\n", to);
    }
    QRcode_free(q);
    return true;
}

bool qr_svg(FILE *to, const char *text)
{
    QRcode *q = QRcode_encodeString(text, 0, QR_ECLEVEL_M, QR_MODE_8, 1);
    if (q == NULL) {
        return false;
    }
    int side = q->width + 2 * QR_QUIET;
    (void)fprintf(to,
                  "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" "
                  "shape-rendering=\"crispEdges\">\n<rect width=\"100%%\" height=\"100%%\" "
                  "fill=\"#fff\"/>\n<path d=\"",
                  side, side);
    for (int y = 0; y < q->width; y++) {
        for (int x = 0; x < q->width; x++) {
            if (dark(q, x, y)) {
                (void)fprintf(to, "M%d %dh1v1h-1z", x + QR_QUIET, y + QR_QUIET);
            }
        }
    }
    (void)fputs("\"/>\n</svg>\n", to);
    QRcode_free(q);
    return true;
}
