#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "cache/base/clock.h"
#include "cache/base/lock.h"
#include "cache/base/sanitizers.h"

enum { THREADS = 4, ROUNDS = 20000 };

static struct lock lock;
static struct wakeup wakeup;
static int counter, turn;

static int setup(void **state)
{
	(void)state;
	lock_init(&lock);
	wakeup_init(&wakeup);
	counter = turn = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	wakeup_destroy(&wakeup);
	lock_destroy(&lock);
	return 0;
}

static void *count_up(void *arg)
{
	(void)arg;
	for (int i = 0; i < ROUNDS; i++) {
		lock_take(&lock);
		counter++;
		lock_drop(&lock);
	}
	return NULL;
}

static void test_excludes(void **state)
{
	(void)state;
	pthread_t threads[THREADS];

	for (int i = 0; i < THREADS; i++)
		assert_int_equal(thread_start(&threads[i], "count", count_up, NULL), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(counter, THREADS * ROUNDS);
}

/* Ping-pong: each waits for its turn, and gives the next one to the other. */
static void *take_turns(void *arg)
{
	int mine = *(int *)arg;

	for (int i = 0; i < 500; i++) {
		lock_take(&lock);
		while (turn != mine)
			wakeup_wait(&wakeup, &lock);
		counter++;
		turn = !mine;
		if (i % 2)
			wakeup_one(&wakeup);
		else
			wakeup_all(&wakeup);
		lock_drop(&lock);
	}
	return NULL;
}

static void test_wakes(void **state)
{
	(void)state;
	pthread_t threads[2];
	int ids[2] = {0, 1};

	for (int i = 0; i < 2; i++)
		assert_int_equal(thread_start(&threads[i], "turns", take_turns, &ids[i]), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(counter, 1000);
}

static void *wake_soon(void *arg)
{
	(void)arg;
	usleep(20000);
	lock_take(&lock);
	turn = 1;
	wakeup_all(&wakeup);
	lock_drop(&lock);
	return NULL;
}

static void test_deadline(void **state)
{
	(void)state;
	pthread_t thread;
	int64_t began_ms = clock_ms();

	lock_take(&lock);
	assert_false(wakeup_wait_until(&wakeup, &lock, -5));
	assert_false(wakeup_wait_until(&wakeup, &lock, began_ms));
	while (wakeup_wait_until(&wakeup, &lock, began_ms + 50))
		;
	assert_true(clock_ms() >= began_ms + 50);
	lock_drop(&lock);

	assert_int_equal(thread_start(&thread, "wake", wake_soon, NULL), 0);
	bool in_time = true;
	lock_take(&lock);
	while (!turn && in_time)
		in_time = wakeup_wait_until(&wakeup, &lock, clock_ms() + 60000);
	lock_drop(&lock);
	pthread_join(thread, NULL);
	assert_true(in_time);
	assert_true(clock_ms() < began_ms + 30000);
}

struct seen {
	char name[16];
	sigset_t blocked;
};

static void *look(void *arg)
{
	struct seen *seen = arg;

	pthread_sigmask(SIG_SETMASK, NULL, &seen->blocked);
	for (int i = 0; i < 1000 && strcmp(seen->name, "a-very-long-nam") != 0; i++) {
		usleep(1000); /* the name is set from outside */
		pthread_getname_np(pthread_self(), seen->name, sizeof(seen->name));
	}
	return NULL;
}

static void test_thread(void **state)
{
	(void)state;
	struct seen seen = {0};
	sigset_t mask;
	pthread_t thread;

	assert_int_equal(thread_start(&thread, "a-very-long-name-for-a-thread", look, &seen), 0);
	pthread_join(thread, NULL);
	assert_string_equal(seen.name, "a-very-long-nam");
	assert_true(sigismember(&seen.blocked, SIGTERM) && sigismember(&seen.blocked, SIGUSR1));
	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	assert_false(sigismember(&mask, SIGTERM)); /* ours is as it was */
}

static void test_clock(void **state)
{
	(void)state;
	int64_t ms = clock_ms(), ns = clock_wall_ns();

	usleep(2000);
	assert_true(clock_ms() > ms);
	assert_true(clock_wall_ns() > ns);
	assert_true(ns > 1500000000ll * 1000000000);
}

#ifndef THREAD_SANITIZER /* which reports the misuse itself and ends otherwise */
TSA(no_thread_safety_analysis) static void take_twice(void)
{
	lock_take(&lock);
	lock_take(&lock);
}

TSA(no_thread_safety_analysis) static void drop_untaken(void)
{
	lock_drop(&lock);
}

TSA(no_thread_safety_analysis) static void *drop_for_another(void *arg)
{
	lock_drop(arg);
	return NULL;
}

TSA(no_thread_safety_analysis) static void drop_elsewhere(void)
{
	pthread_t thread;

	lock_take(&lock);
	if (thread_start(&thread, "drop", drop_for_another, &lock) == 0)
		pthread_join(thread, NULL);
}

TSA(no_thread_safety_analysis) static void destroy_held(void)
{
	lock_take(&lock);
	lock_destroy(&lock);
}

static void test_misuse_aborts(void **state)
{
	(void)state;
	void (*const misuses[])(void) = {take_twice, drop_untaken, drop_elsewhere, destroy_held};

	for (size_t i = 0; i < sizeof(misuses) / sizeof(misuses[0]); i++) {
		int status;
		pid_t child = fork();
		if (child == 0) {
			struct rlimit none = {0, 0};
			setrlimit(RLIMIT_CORE, &none);
			signal(SIGABRT, SIG_DFL);
			close(STDERR_FILENO);
			misuses[i]();
			_exit(0);
		}
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	}
}
#endif

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_excludes), TEST(test_wakes), TEST(test_deadline), TEST(test_thread), TEST(test_clock),
#ifndef THREAD_SANITIZER
		TEST(test_misuse_aborts),
#endif
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
