/* exits.h - exit codes; a script may rely on them.  qudagd(8) and qudag(1) list them. */
#ifndef QUDAG_BIN_EXITS_H
#define QUDAG_BIN_EXITS_H

/* qudagd */
enum daemon_exit {
    DAEMON_OK = 0,
    DAEMON_FAILED = 1,
    DAEMON_USAGE = 2,   /* an option or the configuration is wrong */
    DAEMON_RUNNING = 3, /* another daemon owns the folder */
    DAEMON_STATE = 4,   /* the state on disk cannot be used: damaged, or open to others */
    DAEMON_LISTEN = 5,  /* a listen address cannot be bound */
};

/* qudag */
enum tool_exit {
    TOOL_OK = 0,
    TOOL_FAILED = 1,
    TOOL_USAGE = 2,
    TOOL_NO_DAEMON = 3,
    TOOL_NOT_FOUND = 4,
    TOOL_UNREACHABLE = 5, /* or timed out; status: not healthy */
    TOOL_REFUSED = 6,     /* by the other side, or by policy */
};

#endif
