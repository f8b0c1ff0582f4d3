/* tootfsctl sync: waits, shows what is left, and tells in the end what did not come. The bar is about bytes, or about files
 * where those are too small to count; its whole is the most that was ever left. */
#include <getopt.h>
#include <inttypes.h>
#include <string.h>
#include "commands.h"
#include "tools/client/progress.h"

struct sight {
	struct progress progress;
	uint64_t most_files, most_bytes;
};

static uint64_t number(const json_t *object, const char *name)
{
	json_int_t n = json_integer_value(json_object_get(object, name));

	return n > 0 ? (uint64_t)n : 0;
}

static void on_progress(struct sight *sight, const json_t *object)
{
	uint64_t files = number(object, "files_left"), bytes = number(object, "bytes_left"), rate = number(object, "rate");
	const char *why = json_string_value(json_object_get(object, "waits_for"));
	AUTO_BUF struct buf text = BUF_EMPTY;
	double part = -1;

	if (files > sight->most_files)
		sight->most_files = files;
	if (bytes > sight->most_bytes)
		sight->most_bytes = bytes;
	if (sight->most_bytes)
		part = 1 - (double)bytes / (double)sight->most_bytes;
	else if (sight->most_files)
		part = 1 - (double)files / (double)sight->most_files;
	if (!json_is_true(json_object_get(object, "exact")))
		buf_text(&text, "at least ");
	text_count(&text, files, "file, ", "files, ");
	text_bytes(&text, bytes);
	buf_text(&text, " left");
	if (rate && files) {
		buf_text(&text, ", ");
		text_bytes(&text, rate);
		buf_text(&text, "/s");
	}
	if (rate && bytes && !(why && *why)) {
		buf_text(&text, ", ");
		text_duration(&text, (double)bytes / (double)rate);
	}
	if (why && *why)
		buf_printf(&text, "; %s", why);
	progress_show(&sight->progress, part, buf_string(&text));
}

static void on_line(void *arg, const char *kind, const json_t *object)
{
	struct sight *sight = arg;
	const char *key = json_string_value(json_object_get(object, "key"));
	const char *message = json_string_value(json_object_get(object, "message"));

	if (strcmp(kind, "progress") == 0) {
		on_progress(sight, object);
	} else if (strcmp(kind, "item") == 0 && key) {
		progress_clear(&sight->progress);
		complain("not in the bucket: %s%s%s", key, message && *message ? ": " : "", message ? message : "");
	}
}

int command_sync(int argc, char **argv)
{
	static const struct option longs[] = {{"timeout", required_argument, NULL, 't'}, {NULL, 0, NULL, 0}};
	struct sight sight = {.most_files = 0};
	struct work work = {.path = "/sync", .line = on_line, .arg = &sight};
	const char *words;
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
	progress_begin(&sight.progress, stderr);
	work.options = json_pack("{sI}", "timeout_s", (json_int_t)timeout_s);
	status = do_work(&work, argv + optind);
	progress_clear(&sight.progress);
	if (status == CTL_PARTLY)
		complain("%s", buf_string(&work.why));
	words = json_string_value(json_object_get(work.end, "message"));
	if (status == CTL_DONE && words && *words)
		complain("%s", words);
	work_destroy(&work);
	return status;
}
