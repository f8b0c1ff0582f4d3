/* Bytes a second: whole seconds only, ten of them, and none that are over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "cache/base/rate.h"

static void test_rate(void **state)
{
	struct rate r;

	(void)state;
	rate_init(&r);
	assert_int_equal(rate_read(&r, 5000000), 0);
	rate_add(&r, 1000, 5000000);
	rate_add(&r, 1000, 5000999);
	assert_int_equal(rate_read(&r, 5000999), 0); /* this second is not over */
	assert_int_equal(rate_read(&r, 5001000), 200);
	assert_int_equal(rate_read(&r, 5010999), 200);
	assert_int_equal(rate_read(&r, 5011000), 0);
	for (int64_t s = 6000; s < 6030; s++)
		rate_add(&r, 500, s * 1000 + 7);
	assert_int_equal(rate_read(&r, 6030 * 1000), 500);
	assert_int_equal(rate_read(&r, 6035 * 1000), 250);
	rate_add(&r, 70, INT64_C(6044) * 1000); /* takes the place of an old second */
	assert_int_equal(rate_read(&r, INT64_C(6045) * 1000), 7);
	rate_destroy(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_rate)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
