/* qr.h - QR codes (ISO/IEC 18004, made by libqrencode) for a terminal and as SVG. */
#ifndef QUDAG_BIN_QR_H
#define QUDAG_BIN_QR_H

#include <stdbool.h>
#include <stdio.h>

#define QR_QUIET 4 /* modules of margin, as the standard wants */

/* The code of |text| in half blocks.  |coloured|: black on white by escape sequences; else for light letters on a dark
 * ground.  False: too long for a code, or no memory. */
bool qr_terminal(FILE *to, const char *text, bool coloured);

/* The same as a picture; whether |to| took it all is the caller's to check. */
bool qr_svg(FILE *to, const char *text);

#endif
