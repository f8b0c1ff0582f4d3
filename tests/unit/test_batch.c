/* Writers that wait for the batch while others write: each change is its own; and a start that fails behind a kill leaves
 * the pages of the last checkpoint as they were. */
#include <fcntl.h>
#include <pthread.h>
#include <sys/wait.h>
#include "index_changes.h"

enum { WRITERS = 8, CHANGES = 8, KILLS = 12, BIG_PUTS = 600, SOME_PUTS = 40 };

struct writer {
	struct index *index;
	unsigned number, puts, changes;
	bool refuses;
};

static void put_many(struct txn *txn, const char *what, unsigned number, unsigned puts)
{
	static const uint8_t value[META_VALUE_BYTES_MAX];
	char name[META_NAME_BYTES_MAX];
	for (unsigned i = 0; i < puts; i++) {
		snprintf(name, sizeof(name), "%s-%u-%u", what, number, i);
		REQUIRE(meta_put(txn, name, value, sizeof(value)) == 0);
	}
}

static void *write_many(void *arg)
{
	struct writer *w = arg;
	for (unsigned i = 0; i < w->changes; i++) {
		struct txn *txn;
		bool refused = w->refuses;
		REQUIRE(txn_begin_write(w->index, &txn) == 0);
		put_many(txn, refused ? "refused" : "kept", w->number, w->puts);
		if (refused)
			txn_abort(&txn);
		else
			REQUIRE(txn_commit(&txn) == 0);
	}
	return NULL;
}

static void write_at_once(struct index *index, unsigned puts, unsigned changes, bool refuses)
{
	pthread_t threads[WRITERS];
	struct writer writers[WRITERS];
	for (unsigned i = 0; i < WRITERS; i++) {
		writers[i] = (struct writer){index, i, puts, changes, refuses && i % 2 == 0};
		REQUIRE(pthread_create(&threads[i], NULL, write_many, &writers[i]) == 0);
	}
	for (unsigned i = 0; i < WRITERS; i++)
		REQUIRE(pthread_join(threads[i], NULL) == 0);
}

/* None of them fits into the journal. */
static void too_large_at_once(void **state)
{
	struct fixture *f = *state;
	uint64_t before = index_changes(f->index);
	write_at_once(f->index, BIG_PUTS, CHANGES, false);
	assert_int_equal(index_changes(f->index) - before, WRITERS * CHANGES);
}

static void in_child(void (*work)(struct fixture *f), struct fixture *f)
{
	int status;
	fflush(NULL);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		REQUIRE(fixture_try(f, "boot-1", "file:///bucket", false) == 0);
		work(f);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

/* The journal is half full, so they all wait for room; then some are refused, and the others must know nothing of it. */
static void refuse_some(struct fixture *f)
{
	for (bool full = false; !full;) {
		struct txn *txn;
		REQUIRE(txn_begin_write(f->index, &txn) == 0);
		put_many(txn, "before", 0, SOME_PUTS);
		REQUIRE(txn_commit(&txn) == 0);
		lock_take(&f->index->writer);
		f->index->batch.due_ms = INT64_MAX;
		full = journal_half_full(&f->index->journal);
		lock_drop(&f->index->writer);
	}
	write_at_once(f->index, SOME_PUTS, 1, true);
}

static void refused_stays_refused(void **state)
{
	struct fixture *f = *state;
	for (unsigned i = 0; i < KILLS; i++) {
		index_close(&f->index);
		in_child(refuse_some, f);
		fixture_open(f, "boot-1");
		struct txn *txn = must_read(f->index);
		unsigned back = 0;
		for (unsigned number = 0; number < WRITERS; number++) {
			AUTO_BUF struct buf value = BUF_EMPTY;
			char name[META_NAME_BYTES_MAX];
			snprintf(name, sizeof(name), "refused-%u-0", number);
			back += meta_get(txn, name, &value) != -ENOENT;
		}
		txn_abort(&txn);
		assert_int_equal(back, 0);
	}
}

static uint64_t covered_content;

/* Pages of the checkpoint's state are freed and wait to be used again; the last changes are in the journal alone. */
static void change_and_leave_some(struct fixture *f)
{
	struct txn *txn;
	for (unsigned i = 0; i < 40; i++) {
		change(f->index);
		REQUIRE(txn_begin_read(f->index, &txn) == 0);
		txn_abort(&txn);
	}
	for (unsigned i = 0; i < 60; i++) {
		change(f->index);
		lock_take(&f->index->writer);
		f->index->batch.due_ms = INT64_MAX;
		lock_drop(&f->index->writer);
	}
}

static void start_fails_then_power_cut(void **state)
{
	struct fixture *f = *state;
	char blocker[128];
	for (unsigned i = 0; i < 200; i++)
		change(f->index);
	must_checkpoint(f->index);
	covered_content = content_of(f->index);
	index_close(&f->index);
	in_child(change_and_leave_some, f);

	snprintf(blocker, sizeof(blocker), "%s/steady.old", f->folder);
	unlink(blocker);
	assert_int_equal(mkdir(blocker, 0700), 0);
	assert_int_not_equal(fixture_try(f, "boot-1", "file:///bucket", false), 0);
	assert_int_equal(rmdir(blocker), 0);

	assert_int_equal(fixture_try(f, "boot-2", "file:///bucket", false), 0);
	assert_int_equal(f->start, INDEX_POWER_CUT);
	assert_int_equal(content_of(f->index), covered_content);
}

int main(void)
{
	content_without_txns = true;
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
	    TEST(too_large_at_once),
	    TEST(refused_stays_refused),
	    TEST(start_fails_then_power_cut),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
