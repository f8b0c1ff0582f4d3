/* The sender where the bucket fails for one key, or for all; waiting, and stopping. */
#include "send_fixture.h"

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

/* The content that is taken along is fetched first, and the bytes are there before the fill is at rest: that is no
 * failure, neither of the key nor of those who wait for it. */
static void test_slow_knot(void **state)
{
	(void)state;
	send_rig_start(&rig);
	for (int round = 0; round < 3; round++) {
		put("a", "one");
		put("b", "two");
		drain();
		assert_true(send_rig_evict(&rig, "a") && send_rig_evict(&rig, "b"));
		set(&(struct store_knobs){.delay_us = 400000});
		ok(send_rig_rename(&rig, "a", "b", RENAME_EXCHANGE));
		drain();
		set(&(struct store_knobs){.delay_us = 0});
		expect_object("a", "two");
		expect_object("b", "one");
	}
	assert_int_equal(stats().failures, 0);
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
	struct pending_record record = {.attempts = 0};
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
	for (int i = 0; i < 1000 && !record.attempts; i++, sleep_ms(5))
		send_rig_pending(&rig, "a", &record);
	assert_true(record.attempts > 0);
	set(&(struct store_knobs){.judge = NULL});
	send_hurry(rig.cache.flow.sends);
	assert_true(until_stopped(false));
	cover();
	send_hurry(rig.cache.flow.sends);
	drain();
}

/* A PUT that took effect though it seemed to fail: the wish is no fresh one any more. */
static void test_remove_after_a_lost_answer(void **state)
{
	(void)state;
	struct pending_record record = {.attempts = 0};
	send_rig_start(&rig);
	set(&(struct store_knobs){.lose = 1000});
	put("a", "one");
	cover();
	for (int i = 0; i < 4000 && !record.attempts; i++, sleep_ms(1))
		send_rig_pending(&rig, "a", &record);
	assert_true(record.attempts > 0 && record.txn > index_covered(rig.cache.flow.index));
	ok(send_rig_unlink(&rig, "a"));
	set(&(struct store_knobs){.lose = 0});
	assert_true(send_rig_pending(&rig, "a", &record));
	cover();
	send_hurry(rig.cache.flow.sends);
	drain();
	expect_object("a", NULL);
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
	store_gate(rig.store, NULL);
	for (int i = 0; i < 3000; i++) {
		snprintf(path, sizeof(path), "f%04d", i);
		put(path, path);
	}
	cover();
	put("z", "now");
	store_gate_open(rig.store);
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
	assert_true(cpu_ms() - before_ms < 1000); /* half a core; a scan in a loop takes a whole one */
	set(&(struct store_knobs){.judge = NULL});
	cover();
	send_hurry(rig.cache.flow.sends);
	drain();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(copy_falls_back), TEST(one_key_refused), TEST(retry), TEST(slow_knot), TEST(removes),
		TEST(poisoned_batch), TEST(refused), TEST(refused_but_probed), TEST(no_bucket),
		TEST(down), TEST(poison), TEST(remove_after_a_lost_answer), TEST(wait),
		TEST(wait_goes_first), TEST(stop_is_soon), TEST(rest),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
