/*
 * assert.h - ASSERT stays on in release builds; it states what we guarantee ourselves.
 *
 * Never on anything a peer, a file or a user controls.
 */
#ifndef QUDAG_SRC_BASE_ASSERT_H
#define QUDAG_SRC_BASE_ASSERT_H

/*
 * Aborts the process; place and expression stay in the stack frame for a debugger to find in the core dump.
 */
_Noreturn void assert_failed(const char *file, int line, const char *expr);

#define ASSERT(x) ((x) ? (void)0 : assert_failed(__FILE__, __LINE__, #x))

#endif
