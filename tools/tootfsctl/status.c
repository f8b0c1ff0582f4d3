/* tootfsctl status: the daemon's JSON as it is, or told. A path that is the mount point is about the mount, any other about
 * that file or folder. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "commands.h"
#include "tools/client/progress.h"

static uint64_t number(const json_t *object, const char *name)
{
	json_int_t n = json_integer_value(json_object_get(object, name));

	return n > 0 ? (uint64_t)n : 0;
}

static double real(const json_t *object, const char *name)
{
	return json_number_value(json_object_get(object, name));
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

/* -- lines of a name and a text -- */

static void say(const char *name, struct buf *line)
{
	printf("%-12s%s\n", name, buf_string(line));
	buf_clear(line);
}

static void add_bytes(struct buf *line, const char *before, uint64_t bytes, const char *after)
{
	buf_text(line, before);
	text_bytes(line, bytes);
	buf_text(line, after);
}

static void add_ago(struct buf *line, const char *before, double seconds, const char *after)
{
	buf_text(line, before);
	text_duration(line, seconds);
	buf_text(line, after);
}

/* -- the mount -- */

static void tell_bucket(const json_t *bucket, struct buf *line)
{
	const json_t *error = json_object_get(bucket, "last_error");
	const char *state = words(bucket, "state");

	buf_text(line, strcmp(state, "unreachable") == 0 ? "does not answer; it is tried from time to time"
		       : strcmp(state, "refuses") == 0	 ? "refuses what is sent; it is tried from time to time"
							 : "answers");
	say("bucket", line);
	if (*words(bucket, "why")) {
		buf_text(line, words(bucket, "why"));
		say("", line);
	}
	if (json_is_object(error)) {
		buf_printf(line, "last error: %s", words(error, "message"));
		add_ago(line, " (", real(error, "ago_s"), " ago)");
		say("", line);
	}
	text_count(line, number(bucket, "calls"), "call, ", "calls, ");
	buf_printf(line, "%" PRIu64 " failed, ", number(bucket, "failures"));
	text_count(line, number(bucket, "retries"), "retry", "retries");
	say("", line);
}

static void tell_rates(const json_t *status, struct buf *line)
{
	const json_t *bucket = json_object_get(status, "bucket"), *sent = json_object_get(status, "sent");
	double up_s = real(status, "uptime_s") > 1 ? real(status, "uptime_s") : 1;

	add_bytes(line, "", number(bucket, "rate_out"), "/s now, ");
	add_bytes(line, "", (uint64_t)((double)number(bucket, "bytes_out") / up_s), "/s since the start; ");
	text_count(line, number(sent, "uploads"), "file, ", "files, ");
	add_bytes(line, "", number(bucket, "bytes_out"), "; ");
	buf_printf(line, "%" PRIu64 " copied, %" PRIu64 " removed", number(sent, "copies"), number(sent, "removals"));
	say("uploads", line);
	add_bytes(line, "", number(bucket, "rate_in"), "/s now, ");
	add_bytes(line, "", (uint64_t)((double)number(bucket, "bytes_in") / up_s), "/s since the start; ");
	add_bytes(line, "", number(bucket, "bytes_in"), "");
	say("downloads", line);
}

static void tell_pending(const json_t *pending, struct buf *line)
{
	const char *least = is_on(pending, "complete") ? "" : "at least ";

	if (!number(pending, "count")) {
		buf_text(line, "nothing: all is in the bucket");
		say("to send", line);
		return;
	}
	text_count(line, number(pending, "count"), "file, ", "files, ");
	buf_text(line, least);
	add_bytes(line, "", number(pending, "bytes"), "; the oldest waits for ");
	add_ago(line, least, real(pending, "oldest_s"), "");
	say("to send", line);
	if (number(pending, "refused")) {
		buf_printf(line, "%s%" PRIu64 " of them were refused, and are tried again", least,
			   number(pending, "refused"));
		say("", line);
	}
}

static void tell_cache(const json_t *cache, struct buf *line)
{
	uint64_t hits = number(cache, "hits"), reads = hits + number(cache, "misses");

	add_bytes(line, "", number(cache, "used_bytes"), "");
	add_bytes(line, " of ", number(cache, "limit_bytes"), " used, ");
	text_count(line, number(cache, "evicted_files"), "file evicted (", "files evicted (");
	add_bytes(line, "", number(cache, "evicted_bytes"), ")");
	say("cache", line);
	if (!reads)
		return;
	text_count(line, reads, "read, ", "reads, ");
	buf_printf(line, "%.1f %% of them answered from the cache", 100.0 * (double)hits / (double)reads);
	say("", line);
}

static void tell_rest(const json_t *status, struct buf *line)
{
	const json_t *tree = json_object_get(status, "tree"), *survey = json_object_get(status, "survey");
	const json_t *checkpoints = json_object_get(status, "checkpoints");

	text_count(line, number(tree, "files"), "file, ", "files, ");
	add_bytes(line, "", number(tree, "bytes"), ", ");
	text_count(line, number(tree, "folders"), "folder", "folders");
	say("tree", line);
	buf_text(line, is_on(survey, "done") ? "done: every name in the bucket is known"
		       : is_on(survey, "running")
			   ? "under way: "
			   : "not done: folders are listed when they are first looked at");
	if (is_on(survey, "running") && !is_on(survey, "done"))
		text_count(line, number(survey, "keys"), "key so far", "keys so far");
	if (number(survey, "skipped"))
		buf_printf(line, "; %" PRIu64 " keys are not shown, see the log", number(survey, "skipped"));
	say("survey", line);
	text_count(line, number(checkpoints, "count"), "checkpoint", "checkpoints");
	buf_printf(line, ", %.0f ms each, %" PRIu64 " failed", 1000 * real(checkpoints, "mean_s"),
		   number(checkpoints, "failures"));
	if (is_on(checkpoints, "failing"))
		buf_text(line, "; the last one too, and nothing is sent until one succeeds");
	say("disk", line);
}

static void tell_mount(const json_t *status)
{
	AUTO_BUF struct buf line = BUF_EMPTY;

	printf("%s on %s\n", words(status, "source"), words(status, "mountpoint"));
	buf_printf(&line, "version %s, pid %" PRIu64, words(status, "version"), number(status, "pid"));
	add_ago(&line, ", up for ", real(status, "uptime_s"), "");
	add_bytes(&line, ", memory ", number(status, "memory_bytes"), "");
	say("daemon", &line);
	tell_bucket(json_object_get(status, "bucket"), &line);
	tell_pending(json_object_get(status, "pending"), &line);
	tell_rates(status, &line);
	tell_cache(json_object_get(status, "cache"), &line);
	tell_rest(status, &line);
}

/* -- one file or folder -- */

static void tell_wish(const json_t *wish, struct buf *line)
{
	if (!json_is_object(wish))
		return;
	add_ago(line, "for ", real(wish, "since_s"), "");
	if (number(wish, "attempts")) {
		buf_text(line, "; refused ");
		text_count(line, number(wish, "attempts"), "time", "times");
		add_ago(line, ", tried again in ", real(wish, "next_try_s"), "");
	}
	say("waits", line);
}

static void tell_file(const json_t *file)
{
	const json_t *error = json_object_get(file, "last_error");
	uint64_t size = number(file, "size"), cached = number(file, "cached_bytes");
	const char *state = words(file, "state");
	AUTO_BUF struct buf line = BUF_EMPTY;

	printf("%s (%s)\n", words(file, "key"), words(file, "kind"));
	buf_printf(&line, "%s: %s%s", state,
		   strcmp(state, "DIRTY") == 0	 ? "the bucket does not have it yet"
		   : strcmp(state, "CLEAN") == 0 ? "here and in the bucket"
						 : "in the bucket",
		   is_on(file, "being_written") ? "; it is being written just now" : "");
	say("state", &line);
	tell_wish(json_object_get(file, "pending"), &line);
	if (json_is_object(error)) {
		buf_text(&line, words(error, "message"));
		add_ago(&line, " (", real(error, "ago_s"), " ago)");
		say("last error", &line);
	}
	add_bytes(&line, "", cached, "");
	add_bytes(&line, " of ", size, "");
	buf_printf(&line, " (%d %%)%s", size ? (int)(100 * (double)cached / (double)size) : 100,
		   is_on(file, "pinned") ? ", pinned" : "");
	say("cached", &line);
	buf_printf(&line, "%s", *words(file, "etag") ? words(file, "etag") : "-");
	say("ETag", &line);
	buf_printf(&line, "%" PRIu64, number(file, "version"));
	say("version", &line);
}

static void tell_folder(const json_t *folder)
{
	AUTO_BUF struct buf line = BUF_EMPTY;

	printf("%s (folder)\n", words(folder, "key"));
	buf_text(&line, is_on(folder, "listed") ? "yes: each of its names is known" : "not yet");
	say("listed", &line);
	if (is_on(folder, "pinned")) {
		buf_text(&line, "yes: what is below stays in the cache");
		say("pinned", &line);
	}
	tell_pending(json_object_get(folder, "pending"), &line);
}

static void tell(const json_t *answer)
{
	if (json_object_get(answer, "mountpoint"))
		tell_mount(answer);
	else if (strcmp(words(answer, "kind"), "folder") == 0)
		tell_folder(answer);
	else
		tell_file(answer);
}

static int ask(const struct client_place *place, json_t **answer)
{
	AUTO_BUF struct buf target = BUF_EMPTY, why = BUF_EMPTY;
	struct client_request request = {.method = "GET"};

	if (*place->key)
		client_target(&target, "/file", place->key);
	else
		buf_text(&target, "/status");
	request.target = buf_string(&target);
	if (!client_call_json(place, &request, answer, &why))
		return CTL_DONE;
	complain("%s", buf_string(&why));
	return CTL_FAILED;
}

int command_status(int argc, char **argv)
{
	static const struct option longs[] = {{"json", no_argument, NULL, 'j'}, {NULL, 0, NULL, 0}};
	struct client_place place;
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
	status = ask(&place, &answer);
	if (status == CTL_DONE && as_json) {
		json_dumpf(answer, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
		putchar('\n');
	} else if (status == CTL_DONE) {
		tell(answer);
	}
	json_decref(answer);
	client_place_destroy(&place);
	return status;
}
