/*
 * glibc 2.38 gave strtol a second name for C23's binary constants.  Static libraries built there
 * call it; on an older glibc (Debian 12: 2.36) this one function is all that is missing.  Weak, so
 * that a libc that has it wins.
 */
#include <stdlib.h>

__attribute__((weak)) long __isoc23_strtol(const char *s, char **end, int base);

long __isoc23_strtol(const char *s, char **end, int base)
{
    return strtol(s, end, base);
}
