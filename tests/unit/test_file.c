/* Several handles of one file, failing writes, and files that go away under a call. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "cache/base/clock.h"
#include "cache/base/list.h"
#include "cache/base/log.h"
#include "cache/cache.h"
#include "cache/file.h"
#include "cache/flow/checkpoint.h"
#include "cache/flow/evict.h"
#include "cache/index/ages.h"
#include "cache/internal.h"
#include "cache/tree.h"

struct world {
	char base[64];
	struct cache_config config;
	struct cache *cache;
};

static const struct caller root = {0, 0};

static void ok(int r)
{
	if (r)
		fail_msg("error %d: %s", r, strerror(r < 0 ? -r : r));
}

static void set(struct world *w, const char *name, const char *value)
{
	struct buf why AUTO_BUF = BUF_EMPTY;
	if (config_set(&w->config, name, value, &why))
		fail_msg("%s", buf_string(&why));
}

static void put_object(struct world *w, const char *key, size_t size)
{
	char path[128], *bytes = calloc(1, size);
	snprintf(path, sizeof path, "%s/bucket/%s", w->base, key);
	int fd = open(path, O_WRONLY | O_CREAT, 0600);
	assert_int_equal(write(fd, bytes, size), size);
	close(fd);
	free(bytes);
}

static int setup(void **state)
{
	struct buf why AUTO_BUF = BUF_EMPTY;
	struct world *w = calloc(1, sizeof *w);
	char path[128];
	strcpy(w->base, "/tmp/tootfs-file-XXXXXX");
	assert_non_null(mkdtemp(w->base));
	snprintf(path, sizeof path, "%s/bucket", w->base);
	ok(mkdir(path, 0700));
	put_object(w, "remote", 8000);
	config_init(&w->config);
	snprintf(path, sizeof path, "file://%s/bucket", w->base);
	ok(config_spec(&w->config, path));
	snprintf(path, sizeof path, "%s/cache", w->base);
	set(w, "cache", path);
	set(w, "uid", "0");
	set(w, "gid", "0");
	if (config_finish(&w->config, &why) || cache_open(&w->config, &w->cache, &why))
		fail_msg("%s", buf_string(&why));
	ok(cache_start(w->cache, NULL));
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;
	char command[128];
	cache_stop(w->cache);
	cache_close(&w->cache);
	config_destroy(&w->config);
	snprintf(command, sizeof command, "rm -r %s", w->base);
	ok(system(command));
	free(w);
	return 0;
}

/* -- calls -- */

static struct file *create_file(struct world *w, const char *name)
{
	const struct create create = {INO_ROOT, name, 0644, O_RDWR, root};
	struct file *file;
	struct stat st;
	ok(tree_create(w->cache, &create, &file, &st));
	return file;
}

static struct file *open_again(struct world *w, const struct file *file, int flags)
{
	struct file *again;
	ok(file_open(w->cache, file_ino(file), flags, &again));
	return again;
}

static int copy_bytes(void *arg, int fd, uint64_t offset, uint64_t length)
{
	return pwrite(fd, arg, length, (off_t)offset) == (ssize_t)length ? 0 : -EIO;
}

static int copy_fails(void *arg, int fd, uint64_t offset, uint64_t length)
{
	(void)arg, (void)fd, (void)offset, (void)length;
	return -ENOSPC;
}

static int write_text(struct file *file, uint64_t offset, const char *text)
{
	const struct write_source source = {copy_bytes, (void *)text};
	return file_write(file, offset, strlen(text), &source);
}

static int write_badly(struct file *file, uint64_t offset)
{
	const struct write_source source = {copy_fails, NULL};
	return file_write(file, offset, 1, &source);
}

/* Of a file whose content is here. */
static void expect_content(struct file *file, const char *text)
{
	struct file_read read = {.length = 100};
	char bytes[100];
	ok(file_read(file, &read));
	assert_int_equal(read.span.length, strlen(text));
	/* what an append that was thrown away left behind the content is nobody's */
	assert_int_equal(pread(read.span.fd, bytes, read.span.length, (off_t)read.span.offset), strlen(text));
	assert_memory_equal(bytes, text, strlen(text));
	file_span_release(&read.span);
}

/* At rest the bytes that are accounted for are those that the index knows of. */
static void expect_accounts_agree(struct world *w)
{
	struct evict_stats stats = {.used = UINT64_MAX};
	uint64_t total = 0;
	for (unsigned tries = 0; stats.used != total && tries < 300; tries++) {
		struct txn *txn;
		checkpoint_hurry(w->cache->flow.checkpoints);
		usleep(10000);
		ok(txn_begin_read(w->cache->flow.index, &txn));
		ok(ages_total(txn, &total));
		txn_abort(&txn);
		evict_stats_read(w->cache->flow.evicts, &stats);
	}
	assert_int_equal(stats.used, total);
}

/* -- several handles -- */

/* A draft that is thrown away has what all handles wrote: each of them must hear of it. */
static void test_loss_is_told_to_every_writer(void **state)
{
	struct world *w = *state;
	struct file *a = create_file(w, "f"), *b = open_again(w, a, O_RDWR);
	ok(write_text(a, 0, "old"));
	ok(file_flush(a));
	ok(write_text(b, 0, "new"));
	assert_int_equal(write_badly(a, 0), -ENOSPC);
	assert_int_equal(file_flush(a), -ENOSPC);
	expect_content(b, "old");
	assert_int_equal(write_text(b, 3, "er"), -EIO);
	assert_int_equal(file_flush(b), -EIO);
	expect_content(b, "old");
	file_close(&a);
	file_close(&b);
}

static void test_lost_truncation_is_told(void **state)
{
	struct world *w = *state;
	struct file *a = create_file(w, "f");
	ok(write_text(a, 0, "old"));
	ok(file_flush(a));
	struct file *b = open_again(w, a, O_RDWR | O_TRUNC);
	assert_int_equal(write_badly(a, 0), -ENOSPC);
	assert_int_equal(file_flush(a), -ENOSPC);
	assert_int_equal(file_flush(b), -EIO);
	expect_content(b, "old");
	file_close(&a);
	file_close(&b);
}

/* A handle that failed long ago is closed in another process as well: that is another flush. */
static void test_second_flush_of_a_poisoned_handle_hurts_nobody(void **state)
{
	struct world *w = *state;
	struct file *a = create_file(w, "f");
	ok(write_text(a, 0, "old"));
	ok(file_flush(a));
	assert_int_equal(write_badly(a, 0), -ENOSPC);
	assert_int_equal(file_flush(a), -ENOSPC);
	struct file *b = open_again(w, a, O_RDWR);
	ok(write_text(b, 0, "new"));
	assert_int_equal(file_flush(a), -ENOSPC);
	expect_content(b, "new");
	ok(file_flush(b));
	file_close(&a);
	expect_content(b, "new");
	file_close(&b);
	ok(cache_drain(w->cache, clock_ms() + 20000, NULL, NULL));
}

static void test_flushed_by_one_is_flushed_for_all(void **state)
{
	struct world *w = *state;
	struct file *a = create_file(w, "f"), *b = open_again(w, a, O_RDWR);
	ok(write_text(a, 0, "one"));
	ok(file_flush(b));
	ok(write_text(a, 3, "two"));
	ok(file_flush(a));
	expect_content(b, "onetwo");
	file_close(&a);
	file_close(&b);
}

/* -- accounting -- */

/* Appended in place, then begun anew, then thrown away: the room of what was appended comes back too. */
static void test_room_of_an_append_that_is_reverted(void **state)
{
	struct world *w = *state;
	struct file *a = create_file(w, "f");
	char *text = malloc(10001);
	memset(text, 'x', 10000);
	text[10000] = '\0';
	ok(write_text(a, 0, "short"));
	ok(file_flush(a));
	ok(write_text(a, 5, text));
	assert_int_equal(write_badly(a, 0), -ENOSPC);
	assert_int_equal(file_flush(a), -ENOSPC);
	expect_content(a, "short");
	file_close(&a);
	free(text);
	expect_accounts_agree(w);
}

/* -- gone meanwhile -- */

struct truncation {
	struct world *w;
	uint64_t ino;
	pthread_t thread;
	sem_t done;
	int result;
};

static void *truncate_it(void *arg)
{
	struct truncation *t = arg;
	struct stat st;
	t->result = file_truncate(t->w->cache, t->ino, NULL, 5000, &st);
	sem_post(&t->done);
	return NULL;
}

/* Truncated by its path while it has to be fetched, and fetching has to wait for room. */
static void test_unlinked_while_it_is_fetched_to_be_truncated(void **state)
{
	struct world *w = *state;
	struct evicts *evicts = w->cache->flow.evicts;
	struct truncation t = {.w = w};
	struct evict_stats stats;
	struct timespec until;
	struct stat st;
	ok(tree_lookup(w->cache, INO_ROOT, "remote", &st));
	t.ino = st.st_ino;
	ok(sem_init(&t.done, 0, 0));
	evict_stats_read(evicts, &stats);
	assert_true(space_try(evicts, stats.limit - stats.used));
	ok(pthread_create(&t.thread, NULL, truncate_it, &t));
	usleep(200000);
	ok(tree_unlink(w->cache, INO_ROOT, "remote"));
	space_release(evicts, stats.limit - stats.used);
	ok(clock_gettime(CLOCK_REALTIME, &until));
	until.tv_sec += 20;
	ok(sem_timedwait(&t.done, &until));
	pthread_join(t.thread, NULL);
	assert_int_equal(t.result, -ENOENT);
	sem_destroy(&t.done);
	expect_accounts_agree(w);
}

int main(void)
{
	const struct log_config log = {.level = LOG_LEVEL_ERROR};
	log_setup(&log);
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_loss_is_told_to_every_writer),
		TEST(test_lost_truncation_is_told),
		TEST(test_second_flush_of_a_poisoned_handle_hurts_nobody),
		TEST(test_flushed_by_one_is_flushed_for_all),
		TEST(test_room_of_an_append_that_is_reverted),
		TEST(test_unlinked_while_it_is_fetched_to_be_truncated),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
