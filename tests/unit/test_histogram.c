/* Which bucket a duration falls into; sums over threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <cmocka.h>
#include "cache/base/histogram.h"

static void test_bounds(void **state)
{
	static struct histogram h;
	struct histogram_sums sums;

	(void)state;
	for (int i = 1; i < HISTOGRAM_BOUNDS; i++)
		assert_true(histogram_bounds_us[i] > histogram_bounds_us[i - 1]);
	for (int i = 0; i < HISTOGRAM_BOUNDS; i++) {
		histogram_add(&h, histogram_bounds_us[i]);
		histogram_add(&h, histogram_bounds_us[i] + 1);
	}
	histogram_add(&h, -5);
	histogram_read(&h, &sums);
	assert_int_equal(sums.count, 2 * HISTOGRAM_BOUNDS + 1);
	assert_int_equal(sums.counts[0], 2); /* its bound, and what is below 0 */
	for (int i = 1; i < HISTOGRAM_BOUNDS; i++)
		assert_int_equal(sums.counts[i], 2);
	assert_int_equal(sums.counts[HISTOGRAM_BOUNDS], 1);
}

static struct histogram shared;

static void *add_many(void *arg)
{
	for (int i = 0; i < 10000; i++)
		histogram_add(&shared, 3);
	return arg;
}

static void test_threads(void **state)
{
	struct histogram_sums sums;
	pthread_t threads[6];

	(void)state;
	for (int i = 0; i < 6; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, add_many, NULL), 0);
	for (int i = 0; i < 6; i++)
		pthread_join(threads[i], NULL);
	histogram_read(&shared, &sums);
	assert_int_equal(sums.count, 60000);
	assert_int_equal(sums.sum_us, 180000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_bounds), cmocka_unit_test(test_threads)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
