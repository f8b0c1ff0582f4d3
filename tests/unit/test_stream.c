/* Multipart uploads: of files that are finished, and of files that are still being written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "cache/base/clock.h"
#include "cache/base/log.h"
#include "cache/flow/stream_internal.h"
#include "tests/support/send_rig.h"

enum { PART = 64 << 10 };

static struct send_rig rig;
static uint8_t bytes[40 * PART];

static int setup(void **state)
{
	(void)state;
	const struct log_config quiet = {.level = LOG_LEVEL_ERROR};
	log_setup(&quiet);
	send_rig_init(&rig);
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 2654435761u >> 13);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	send_rig_destroy(&rig);
	return 0;
}

static void ok(int r)
{
	if (r)
		fail_msg("error %s", strerror(r < 0 ? -r : r));
}

static void sleep_ms(int ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000L};
	nanosleep(&t, NULL);
}

static void cover(void)
{
	ok(checkpoint_wait(rig.cache.flow.checkpoints, index_newest(rig.cache.flow.index), clock_ms() + 10000));
}

static void drain(void)
{
	assert_true(send_rig_drain(&rig, 20000));
	const char *what = send_rig_differs(&rig);
	if (what)
		fail_msg("%s", what);
}

static void expect_bytes(const char *key, size_t length)
{
	struct buf found AUTO_BUF = BUF_EMPTY;
	assert_true(store_get(rig.store, key, &found, NULL));
	assert_int_equal(found.length, length);
	assert_memory_equal(found.data, bytes, length);
}

static unsigned calls(enum bucket_op op)
{
	return store_calls(rig.store, op);
}

static void until_calls(enum bucket_op op, unsigned count)
{
	for (int i = 0; i < 2000 && calls(op) < count; i++)
		sleep_ms(5);
	assert_true(calls(op) >= count);
}

/* Writes [from, to) in pieces, as programs do. */
static void write_on(struct file *file, size_t from, size_t to)
{
	while (from < to) {
		size_t length = to - from < 10000 ? to - from : 10000;
		ok(send_rig_write_at(file, from, bytes + from, length));
		from += length;
	}
}

static bool has_stream(const char *path)
{
	struct node *node = node_find(rig.cache.flow.nodes, send_rig_node(&rig, path).ino);
	if (!node)
		return false;
	lock_take(&node->lock);
	bool has = node->locked.stream;
	lock_drop(&node->lock);
	node_put(&node);
	return has;
}

/* -- the size of parts -- */

static void test_part_sizes(void **state)
{
	(void)state;
	static const uint64_t mib = 1 << 20, tib = (uint64_t)1 << 40;
	struct stream st = {.part_size = 8 * mib};
	uint64_t length, next, end = 0;
	assert_int_equal(stream_part_start(&st, 9999, &length), 9999 * 8 * mib);
	for (unsigned size = 5; size <= 5120; size *= 2) {
		st.part_size = size * mib;
		st.growing = true;
		end = 0;
		for (unsigned i = 0; i < STREAM_PARTS_MAX; i++) {
			next = stream_part_start(&st, i, &length);
			assert_int_equal(next, end); /* no gap, no overlap */
			assert_true(length >= st.part_size && length <= 5120 * mib);
			assert_true(i >= 4000 || length == st.part_size);
			end = next + length;
		}
		assert_true(end >= 5 * tib);
		assert_int_equal(stream_part_start(&st, STREAM_PARTS_MAX, &length), end);
	}
}

/* -- finished files -- */

static void test_finished(void **state)
{
	(void)state;
	send_rig_start(&rig);
	store_set(rig.store, &(struct store_knobs){.delay_us = 2000});
	ok(send_rig_write(&rig, "single", bytes, PART));
	ok(send_rig_write(&rig, ".two", bytes, PART + 1));
	ok(send_rig_write(&rig, ".many", bytes, 30 * PART + 77));
	drain();
	expect_bytes("single", PART);
	expect_bytes(".two", PART + 1);
	expect_bytes(".many", 30 * PART + 77);
	assert_int_equal(calls(BUCKET_PUT), 1);
	assert_int_equal(calls(BUCKET_UPLOAD_CREATE), 2);
	assert_int_equal(calls(BUCKET_UPLOAD_PART), 2 + 31);
	assert_true(store_busiest(rig.store) > 2);
	ok(send_rig_rename(&rig, ".many", "many", 0));
	drain();
	expect_bytes("many", 30 * PART + 77);
	assert_int_equal(calls(BUCKET_COPY), 1);
}

static void test_changed_while_sending(void **state)
{
	(void)state;
	send_rig_start(&rig);
	store_gate(rig.store, ".a");
	ok(send_rig_write(&rig, ".a", bytes, 10 * PART));
	cover();
	assert_true(store_at_gate(rig.store, 4) >= 4);
	ok(send_rig_write(&rig, ".a", bytes, 5 * PART));
	store_gate_open(rig.store);
	drain();
	expect_bytes(".a", 5 * PART);
	store_gate(rig.store, ".b");
	ok(send_rig_write(&rig, ".b", bytes, 10 * PART));
	cover();
	store_at_gate(rig.store, 4);
	ok(send_rig_unlink(&rig, ".b"));
	store_gate_open(rig.store);
	drain();
	assert_false(store_get(rig.store, ".b", NULL, NULL));
}

static void test_links(void **state)
{
	(void)state;
	send_rig_start(&rig);
	store_gate(rig.store, NULL);
	ok(send_rig_write(&rig, ".b", bytes, 10 * PART));
	ok(send_rig_link(&rig, ".b", ".a"));
	ok(send_rig_link(&rig, ".b", ".c"));
	cover();
	store_at_gate(rig.store, 3);
	store_gate_open(rig.store);
	drain();
	expect_bytes(".a", 10 * PART);
	expect_bytes(".c", 10 * PART);
	assert_int_equal(calls(BUCKET_UPLOAD_CREATE), 1);
	assert_int_equal(calls(BUCKET_COPY), 2);
}

/* An appended file goes on in the blob that is being sent. */
static void test_append_while_sending(void **state)
{
	(void)state;
	struct file *file;
	send_rig_start(&rig);
	store_gate(rig.store, ".a");
	ok(send_rig_write(&rig, ".a", bytes, 5 * PART + 5));
	cover();
	store_at_gate(rig.store, 4);
	ok(file_open(&rig.cache, send_rig_node(&rig, ".a").ino, O_RDWR, &file));
	write_on(file, 5 * PART + 5, 12 * PART);
	store_gate_open(rig.store);
	for (int i = 0; i < 2000 && !store_get(rig.store, ".a", NULL, NULL); i++)
		sleep_ms(5);
	expect_bytes(".a", 5 * PART + 5);
	ok(file_flush(file));
	file_close(&file);
	drain();
	expect_bytes(".a", 12 * PART);
}

/* -- streams -- */

static void test_stream(void **state)
{
	(void)state;
	struct file *file;
	send_rig_start(&rig);
	ok(send_rig_open_new(&rig, "a", &file));
	write_on(file, 0, 2 * PART);
	assert_false(has_stream("a"));
	write_on(file, 2 * PART, 20 * PART + 99);
	assert_true(has_stream("a"));
	until_calls(BUCKET_UPLOAD_PART, 20); /* before it is flushed, let alone covered */
	assert_false(store_get(rig.store, "a", NULL, NULL));
	cover();
	sleep_ms(50);
	assert_int_equal(calls(BUCKET_UPLOAD_COMPLETE), 0);
	ok(file_flush(file));
	file_close(&file);
	drain();
	expect_bytes("a", 20 * PART + 99);
	assert_int_equal(calls(BUCKET_UPLOAD_CREATE), 1);
	assert_int_equal(calls(BUCKET_UPLOAD_PART), 21);
	assert_int_equal(calls(BUCKET_PUT), 0);
}

/* Flushed in the middle of a part, then written on: each version is what was flushed. */
static void test_stream_flushed_twice(void **state)
{
	(void)state;
	struct file *file;
	send_rig_start(&rig);
	ok(send_rig_open_new(&rig, "a", &file));
	write_on(file, 0, 6 * PART + 500);
	until_calls(BUCKET_UPLOAD_PART, 6);
	ok(file_flush(file));
	write_on(file, 6 * PART + 500, 9 * PART);
	for (int i = 0; i < 2000 && !store_get(rig.store, "a", NULL, NULL); i++)
		sleep_ms(5);
	expect_bytes("a", 6 * PART + 500);
	ok(file_flush(file));
	file_close(&file);
	drain();
	expect_bytes("a", 9 * PART);
}

static void test_stream_hidden(void **state)
{
	(void)state;
	struct file *file;
	send_rig_start(&rig);
	ok(send_rig_open_new(&rig, ".a.tmp", &file));
	write_on(file, 0, 20 * PART);
	assert_false(has_stream(".a.tmp"));
	ok(file_flush(file));
	file_close(&file);
	ok(send_rig_rename(&rig, ".a.tmp", "a", 0));
	drain();
	expect_bytes("a", 20 * PART);
}

static void test_stream_renamed(void **state)
{
	(void)state;
	struct file *file;
	send_rig_start(&rig);
	ok(send_rig_open_new(&rig, "a", &file));
	write_on(file, 0, 10 * PART);
	until_calls(BUCKET_UPLOAD_PART, 5);
	ok(send_rig_rename(&rig, "a", "b", 0));
	write_on(file, 10 * PART, 12 * PART);
	ok(file_flush(file));
	file_close(&file);
	drain();
	expect_bytes("b", 12 * PART);
	assert_int_equal(calls(BUCKET_UPLOAD_ABORT), 1);
}

static void test_stream_broken(void **state)
{
	(void)state;
	struct file *file;
	send_rig_start(&rig);
	ok(send_rig_open_new(&rig, "a", &file));
	write_on(file, 0, 10 * PART);
	until_calls(BUCKET_UPLOAD_PART, 5);
	bytes[3] = 'x';
	ok(send_rig_write_at(file, 3, "x", 1)); /* as the writers of mp4 do at the end */
	assert_false(has_stream("a"));
	ok(file_flush(file));
	file_close(&file);
	drain();
	expect_bytes("a", 10 * PART);
	assert_int_equal(calls(BUCKET_UPLOAD_ABORT), 1);
}

static void test_stream_thrown_away(void **state)
{
	(void)state;
	struct file *file;
	send_rig_start(&rig);
	for (int i = 0; i < 2; i++) {
		ok(send_rig_open_new(&rig, "a", &file));
		write_on(file, 0, 10 * PART);
		until_calls(BUCKET_UPLOAD_PART, 5);
		ok(send_rig_unlink(&rig, "a"));
		if (i) /* still written on */
			write_on(file, 10 * PART, 12 * PART);
		file_close(&file);
		drain();
		assert_int_equal(store_objects(rig.store), 0);
	}
}

/* Published as a version that nobody wants any more before it is sent. */
static void test_stream_replaced(void **state)
{
	(void)state;
	struct file *file;
	send_rig_start(&rig);
	store_gate(rig.store, "a");
	ok(send_rig_open_new(&rig, "a", &file));
	write_on(file, 0, 10 * PART);
	store_at_gate(rig.store, 1);
	ok(file_flush(file));
	file_close(&file);
	ok(send_rig_write(&rig, "b", bytes, 100));
	ok(send_rig_rename(&rig, "b", "a", 0));
	store_gate_open(rig.store);
	drain();
	expect_bytes("a", 100);
}

/* -- failures -- */

struct judged {
	enum bucket_op op;
	int error, left; /* so many of them */
};

static int judge(void *arg, enum bucket_op op, const char *key)
{
	struct judged *j = arg;
	(void)key;
	if (op != j->op || !j->left)
		return 0;
	j->left--;
	return j->error;
}

/* Parts that were taken are not sent again after an outage. */
static void test_goes_on(void **state)
{
	(void)state;
	struct judged down = {BUCKET_UPLOAD_PART, -EHOSTDOWN, 1};
	rig.config.uploads = 1;
	send_rig_start(&rig);
	store_set(rig.store, &(struct store_knobs){.delay_us = 50000});
	ok(send_rig_write(&rig, ".a", bytes, 10 * PART));
	until_calls(BUCKET_UPLOAD_PART, 4);
	store_set(rig.store, &(struct store_knobs){.judge = judge, .arg = &down});
	for (int i = 0; i < 2000 && down.left; i++)
		sleep_ms(5);
	assert_int_equal(down.left, 0);
	drain(); /* the suspect is put off for 5 s */
	expect_bytes(".a", 10 * PART);
	assert_int_equal(calls(BUCKET_UPLOAD_CREATE), 1);
	assert_int_equal(calls(BUCKET_UPLOAD_PART), 11);
}

/* All parts are there when an outage stops it; then the file is appended to, in the same blob. */
static void test_goes_on_longer(void **state)
{
	(void)state;
	struct judged down = {BUCKET_UPLOAD_COMPLETE, -EHOSTDOWN, 1};
	struct file *file;
	send_rig_start(&rig);
	store_set(rig.store, &(struct store_knobs){.judge = judge, .arg = &down});
	ok(send_rig_write(&rig, ".a", bytes, 5 * PART + 500));
	for (int i = 0; i < 2000 && down.left; i++)
		sleep_ms(5);
	assert_int_equal(down.left, 0);
	ok(file_open(&rig.cache, send_rig_node(&rig, ".a").ino, O_RDWR, &file));
	write_on(file, 5 * PART + 500, 7 * PART + 9);
	ok(file_flush(file));
	file_close(&file);
	drain();
	expect_bytes(".a", 7 * PART + 9);
	assert_int_equal(calls(BUCKET_UPLOAD_CREATE), 1);
	assert_int_equal(calls(BUCKET_UPLOAD_PART), 6 + 3); /* the sixth once more, longer */
}

static void check_failure(enum bucket_op op, int error)
{
	struct judged bad = {op, error, 1};
	send_rig_start(&rig);
	store_set(rig.store, &(struct store_knobs){.judge = judge, .arg = &bad});
	ok(send_rig_write(&rig, ".a", bytes, 10 * PART));
	int64_t start_ms = clock_ms();
	while (send_rig_pending_count(&rig) && clock_ms() - start_ms < 10000) {
		cover();
		send_hurry(rig.cache.flow.sends);
		sleep_ms(20);
	}
	drain();
	expect_bytes(".a", 10 * PART);
	assert_int_equal(bad.left, 0);
}

static void test_failures(void **state)
{
	static const struct {
		enum bucket_op op;
		int error;
	} cases[] = {
		{BUCKET_UPLOAD_CREATE, -EINVAL},   {BUCKET_UPLOAD_CREATE, -EHOSTDOWN},
		{BUCKET_UPLOAD_PART, -EINVAL},	   {BUCKET_UPLOAD_PART, -ENOMSG},
		{BUCKET_UPLOAD_COMPLETE, -ENOMSG}, {BUCKET_UPLOAD_COMPLETE, -EINVAL},
		{BUCKET_UPLOAD_COMPLETE, -EACCES},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		check_failure(cases[i].op, cases[i].error);
		teardown(state);
		setup(state);
	}
	send_rig_start(&rig);
}

/* A lost answer to a create leaves an upload that nobody knows: it is found by its key. */
static void test_lost_create(void **state)
{
	(void)state;
	rig.config.uploads = 1;
	send_rig_start(&rig);
	ok(send_rig_write(&rig, "z", bytes, 10)); /* so that the trial has something else */
	drain();
	store_set(rig.store, &(struct store_knobs){.lose = 1000});
	ok(send_rig_write(&rig, ".a", bytes, 10 * PART));
	until_calls(BUCKET_UPLOAD_CREATE, 1);
	sleep_ms(100);
	assert_int_equal(store_uploads(rig.store), 1);
	store_set(rig.store, &(struct store_knobs){.lose = 0});
	for (int i = 0; i < 20; i++) {
		cover();
		send_hurry(rig.cache.flow.sends);
		sleep_ms(100);
	}
	drain();
	expect_bytes(".a", 10 * PART);
}

/* -- what an earlier process left -- */

static void leave_record(uint64_t blob, const char *key, const char *id)
{
	struct txn *txn;
	struct upload_record record = {.blob = blob, .since_ns = 1};
	snprintf(record.key, sizeof(record.key), "%s", key);
	snprintf(record.id, sizeof(record.id), "%s", id);
	ok(txn_begin_write(rig.cache.flow.index, &txn));
	ok(uploads_put(txn, &record));
	ok(txn_commit(&txn));
	checkpoint_kick(rig.cache.flow.checkpoints);
}

static void test_leftovers(void **state)
{
	(void)state;
	struct bucket *b;
	char id[UPLOAD_ID_BYTES], unknown[UPLOAD_ID_BYTES], others[UPLOAD_ID_BYTES];
	send_rig_start(&rig);
	b = rig.cache.flow.bucket;
	ok(bucket_upload_create(b, "known", NULL, NULL, id));
	ok(bucket_upload_create(b, "unknown", NULL, NULL, unknown));
	ok(bucket_upload_create(b, "others", NULL, NULL, others));
	leave_record(900, "known", id);
	leave_record(901, "unknown", "");
	leave_record(902, "gone", "no-such-upload");
	send_rig_stop(&rig, true);
	store_set(rig.store, &(struct store_knobs){.delay_us = 20000});
	send_rig_start(&rig);
	ok(send_rig_write(&rig, "unknown", bytes, 10 * PART));
	assert_true(send_rig_drain(&rig, 20000));
	expect_bytes("unknown", 10 * PART);
	assert_int_equal(store_uploads(rig.store), 1); /* not ours */
	ok(bucket_upload_abort(rig.cache.flow.bucket, "others", others));
}

static void test_leftovers_of_a_kill(void **state)
{
	(void)state;
	struct file *file;
	send_rig_start(&rig);
	ok(send_rig_open_new(&rig, "a", &file));
	write_on(file, 0, 10 * PART);
	until_calls(BUCKET_UPLOAD_PART, 5);
	store_gate(rig.store, ".b");
	ok(send_rig_write(&rig, ".b", bytes, 10 * PART));
	cover();
	store_at_gate(rig.store, 1);
	struct send_rig after;
	send_rig_crash(&rig, &after, false);
	store_gate_open(rig.store);
	assert_int_equal(store_uploads(after.store), 2);
	send_rig_start(&after);
	assert_int_equal(after.found, INDEX_KILLED);
	assert_true(send_rig_drain(&after, 20000));
	const char *what = send_rig_differs(&after);
	if (what)
		fail_msg("%s", what);
	send_rig_destroy(&after);
	file_close(&file);
	drain();
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(part_sizes), TEST(finished), TEST(changed_while_sending), TEST(links),
		TEST(append_while_sending), TEST(stream), TEST(stream_flushed_twice), TEST(stream_hidden),
		TEST(stream_renamed), TEST(stream_broken), TEST(stream_thrown_away), TEST(stream_replaced),
		TEST(goes_on), TEST(goes_on_longer), TEST(failures), TEST(lost_create), TEST(leftovers), TEST(leftovers_of_a_kill),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
