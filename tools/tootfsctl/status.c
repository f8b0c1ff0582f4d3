/* tootfsctl status: the daemon's JSON as it is, or told. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "commands.h"
#include "tools/client/progress.h"

static uint64_t number(const json_t *object, const char *name)
{
	const json_t *value = json_object_get(object, name);
	json_int_t n = json_integer_value(value);

	return n > 0 ? (uint64_t)n : 0;
}

static bool is_on(const json_t *object, const char *name)
{
	return json_is_true(json_object_get(object, name));
}

static const char *words(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text : "";
}

static void tell_bucket(const json_t *status)
{
	const json_t *bucket = json_object_get(status, "bucket");

	if (!is_on(bucket, "reachable"))
		printf("bucket     does not answer; it is tried from time to time\n");
	else if (!is_on(bucket, "sending"))
		printf("bucket     refuses what is sent to it\n");
	else
		printf("bucket     answers\n");
	if (*words(bucket, "error"))
		printf("           %s\n", words(bucket, "error"));
	printf("           %" PRIu64 " calls, %" PRIu64 " failed, %" PRIu64 " retries\n", number(bucket, "calls"),
	       number(bucket, "failures"), number(bucket, "retries"));
}

static void tell_pending(const json_t *status)
{
	const json_t *pending = json_object_get(status, "pending");
	AUTO_BUF struct buf line = BUF_EMPTY;
	const char *least = is_on(pending, "complete") ? "" : "at least ";

	if (!number(pending, "count")) {
		printf("to send    nothing: all is in the bucket\n");
		return;
	}
	text_count(&line, number(pending, "count"), "file", "files");
	buf_printf(&line, ", %s", least);
	text_bytes(&line, number(pending, "bytes"));
	buf_printf(&line, "; the oldest waits for %s", least);
	text_duration(&line, json_real_value(json_object_get(pending, "oldest_s")));
	printf("to send    %s\n", buf_string(&line));
	if (number(pending, "refused"))
		printf("           %s%" PRIu64 " of them were refused, and are tried again\n", least,
		       number(pending, "refused"));
}

static void tell_cache(const json_t *status)
{
	const json_t *cache = json_object_get(status, "cache"), *tree = json_object_get(status, "tree");
	AUTO_BUF struct buf line = BUF_EMPTY;

	text_bytes(&line, number(cache, "used_bytes"));
	buf_text(&line, " of ");
	text_bytes(&line, number(cache, "limit_bytes"));
	buf_text(&line, " used; ");
	text_count(&line, number(cache, "evicted_files"), "file", "files");
	buf_text(&line, " evicted");
	printf("cache      %s\n", buf_string(&line));
	buf_clear(&line);
	text_count(&line, number(tree, "files"), "file", "files");
	buf_text(&line, ", ");
	text_bytes(&line, number(tree, "bytes"));
	buf_text(&line, ", in ");
	text_count(&line, number(tree, "folders"), "folder", "folders");
	printf("tree       %s\n", buf_string(&line));
}

static void tell(const json_t *status)
{
	AUTO_BUF struct buf line = BUF_EMPTY;

	printf("%s on %s\n", words(status, "bucket_spec"), words(status, "mountpoint"));
	text_duration(&line, json_real_value(json_object_get(status, "uptime_s")));
	buf_text(&line, ", memory ");
	text_bytes(&line, number(status, "memory_bytes"));
	printf("daemon     version %s, pid %" PRIu64 ", up for %s\n", words(status, "version"), number(status, "pid"),
	       buf_string(&line));
	tell_bucket(status);
	tell_pending(status);
	tell_cache(status);
}

int command_status(int argc, char **argv)
{
	static const struct option longs[] = {{"json", no_argument, NULL, 'j'}, {NULL, 0, NULL, 0}};
	const struct client_request request = {"GET", "/status", NULL};
	struct client_place place;
	AUTO_BUF struct buf why = BUF_EMPTY;
	bool as_json = false;
	json_t *answer = NULL;
	int letter, status;

	optind = 0;
	opterr = 0;
	while ((letter = getopt_long(argc, argv, ":j", longs, NULL)) != -1) {
		if (letter != 'j')
			return complain_option(optind, argv, letter);
		as_json = true;
	}
	if (argc - optind != 1)
		return complain_usage(argv[0], "one path is needed");
	status = find_place(argv[optind], &place);
	if (status)
		return status;
	if (client_call_json(&place, &request, &answer, &why)) {
		complain("%s", buf_string(&why));
		status = CTL_FAILED;
	} else if (as_json) {
		json_dumpf(answer, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
		putchar('\n');
	} else {
		tell(answer);
	}
	json_decref(answer);
	client_place_destroy(&place);
	return status;
}
