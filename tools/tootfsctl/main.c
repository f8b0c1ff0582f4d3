/* tootfsctl COMMAND …: asks the daemon of a mount how things are, and has work done. All it knows it gets over the control
 * socket (tools/client); the texts for people are made here. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "commands.h"

struct row {
	const char *name, *arguments, *help;
	command *run;
};

static const struct row rows[] = {
    {"status", "[--json] PATH", "how a mount is, or one file or folder of it", command_status},
    {"sync", "[--timeout=SECONDS] PATH...", "wait until all of it is in the bucket", command_sync},
    {"warm", "PATH...", "fetch what is not in the cache", command_warm},
    {"evict", "PATH...", "drop from the cache what the bucket has", command_evict},
    {"pin", "[PATH...]", "keep the content in the cache; without a path: what is kept", command_pin},
    {"unpin", "PATH...", "do not keep it any more", command_unpin},
    {"refresh", "PATH...", "look again at what others changed in the bucket", command_refresh},
    {"abort-uploads", "[--all] [--dry-run] PATH", "remove multipart uploads that nobody goes on with", command_abort_uploads},
    {"metrics", "PATH", "the counters of a mount, for Prometheus", command_metrics},
    {"log-level", "error|warn|info|debug PATH", "log more, or less, from now on", command_log_level},
};

enum { ROWS = sizeof(rows) / sizeof(*rows) };

void complain(const char *fmt, ...)
{
	va_list args;

	fputs("tootfsctl: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
}

static const struct row *find_row(const char *name)
{
	for (size_t i = 0; i < ROWS; i++)
		if (strcmp(rows[i].name, name) == 0)
			return &rows[i];
	return NULL;
}

int complain_usage(const char *name, const char *what)
{
	const struct row *row = find_row(name);

	complain("%s: %s; usage: tootfsctl %s %s", name, what, name, row ? row->arguments : "");
	return CTL_USAGE;
}

int complain_option(int argc, char **argv, int letter)
{
	char what[300];

	(void)argc;
	snprintf(what, sizeof(what), "%.200s %s", argv[argc - 1] ? argv[argc - 1] : "",
		 letter == ':' ? "needs a value" : "is not an option");
	return complain_usage(argv[0], what);
}

int find_place(const char *path, struct client_place *out)
{
	AUTO_BUF struct buf why = BUF_EMPTY;

	if (!client_find(path, out, &why))
		return CTL_DONE;
	complain("%s", buf_string(&why));
	client_place_destroy(out);
	return CTL_FAILED;
}

/* The keys of all paths, which must be in the mount of the first. */
static int take_paths(char *const *paths, struct client_place *place, json_t *keys)
{
	int status = find_place(paths[0], place);

	for (size_t i = 0; status == CTL_DONE && paths[i]; i++) {
		struct client_place other = {.uid = -1};

		if (i)
			status = find_place(paths[i], &other);
		if (status == CTL_DONE && i && strcmp(other.socket, place->socket)) {
			complain("%s and %s are not in one mount", paths[0], paths[i]);
			status = CTL_USAGE;
		}
		if (status == CTL_DONE && json_array_append_new(keys, client_key(i ? other.key : place->key))) {
			complain("out of memory");
			status = CTL_FAILED;
		}
		client_place_destroy(&other);
	}
	return status;
}

int do_work(struct work *work, char *const *paths)
{
	struct client_place place = {.uid = -1};
	json_t *keys = json_array();
	int status = take_paths(paths, &place, keys);

	if (status == CTL_DONE && json_object_set(work->options, "keys", keys)) {
		complain("out of memory");
		status = CTL_FAILED;
	}
	if (status == CTL_DONE) {
		struct client_request request = {"POST", work->path, work->options};

		work->error = client_stream(&place, &request, work->line, work->arg, &work->end, &work->why);
		if (work->error && !work->end) {
			complain("%s", buf_string(&work->why));
			status = CTL_FAILED;
		} else if (work->error) {
			status = CTL_PARTLY;
		}
	}
	json_decref(keys);
	client_place_destroy(&place);
	return status;
}

void work_destroy(struct work *work)
{
	json_decref(work->options);
	json_decref(work->end);
	buf_destroy(&work->why);
}

static void help(FILE *out)
{
	fputs("usage: tootfsctl COMMAND [OPTION...] PATH...\n"
	      "Asks the daemon of a tootfs mount; PATH is the mount point, or a file or folder in it.\n\n",
	      out);
	for (size_t i = 0; i < ROWS; i++)
		fprintf(out, "  %s %s\n        %s\n", rows[i].name, rows[i].arguments, rows[i].help);
	fputs("\nExit status: 0 done, 1 not all of it, 2 wrong usage, 3 the daemon cannot be asked.\n"
	      "More in tootfsctl(8).\n",
	      out);
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";
	const struct row *row = find_row(name);
	int status;

	if (row) {
		status = row->run(argc - 1, argv + 1);
	} else if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
		help(stdout);
		status = CTL_DONE;
	} else if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
		puts("tootfsctl " TOOTFS_VERSION);
		status = CTL_DONE;
	} else {
		complain(argc > 1 ? "%s is not a command; see tootfsctl --help"
				  : "a command is needed%s; see tootfsctl --help",
			 name);
		status = CTL_USAGE;
	}
	if ((fflush(stdout) || ferror(stdout)) && status == CTL_DONE) {
		complain("the output cannot be written: %s", strerror(errno));
		status = CTL_FAILED;
	}
	return status;
}
