#include "cache/flow/evicts.h"
#include "flow_fixture.h"

enum { PAGE = 4096, LIMIT_PAGES = CACHE_BYTES / PAGE };

static struct evict_stats stats(void)
{
	struct evict_stats out;

	evict_stats_read(flow.evicts, &out);
	return out;
}

static void start(void)
{
	assert_int_equal(checkpoints_start(flow.checkpoints), 0);
	assert_int_equal(evicts_start(flow.evicts), 0);
}

static int reserve(uint64_t pages, int64_t ms)
{
	return space_reserve(flow.evicts, pages * PAGE, clock_ms() + ms);
}

static bool has_room(void)
{
	return stats().used <= CACHE_BYTES / 100 * 95;
}

static void test_space_of(void **state)
{
	(void)state;
	assert_int_equal(space_of(0), 0);
	assert_int_equal(space_of(1), PAGE);
	assert_int_equal(space_of(PAGE), PAGE);
	assert_int_equal(space_of(PAGE + 1), 2 * PAGE);
}

static void test_stamps_ascend(void **state)
{
	(void)state;
	uint64_t last = evict_stamp();

	for (int i = 0; i < 10000; i++) {
		uint64_t stamp = evict_stamp();
		assert_true(stamp > last);
		last = stamp;
	}
}

static void test_hard_limit(void **state)
{
	(void)state;
	assert_true(space_try(flow.evicts, CACHE_BYTES - PAGE));
	assert_false(space_try(flow.evicts, 2 * PAGE));
	assert_true(space_try(flow.evicts, PAGE));
	assert_false(space_try(flow.evicts, 1));
	assert_true(space_try(flow.evicts, 0));
	assert_int_equal(stats().used, CACHE_BYTES);
	assert_int_equal(reserve(LIMIT_PAGES + 1, 60000), -ENOSPC); /* at once: it never fits */
	int64_t began_ms = clock_ms();
	assert_int_equal(reserve(1, 60000), -ENOSPC); /* after full_timeout without progress */
	assert_in_range(clock_ms() - began_ms, 290, 30000);
	flow.config.full_timeout_ms = 60000;
	began_ms = clock_ms();
	assert_int_equal(reserve(1, 50), -ENOSPC); /* at its own deadline */
	assert_in_range(clock_ms() - began_ms, 50, 30000);
	space_release(flow.evicts, PAGE);
	assert_int_equal(reserve(1, 0), 0);
	assert_int_equal(reserve(0, 0), 0);
	assert_int_equal(stats().used, CACHE_BYTES);
}

struct request {
	uint64_t pages;
	int64_t ms;
	int result;
	int64_t took_ms;
	pthread_t thread;
};

static void *run_request(void *arg)
{
	struct request *r = arg;
	int64_t began_ms = clock_ms();

	r->result = reserve(r->pages, r->ms);
	r->took_ms = clock_ms() - began_ms;
	return NULL;
}

static size_t line_length(void)
{
	size_t length = 0;

	lock_take(&flow.evicts->lock);
	for (struct list *l = flow.evicts->locked.line.next; l != &flow.evicts->locked.line; l = l->next)
		length++;
	lock_drop(&flow.evicts->lock);
	return length;
}

/* Returns when it stands in line. */
static void begin(struct request *r)
{
	size_t before = line_length();

	assert_int_equal(thread_start(&r->thread, "request", run_request, r), 0);
	while (line_length() == before)
		usleep(1000);
}

static int end(struct request *r)
{
	pthread_join(r->thread, NULL);
	return r->result;
}

static void test_progress_gives_time(void **state)
{
	(void)state;
	struct request r = {.pages = 10, .ms = 60000};

	flow.config.full_timeout_ms = 1000;
	assert_true(space_try(flow.evicts, CACHE_BYTES));
	begin(&r);
	for (int i = 0; i < 10; i++) {
		usleep(120000);
		space_release(flow.evicts, PAGE);
	}
	assert_int_equal(end(&r), 0);
	assert_true(r.took_ms >= 1100);
}

static void test_line(void **state)
{
	(void)state;
	struct request large = {.pages = 50, .ms = 60000}, small = {.pages = 1, .ms = 60000};

	flow.config.full_timeout_ms = 30000;
	assert_true(space_try(flow.evicts, CACHE_BYTES));
	begin(&large);
	begin(&small);
	space_release(flow.evicts, 49 * PAGE);
	usleep(50000);
	assert_false(space_try(flow.evicts, PAGE)); /* nobody passes those who wait */
	assert_int_equal(stats().used, CACHE_BYTES - 49 * PAGE);
	space_release(flow.evicts, 2 * PAGE);
	assert_int_equal(end(&large), 0);
	assert_int_equal(end(&small), 0);
	assert_int_equal(stats().used, CACHE_BYTES);
}

/* The first in line does not fit and gives up; the second fits and must not fail with it. */
static void test_line_gives_up(void **state)
{
	(void)state;
	struct request large = {.pages = 900, .ms = 60000}, small = {.pages = 1, .ms = 60000};

	assert_true(space_try(flow.evicts, CACHE_BYTES));
	begin(&large);
	begin(&small);
	space_release(flow.evicts, 10 * PAGE);
	assert_int_equal(end(&large), -ENOSPC);
	assert_int_equal(end(&small), 0);
}

static void test_stop_wakes(void **state)
{
	(void)state;
	struct request r = {.pages = 1, .ms = 60000};

	flow.config.full_timeout_ms = 60000;
	assert_true(space_try(flow.evicts, CACHE_BYTES));
	begin(&r);
	evicts_stop(flow.evicts);
	assert_int_equal(end(&r), -ECANCELED);
	assert_int_equal(reserve(1, 60000), -ECANCELED);
	space_release(flow.evicts, CACHE_BYTES);
}

enum { FILES = 10, FILE_PAGES = 95 };

static void make_files(uint64_t inos[FILES], enum content content)
{
	char name[16];

	for (int i = 0; i < FILES; i++) {
		snprintf(name, sizeof(name), "file%d", i);
		inos[i] = make_file(name, content, FILE_PAGES * PAGE);
	}
}

static bool is_evicted(uint64_t ino)
{
	struct node_record r = record_of(ino);
	uint64_t stamp, bytes;
	struct txn *txn = must_read(flow.index);
	int err = ages_get(txn, ino, &stamp, &bytes);

	txn_abort(&txn);
	assert_int_equal(err, r.blob ? 0 : -ENOENT);
	assert_true(r.blob || (r.content == CONTENT_REMOTE && r.present_bytes == 0));
	return r.blob == 0;
}

static int count_evicted(const uint64_t inos[FILES])
{
	int count = 0;

	for (int i = 0; i < FILES; i++)
		count += is_evicted(inos[i]);
	return count;
}

/* Over 95 %: the oldest go until 90 %, their blobs with them, and nothing else. */
static void test_marks(void **state)
{
	(void)state;
	uint64_t inos[FILES], blobs[FILES];

	make_files(inos, CONTENT_CLEAN);
	for (int i = 0; i < FILES; i++)
		blobs[i] = record_of(inos[i]).blob;
	start();
	usleep(300000);
	assert_int_equal(count_evicted(inos), 0); /* exactly at the high mark: not over it */

	make_file("last", CONTENT_CLEAN, PAGE);
	assert_true(wait_for(has_room, 20000));
	usleep(200000);
	for (int i = 0; i < FILES; i++) {
		assert_int_equal(is_evicted(inos[i]), i < 1);
		assert_int_equal(blob_is_there(blobs[i]), i >= 1);
	}
	assert_int_equal(stats().used, (9 * FILE_PAGES + 1) * PAGE);
	assert_int_equal(stats().evicted_blobs, 1);
	assert_int_equal(stats().evicted_bytes, FILE_PAGES * PAGE);
}

static void test_makes_room(void **state)
{
	(void)state;
	uint64_t inos[FILES];

	make_files(inos, CONTENT_CLEAN);
	start();
	flow.config.full_timeout_ms = 10000;
	assert_int_equal(reserve(500, 20000), 0);
	assert_true(stats().used <= CACHE_BYTES);
	assert_in_range(count_evicted(inos), 5, 6);
	for (int i = 1; i < FILES; i++) /* the oldest ones */
		assert_true(is_evicted(inos[i - 1]) || !is_evicted(inos[i]));
}

enum { SMALL_FILES = 96, SMALL_PAGES = 10 };

static void make_small_files(uint64_t inos[SMALL_FILES])
{
	char name[16];

	for (int i = 0; i < SMALL_FILES; i++) {
		snprintf(name, sizeof(name), "small%d", i);
		inos[i] = make_file(name, CONTENT_CLEAN, SMALL_PAGES * PAGE);
	}
}

static int count_small_evicted(const uint64_t inos[SMALL_FILES])
{
	int count = 0;

	for (int i = 0; i < SMALL_FILES; i++)
		count += is_evicted(inos[i]);
	return count;
}

static void test_low_mark(void **state)
{
	(void)state;
	uint64_t inos[SMALL_FILES];

	make_small_files(inos);
	start();
	assert_true(wait_for(has_room, 20000));
	assert_int_equal(count_small_evicted(inos), 6); /* from 960 pages down to 900 */
	assert_int_equal(stats().used, 900 * PAGE);
}

static void slow_disk(void)
{
	usleep(400000);
}

/* While the checkpoint that frees it is under way, no more is evicted for the same need. */
static void test_not_twice(void **state)
{
	(void)state;
	uint64_t inos[SMALL_FILES];

	make_small_files(inos);
	assert_int_equal(checkpoints_start(flow.checkpoints), 0);
	assert_int_equal(checkpoint_wait(flow.checkpoints, index_newest(flow.index), clock_ms() + 20000), 0);
	syncs_forget(0, slow_disk);
	assert_int_equal(evicts_start(flow.evicts), 0);
	flow.config.full_timeout_ms = 10000;
	assert_int_equal(reserve(140, 20000), 0); /* 960 and 140, of 1000 */
	assert_in_range(count_small_evicted(inos), 10, 16);
}

static void test_partial_blobs_go_too(void **state)
{
	(void)state;
	uint64_t inos[FILES];

	make_files(inos, CONTENT_REMOTE);
	start();
	flow.config.full_timeout_ms = 10000;
	assert_int_equal(reserve(LIMIT_PAGES, 20000), 0);
	assert_int_equal(count_evicted(inos), FILES);
	assert_int_equal(stats().used, CACHE_BYTES);
}

static void test_dirty_stays(void **state)
{
	(void)state;
	uint64_t inos[FILES];
	struct request r = {.pages = 200, .ms = 60000};

	make_files(inos, CONTENT_DIRTY);
	start();
	assert_int_equal(reserve(200, 60000), -ENOSPC);
	assert_int_equal(count_evicted(inos), 0);
	assert_int_equal(stats().used, FILES * FILE_PAGES * PAGE);

	flow.config.full_timeout_ms = 20000;
	begin(&r); /* until two of them have been sent */
	for (int i = 4; i < 6; i++) {
		struct node_record record;
		struct txn *txn = must_write(flow.index);
		assert_int_equal(nodes_get(txn, inos[i], &record), 0);
		record.content = CONTENT_CLEAN;
		assert_int_equal(nodes_put(txn, &record), 0);
		assert_int_equal(txn_commit(&txn), 0);
	}
	assert_int_equal(end(&r), 0);
	assert_int_equal(count_evicted(inos), 2);
	assert_true(is_evicted(inos[4]) && is_evicted(inos[5]));
}

/* Whoever holds a node keeps it: each of these is a reason of its own. */
static void test_busy_stays(void **state)
{
	(void)state;
	uint64_t inos[FILES];
	struct node *nodes[FILES];
	static char somebody;

	make_files(inos, CONTENT_CLEAN);
	for (int i = 0; i < FILES; i++)
		assert_int_equal(node_get(flow.nodes, inos[i], &nodes[i]), 0);
	nodes[0]->locked.opens = 1;
	nodes[1]->locked.fill = (struct fill *)&somebody;
	nodes[2]->locked.stream = (struct stream *)&somebody;
	nodes[3]->locked.draft = true;
	nodes[4]->locked.gone = true;
	start();
	flow.config.full_timeout_ms = 2000;
	assert_int_equal(reserve(LIMIT_PAGES, 20000), -ENOSPC);
	for (int i = 0; i < FILES; i++) {
		assert_int_equal(is_evicted(inos[i]), i > 4);
		lock_take(&nodes[i]->lock);
		if (i > 4) { /* a live node at rest is told */
			assert_int_equal(nodes[i]->locked.blob, 0);
			assert_int_equal(nodes[i]->locked.content, CONTENT_REMOTE);
			assert_int_equal(nodes[i]->locked.reserved, 0);
			assert_false(node_covers_locked(nodes[i], 0, 1));
		}
		nodes[i]->locked.opens = 0;
		nodes[i]->locked.fill = NULL;
		nodes[i]->locked.stream = NULL;
		nodes[i]->locked.draft = nodes[i]->locked.gone = false;
		lock_drop(&nodes[i]->lock);
		node_put(&nodes[i]);
	}
}

/* Ages an hour old, in the order of inos; a young age is left alone by touches. */
static void make_old(const uint64_t inos[FILES])
{
	uint64_t base = evict_stamp() - 3600 * UINT64_C(1000000000);
	struct txn *txn = must_write(flow.index);

	for (int i = 0; i < FILES; i++)
		assert_int_equal(ages_touch(txn, inos[i], base + (uint64_t)i, FILE_PAGES * PAGE), 0);
	assert_int_equal(txn_commit(&txn), 0);
}

static void test_touched_stay_longer(void **state)
{
	(void)state;
	uint64_t inos[FILES];

	make_files(inos, CONTENT_CLEAN);
	make_old(inos);
	evict_touch(flow.evicts, inos[0]);
	evict_touch(flow.evicts, inos[0]);
	evict_touch(flow.evicts, 123456789); /* which is gone */
	start();
	make_file("last", CONTENT_CLEAN, 40 * PAGE);
	assert_true(wait_for(has_room, 20000));
	assert_false(is_evicted(inos[0]));
	assert_true(is_evicted(inos[1]));
}

static uint64_t stamp_of(uint64_t ino)
{
	uint64_t stamp, bytes;
	struct txn *txn = must_read(flow.index);

	assert_int_equal(ages_get(txn, ino, &stamp, &bytes), 0);
	assert_int_equal(bytes, FILE_PAGES * PAGE);
	txn_abort(&txn);
	return stamp;
}

static void test_stop_writes_ages(void **state)
{
	(void)state;
	uint64_t inos[FILES];

	make_files(inos, CONTENT_CLEAN);
	make_old(inos);
	start();
	evict_touch(flow.evicts, inos[3]);
	evicts_stop(flow.evicts);
	assert_true(stamp_of(inos[3]) > stamp_of(inos[9]));
}

static uint64_t touched_ino, old_stamp;

static bool is_newer(void)
{
	return stamp_of(touched_ino) > old_stamp;
}

/* More than can be noted: nothing breaks, and they are written without waiting for their minute. */
static void test_many_touches(void **state)
{
	(void)state;
	uint64_t inos[FILES];

	make_files(inos, CONTENT_CLEAN);
	make_old(inos);
	touched_ino = inos[3];
	old_stamp = stamp_of(inos[3]);
	start();
	evict_touch(flow.evicts, inos[3]);
	for (uint64_t i = 0; i < 100000; i++)
		evict_touch(flow.evicts, 1000000 + i);
	assert_true(wait_for(is_newer, 20000));
}

/* What an earlier process left is counted, and a lowered limit is kept. */
static void test_open_over_limit(void **state)
{
	(void)state;
	uint64_t inos[FILES];

	make_files(inos, CONTENT_CLEAN);
	evicts_close(&flow.evicts);
	flow.config.cache_size_bytes = CACHE_BYTES / 2;
	assert_int_equal(evicts_open(&flow, &flow.evicts), 0);
	assert_int_equal(stats().used, FILES * FILE_PAGES * PAGE);
	assert_false(space_try(flow.evicts, 1));
	start();
	flow.config.full_timeout_ms = 10000;
	assert_int_equal(reserve(1, 20000), 0);
	assert_true(stats().used <= CACHE_BYTES / 2);
	assert_in_range(count_evicted(inos), 5, 6);
}

static bool first_is_evicted(void)
{
	return is_evicted(touched_ino);
}

static void test_disk_full(void **state)
{
	(void)state;
	uint64_t inos[FILES];

	make_files(inos, CONTENT_CLEAN);
	start();
	usleep(100000);
	assert_int_equal(count_evicted(inos), 0);
	space_disk_full(flow.evicts); /* the disk has room, so a quota said so: some goes all the same */
	touched_ino = inos[0];
	assert_true(wait_for(first_is_evicted, 20000));
}

enum { USERS = 4, ROUNDS = 60 };

static const char *look_at(uint64_t ino)
{
	const char *fault = NULL;
	struct node *node;
	int fd;

	if (node_get(flow.nodes, ino, &node))
		return "a node is gone";
	lock_take(&node->lock);
	if (node->locked.blob && blob_open(flow.blobs, node->locked.blob, &fd) == 0)
		close(fd);
	else if (node->locked.blob)
		fault = "a blob that is named is not there";
	lock_drop(&node->lock);
	node_put(&node);
	return fault;
}

static void *use_space(void *arg)
{
	const char *fault = NULL;
	char name[32];

	for (int i = 0; !fault && i < ROUNDS; i++) {
		snprintf(name, sizeof(name), "%c%d", *(char *)arg, i);
		if (reserve(20, 20000) || stats().used > CACHE_BYTES)
			return "no room";
		uint64_t ino = make_reserved_file(name, CONTENT_CLEAN, 20 * PAGE);
		evict_touch(flow.evicts, ino);
		fault = look_at(ino);
		if (space_try(flow.evicts, 7 * PAGE))
			space_release(flow.evicts, 7 * PAGE);
	}
	return (void *)fault;
}

static void test_many(void **state)
{
	(void)state;
	char names[] = "abcd";
	pthread_t threads[USERS];
	void *result;

	flow.config.full_timeout_ms = 20000;
	start();
	for (int i = 0; i < USERS; i++)
		assert_int_equal(thread_start(&threads[i], "user", use_space, &names[i]), 0);
	for (int i = 0; i < USERS; i++) {
		pthread_join(threads[i], &result);
		assert_null(result);
	}
	evicts_stop(flow.evicts);
	assert_int_equal(checkpoints_stop(flow.checkpoints), 0);
	uint64_t held;
	struct txn *txn = must_read(flow.index);
	assert_int_equal(ages_total(txn, &held), 0);
	txn_abort(&txn);
	assert_int_equal(stats().used, held);
	assert_true(stats().evicted_blobs > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FLOW_TEST(test_space_of),          FLOW_TEST(test_stamps_ascend),
		FLOW_TEST(test_hard_limit),        FLOW_TEST(test_progress_gives_time),
		FLOW_TEST(test_line),              FLOW_TEST(test_line_gives_up),
		FLOW_TEST(test_stop_wakes),        FLOW_TEST(test_marks),
		FLOW_TEST(test_makes_room),        FLOW_TEST(test_partial_blobs_go_too),
		FLOW_TEST(test_low_mark),          FLOW_TEST(test_not_twice),
		FLOW_TEST(test_dirty_stays),       FLOW_TEST(test_busy_stays),
		FLOW_TEST(test_touched_stay_longer), FLOW_TEST(test_stop_writes_ages),
		FLOW_TEST(test_many_touches),      FLOW_TEST(test_disk_full),
		FLOW_TEST(test_open_over_limit),
		FLOW_TEST(test_many),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
