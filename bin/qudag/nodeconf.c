/* nodeconf.c - the configuration of a node's folder: checked by qudagd itself, then written. */
#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const check_args[] = {"--check-config", NULL};
static const char *const print_args[] = {"--print-config", NULL};

/* The sentence of a program, without its name and line end. */
static const char *sentence(char *complaint)
{
    static const char name[] = "qudagd: ";
    complaint[strcspn(complaint, "\n")] = 0;
    return strncmp(complaint, name, sizeof(name) - 1) == 0 ? complaint + sizeof(name) - 1
                                                           : complaint;
}

int nodeconf_ask(struct tool *t, const char *dir, const char *const *args,
                 const char *const *options, char **text)
{
    char *out = NULL, *complaint = NULL;
    int code = ask_qudagd(dir, args, options, &out, &complaint);
    if (code == DAEMON_OK) {
        *text = out;
        free(complaint);
        return TOOL_OK;
    }
    if (code < 0 || code == 127) {
        code = tool_error(t, TOOL_FAILED, "START", "qudagd cannot be run",
                          "it belongs beside qudag, or in the search path");
    } else {
        code = tool_error(t, TOOL_USAGE, "CONFIG", sentence(complaint),
                          "qudag help up shows the options; qudag.conf(5) has all settings");
    }
    free(out);
    free(complaint);
    return code;
}

int nodeconf_make(struct tool *t, const char *dir, const char *const *options,
                  struct nodeconf *made)
{
    *made = (struct nodeconf){0};
    char *checked = NULL;
    int code = nodeconf_ask(t, dir, check_args, options, &checked);
    free(checked);
    if (code != TOOL_OK || !path_join(made->path, dir, "qudag.conf") ||
        access(made->path, F_OK) == 0) {
        return code;
    }
    return nodeconf_ask(t, dir, print_args, options, &made->text);
}

int nodeconf_write(struct nodeconf *made, const char *dir)
{
    int err = made->text == NULL
                  ? 0
                  : file_write_atomic(made->path, made->text, strlen(made->text), 0600);
    int fd =
        err == 0 && made->text != NULL ? open(made->path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC) : -1;
    if (fd >= 0) {
        give_to_owner(dir, fd);
        (void)close(fd);
    }
    nodeconf_drop(made);
    return err;
}

void nodeconf_drop(struct nodeconf *made)
{
    free(made->text);
    made->text = NULL;
}
