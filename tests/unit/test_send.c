/* The sender, one behaviour a test, over a real index and real blobs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include "cache/base/clock.h"
#include "cache/base/log.h"
#include "tests/support/send_rig.h"

static struct send_rig rig;

static int setup(void **state)
{
	(void)state;
	const struct log_config quiet = {.level = LOG_LEVEL_ERROR};
	log_setup(&quiet);
	send_rig_init(&rig);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	send_rig_destroy(&rig);
	return 0;
}

static void set(const struct store_knobs *knobs)
{
	store_set(rig.store, knobs);
}

static void expect_story(const char *expected)
{
	struct buf story AUTO_BUF = BUF_EMPTY;
	store_story(rig.store, &story);
	assert_string_equal(buf_string(&story), expected);
}

static void forget_story(void)
{
	struct buf story AUTO_BUF = BUF_EMPTY;
	store_story(rig.store, &story);
}

static void expect_object(const char *key, const char *text)
{
	struct buf bytes AUTO_BUF = BUF_EMPTY;
	if (!text) {
		assert_false(store_get(rig.store, key, NULL, NULL));
		return;
	}
	assert_true(store_get(rig.store, key, &bytes, NULL));
	assert_int_equal(bytes.length, strlen(text));
	assert_string_equal(buf_string(&bytes), text);
}

static void drain(void)
{
	assert_true(send_rig_drain(&rig, 20000));
	const char *what = send_rig_differs(&rig);
	if (what)
		fail_msg("%s", what);
}

static void ok(int r)
{
	if (r)
		fail_msg("error %s", strerror(r < 0 ? -r : r));
}

static void put(const char *path, const char *text)
{
	ok(send_rig_write(&rig, path, text, strlen(text)));
}

static void sleep_ms(int ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000L};
	nanosleep(&t, NULL);
}

static uint64_t newest(void)
{
	return index_newest(rig.cache.flow.index);
}

static void cover(void)
{
	ok(checkpoint_wait(rig.cache.flow.checkpoints, newest(), clock_ms() + 10000));
}

static struct send_stats stats(void)
{
	struct send_stats s;
	send_stats_read(rig.cache.flow.sends, &s);
	return s;
}

static bool until_stopped(bool stopped)
{
	for (int i = 0; i < 2000 && stats().stopped != stopped; i++)
		sleep_ms(5);
	return stats().stopped == stopped;
}

/* -- the plain ways -- */

static void test_put(void **state)
{
	(void)state;
	send_rig_start(&rig);
	put("a", "one");
	put("empty", "");
	ok(send_rig_mkdir(&rig, "d"));
	put("d/b", "two");
	drain();
	expect_object("a", "one");
	expect_object("empty", "");
	expect_object("d/b", "two");
	assert_int_equal(send_rig_node(&rig, "a").content, CONTENT_CLEAN);
	assert_int_equal(store_calls(rig.store, BUCKET_PUT), 3);
	assert_int_equal(stats().puts, 3);
	assert_int_equal(stats().bytes, 6);
	ok(send_rig_unlink(&rig, "a"));
	put("d/b", "three");
	drain();
	expect_object("a", NULL);
	expect_object("d/b", "three");
	assert_int_equal(stats().removes, 1);
}

static void test_nothing_before_the_checkpoint(void **state)
{
	(void)state;
	struct pending_record record;
	send_rig_start(&rig);
	for (int i = 0; i < 200; i++) {
		char text[32];
		snprintf(text, sizeof(text), "%d", i);
		put("a", text);
		assert_true(send_rig_pending(&rig, "a", &record));
		bool sent = store_get(rig.store, "a", NULL, NULL);
		assert_true(!sent || index_covered(rig.cache.flow.index) > 0);
		assert_true(record.txn > index_covered(rig.cache.flow.index));
		send_kick(rig.cache.flow.sends);
		if (i % 50 == 49)
			cover();
	}
	drain();
	assert_in_range(store_calls(rig.store, BUCKET_PUT), 1, 8);
}

/* A wish that came and went between two checkpoints makes no request. */
static void test_forgotten(void **state)
{
	(void)state;
	bool quiet = false;
	send_rig_start(&rig);
	for (int i = 0; i < 50 && !quiet; i++) { /* a checkpoint may just come in between */
		struct buf story AUTO_BUF = BUF_EMPTY;
		cover();
		put("a", "one");
		ok(send_rig_unlink(&rig, "a"));
		drain();
		store_story(rig.store, &story);
		quiet = !story.length;
	}
	assert_true(quiet);
}

static void test_new_file_waits_for_its_first_flush(void **state)
{
	(void)state;
	struct file *file;
	send_rig_start(&rig);
	ok(send_rig_open_new(&rig, "a", &file));
	cover();
	ok(send_rig_write_at(file, 0, "one", 3));
	cover();
	sleep_ms(100);
	expect_story("");
	ok(file_flush(file));
	file_close(&file);
	drain();
	expect_story("put a, ");
}

static void test_restart(void **state)
{
	(void)state;
	send_rig_start(&rig);
	set(&(struct store_knobs){.fail = 1000});
	put("a", "one");
	put("b", "two");
	cover();
	send_rig_stop(&rig, true);
	set(&(struct store_knobs){.fail = 0});
	forget_story();
	send_rig_start(&rig);
	assert_int_equal(rig.found, INDEX_CLEAN);
	drain();
	expect_object("a", "one");
	expect_object("b", "two");
}

/* -- changed while it is under way -- */

static void test_put_put(void **state)
{
	(void)state;
	send_rig_start(&rig);
	store_gate(rig.store, "a");
	put("a", "one");
	cover();
	assert_int_equal(store_at_gate(rig.store, 1), 1);
	put("a", "two");
	cover();
	sleep_ms(50);
	store_gate_open(rig.store);
	drain();
	expect_object("a", "two");
	expect_story("put a, put a, ");
}

static void test_put_remove_put(void **state)
{
	(void)state;
	send_rig_start(&rig);
	store_gate(rig.store, "a");
	put("a", "one");
	cover();
	store_at_gate(rig.store, 1);
	ok(send_rig_unlink(&rig, "a"));
	cover();
	store_gate_open(rig.store);
	drain();
	expect_object("a", NULL);
	expect_story("put a, remove a, ");

	put("a", "one");
	drain();
	store_gate(rig.store, "a");
	ok(send_rig_unlink(&rig, "a"));
	cover();
	store_at_gate(rig.store, 1);
	put("a", "two");
	cover();
	sleep_ms(50);
	store_gate_open(rig.store);
	drain();
	expect_object("a", "two");
	expect_story("put a, remove a, put a, ");
}

/* Unlinked while its first PUT is under way, and before the next checkpoint: the object must go all the same. */
static void test_remove_of_what_is_under_way(void **state)
{
	(void)state;
	send_rig_start(&rig);
	for (int rewrite = 0; rewrite < 2; rewrite++) {
		store_gate(rig.store, "a");
		put("a", "one");
		cover();
		store_at_gate(rig.store, 1);
		if (rewrite)
			put("a", "two");
		ok(send_rig_unlink(&rig, "a"));
		store_gate_open(rig.store);
		drain();
		expect_object("a", NULL);
	}
}

static void test_append_while_sending(void **state)
{
	(void)state;
	struct stat st;
	struct file *file;
	send_rig_start(&rig);
	store_gate(rig.store, "a");
	put("a", "one");
	cover();
	store_at_gate(rig.store, 1);
	ok(send_rig_look(&rig, "a", &st));
	ok(file_open(&rig.cache, st.st_ino, O_RDWR, &file));
	ok(send_rig_write_at(file, 3, "more", 4));
	store_gate_open(rig.store);
	for (int i = 0; i < 2000 && !store_get(rig.store, "a", NULL, NULL); i++)
		sleep_ms(5);
	expect_object("a", "one");
	ok(file_flush(file));
	file_close(&file);
	drain();
	expect_object("a", "onemore");
}

/* -- names -- */

static void test_rename_copies(void **state)
{
	(void)state;
	send_rig_start(&rig);
	put("a", "one");
	drain();
	forget_story();
	ok(send_rig_rename(&rig, "a", "b", 0));
	drain();
	expect_object("b", "one");
	expect_story("copy b, remove a, ");
	assert_true(send_rig_evict(&rig, "b"));
	ok(send_rig_rename(&rig, "b", "c", 0));
	drain();
	expect_object("c", "one");
	expect_story("copy c, remove b, ");
}

/* The old name is not deleted before a checkpoint knows of the new object. */
static void test_rename_and_back(void **state)
{
	(void)state;
	send_rig_start(&rig);
	put("a", "one");
	drain();
	store_gate(rig.store, "b");
	ok(send_rig_rename(&rig, "a", "b", 0));
	cover();
	store_at_gate(rig.store, 1);
	ok(send_rig_rename(&rig, "b", "a", 0));
	cover();
	expect_object("a", "one");
	store_gate_open(rig.store);
	drain();
	expect_object("a", "one");
	expect_object("b", NULL);
	forget_story();
	ok(send_rig_rename(&rig, "a", "b", 0));
	ok(send_rig_rename(&rig, "b", "a", 0));
	drain();
	assert_int_equal(store_calls(rig.store, BUCKET_COPY), 1); /* of the first time */
	expect_object("a", "one");
}

static void test_rename_over(void **state)
{
	(void)state;
	send_rig_start(&rig);
	put("a", "one");
	put("b", "two");
	put("c", "three");
	drain();
	for (int evict = 0; evict < 2; evict++) {
		put("a", "one");
		put("b", "two");
		put("c", "three");
		drain();
		if (evict) {
			assert_true(send_rig_evict(&rig, "a"));
			assert_true(send_rig_evict(&rig, "b"));
			assert_true(send_rig_evict(&rig, "c"));
		}
		ok(send_rig_rename(&rig, "b", "c", 0)); /* a chain: b waits for c, a for b */
		ok(send_rig_rename(&rig, "a", "b", 0));
		drain();
		expect_object("a", NULL);
		expect_object("b", "one");
		expect_object("c", "two");
	}
}

static void test_exchange(void **state)
{
	(void)state;
	send_rig_start(&rig);
	for (int evict = 0; evict < 4; evict++) {
		put("a", "one");
		put("b", "two");
		drain();
		assert_true(!(evict & 1) || send_rig_evict(&rig, "a"));
		assert_true(!(evict & 2) || send_rig_evict(&rig, "b"));
		ok(send_rig_rename(&rig, "a", "b", RENAME_EXCHANGE));
		drain();
		expect_object("a", "two");
		expect_object("b", "one");
	}
}

static void test_ring_of_three(void **state)
{
	(void)state;
	send_rig_start(&rig);
	for (int evict = 0; evict < 2; evict++) {
		put("a", "one");
		put("b", "two");
		put("c", "three");
		drain();
		for (int i = 0; evict && i < 3; i++)
			assert_true(send_rig_evict(&rig, (const char *[]){"a", "b", "c"}[i]));
		store_gate(rig.store, "x");
		ok(send_rig_rename(&rig, "a", "x", 0));
		ok(send_rig_rename(&rig, "b", "a", 0));
		ok(send_rig_rename(&rig, "c", "b", 0));
		ok(send_rig_rename(&rig, "x", "c", 0));
		store_gate_open(rig.store);
		drain();
		expect_object("a", "two");
		expect_object("b", "three");
		expect_object("c", "one");
	}
}

static void test_links(void **state)
{
	(void)state;
	send_rig_start(&rig);
	put("b", "one");
	ok(send_rig_link(&rig, "b", "a"));
	ok(send_rig_link(&rig, "b", "c"));
	drain();
	expect_object("a", "one");
	expect_object("c", "one");
	ok(send_rig_link(&rig, "a", "d"));
	assert_true(send_rig_evict(&rig, "a"));
	drain();
	expect_object("d", "one");
	ok(send_rig_unlink(&rig, "b"));
	ok(send_rig_link(&rig, "c", "e"));
	drain();
	expect_object("e", "one");
	expect_object("b", NULL);
}

static void test_symlink(void **state)
{
	(void)state;
	struct object object;
	send_rig_start(&rig);
	ok(send_rig_symlink(&rig, "s", "there"));
	drain();
	expect_object("s", "there");
	assert_true(store_get(rig.store, "s", NULL, &object));
	assert_true(object.attrs.valid && S_ISLNK(object.attrs.mode));
	ok(send_rig_rename(&rig, "s", "t", 0));
	drain();
	assert_true(store_get(rig.store, "t", NULL, &object));
	assert_true(S_ISLNK(object.attrs.mode));
}

static void test_attrs(void **state)
{
	(void)state;
	struct attr_change change = {.fields = ATTR_MODE, .mode = 0600};
	struct object object;
	struct stat st;
	rig.config.bucket.attrs_object = true;
	send_rig_start(&rig);
	store_gate(rig.store, "a");
	put("a", "one");
	cover();
	store_at_gate(rig.store, 1);
	ok(send_rig_look(&rig, "a", &st));
	ok(tree_setattr(&rig.cache, st.st_ino, &change, &st)); /* while its PUT is under way */
	store_gate_open(rig.store);
	drain();
	expect_story("put a, copy a, ");
	assert_true(store_get(rig.store, "a", NULL, &object));
	assert_int_equal(object.attrs.mode, S_IFREG | 0600);
	change.mode = 0640;
	ok(tree_setattr(&rig.cache, st.st_ino, &change, &st));
	drain();
	expect_story("copy a, ");
	assert_true(store_get(rig.store, "a", NULL, &object));
	assert_int_equal(object.attrs.mode, S_IFREG | 0640);
}

/* -- failures -- */

struct judged {
	const char *key;
	enum bucket_op op;
	int error;
};

static int judge(void *arg, enum bucket_op op, const char *key)
{
	const struct judged *j = arg;
	if (j->op != BUCKET_OPS && j->op != op)
		return 0;
	return !j->key || !strcmp(j->key, key) ? j->error : 0;
}

static void test_copy_falls_back(void **state)
{
	(void)state;
	struct judged no_copy = {NULL, BUCKET_COPY, -EINVAL};
	send_rig_start(&rig);
	put("a", "one");
	put("g", "gone");
	drain();
	set(&(struct store_knobs){.judge = judge, .arg = &no_copy});
	ok(send_rig_rename(&rig, "a", "b", 0));
	drain();
	expect_object("b", "one");
	set(&(struct store_knobs){.judge = NULL});
	store_remove(rig.store, "g"); /* by somebody else */
	ok(send_rig_rename(&rig, "g", "h", 0));
	drain();
	expect_object("h", "gone");
}

static void test_one_key_refused(void **state)
{
	(void)state;
	struct judged bad = {"bad", BUCKET_OPS, -EINVAL};
	struct pending_record record;
	send_rig_start(&rig);
	set(&(struct store_knobs){.judge = judge, .arg = &bad});
	put("bad", "x");
	put("a", "one");
	put("z", "two");
	for (int i = 0; i < 2000 && send_rig_pending_count(&rig) > 1; i++)
		sleep_ms(5);
	expect_object("a", "one");
	expect_object("z", "two");
	assert_true(send_rig_pending(&rig, "bad", &record));
	for (int i = 0; i < 2000 && !record.attempts; i++, sleep_ms(5))
		send_rig_pending(&rig, "bad", &record);
	assert_int_equal(record.attempts, 1);
	assert_in_range((uint64_t)(record.retry_ns - clock_wall_ns()), 3000000000u, 5000000000u);
	assert_false(stats().stopped);
	cover();
	send_hurry(rig.cache.flow.sends);
	for (int i = 0; i < 2000 && record.attempts < 2; i++, sleep_ms(5))
		send_rig_pending(&rig, "bad", &record);
	assert_int_equal(record.attempts, 2);
	set(&(struct store_knobs){.judge = NULL});
	cover();
	send_hurry(rig.cache.flow.sends);
	drain();
}

/* A retry comes by itself. */
static void test_retry(void **state)
{
	(void)state;
	struct judged bad = {"bad", BUCKET_PUT, -EINVAL};
	send_rig_start(&rig);
	set(&(struct store_knobs){.judge = judge, .arg = &bad});
	put("bad", "x");
	cover();
	for (int i = 0; i < 2000 && !stats().failures; i++)
		sleep_ms(5);
	set(&(struct store_knobs){.judge = NULL});
	int64_t start_ms = clock_ms();
	while (send_rig_pending_count(&rig) && clock_ms() - start_ms < 15000)
		sleep_ms(10);
	assert_in_range(clock_ms() - start_ms, 3000, 8000);
	drain();
}

static void test_removes(void **state)
{
	(void)state;
	struct judged bad = {"f0007", BUCKET_REMOVE, -EACCES};
	struct pending_record record = {.attempts = 0};
	char path[16];
	send_rig_start(&rig);
	for (int i = 0; i < 50; i++) {
		snprintf(path, sizeof(path), "f%04d", i);
		put(path, path);
	}
	drain();
	set(&(struct store_knobs){.judge = judge, .arg = &bad});
	store_gate(rig.store, "f0000");
	for (int i = 0; i < 50; i++) {
		snprintf(path, sizeof(path), "f%04d", i);
		ok(send_rig_unlink(&rig, path));
	}
	cover();
	store_gate_open(rig.store);
	for (int i = 0; i < 2000 && !record.attempts; i++, sleep_ms(5))
		send_rig_pending(&rig, "f0007", &record);
	assert_int_equal(record.attempts, 1);
	assert_int_equal(send_rig_pending_count(&rig), 1);
	assert_int_equal(store_objects(rig.store), 1);
	assert_false(stats().stopped);
	assert_in_range(store_calls(rig.store, BUCKET_REMOVE), 1, 20);
	set(&(struct store_knobs){.judge = NULL});
	cover();
	send_hurry(rig.cache.flow.sends);
	drain();
}

static void test_poisoned_batch(void **state)
{
	(void)state;
	struct pending_record record = {.attempts = 0};
	char path[16];
	send_rig_start(&rig);
	for (int i = 0; i < 64; i++) {
		snprintf(path, sizeof(path), "f%04d", i);
		put(path, path);
	}
	drain();
	set(&(struct store_knobs){.poison = "f0033"});
	for (int i = 0; i < 64; i++) {
		snprintf(path, sizeof(path), "f%04d", i);
		ok(send_rig_unlink(&rig, path));
	}
	cover();
	for (int i = 0; i < 2000 && !record.attempts; i++, sleep_ms(5))
		send_rig_pending(&rig, "f0033", &record);
	for (int i = 0; i < 2000 && send_rig_pending_count(&rig) > 1; i++)
		sleep_ms(5);
	assert_int_equal(store_objects(rig.store), 1);
	set(&(struct store_knobs){.poison = NULL});
	cover();
	send_hurry(rig.cache.flow.sends);
	drain();
}

/* -- the whole bucket -- */

static void check_outage(int error, bool probe_too)
{
	struct judged all = {NULL, BUCKET_OPS, error};
	struct pending_record record;
	char path[16];
	send_rig_start(&rig);
	set(&(struct store_knobs){.judge = judge, .arg = &all, .probe_error = probe_too ? error : 0});
	for (int i = 0; i < 40; i++) {
		snprintf(path, sizeof(path), "f%04d", i);
		put(path, path);
	}
	cover();
	assert_true(until_stopped(true));
	assert_true(strlen(stats().why) > 0);
	sleep_ms(1500); /* one look after 1 s */
	assert_int_equal(send_rig_pending_count(&rig), 40);
	assert_in_range(store_calls(rig.store, BUCKET_PUT), 1, 8 + 3);
	assert_true(stats().stopped);
	if (error != -EHOSTDOWN) {
		int64_t start_ms = clock_ms();
		assert_int_equal(send_wait(rig.cache.flow.sends, send_rig_node(&rig, "f0000").ino, 1,
					   clock_ms() + 10000), -EIO);
		assert_true(clock_ms() - start_ms < 1000);
	}
	set(&(struct store_knobs){.judge = NULL});
	assert_true(until_stopped(false));
	assert_string_equal(stats().why, "");
	for (int i = 0; i < 40; i++) { /* a suspect is put off, and comes later */
		snprintf(path, sizeof(path), "f%04d", i);
		if (send_rig_pending(&rig, path, &record) && record.attempts)
			send_hurry(rig.cache.flow.sends);
	}
	cover();
	send_hurry(rig.cache.flow.sends);
	drain();
}

static void test_refused(void **state)
{
	(void)state;
	check_outage(-EACCES, true);
}

static void test_refused_but_probed(void **state)
{
	(void)state;
	check_outage(-EACCES, false);
}

static void test_no_bucket(void **state)
{
	(void)state;
	check_outage(-ENODEV, true);
}

static void test_down(void **state)
{
	(void)state;
	check_outage(-EHOSTDOWN, true);
}

/* One key that looks like an outage does not stop the others for good. */
static void test_poison(void **state)
{
	(void)state;
	struct judged bad = {"a", BUCKET_PUT, -EHOSTDOWN};
	char path[16];
	send_rig_start(&rig);
	set(&(struct store_knobs){.judge = judge, .arg = &bad});
	put("a", "poison");
	for (int i = 0; i < 100; i++) {
		snprintf(path, sizeof(path), "f%04d", i);
		put(path, path);
	}
	cover();
	int64_t start_ms = clock_ms();
	while (send_rig_pending_count(&rig) > 1 && clock_ms() - start_ms < 10000)
		sleep_ms(5);
	assert_int_equal(send_rig_pending_count(&rig), 1);
	set(&(struct store_knobs){.judge = NULL});
	assert_true(until_stopped(false));
	cover();
	send_hurry(rig.cache.flow.sends);
	drain();
}

/* -- waiting and stopping -- */

static void test_wait(void **state)
{
	(void)state;
	struct sends *s;
	send_rig_start(&rig);
	s = rig.cache.flow.sends;
	put("a", "one");
	uint64_t ino = send_rig_node(&rig, "a").ino;
	assert_int_equal(send_wait(s, ino, 1, clock_ms() + 10000), 0);
	expect_object("a", "one");
	assert_int_equal(send_wait(s, ino, 1, clock_ms() - 1), 0);
	store_gate(rig.store, "a");
	put("a", "two");
	assert_int_equal(send_wait(s, ino, 2, clock_ms() + 300), -ETIMEDOUT);
	ok(send_rig_unlink(&rig, "a"));
	assert_int_equal(send_wait(s, ino, 2, clock_ms() + 10000), 0);
	store_gate_open(rig.store);
	drain();
	assert_int_equal(send_wait(s, 123456, 1, clock_ms() + 10000), 0);
	struct judged bad = {"b", BUCKET_PUT, -EINVAL};
	set(&(struct store_knobs){.judge = judge, .arg = &bad});
	put("b", "x");
	assert_int_equal(send_wait(s, send_rig_node(&rig, "b").ino, 1, clock_ms() + 10000), -EIO);
	set(&(struct store_knobs){.judge = NULL});
	cover();
	send_hurry(s);
	drain();
}

/* Behind ten thousand others in key order, and before them because somebody waits. */
static void test_wait_goes_first(void **state)
{
	(void)state;
	char path[16];
	rig.config.uploads = 2;
	send_rig_start(&rig);
	set(&(struct store_knobs){.delay_us = 4000});
	for (int i = 0; i < 3000; i++) {
		snprintf(path, sizeof(path), "f%04d", i);
		put(path, path);
	}
	cover();
	put("z", "now");
	int64_t start_ms = clock_ms();
	assert_int_equal(send_wait(rig.cache.flow.sends, send_rig_node(&rig, "z").ino, 1,
				   clock_ms() + 20000), 0);
	assert_true(clock_ms() - start_ms < 2000);
	assert_true(send_rig_pending_count(&rig) > 1000);
	set(&(struct store_knobs){.delay_us = 0});
	drain();
}

static void test_stop_is_soon(void **state)
{
	(void)state;
	char path[16];
	send_rig_start(&rig);
	store_gate(rig.store, NULL);
	for (int i = 0; i < 40; i++) {
		snprintf(path, sizeof(path), "f%04d", i);
		put(path, path);
	}
	cover();
	store_at_gate(rig.store, 8);
	int64_t start_ms = clock_ms();
	send_rig_stop(&rig, true);
	assert_true(clock_ms() - start_ms < 1000);
	store_gate_open(rig.store);
	send_rig_start(&rig);
	drain();
}

static int64_t cpu_ms(void)
{
	struct rusage u;
	getrusage(RUSAGE_SELF, &u);
	return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000 + (u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1000;
}

/* Many wishes that must wait cost nothing. */
static void test_rest(void **state)
{
	(void)state;
	struct judged all = {NULL, BUCKET_PUT, -EINVAL};
	char path[16];
	send_rig_start(&rig);
	set(&(struct store_knobs){.judge = judge, .arg = &all});
	for (int i = 0; i < 3000; i++) {
		snprintf(path, sizeof(path), "f%04d", i);
		put(path, path);
	}
	for (int i = 0; i < 4000 && stats().failures < 3000; i++)
		sleep_ms(5);
	cover();
	sleep_ms(1000);
	int64_t before_ms = cpu_ms();
	sleep_ms(2000);
	assert_true(cpu_ms() - before_ms < 400);
	set(&(struct store_knobs){.judge = NULL});
	cover();
	send_hurry(rig.cache.flow.sends);
	drain();
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(put), TEST(nothing_before_the_checkpoint), TEST(forgotten),
		TEST(new_file_waits_for_its_first_flush), TEST(restart), TEST(put_put),
		TEST(put_remove_put), TEST(remove_of_what_is_under_way), TEST(append_while_sending),
		TEST(rename_copies), TEST(rename_and_back), TEST(rename_over), TEST(exchange),
		TEST(ring_of_three), TEST(links), TEST(symlink), TEST(attrs), TEST(copy_falls_back),
		TEST(one_key_refused), TEST(retry), TEST(removes), TEST(poisoned_batch), TEST(refused),
		TEST(refused_but_probed), TEST(no_bucket), TEST(down), TEST(poison), TEST(wait),
		TEST(wait_goes_first), TEST(stop_is_soon), TEST(rest),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
