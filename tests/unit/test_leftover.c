/* Uploads whose making was never answered: none of them stays, and nobody else's goes. */
#include "send_fixture.h"

enum { PART = 1000, SIZE = 10 * PART, LOST = 4 };
#define HOUR_NS (3600 * INT64_C(1000000000))

static uint8_t bytes[SIZE];

static int setup_parts(void **state)
{
	int r = setup(state);
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 7 + i / 256);
	rig.config.part_size_bytes = PART;
	return r;
}

static void expect_sent(const char *key)
{
	struct buf got AUTO_BUF = BUF_EMPTY;
	assert_true(store_get(rig.store, key, &got, NULL));
	assert_int_equal(got.length, SIZE);
	assert_memory_equal(got.data, bytes, SIZE);
}

static void test_lost_answers(void **state)
{
	char key[16];
	(void)state;
	send_rig_start(&rig);
	store_upload(rig.store, "others", clock_wall_ns());
	store_upload(rig.store, "f3", clock_wall_ns() - HOUR_NS);
	set(&(struct store_knobs){.again = true, .lost_op = BUCKET_UPLOAD_CREATE, .lost_count = LOST});
	for (int i = 0; i < 8; i++) {
		snprintf(key, sizeof(key), "f%d", i);
		ok(send_rig_write(&rig, key, bytes, SIZE));
	}
	for (int i = 0; i < 4000 && send_rig_pending_count(&rig); i++)
		sleep_ms(5);
	assert_int_equal(send_rig_pending_count(&rig), 0);
	for (int i = 0; i < 8; i++) {
		snprintf(key, sizeof(key), "f%d", i);
		expect_sent(key);
	}
	assert_true(store_calls(rig.store, BUCKET_UPLOAD_CREATE) >= 8 + LOST);
	assert_int_equal(store_uploads(rig.store), 2); /* those of others */
	assert_false(stats().failures);
}

/* It takes effect only after it was looked for. */
static void test_late(void **state)
{
	(void)state;
	send_rig_start(&rig);
	set(&(struct store_knobs){
		.again = true, .late = true, .lost_op = BUCKET_UPLOAD_CREATE, .lost_count = 1});
	ok(send_rig_write(&rig, "a", bytes, SIZE));
	drain();
	expect_sent("a");
	assert_int_equal(store_uploads(rig.store), 0);
}

static int no_lists(void *arg, enum bucket_op op, const char *key)
{
	(void)arg, (void)key;
	return op == BUCKET_UPLOAD_LIST ? -EACCES : 0;
}

/* Whoever may not list uploads sends all the same; the next start, with more rights, clears up. */
static void test_no_lists(void **state)
{
	(void)state;
	send_rig_start(&rig);
	set(&(struct store_knobs){
		.again = true, .lost_op = BUCKET_UPLOAD_CREATE, .lost_count = 2, .judge = no_lists});
	ok(send_rig_write(&rig, "a", bytes, SIZE));
	for (int i = 0; i < 4000 && send_rig_pending_count(&rig); i++)
		sleep_ms(5);
	expect_sent("a");
	assert_int_equal(store_uploads(rig.store), 2);
	assert_false(stats().stopped);
	set(&(struct store_knobs){.judge = NULL});
	send_rig_stop(&rig, true);
	send_rig_start(&rig);
	for (int i = 0; i < 2000 && store_uploads(rig.store); i++)
		sleep_ms(5);
	assert_int_equal(store_uploads(rig.store), 0);
	drain();
}

#define TEST_PARTS(name) cmocka_unit_test_setup_teardown(test_##name, setup_parts, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_PARTS(lost_answers),
		TEST_PARTS(late),
		TEST_PARTS(no_lists),
	};
	return cmocka_run_group_tests_name("leftover", tests, NULL, NULL);
}
