/* Transactions: what they see and keep, a full disk, numbers, many readers, threads. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include "index_fixture.h"
#include "cache/index/internal.h"

static void make_some(struct fixture *f, int count)
{
	for (int i = 0; i < count; i++) {
		struct txn *txn = must_write(f->index);
		char name[32];
		snprintf(name, sizeof(name), "%d-%u", i, (unsigned)draw(1u << 31));
		must_make(txn, 1, name, S_IFREG, 1);
		assert_int_equal(txn_commit(&txn), 0);
	}
}

static uint64_t files(struct index *index)
{
	struct index_totals totals;
	struct txn *txn = must_read(index);
	assert_int_equal(index_totals(txn, &totals), 0);
	txn_abort(&txn);
	return totals.files;
}

static void ids_and_aborts(void **state)
{
	struct fixture *f = *state;
	struct node_record r;
	struct txn *txn = must_write(f->index);
	uint64_t id = txn_id(txn);
	assert_true(txn_writes(txn));
	assert_int_equal(id, index_newest(f->index) + 1);
	uint64_t ino = must_make(txn, 1, "f", S_IFREG, 0);
	struct txn *reader = must_read(f->index); /* sees the state before */
	assert_false(txn_writes(reader));
	assert_int_equal(txn_id(reader), id - 1);
	assert_int_equal(nodes_get(reader, ino, &r), -ENOENT);
	assert_int_equal(txn_commit(&txn), 0);
	assert_null(txn);
	assert_int_equal(index_newest(f->index), id);
	assert_int_equal(nodes_get(reader, ino, &r), -ENOENT);
	assert_int_equal(txn_commit(&reader), 0);
	reader = must_read(f->index);
	assert_int_equal(nodes_get(reader, ino, &r), 0);
	txn_abort(&reader);
	txn_abort(&reader); /* NULL */

	txn = must_write(f->index);
	assert_int_equal(nodes_delete(txn, ino), 0);
	txn_abort(&txn);
	assert_int_equal(index_newest(f->index), id);
	assert_int_equal(files(f->index), 1);
	{
		AUTO_ABORT struct txn *dropped = must_write(f->index);
		assert_int_equal(nodes_delete(dropped, ino), 0);
	}
	assert_int_equal(files(f->index), 1);
}

/* An error in the middle: what was done before it must not be kept. */
static void half_done(void **state)
{
	struct fixture *f = *state;
	struct txn *txn = must_write(f->index);
	must_make(txn, 1, "f", S_IFREG, 0);
	assert_int_equal(dbi_put(txn, DBI_META, (struct bytes){"", 0}, (struct bytes){"x", 1}),
			 -EINVAL);
	assert_int_equal(txn_commit(&txn), -EINVAL);
	assert_int_equal(files(f->index), 0);
	txn = must_write(f->index);
	must_make(txn, 1, "f", S_IFREG, 0);
	assert_int_equal(txn_commit(&txn), 0);
}

/* More readers than are kept idle, then again. */
static void many_readers(void **state)
{
	struct fixture *f = *state;
	enum { MANY = 200 };
	struct txn *txns[MANY];
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < MANY; i++)
			txns[i] = must_read(f->index);
		make_some(f, 1);
		for (int i = 0; i < MANY; i++)
			txn_abort(&txns[i]);
	}
	struct txn *all[TXN_READERS_MAX + 1];
	int count = 0, rc = 0;
	while (count <= TXN_READERS_MAX && (rc = txn_begin_read(f->index, &all[count])) == 0)
		count++;
	assert_int_equal(rc, -EAGAIN);
	assert_true(count > TXN_READERS_MAX - 10);
	while (count > 0)
		txn_abort(&all[--count]);
	assert_int_equal(files(f->index), 3);
}

/* A limit on the size of files is a disk that is full: pwrite fails in the middle of a commit.
 * Nothing of that transaction is there, and when there is room again, everything goes on. */
static void full_disk(void **state)
{
	struct fixture *f = *state;
	struct rlimit before, limit;
	struct stat st;
	int rc = 0, count = 0;
	make_some(f, 20);
	must_checkpoint(f->index);
	assert_int_equal(fstat(f->index->file_fd, &st), 0);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	signal(SIGXFSZ, SIG_IGN);
	limit = (struct rlimit){(rlim_t)st.st_size + 20480, before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	while (rc == 0 && count < 10000) {
		struct txn *txn = must_write(f->index);
		char name[32];
		snprintf(name, sizeof(name), "full-%d", count);
		must_make(txn, 1, name, S_IFREG, 1);
		rc = txn_commit(&txn);
		count += rc == 0;
	}
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_true(rc == -EFBIG || rc == -EIO);
	assert_int_equal(files(f->index), 20 + count);
	make_some(f, 20);
	must_checkpoint(f->index);
	index_close(&f->index);
	fixture_open(f, "boot-2");
	assert_int_equal(files(f->index), 40 + count);
}

static void numbers(void **state)
{
	struct fixture *f = *state;
	uint64_t last = 0, blob, ino = 0;
	for (int i = 0; i < 700; i++) {
		assert_int_equal(index_new_blob(f->index, &blob), 0);
		assert_true(blob > last);
		last = blob;
		if (i % 100 == 50) {
			struct txn *txn = must_write(f->index);
			uint64_t other = txn_new_blob(txn), next = txn_new_ino(txn);
			assert_true(other > last && next > ino && next > INO_ROOT);
			ino = next;
			assert_int_equal(txn_commit(&txn), 0);
		}
		if (i % 250 == 249) {
			index_close(&f->index);
			fixture_open(f, i % 500 == 249 ? "boot-1" : "boot-2");
		}
	}
}

/* -- threads -- */

enum { ACCOUNTS = 64, READERS = 4, CHANGES = 1500 };

static struct {
	struct index *index;
	_Atomic bool stop;
	_Atomic unsigned reads, checkpoints;
} shared;

/* Moves bytes between two nodes; the sum is always the same. */
static void *move_about(void *arg)
{
	(void)arg;
	uint64_t seed = 7;
	/* as long as it takes for some checkpoints to come in between, on a fast machine too */
	for (int i = 0; i < CHANGES || (i < 100 * CHANGES && atomic_load(&shared.checkpoints) < 5); i++) {
		struct node_record a, b;
		struct txn *txn = must_write(shared.index);
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		uint64_t one = 2 + (seed >> 33) % ACCOUNTS, other = 2 + (seed >> 40) % ACCOUNTS;
		assert_int_equal(nodes_get(txn, one, &a), 0);
		uint64_t some = a.size / 2;
		a.size -= some;
		assert_int_equal(nodes_put(txn, &a), 0);
		assert_int_equal(nodes_get(txn, other, &b), 0);
		b.size += some;
		assert_int_equal(nodes_put(txn, &b), 0);
		if (i % 10 == 9)
			txn_abort(&txn);
		else
			assert_int_equal(txn_commit(&txn), 0);
	}
	atomic_store(&shared.stop, true);
	return NULL;
}

static void *sum_up(void *arg)
{
	(void)arg;
	while (!atomic_load(&shared.stop)) {
		struct node_record r;
		struct index_totals totals;
		struct name name;
		uint64_t sum = 0, blob;
		struct txn *txn = must_read(shared.index);
		for (uint64_t ino = 2; ino < 2 + ACCOUNTS; ino++) {
			assert_int_equal(nodes_get(txn, ino, &r), 0);
			assert_int_equal(names_get(txn, 1, r.name, &name), 0);
			sum += r.size;
		}
		assert_int_equal(index_totals(txn, &totals), 0);
		assert_int_equal(totals.bytes, sum);
		assert_int_equal(sum, ACCOUNTS * 1000);
		/* a commit can be seen just before it is counted */
		assert_true(txn_id(txn) <= index_newest(shared.index) + 1);
		txn_abort(&txn);
		uint64_t covered = index_covered(shared.index);
		assert_true(covered <= index_pinned(shared.index));
		assert_int_equal(index_new_blob(shared.index, &blob), 0);
		atomic_fetch_add(&shared.reads, 1);
	}
	return NULL;
}

static void *checkpoint_often(void *arg)
{
	(void)arg;
	for (unsigned i = 0; !atomic_load(&shared.stop); i++) {
		struct index_checkpoint *checkpoint;
		assert_int_equal(index_checkpoint_begin(shared.index, &checkpoint), 0);
		if (i % 5 == 4)
			index_checkpoint_abort(&checkpoint);
		else
			assert_int_equal(index_checkpoint_commit(&checkpoint), 0);
		atomic_fetch_add(&shared.checkpoints, 1);
		usleep(200);
	}
	return NULL;
}

static void threads(void **state)
{
	struct fixture *f = *state;
	pthread_t ids[READERS + 2];
	struct txn *txn = must_write(f->index);
	for (int i = 0; i < ACCOUNTS; i++) {
		char name[16];
		snprintf(name, sizeof(name), "n%d", i);
		assert_int_equal(must_make(txn, 1, name, S_IFREG, 1000), 2 + i);
	}
	assert_int_equal(txn_commit(&txn), 0);
	shared.index = f->index;
	atomic_store(&shared.stop, false);
	for (int i = 0; i < READERS; i++)
		assert_int_equal(pthread_create(&ids[i], NULL, sum_up, NULL), 0);
	assert_int_equal(pthread_create(&ids[READERS], NULL, checkpoint_often, NULL), 0);
	assert_int_equal(pthread_create(&ids[READERS + 1], NULL, move_about, NULL), 0);
	for (int i = 0; i < READERS + 2; i++)
		pthread_join(ids[i], NULL);
	assert_true(atomic_load(&shared.reads) > 0 && atomic_load(&shared.checkpoints) > 3);
	index_close(&f->index);
	fixture_open(f, "boot-1");
	assert_int_equal(files(f->index), ACCOUNTS);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
	    TEST(ids_and_aborts), TEST(half_done), TEST(many_readers),
	    TEST(full_disk),	  TEST(numbers),   TEST(threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
