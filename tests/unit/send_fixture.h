/* What the tests of the sender share: one rig, and short words for what is done with it. */
#ifndef TOOTFS_TESTS_SEND_FIXTURE_H
#define TOOTFS_TESTS_SEND_FIXTURE_H

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

static inline int setup(void **state)
{
	(void)state;
	const struct log_config quiet = {.level = LOG_LEVEL_ERROR};
	log_setup(&quiet);
	send_rig_init(&rig);
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	send_rig_destroy(&rig);
	return 0;
}

static inline void set(const struct store_knobs *knobs)
{
	store_set(rig.store, knobs);
}

static inline void expect_story(const char *expected)
{
	struct buf story AUTO_BUF = BUF_EMPTY;
	store_story(rig.store, &story);
	assert_string_equal(buf_string(&story), expected);
}

static inline void forget_story(void)
{
	struct buf story AUTO_BUF = BUF_EMPTY;
	store_story(rig.store, &story);
}

static inline void expect_object(const char *key, const char *text)
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

static inline void drain(void)
{
	assert_true(send_rig_drain(&rig, 20000));
	const char *what = send_rig_differs(&rig);
	if (what)
		fail_msg("%s", what);
}

static inline void ok(int r)
{
	if (r)
		fail_msg("error %s", strerror(r < 0 ? -r : r));
}

static inline void put(const char *path, const char *text)
{
	ok(send_rig_write(&rig, path, text, strlen(text)));
}

static inline void sleep_ms(int ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000L};
	nanosleep(&t, NULL);
}

static inline uint64_t newest(void)
{
	return index_newest(rig.cache.flow.index);
}

static inline void cover(void)
{
	ok(checkpoint_wait(rig.cache.flow.checkpoints, newest(), clock_ms() + 10000));
}

static inline struct send_stats stats(void)
{
	struct send_stats s;
	send_stats_read(rig.cache.flow.sends, &s);
	return s;
}

static inline bool until_stopped(bool stopped)
{
	for (int i = 0; i < 2000 && stats().stopped != stopped; i++)
		sleep_ms(5);
	return stats().stopped == stopped;
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

#endif
