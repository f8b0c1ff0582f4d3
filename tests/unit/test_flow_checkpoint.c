#include "flow_fixture.h"

static uint64_t newest(void)
{
	return index_newest(flow.index);
}

static bool all_covered(void)
{
	return index_covered(flow.index) == newest();
}

static bool nothing_condemned(void)
{
	return checkpoint_condemned_bytes(flow.checkpoints) == 0;
}

static uint64_t used(void)
{
	struct evict_stats stats;

	evict_stats_read(flow.evicts, &stats);
	return stats.used;
}

static int wait_all(int64_t ms)
{
	return checkpoint_wait(flow.checkpoints, newest(), clock_ms() + ms);
}

static void start(void)
{
	assert_int_equal(checkpoints_start(flow.checkpoints), 0);
}

/* The path of a blob as the syncs remember it. */
static const char *path_of(uint64_t blob)
{
	static char path[64];

	snprintf(path, sizeof(path), "blobs/%llx/%llx", (unsigned long long)blob >> 12,
		 (unsigned long long)blob);
	return path;
}

static void test_kick_and_wait(void **state)
{
	(void)state;
	start();
	int64_t began_ms = clock_ms();
	make_file("a", CONTENT_CLEAN, 10);
	assert_false(all_covered());
	assert_true(wait_for(all_covered, 20000)); /* by itself, and not at once */
	assert_true(clock_ms() - began_ms >= 300);

	int64_t took_ms = 1000;
	for (int i = 0; i < 5 && took_ms >= 600; i++) { /* hurried, but on a busy machine not each time */
		char name[] = {(char)('b' + i), '\0'};
		began_ms = clock_ms();
		make_file(name, CONTENT_CLEAN, 10);
		assert_int_equal(wait_all(20000), 0);
		took_ms = clock_ms() - began_ms;
	}
	assert_true(took_ms < 600);
	assert_int_equal(wait_all(0), 0);         /* nothing to wait for */
}

static void test_order(void **state)
{
	(void)state;
	start();
	make_file("first", CONTENT_CLEAN, 10);
	assert_int_equal(wait_all(20000), 0);
	assert_true(sync_of("all") >= 0); /* an earlier process may have left blobs */

	syncs_forget(0, NULL);
	uint64_t blob = record_of(make_file("second", CONTENT_DIRTY, 10)).blob;
	assert_int_equal(wait_all(20000), 0);
	assert_int_equal(sync_of("all"), -1);
	assert_true(sync_of(path_of(blob)) >= 0);
	assert_true(sync_of("index.mdb") > sync_of(path_of(blob)));

	syncs_forget(0, NULL);
	for (int i = 0; i < BLOBS_SYNC_EACH_MAX + 1; i++) {
		char name[16];
		snprintf(name, sizeof(name), "many%d", i);
		make_file(name, CONTENT_DIRTY, 10);
	}
	assert_int_equal(wait_all(20000), 0);
	assert_true(sync_of("all") >= 0);
	assert_true(sync_of("index.mdb") > sync_of("all"));
}

/* Takes the blob out of the record and condemns it, as eviction does. */
static uint64_t let_go(uint64_t ino)
{
	struct node_record record;
	struct txn *txn = must_write(flow.index);

	assert_int_equal(nodes_get(txn, ino, &record), 0);
	uint64_t blob = record.blob;
	record.blob = 0;
	record.content = CONTENT_REMOTE;
	assert_int_equal(nodes_put(txn, &record), 0);
	assert_int_equal(ages_delete(txn, ino), 0);
	assert_int_equal(txn_commit(&txn), 0);
	checkpoint_condemn(flow.checkpoints, blob, space_of(record.size));
	return blob;
}

static void test_condemned(void **state)
{
	(void)state;
	uint64_t ino = make_file("a", CONTENT_CLEAN, 5000), other = make_file("b", CONTENT_CLEAN, 10);

	start();
	assert_int_equal(wait_all(20000), 0);
	assert_int_equal(used(), 3 * 4096);
	uint64_t blob = let_go(ino);
	assert_true(blob_is_there(blob)); /* the steady state still names it */
	assert_int_equal(checkpoint_condemned_bytes(flow.checkpoints), 2 * 4096);
	assert_int_equal(used(), 3 * 4096);
	assert_int_equal(wait_all(20000), 0);
	assert_true(wait_for(nothing_condemned, 20000));
	assert_false(blob_is_there(blob));
	assert_true(blob_is_there(record_of(other).blob));
	checkpoint_condemn(flow.checkpoints, 0, 4096); /* reserved, but never made */
	assert_int_equal(used(), 0);
}

static uint64_t late_ino, late_blob, late_new;

static void while_syncing(void)
{
	late_blob = let_go(late_ino); /* after the snapshot, which names it */
	late_new = record_of(make_file("late", CONTENT_DIRTY, 10)).blob;
}

/* What happens during a round belongs to the next one. */
static void test_during_a_round(void **state)
{
	(void)state;
	late_ino = make_file("a", CONTENT_CLEAN, 10);
	start();
	assert_int_equal(wait_all(20000), 0);

	syncs_forget(0, while_syncing);
	make_file("b", CONTENT_DIRTY, 10);
	uint64_t before = newest();
	assert_int_equal(checkpoint_wait(flow.checkpoints, before, clock_ms() + 20000), 0);
	assert_true(late_blob && blob_is_there(late_blob));
	assert_int_equal(sync_of(path_of(late_new)), -1);
	assert_true(index_covered(flow.index) < newest());

	assert_int_equal(wait_all(20000), 0);
	assert_true(sync_of(path_of(late_new)) >= 0);
	assert_true(wait_for(nothing_condemned, 20000));
	assert_false(blob_is_there(late_blob));
}

static void test_failure(void **state)
{
	(void)state;
	uint64_t ino = make_file("a", CONTENT_CLEAN, 10);

	start();
	assert_int_equal(wait_all(20000), 0);
	uint64_t covered = index_covered(flow.index);
	syncs_forget(ENOSPC, NULL);
	uint64_t gone = let_go(ino), blob = record_of(make_file("b", CONTENT_DIRTY, 10)).blob;
	assert_int_equal(wait_all(20000), -ENOSPC);
	assert_int_equal(index_covered(flow.index), covered);
	assert_true(blob_is_there(gone));
	assert_int_equal(checkpoint_condemned_bytes(flow.checkpoints), 4096);

	int64_t began_ms = clock_ms();
	syncs_forget(0, NULL);
	assert_true(wait_for(all_covered, 20000)); /* by itself */
	assert_true(clock_ms() - began_ms > 200); /* but not in a hurry */
	assert_true(sync_of(path_of(blob)) >= 0); /* the list was kept */
	assert_true(wait_for(nothing_condemned, 20000));
	assert_false(blob_is_there(gone));
}

static void test_broken_disk(void **state)
{
	(void)state;
	syncs_forget(EIO, NULL);
	make_file("a", CONTENT_DIRTY, 10);
	start();
	assert_int_equal(wait_all(20000), -EIO);
	uint64_t covered = index_covered(flow.index);
	syncs_forget(0, NULL); /* the next sync would succeed, and prove nothing */
	assert_int_equal(wait_all(20000), -EIO);
	assert_int_equal(index_covered(flow.index), covered);
	assert_int_equal(checkpoints_stop(flow.checkpoints), -EIO);
}

static void test_deadline(void **state)
{
	(void)state;
	make_file("a", CONTENT_DIRTY, 10); /* and no thread */
	int64_t began_ms = clock_ms();
	assert_int_equal(wait_all(50), -ETIMEDOUT);
	assert_true(clock_ms() - began_ms >= 50);
}

static void test_stop(void **state)
{
	(void)state;
	uint64_t blob;

	start();
	blob = let_go(make_file("a", CONTENT_CLEAN, 10));
	assert_int_equal(checkpoints_stop(flow.checkpoints), 0);
	assert_true(all_covered());
	assert_false(blob_is_there(blob));
	assert_int_equal(wait_all(20000), 0);
	assert_int_equal(checkpoint_wait(flow.checkpoints, newest() + 1, clock_ms() + 60000), -ECANCELED);
	assert_int_equal(checkpoints_stop(flow.checkpoints), 0);
}

static void test_stop_fails(void **state)
{
	(void)state;
	start();
	assert_int_equal(wait_all(0), 0);
	syncs_forget(ENOSPC, NULL);
	make_file("a", CONTENT_DIRTY, 10);
	assert_int_equal(checkpoints_stop(flow.checkpoints), -ENOSPC);
	assert_false(all_covered());
}

enum { WRITERS = 4, FILES_EACH = 20 };

static void *write_files(void *arg)
{
	char name[32];

	for (int i = 0; i < FILES_EACH; i++) {
		snprintf(name, sizeof(name), "%c%d", *(char *)arg, i);
		uint64_t ino = make_file(name, CONTENT_CLEAN, 10);
		if (i % 2)
			let_go(ino);
		if (i % 5 == 0 && wait_all(20000))
			return "a wait failed";
	}
	return NULL;
}

static void test_many(void **state)
{
	(void)state;
	char names[] = "abcd";
	pthread_t threads[WRITERS];
	void *result;

	start();
	for (int i = 0; i < WRITERS; i++)
		assert_int_equal(thread_start(&threads[i], "writer", write_files, &names[i]), 0);
	for (int i = 0; i < WRITERS; i++) {
		pthread_join(threads[i], &result);
		assert_null(result);
	}
	assert_int_equal(checkpoints_stop(flow.checkpoints), 0);
	assert_true(all_covered() && nothing_condemned());
	assert_int_equal(used(), WRITERS * FILES_EACH / 2 * 4096);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FLOW_TEST(test_kick_and_wait), FLOW_TEST(test_order),       FLOW_TEST(test_condemned),
		FLOW_TEST(test_during_a_round), FLOW_TEST(test_failure),    FLOW_TEST(test_broken_disk),
		FLOW_TEST(test_deadline),      FLOW_TEST(test_stop),        FLOW_TEST(test_stop_fails),
		FLOW_TEST(test_many),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
