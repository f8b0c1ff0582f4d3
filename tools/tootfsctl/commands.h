/* The commands: one function and one row of the table in main.c each. */
#ifndef TOOTFSCTL_COMMANDS_H
#define TOOTFSCTL_COMMANDS_H

#include "tools/client/client.h"

/* Exit statuses. PARTLY: it was done, but not for all that was asked. */
enum { CTL_DONE, CTL_PARTLY, CTL_USAGE, CTL_FAILED };

/* What stands behind the command's name. argv[0] is the name, argv[argc] NULL, so that getopt_long(3) can be used, with
 * optind = 0 first. Returns an exit status. */
typedef int command(int argc, char **argv);

command command_log_level, command_metrics, command_status, command_sync;
command command_evict, command_pin, command_unpin, command_warm;
command command_abort_uploads, command_refresh;

/* -- for all of them (main.c) -- */
/* Says a line about the command on stderr. */
void complain(const char *fmt, ...) PRINTF(1, 2);
/* The same with how it is used. Returns CTL_USAGE. */
int complain_usage(const char *name, const char *what);
/* getopt_long(3) found something wrong. Returns CTL_USAGE. */
int complain_option(int argc, char **argv, int letter);
/* Finds the mount of a path; complains. CTL_DONE or CTL_FAILED. */
int find_place(const char *path, struct client_place *out) MUST_CHECK;
/* POST path with options (taken over), which get "keys" from the paths behind optind; all must lie in one mount. none: what
 * no path at all means, or NULL: one is needed. line as in client_stream. *end and why as there. CTL_DONE, CTL_PARTLY (the
 * work said so: why, end), CTL_USAGE, CTL_FAILED (it was told). */
struct work {
	const char *path;
	json_t *options;
	client_line *line;
	void *arg;
	json_t *end;
	struct buf why;
	int error; /* of the work itself, -errno */
};
/* paths: NULL-terminated, at least one. */
int do_work(struct work *work, char *const *paths) MUST_CHECK;
void work_destroy(struct work *work);

#endif
