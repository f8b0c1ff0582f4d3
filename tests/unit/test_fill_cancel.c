/* A reader that does not wait any more: it is answered by nobody, and everybody else as ever. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "cache/base/clock.h"
#include "cache/base/log.h"
#include "cache/file.h"
#include "tests/support/rig.h"

enum { BYTES = 300000, READERS = 8, ROUNDS = 300 };

static struct rig rig;

static int setup(void **state)
{
	(void)state;
	rig_init(&rig);
	rig_start(&rig);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_destroy(&rig);
	return 0;
}

struct reader {
	struct file_read read;
	atomic_int answers, error;
};

static void done(struct file_read *read, int error)
{
	struct reader *r = (struct reader *)read;

	r->error = error;
	r->answers++;
}

static void pause_us(long us)
{
	const struct timespec t = {0, us * 1000};

	nanosleep(&t, NULL);
}

static int answer_of(struct reader *r)
{
	int64_t deadline_ms = clock_ms() + 10000;

	while (!r->answers && clock_ms() < deadline_ms)
		pause_us(500);
	assert_int_equal(r->answers, 1);
	if (!r->error)
		file_span_release(&r->read.span);
	return r->error;
}

static int begin(struct file *file, struct reader *r)
{
	*r = (struct reader){.read = {.length = 1000, .done = done}};
	return file_read(file, &r->read);
}

static struct file *open_remote(const char *name, unsigned seed)
{
	struct file *file;

	assert_int_equal(file_open(&rig.cache, rig_file(&rig, name, BYTES, seed, 0), O_RDONLY, &file), 0);
	return file;
}

static void test_one_of_two(void **state)
{
	struct reader stays, leaves, late;
	struct file *file = open_remote("one", 1);

	(void)state;
	faulty_gate(rig.faulty, 0, BYTES);
	assert_int_equal(begin(file, &stays), -EINPROGRESS);
	assert_int_equal(begin(file, &leaves), -EINPROGRESS);
	assert_int_equal(faulty_wait_at_gate(rig.faulty, 1), 1);
	assert_true(file_read_cancel(file, &leaves.read));
	assert_false(file_read_cancel(file, &leaves.read));
	faulty_gate_open(rig.faulty);
	assert_int_equal(answer_of(&stays), 0);
	assert_false(file_read_cancel(file, &stays.read)); /* too late */
	assert_int_equal(leaves.answers, 0);
	/* it would be answered, since nothing is to be waited for */
	late = (struct reader){.read = {.length = 1000, .done = done, .no_wait = true}};
	assert_int_equal(file_read(file, &late.read), 0);
	file_span_release(&late.read.span);
	file_close(&file);
}

static void test_before_it_begins(void **state)
{
	struct reader r = {.read = {.length = 1000, .done = done}};
	struct file *file = open_remote("early", 2);

	(void)state;
	assert_false(file_read_cancel(file, &r.read));
	assert_int_equal(file_read(file, &r.read), -EINTR);
	assert_int_equal(r.answers, 0);
	assert_int_equal(faulty_counts(rig.faulty).gets, 0);
	file_close(&file);
}

static void test_the_last_one(void **state)
{
	struct reader r;
	struct file *file = open_remote("last", 3);

	(void)state;
	faulty_gate(rig.faulty, 0, BYTES);
	assert_int_equal(begin(file, &r), -EINPROGRESS);
	assert_int_equal(faulty_wait_at_gate(rig.faulty, 1), 1);
	assert_true(file_read_cancel(file, &r.read));
	file_close(&file); /* the bytes come all the same, for the next one */
	faulty_gate_open(rig.faulty);
	rig_stop(&rig); /* waits for whatever is under way */
	assert_int_equal(r.answers, 0);
}

/* Cancelled at any moment: each is answered once, or was taken back once. */
static void test_races(void **state)
{
	struct reader readers[READERS];
	char name[32];
	unsigned taken_back = 0, answered = 0;

	(void)state;
	faulty_set(rig.faulty, &(struct faulty_knobs){.take_bytes = 4000});
	for (unsigned round = 0; round < ROUNDS; round++) {
		snprintf(name, sizeof(name), "race%u", round);
		struct file *file = open_remote(name, round + 1);
		bool waits[READERS];
		for (int i = 0; i < READERS; i++) {
			readers[i] = (struct reader){
				.read = {.offset = (uint64_t)i * 30000, .length = 1000, .done = done}};
			waits[i] = file_read(file, &readers[i].read) == -EINPROGRESS;
			if (!waits[i])
				file_span_release(&readers[i].read.span);
		}
		pause_us(round * 7 % 500);
		for (int i = 0; i < READERS; i++) {
			if (!waits[i])
				continue;
			if (i % 2 && file_read_cancel(file, &readers[i].read)) {
				taken_back++;
				assert_int_equal(readers[i].answers, 0);
				continue;
			}
			int error = answer_of(&readers[i]);
			assert_true(error == 0 || (error == -EINTR && i % 2));
			answered++;
		}
		file_close(&file);
	}
	assert_true(taken_back > 0 && answered > 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int main(void)
{
	const struct log_config quiet = {.level = LOG_LEVEL_ERROR};
	const struct CMUnitTest tests[] = {
		TEST(one_of_two),
		TEST(before_it_begins),
		TEST(the_last_one),
		TEST(races),
	};

	log_setup(&quiet);
	return cmocka_run_group_tests_name("fill_cancel", tests, NULL, NULL);
}
