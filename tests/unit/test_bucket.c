/* The door over a scripted bucket: what is retried and what is not, deadlines, the breaker, a GET
 * that resumes, a Complete whose answer was lost, and stopping. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "cache/base/clock.h"
#include "cache/bucket/door.h"

/* -- the scripted bucket: one step a request, success when the script is at its end -- */

struct step {
	int result;
	bool again;
	int status;
	int64_t retry_after_ms;
	const char *code;
	/* of a GET: the ETag of its answer, and after how many bytes the result comes */
	const char *etag;
	uint64_t bytes;
};

static struct {
	const struct step *steps;
	size_t count, used;
	char asked[1024]; /* the GETs, "offset+length:etag " each */
	struct object head;
	int head_result;
	const int *results;
	const char *token;
	bool closed, stopped;
	int64_t wait_ms; /* in each request */
	pthread_mutex_t lock;
} script = {.lock = PTHREAD_MUTEX_INITIALIZER};

static const char content[] = "0123456789abcdefghij";

static struct step next(void)
{
	struct step s = {.status = 200};

	pthread_mutex_lock(&script.lock);
	if (script.used < script.count)
		s = script.steps[script.used];
	script.used++;
	pthread_mutex_unlock(&script.lock);
	if (script.wait_ms)
		usleep((useconds_t)script.wait_ms * 1000);
	return s;
}

static int end(const struct step *s)
{
	struct fault *f = fault_of_thread();

	f->http_status = s->status;
	f->retry_after_ms = s->retry_after_ms;
	snprintf(f->code, sizeof(f->code), "%s", s->code ? s->code : "");
	return s->result ? fault_set(s->result, s->again, "scripted failure %d", s->result) : 0;
}

static int fake_plain(void *self)
{
	struct step s = next();

	(void)self;
	return end(&s);
}

static int fake_start(void *self)
{
	(void)self;
	return 0;
}

static void fake_stop(void *self)
{
	(void)self;
	script.stopped = true;
}

static void fake_close(void *self)
{
	(void)self;
	script.closed = true;
}

static int fake_get(void *self, const struct get_request *q)
{
	struct step s = next();
	struct object object = {.size_bytes = strlen(content)};
	uint64_t last = object.size_bytes, sent = 0;
	size_t used = strlen(script.asked);
	int r;

	(void)self;
	snprintf(script.asked + used, sizeof(script.asked) - used, "%d+%d:%s ", (int)q->offset,
		 (int)q->length, q->etag ? q->etag : "");
	if (s.result && s.bytes == 0 && !s.etag)
		return end(&s);
	strcpy(object.etag, s.etag ? s.etag : "v1");
	r = q->sink->begin(q->sink, &object);
	if (q->length && q->offset + q->length < last)
		last = q->offset + q->length;
	for (uint64_t at = q->offset; r == 0 && at < last; at++, sent++) {
		if (s.result && sent == s.bytes)
			return end(&s);
		r = q->sink->take(q->sink, at, content + at, 1);
	}
	return r ? fault_set(r, true, "the sink said so") : end(&s);
}

static int fake_head(void *self, const char *key, struct object *out)
{
	struct step s;

	(void)self, (void)key;
	if (script.head_result == 1) { /* not part of the script */
		*out = script.head;
		return 0;
	}
	s = next();
	*out = script.head;
	return end(&s);
}

static int fake_list(void *self, const struct list_request *q, struct list_page *out)
{
	struct step s = next();

	(void)self, (void)q;
	if (s.result == 0 && script.token)
		out->token = strdup(script.token);
	return end(&s);
}

static int fake_put(void *self, const struct put_request *q, struct object *out)
{
	(void)q;
	strcpy(out->etag, "new");
	return fake_plain(self);
}

static int fake_copy(void *self, const struct copy_request *q, struct object *out)
{
	(void)q, (void)out;
	return fake_plain(self);
}

static int fake_remove(void *self, const char *const *keys, size_t count, int *results)
{
	(void)keys;
	for (size_t i = 0; i < count && script.results; i++)
		results[i] = script.results[i];
	return fake_plain(self);
}

static int fake_create(void *self, const char *key, const struct object_attrs *attrs,
		       char id[UPLOAD_ID_BYTES])
{
	(void)key, (void)attrs;
	if (script.head_result != 2)
		strcpy(id, "id");
	return fake_plain(self);
}

static int fake_part(void *self, const struct part_request *q, struct part *out)
{
	(void)q;
	strcpy(out->etag, "part");
	return fake_plain(self);
}

static int fake_complete(void *self, const char *key, const char *id, const struct part *parts,
			 size_t count, struct object *out)
{
	(void)key, (void)id, (void)parts, (void)count;
	strcpy(out->etag, "whole");
	return fake_plain(self);
}

static int fake_abort(void *self, const char *key, const char *id)
{
	(void)key, (void)id;
	return fake_plain(self);
}

static int fake_uploads(void *self, const char *key, upload_visit *visit, void *arg)
{
	int r = visit(arg, "one", 1);

	(void)key;
	if (r == 0)
		r = visit(arg, "two", 2);
	return r ? r : fake_plain(self);
}

static int fake_uploads_page(void *self, const struct upload_marks *marks, struct upload_marks *next, key_upload_visit *visit, void *arg)
{
	bool first = !marks->key || strcmp(marks->key, "k") != 0 || strcmp(marks->id, "one") != 0;
	int v = first ? visit(arg, "k", "one", 1) : visit(arg, "k", "two", 2), r = v ? v : fake_plain(self);
	*next = (struct upload_marks){first && !r ? strdup("k") : NULL, first && !r ? strdup("one") : NULL};
	return r;
}

static const struct bucket_ops fake_ops = {fake_start,	  fake_stop,   fake_close,  fake_plain,
					   fake_get,	  fake_head,   NULL,	    fake_list,	fake_put,
					   fake_copy,	  fake_remove, fake_create, fake_part,
					   fake_complete, fake_abort,  fake_uploads, fake_uploads_page, NULL};

static struct bucket *bucket;

static void begin(int64_t io_timeout_ms, const struct step *steps, size_t count)
{
	struct bucket_config config = {.io_timeout_ms = io_timeout_ms};
	struct bucket_impl impl = {&fake_ops, NULL, strdup("fake"), KEY_BYTES_MAX, NULL};

	script.steps = steps;
	script.count = count;
	script.used = 0;
	script.asked[0] = '\0';
	script.head_result = 0;
	script.results = NULL;
	script.token = NULL;
	script.closed = script.stopped = false;
	script.wait_ms = 0;
	assert_int_equal(bucket_open_over(&config, &impl, &bucket), 0);
	assert_int_equal(bucket_start(bucket), 0);
}

static void finish(void)
{
	bucket_close(&bucket);
	assert_true(script.closed);
	assert_null(bucket);
}

#define BEGIN(io_timeout_ms, ...)                                                                  \
	static const struct step steps[] = {__VA_ARGS__};                                          \
	begin(io_timeout_ms, steps, sizeof(steps) / sizeof(steps[0]))
#define DOWN                                                                                       \
	{                                                                                          \
		.result = -EHOSTDOWN, .again = true                                                \
	}

static int head(void)
{
	struct object object;

	return bucket_head(bucket, "key", &object);
}

/* -- retries -- */

static void what_helps_is_tried_again(void **state)
{
	struct bucket_stats stats;

	(void)state;
	BEGIN(5000, DOWN, {.result = -EHOSTDOWN, .again = true, .status = 503}, DOWN);
	assert_int_equal(head(), 0);
	assert_int_equal(script.used, 4);
	bucket_stats_read(bucket, &stats);
	assert_int_equal(stats.calls[BUCKET_HEAD], 1);
	assert_int_equal(stats.failures[BUCKET_HEAD], 0);
	assert_int_equal(stats.retries, 3);
	finish();
}

static void what_does_not_help_is_not(void **state)
{
	static const int errors[] = {-ENOENT, -EACCES, -ENODEV, -ESTALE, -EINVAL, -EPROTO};

	(void)state;
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		struct step step = {.result = errors[i], .status = 400};
		struct bucket_stats stats;

		begin(5000, &step, 1);
		assert_int_equal(head(), errors[i]);
		assert_int_equal(script.used, 1);
		assert_non_null(strstr(bucket_why(), "scripted failure"));
		bucket_stats_read(bucket, &stats);
		assert_int_equal(stats.failures[BUCKET_HEAD], 1);
		finish();
	}
}

static struct step always_down[200];

static void the_deadline_ends_it(void **state)
{
	int64_t began = clock_ms(), took;

	(void)state;
	for (size_t i = 0; i < 200; i++)
		always_down[i] = (struct step){.result = -EHOSTDOWN, .again = true, .status = 429};
	begin(600, always_down, 200);
	assert_int_equal(head(), -EHOSTDOWN);
	took = clock_ms() - began;
	assert_true(took < 3000);
	assert_true(script.used >= 2 && script.used < 100);
	assert_non_null(strstr(bucket_why(), "attempts in"));
	finish();
}

static void the_server_may_ask_for_time(void **state)
{
	int64_t began;

	(void)state;
	BEGIN(5000, {.result = -EHOSTDOWN, .again = true, .status = 503, .retry_after_ms = 300},
	      {.result = 0},
	      {.result = -EHOSTDOWN, .again = true, .status = 503, .retry_after_ms = 60000});
	began = clock_ms();
	assert_int_equal(head(), 0);
	assert_true(clock_ms() - began >= 300);
	/* More time than there is: told at once. */
	began = clock_ms();
	assert_int_equal(head(), -EHOSTDOWN);
	assert_true(clock_ms() - began < 1000);
	assert_int_equal(script.used, 3);
	finish();
}

/* -- the breaker -- */

static void a_dead_endpoint_costs_one_probe(void **state)
{
	struct bucket_stats stats;
	int64_t began;
	size_t used;

	(void)state;
	for (size_t i = 0; i < 200; i++)
		always_down[i] = (struct step)DOWN;
	begin(2000, always_down, 200); /* a row of failures must last 200 ms */
	began = clock_ms();
	do
		assert_int_equal(head(), -EHOSTDOWN);
	while (!breaker_is_open(&bucket->breaker));
	assert_true(clock_ms() - began >= 200);
	used = script.used;
	assert_true(used >= BREAKER_FAILURES);
	for (int i = 0; i < 50; i++)
		assert_int_equal(head(), -EHOSTDOWN);
	assert_int_equal(script.used, used);
	assert_non_null(strstr(bucket_why(), "tried from time to time"));
	assert_non_null(strstr(bucket_why(), "scripted failure"));
	bucket_stats_read(bucket, &stats);
	assert_true(stats.breaker_open);

	/* On a slow machine the last call above may have been the first probe already. */
	useconds_t pause_us = (useconds_t)bucket->breaker.locked.pause_ms * 1000;
	usleep(pause_us + 100000);
	assert_int_equal(head(), -EHOSTDOWN); /* the probe */
	assert_int_equal(script.used, used + 1);
	assert_int_equal(head(), -EHOSTDOWN);
	assert_int_equal(script.used, used + 1);
	/* The pause has doubled. */
	usleep(pause_us + 100000);
	assert_int_equal(head(), -EHOSTDOWN);
	assert_int_equal(script.used, used + 1);
	usleep(pause_us);
	script.count = 0; /* it is back */
	assert_int_equal(head(), 0);
	assert_false(breaker_is_open(&bucket->breaker));
	assert_int_equal(head(), 0);
	finish();
}

static void answers_keep_it_closed(void **state)
{
	static const struct step kinds[] = {
	    {.result = -ENOENT, .status = 404},
	    {.result = -EHOSTDOWN, .again = true, .status = 503, .code = "SlowDown"},
	    {.result = -EHOSTDOWN, .again = true, .status = 429},
	    {.result = -EHOSTDOWN, .again = true, .status = 400},
	    {.result = -EIO},
	};

	(void)state;
	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		for (size_t i = 0; i < 200; i++)
			always_down[i] = kinds[k];
		begin(50, always_down, 200);
		for (int i = 0; i < 8; i++) {
			usleep(10000);
			assert_int_equal(head(), kinds[k].result);
		}
		assert_false(breaker_is_open(&bucket->breaker));
		finish();
	}
}

static void only_one_probes(void **state)
{
	struct breaker b;
	int64_t now = 1000000;

	(void)state;
	breaker_init(&b, 0);
	for (int i = 0; i < BREAKER_FAILURES; i++) {
		assert_int_equal(breaker_enter(&b, now), BREAKER_PASS);
		breaker_done(&b, BREAKER_PASS, BREAKER_DEAD, "dead", now);
	}
	assert_int_equal(breaker_enter(&b, now), BREAKER_REFUSE);
	for (int64_t pause = BREAKER_PAUSE_MIN_MS; pause <= 64000; pause *= 2) {
		int64_t most = pause < BREAKER_PAUSE_MAX_MS ? pause : BREAKER_PAUSE_MAX_MS;

		assert_int_equal(breaker_enter(&b, now + most - 1), BREAKER_REFUSE);
		now += most;
		assert_int_equal(breaker_enter(&b, now), BREAKER_PROBE);
		assert_int_equal(breaker_enter(&b, now), BREAKER_REFUSE);
		breaker_done(&b, BREAKER_PROBE, BREAKER_DEAD, "dead", now);
	}
	/* A probe that failed for reasons of its own makes room for the next at once. */
	now += BREAKER_PAUSE_MAX_MS;
	assert_int_equal(breaker_enter(&b, now), BREAKER_PROBE);
	breaker_done(&b, BREAKER_PROBE, BREAKER_NEUTRAL, "", now);
	assert_int_equal(breaker_enter(&b, now), BREAKER_PROBE);
	breaker_alive(&b);
	assert_int_equal(breaker_enter(&b, now), BREAKER_PASS);
	breaker_destroy(&b);
}

/* -- a GET that resumes -- */

struct taking {
	struct sink sink;
	char bytes[64];
	size_t length;
	int begun, begin_answer, take_answer;
};

static int taking_begin(struct sink *sink, const struct object *object)
{
	struct taking *t = (struct taking *)sink;

	assert_int_equal(object->size_bytes, strlen(content));
	t->begun++;
	return t->begin_answer;
}

static int taking_take(struct sink *sink, uint64_t offset, const void *bytes, size_t length)
{
	struct taking *t = (struct taking *)sink;

	(void)offset;
	assert_true(t->length + length < sizeof(t->bytes));
	memcpy(t->bytes + t->length, bytes, length);
	t->length += length;
	t->bytes[t->length] = '\0';
	return t->length >= 3 ? t->take_answer : 0;
}

static int get(struct taking *t, uint64_t offset, uint64_t length, const char *etag)
{
	struct get_request q = {"key", offset, length, etag, &t->sink};

	t->sink = (struct sink){taking_begin, taking_take};
	return bucket_get(bucket, &q);
}

static void a_get_goes_on_where_it_was(void **state)
{
	struct taking t = {.begun = 0};
	struct bucket_stats stats;

	(void)state;
	BEGIN(5000, DOWN, {.result = -EHOSTDOWN, .again = true, .bytes = 3}, DOWN,
	      {.result = -EHOSTDOWN, .again = true, .bytes = 4});
	assert_int_equal(get(&t, 2, 0, NULL), 0);
	assert_string_equal(t.bytes, content + 2);
	assert_string_equal(script.asked, "2+0: 2+0: 5+0:v1 5+0:v1 9+0:v1 ");
	assert_int_equal(t.begun, 3);
	bucket_stats_read(bucket, &stats);
	assert_int_equal(stats.bytes_in, strlen(content) - 2);
	finish();
}

static void a_range_stays_a_range(void **state)
{
	struct taking t = {.begun = 0};

	(void)state;
	BEGIN(5000, {.result = -EHOSTDOWN, .again = true, .bytes = 3});
	assert_int_equal(get(&t, 2, 8, "v1"), 0);
	assert_string_equal(t.bytes, "23456789");
	assert_string_equal(script.asked, "2+8:v1 5+5:v1 ");
	finish();
}

static void versions_never_mix(void **state)
{
	struct taking t = {.begun = 0};

	(void)state;
	BEGIN(5000, {.result = -EHOSTDOWN, .again = true, .bytes = 3}, {.etag = "v2"},
	      {.etag = "v2"});
	assert_int_equal(get(&t, 0, 0, NULL), -ESTALE);
	assert_int_equal(t.length, 3);
	assert_int_equal(t.begun, 1);
	/* A server that ignores If-Match. */
	assert_int_equal(get(&t, 0, 0, "v1"), -ESTALE);
	assert_int_equal(t.length, 3);
	assert_int_equal(script.used, 3);
	finish();
}

static void without_an_etag_nothing_is_resumed(void **state)
{
	struct taking t = {.begun = 0};

	(void)state;
	BEGIN(5000, {.result = -EHOSTDOWN, .again = true, .etag = "", .bytes = 3});
	assert_int_equal(get(&t, 0, 0, NULL), -EHOSTDOWN);
	assert_int_equal(script.used, 1);
	assert_int_equal(t.length, 3);
	finish();
}

static void what_is_complete_is_complete(void **state)
{
	struct taking t = {.begun = 0};

	(void)state;
	BEGIN(5000, {.result = -EHOSTDOWN, .again = true, .bytes = 100});
	assert_int_equal(get(&t, 0, 0, NULL), 0);
	assert_string_equal(t.bytes, content);
	finish();
}

static void the_sink_has_the_last_word(void **state)
{
	struct taking t = {.take_answer = -ENOSPC}, u = {.begin_answer = -ECANCELED};

	(void)state;
	begin(5000, NULL, 0);
	assert_int_equal(get(&t, 0, 0, NULL), -ENOSPC);
	assert_int_equal(script.used, 1);
	assert_int_equal(get(&u, 0, 0, NULL), -ECANCELED);
	assert_int_equal(u.length, 0);
	finish();
}

/* A GET that gets on is not held to the deadline of one that does not. */
static void progress_moves_the_deadline(void **state)
{
	static struct step slow[6];
	struct taking t = {.begun = 0};

	(void)state;
	for (size_t i = 0; i < 6; i++)
		slow[i] =
		    (struct step){.result = -EHOSTDOWN, .again = true, .bytes = 2, .status = 200};
	begin(300, slow, 6);
	script.wait_ms = 120;
	assert_int_equal(get(&t, 0, 0, NULL), 0);
	assert_string_equal(t.bytes, content);
	finish();
}

/* -- writing -- */

static void writes_are_repeated(void **state)
{
	struct put_request q = {.key = "key", .fd = 0, .length = 5};
	struct object object;
	struct bucket_stats stats;
	const char *keys[] = {"a", "b"};
	int results[2];
	static const int scripted[] = {0, -EACCES};

	(void)state;
	BEGIN(5000, DOWN);
	assert_int_equal(bucket_put(bucket, &q, &object), 0);
	assert_int_equal(object.size_bytes, 5);
	assert_string_equal(object.etag, "new");
	bucket_stats_read(bucket, &stats);
	assert_int_equal(stats.bytes_out, 5);
	script.results = scripted;
	assert_int_equal(bucket_remove(bucket, keys, 2, results), 0);
	assert_int_equal(results[0], 0);
	assert_int_equal(results[1], -EACCES);
	keys[1] = "bad//key";
	assert_int_equal(bucket_remove(bucket, keys, 2, results), -EINVAL);
	finish();
}

static void strange_answers_are_caught(void **state)
{
	struct list_request q = {.prefix = "", .token = "same"};
	struct list_page page;
	char id[UPLOAD_ID_BYTES];

	(void)state;
	begin(5000, NULL, 0);
	script.token = "same";
	assert_int_equal(bucket_list(bucket, &q, &page), -EPROTO);
	script.token = "";
	assert_int_equal(bucket_list(bucket, &q, &page), -EPROTO);
	script.token = "next";
	assert_int_equal(bucket_list(bucket, &q, &page), 0);
	list_page_destroy(&page);
	script.head_result = 2; /* an upload without an id */
	assert_int_equal(bucket_upload_create(bucket, "key", NULL, NULL, id), -EPROTO);
	finish();
}

/* WHOLE: printf PART_1 PART_2 | xxd -r -p | md5sum, and the number of parts */
#define PART_1 "d41d8cd98f00b204e9800998ecf8427e"
#define PART_2 "900150983cd24fb0d6963f7d28e17f72"
#define WHOLE  "66027c6d92d43d01c4f2aa8759629be3-2"

static void lost_completes_are_settled(void **state)
{
	static const struct step gone = {.result = -ENOMSG, .status = 404},
				 error = {.result = -EHOSTDOWN, .again = true, .status = 500};
	const struct {
		struct step step;
		uint64_t size;
		bool etag_fits;
		int result;
	} rows[] = {
	    {gone, 8, true, 0},
	    {error, 8, true, 0},
	    {gone, 9, true, -ENOMSG},
	    {gone, 8, false, -ENOMSG},
	};
	struct part parts[2] = {{1, PART_1}, {2, PART_2}};
	struct object object;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		begin(5000, &rows[i].step, 1);
		script.head_result = 1;
		script.head = (struct object){.size_bytes = rows[i].size};
		strcpy(script.head.etag, WHOLE);
		if (!rows[i].etag_fits)
			script.head.etag[0] = 'x';
		assert_int_equal(bucket_upload_complete(bucket, &(struct complete_request){"key", "id", parts, 2, 8}, &object),
				 rows[i].result);
		if (rows[i].result == 0)
			assert_string_equal(object.etag, script.head.etag);
		else
			assert_non_null(strstr(bucket_why(), "scripted failure"));
		finish();
	}
	/* ETags that are no MD5s prove nothing. */
	begin(5000, &gone, 1);
	script.head_result = 1;
	strcpy(parts[0].etag, "kms");
	assert_int_equal(bucket_upload_complete(bucket, &(struct complete_request){"key", "id", parts, 2, 8}, &object),
			 -ENOMSG);
	finish();
}

static int visits(void *arg, const char *id, int64_t initiated_ns)
{
	size_t used = strlen(arg);

	snprintf((char *)arg + used, 64 - used, "%s@%d ", id, (int)initiated_ns);
	return strcmp(id, "one") == 0 ? 0 : 7;
}

static void uploads(void **state)
{
	struct part_request q = {.key = "key", .id = "id", .number = 1, .fd = 0, .length = 3};
	struct part part;
	char seen[64] = "";

	(void)state;
	BEGIN(5000, DOWN, {.result = 0}, {.result = -ENOMSG}, DOWN);
	assert_int_equal(bucket_upload_part(bucket, &q, &part), 0);
	assert_int_equal(part.number, 1);
	assert_string_equal(part.etag, "part");
	assert_int_equal(bucket_upload_abort(bucket, "key", "id"), 0);
	/* A repeated request repeats no visit, and the visitor's word is passed on. */
	assert_int_equal(bucket_upload_list(bucket, "key", visits, seen), 7);
	assert_string_equal(seen, "one@1 two@2 ");
	finish();
}

static int visits_key(void *arg, const char *key, const char *id, int64_t initiated_ns)
{
	return strcmp(key, "k") ? -EINVAL : visits(arg, id, initiated_ns);
}

static void uploads_come_in_pages(void **state)
{
	char seen[64] = "";
	(void)state;
	BEGIN(5000, {.result = 0}, DOWN, {.result = 0});
	assert_int_equal(bucket_uploads_each(bucket, visits_key, seen), 7);
	assert_string_equal(seen, "one@1 two@2 ");
	finish();
}

/* -- stopping -- */

static void *stop_soon(void *arg)
{
	(void)arg;
	usleep(150000);
	bucket_stop(bucket);
	return NULL;
}

static void stopping_wakes_sleepers(void **state)
{
	pthread_t thread;
	int64_t began = clock_ms();

	(void)state;
	BEGIN(60000, {.result = -EHOSTDOWN, .again = true, .status = 503, .retry_after_ms = 30000});
	assert_int_equal(pthread_create(&thread, NULL, stop_soon, NULL), 0);
	assert_int_equal(head(), -ECANCELED);
	assert_true(clock_ms() - began < 5000);
	pthread_join(thread, NULL);
	assert_true(script.stopped);
	assert_int_equal(head(), -ECANCELED);
	assert_int_equal(script.used, 1);
	assert_string_equal(bucket_why(), "stopped");
	finish();
}

static void *many_heads(void *arg)
{
	(void)arg;
	for (int i = 0; i < 200; i++)
		if (head() != 0)
			return (void *)1;
	return NULL;
}

static void many_threads(void **state)
{
	pthread_t threads[4];
	struct bucket_stats stats;
	void *wrong;

	(void)state;
	begin(5000, NULL, 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, many_heads, NULL), 0);
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], &wrong);
		assert_null(wrong);
	}
	bucket_stats_read(bucket, &stats);
	assert_int_equal(stats.calls[BUCKET_HEAD], 800);
	finish();
}

static void every_operation_has_a_name(void **state)
{
	(void)state;
	for (int i = 0; i < BUCKET_OPS; i++)
		assert_true(strlen(bucket_op_name((enum bucket_op)i)) > 2);
	fault_clear();
	assert_string_not_equal(bucket_why(), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_helps_is_tried_again),
	    cmocka_unit_test(what_does_not_help_is_not),
	    cmocka_unit_test(the_deadline_ends_it),
	    cmocka_unit_test(the_server_may_ask_for_time),
	    cmocka_unit_test(a_dead_endpoint_costs_one_probe),
	    cmocka_unit_test(answers_keep_it_closed),
	    cmocka_unit_test(only_one_probes),
	    cmocka_unit_test(a_get_goes_on_where_it_was),
	    cmocka_unit_test(a_range_stays_a_range),
	    cmocka_unit_test(versions_never_mix),
	    cmocka_unit_test(without_an_etag_nothing_is_resumed),
	    cmocka_unit_test(what_is_complete_is_complete),
	    cmocka_unit_test(the_sink_has_the_last_word),
	    cmocka_unit_test(progress_moves_the_deadline),
	    cmocka_unit_test(writes_are_repeated),
	    cmocka_unit_test(strange_answers_are_caught),
	    cmocka_unit_test(lost_completes_are_settled),
	    cmocka_unit_test(uploads),
	    cmocka_unit_test(uploads_come_in_pages),
	    cmocka_unit_test(stopping_wakes_sleepers),
	    cmocka_unit_test(many_threads),
	    cmocka_unit_test(every_operation_has_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
