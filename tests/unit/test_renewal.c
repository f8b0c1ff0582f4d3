/* Keys that expire, with many who want to sign: nobody waits without need, nobody gets an old one, one renewal at a time. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>
#include "cache/base/clock.h"
#include "cache/bucket/credentials.h"
#include "cache/bucket/ops.h"
#include "http_server.h"

#define NS_PER_MS INT64_C(1000000)

enum { THREADS = 8, WAIT_MS = 1500 };

/* What the service does. */
static atomic_int good_for_ms, answer_after_ms;
static atomic_bool down, same_key;
static atomic_uint fetches, under_way, under_way_most;

static struct server *service;
static struct credential_source *source;
static struct bucket_config config = {.spec = "s3://x", .io_timeout_ms = WAIT_MS};

static bool answer(struct server *s, struct server_request *q)
{
	int64_t end_ns = clock_wall_ns() + atomic_load(&good_for_ms) * NS_PER_MS;
	time_t end_s = (time_t)(end_ns / (1000 * NS_PER_MS));
	unsigned now = atomic_fetch_add(&under_way, 1) + 1;
	char body[512], stamp[32];
	struct tm tm;

	(void)s;
	if (now > atomic_load(&under_way_most))
		atomic_store(&under_way_most, now);
	server_sleep_ms(atomic_load(&answer_after_ms));
	gmtime_r(&end_s, &tm);
	strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(body, sizeof(body),
		 "{\"AccessKeyId\":\"K%u\",\"SecretAccessKey\":\"s\",\"Expiration\":\"%s.%03dZ\"}",
		 atomic_load(&same_key) ? 0 : atomic_load(&fetches), stamp,
		 (int)(end_ns / NS_PER_MS % 1000));
	if (!atomic_load(&good_for_ms))
		snprintf(body, sizeof(body), "{\"AccessKeyId\":\"K0\",\"SecretAccessKey\":\"s\"}");
	atomic_fetch_add(&fetches, 1);
	atomic_fetch_sub(&under_way, 1);
	server_reply(q, atomic_load(&down) ? 400 : 200, "", body);
	return true;
}

static int setup(void **state)
{
	char url[64];

	(void)state;
	service = server_start(answer, NULL);
	snprintf(url, sizeof(url), "http://127.0.0.1:%d/", service->port);
	setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url, 1);
	setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
	setenv("AWS_CONFIG_FILE", "/no/such/file", 1);
	setenv("AWS_SHARED_CREDENTIALS_FILE", "/no/such/file", 1);
	atomic_store(&good_for_ms, 3600 * 1000);
	atomic_store(&answer_after_ms, 0);
	atomic_store(&down, false);
	atomic_store(&same_key, false);
	atomic_store(&fetches, 0);
	atomic_store(&under_way_most, 0);
	fault_clear();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	credentials_close(&source);
	if (service)
		server_stop(service);
	service = NULL;
	return 0;
}

static void open_source(void)
{
	struct place place;

	assert_int_equal(credentials_open(&config, &source, &place), 0);
}

static int get(struct credentials *key)
{
	fault_clear();
	return credentials_get(source, key);
}

/* -- the tests -- */

static void a_key_for_long_is_asked_for_once(void **state)
{
	struct credentials key;

	(void)state;
	open_source();
	for (int i = 0; i < 100; i++) {
		assert_int_equal(get(&key), 0);
		assert_string_equal(key.access_key, "K0");
	}
	assert_int_equal(atomic_load(&fetches), 1);
}

static atomic_bool enough;

/* The longest that one get took, in ms. */
static void *sign_all_the_time(void *arg)
{
	int64_t *longest_ms = arg;

	while (!atomic_load(&enough)) {
		struct credentials key;
		int64_t began_ms = clock_ms(), began_ns = clock_wall_ns(), took_ms;
		int r = get(&key);

		took_ms = clock_ms() - began_ms;
		assert(r == 0 && key.expires_ns > began_ns);
		credentials_worked(source, &key);
		if (took_ms > *longest_ms)
			*longest_ms = took_ms;
		server_sleep_ms(1);
	}
	return NULL;
}

static void nobody_waits_for_a_renewal(void **state)
{
	int64_t longest_ms[THREADS] = {0};
	pthread_t threads[THREADS];

	(void)state;
	atomic_store(&good_for_ms, 6000); /* renewed after 4500 */
	atomic_store(&answer_after_ms, 900);
	open_source();
	atomic_store(&enough, false);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(
		    pthread_create(&threads[i], NULL, sign_all_the_time, &longest_ms[i]), 0);
	for (int i = 0; i < 400 && atomic_load(&fetches) < 2; i++)
		server_sleep_ms(50);
	atomic_store(&enough, true);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load(&fetches), 2);
	assert_int_equal(atomic_load(&under_way_most), 1);
	for (int i = 0; i < THREADS; i++)
		if (longest_ms[i] > 800)
			fail_msg("a get took %lld ms", (long long)longest_ms[i]);
}

static void an_expired_key_is_not_handed_out(void **state)
{
	struct credentials key;
	struct place place;
	int64_t began_ms;

	(void)state;
	atomic_store(&good_for_ms, 1000);
	open_source();
	atomic_store(&down, true);
	server_sleep_ms(1100);
	assert_int_equal(get(&key), -EACCES);
	assert_non_null(strstr(bucket_why(), "HTTP 400"));
	assert_string_equal(key.secret, "");
	/* It asks at its own pace, whoever calls. */
	unsigned before = atomic_load(&fetches);
	for (int i = 0; i < 50; i++)
		assert_int_equal(get(&key), -EACCES);
	assert_in_range(atomic_load(&fetches) - before, 0, 3);
	/* It comes back by itself. */
	atomic_store(&down, false);
	atomic_store(&good_for_ms, 3600 * 1000);
	began_ms = clock_ms();
	while (get(&key) && clock_ms() - began_ms < 20000)
		server_sleep_ms(50);
	assert_string_not_equal(key.access_key, "");
	/* At once, when somebody says so. */
	assert_int_equal(credentials_reload(source, &place), 0);
	before = atomic_load(&fetches);
	for (int i = 0; i < 200 && atomic_load(&fetches) == before; i++)
		server_sleep_ms(50);
	assert_int_not_equal(atomic_load(&fetches), before);
}

static void a_service_that_hangs_costs_a_bounded_time(void **state)
{
	struct credentials key;
	int64_t began_ms;

	(void)state;
	atomic_store(&good_for_ms, 1000);
	open_source();
	server_sleep_ms(1100);
	atomic_store(&answer_after_ms, 2 * WAIT_MS);
	began_ms = clock_ms();
	assert_int_equal(get(&key), -EACCES);
	assert_true(fault_of_thread()->again);
	assert_in_range(clock_ms() - began_ms, WAIT_MS - 100, 10 * WAIT_MS);
}

static void what_the_server_refuses_is_looked_for_again(void **state)
{
	struct credentials first, key;

	(void)state;
	open_source();
	assert_int_equal(get(&first), 0);
	/* By many at a time: the first look has another one, the others take that. */
	for (int i = 0; i < 5; i++)
		credentials_refused(source, &first, "ExpiredToken");
	assert_int_equal(get(&key), 0);
	assert_string_equal(key.access_key, "K1");
	credentials_refused(source, &first, "ExpiredToken"); /* late: it is not in use any more */
	assert_int_equal(get(&key), 0);
	assert_string_equal(key.access_key, "K1");
	assert_int_equal(atomic_load(&fetches), 2);
	/* The new one as well: not again within a second, but there is something to try with. */
	for (int i = 0; i < 20; i++) {
		credentials_refused(source, &key, "ExpiredToken");
		assert_int_equal(get(&key), 0);
	}
	assert_in_range(atomic_load(&fetches), 2, 4);
}

static void the_same_key_again_is_no_hurry(void **state)
{
	struct credentials key;

	(void)state;
	atomic_store(&good_for_ms, 0);
	atomic_store(&same_key, true);
	open_source();
	assert_int_equal(get(&key), 0);
	for (int i = 0; i < 20; i++) {
		credentials_refused(source, &key, "InvalidAccessKeyId");
		assert_int_equal(get(&key), 0);
		assert_string_equal(key.access_key, "K0");
	}
	assert_in_range(atomic_load(&fetches), 2, 4);
	credentials_worked(source, &key);
	for (int i = 0; i < 20; i++)
		assert_int_equal(get(&key), 0);
	assert_in_range(atomic_load(&fetches), 2, 4);
}

static void *stop_soon(void *arg)
{
	(void)arg;
	server_sleep_ms(300);
	credentials_stop(source);
	return NULL;
}

static void a_stop_ends_all_waits(void **state)
{
	struct credentials key;
	pthread_t thread;

	(void)state;
	atomic_store(&good_for_ms, 1000);
	open_source();
	server_sleep_ms(1100);
	atomic_store(&answer_after_ms, 3000);
	assert_int_equal(pthread_create(&thread, NULL, stop_soon, NULL), 0);
	assert_int_equal(get(&key), -ECANCELED);
	pthread_join(thread, NULL);
	assert_int_equal(get(&key), -ECANCELED);
	credentials_close(&source);
}

static void a_service_that_is_away_at_the_start(void **state)
{
	struct credentials key;

	(void)state;
	server_stop(service);
	service = NULL;
	open_source();
	assert_int_equal(get(&key), -EHOSTDOWN);
	assert_non_null(strstr(bucket_why(), "does not answer"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(a_key_for_long_is_asked_for_once),
	    TEST(nobody_waits_for_a_renewal),
	    TEST(an_expired_key_is_not_handed_out),
	    TEST(a_service_that_hangs_costs_a_bounded_time),
	    TEST(what_the_server_refuses_is_looked_for_again),
	    TEST(the_same_key_again_is_no_hurry),
	    TEST(a_stop_ends_all_waits),
	    TEST(a_service_that_is_away_at_the_start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
