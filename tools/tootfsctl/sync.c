/* tootfsctl sync: waits, and shows what is left. */
#include <getopt.h>
#include <inttypes.h>
#include <string.h>
#include "commands.h"
#include "tools/client/progress.h"

static void on_line(void *arg, const char *kind, const json_t *object)
{
	AUTO_BUF struct buf text = BUF_EMPTY;

	if (strcmp(kind, "progress") != 0)
		return;
	text_count(&text, (uint64_t)json_integer_value(json_object_get(object, "files_left")), "file", "files");
	buf_text(&text, " left");
	progress_show(arg, -1, buf_string(&text));
}

int command_sync(int argc, char **argv)
{
	static const struct option longs[] = {{"timeout", required_argument, NULL, 't'}, {NULL, 0, NULL, 0}};
	struct progress progress;
	struct work work = {.path = "/sync", .line = on_line, .arg = &progress};
	long timeout_s = 0;
	char *rest;
	int letter, status;

	optind = 0;
	opterr = 0;
	while ((letter = getopt_long(argc, argv, ":t:", longs, NULL)) != -1) {
		if (letter != 't')
			return complain_option(optind, argv, letter);
		timeout_s = strtol(optarg, &rest, 10);
		if (*rest || rest == optarg || timeout_s < 1 || timeout_s > 1000000000)
			return complain_usage(argv[0], "--timeout is a number of seconds");
	}
	if (optind == argc)
		return complain_usage(argv[0], "a path is needed");
	progress_begin(&progress, stderr);
	work.options = json_pack("{sI}", "timeout_s", (json_int_t)timeout_s);
	status = do_work(&work, argv + optind);
	progress_clear(&progress);
	if (status == CTL_PARTLY)
		complain("%s", buf_string(&work.why));
	work_destroy(&work);
	return status;
}
