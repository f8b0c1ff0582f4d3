/* What failed last, by key: the last word wins, the oldest is forgotten, success forgets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <cmocka.h>
#include "cache/flow/failures.h"

static void test_note(void **state)
{
	struct failures *f;
	struct failure failure;

	(void)state;
	assert_int_equal(failures_open(&f), 0);
	assert_false(failures_find(f, "a", &failure));
	failures_note(f, "a", -EINVAL, "one");
	failures_note(f, "b", -EIO, "two");
	failures_note(f, "a", -EACCES, "three");
	assert_true(failures_find(f, "a", &failure));
	assert_string_equal(failure.why, "three");
	assert_int_equal(failure.error, -EACCES);
	assert_true(failure.at_ns > 0);
	failures_forget(f, "a");
	failures_forget(f, "nothing");
	assert_false(failures_find(f, "a", &failure));
	assert_true(failures_find(f, "b", &failure));
	failures_note(f, "", -EIO, "no key");
	assert_false(failures_find(f, "", &failure));
	failures_close(&f);
	assert_null(f);
	failures_note(NULL, "a", -EIO, "nowhere");
	assert_false(failures_find(NULL, "a", &failure));
}

static void test_bounded(void **state)
{
	struct failures *f;
	struct failure failure;
	char key[32];

	(void)state;
	assert_int_equal(failures_open(&f), 0);
	for (int i = 0; i < FAILURES_MAX + 10; i++) {
		snprintf(key, sizeof(key), "key%d", i);
		failures_note(f, key, -EIO, "why");
	}
	int found = 0;
	for (int i = 0; i < FAILURES_MAX + 10; i++) {
		snprintf(key, sizeof(key), "key%d", i);
		found += failures_find(f, key, &failure);
		failures_forget(f, key);
	}
	assert_int_equal(found, FAILURES_MAX);
	failures_note(f, "again", -EIO, "why");
	assert_true(failures_find(f, "again", &failure));
	failures_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_note), cmocka_unit_test(test_bounded)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
