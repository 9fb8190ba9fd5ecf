/* assert.c - the one place of the library that ends the process. */
#include "base/assert.h"

#include <stdlib.h>

struct broken {
    const char *file;
    int line;
    const char *expr;
};

_Noreturn void assert_failed(const char *file, int line, const char *expr)
{
    /* volatile: stays in the frame, where a debugger finds it in the core dump. */
    volatile struct broken broken;

    broken.file = file;
    broken.line = line;
    broken.expr = expr;
    (void)broken.line;
    abort();
}
