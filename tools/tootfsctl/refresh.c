/* tootfsctl refresh, abort-uploads: what others did to the bucket. */
#include <getopt.h>
#include <string.h>
#include "commands.h"
#include "tools/client/progress.h"

struct sight {
	struct progress progress;
	bool dry;
};

static uint64_t number(const json_t *object, const char *name)
{
	json_int_t n = json_integer_value(json_object_get(object, name));

	return n > 0 ? (uint64_t)n : 0;
}

static void describe(struct buf *text, const json_t *o)
{
	text_count(text, number(o, "folders"), "folder", "folders");
	buf_printf(text, " listed: %llu added, %llu removed, %llu replaced", (unsigned long long)number(o, "added"),
		   (unsigned long long)number(o, "removed"), (unsigned long long)number(o, "replaced"));
}

static void on_refresh(void *arg, const char *kind, const json_t *object)
{
	struct sight *sight = arg;
	const char *key = json_string_value(json_object_get(object, "key"));
	const char *message = json_string_value(json_object_get(object, "message"));
	AUTO_BUF struct buf text = BUF_EMPTY;

	if (strcmp(kind, "progress") == 0) {
		describe(&text, object);
		progress_show(&sight->progress, -1, buf_string(&text));
	} else if (strcmp(kind, "item") == 0 && key) {
		progress_clear(&sight->progress);
		complain("%s/: %s", key, message ? message : "");
	}
}

static void on_upload(void *arg, const char *kind, const json_t *object)
{
	struct sight *sight = arg;
	const char *key = json_string_value(json_object_get(object, "key"));
	const char *message = json_string_value(json_object_get(object, "message"));
	double age_s = json_number_value(json_object_get(object, "age_s"));
	AUTO_BUF struct buf text = BUF_EMPTY;

	if (strcmp(kind, "item") != 0 || !key)
		return;
	if (message && *message) {
		complain("%s: %s", key, message);
		return;
	}
	if (age_s >= 0)
		text_duration(&text, age_s);
	else
		buf_text(&text, "nobody knows how");
	printf("%s: %s old%s\n", key, buf_string(&text), sight->dry ? "" : ", aborted");
}

static int run(struct work *work, struct sight *sight, char *const *paths)
{
	int status;

	progress_begin(&sight->progress, stderr);
	status = do_work(work, paths);
	progress_clear(&sight->progress);
	if (status == CTL_PARTLY)
		complain("%s", buf_string(&work->why));
	return status;
}

int command_refresh(int argc, char **argv)
{
	static const struct option longs[] = {{NULL, 0, NULL, 0}};
	struct sight sight = {.dry = false};
	struct work work = {.path = "/refresh", .line = on_refresh, .arg = &sight};
	AUTO_BUF struct buf text = BUF_EMPTY;
	int letter, status;

	optind = 0;
	opterr = 0;
	letter = getopt_long(argc, argv, ":", longs, NULL);
	if (letter != -1)
		return complain_option(optind, argv, letter);
	if (optind == argc)
		return complain_usage(argv[0], "a path is needed");
	work.options = json_object();
	status = run(&work, &sight, argv + optind);
	if (work.end) {
		describe(&text, json_object_get(work.end, "sums"));
		printf("%s\n", buf_string(&text));
	}
	work_destroy(&work);
	return status;
}

int command_abort_uploads(int argc, char **argv)
{
	static const struct option longs[] = {
	    {"all", no_argument, NULL, 'a'}, {"dry-run", no_argument, NULL, 'n'}, {NULL, 0, NULL, 0}};
	struct sight sight = {.dry = false};
	struct work work = {.path = "/abort-uploads", .line = on_upload, .arg = &sight};
	bool all = false;
	int letter, status;

	optind = 0;
	opterr = 0;
	while ((letter = getopt_long(argc, argv, ":an", longs, NULL)) != -1) {
		if (letter != 'a' && letter != 'n')
			return complain_option(optind, argv, letter);
		all |= letter == 'a';
		sight.dry |= letter == 'n';
	}
	if (argc - optind != 1)
		return complain_usage(argv[0], "one path is needed");
	work.options = json_pack("{sb sb}", "all", all, "dry", sight.dry);
	status = run(&work, &sight, argv + optind);
	work_destroy(&work);
	return status;
}
