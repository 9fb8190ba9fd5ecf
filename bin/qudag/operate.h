/* operate.h - subcommands for operators; as those in tool.h. */
#ifndef QUDAG_BIN_OPERATE_H
#define QUDAG_BIN_OPERATE_H

#include "tool.h"

/* The node at a glance, again and again. */
int run_top(struct tool *t, int argc, char **argv);

/* Writes what helps somebody else to find out what is wrong. */
int run_report(struct tool *t, int argc, char **argv);

/* Levels of the log, while the daemon runs. */
int run_log(struct tool *t, int argc, char **argv);

/* Looks at everything the node depends on, and says what mends what is not well. */
int run_doctor(struct tool *t, int argc, char **argv);

#endif
