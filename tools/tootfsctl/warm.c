/* tootfsctl warm, evict, pin, unpin: what is in the cache. */
#include <errno.h>
#include <getopt.h>
#include <string.h>
#include "commands.h"
#include "tools/client/progress.h"

static uint64_t number(const json_t *object, const char *name)
{
	json_int_t n = json_integer_value(json_object_get(object, name));

	return n > 0 ? (uint64_t)n : 0;
}

/* No options; at least so many paths. CTL_DONE: optind is at the first. */
static int take_arguments(int argc, char **argv, int paths_min)
{
	static const struct option longs[] = {{NULL, 0, NULL, 0}};
	int letter;

	optind = 0;
	opterr = 0;
	letter = getopt_long(argc, argv, ":", longs, NULL);
	if (letter != -1)
		return complain_option(optind, argv, letter);
	return argc - optind < paths_min ? complain_usage(argv[0], "a path is needed") : CTL_DONE;
}

static void show_warm(struct progress *progress, const json_t *o)
{
	AUTO_BUF struct buf text = BUF_EMPTY;
	uint64_t bytes = number(o, "bytes"), done = number(o, "bytes_done");
	bool counting = json_is_true(json_object_get(o, "counting"));

	if (counting) {
		buf_text(&text, "counting: ");
		text_count(&text, number(o, "files"), "file, ", "files, ");
	} else {
		buf_printf(&text, "%llu of ", (unsigned long long)number(o, "files_done"));
		text_count(&text, number(o, "files"), "file, ", "files, ");
		text_bytes(&text, done);
		buf_text(&text, " of ");
	}
	text_bytes(&text, bytes);
	progress_show(progress, counting || !bytes ? -1 : (double)done / (double)bytes, buf_string(&text));
}

static void show_evict(struct progress *progress, const json_t *o)
{
	AUTO_BUF struct buf text = BUF_EMPTY;

	text_count(&text, number(o, "files"), "file, ", "files, ");
	text_bytes(&text, number(o, "bytes"));
	buf_text(&text, " dropped");
	progress_show(progress, -1, buf_string(&text));
}

static void on_line(void *arg, const char *kind, const json_t *object)
{
	struct progress *progress = arg;
	const char *key = json_string_value(json_object_get(object, "key"));
	const char *message = json_string_value(json_object_get(object, "message"));

	if (strcmp(kind, "progress") == 0) {
		if (json_object_get(object, "counting"))
			show_warm(progress, object);
		else
			show_evict(progress, object);
	} else if (strcmp(kind, "item") == 0 && key) {
		progress_clear(progress);
		complain("%s: %s", *key ? key : "/", message ? message : "");
	}
}

static void on_pin(void *arg, const char *kind, const json_t *object)
{
	const char *key = json_string_value(json_object_get(object, "key"));

	(void)arg;
	if (strcmp(kind, "item") == 0 && key)
		printf("%s%s\n", key, json_is_true(json_object_get(object, "folder")) ? "/" : "");
}

/* work->end has been told of, where it went well. */
static int finish(struct work *work, struct progress *progress, int status)
{
	progress_clear(progress);
	if (status == CTL_PARTLY)
		complain("%s", buf_string(&work->why));
	work_destroy(work);
	return status;
}

static void tell(const json_t *end, const char *files, const char *bytes, const char *what)
{
	const json_t *sums = json_object_get(end, "sums");
	AUTO_BUF struct buf text = BUF_EMPTY;

	text_count(&text, number(sums, files), "file, ", "files, ");
	text_bytes(&text, number(sums, bytes));
	printf("%s %s\n", buf_string(&text), what);
}

static int warm(const char *path, int argc, char **argv)
{
	struct progress progress;
	struct work work = {.path = path, .line = on_line, .arg = &progress};
	int status = take_arguments(argc, argv, 1);

	if (status)
		return status;
	progress_begin(&progress, stderr);
	work.options = json_object();
	status = do_work(&work, argv + optind);
	progress_clear(&progress);
	if (work.end && json_object_get(work.end, "sums") && work.error != -ENOENT)
		tell(work.end, "files_fetched", "bytes_fetched", "fetched");
	return finish(&work, &progress, status);
}

int command_warm(int argc, char **argv)
{
	return warm("/warm", argc, argv);
}

int command_evict(int argc, char **argv)
{
	struct progress progress;
	struct work work = {.path = "/evict", .line = on_line, .arg = &progress};
	int status = take_arguments(argc, argv, 1);

	if (status)
		return status;
	progress_begin(&progress, stderr);
	work.options = json_object();
	status = do_work(&work, argv + optind);
	progress_clear(&progress);
	if (work.end)
		tell(work.end, "files", "bytes", "dropped");
	return finish(&work, &progress, status);
}

static int list_pins(void)
{
	static char here[] = ".";
	char *const paths[] = {here, NULL};
	struct progress progress;
	struct work work = {.path = "/pin", .line = on_pin};

	progress_begin(&progress, stderr);
	work.options = json_pack("{sb}", "list", 1);
	return finish(&work, &progress, do_work(&work, paths));
}

int command_pin(int argc, char **argv)
{
	return argc == 1 ? list_pins() : warm("/pin", argc, argv);
}

int command_unpin(int argc, char **argv)
{
	struct progress progress;
	struct work work = {.path = "/unpin", .line = on_line, .arg = &progress};
	int status = take_arguments(argc, argv, 1);

	if (status)
		return status;
	progress_begin(&progress, stderr);
	work.options = json_object();
	return finish(&work, &progress, do_work(&work, argv + optind));
}
