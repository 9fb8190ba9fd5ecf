/*
 * auto_init_check.c - whether the compiler initialises arrays of structures right with -ftrivial-auto-var-init=zero.
 *
 * GCC 12.2 does not: of an automatic array whose elements have padding and an array of structures in them, it clears
 * bytes that are no padding after having copied them, at every level of optimisation.  Built and run by meson.build,
 * which leaves the option out unless this ends with 0.
 */
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct part {
    uint16_t len;
    uint8_t bytes[190];
};

struct element {
    uint8_t head;
    struct part part[4];
    uint8_t bytes[1184];
    bool flag;
    int64_t number; /* padding before it */
};

static struct element from[2];

int main(int argc, char **argv)
{
    (void)argv;
    memset(from, argc, sizeof from); /* no constant */
    struct element copy[] = {from[0], from[1]};
    return memcmp(copy[0].part, from[0].part, sizeof copy[0].part) != 0 ||
           memcmp(copy[0].bytes, from[0].bytes, sizeof copy[0].bytes) != 0 ||
           memcmp(copy[1].bytes, from[1].bytes, sizeof copy[1].bytes) != 0;
}
