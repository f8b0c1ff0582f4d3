/* What clients of the control socket send; streams without a server: a slow client, one that goes away, the end. */
#include <errno.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <cmocka.h>
#include "cache/base/clock.h"
#include "fs/control_internal.h"

/* -- options -- */

static int options_of(const char *text, json_t **out)
{
	AUTO_BUF struct buf why = BUF_EMPTY;
	int r = control_options(text, strlen(text), out, &why);

	assert_int_equal(r == -EINVAL, why.length > 0);
	assert_int_equal(r == 0, *out != NULL);
	return r;
}

static void test_options_bad(void **state)
{
	static const char *const bad[] = {
	    "{",
	    "[]",
	    "null",
	    "{}{}",
	    "{\"a\":1,\"a\":2}",
	    "{\"keys\":1}",
	    "{\"keys\":[1]}",
	    "{\"keys\":[\"..\"]}",
	    "{\"keys\":[\"a/../b\"]}",
	    "{\"keys\":[\"/a\"]}",
	    "{\"keys\":[\"a//b\"]}",
	    "{\"keys\":[\"%zz\"]}",
	    "{\"keys\":[\"a%0\"]}",
	    "{\"keys\":[\"a%00b\"]}",
	    "{\"keys\":[\"%2e%2e\"]}",
	    "{\"a\":[[[[[[[[[[]]]]]]]]]]}",
	};
	json_t *options;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		if (options_of(bad[i], &options) != -EINVAL)
			fail_msg("taken: %s", bad[i]);
}

static void test_options_good(void **state)
{
	static const struct {
		const char *text, *key;
	} good[] = {
	    {"{\"keys\":[\"a/b\"]}", "a/b"},
	    {"{\"keys\":[\"a%20b%25\"]}", "a b%"},
	    {"{\"keys\":[\"a/b/\"]}", "a/b"},
	    {"{\"keys\":[\"\"]}", ""},
	    {"{\"keys\":[\"/\"]}", ""},
	    {"{\"keys\":[\"b%E9ta%ff\"]}", "b\xe9ta\xff"},
	    {"{\"keys\":[\"{[{[{[{[{[{[\\\"\"]}", "{[{[{[{[{[{[\""},
	};
	json_t *options;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		assert_int_equal(options_of(good[i].text, &options), 0);
		assert_string_equal(json_string_value(json_array_get(json_object_get(options, "keys"), 0)),
				    good[i].key);
		json_decref(options);
	}
	assert_int_equal(options_of("", &options), 0);
	assert_int_equal(json_object_size(options), 0);
	json_decref(options);
}

static void test_options_many(void **state)
{
	json_t *keys = json_array(), *object = json_pack("{so}", "keys", keys), *options;

	(void)state;
	for (int i = 0; i <= CONTROL_KEYS_MAX; i++)
		assert_int_equal(json_array_append_new(keys, json_string("a")), 0);
	char *text = json_dumps(object, JSON_COMPACT);
	assert_int_equal(options_of(text, &options), -EINVAL);
	free(text);
	json_array_remove(keys, 0);
	text = json_dumps(object, JSON_COMPACT);
	assert_int_equal(options_of(text, &options), 0);
	json_decref(options);
	free(text);
	json_decref(object);
}

static void test_members(void **state)
{
	json_t *options;

	(void)state;
	assert_int_equal(options_of("{\"n\":7,\"text\":\"7\",\"on\":true,\"off\":false}", &options), 0);
	assert_int_equal(control_number(options, "n", 3), 7);
	assert_int_equal(control_number(options, "text", 3), 3);
	assert_int_equal(control_number(options, "none", 3), 3);
	assert_true(control_switch(options, "on"));
	assert_false(control_switch(options, "off"));
	assert_false(control_switch(options, "n"));
	json_decref(options);
}

static void test_text(void **state)
{
	static const char *const rows[][2] = {{"plain", "plain"},
					      {"\xc3\xa9", "\xc3\xa9"},
					      {"b\xe9ta", "b\\xe9ta"},
					      {"\xc3\xa9\xff", "\\xc3\\xa9\\xff"},
					      {"", ""}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		json_t *text = control_text(rows[i][0]);
		assert_string_equal(json_string_value(text), rows[i][1]);
		json_decref(text);
	}
}

/* -- streams -- */

struct rig {
	struct control_streams streams;
	int pair[2]; /* ours, the client's */
};

static void rig_open(struct rig *rig)
{
	control_streams_init(&rig->streams, NULL);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, rig->pair), 0);
}

static void rig_close(struct rig *rig)
{
	control_streams_stop(&rig->streams);
	control_streams_destroy(&rig->streams);
	close(rig->pair[0]);
	if (rig->pair[1] >= 0)
		close(rig->pair[1]);
}

static int begin(struct rig *rig, const struct control_verb *verb, json_t *options, struct control_stream **out)
{
	return control_stream_begin(&rig->streams, verb, options, rig->pair[0], out);
}

static void leave(struct control_stream *s)
{
	control_stream_gone(s);
	control_stream_leave(s);
	control_stream_leave(s);
}

/* All of it, as text; without the empty lines. */
static char *read_all(struct control_stream *s)
{
	struct buf all = BUF_EMPTY;
	char bytes[100];
	ssize_t n;

	while ((n = control_stream_read(s, bytes, sizeof(bytes))) >= 0) {
		assert_true(n > 0);
		if (n != 1 || bytes[0] != '\n' || (all.length && all.data[all.length - 1] != '\n'))
			buf_append(&all, bytes, (size_t)n);
	}
	return buf_steal(&all);
}

static int work_some(struct cache *cache, const json_t *options, struct control_stream *stream)
{
	(void)cache;
	for (int i = 0; i < 3; i++)
		control_line(stream, "item", json_pack("{si}", "n", i));
	control_total(stream, "sum", json_integer(3));
	if (control_switch(options, "fail")) {
		control_say(stream, "it is %s", "broken");
		return -EIO;
	}
	return 0;
}

static const struct control_verb verb_some = {"/test", work_some};

static void test_lines(void **state)
{
	struct control_stream *s;
	struct rig rig;

	(void)state;
	rig_open(&rig);
	assert_int_equal(begin(&rig, &verb_some, json_object(), &s), 0);
	char *text = read_all(s);
	assert_string_equal(text, "{\"item\":{\"n\":0}}\n{\"item\":{\"n\":1}}\n{\"item\":{\"n\":2}}\n"
				  "{\"end\":{\"sum\":3,\"error\":0,\"message\":\"\"}}\n");
	free(text);
	leave(s);
	assert_int_equal(begin(&rig, &verb_some, json_pack("{sb}", "fail", 1), &s), 0);
	text = read_all(s);
	assert_non_null(strstr(text, "{\"end\":{\"sum\":3,\"error\":5,\"message\":\"it is broken\"}}\n"));
	free(text);
	leave(s);
	rig_close(&rig);
}

static atomic_int work_state; /* 1 = it runs, 2 = it saw that it was cancelled */
static atomic_int lines_made;

static int work_until_cancelled(struct cache *cache, const json_t *options, struct control_stream *stream)
{
	const struct timespec pause = {.tv_nsec = 5 * 1000 * 1000};

	(void)cache;
	(void)options;
	work_state = 1;
	while (!control_cancelled(stream))
		nanosleep(&pause, NULL);
	work_state = 2;
	return -ECANCELED;
}

static const struct control_verb verb_until_cancelled = {"/test", work_until_cancelled};

static int work_flood(struct cache *cache, const json_t *options, struct control_stream *stream)
{
	char filler[1001];

	(void)cache;
	(void)options;
	memset(filler, 'x', 1000);
	filler[1000] = '\0';
	for (int i = 0; i < 2000 && !control_cancelled(stream); i++) {
		control_line(stream, "item", json_pack("{sssi}", "x", filler, "n", i));
		lines_made++;
	}
	return 0;
}

static const struct control_verb verb_flood = {"/test", work_flood};

static void wait_state(int wanted)
{
	const struct timespec pause = {.tv_nsec = 5 * 1000 * 1000};

	for (int i = 0; i < 6000 && work_state != wanted; i++)
		nanosleep(&pause, NULL);
	assert_int_equal(work_state, wanted);
}

static void test_client_closes(void **state)
{
	struct control_stream *s;
	struct rig rig;

	(void)state;
	rig_open(&rig);
	work_state = 0;
	assert_int_equal(begin(&rig, &verb_until_cancelled, json_object(), &s), 0);
	wait_state(1);
	close(rig.pair[1]);
	rig.pair[1] = -1;
	wait_state(2);
	leave(s);
	rig_close(&rig);
}

static void test_answer_goes(void **state)
{
	struct control_stream *s;
	struct rig rig;

	(void)state;
	rig_open(&rig);
	work_state = 0;
	assert_int_equal(begin(&rig, &verb_until_cancelled, json_object(), &s), 0);
	wait_state(1);
	leave(s);
	wait_state(2);
	rig_close(&rig);
}

/* The worker waits for a slow client, in bounded memory, and no line is lost or torn. */
static void test_slow_client(void **state)
{
	struct control_stream *s;
	struct rig rig;
	const struct timespec pause = {.tv_nsec = 200 * 1000 * 1000};
	unsigned lines = 0;

	(void)state;
	rig_open(&rig);
	lines_made = 0;
	assert_int_equal(begin(&rig, &verb_flood, json_object(), &s), 0);
	nanosleep(&pause, NULL);
	assert_in_range(lines_made, 1, CONTROL_QUEUE_MAX / 1000 + 2);
	char *text = read_all(s);
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		json_t *object = json_loads(line, 0, NULL);
		assert_non_null(object);
		const json_t *item = json_object_get(object, "item");
		if (item)
			assert_int_equal(json_integer_value(json_object_get(item, "n")), lines++);
		json_decref(object);
	}
	assert_int_equal(lines, 2000);
	free(text);
	leave(s);
	rig_close(&rig);
}

/* A client that stops reading and then goes away frees the worker that waits for it. */
static void test_stuck_client(void **state)
{
	struct control_stream *s;
	struct rig rig;

	(void)state;
	rig_open(&rig);
	assert_int_equal(begin(&rig, &verb_flood, json_object(), &s), 0);
	leave(s);
	rig_close(&rig); /* joins */
}

static void test_too_many(void **state)
{
	struct control_stream *s[CONTROL_STREAMS_MAX], *more;
	struct rig rig;

	(void)state;
	rig_open(&rig);
	for (int i = 0; i < CONTROL_STREAMS_MAX; i++)
		assert_int_equal(begin(&rig, &verb_until_cancelled, json_object(), &s[i]), 0);
	assert_int_equal(begin(&rig, &verb_until_cancelled, json_object(), &more), -EBUSY);
	for (int i = 0; i < CONTROL_STREAMS_MAX; i++)
		leave(s[i]);
	int r = -EBUSY;
	for (int64_t until_ms = clock_ms() + 20000; r == -EBUSY && clock_ms() < until_ms;)
		r = begin(&rig, &verb_some, json_object(), &more);
	assert_int_equal(r, 0);
	free(read_all(more));
	leave(more);
	rig_close(&rig);
}

static void *stop_run(void *arg)
{
	control_streams_stop(arg);
	return NULL;
}

/* At the daemon's end work is cancelled, and its last line is still delivered. */
static void test_stop(void **state)
{
	struct control_stream *s, *late;
	struct rig rig;
	pthread_t thread;

	(void)state;
	rig_open(&rig);
	work_state = 0;
	assert_int_equal(begin(&rig, &verb_until_cancelled, json_object(), &s), 0);
	wait_state(1);
	assert_int_equal(pthread_create(&thread, NULL, stop_run, &rig.streams), 0);
	wait_state(2);
	char *text = read_all(s);
	assert_non_null(strstr(text, "\"error\":125"));
	free(text);
	leave(s);
	pthread_join(thread, NULL);
	assert_int_equal(begin(&rig, &verb_some, json_object(), &late), -ECANCELED);
	rig_close(&rig);
}

static int work_slowly(struct cache *cache, const json_t *options, struct control_stream *stream)
{
	const struct timespec pause = {.tv_sec = 2, .tv_nsec = 500 * 1000 * 1000};

	(void)cache;
	(void)options;
	(void)stream;
	nanosleep(&pause, NULL);
	return 0;
}

static const struct control_verb verb_slowly = {"/test", work_slowly};

/* Work that says nothing: the client still hears something every second. */
static void test_beat(void **state)
{
	struct control_stream *s;
	struct rig rig;
	char bytes[100];

	(void)state;
	rig_open(&rig);
	assert_int_equal(begin(&rig, &verb_slowly, json_object(), &s), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(control_stream_read(s, bytes, sizeof(bytes)), 1);
		assert_int_equal(bytes[0], '\n');
	}
	free(read_all(s));
	leave(s);
	rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_options_bad),	  cmocka_unit_test(test_options_good),
	    cmocka_unit_test(test_options_many),  cmocka_unit_test(test_members),
	    cmocka_unit_test(test_text),	  cmocka_unit_test(test_lines),
	    cmocka_unit_test(test_client_closes), cmocka_unit_test(test_answer_goes),
	    cmocka_unit_test(test_slow_client),	  cmocka_unit_test(test_stuck_client),
	    cmocka_unit_test(test_too_many),	  cmocka_unit_test(test_stop),
	    cmocka_unit_test(test_beat),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
